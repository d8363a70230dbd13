/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd --list links: asks a server, or the plugins of this machine, what could be opened. */
#include "kd-links.h"

#include "kd-connection.h"
#include "kd-inventory.h"
#include "kd-link-report.h"
#include "kd-loop.h"
#include "kd-notice.h"
#include "kd-outcome.h"
#include "kd-secret.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define WORD "links"

/**
 * KdLinks:
 * @loop: runs until there is an answer
 * @listed: (nullable): what this machine could open
 * @connection: (nullable): with the server; it has what that could open
 * @error: (nullable): why there is no answer
 */
typedef struct {
    GMainLoop *loop;
    KdListed *listed;
    KdConnection *connection;
    GError *error;
} KdLinks;

/* ---- what was asked ---- */

static gboolean
check_options(const KdClientOptions *options, GError **error)
{
    const struct {
        gboolean is_given;
        const char *name;
    } others[] = {
        {options->connection != NULL, "-k (name a server with --server)"},
        {options->trans != NULL, "--trans"},
        {options->is_stdio, "--stdio"},
        {options->is_pty, "--pty"},
        {options->listen != NULL, "--listen"},
        {options->profile != NULL, "--profile"},
        {options->debugger != NULL, "-- DEBUGGER"},
    };

    if (strcmp(options->list, WORD) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "--list: %s: can't be listed, expected " WORD, options->list);
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        if (others[i].is_given) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "--list: excludes %s",
                        others[i].name);
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- asking ---- */

static void
on_ended(KdConnection *connection, const GError *error, void *user)
{
    KdLinks *links = user;

    (void)connection;
    links->error = error != NULL ? g_error_copy(error) : NULL;
    g_main_loop_quit(links->loop);
}

/* Listing opens nothing, so there is nothing else to be told. */
static const KdConnectionFuncs connection_funcs = {
    .ended = on_ended,
};

static void
on_found(GVariant *found, void *user)
{
    KdLinks *links = user;
    gboolean has_room = TRUE;
    const char *scheme;
    gboolean has_answered;
    GVariantIter iter;
    GVariant *each;

    links->listed = kd_listed_new();
    g_variant_iter_init(&iter, found);
    while (has_room && g_variant_iter_next(&iter, "(&sb@aa{sv})", &scheme, &has_answered, &each)) {
        g_autoptr(GVariant) one = each;

        links->listed->has_more |= !has_answered;
        has_room = kd_listed_add_found(links->listed, scheme, one, NULL, NULL);
    }
    g_main_loop_quit(links->loop);
}

/* (transfer none) (nullable): until @links is cleared */
static const KdListed *
ask(KdLinks *links, const KdPlan *plan, const KdRegistry *registry)
{
    g_autoptr(KdInventory) inventory = NULL;

    if (plan != NULL) {
        links->connection = kd_connection_new(plan, registry, &connection_funcs, links);
        kd_connection_start(links->connection);
    } else {
        inventory = kd_inventory_new(registry);
        (void)kd_inventory_ask(inventory, on_found, links);
    }
    g_main_loop_run(links->loop);
    return plan != NULL ? links->connection->listed : links->listed;
}

/* ---- printing ---- */

static void
print_listed(const KdListed *listed, gboolean is_json)
{
    g_autofree char *text =
        is_json ? kd_link_report_build_json(listed) : kd_link_report_build_table(listed);

    fputs(text, stdout);
    if (is_json) {
        return; /* it says both */
    }
    if (listed->has_more) {
        kd_notice_print("--list: there may be more links than these");
    } else if (listed->links->len == 0) {
        kd_notice_print("--list: no links");
    }
}

static int
list(const KdPlan *plan, const KdRegistry *registry, gboolean is_json)
{
    KdLinks links = {.loop = g_main_loop_new(NULL, FALSE)};
    void (*on_pipe)(int) = signal(SIGPIPE, SIG_IGN); /* a server may hang up at any time */
    const KdListed *listed = ask(&links, plan, registry);
    int status = kd_outcome_get_status(links.error);

    (void)signal(SIGPIPE, on_pipe);
    if (links.error == NULL && listed == NULL) {
        links.error = g_error_new_literal(KD_ERROR, KD_ERROR_FAILED,
                                          "the server has ended before it has listed its links");
        status = KD_EXIT_FAILED;
    }
    if (listed != NULL && links.error == NULL) {
        print_listed(listed, is_json);
    } else {
        kd_notice_print("%s", links.error->message);
    }
    kd_connection_free(links.connection);
    g_clear_pointer(&links.listed, kd_listed_free);
    g_clear_error(&links.error);
    g_main_loop_unref(links.loop);
    return status;
}

/**
 * kd_links_run:
 * @options: the command line; its list is not %NULL
 * @registry: loaded plugins
 *
 * Prints on stdout which links the server, or this machine, could open. That there are none, or may
 * be more, is no failure; it is said on stderr, so that stdout has a line for each link and no
 * other.
 *
 * Returns: exit status: 0 listed, 1 failed, 2 wrong usage
 */
int
kd_links_run(const KdClientOptions *options, const KdRegistry *registry)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan = NULL;

    if (check_options(options, &error) && options->server != NULL) {
        plan = kd_plan_new_listing(options->server, &error);
        kd_secret_wipe(options->server, strlen(options->server));
    }
    if (error != NULL || (plan != NULL && !kd_connection_resolve(plan, registry, &error))) {
        kd_notice_print("%s", error->message);
        return KD_EXIT_USAGE;
    }
    if (plan != NULL && !kd_connection_prepare(plan, &error)) {
        kd_notice_print("%s", error->message);
        return kd_outcome_get_status(error);
    }
    if (!kd_loop_start(&error)) {
        kd_notice_print("%s", error->message);
        return KD_EXIT_FAILED;
    }
    return list(plan, registry, options->is_json);
}

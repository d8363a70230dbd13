/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which link to open and where: what -k, --server and --trans say. */
#include "kd-plan.h"

#include "kd-params.h"
#include "kd-secret.h"
#include "kd-text.h"

#include <string.h>

#define SCHEME "kdsrv"

/* May hold a password */
typedef char KdSecretText;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSecretText, kd_secret_free_text)

const KdParamSpec kd_plan_params[] = {
    {.key = "server",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .max_len = KD_PARAMS_MAX_BYTES,
     .placeholder = "@{CLIENT-TRANSPORT}",
     .help = "transport on which the connection server is reached"},
    {.key = "trans",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .max_len = KD_MAX_TRANS_BYTES,
     .placeholder = "@{LINK}",
     .help = "link that the connection server opens to the target"},
    {0},
};

static gboolean
check_string(const char *name, const char *text, GError **error)
{
    g_autofree char *scheme = NULL;
    g_autoptr(KdSecretText) items = NULL;

    if (strlen(text) > KD_MAX_TRANS_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: longer than %u bytes", name,
                    KD_MAX_TRANS_BYTES);
        return FALSE;
    }
    if (g_str_has_prefix(text, "@{")) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: @{ and } belong into a kdsrv:... string, leave them out here", name);
        return FALSE;
    }
    if (!kd_params_split(text, &scheme, &items, error)) {
        g_prefix_error(error, "%s: ", name);
        return FALSE;
    }
    if (strcmp(scheme, SCHEME) == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: %s: can't stand inside itself, expected a %s", name, SCHEME,
                    strcmp(name, "trans") == 0 ? "link like com:port=com2" : "transport like tcp:");
        return FALSE;
    }
    return TRUE;
}

static gboolean
take_server_form(KdPlan *plan, const char *items, GError **error)
{
    g_autoptr(GVariant) params =
        kd_params_parse(SCHEME, kd_plan_params, KD_FORM_CLIENT, items, NULL, error);

    if (params == NULL) {
        if (error != NULL && g_error_matches(*error, KD_ERROR, KD_ERROR_PARAM_UNKNOWN)) {
            g_autofree char *why = g_strdup((*error)->message);

            /* most likely a key of the transport or the link, which stand there without braces */
            g_clear_error(error);
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_UNKNOWN,
                        "%s; write server=@{...},trans=@{...}", why);
        }
        return FALSE;
    }
    (void)g_variant_lookup(params, "server", "s", &plan->server);
    (void)g_variant_lookup(params, "trans", "s", &plan->trans);
    kd_secret_wipe_value(params, "server");
    kd_secret_wipe_value(params, "trans");
    return TRUE;
}

static gboolean
take_connection(KdPlan *plan, const char *connection, GError **error)
{
    g_autofree char *scheme = NULL;
    g_autoptr(KdSecretText) items = NULL;

    if (!kd_params_split(connection, &scheme, &items, error)) {
        g_prefix_error(error, "-k: ");
        return FALSE;
    }
    if (strcmp(scheme, SCHEME) != 0) {
        plan->trans = g_strdup(connection);
        return TRUE;
    }
    if (!take_server_form(plan, items, error)) {
        g_prefix_error(error, "-k: ");
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_plan_new:
 * @connection: (nullable): of -k
 * @server: (nullable): of --server
 * @trans: (nullable): of --trans
 * @error: return location
 *
 * Takes the two ways of saying the same apart: -k, or --server together with --trans.
 *
 * Returns: (transfer full): the plan, or %NULL with one of the KD_ERROR_PARAM_ codes
 */
KdPlan *
kd_plan_new(const char *connection, const char *server, const char *trans, GError **error)
{
    g_autoptr(KdPlan) plan = g_new0(KdPlan, 1);

    if (connection != NULL && (server != NULL || trans != NULL)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "-k: excludes --server and --trans");
        return NULL;
    }
    if (connection == NULL && (server == NULL || trans == NULL)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                            server != NULL  ? "--trans: missing, it names the link to the target"
                            : trans != NULL ? "--server: missing (a link of this machine is "
                                              "opened with -k LINK)"
                                            : "-k: missing, it names the link (see kd --help)");
        return NULL;
    }
    if (connection == NULL) {
        plan->server = g_strdup(server);
        plan->trans = g_strdup(trans);
    } else if (!take_connection(plan, connection, error)) {
        return NULL;
    }
    if ((plan->server != NULL && !check_string("server", plan->server, error)) ||
        !check_string("trans", plan->trans, error)) {
        return NULL;
    }
    return g_steal_pointer(&plan);
}

/**
 * kd_plan_new_listing:
 * @server: of --server
 * @error: return location
 *
 * Returns: (transfer full): a plan that names no link, or %NULL with one of the KD_ERROR_PARAM_
 * codes
 */
KdPlan *
kd_plan_new_listing(const char *server, GError **error)
{
    g_autoptr(KdPlan) plan = NULL;

    if (!check_string("server", server, error)) {
        return NULL;
    }
    plan = g_new0(KdPlan, 1);
    plan->server = g_strdup(server);
    return g_steal_pointer(&plan);
}

/**
 * kd_plan_resolve:
 * @plan: with a server
 * @registry: loaded plugins; outlives the plan
 * @error: return location
 *
 * Takes the server's string apart; opens nothing. From here on the plan has no password but in
 * its @dial_up.
 *
 * Returns: %FALSE with one of the KD_ERROR_PARAM_ codes or %KD_ERROR_NOT_SUPPORTED
 */
gboolean
kd_plan_resolve(KdPlan *plan, const KdRegistry *registry, GError **error)
{
    plan->dial_up = kd_dial_up_new(registry, plan->server, error);
    if (plan->dial_up == NULL) {
        return FALSE;
    }
    kd_secret_free_text(plan->server);
    plan->server = g_strdup(plan->dial_up->name);
    return TRUE;
}

/**
 * kd_plan_free:
 * @plan: (nullable): a plan
 *
 * Frees it.
 */
void
kd_plan_free(KdPlan *plan)
{
    if (plan == NULL) {
        return;
    }
    kd_dial_up_free(plan->dial_up);
    kd_secret_free_text(plan->server);
    kd_secret_free_text(plan->trans);
    g_free(plan);
}

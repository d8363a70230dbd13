/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd: hands a link to a target, on this machine or over a connection server, to a debugger. */
#include "kd-client.h"
#include "kd-host.h"
#include "kd-log.h"
#include "kd-outcome.h"
#include "kd-params.h"
#include "kd-pipe-bridge.h"
#include "kd-plugin-options.h"
#include "kd-secret.h"
#include "kd-secrets.h"
#include "kd-signals.h"
#include "kd-standard-files.h"
#include "kd-tell.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    KdClientOptions client;
    char *tell;
    char *pipe_bridge;
    gint pid;
    gboolean shows_version;
} Options;

static gboolean
on_pty_option(const gchar *name, const gchar *value, gpointer data, GError **error)
{
    Options *options = data;

    (void)name;
    (void)error;
    options->client.is_pty = TRUE;
    g_free(options->client.symlink_path);
    options->client.symlink_path = g_strdup(value);
    return TRUE;
}

static GOptionContext *
build_context(Options *options)
{
    KdClientOptions *client = &options->client;
    /* File names, even where they are not: those are taken as they are, whatever the locale. */
    const GOptionEntry entries[] = {
        {"kernel", 'k', 0, G_OPTION_ARG_FILENAME, &client->connection, "The link to the target",
         "LINK"},
        {"server", 0, 0, G_OPTION_ARG_FILENAME, &client->server,
         "With --trans, the same as -k kdsrv:...", "CLIENT-TRANSPORT"},
        {"trans", 0, 0, G_OPTION_ARG_FILENAME, &client->trans, "The link that the server opens",
         "LINK"},
        {"stdio", 0, 0, G_OPTION_ARG_NONE, &client->is_stdio, "The debugger is stdin and stdout",
         NULL},
        {"pty", 0, G_OPTION_FLAG_OPTIONAL_ARG | G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK,
         on_pty_option, "The debugger opens a pseudo terminal", "SYMLINK"},
        {"listen", 0, 0, G_OPTION_ARG_FILENAME, &client->listen,
         "The debugger connects to a socket", "ADDRESS"},
        {"profile", 0, 0, G_OPTION_ARG_FILENAME, &client->profile,
         "How the debugger behind -- is started, and what breaks in", "NAME|FILE"},
        {"list", 0, 0, G_OPTION_ARG_FILENAME, &client->list,
         "List the links that --server, or this machine, could open", "links"},
        {"tell", 0, 0, G_OPTION_ARG_FILENAME, &options->tell,
         "Tell a running kd: break, baud N, lines, status, purge", "REQUEST"},
        {"pid", 0, 0, G_OPTION_ARG_INT, &options->pid, "Which kd is told, where several run",
         "PID"},
        {"pipe-bridge", 0, 0, G_OPTION_ARG_FILENAME, &options->pipe_bridge,
         "Connect stdin and stdout with a pipe of this machine, for ssh", "NAME"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->shows_version, "Print the version", NULL},
        {0},
    };
    GOptionContext *context = g_option_context_new("[-- DEBUGGER ARGUMENTS]");
    GOptionGroup *group = g_option_group_new("kd", "", "", options, NULL);
    g_autofree char *help = kd_client_build_help();

    g_option_group_add_entries(group, entries);
    g_option_group_add_entries(group, kd_plugin_options_get_entries());
    g_option_context_set_main_group(context, group);
    g_option_context_set_description(context, help);
    return context;
}

/* What stands behind -- is the debugger's, options included. */
static char **
split_debugger(char **argv)
{
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        if (strcmp(*arg, "--") == 0) {
            char **debugger = g_strdupv(arg + 1);

            *arg = NULL;
            return debugger;
        }
    }
    return NULL;
}

/* Taken for single letters, they would be called unknown, which to their users they are not. */
static gboolean
check_documented(char **argv, GError **error)
{
    static const char *const not_yet[] = {"-QR", "-premote", "-remote", "-server", NULL};

    for (char **arg = argv + 1; *arg != NULL; arg++) {
        if (g_strv_contains(not_yet, *arg)) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                        "%s: not available in this version", *arg);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
parse(Options *options, char **argv, GError **error)
{
    g_autoptr(GOptionContext) context = build_context(options);

    if (!check_documented(argv, error) || !kd_secrets_parse(context, argv, "kd", error)) {
        return FALSE;
    }
    if (options->client.list != NULL && kd_plugin_options_are_given()) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                            "--list: lists links, ask for plugins and help one at a time");
        return FALSE;
    }
    options->client.is_json = kd_plugin_options_want_json();
    return TRUE;
}

/* Who tells another kd what to do opens nothing, and a bridge nothing but its pipe. */
static gboolean
check_alone(const Options *options, GError **error)
{
    const KdClientOptions *client = &options->client;
    gboolean has_other = client->connection != NULL || client->server != NULL ||
                         client->trans != NULL || client->listen != NULL ||
                         client->profile != NULL || client->debugger != NULL || client->is_stdio ||
                         client->is_pty || client->list != NULL;

    if (options->tell != NULL && has_other) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                            "--tell: goes with --pid alone, the link is open already");
        return FALSE;
    }
    if (options->pipe_bridge != NULL && (has_other || options->tell != NULL)) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                            "--pipe-bridge: goes with no other link, and with no debugger");
        return FALSE;
    }
    if (options->pid < 0 || (options->pid != 0 && options->tell == NULL)) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                            options->pid < 0 ? "--pid: expected a process number"
                                             : "--pid: says which kd is meant by --tell");
        return FALSE;
    }
    return TRUE;
}

static void
clear_options(Options *options)
{
    KdClientOptions *client = &options->client;

    g_free(options->tell);
    g_free(options->pipe_bridge);
    kd_secret_free_text(client->connection);
    kd_secret_free_text(client->server);
    kd_secret_free_text(client->trans);
    g_free(client->listen);
    g_free(client->symlink_path);
    g_free(client->profile);
    g_free(client->list);
    g_strfreev(client->debugger);
}

/* Parsing takes words out of an array of its own, so that all of them can be wiped. */
static gboolean
take_words(Options *options, int argc, char **words, GError **error)
{
    g_autofree char **left = g_memdup2(words, ((gsize)argc + 1) * sizeof *words);
    gboolean is_right = FALSE;

    options->client.debugger = split_debugger(left);
    if (kd_params_is_torn(argc, words)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "the shell has torn @{...} apart: put the whole kdsrv:... string in "
                            "single quotes");
    } else {
        is_right = parse(options, left, error) && check_alone(options, error);
    }
    for (int i = 0; i < argc; i++) {
        kd_secret_free_text(words[i]);
    }
    g_free(words);
    return is_right;
}

/* Links of this machine may be whatever the user may open: nobody else names them here. */
static int
run(const Options *options)
{
    g_autoptr(KdReach) reach = kd_reach_new_everything();
    const KdHost *host = kd_host_new(reach);
    KdRegistry *registry = kd_registry_new(host);
    g_autoptr(GError) error = NULL;
    int status;

    if (!kd_plugin_options_load(registry, &error)) {
        kd_log_error(error);
        status = KD_EXIT_FAILED;
    } else if (kd_plugin_options_are_given()) {
        status = kd_plugin_options_print(registry, KD_FORM_CLIENT);
    } else {
        kd_registry_seal(registry);
        status = options->pipe_bridge != NULL ? kd_pipe_bridge_run(options->pipe_bridge, registry)
                                              : kd_client_run(&options->client, registry);
    }
    kd_registry_free(registry);
    kd_host_free(host);
    return status;
}

int
main(int argc, char **argv)
{
    char **words = g_strdupv(argv);
    g_autoptr(GError) error = NULL;
    Options options = {0};
    int status;

    kd_signals_ignore();
    kd_secrets_hide(argc, argv);
    if (!kd_standard_files_reserve()) {
        return KD_EXIT_FAILED;
    }
    (void)setlocale(LC_ALL, "");
    kd_log_start("kd", FALSE);
    if (!take_words(&options, argc, words, &error)) {
        kd_log_error(error);
        status = KD_EXIT_USAGE;
    } else if (options.shows_version) {
        printf("kd %s\n", KD_VERSION);
        status = KD_EXIT_CLEAN;
    } else if (options.tell != NULL) {
        status = kd_tell_run(options.tell, options.pid);
    } else {
        status = run(&options);
    }
    clear_options(&options);
    return kd_standard_files_finish(status);
}

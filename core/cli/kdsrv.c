/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kdsrv: the KD connection server. Options and main(). */
#include "kd-host.h"
#include "kd-log.h"
#include "kd-loop.h"
#include "kd-notify.h"
#include "kd-plugin-options.h"
#include "kd-server.h"
#include "kd-standard-files.h"

#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_CLEAN = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

typedef struct {
    GMainLoop *loop;
    KdServer *server;
    int status;
} KdProgram;

static char **opt_transports;
static char **opt_allow_paths;
static char **opt_allow_hosts;
static gboolean opt_verbose;
static gboolean opt_version;

static const GOptionEntry entries[] = {
    {"transport", 't', 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_transports,
     "Listen there, e.g. tcp:port=1027 (repeatable)", "TRANSPORT"},
    {"allow-path", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_allow_paths,
     "Let clients name files beneath DIR (repeatable)", "DIR"},
    {"allow-host", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_allow_hosts,
     "Let clients name that host (repeatable)", "HOST[:PORT]"},
    {"verbose", 'v', 0, G_OPTION_ARG_NONE, &opt_verbose, "Write a line for each session", NULL},
    {"version", 0, 0, G_OPTION_ARG_NONE, &opt_version, "Print the version", NULL},
    G_OPTION_ENTRY_NULL,
};

static int
fail(const GError *error, int status)
{
    kd_log_error(error);
    return status;
}

/* The line that tells people, and programs, where the server listens. */
static void
say_ready(KdProgram *program)
{
    g_autofree char *names = kd_server_build_names(program->server);

    fprintf(stderr, "kdsrv: ready: %s (no password: whoever reaches it controls the targets)\n",
            names);
    kd_notify("READY=1");
}

static void
on_started(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdProgram *program = user_data;
    g_autoptr(GError) error = NULL;

    (void)source;
    if (!kd_server_start_finish(program->server, result, &error)) {
        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
            return; /* a signal came before: on_stopped() follows */
        }
        program->status = fail(error, EXIT_RUNTIME);
        g_main_loop_quit(program->loop);
        return;
    }
    say_ready(program);
}

static void
on_stopped(KdServer *server, void *user)
{
    KdProgram *program = user;

    (void)server;
    g_main_loop_quit(program->loop);
}

static gboolean
on_signal(gpointer user_data)
{
    KdProgram *program = user_data;

    kd_notify("STOPPING=1");
    kd_server_stop(program->server, "the server is ending", on_stopped, program);
    return G_SOURCE_CONTINUE;
}

static gboolean
build_reach(KdReach *reach, GError **error)
{
    kd_reach_add_defaults(reach);
    for (int i = 0; opt_allow_paths != NULL && opt_allow_paths[i] != NULL; i++) {
        if (!kd_reach_add_folder(reach, opt_allow_paths[i], error)) {
            return FALSE;
        }
    }
    for (int i = 0; opt_allow_hosts != NULL && opt_allow_hosts[i] != NULL; i++) {
        if (!kd_reach_add_host(reach, opt_allow_hosts[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static const char *
get_variable(const char *variable, void *user)
{
    (void)user;
    return g_getenv(variable);
}

/* As many sessions as the machine's administrator allows, not as few as the shell's default. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int
serve(KdRegistry *registry)
{
    KdParamsSource source = {.environment = get_variable, .machine = g_get_host_name()};
    g_autoptr(KdServer) server = kd_server_new(registry, &source);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    KdProgram program = {.loop = loop, .server = server, .status = EXIT_CLEAN};
    g_autoptr(GError) error = NULL;

    for (int i = 0; opt_transports[i] != NULL; i++) {
        if (!kd_server_add_transport(server, opt_transports[i], &error)) {
            return fail(error, EXIT_USAGE); /* nothing was opened yet, as with kd */
        }
    }
    kd_registry_seal(registry);
    if (!kd_loop_start(&error)) {
        return fail(error, EXIT_RUNTIME);
    }
    g_unix_signal_add(SIGTERM, on_signal, &program);
    g_unix_signal_add(SIGINT, on_signal, &program);
    kd_server_start_async(server, NULL, on_started, &program);
    g_main_loop_run(loop);
    return program.status;
}

static GOptionContext *
build_context(void)
{
    GOptionContext *context = g_option_context_new("- KD connection server");

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, kd_plugin_options_get_entries(), NULL);
    g_option_context_set_description(
        context, "Examples:\n"
                 "  kdsrv -t tcp:port=1027\n"
                 "  kdsrv -t tcp:port=51000:51010 --allow-path /run/vms\n"
                 "A client then names the target link: kd -k 'kdsrv:server=@{tcp:server=HOST,"
                 "port=1027},trans=@{com:pipe,port=/run/vms/a.sock}' -- gdb vmlinux\n");
    return context;
}

static int
usage(GOptionContext *context)
{
    g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);

    fputs(help, stderr);
    return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = build_context();
    g_autoptr(KdReach) reach = kd_reach_new();
    g_autoptr(GError) error = NULL;
    const KdHost *host;
    KdRegistry *registry;
    int status;

    if (!kd_standard_files_reserve()) {
        return EXIT_RUNTIME;
    }
    setlocale(LC_ALL, "");
    kd_log_start("kdsrv", FALSE);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        return fail(error, EXIT_USAGE);
    }
    if (argc > 1) {
        g_set_error(&error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "%s: expected an option (see kdsrv --help)", argv[1]);
        return fail(error, EXIT_USAGE);
    }
    kd_log_start("kdsrv", opt_verbose);
    if (opt_version) {
        printf("kdsrv %s\n", KD_VERSION);
        return kd_standard_files_finish(EXIT_CLEAN);
    }
    if (opt_transports == NULL && !kd_plugin_options_are_given()) {
        return usage(context);
    }
    if (!build_reach(reach, &error)) {
        return fail(error, EXIT_USAGE);
    }
    host = kd_host_new(reach);
    registry = kd_registry_new(host);
    if (!kd_plugin_options_load(registry, &error)) {
        status = fail(error, EXIT_RUNTIME);
    } else if (kd_plugin_options_are_given()) {
        status = kd_standard_files_finish(kd_plugin_options_print(registry, KD_FORM_SERVER));
    } else {
        status = serve(registry);
    }
    kd_registry_free(registry);
    kd_host_free(host);
    return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kdsrv: the KD connection server. Options and main(). */
#include "kd-credentials.h"
#include "kd-host.h"
#include "kd-log.h"
#include "kd-loop.h"
#include "kd-notify.h"
#include "kd-plugin-options.h"
#include "kd-prompt.h"
#include "kd-secret.h"
#include "kd-secrets.h"
#include "kd-server.h"
#include "kd-standard-files.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_CLEAN = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

typedef struct {
    GMainLoop *loop;
    KdServer *server;
    GCancellable *asking;    /* (nullable): the password is asked for */
    KdPassword *answer;      /* (nullable): what was typed            */
    gboolean has_credential; /* the service manager has given a password */
    gboolean ends_with_terminal;
    gboolean is_started;
    int status;
} KdProgram;

static char **opt_transports;
static char **opt_allow_paths;
static char **opt_allow_hosts;
static char *opt_make_cert;
static gboolean opt_machine;
static gboolean opt_make_verifier;
static gboolean opt_ask_password;
static gboolean opt_verbose;
static gboolean opt_version;

static const GOptionEntry entries[] = {
    {"transport", 't', 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_transports,
     "Listen there, e.g. tcp:port=1027 (repeatable)", "TRANSPORT"},
    {"allow-path", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_allow_paths,
     "Let clients name files beneath DIR (repeatable)", "DIR"},
    {"allow-host", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_allow_hosts,
     "Let clients name that host (repeatable)", "HOST[:PORT]"},
    {"ask-password", 0, 0, G_OPTION_ARG_NONE, &opt_ask_password,
     "Ask at the terminal for the password of transports that name none", NULL},
    {"make-cert", 0, 0, G_OPTION_ARG_FILENAME, &opt_make_cert,
     "Make a key and a self-signed certificate for certuser=NAME, print its thumbprint", "NAME"},
    {"machine", 0, 0, G_OPTION_ARG_NONE, &opt_machine,
     "With --make-cert, make it for machuser=NAME", NULL},
    {"make-verifier", 0, 0, G_OPTION_ARG_NONE, &opt_make_verifier,
     "Ask for a password, or read one line, and print what password-file= may have instead", NULL},
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
    g_autofree char *line = kd_server_build_ready_line(program->server);

    fprintf(stderr, "kdsrv: ready: %s\n", line);
    program->is_started = TRUE;
    kd_notify("READY=1");
}

/* A string can also turn out to be wrong when what it names is looked for. */
static int
get_status(const GError *error)
{
    return g_error_matches(error, KD_ERROR, KD_ERROR_PARAM_UNKNOWN) ||
                   g_error_matches(error, KD_ERROR, KD_ERROR_PARAM_MISSING) ||
                   g_error_matches(error, KD_ERROR, KD_ERROR_PARAM_INVALID)
               ? EXIT_USAGE
               : EXIT_RUNTIME;
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
        program->status = fail(error, get_status(error));
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

static void
stop(KdProgram *program)
{
    kd_notify("STOPPING=1");
    if (program->asking != NULL) {
        g_cancellable_cancel(program->asking);
    }
    kd_server_stop(program->server, "the server is ending", on_stopped, program);
}

static gboolean
on_signal(gpointer user_data)
{
    stop(user_data);
    return G_SOURCE_CONTINUE;
}

/* Its one client has gone, and it would listen to nobody else. */
static void
on_done(KdServer *server, const GError *error, void *user)
{
    KdProgram *program = user;

    (void)server;
    if (error != NULL) {
        program->status = fail(error, EXIT_RUNTIME);
    }
    stop(program);
}

/* ---- passwords ---- */

static gboolean
refresh_password(KdProgram *program, GError **error)
{
    g_autoptr(KdPassword) given = NULL;

    if (program->answer != NULL) {
        return TRUE;
    }
    if (!kd_credentials_read_password(&given, error)) {
        return FALSE;
    }
    if (given == NULL && program->has_credential) {
        /* doors without a password must not come of a file that is being replaced */
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED,
                            "the password in CREDENTIALS_DIRECTORY has gone");
        return FALSE;
    }
    program->has_credential = given != NULL;
    kd_server_set_password(program->server, given);
    return TRUE;
}

static void
reload(KdProgram *program)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *state =
        g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());

    kd_notify(state);
    if (!refresh_password(program, &error) || !kd_server_reload(program->server, &error)) {
        g_message("reload: %s: all stays as it was", error->message);
    } else {
        g_info("reload: certificates, keys and passwords are read again");
    }
    kd_notify("READY=1");
}

static gboolean
has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/* Nobody forgets a server whose window is closed; what nohup has started is to stay. */
static gboolean
ends_with_terminal(void)
{
    struct sigaction action;

    return has_terminal() && sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler != SIG_IGN;
}

/* From an administrator, or from a terminal that has gone */
static gboolean
on_hangup(gpointer user_data)
{
    KdProgram *program = user_data;

    if (program->ends_with_terminal && !has_terminal()) {
        stop(program);
    } else if (program->is_started) {
        reload(program);
    }
    return G_SOURCE_CONTINUE;
}

static void
on_asked(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdProgram *program = user_data;
    g_autoptr(GError) error = NULL;
    char *answer = kd_prompt_finish(result, &error);

    (void)source;
    g_clear_object(&program->asking);
    if (answer != NULL) {
        program->answer = kd_credentials_take_answer(answer, &error);
    }
    if (program->answer != NULL) {
        kd_server_set_password(program->server, program->answer);
        kd_server_start_async(program->server, NULL, on_started, program);
        return;
    }
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        stop(program); /* any signal withdraws the question, also one that means a reload */
        return;
    }
    g_prefix_error(&error, "--ask-password: ");
    program->status = fail(error, EXIT_RUNTIME);
    g_main_loop_quit(program->loop);
}

static gboolean
start(KdProgram *program, GError **error)
{
    if (opt_ask_password) {
        kd_secret_guard_process();
        program->asking = g_cancellable_new();
        kd_prompt_async("Password for clients: ", TRUE, program->asking, on_asked, program);
        return TRUE;
    }
    if (!refresh_password(program, error)) {
        return FALSE;
    }
    kd_server_start_async(program->server, NULL, on_started, program);
    return TRUE;
}

/* ---- the program ---- */

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

static gboolean
add_transports(KdServer *server, GError **error)
{
    for (int i = 0; opt_transports[i] != NULL; i++) {
        gboolean is_good = kd_server_add_transport(server, opt_transports[i], error);

        kd_secret_wipe(opt_transports[i], strlen(opt_transports[i]));
        if (!is_good) {
            return FALSE;
        }
    }
    return TRUE;
}

static int
serve(KdRegistry *registry)
{
    KdParamsSource source = {.environment = get_variable, .machine = g_get_host_name()};
    g_autoptr(KdServer) server = kd_server_new(registry, &source);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    KdProgram program = {.loop = loop,
                         .server = server,
                         .ends_with_terminal = ends_with_terminal(),
                         .status = EXIT_CLEAN};
    g_autoptr(GError) error = NULL;

    if (!add_transports(server, &error)) {
        return fail(error, EXIT_USAGE); /* nothing was opened yet, as with kd */
    }
    kd_registry_seal(registry);
    if (!kd_loop_start(&error)) {
        return fail(error, EXIT_RUNTIME);
    }
    kd_server_set_done_func(server, on_done, &program);
    g_unix_signal_add(SIGTERM, on_signal, &program);
    g_unix_signal_add(SIGINT, on_signal, &program);
    g_unix_signal_add(SIGHUP, on_hangup, &program);
    if (!start(&program, &error)) {
        return fail(error, EXIT_RUNTIME);
    }
    g_main_loop_run(loop);
    kd_password_unref(program.answer);
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
                 "  kdsrv --make-cert lab && kdsrv -t ssl:certuser=lab,port=1027 --ask-password\n"
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

/* What is asked for once, instead of serving */
static gboolean
make(int *status)
{
    g_autoptr(GError) error = NULL;
    gboolean is_good = TRUE;

    if (opt_make_cert == NULL && !opt_make_verifier) {
        return FALSE;
    }
    is_good = opt_make_verifier ? kd_credentials_make_verifier(&error)
                                : kd_credentials_make_cert(opt_make_cert, opt_machine, &error);
    *status = is_good ? kd_standard_files_finish(EXIT_CLEAN) : fail(error, get_status(error));
    return TRUE;
}

static gboolean
check_options(GError **error)
{
    guint n = (opt_transports != NULL || kd_plugin_options_are_given() ? 1u : 0u) +
              (opt_make_cert != NULL ? 1u : 0u) + (opt_make_verifier ? 1u : 0u);
    const char *wrong = NULL;

    if (n > 1) {
        wrong = "--make-cert and --make-verifier go with nothing else";
    } else if (opt_machine && opt_make_cert == NULL) {
        wrong = "--machine: goes with --make-cert";
    } else if (opt_ask_password && opt_transports == NULL) {
        wrong = "--ask-password: goes with --transport";
    }
    if (wrong != NULL) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, wrong);
    }
    return wrong == NULL;
}

/* Parsing takes words out of an array of its own, so that all of them can be wiped. */
static gboolean
take_words(GOptionContext *context, int argc, char **words, GError **error)
{
    g_autofree char **left = g_memdup2(words, ((gsize)argc + 1) * sizeof *words);
    gboolean is_right = kd_secrets_parse(context, left, "kdsrv", error) && check_options(error);

    for (int i = 0; i < argc; i++) {
        kd_secret_free_text(words[i]);
    }
    g_free(words);
    return is_right;
}

static int
run(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    g_autoptr(GError) error = NULL;
    const KdHost *host;
    KdRegistry *registry;
    int status;

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

int
main(int argc, char **argv)
{
    char **words = g_strdupv(argv);
    gboolean has_secret = kd_secrets_hide(argc, argv);
    g_autoptr(GOptionContext) context = build_context();
    g_autoptr(GError) error = NULL;
    int status;

    if (has_secret) {
        kd_secret_guard_process();
    }
    if (!kd_standard_files_reserve()) {
        return EXIT_RUNTIME;
    }
    setlocale(LC_ALL, "");
    kd_log_start("kdsrv", FALSE);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (!take_words(context, argc, words, &error)) {
        return fail(error, EXIT_USAGE);
    }
    kd_log_start("kdsrv", opt_verbose);
    if (opt_version) {
        printf("kdsrv %s\n", KD_VERSION);
        return kd_standard_files_finish(EXIT_CLEAN);
    }
    if (make(&status)) {
        return status;
    }
    if (opt_transports == NULL && !kd_plugin_options_are_given()) {
        return usage(context);
    }
    return run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dialling inside TLS, and what the user is asked: a child process dials and has a pseudo terminal,
 * the test is its user and its server. */
#include "kd-dialling.h"
#include "kd-endpoint.h"
#include "kd-host.h"
#include "kd-known-servers.h"
#include "kd-loop.h"
#include "kd-test-tls-server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MOST_MS    20000
#define SCREEN_LEN 8192
#define QUESTION   "[yes/no]: "

/* What the child is to do. */
typedef struct {
    const char *server; /* its string */
    gboolean has_no_terminal;
    gboolean asks_password;
} Plan;

/* What the test sees of it. */
typedef struct {
    pid_t pid;
    int terminal;
    int report;
    char screen[SCREEN_LEN];
    size_t len;
} Dialled;

/* Of one case. */
typedef struct {
    KdTestTlsServer *server;
    char *config; /* folder; the child's $XDG_CONFIG_HOME */
} Case;

/* ---- a transport that dials a port of this machine ---- */

static const KdParamSpec near_params[] = {{.key = "server",
                                           .type = KD_PARAM_HOST,
                                           .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT,
                                           .help = "whom to dial"},
                                          {.key = "port",
                                           .type = KD_PARAM_PORTS,
                                           .flags = KD_PARAM_REQUIRED | KD_PARAM_EXACT,
                                           .help = "port to dial"},
                                          {0}};

static void
near_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    struct sockaddr_in address = {.sin_family = AF_INET};
    uint16_t port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)host;
    g_assert_true(g_variant_lookup(params, "port", "(qq)", &port, NULL));
    g_assert_false(g_variant_lookup(params, "certuser", "s", NULL));
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_true(g_unix_set_fd_nonblocking(fd, TRUE, NULL));
    g_task_return_int(task, fd);
}

static gboolean
near_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    gssize fd = g_task_propagate_int(G_TASK(result), error);

    if (fd < 0) {
        return FALSE;
    }
    kd_endpoint_take_fd(endpoint, (int)fd, KD_ENDPOINT_HALF_CLOSE, NULL);
    return TRUE;
}

static const KdTransport near_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_CONNECT | KD_TRANSPORT_TLS,
    .scheme = "near",
    .summary = "a port of this machine",
    .params = near_params,
    .connect_async = near_connect_async,
    .connect_finish = near_connect_finish,
};

static const KdTransport *const near_transports[] = {&near_transport, NULL};

static const KdPlugin near_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "near",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = near_transports,
};

/* ---- in the child ---- */

typedef struct {
    GMainLoop *loop;
    KdDialUp *dial_up;
    KdDialling *dialling;
    int report;
} Dialler;

static void
report(const Dialler *dialler, const char *text)
{
    g_assert_cmpint(write(dialler->report, text, strlen(text)), ==, (gssize)strlen(text));
}

static void
report_word(const Dialler *dialler, KdEndpoint *endpoint)
{
    char word[64] = "";
    gssize n;

    while ((n = endpoint->ops->read(endpoint->stream, word, sizeof word - 1)) == -EAGAIN) {
        struct pollfd fd = {.fd = endpoint->fd, .events = POLLIN};

        g_assert_cmpint(poll(&fd, 1, MOST_MS), ==, 1);
    }
    g_assert_cmpint(n, >, 0);
    report(dialler, word);
}

static void
on_dialled(KdEndpoint *endpoint, GBytes *binding, const GError *error, void *user)
{
    Dialler *dialler = user;

    if (endpoint != NULL) {
        g_assert_cmpuint(g_bytes_get_size(binding), ==, 32);
        report_word(dialler, endpoint);
        if (dialler->dial_up->password != NULL) {
            report(dialler, kd_secret_get_text(kd_password_get_text(dialler->dial_up->password)));
        }
    } else {
        g_assert_nonnull(error);
        report(dialler, error->message);
    }
    g_clear_pointer(&dialler->dialling, kd_dialling_free);
    g_main_loop_quit(dialler->loop);
}

static gboolean
on_give_up(gpointer data)
{
    Dialler *dialler = data;

    g_clear_pointer(&dialler->dialling, kd_dialling_free);
    report(dialler, "given up");
    g_main_loop_quit(dialler->loop);
    return G_SOURCE_CONTINUE;
}

static void
dial(const Plan *plan, int report_fd)
{
    g_autoptr(KdReach) reach = kd_reach_new_everything();
    const KdHost *host = kd_host_new(reach);
    KdRegistry *registry = kd_registry_new(host);
    Dialler dialler = {.loop = g_main_loop_new(NULL, FALSE), .report = report_fd};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    g_assert_true(kd_registry_add(registry, &near_plugin, "/near.so", NULL));
    kd_registry_seal(registry);
    g_assert_true(kd_loop_start(NULL));
    g_unix_signal_add(SIGUSR1, on_give_up, &dialler);
    dialler.dial_up = kd_dial_up_new(registry, plan->server, NULL);
    g_assert_nonnull(dialler.dial_up);
    g_assert_true(kd_dial_up_make_door(dialler.dial_up, NULL));
    dialler.dialling = plan->asks_password
                           ? kd_dialling_new_with_password(dialler.dial_up, on_dialled, &dialler)
                           : kd_dialling_new(dialler.dial_up, on_dialled, &dialler);
    g_main_loop_run(dialler.loop);
    kd_dial_up_free(dialler.dial_up);
    kd_registry_free(registry);
    kd_host_free(host);
    g_main_loop_unref(dialler.loop);
}

/* ---- the user ---- */

static void
start(Dialled *dialled, const Case *the_case, const Plan *plan)
{
    int report_fds[2];

    *dialled = (Dialled){.terminal = -1};
    g_assert_true(g_unix_open_pipe(report_fds, FD_CLOEXEC, NULL));
    kd_test_tls_server_pause(the_case->server);
    dialled->pid = forkpty(&dialled->terminal, NULL, NULL, NULL);
    g_assert_cmpint(dialled->pid, >=, 0);
    if (dialled->pid == 0) {
        if (plan->has_no_terminal) {
            int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);

            (void)signal(SIGHUP, SIG_IGN);
            g_assert_cmpint(ioctl(terminal, TIOCNOTTY), ==, 0);
        }
        g_setenv("XDG_CONFIG_HOME", the_case->config, TRUE);
        (void)close(report_fds[0]);
        dial(plan, report_fds[1]);
        _exit(0);
    }
    kd_test_tls_server_resume(the_case->server);
    (void)close(report_fds[1]);
    dialled->report = report_fds[0];
}

/* Until it is on the screen. */
static void
see(Dialled *dialled, const char *text)
{
    while (strstr(dialled->screen, text) == NULL) {
        struct pollfd fd = {.fd = dialled->terminal, .events = POLLIN};
        ssize_t n;

        g_assert_cmpint(poll(&fd, 1, MOST_MS), ==, 1);
        n = read(dialled->terminal, dialled->screen + dialled->len, SCREEN_LEN - 1 - dialled->len);
        g_assert_cmpint(n, >, 0);
        dialled->len += (size_t)n;
    }
}

static void
type(const Dialled *dialled, const char *text)
{
    g_assert_cmpint(write(dialled->terminal, text, strlen(text)), ==, (gssize)strlen(text));
}

/* (transfer full): what became of it; the child has ended well */
static char *
finish(Dialled *dialled)
{
    GString *heard = g_string_new(NULL);
    char bytes[1024];
    int status = 0;
    ssize_t n;

    do {
        struct pollfd fd = {.fd = dialled->report, .events = POLLIN};

        g_assert_cmpint(poll(&fd, 1, MOST_MS), ==, 1);
        n = read(dialled->report, bytes, sizeof bytes);
        g_string_append_len(heard, bytes, MAX(n, 0));
    } while (n > 0);
    g_assert_cmpint(waitpid(dialled->pid, &status, 0), ==, dialled->pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    (void)close(dialled->terminal);
    (void)close(dialled->report);
    return g_string_free(heard, FALSE);
}

/* ---- the cases ---- */

static void
begin(Case *the_case)
{
    the_case->config = g_dir_make_tmp("kd-dialling-XXXXXX", NULL);
    g_assert_nonnull(the_case->config);
    the_case->server = kd_test_tls_server_new();
}

static void
end(Case *the_case)
{
    g_autofree char *folder = g_build_filename(the_case->config, "kdsrv", NULL);
    GDir *files = g_dir_open(folder, 0, NULL);
    const char *name;

    kd_test_tls_server_free(the_case->server);
    while (files != NULL && (name = g_dir_read_name(files)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_clear_pointer(&files, g_dir_close);
    (void)g_rmdir(folder);
    g_assert_cmpint(g_rmdir(the_case->config), ==, 0);
    g_free(the_case->config);
}

static char *
build_string(const Case *the_case, const char *more)
{
    return g_strdup_printf("near:server=localhost,port=%u%s",
                           kd_test_tls_server_get_port(the_case->server), more);
}

static char *
dial_quietly(const Case *the_case, const char *server)
{
    const Plan plan = {.server = server};
    Dialled dialled;

    start(&dialled, the_case, &plan);
    return finish(&dialled);
}

/* In groups, as it is shown */
static char *
build_first_groups(const Case *the_case)
{
    g_autofree char *upper = g_ascii_strup(kd_test_tls_server_get_sha256(the_case->server), -1);

    return g_strdup_printf("%.4s %.4s %.4s %.4s ", upper, upper + 4, upper + 8, upper + 12);
}

static void
confirm(const Case *the_case, const char *server)
{
    const Plan plan = {.server = server};
    g_autofree char *groups = build_first_groups(the_case);
    g_autofree char *place =
        g_strdup_printf("near:localhost:%u", kd_test_tls_server_get_port(the_case->server));
    g_autofree char *heard = NULL;
    Dialled dialled;

    start(&dialled, the_case, &plan);
    see(&dialled, QUESTION);
    g_assert_nonnull(strstr(dialled.screen, groups));
    g_assert_nonnull(strstr(dialled.screen, place));
    g_assert_nonnull(strstr(dialled.screen, "certificate  "));
    type(&dialled, "yes\r");
    heard = finish(&dialled);
    g_assert_cmpstr(heard, ==, KD_TEST_TLS_WORD);
}

static void
test_yes(void)
{
    Case the_case;
    g_autofree char *server = NULL;
    g_autofree char *heard = NULL;

    begin(&the_case);
    server = build_string(&the_case, "");
    confirm(&the_case, server);
    heard = dial_quietly(&the_case, server);
    g_assert_cmpstr(heard, ==, KD_TEST_TLS_WORD); /* it is known now */
    end(&the_case);
}

static void
test_not_yes(void)
{
    static const char *const answers[] = {"no\r", "y\r", "\r", "yes, sure\r", "\004"};
    Case the_case;
    g_autofree char *server = NULL;

    begin(&the_case);
    server = build_string(&the_case, "");
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
        const Plan plan = {.server = server};
        g_autofree char *heard = NULL;
        Dialled dialled;

        start(&dialled, &the_case, &plan);
        see(&dialled, QUESTION); /* each time: nothing was remembered */
        type(&dialled, answers[i]);
        heard = finish(&dialled);
        g_assert_nonnull(strstr(heard, "not trusted"));
    }
    end(&the_case);
}

static void
test_no_terminal(void)
{
    Case the_case;
    g_autofree char *server = NULL;
    g_autofree char *fix = NULL;
    g_autofree char *heard = NULL;
    Dialled dialled;

    begin(&the_case);
    server = build_string(&the_case, "");
    {
        const Plan plan = {.server = server, .has_no_terminal = TRUE};

        start(&dialled, &the_case, &plan);
    }
    heard = finish(&dialled);
    fix = g_strconcat("certuser=", kd_test_tls_server_get_sha256(the_case.server), NULL);
    g_assert_nonnull(strstr(heard, fix));
    g_assert_true(g_str_has_prefix(heard, "near:server=localhost,port="));
    end(&the_case);
}

static void
test_changed(void)
{
    Case the_case;
    g_autofree char *server = NULL;
    g_autofree char *heard = NULL;

    begin(&the_case);
    server = build_string(&the_case, "");
    confirm(&the_case, server);
    kd_test_tls_server_change_certificate(the_case.server);
    heard = dial_quietly(&the_case, server);
    g_assert_nonnull(strstr(heard, kd_test_tls_server_get_sha256(the_case.server)));
    g_assert_nonnull(strstr(heard, "is NOT the one"));
    end(&the_case);
}

static void
test_pinned(void)
{
    Case the_case;
    g_autofree char *pin = NULL;
    g_autofree char *server = NULL;
    g_autofree char *right = NULL;
    g_autofree char *wrong = NULL;

    begin(&the_case);
    pin = g_strconcat(",certuser=", kd_test_tls_server_get_sha256(the_case.server), NULL);
    server = build_string(&the_case, pin);
    right = dial_quietly(&the_case, server);
    g_assert_cmpstr(right, ==, KD_TEST_TLS_WORD);
    kd_test_tls_server_change_certificate(the_case.server);
    wrong = dial_quietly(&the_case, server); /* never asked about */
    g_assert_nonnull(strstr(wrong, "certuser="));
    end(&the_case);
}

static void
test_given_up(void)
{
    Case the_case;
    g_autofree char *server = NULL;
    g_autofree char *heard = NULL;
    struct termios now;
    struct pollfd fd;
    Dialled dialled;

    begin(&the_case);
    server = build_string(&the_case, "");
    {
        const Plan plan = {.server = server, .asks_password = TRUE};

        start(&dialled, &the_case, &plan);
    }
    fd = (struct pollfd){.fd = dialled.report, .events = POLLIN};
    see(&dialled, "password of near:server=localhost");
    g_assert_cmpint(kill(dialled.pid, SIGUSR1), ==, 0);
    g_assert_cmpint(poll(&fd, 1, MOST_MS), ==, 1); /* it has let go */
    g_assert_cmpint(tcgetattr(dialled.terminal, &now), ==, 0);
    heard = finish(&dialled);
    g_assert_cmpstr(heard, ==, "given up");
    g_assert_true((now.c_lflag & ECHO) != 0);
    end(&the_case);
}

static void
test_password(void)
{
    Case the_case;
    g_autofree char *pin = NULL;
    g_autofree char *server = NULL;
    g_autofree char *heard = NULL;
    Dialled dialled;

    begin(&the_case);
    pin = g_strconcat(",certuser=", kd_test_tls_server_get_sha256(the_case.server), NULL);
    server = build_string(&the_case, pin);
    {
        const Plan plan = {.server = server, .asks_password = TRUE};

        start(&dialled, &the_case, &plan);
    }
    see(&dialled, "password of near:server=localhost");
    see(&dialled, ": ");
    type(&dialled, "SwordFish1\r");
    heard = finish(&dialled);
    g_assert_cmpstr(heard, ==, KD_TEST_TLS_WORD "SwordFish1");
    g_assert_null(strstr(dialled.screen, "SwordFish1"));
    end(&the_case);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    g_test_add_func("/client/dialling/asks-about-an-unknown-server-and-remembers-yes", test_yes);
    g_test_add_func("/client/dialling/takes-anything-but-yes-for-no", test_not_yes);
    g_test_add_func("/client/dialling/tells-the-thumbprint-where-nobody-can-be-asked",
                    test_no_terminal);
    g_test_add_func("/client/dialling/does-not-ask-about-a-certificate-that-changed", test_changed);
    g_test_add_func("/client/dialling/does-not-ask-about-a-pinned-certificate", test_pinned);
    g_test_add_func("/client/dialling/withdraws-a-question-when-given-up", test_given_up);
    g_test_add_func("/client/dialling/dials-with-the-password-that-was-typed", test_password);
    return g_test_run();
}

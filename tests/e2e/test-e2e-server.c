/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command kdsrv: its options, its one line, signals, what a client of another version hears. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static guint
count_lines(const char *text)
{
    guint n = 0;

    for (; *text != '\0'; text++) {
        n += *text == '\n' ? 1 : 0;
    }
    return n;
}

/* ---- N1 ---- */

static int
bind_notify_socket(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    char native[200];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    g_assert_true(g_socket_address_to_native(address, native, sizeof native, &error));
    g_assert_cmpint(
        bind(fd, (struct sockaddr *)native, (socklen_t)g_socket_address_get_native_size(address)),
        ==, 0);
    return fd;
}

static void
expect_notice(int fd, const char *expected)
{
    char text[64] = "";

    g_assert_true(kd_e2e_is_readable(fd, KD_E2E_DEADLINE_S * 1000));
    g_assert_cmpint(recv(fd, text, sizeof text - 1, 0), >, 0);
    g_assert_cmpstr(text, ==, expected);
}

static void
test_ready(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "notify");
    g_autofree char *variable = g_strconcat("NOTIFY_SOCKET=", path, NULL);
    const char *environment[] = {variable, NULL};
    KdE2eSetup setup = {.environment = environment};
    int notify = bind_notify_socket(path);

    (void)unused;
    kd_e2e_stage_start_with(stage, &setup, NULL);
    expect_notice(notify, "READY=1");
    kd_e2e_program_signal(stage->server, SIGTERM);
    expect_notice(notify, "STOPPING=1");
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
    g_assert_cmpuint(count_lines(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR)), ==, 1);
    g_assert_cmpstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDOUT), ==, "");
    close(notify);
}

static void
test_interrupt(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    kd_e2e_program_signal(stage->server, SIGINT);
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
}

/* A session is no reason to talk. */
static void
test_quiet(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    {
        g_autoptr(KdE2eClient) client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");

        kd_e2e_client_send_data(client, "hello", 5);
        kd_e2e_client_await_data(client, "hello");
    }
    kd_e2e_program_signal(stage->server, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
    g_assert_cmpuint(count_lines(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR)), ==, 1);
}

/* ---- N2, N3 ---- */

static void
test_usage(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, NULL);

    (void)stage;
    (void)unused;
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 2);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "Usage:"));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "--transport"));
}

/* `text` is refused as wrong usage, in one line that has `word` in it. */
static void
check_refused(const char *text, const char *word)
{
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, "-t", text, NULL);
    const char *said;

    g_assert_cmpint(kd_e2e_program_wait(server), ==, 2);
    said = kd_e2e_program_get_text(server, KD_E2E_STDERR);
    g_test_message("%s: %s", text, said);
    g_assert_nonnull(strstr(said, word));
    g_assert_cmpuint(count_lines(said), ==, 1);
}

static void
test_bad_ports(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const bad[] = {"tcp:port=0", "tcp:port=70000", "tcp:port=60:51", "tcp:"};

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        check_refused(bad[i], "port=");
    }
}

static void
test_not_offered(KdE2eStage *stage, gconstpointer unused)
{
    (void)stage;
    (void)unused;
    check_refused("nosuch:port=4000", "nosuch");
}

/* ---- N4 ---- */

static int
occupy(guint port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    /* What an earlier test left in TIME_WAIT does not make a port busy. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void
test_range(KdE2eStage *stage, gconstpointer unused)
{
    int first = occupy(stage->low);
    int second = occupy(stage->low + 1);
    g_autofree char *expected =
        g_strdup_printf("tcp:Port=%u:%u", stage->low + 2, stage->low + KD_E2E_N_PORTS - 1);

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR), expected));
    g_assert_cmpuint(stage->port, ==, stage->low + 2);
    kd_e2e_client_free(kd_e2e_client_new_open(stage->port, "fake:name=1"));
    close(first);
    close(second);
}

static void
test_range_full(KdE2eStage *stage, gconstpointer unused)
{
    int first = occupy(stage->low);
    g_autofree char *transport =
        g_strdup_printf("tcp:port=%u:%u,bind=127.0.0.1", stage->low, stage->low);
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, "-t", transport, NULL);

    (void)unused;
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 1);
    g_assert_null(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "kdsrv: ready"));
    close(first);
}

/* ---- N15 ---- */

static void
test_other_major(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;
    uint8_t preamble[KD_PREAMBLE_BYTES];

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_e2e_client_send_preamble(client, 7);
    kd_e2e_read(client->fd, preamble, sizeof preamble);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_VERSION);
    g_assert_cmpstr(said->text, ==,
                    "The client is not using same version of remoting protocol as the server "
                    "(client 7.2, server 1.2)");
    kd_e2e_expect_end(client->fd);
}

/* ---- the end ---- */

static void
test_end_in_session(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    client = kd_e2e_client_new_open(stage->port, "fake:name=1,keep");
    kd_e2e_program_signal(stage->server, SIGTERM);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_GOING_AWAY);
    g_assert_nonnull(strstr(said->text, "the server is ending"));
    kd_e2e_expect_end(client->fd);
    g_clear_pointer(&client, kd_e2e_client_free);
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
}

static void
test_end_tells_kd(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *trans = g_strdup_printf("fake:name=1,echo,steer=%s", steer_path);
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    kd_e2e_program_say(kd, "hello\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "hello"));
    kd_e2e_program_signal(stage->server, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "the server is ending"));
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/server/says-one-line-and-tells-the-service-manager", test_ready);
    kd_e2e_add("/e2e/server/ends-well-when-interrupted", test_interrupt);
    kd_e2e_add("/e2e/server/is-quiet-about-sessions", test_quiet);
    kd_e2e_add("/e2e/server/without-options-shows-usage", test_usage);
    kd_e2e_add("/e2e/server/refuses-wrong-ports-by-name", test_bad_ports);
    kd_e2e_add("/e2e/server/refuses-what-it-does-not-offer", test_not_offered);
    kd_e2e_add("/e2e/server/takes-the-first-free-port-of-a-range", test_range);
    kd_e2e_add("/e2e/server/does-not-start-without-a-free-port", test_range_full);
    kd_e2e_add("/e2e/server/tells-another-major-both-versions", test_other_major);
    kd_e2e_add("/e2e/server/says-that-it-is-ending", test_end_in_session);
    kd_e2e_add("/e2e/server/tells-kd-that-it-is-ending", test_end_tells_kd);
    return g_test_run();
}

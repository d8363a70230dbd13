/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links to targets: serial lines, who has them, what stays of them between sessions. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BETWEEN_BYTES (8u * 1024u * 1024u)

/* ---- N11: serial lines ---- */

static int
open_pty(char **name)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(master, >=, 0);
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    *name = g_strdup(ptsname(master));
    return master;
}

static guint
get_speed(int master)
{
    struct termios2 settings = {0};

    g_assert_cmpint(ioctl(master, TCGETS2, &settings), ==, 0);
    return settings.c_ospeed;
}

static int
dial_listening(KdE2eProgram *kd)
{
    g_autofree char *line =
        kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on tcp:127.0.0.1:");

    return kd_e2e_dial(NULL, (guint)g_ascii_strtoull(strrchr(line, ':') + 1, NULL, 10));
}

static void
check_line(KdE2eStage *stage, const char *trans, int master)
{
    g_autoptr(KdE2eProgram) kd =
        kd_e2e_stage_start_kd(stage, trans, "--listen", "tcp:127.0.0.1:0", NULL);
    int debugger = dial_listening(kd);

    kd_e2e_write(debugger, "to the line\r\n\x03\xff", 15);
    kd_e2e_expect(master, "to the line\r\n\x03\xff");
    kd_e2e_write(master, "from the line\r\n\x11\x13", 17);
    kd_e2e_expect(debugger, "from the line\r\n\x11\x13");
    g_assert_cmpuint(get_speed(master), ==, 57600);
    close(debugger);
}

static void
test_line(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    int master = open_pty(&name);

    (void)unused;
    trans = g_strdup_printf("com:port=%s,baud=57600", name);
    kd_e2e_stage_start(stage, "--allow-path", "/dev/pts", NULL);
    check_line(stage, trans, master);
    close(master);
}

/* com1 is /dev/ttyS0, which for this one server is a pty. */
static void
test_com1(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const probe[] = {"true", NULL};
    g_autofree char *name = NULL;
    int master = open_pty(&name);
    const char *const mounts[] = {name, "/dev/ttyS0", NULL};
    KdE2eSetup setup = {.mounts = mounts};
    g_autoptr(KdE2eProgram) probed = kd_e2e_program_new(probe, &setup);

    (void)unused;
    if (kd_e2e_program_wait(probed) != 0) {
        g_test_skip("this user may not mount, or there is no /dev/ttyS0");
    } else {
        kd_e2e_stage_start_with(stage, &setup, "--allow-path", "/dev", NULL);
        check_line(stage, "com:port=com1,baud=57600", master);
    }
    close(master);
}

/* ---- N13: who has it ---- */

static void
test_busy(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eClient) first = NULL;
    g_autoptr(KdE2eClient) second = NULL;
    g_autoptr(KdE2eProgram) third = NULL;
    g_autoptr(KdClose) said = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    first = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    second = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_e2e_client_ask(second, "fake:name=1,echo", "LAB\\other");
    said = kd_e2e_client_await_close(second);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_BUSY);
    g_test_message("%s", said->text);
    g_assert_nonnull(strstr(said->text, "in use by LAB\\tester (127.0.0.1"));
    g_assert_nonnull(strstr(said->text, " since 20"));
    third = kd_e2e_stage_start_kd(stage, "fake:name=1", "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(third), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(third, KD_E2E_STDERR), "LAB\\tester"));
    kd_e2e_client_send_data(first, "unharmed", 8);
    kd_e2e_client_await_data(first, "unharmed");
}

static void
test_other_link(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eClient) first = NULL;
    g_autoptr(KdE2eClient) second = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    first = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    second = kd_e2e_client_new_open(stage->port, "fake:name=2,echo");
    kd_e2e_client_send_data(first, "one", 3);
    kd_e2e_client_send_data(second, "two", 3);
    kd_e2e_client_await_data(second, "two");
    kd_e2e_client_await_data(first, "one");
}

/* ---- what stays ---- */

static void
end_session(KdE2eClient *client)
{
    KdClose close = {.code = KD_CLOSE_NORMAL, .text = (char *)"done"};

    kd_e2e_client_send(client, KD_FRAME_CLOSE, kd_close_build(&close));
    kd_e2e_expect_end(client->fd);
}

static void
test_kept(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *trans = g_strdup_printf("fake:name=1,keep,steer=%s", path);
    g_autoptr(KdE2eClient) first = NULL;
    g_autoptr(KdE2eClient) second = NULL;
    int steer;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    first = kd_e2e_client_new_open(stage->port, trans);
    steer = kd_e2e_dial_unix(path);
    end_session(first);
    kd_e2e_order(steer, "say while nobody was there");
    second = kd_e2e_client_new_open(stage->port, trans);
    kd_e2e_client_await_data(second, "while nobody was there");
    g_assert_cmpuint(kd_e2e_count(steer, "opens"), ==, 1);
    close(steer);
}

/* Everything has been read on the other side. */
static void
await_drained(int fd)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
    int left = 0;

    do {
        g_thread_yield();
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
        g_assert_cmpint(ioctl(fd, SIOCOUTQ, &left), ==, 0);
    } while (left > 0);
}

static void
test_drained(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s,drain", path);
    g_autofree char *old = g_strnfill(BETWEEN_BYTES, 'o');
    g_autoptr(KdE2eClient) first = NULL;
    g_autoptr(KdE2eClient) second = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    first = kd_e2e_client_new_open(stage->port, trans);
    g_assert_cmpuint(first->opened->controls, ==, 0); /* a socket has no speed to set */
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "first", 5);
    kd_e2e_client_await_data(first, "first");
    end_session(first);
    kd_e2e_write(vm, old, BETWEEN_BYTES);
    await_drained(vm);
    second = kd_e2e_client_new_open(stage->port, trans);
    kd_e2e_write(vm, "second", 6);
    kd_e2e_client_await_data(second, "second");
    g_assert_false(kd_e2e_is_readable(listener, 0));
    close(vm);
    close(listener);
}

static void
test_again(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    int listener = kd_e2e_listen_unix(path);

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    for (int i = 0; i < 20; i++) {
        g_autoptr(KdE2eClient) client = kd_e2e_client_new_open(stage->port, trans);
        int vm = kd_e2e_accept(listener);

        kd_e2e_client_send_data(client, "ask", 3);
        kd_e2e_expect(vm, "ask");
        kd_e2e_write(vm, "answer", 6);
        kd_e2e_client_await_data(client, "answer");
        end_session(client);
        kd_e2e_expect_end(vm);
        close(vm);
    }
    close(listener);
}

static void
test_target_ends(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "last words", 10);
    close(vm);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_TARGET_CLOSED);
    g_assert_cmpuint(client->heard->len, ==, 10);
    close(listener);
}

/* ---- links that take their time ---- */

static KdE2eClient *
ask(const KdE2eStage *stage, const char *trans)
{
    KdE2eClient *client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));

    kd_e2e_client_ask(client, trans, "LAB\\tester");
    return client;
}

/* The request has arrived: what is behind it is answered. */
static void
await_asked(KdE2eClient *client)
{
    static const uint8_t cookie[8] = "asked..";

    kd_e2e_client_send(client, KD_FRAME_PING, g_bytes_new_static(cookie, sizeof cookie));
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_PONG));
}

static void
test_appears(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s,reconnect", path);
    g_autoptr(KdE2eClient) client = NULL;
    int listener;
    int vm;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    client = ask(stage, trans);
    await_asked(client);
    listener = kd_e2e_listen_unix(path);
    vm = kd_e2e_accept(listener);
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_OPENED));
    kd_e2e_write(vm, "here", 4);
    kd_e2e_client_await_data(client, "here");
    close(vm);
    close(listener);
}

static void
test_absent(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    client = ask(stage, trans);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_OPEN_FAILED);
    g_assert_nonnull(strstr(said->text, path));
}

/* Whatever the server is waiting for, its own end comes first. */
static void
test_end_while_waiting(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *absent = g_strdup_printf("com:pipe,port=%s,reconnect", path);
    const char *const links[] = {absent, "fake:name=1,delay=60000"};
    KdE2eClient *clients[G_N_ELEMENTS(links)];

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(links); i++) {
        clients[i] = ask(stage, links[i]);
        await_asked(clients[i]);
    }
    kd_e2e_program_signal(stage->server, SIGTERM);
    for (gsize i = 0; i < G_N_ELEMENTS(links); i++) {
        g_autoptr(KdClose) said = kd_e2e_client_await_close(clients[i]);

        g_assert_cmpuint(said->code, ==, KD_CLOSE_GOING_AWAY);
        kd_e2e_client_free(clients[i]);
    }
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
}

/* A client that has gone while its link opened does not hold it. */
static void
test_gone_while_opening(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s,reconnect", path);
    g_autoptr(KdE2eClient) second = NULL;
    KdE2eClient *first;
    int listener;
    int vm;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    first = ask(stage, trans);
    await_asked(first);
    end_session(first);
    kd_e2e_client_free(first);
    second = ask(stage, trans);
    await_asked(second);
    listener = kd_e2e_listen_unix(path);
    vm = kd_e2e_accept(listener);
    g_bytes_unref(kd_e2e_client_await(second, KD_FRAME_OPENED));
    close(vm);
    close(listener);
}

static void
test_lost_twice(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s,reconnect", path);
    g_autoptr(KdE2eClient) client = NULL;
    int listener = kd_e2e_listen_unix(path);

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    for (int i = 0; i < 5; i++) {
        g_autofree char *text = g_strdup_printf("boot %d", i);
        int vm = kd_e2e_accept(listener);

        kd_e2e_write(vm, text, strlen(text));
        kd_e2e_client_await_data(client, text);
        kd_e2e_client_send_data(client, text, strlen(text));
        kd_e2e_expect(vm, text);
        close(vm);
    }
    close(listener);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/link/line-carries-every-byte-at-its-speed", test_line);
    kd_e2e_add("/e2e/link/com1-is-the-first-serial-port", test_com1);
    kd_e2e_add("/e2e/link/in-use-names-the-holder-and-leaves-it-unharmed", test_busy);
    kd_e2e_add("/e2e/link/two-links-two-sessions", test_other_link);
    kd_e2e_add("/e2e/link/kept-keeps-what-was-said-between-sessions", test_kept);
    kd_e2e_add("/e2e/link/drained-drops-what-was-said-between-sessions", test_drained);
    kd_e2e_add("/e2e/link/is-there-again-after-each-session", test_again);
    kd_e2e_add("/e2e/link/ends-the-session-with-its-last-bytes", test_target_ends);
    kd_e2e_add("/e2e/link/with-reconnect-is-waited-for", test_appears);
    kd_e2e_add("/e2e/link/that-is-absent-is-named", test_absent);
    kd_e2e_add("/e2e/link/that-is-waited-for-does-not-keep-the-server", test_end_while_waiting);
    kd_e2e_add("/e2e/link/is-free-when-its-client-goes-while-it-opens", test_gone_while_opening);
    kd_e2e_add("/e2e/link/with-reconnect-outlives-restarts", test_lost_twice);
    return g_test_run();
}

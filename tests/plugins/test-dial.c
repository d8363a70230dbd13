/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dialling and listening: real sockets on loopback. */
#include "kd-test-host.h"

#include <kdsrv-support/kd-dial.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
finish(KdTestDone *done, GError **error)
{
    g_autoptr(GAsyncResult) result = kd_test_wait(done);
    return kd_dial_finish(result, error);
}

static int
dial(const char *name, uint16_t port, KdFamily family, gboolean is_checked, GError **error)
{
    KdTestDone done = {0};
    kd_dial_host_async(kd_test_host_get(), name, port, family, is_checked, NULL, kd_test_on_done,
                       &done);
    g_assert_null(done.result);
    return finish(&done, error);
}

static void
test_address(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    g_autoptr(GError) error = NULL;
    int fd = dial("127.0.0.1", port, KD_FAMILY_ANY, FALSE, &error);
    g_assert_no_error(error);
    int is_nodelay = 0;
    socklen_t len = sizeof(is_nodelay);
    g_assert_cmpint(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &is_nodelay, &len), ==, 0);
    g_assert_cmpint(is_nodelay, !=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, !=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, !=, 0);
    g_autofree char *name = kd_dial_build_peer_name(fd);
    g_autofree char *expected = g_strdup_printf("127.0.0.1:%u", port);
    g_assert_cmpstr(name, ==, expected);
    close(fd);
    close(listener);
}

static void
test_name(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    g_autoptr(GError) error = NULL;
    /* ::1 comes first where there is IPv6, and refuses. */
    int fd = dial("localhost", port, KD_FAMILY_ANY, FALSE, &error);
    g_assert_no_error(error);
    close(fd);
    close(listener);
}

static void
test_refused(void)
{
    int held[1];
    uint16_t port = kd_test_hold_ports(held, 1);
    close(held[0]);
    g_autoptr(GError) error = NULL;
    g_autofree char *expected =
        g_strdup_printf("cannot connect to 127.0.0.1:%u: Connection refused", port);
    g_assert_cmpint(dial("127.0.0.1", port, KD_FAMILY_ANY, FALSE, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_assert_cmpstr(error->message, ==, expected);
}

static void
test_family(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(dial("127.0.0.1", 1, KD_FAMILY_IPV6, FALSE, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    g_assert_cmpstr(error->message, ==, "127.0.0.1 is not an IPv6 address");
}

static void
test_ipv6(void)
{
    if (!kd_test_has_ipv6()) {
        g_test_skip("no IPv6 here");
        return;
    }
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET6, 0, &port);
    const char *const names[] = {"::1", "[::1]"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        int fd = dial(names[i], port, KD_FAMILY_IPV6, FALSE, &error);
        g_assert_no_error(error);
        g_autofree char *name = kd_dial_build_peer_name(fd);
        g_autofree char *expected = g_strdup_printf("[::1]:%u", port);
        g_assert_cmpstr(name, ==, expected);
        close(fd);
    }
    close(listener);
    g_autoptr(GError) error = NULL;
    g_autofree char *start = g_strdup_printf("cannot connect to [::1]:%u: ", port);
    g_assert_cmpint(dial("::1", port, KD_FAMILY_ANY, FALSE, &error), ==, -1);
    g_assert_true(g_str_has_prefix(error->message, start));
}

static void
test_range(void)
{
    int held[3];
    uint16_t base = kd_test_hold_ports(held, 3);
    close(held[0]);
    close(held[1]);
    KdTestDone done = {0};
    g_autoptr(GError) error = NULL;
    kd_dial_ports_async(kd_test_host_get(), "127.0.0.1", base, (uint16_t)(base + 2), KD_FAMILY_ANY,
                        NULL, kd_test_on_done, &done);
    int fd = finish(&done, &error);
    g_assert_no_error(error);
    g_autofree char *name = kd_dial_build_peer_name(fd);
    g_autofree char *expected = g_strdup_printf("127.0.0.1:%u", base + 2);
    g_assert_cmpstr(name, ==, expected);
    close(fd);
    close(held[2]);
}

static void
test_policy(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    guint before = kd_test_host_get_n_dial_checks();
    g_autoptr(GError) error = NULL;
    int fd = dial("127.0.0.1", port, KD_FAMILY_ANY, TRUE, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(kd_test_host_get_n_dial_checks(), ==, before + 1);
    close(fd);
    kd_test_host_deny_addresses(TRUE);
    g_assert_cmpint(dial("127.0.0.1", port, KD_FAMILY_ANY, TRUE, &error), ==, -1);
    kd_test_host_deny_addresses(FALSE);
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    close(listener);
}

/* Cancels a dial at a moment of its life, and sees that nothing is left of it. */
static void
check_cancel(const char *name, guint turns)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    kd_test_turn();
    guint before = kd_test_count_fds();
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    KdTestDone done = {0};
    g_autoptr(GError) error = NULL;
    kd_dial_host_async(kd_test_host_get(), name, port, KD_FAMILY_ANY, FALSE, cancellable,
                       kd_test_on_done, &done);
    for (guint i = 0; i < turns; i++)
        g_main_context_iteration(NULL, FALSE);
    g_cancellable_cancel(cancellable);
    g_assert_cmpint(finish(&done, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    kd_test_turn();
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    close(listener);
}

static void
test_cancel(void)
{
    /* The first one lets the resolver open what it keeps. */
    g_autoptr(GError) error = NULL;
    int fd = dial("localhost", 1, KD_FAMILY_ANY, FALSE, &error);
    g_assert_cmpint(fd, ==, -1);
    for (guint turns = 0; turns < 4; turns++) {
        check_cancel("127.0.0.1", turns);
        check_cancel("localhost", turns);
    }
}

static void
test_cancelled_before(void)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    KdTestDone done = {0};
    g_cancellable_cancel(cancellable);
    kd_dial_host_async(kd_test_host_get(), "127.0.0.1", 1, KD_FAMILY_ANY, FALSE, cancellable,
                       kd_test_on_done, &done);
    g_assert_null(done.result);
    g_assert_cmpint(finish(&done, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_clear_error(&error);
    kd_dial_path_async("/nowhere", cancellable, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_assert_cmpint(finish(&done, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* A socket in a folder of its own */
static int
listen_on_path(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, backlog), ==, 0);
    return fd;
}

static int
dial_path(const char *path, GError **error)
{
    KdTestDone done = {0};
    kd_dial_path_async(path, NULL, kd_test_on_done, &done);
    g_assert_null(done.result);
    return finish(&done, error);
}

static void
test_path(void)
{
    g_autofree char *folder = g_dir_make_tmp("kd-dial-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "s", NULL);
    int listener = listen_on_path(path, 4);
    g_autoptr(GError) error = NULL;
    int fd = dial_path(path, &error);
    g_assert_no_error(error);
    g_autofree char *name = kd_dial_build_peer_name(fd);
    g_autofree char *expected = g_strdup_printf("unix pid %d uid %u", getpid(), getuid());
    g_assert_cmpstr(name, ==, expected);
    close(fd);
    int path_fd = open(path, O_PATH | O_CLOEXEC);
    g_autofree char *through = g_strdup_printf("/proc/self/fd/%d", path_fd);
    fd = dial_path(through, &error);
    g_assert_no_error(error);
    close(fd);
    close(path_fd);
    close(listener);
    g_assert_cmpint(dial_path(path, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_clear_error(&error);
    g_unlink(path);
    g_assert_cmpint(dial_path(path, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_rmdir(folder);
}

static void
test_long_path(void)
{
    g_autofree char *path = g_strnfill(108, 'x');
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = NULL;
    path[0] = '/';
    expected = g_strdup_printf("cannot connect to %s: a socket's path has at most 107 bytes", path);
    g_assert_cmpint(dial_path(path, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
    g_assert_cmpstr(error->message, ==, expected);
}

static void
test_full_backlog(void)
{
    g_autofree char *folder = g_dir_make_tmp("kd-dial-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "s", NULL);
    int listener = listen_on_path(path, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fillers[8];
    guint n = 0;
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    for (;;) {
        g_assert_cmpuint(n, <, G_N_ELEMENTS(fillers));
        fillers[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(fillers[n++], (struct sockaddr *)&address, sizeof(address)) != 0)
            break;
    }
    g_assert_cmpint(errno, ==, EAGAIN);
    KdTestDone done = {0};
    g_autoptr(GError) error = NULL;
    kd_dial_path_async(path, NULL, kd_test_on_done, &done);
    kd_test_turn();
    g_assert_null(done.result);
    for (guint i = 0; i + 1 < n; i++)
        close(accept(listener, NULL, NULL));
    int fd = finish(&done, &error);
    g_assert_no_error(error);
    close(fd);
    while (n > 0)
        close(fillers[--n]);
    close(listener);
    g_unlink(path);
    g_rmdir(folder);
}

static void
test_mapped_peer(void)
{
    if (!kd_test_has_ipv6()) {
        g_test_skip("no IPv6 here");
        return;
    }
    KdListening listening = {.struct_size = sizeof(listening)};
    uint16_t port = 0;
    g_autoptr(GError) error = NULL;
    g_assert_true(kd_listen_ports(NULL, 0, 0, KD_FAMILY_ANY, &listening, &port, &error));
    g_assert_no_error(error);
    int fd = dial("127.0.0.1", port, KD_FAMILY_ANY, FALSE, &error);
    g_assert_no_error(error);
    kd_test_wait_readable(listening.fds[0]);
    int accepted = accept(listening.fds[0], NULL, NULL);
    g_autofree char *name = kd_dial_build_peer_name(accepted);
    g_assert_true(g_str_has_prefix(name, "127.0.0.1:"));
    close(accepted);
    close(fd);
    close(listening.fds[0]);
}

static void
test_listen_errors(void)
{
    static const struct {
        const char *address;
        KdFamily family;
        const char *message;
    } cases[] = {
        {"nowhere", KD_FAMILY_ANY, "cannot listen on nowhere: not an IPv4 or IPv6 address"},
        {"127.0.0.1", KD_FAMILY_IPV6, "cannot listen on 127.0.0.1: not an IPv6 address"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdListening listening = {.struct_size = sizeof(listening)};
        uint16_t port = 0;
        g_autoptr(GError) error = NULL;
        g_assert_false(
            kd_listen_ports(cases[i].address, 0, 0, cases[i].family, &listening, &port, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_cmpstr(error->message, ==, cases[i].message);
        g_assert_cmpuint(listening.n_fds, ==, 0);
    }
}

static void
test_half_free(void)
{
    if (!kd_test_has_ipv6()) {
        g_test_skip("no IPv6 here");
        return;
    }
    /* One port is taken for IPv4 only, the next for IPv6 only: neither will do. */
    int held[3];
    uint16_t base = kd_test_hold_ports(held, 3);
    close(held[1]);
    held[1] = kd_test_listen(AF_INET6, (uint16_t)(base + 1), NULL);
    g_assert_cmpint(held[1], >=, 0);
    close(held[2]);
    KdListening listening = {.struct_size = sizeof(listening)};
    uint16_t port = 0;
    g_autoptr(GError) error = NULL;
    g_assert_true(kd_listen_ports(NULL, base, (uint16_t)(base + 2), KD_FAMILY_ANY, &listening,
                                  &port, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(port, ==, base + 2);
    close(listening.fds[0]);
    close(held[0]);
    close(held[1]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/support/dial/address-gives-a-ready-socket", test_address);
    g_test_add_func("/support/dial/name-tries-each-address", test_name);
    g_test_add_func("/support/dial/refusal-names-host-and-port", test_refused);
    g_test_add_func("/support/dial/address-of-the-other-family-is-refused", test_family);
    g_test_add_func("/support/dial/ipv6-with-and-without-brackets", test_ipv6);
    g_test_add_func("/support/dial/range-takes-the-port-that-answers", test_range);
    g_test_add_func("/support/dial/rules-are-asked-and-obeyed", test_policy);
    g_test_add_func("/support/dial/cancel-at-any-turn-leaves-nothing", test_cancel);
    g_test_add_func("/support/dial/cancelled-before-the-start", test_cancelled_before);
    g_test_add_func("/support/dial/path-connects", test_path);
    g_test_add_func("/support/dial/path-that-is-too-long-says-so", test_long_path);
    g_test_add_func("/support/dial/full-backlog-is-waited-for", test_full_backlog);
    g_test_add_func("/support/listen/ipv4-peer-of-dual-stack-is-named-ipv4", test_mapped_peer);
    g_test_add_func("/support/listen/wrong-address-is-named", test_listen_errors);
    g_test_add_func("/support/listen/port-that-one-family-has-is-busy", test_half_free);
    return g_test_run();
}

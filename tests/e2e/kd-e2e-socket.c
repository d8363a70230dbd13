/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of a test: everything waits, nothing waits for ever. */
#include "kd-e2e-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_MS (KD_E2E_DEADLINE_S * 1000)

static struct sockaddr_un
build_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_assert_cmpuint(strlen(path), <, sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/**
 * kd_e2e_dial:
 * @from: (nullable): own address
 * @port: of the loopback
 *
 * Returns: (transfer full): a connected TCP socket
 */
int
kd_e2e_dial(const char *from, guint port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    g_assert_cmpint(fd, >=, 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (from != NULL) {
        address.sin_addr.s_addr = inet_addr(from);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

/**
 * kd_e2e_dial_unix:
 *
 * Waits until somebody listens there.
 *
 * Returns: (transfer full): a connected UNIX socket
 */
int
kd_e2e_dial_unix(const char *path)
{
    struct sockaddr_un address = build_address(path);
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        g_assert_true(errno == ENOENT || errno == ECONNREFUSED);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
        g_thread_yield();
    }
    return fd;
}

/**
 * kd_e2e_listen_unix:
 *
 * Returns: (transfer full): a listening UNIX socket
 */
int
kd_e2e_listen_unix(const char *path)
{
    struct sockaddr_un address = build_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    return fd;
}

/**
 * kd_e2e_is_readable:
 *
 * Returns: whether there is something to read, or the end, within that time
 */
gboolean
kd_e2e_is_readable(int fd, guint timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, (int)timeout_ms) == 1;
}

/**
 * kd_e2e_accept:
 *
 * Returns: (transfer full): the next connection
 */
int
kd_e2e_accept(int listener)
{
    int fd;

    g_assert_true(kd_e2e_is_readable(listener, DEADLINE_MS));
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/**
 * kd_e2e_read_some:
 *
 * Returns: how many bytes came; 0 = the end, in good order or not
 */
gsize
kd_e2e_read_some(int fd, void *buf, gsize len)
{
    ssize_t n;

    g_assert_true(kd_e2e_is_readable(fd, DEADLINE_MS));
    n = read(fd, buf, len);
    g_assert_true(n >= 0 || errno == ECONNRESET || errno == EIO);
    return n > 0 ? (gsize)n : 0;
}

/**
 * kd_e2e_read:
 *
 * Reads exactly so many bytes.
 */
void
kd_e2e_read(int fd, void *buf, gsize len)
{
    for (gsize at = 0; at < len;) {
        gsize n = kd_e2e_read_some(fd, (char *)buf + at, len - at);

        g_assert_cmpuint(n, >, 0);
        at += n;
    }
}

/* What fits at once, so that the deadline holds for sockets; a terminal is given little anyway. */
static ssize_t
write_some(int fd, const char *buf, gsize len)
{
    ssize_t n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    return n < 0 && errno == ENOTSOCK ? write(fd, buf, len) : n;
}

/**
 * kd_e2e_write:
 *
 * Writes all.
 */
void
kd_e2e_write(int fd, const void *buf, gsize len)
{
    for (gsize at = 0; at < len;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        ssize_t n;

        g_assert_cmpint(poll(&poll_fd, 1, DEADLINE_MS), ==, 1);
        n = write_some(fd, (const char *)buf + at, len - at);
        g_assert_true(n > 0 || errno == EAGAIN);
        at += n > 0 ? (gsize)n : 0;
    }
}

/**
 * kd_e2e_expect:
 *
 * Reads exactly these bytes.
 */
void
kd_e2e_expect(int fd, const char *text)
{
    g_autofree char *got = g_malloc0(strlen(text) + 1);

    kd_e2e_read(fd, got, strlen(text));
    g_assert_cmpstr(got, ==, text);
}

/**
 * kd_e2e_expect_end:
 *
 * Reads until the end, which must come.
 */
void
kd_e2e_expect_end(int fd)
{
    char buf[4096];

    while (kd_e2e_read_some(fd, buf, sizeof buf) > 0) {
    }
}

/**
 * kd_e2e_steer:
 * @steer: socket of a fake device
 * @order: as in tests/fake/README.md
 *
 * Returns: (transfer full): the answer
 */
char *
kd_e2e_steer(int steer, const char *order)
{
    g_autofree char *line = g_strconcat(order, "\n", NULL);
    GString *answer = g_string_new(NULL);
    char byte = 0;

    kd_e2e_write(steer, line, strlen(line));
    for (;;) {
        kd_e2e_read(steer, &byte, 1);
        if (byte == '\n') {
            return g_string_free(answer, FALSE);
        }
        g_string_append_c(answer, byte);
    }
}

/**
 * kd_e2e_order:
 *
 * Steers a fake device, which must say ok.
 */
void
kd_e2e_order(int steer, const char *order)
{
    g_autofree char *answer = kd_e2e_steer(steer, order);

    g_assert_cmpstr(answer, ==, "ok");
}

/**
 * kd_e2e_count:
 * @counter: as `stat` spells it
 *
 * Returns: one of the fake device's counters
 */
guint64
kd_e2e_count(int steer, const char *counter)
{
    g_autofree char *stat = kd_e2e_steer(steer, "stat");
    g_autofree char *key = g_strdup_printf(" %s=", counter);
    const char *at = strstr(stat, key);

    g_assert_nonnull(at);
    return g_ascii_strtoull(at + strlen(key), NULL, 10);
}

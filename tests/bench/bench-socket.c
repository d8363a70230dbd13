/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of the harness: loopback TCP and UNIX, nothing else. */
#include "bench-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

typedef struct {
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_un local;
    } u;
    socklen_t len;
} Native;

static void
fill_native(Native *native, const BenchAddress *address)
{
    memset(native, 0, sizeof *native);
    if (address->path[0] != '\0') {
        native->u.local.sun_family = AF_UNIX;
        memcpy(native->u.local.sun_path, address->path, sizeof address->path);
        native->len = sizeof native->u.local;
    } else {
        native->u.inet.sin_family = AF_INET;
        native->u.inet.sin_port = htons(address->port);
        native->u.inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        native->len = sizeof native->u.inet;
    }
}

/**
 * bench_address_parse:
 * @text: `tcp`, `tcp:PORT` or `unix:PATH`
 *
 * Returns: whether @text is one.
 */
bool
bench_address_parse(BenchAddress *address, const char *text)
{
    memset(address, 0, sizeof *address);
    if (strncmp(text, "unix:", 5) == 0) {
        size_t len = strlen(text + 5);

        if (len == 0 || len >= sizeof address->path) {
            return false;
        }
        memcpy(address->path, text + 5, len + 1);
        return true;
    }
    if (strncmp(text, "tcp:", 4) == 0) {
        unsigned long port = strtoul(text + 4, NULL, 10);

        address->port = (uint16_t)port;
        return port > 0 && port <= UINT16_MAX;
    }
    return strcmp(text, "tcp") == 0;
}

/**
 * bench_socket_listen:
 *
 * Returns: a non-blocking listening socket, or -1 with errno.
 */
int
bench_socket_listen(const BenchAddress *address)
{
    Native native;
    int fd;

    fill_native(&native, address);
    fd = socket(native.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (bind(fd, &native.u.any, native.len) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/**
 * bench_socket_connect:
 *
 * Returns: a connected, blocking socket, or -1 with errno.
 */
int
bench_socket_connect(const BenchAddress *address)
{
    Native native;
    int fd;

    fill_native(&native, address);
    fd = socket(native.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    bench_socket_set_no_delay(fd);
    if (connect(fd, &native.u.any, native.len) != 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/**
 * bench_socket_set_blocking:
 *
 * Says whether reading and writing wait.
 */
void
bench_socket_set_blocking(int fd, bool is_blocking)
{
    int flags = fcntl(fd, F_GETFL);

    fcntl(fd, F_SETFL, is_blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/**
 * bench_socket_set_no_delay:
 *
 * Sends small pieces at once; without effect on a UNIX socket.
 */
void
bench_socket_set_no_delay(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/**
 * bench_socket_set_deadline:
 *
 * Makes a blocking read or write fail with EAGAIN after @seconds.
 */
void
bench_socket_set_deadline(int fd, unsigned seconds)
{
    struct timeval limit = {.tv_sec = (time_t)seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/**
 * bench_socket_raise_limit:
 *
 * Allows as many descriptors as the hard limit does.
 */
void
bench_socket_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A UDP socket in the host's set: many datagrams a system call, and little work a turn. */
#include "kdnet-socket.h"

#include "kdnet-cipher.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BATCH        64u                             /* what a watch may do in one call */
#define BUFFER_BYTES (KDNET_DATAGRAM_MAX_BYTES + 1u) /* so that a longer one is noticed */
#define QUEUE_BYTES  (8 * 1024 * 1024) /* a flood that we do not keep up with drops less */

struct KdnetSocket {
    const KdHost *host;
    KdnetSocketFuncs funcs;
    void *user;
    int fd;
    int family; /* of the socket: AF_INET6 carries both */
    KdWatch *watch;
    gboolean is_full;
};

/* One batch at a time, on the one thread that all sockets are served by */
static uint8_t buffers[BATCH][BUFFER_BYTES];

/* ---- making one ------------------------------------------------------------------------------ */

static int
bind_any(int fd, int family, uint16_t port)
{
    KdnetAddress any = {.port = port};
    struct sockaddr_storage native;
    socklen_t len_bytes;

    if (family == AF_INET) {
        any.ip.s6_addr[10] = 0xff;
        any.ip.s6_addr[11] = 0xff;
    }
    len_bytes = kdnet_address_to_native(&any, family, &native);
    return bind(fd, (const struct sockaddr *)&native, len_bytes);
}

/* Without the right to have a larger queue we take what everybody may have. */
static void
enlarge_queue(int fd)
{
    int bytes = QUEUE_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
}

/* IPv6 and, unless @is_alone, IPv4 too; -1 with errno */
static int
open_bound(int family, gboolean is_alone, uint16_t port)
{
    int only = is_alone ? 1 : 0;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int code;

    if (fd < 0) {
        return -1;
    }
    if ((family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
        bind_any(fd, family, port) != 0) {
        code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    enlarge_queue(fd);
    return fd;
}

static int
open_family(KdFamily wanted, uint16_t port, int *family)
{
    int fd = -1;

    *family = AF_INET6;
    if (wanted != KD_FAMILY_IPV4) {
        fd = open_bound(AF_INET6, wanted == KD_FAMILY_IPV6, port);
    }
    if (wanted == KD_FAMILY_IPV4 ||
        (fd < 0 && wanted == KD_FAMILY_ANY &&
         (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL || errno == ENOPROTOOPT))) {
        *family = AF_INET;
        fd = open_bound(AF_INET, FALSE, port);
    }
    return fd;
}

static void
set_bind_error(uint16_t port, int code, GError **error)
{
    if (code == EADDRINUSE) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY,
                    "net: UDP port %u is in use by another program: end that, or give the target "
                    "another port",
                    port);
    } else {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code),
                    "net: cannot listen on UDP port %u: %s", port, g_strerror(code));
    }
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void
receive_batch(KdnetSocket *socket)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_storage senders[BATCH];
    KdnetAddress from;
    int n;

    memset(messages, 0, sizeof messages);
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){.iov_base = buffers[i], .iov_len = BUFFER_BYTES};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &senders[i];
        messages[i].msg_hdr.msg_namelen = sizeof senders[i];
    }
    n = recvmmsg(socket->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        if (kdnet_address_from_native((const struct sockaddr *)&senders[i],
                                      messages[i].msg_hdr.msg_namelen, &from)) {
            socket->funcs.receive(buffers[i], messages[i].msg_len, &from, socket->user);
        }
    }
}

static void
on_ready(void *user, uint32_t ready)
{
    KdnetSocket *socket = user;

    if ((ready & KD_READY_OUT) != 0 && socket->is_full) {
        socket->is_full = FALSE;
        socket->host->watch_set(socket->watch, KD_READY_IN);
        socket->funcs.ready(socket->user);
    }
    if ((ready & KD_READY_IN) != 0) {
        receive_batch(socket);
    }
}

/**
 * kdnet_socket_new:
 * @port: of ours
 * @family: %KD_FAMILY_ANY: IPv6 and IPv4, or IPv4 alone where there is no IPv6
 * @user: for @funcs
 *
 * Listens on a port of all addresses.
 *
 * Returns: (transfer full) (nullable): with %KD_ERROR_BUSY when another program has the port
 */
KdnetSocket *
kdnet_socket_new(const KdHost *host, uint16_t port, KdFamily family, const KdnetSocketFuncs *funcs,
                 void *user, GError **error)
{
    g_autoptr(KdnetSocket) socket = g_new0(KdnetSocket, 1);

    socket->host = host;
    socket->funcs = *funcs;
    socket->user = user;
    socket->fd = open_family(family, port, &socket->family);
    if (socket->fd < 0) {
        set_bind_error(port, errno, error);
        return NULL;
    }
    socket->watch = host->watch_add(host, socket->fd, KD_READY_IN, on_ready, socket);
    if (socket->watch == NULL) {
        set_bind_error(port, errno, error);
        return NULL;
    }
    return g_steal_pointer(&socket);
}

/**
 * kdnet_socket_free:
 * @socket: (nullable): not in one of its functions
 *
 * Closes it.
 */
void
kdnet_socket_free(KdnetSocket *socket)
{
    if (socket == NULL) {
        return;
    }
    if (socket->watch != NULL) {
        socket->host->watch_remove(socket->watch);
    }
    if (socket->fd >= 0) {
        close(socket->fd);
    }
    g_free(socket);
}

/* ---- sending --------------------------------------------------------------------------------- */

/**
 * kdnet_socket_send:
 * @to: of a family that the socket does not have: it is lost
 *
 * Sends a datagram. That it can't reach its target is no failure here: it may have been lost
 * anywhere.
 *
 * Returns: %FALSE: not now; `ready` follows
 */
gboolean
kdnet_socket_send(KdnetSocket *socket, const uint8_t *bytes, size_t len_bytes,
                  const KdnetAddress *to)
{
    struct sockaddr_storage native;
    socklen_t native_bytes = kdnet_address_to_native(to, socket->family, &native);

    if (native_bytes == 0 || sendto(socket->fd, bytes, len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
                                    (const struct sockaddr *)&native, native_bytes) >= 0) {
        return TRUE;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        g_debug("sendto: %s", g_strerror(errno));
        return TRUE;
    }
    socket->is_full = TRUE;
    socket->host->watch_set(socket->watch, KD_READY_IN | KD_READY_OUT);
    return FALSE;
}

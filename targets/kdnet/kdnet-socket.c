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

/* Room for the one control message that both families need: our own address */
typedef union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} KdnetControl;

struct KdnetSocket {
    const KdHost *host;
    KdnetSocketFuncs funcs;
    void *user;
    int fd;
    int family; /* of the socket: AF_INET6 carries both */
    KdWatch *watch;
    gboolean is_full;
};

/* One batch at a time, on the one thread that all sockets are served by; prepared once, and then
 * only where something was received */
typedef struct {
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in6 senders[BATCH];
    KdnetControl controls[BATCH];
    uint8_t buffers[BATCH][BUFFER_BYTES];
    size_t n_used; /* of the messages, by the last call */
    gboolean is_prepared;
} KdnetBatch;

static KdnetBatch batch;

/* ---- making one ------------------------------------------------------------------------------ */

static int
bind_any(int fd, int family, uint16_t port)
{
    KdnetAddress any = {.port = port};
    struct sockaddr_storage native;
    socklen_t len_bytes;

    if (family == AF_INET) {
        kdnet_address_map(&(struct in_addr){0}, &any.ip);
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

/* A server with several addresses answers from the one that was spoken to. */
static int
ask_for_own_address(int fd, int family)
{
    int yes = 1;

    return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof yes)
                              : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes);
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
        ask_for_own_address(fd, family) != 0 || bind_any(fd, family, port) != 0) {
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
read_own_address(struct msghdr *message, KdnetAddress *from)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(at), sizeof info);
            from->own = info.ipi6_addr;
        } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(at), sizeof info);
            kdnet_address_map(&info.ipi_spec_dst, &from->own);
        }
    }
}

static void
prepare_batch(void)
{
    size_t n = batch.is_prepared ? batch.n_used : BATCH;

    for (size_t i = 0; i < n; i++) {
        batch.parts[i] = (struct iovec){.iov_base = batch.buffers[i], .iov_len = BUFFER_BYTES};
        batch.messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &batch.parts[i],
            .msg_iovlen = 1,
            .msg_name = &batch.senders[i],
            .msg_namelen = sizeof batch.senders[i],
            .msg_control = batch.controls[i].bytes,
            .msg_controllen = sizeof batch.controls[i].bytes,
        };
    }
    batch.is_prepared = TRUE;
}

static void
receive_batch(KdnetSocket *socket)
{
    KdnetAddress from;
    int n;

    prepare_batch();
    n = recvmmsg(socket->fd, batch.messages, BATCH, MSG_DONTWAIT, NULL);
    batch.n_used = (size_t)MAX(n, 0);
    for (size_t i = 0; i < batch.n_used; i++) {
        struct msghdr *message = &batch.messages[i].msg_hdr;

        if (kdnet_address_from_native(message->msg_name, message->msg_namelen, &from)) {
            read_own_address(message, &from);
            socket->funcs.receive(batch.buffers[i], batch.messages[i].msg_len, &from, socket->user);
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
    socket->watch =
        host->watch_add(host, socket->fd, KD_READY_IN | KD_READY_QUIET, on_ready, socket);
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

static void
put_control(struct msghdr *message, KdnetControl *control, int level, int type, const void *info,
            size_t len_bytes)
{
    struct cmsghdr *header;

    memset(control, 0, sizeof *control);
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(len_bytes);
    header = CMSG_FIRSTHDR(message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(len_bytes);
    memcpy(CMSG_DATA(header), info, len_bytes);
}

static void
put_own_address(struct msghdr *message, KdnetControl *control, int family,
                const struct in6_addr *own)
{
    if (family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = *own};

        put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else {
        struct in_pktinfo info = {0};

        memcpy(&info.ipi_spec_dst, &own->s6_addr[12], sizeof info.ipi_spec_dst);
        put_control(message, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

/* That it can't reach its target is no failure: it may have been lost anywhere. But the address
 * that it was to come from may have left this machine. */
static gboolean
send_message(const KdnetSocket *socket, struct msghdr *message)
{
    gssize sent = sendmsg(socket->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && message->msg_controllen > 0) {
        message->msg_control = NULL;
        message->msg_controllen = 0;
        sent = sendmsg(socket->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return sent >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

/**
 * kdnet_socket_send:
 * @to: of a family that the socket does not have: it is lost
 *
 * Sends a datagram.
 *
 * Returns: %FALSE: not now; `ready` follows
 */
gboolean
kdnet_socket_send(KdnetSocket *socket, const uint8_t *bytes, size_t len_bytes,
                  const KdnetAddress *to)
{
    struct sockaddr_storage native;
    KdnetControl control;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = len_bytes};
    struct msghdr message = {.msg_name = &native, .msg_iov = &part, .msg_iovlen = 1};

    message.msg_namelen = kdnet_address_to_native(to, socket->family, &native);
    if (message.msg_namelen == 0) {
        return TRUE;
    }
    if (!IN6_IS_ADDR_UNSPECIFIED(&to->own)) {
        put_own_address(&message, &control, socket->family, &to->own);
    }
    if (send_message(socket, &message)) {
        return TRUE;
    }
    socket->is_full = TRUE;
    socket->host->watch_set(socket->watch, KD_READY_IN | KD_READY_OUT);
    return FALSE;
}

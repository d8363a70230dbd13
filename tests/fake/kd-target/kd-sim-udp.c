/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KDNET's way to the host: a socket of UDP, a new one for each boot. */
#include "kd-sim-carrier.h"
#include "kd-sim-watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* so that a flood cannot keep the clock from being looked at */
#define BURST 64

typedef struct {
    KdSimTarget *target;
    KdSimPeer own; /* port 0: a new one for each boot */
    uint32_t boot;
    int fd;
    guint in_id;
} Udp;

/* IPv4 stays IPv4: a socket of that family sends it. */
static socklen_t
write_address(const KdSimPeer *peer, struct sockaddr_storage *address)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    memset(address, 0, sizeof *address);
    if (memcmp(peer->address, mapped, sizeof mapped) == 0) {
        struct sockaddr_in *in = (struct sockaddr_in *)address;
        in->sin_family = AF_INET;
        in->sin_port = htons(peer->port);
        memcpy(&in->sin_addr, peer->address + 12, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(peer->port);
    memcpy(&in6->sin6_addr, peer->address, 16);
    return sizeof *in6;
}

static void
read_address(const struct sockaddr_storage *address, KdSimPeer *peer)
{
    *peer = (KdSimPeer){.address = {[10] = 0xFF, [11] = 0xFF}};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        peer->port = ntohs(in->sin_port);
        memcpy(peer->address + 12, &in->sin_addr, 4);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        peer->port = ntohs(in6->sin6_port);
        memcpy(peer->address, &in6->sin6_addr, 16);
    }
}

static gboolean
parse_address(const char *text, KdSimPeer *peer)
{
    peer->address[10] = peer->address[11] = 0xFF;
    if (inet_pton(AF_INET, text, peer->address + 12) == 1)
        return TRUE;
    return inet_pton(AF_INET6, text, peer->address) == 1;
}

/**
 * kd_sim_peer_parse:
 * @text: `192.0.2.1:50000`, `[2001:db8::1]:50000`, or without a port; addresses alone, no names
 */
gboolean
kd_sim_peer_parse(const char *text, KdSimPeer *peer, GError **error)
{
    const char *colon = strrchr(text, ':');
    const char *first = strchr(text, ':');
    guint64 port = 0;
    /* a lone IPv6 address has colons, and none is a port's */
    if (colon != NULL && (text[0] == '[' ? colon[-1] != ']' : first != colon))
        colon = NULL;
    g_autofree char *address =
        colon != NULL ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    size_t len = strlen(address);
    memset(peer, 0, sizeof *peer);
    if (address[0] == '[' && address[len - 1] == ']') {
        address[len - 1] = '\0';
        memmove(address, address + 1, len - 1);
    }
    if (!parse_address(address, peer) ||
        (colon != NULL && !g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, &port, NULL))) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: not an address with a port", text);
        return FALSE;
    }
    peer->port = (uint16_t)port;
    return TRUE;
}

static gboolean
on_readable(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Udp *udp = user;
    static uint8_t datagram[8192];
    for (int i = 0; i < BURST && fd == udp->fd; i++) {
        struct sockaddr_storage address;
        socklen_t address_bytes = sizeof address;
        KdSimPeer from;
        ssize_t n = recvfrom(fd, datagram, sizeof datagram, MSG_DONTWAIT,
                             (struct sockaddr *)&address, &address_bytes);
        if (n < 0 && errno != ECONNREFUSED)
            break;
        if (n < 0)
            continue;
        read_address(&address, &from);
        kd_sim_target_receive(udp->target, datagram, (size_t)n, &from, g_get_monotonic_time());
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
open_socket(Udp *udp, int family, GError **error)
{
    KdSimPeer any = udp->own;
    struct sockaddr_storage address;
    if (family == AF_INET)
        any.address[10] = any.address[11] = 0xFF;
    socklen_t address_bytes = write_address(&any, &address);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, address_bytes) != 0) {
        int saved = errno;
        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(saved), "udp: %s",
                    g_strerror(saved));
        if (fd >= 0)
            close(fd);
        return FALSE;
    }
    udp->fd = fd;
    udp->in_id = kd_sim_watch_add(fd, on_readable, udp);
    return TRUE;
}

static void
close_socket(Udp *udp)
{
    g_clear_handle_id(&udp->in_id, g_source_remove);
    if (udp->fd >= 0)
        close(udp->fd);
    udp->fd = -1;
}

/* The new one is open before the old one is closed: so it cannot have the same port. */
static void
follow_boot(Udp *udp, int family)
{
    uint32_t boot = kd_sim_net_get_boot(kd_sim_target_get_net(udp->target));
    if (boot == udp->boot || udp->own.port != 0)
        return;
    Udp old = *udp;
    g_autoptr(GError) error = NULL;
    udp->boot = boot;
    if (open_socket(udp, family, &error))
        close_socket(&old);
    else
        g_warning("%s", error->message);
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to, void *user)
{
    Udp *udp = user;
    struct sockaddr_storage address;
    socklen_t address_bytes = write_address(to, &address);
    follow_boot(udp, address.ss_family);
    ssize_t n =
        sendto(udp->fd, bytes, len_bytes, MSG_DONTWAIT, (struct sockaddr *)&address, address_bytes);
    /* nobody has the port yet: it is told at the next call, for the packet before */
    if (n < 0 && errno == ECONNREFUSED)
        n = sendto(udp->fd, bytes, len_bytes, MSG_DONTWAIT, (struct sockaddr *)&address,
                   address_bytes);
    return n >= 0;
}

static void
close_udp(KdSimTarget *target, void *carrier)
{
    Udp *udp = carrier;
    kd_sim_target_set_send(target, NULL, NULL);
    close_socket(udp);
    g_free(udp);
}

static void *
open_udp(KdSimTarget *target, const char *where G_GNUC_UNUSED, GError **error)
{
    struct sockaddr_storage address;
    const KdSimTargetOptions *options = kd_sim_target_get_options(target);
    Udp *udp = g_new0(Udp, 1);
    udp->target = target;
    udp->own = options->own;
    udp->fd = -1;
    udp->boot = kd_sim_net_get_boot(kd_sim_target_get_net(target));
    (void)write_address(&options->host, &address);
    if (!open_socket(udp, address.ss_family, error)) {
        g_free(udp);
        return NULL;
    }
    kd_sim_target_set_send(target, on_send, udp);
    return udp;
}

const KdSimCarrier kd_sim_net_carrier = {
    .kind = "net",
    .dialect = KD_SIM_DIALECT_NET,
    .open = open_udp,
    .close = close_udp,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening on the first free port of a range, and the name of who has called. */
#include <kdsrv-support/kd-dial.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

/* Where to listen, apart from the port */
typedef struct {
    struct sockaddr_storage native;
    socklen_t len;
    gboolean is_ipv6_only;
} Place;

static void
place_set_any(Place *place, KdFamily family)
{
    memset(place, 0, sizeof(*place));
    place->native.ss_family = family == KD_FAMILY_IPV4 ? AF_INET : AF_INET6;
    place->len =
        family == KD_FAMILY_IPV4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    place->is_ipv6_only = family == KD_FAMILY_IPV6;
}

static gboolean
place_parse(Place *place, const char *address, KdFamily family, GError **error)
{
    if (address == NULL) {
        place_set_any(place, family);
        return TRUE;
    }
    g_autofree char *bare = NULL;
    size_t len = strlen(address);
    if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        bare = g_strndup(address + 1, len - 2);
    } else {
        bare = g_strdup(address);
    }
    g_autoptr(GSocketAddress) parsed = g_inet_socket_address_new_from_string(bare, 0);
    if (parsed == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: not an IPv4 or IPv6 address",
                    address);
        return FALSE;
    }
    gboolean is_ipv6 = g_socket_address_get_family(parsed) == G_SOCKET_FAMILY_IPV6;
    if ((family == KD_FAMILY_IPV6 && !is_ipv6) || (family == KD_FAMILY_IPV4 && is_ipv6)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: not an IPv%d address", address,
                    (int)family);
        return FALSE;
    }
    memset(place, 0, sizeof(*place));
    place->len = (socklen_t)g_socket_address_get_native_size(parsed);
    GInetAddress *inet = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(parsed));
    /* `::` without more is the spelling of "all of them". */
    place->is_ipv6_only = is_ipv6 && (family == KD_FAMILY_IPV6 || !g_inet_address_get_is_any(inet));
    return g_socket_address_to_native(parsed, &place->native, sizeof(place->native), error);
}

static void
place_set_port(Place *place, uint16_t port)
{
    if (place->native.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&place->native)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)&place->native)->sin_port = htons(port);
    }
}

/* Returns: (transfer full): a listening socket, or -errno. SO_REUSEADDR is there for connections
 * that linger in TIME_WAIT: a listener of either family on the same port still refuses a dual-stack
 * bind with EADDRINUSE; a socket that is bound and does not listen yet only refuses at listen(). */
static int
place_listen(const Place *place)
{
    int fd = socket(place->native.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int on = 1;
    int is_ipv6_only = place->is_ipv6_only;
    int code = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (place->native.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only, sizeof(is_ipv6_only)) != 0) ||
        bind(fd, (const struct sockaddr *)&place->native, place->len) != 0 ||
        listen(fd, BACKLOG) != 0) {
        code = -errno;
    }
    if (code != 0) {
        close(fd);
        return code;
    }
    return fd;
}

static uint16_t
get_bound_port(int fd)
{
    struct sockaddr_in6 native = {.sin6_family = AF_UNSPEC};
    socklen_t len = sizeof(native);

    G_STATIC_ASSERT(offsetof(struct sockaddr_in, sin_port) ==
                    offsetof(struct sockaddr_in6, sin6_port));
    if (getsockname(fd, (struct sockaddr *)&native, &len) != 0) {
        return 0;
    }
    return ntohs(native.sin6_port);
}

static char *
build_ports_name(const char *address, uint16_t low, uint16_t high)
{
    g_autofree char *ports =
        low == high ? g_strdup_printf("port %u", low) : g_strdup_printf("ports %u:%u", low, high);
    return address == NULL ? g_steal_pointer(&ports) : g_strdup_printf("%s of %s", ports, address);
}

/**
 * kd_listen_check_address:
 * @address: what kd_listen_ports() will be given
 * @family: beside it
 * @error: %KD_ERROR_PARAM_INVALID: a name, or an address of the other family
 *
 * Opens nothing; for the check of a transport's keys.
 *
 * Returns: whether there can be such a listener
 */
gboolean
kd_listen_check_address(const char *address, KdFamily family, GError **error)
{
    Place place;
    return place_parse(&place, address, family, error);
}

/**
 * kd_listen_ports:
 * @address: (nullable): an IPv4 or IPv6 address; %NULL for all, of both families if there are both
 * @low: first port; 0 for any
 * @high: last port, not below @low
 * @family: %KD_FAMILY_IPV6 refuses IPv4 clients
 * @listening: gets one more descriptor
 * @port: (out): the real port
 * @error: %KD_ERROR_BUSY: none of the ports is free
 *
 * Listens on the first free port of a range. A port that only one of the two families could have
 * is not free.
 */
gboolean
kd_listen_ports(const char *address, uint16_t low, uint16_t high, KdFamily family,
                KdListening *listening, uint16_t *port, GError **error)
{
    g_return_val_if_fail(low <= high && listening->n_fds < KD_LISTEN_FDS, FALSE);
    Place place;
    if (!place_parse(&place, address, family, error)) {
        g_prefix_error(error, "cannot listen on ");
        return FALSE;
    }
    int fd = -EADDRINUSE;
    for (uint32_t next = low; next <= high && fd == -EADDRINUSE; next++) {
        place_set_port(&place, (uint16_t)next);
        fd = place_listen(&place);
        if (address == NULL && family == KD_FAMILY_ANY && place.native.ss_family == AF_INET6 &&
            (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) {
            /* A machine without IPv6 */
            place_set_any(&place, KD_FAMILY_IPV4);
            place_set_port(&place, (uint16_t)next);
            fd = place_listen(&place);
        }
    }
    if (fd >= 0) {
        listening->fds[listening->n_fds++] = fd;
        *port = get_bound_port(fd);
        return TRUE;
    }
    g_autofree char *name = build_ports_name(address, low, high);
    if (fd == -EADDRINUSE && low != high) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY, "none of the %s is free", name);
    } else if (fd == -EADDRINUSE) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY, "cannot listen on %s: %s", name,
                    g_strerror(-fd));
    } else {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(-fd), "cannot listen on %s: %s",
                    name, g_strerror(-fd));
    }
    return FALSE;
}

/**
 * kd_dial_build_peer_name:
 * @fd: a connected socket
 *
 * Names the other end for logs: `127.0.0.1:40312`, `[::1]:40312`, or `unix pid 12 uid 0`. An IPv4
 * client of a dual-stack listener is named by its IPv4 address.
 *
 * Returns: (transfer full): `unknown` when the kernel does not say
 */
char *
kd_dial_build_peer_name(int fd)
{
    struct sockaddr_storage native = {0};
    socklen_t len = sizeof(native);
    if (getpeername(fd, (struct sockaddr *)&native, &len) != 0) {
        return g_strdup("unknown");
    }
    if (native.ss_family == AF_UNIX) {
        struct ucred peer = {0};
        socklen_t peer_len = sizeof(peer);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) != 0) {
            return g_strdup("unix");
        }
        return g_strdup_printf("unix pid %d uid %u", (int)peer.pid, (unsigned)peer.uid);
    }
    struct sockaddr_in6 *inet6 = (struct sockaddr_in6 *)&native;
    if (native.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&inet6->sin6_addr)) {
        struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = inet6->sin6_port};
        memcpy(&inet.sin_addr, inet6->sin6_addr.s6_addr + 12, 4);
        memcpy(&native, &inet, sizeof(inet));
        len = sizeof(inet);
    }
    char host[NI_MAXHOST];
    char service[NI_MAXSERV];
    if (getnameinfo((struct sockaddr *)&native, len, host, sizeof(host), service, sizeof(service),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return g_strdup("unknown");
    }
    return g_strdup_printf(native.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, service);
}

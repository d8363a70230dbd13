/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a datagram comes from or goes to, the same for IPv4 and IPv6. */
#include "kdnet-address.h"

#include <arpa/inet.h>
#include <string.h>

/**
 * kdnet_address_map:
 * @ip: (out caller-allocates): ::ffff:a.b.c.d
 *
 * Says an address of IPv4 as dual sockets have it.
 */
void
kdnet_address_map(const struct in_addr *inet, struct in6_addr *ip)
{
    memset(ip, 0, sizeof *ip);
    ip->s6_addr[10] = 0xff;
    ip->s6_addr[11] = 0xff;
    memcpy(&ip->s6_addr[12], inet, sizeof *inet);
}

/**
 * kdnet_address_from_native:
 * @native: of a socket
 * @len_bytes: of @native
 * @address: (out caller-allocates): without our own
 *
 * Returns: %FALSE: neither IPv4 nor IPv6, or no port
 */
gboolean
kdnet_address_from_native(const struct sockaddr *native, size_t len_bytes, KdnetAddress *address)
{
    struct sockaddr_in inet;
    struct sockaddr_in6 inet6;

    memset(address, 0, sizeof *address);
    if (len_bytes >= sizeof inet6 && native->sa_family == AF_INET6) {
        memcpy(&inet6, native, sizeof inet6);
        address->ip = inet6.sin6_addr;
        address->port = ntohs(inet6.sin6_port);
        address->scope_id = inet6.sin6_scope_id;
    } else if (len_bytes >= sizeof inet && native->sa_family == AF_INET) {
        memcpy(&inet, native, sizeof inet);
        kdnet_address_map(&inet.sin_addr, &address->ip);
        address->port = ntohs(inet.sin_port);
    }
    return address->port != 0;
}

/**
 * kdnet_address_to_native:
 * @family: of the socket: AF_INET or AF_INET6
 * @native: (out caller-allocates)
 *
 * Returns: bytes used in @native; 0: a socket of this family can't reach @address
 */
socklen_t
kdnet_address_to_native(const KdnetAddress *address, int family, struct sockaddr_storage *native)
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6,
                                 .sin6_port = htons(address->port),
                                 .sin6_addr = address->ip,
                                 .sin6_scope_id = address->scope_id};

    memset(native, 0, sizeof *native);
    if (family == AF_INET6) {
        memcpy(native, &inet6, sizeof inet6);
        return sizeof inet6;
    }
    if (!IN6_IS_ADDR_V4MAPPED(&address->ip)) {
        return 0;
    }
    memcpy(&inet.sin_addr, &address->ip.s6_addr[12], sizeof inet.sin_addr);
    memcpy(native, &inet, sizeof inet);
    return sizeof inet;
}

/**
 * kdnet_address_is_same_host:
 *
 * Returns: whether both are one host, whatever the ports
 */
gboolean
kdnet_address_is_same_host(const KdnetAddress *a, const KdnetAddress *b)
{
    return IN6_ARE_ADDR_EQUAL(&a->ip, &b->ip) && a->scope_id == b->scope_id;
}

/**
 * kdnet_address_build_text:
 *
 * Returns: (transfer full): `192.0.2.1:50000` or `[2001:db8::1]:50000`
 */
char *
kdnet_address_build_text(const KdnetAddress *address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (IN6_IS_ADDR_V4MAPPED(&address->ip)) {
        (void)inet_ntop(AF_INET, &address->ip.s6_addr[12], text, sizeof text);
        return g_strdup_printf("%s:%u", text, address->port);
    }
    (void)inet_ntop(AF_INET6, &address->ip, text, sizeof text);
    return g_strdup_printf("[%s]:%u", text, address->port);
}

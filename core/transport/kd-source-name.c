/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of those who connect: for people, and for limits. */
#include "kd-source-name.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* The IPv4 address of a client that came to a dual-stack socket. */
static gboolean
get_ipv4(const struct sockaddr_storage *address, struct in_addr *ipv4, in_port_t *port)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        *ipv4 = in->sin_addr;
        *port = in->sin_port;
        return TRUE;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        *port = in6->sin6_port;
        memcpy(ipv4, &in6->sin6_addr.s6_addr[12], sizeof *ipv4);
        return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    }
    return FALSE;
}

static char *
build_local(int fd, gboolean has_pid)
{
    struct ucred who;
    socklen_t len = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
        return g_strdup("local");
    }
    return has_pid ? g_strdup_printf("uid %u pid %d", (guint)who.uid, (int)who.pid)
                   : g_strdup_printf("uid %u", (guint)who.uid);
}

/**
 * kd_source_name_build_peer:
 * @fd: the connection
 * @address: as accept gave it
 *
 * Returns: (transfer full): `127.0.0.1:40312`, `[::1]:40312`, `uid 1000 pid 4711`
 */
char *
kd_source_name_build_peer(int fd, const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr ipv4;
    in_port_t port;

    if (get_ipv4(address, &ipv4, &port)) {
        inet_ntop(AF_INET, &ipv4, text, sizeof text);
        return g_strdup_printf("%s:%u", text, (guint)ntohs(port));
    }
    if (address->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
        return g_strdup_printf("[%s]:%u", text, (guint)ntohs(port));
    }
    return build_local(fd, TRUE);
}

/**
 * kd_source_name_build_told:
 * @endpoint: of a transport that has accepted or dialled by itself
 * @scheme: of the transport
 *
 * Returns: (transfer full): what the transport says of its peer, or @scheme where it says nothing
 */
char *
kd_source_name_build_told(const KdEndpoint *endpoint, const char *scheme)
{
    char *peer = NULL;

    if (endpoint->facts == NULL || !g_variant_lookup(endpoint->facts, "peer", "s", &peer)) {
        peer = g_strdup(scheme);
    }
    return peer;
}

/**
 * kd_source_name_build_source:
 * @fd: the connection
 * @address: as accept gave it
 *
 * Returns: (transfer full): what limits are counted by: one IPv4 address, one IPv6 /64 (a single
 * machine has all of it), one local user
 */
char *
kd_source_name_build_source(int fd, const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr ipv4;
    in_port_t port;

    if (get_ipv4(address, &ipv4, &port)) {
        return g_strdup(inet_ntop(AF_INET, &ipv4, text, sizeof text));
    }
    if (address->ss_family == AF_INET6) {
        struct in6_addr net = ((const struct sockaddr_in6 *)address)->sin6_addr;

        memset(&net.s6_addr[8], 0, 8);
        return g_strdup_printf("%s/64", inet_ntop(AF_INET6, &net, text, sizeof text));
    }
    return build_local(fd, FALSE);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a datagram comes from or goes to, the same for IPv4 and IPv6. */
#pragma once

#include <gio/gio.h>

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/**
 * KdnetAddress:
 * @ip: of IPv4 as ::ffff:a.b.c.d
 * @port: in the host's order; 0: no address
 * @scope_id: of link-local addresses, else 0
 * @own: of ours, the one that its datagrams come to and ours shall come from; zeros: any
 *
 * An address of UDP.
 */
typedef struct {
    struct in6_addr ip;
    uint16_t port;
    uint32_t scope_id;
    struct in6_addr own;
} KdnetAddress;

void kdnet_address_map(const struct in_addr *inet, struct in6_addr *ip);
gboolean kdnet_address_from_native(const struct sockaddr *native, size_t len_bytes,
                                   KdnetAddress *address);
socklen_t kdnet_address_to_native(const KdnetAddress *address, int family,
                                  struct sockaddr_storage *native);
gboolean kdnet_address_is_same_host(const KdnetAddress *a, const KdnetAddress *b);
char *kdnet_address_build_text(const KdnetAddress *address);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one router: two ends, each a descriptor or a stream; the peer's end raw or framed. */
#pragma once

#include "kd-end.h"
#include "kd-framing.h"

typedef struct KdRoute KdRoute;

typedef enum {
    KD_SIDE_PEER = 0, /* framed, or raw: a debugger on this machine                        */
    KD_SIDE_LINE = 1, /* always raw: the link, or in a client the debugger                 */
} KdSide;

/**
 * KdRouteFuncs:
 * @preamble: the peer's; not called on a raw route
 * @frame: a whole frame of the peer other than DATA, FIN, ACK, PING and PONG. @payload is borrowed
 * @finished: everything that @side said has been given to the other side, and nothing more comes:
 *    @error 0 = its end (the peer: FIN), ECONNABORTED = the peer's connection ended without a
 * CLOSE, else errno. Called at most once for each end
 * @failed: the peer broke the protocol or was silent too long (G_IO_ERROR_TIMED_OUT), or a server's
 *    line takes nothing any more after its end (KD_ERROR_LINK_LOST); the route has stopped
 * @reached: the line has taken every byte before the offset of kd_route_hold(); from now on no byte
 *    passes until kd_route_unhold()
 * @flushed: after kd_route_flush(): nothing waits for the peer any more
 *
 * What the owner of a route is told. Every function may call any function of the route, also
 * kd_route_free(), and any of GLib: the main context turns afterwards.
 */
typedef struct {
    void (*preamble)(KdRoute *route, uint16_t major, uint16_t minor, void *user);
    void (*frame)(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user);
    void (*finished)(KdRoute *route, KdSide side, int error, void *user);
    void (*failed)(KdRoute *route, const GError *error, void *user);
    void (*reached)(KdRoute *route, void *user);
    void (*flushed)(KdRoute *route, void *user);
} KdRouteFuncs;

/**
 * KdRouteCount:
 * @from_peer: bytes that the line took
 * @from_line: bytes that were read from the line
 */
typedef struct {
    uint64_t from_peer;
    uint64_t from_line;
} KdRouteCount;

KdRoute *kd_route_new(const KdRouteFuncs *funcs, void *user);
KdRoute *kd_route_new_framed(KdRole role, const KdRouteFuncs *funcs, void *user);
void kd_route_free(KdRoute *route);
gboolean kd_route_join(KdRoute *route, KdSide side, KdEndpoint *endpoint,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_route_leave(KdRoute *route, KdSide side, KdEndpoint *endpoint);
void kd_route_stop(KdRoute *route);
KdWire *kd_route_get_wire(KdRoute *route);
void kd_route_send_preamble(KdRoute *route);
void kd_route_send(KdRoute *route, KdFrameType type, GBytes *payload);
void kd_route_shut(KdRoute *route, KdSide side);
void kd_route_hang_up(KdRoute *route);
uint32_t kd_route_get_line_flags(const KdRoute *route);
uint64_t kd_route_get_heard(const KdRoute *route);
uint64_t kd_route_get_taken(const KdRoute *route);
void kd_route_hold(KdRoute *route, uint64_t at);
void kd_route_unhold(KdRoute *route);
uint64_t kd_route_drop(KdRoute *route);
void kd_route_flush(KdRoute *route);
void kd_route_set_keepalive(KdRoute *route, gboolean is_on);
void kd_route_get_count(const KdRoute *route, KdRouteCount *count);
gboolean kd_route_is_taken(const KdRoute *route);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The net target as a host uses it, for tests: one link, and a target's socket on the other side.
 */
#pragma once

#include "kd-net-target.h"
#include "kd-test-host.h"

/**
 * KdNetLink:
 * @port: of UDP, ours
 * @notes: what was told, in order
 *
 * One opened link, or an attempt at one.
 */
typedef struct {
    KdSink sink;
    uint16_t port;
    GObject *link;
    KdEndpoint endpoint;
    KdTestDone done;
    GPtrArray *notes;
    guint n_back;
    guint n_lost;
    guint n_resyncs;
    gboolean is_closed;
} KdNetLink;

extern const KdTarget *kd_net;

void kd_net_load(void);
void kd_net_start(KdNetLink *link, GCancellable *cancellable, uint16_t port, const char *rest);
gboolean kd_net_finish(KdNetLink *link, GError **error);
gboolean kd_net_open_at(KdNetLink *link, uint16_t port, const char *rest, GError **error);
void kd_net_open(KdNetLink *link, const char *rest);
void kd_net_close(KdNetLink *link);
gboolean kd_net_has_note(const KdNetLink *link, const char *start);
void kd_net_await_note(KdNetLink *link, const char *start);

int kd_net_socket(int family, const char *address, const KdNetLink *link);
void kd_net_put(int fd, const KdNetDatagram *datagram);
gboolean kd_net_has(int fd);
void kd_net_get(int fd, KdNetDatagram *datagram);
void kd_net_connect(int fd, KdNetTarget *target);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What carries a debugger's packets: bytes of a descriptor, or datagrams. */
#pragma once

#include "kd-debugger-packet.h"

typedef struct KdDebuggerCarrier KdDebuggerCarrier;

/**
 * KdDebuggerCarrier:
 * @is_serial: KDCOM: two ids in turns and a sync bit; else ids that grow by 2
 * @send: one packet
 * @send_break_in: the one byte
 * @receive: what comes next until then, never an error without one
 * @free: closes it
 *
 * First member of each kind of carrier.
 */
struct KdDebuggerCarrier {
    gboolean is_serial;
    gboolean (*send)(KdDebuggerCarrier *carrier, const KdDebuggerPacket *packet, GError **error);
    gboolean (*send_break_in)(KdDebuggerCarrier *carrier, GError **error);
    KdDebuggerHeard (*receive)(KdDebuggerCarrier *carrier, gint64 deadline_us,
                               KdDebuggerPacket *packet, GError **error);
    void (*free)(KdDebuggerCarrier *carrier);
};

KdDebuggerCarrier *kd_debugger_carrier_new_serial(int in, int out);
KdDebuggerCarrier *kd_debugger_carrier_new_net(uint16_t port, const char *key, GError **error);
uint16_t kd_debugger_carrier_get_net_port(const KdDebuggerCarrier *carrier);
gboolean kd_debugger_carrier_poll(int fd, short events, gint64 deadline_us);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the place of kd-link-port in tests of the carrier alone: notes what it is given, and sends
 * what the test wants. */
#pragma once

#include "kd-link-port.h"

/**
 * KdUsbPort:
 * @port: (nullable): the one that was made last
 * @events: `present`, `absent`, `restarted`, each with a blank behind it
 * @notes: lines
 * @packets: (element-type GBytes): that were received
 * @n_ready: how often the carrier was ready again
 */
typedef struct {
    KdLinkPort *port;
    GString *events;
    GString *notes;
    GPtrArray *packets;
    guint n_ready;
} KdUsbPort;

extern KdUsbPort kd_usb_port;

void kd_usb_port_start(void);
void kd_usb_port_stop(void);
gboolean kd_usb_port_send(const void *bytes, size_t len_bytes);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A recording of KDNET, for tests: the datagrams of a capture file in the pcapng format. */
#pragma once

#include <gio/gio.h>

/**
 * KdNetCapture:
 * @datagrams: GBytes: the payloads of all UDP packets over IPv4, in order
 */
typedef struct {
    GPtrArray *datagrams;
} KdNetCapture;

KdNetCapture *kd_net_capture_new(const char *path, GError **error);
void kd_net_capture_free(KdNetCapture *capture);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdNetCapture, kd_net_capture_free)

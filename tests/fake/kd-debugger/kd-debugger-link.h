/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger's side of the packets: ids, acknowledgements, repeats. */
#pragma once

#include "kd-debugger-carrier.h"
#include "kd-debugger.h"

typedef struct KdDebuggerLink KdDebuggerLink;

KdDebuggerLink *kd_debugger_link_new(KdDebuggerCarrier *carrier);
void kd_debugger_link_free(KdDebuggerLink *link);
KdDebuggerCarrier *kd_debugger_link_get_carrier(const KdDebuggerLink *link);
gboolean kd_debugger_link_post(KdDebuggerLink *link, uint16_t type, const uint8_t *payload,
                               size_t len_bytes, GError **error);
gboolean kd_debugger_link_throw(KdDebuggerLink *link, uint16_t type, const uint8_t *payload,
                                size_t len_bytes, GError **error);
KdDebuggerHeard kd_debugger_link_next(KdDebuggerLink *link, gint64 deadline_us,
                                      KdDebuggerPacket *packet, GError **error);
gboolean kd_debugger_link_reset(KdDebuggerLink *link, GError **error);
gboolean kd_debugger_link_is_reset_open(const KdDebuggerLink *link);
gboolean kd_debugger_link_break_in(KdDebuggerLink *link, GError **error);
void kd_debugger_link_get_counts(const KdDebuggerLink *link, KdDebuggerCounts *counts);
uint64_t kd_debugger_link_get_restarts(const KdDebuggerLink *link);

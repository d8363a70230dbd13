/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may send how much: 64-bit byte offsets of both directions, and the windows. */
#pragma once

#include <kdsrv/kd-plugin.h>

/**
 * KdCredit:
 * @sent: DATA bytes that we sent
 * @acked: of these, how many the peer said were taken
 * @peer_window: bytes beyond @acked that the peer lets us send
 * @received: DATA bytes that the peer sent
 * @taken: of these, how many our side took
 * @reported: the largest ack that we sent
 * @window: bytes beyond @reported that we let the peer send
 */
typedef struct {
    uint64_t sent;
    uint64_t acked;
    uint64_t received;
    uint64_t taken;
    uint64_t reported;
    uint32_t peer_window;
    uint32_t window;
} KdCredit;

uint64_t kd_credit_get_available(const KdCredit *credit);
gboolean kd_credit_take_ack(KdCredit *credit, uint64_t ack,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_credit_receive(KdCredit *credit, uint32_t len_bytes,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
uint64_t kd_credit_report(KdCredit *credit);
gboolean kd_credit_is_ack_due(const KdCredit *credit);

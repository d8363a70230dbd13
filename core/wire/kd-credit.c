/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may send how much: 64-bit byte offsets of both directions, and the windows. */
#include "kd-credit.h"

#include <inttypes.h>

/* A bare ACK is sent once this part of the window is unreported: the sender then still has the
 * rest, so it never waits for a receiver that keeps up. */
#define ACK_PART 4u

/**
 * kd_credit_get_available:
 *
 * Returns: how many DATA bytes we may send now
 */
uint64_t
kd_credit_get_available(const KdCredit *credit)
{
    uint64_t in_flight = credit->sent - credit->acked;

    return in_flight < credit->peer_window ? credit->peer_window - in_flight : 0;
}

/**
 * kd_credit_take_ack:
 * @ack: of a header that the peer sent
 *
 * Notes how many of our bytes the peer has taken.
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL if @ack goes back or is beyond what we sent; nothing is
 * changed then
 */
gboolean
kd_credit_take_ack(KdCredit *credit, uint64_t ack, GError **error)
{
    if (ack < credit->acked) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                    "ack goes back from %" PRIu64 " to %" PRIu64, credit->acked, ack);
        return FALSE;
    }
    if (ack > credit->sent) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                    "ack %" PRIu64 " is beyond the %" PRIu64 " bytes sent", ack, credit->sent);
        return FALSE;
    }
    credit->acked = ack;
    return TRUE;
}

/**
 * kd_credit_receive:
 * @len_bytes: of a DATA frame
 *
 * Notes bytes that the peer sent.
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL, and `flow violation` in the text, if the peer had no
 * credit for them (kd_wire_get_close_code() tells it from other errors); nothing is changed then
 */
gboolean
kd_credit_receive(KdCredit *credit, uint32_t len_bytes, GError **error)
{
    uint64_t unreported = credit->received - credit->reported;
    uint64_t room = unreported < credit->window ? credit->window - unreported : 0;

    if (len_bytes > room) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                    "flow violation: %" PRIu32 " bytes with credit for %" PRIu64, len_bytes, room);
        return FALSE;
    }
    if (len_bytes > UINT64_MAX - credit->received) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "flow violation: more bytes than an offset can count");
        return FALSE;
    }
    credit->received += len_bytes;
    return TRUE;
}

/**
 * kd_credit_report:
 *
 * Gives the ack for a header that is sent now, and remembers it as what the peer knows.
 *
 * Returns: bytes that our side took
 */
uint64_t
kd_credit_report(KdCredit *credit)
{
    credit->reported = credit->taken;
    return credit->reported;
}

/**
 * kd_credit_is_ack_due:
 *
 * Returns: whether a bare ACK must be sent if no other frame goes out
 */
gboolean
kd_credit_is_ack_due(const KdCredit *credit)
{
    uint64_t unreported = credit->taken - credit->reported;

    return unreported > 0 && unreported >= credit->window / ACK_PART;
}

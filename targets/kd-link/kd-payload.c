/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the payload of a packet is about, as far as a link has to know. */
#include "kd-payload.h"

#include "kd-le.h"

/* In state changes: from another source than the usual */
#define ALTERNATE 0x10000u

/**
 * kd_payload_get_api:
 * @packet: of data
 *
 * Returns: the number that its payload begins with, or 0 if it is too short for one
 */
uint32_t
kd_payload_get_api(const KdPacket *packet)
{
    if (packet->payload_bytes < 4) {
        return 0;
    }
    uint32_t api = kd_le_load32(packet->payload);
    return kd_payload_is_state_change(packet) ? api & ~ALTERNATE : api;
}

/**
 * kd_payload_is_reply:
 * @packet: from the target
 *
 * Returns: whether it is the reply to a request
 */
gboolean
kd_payload_is_reply(const KdPacket *packet)
{
    return packet->type == KD_PACKET_STATE_MANIPULATE;
}

/**
 * kd_payload_is_state_change:
 *
 * Returns: whether the target says with it that it has halted, and then waits for a request
 */
gboolean
kd_payload_is_state_change(const KdPacket *packet)
{
    return packet->type == KD_PACKET_STATE_CHANGE64 || packet->type == KD_PACKET_STATE_CHANGE32;
}

/**
 * kd_payload_is_text:
 *
 * Returns: whether the target wants nothing for it but an ACK: a debug string, a trace record, or
 *    a request for control, which is granted by that
 */
gboolean
kd_payload_is_text(const KdPacket *packet)
{
    /* Open: whether a target waits for more than the ACK of a control request. */
    return packet->type == KD_PACKET_TRACE_IO || packet->type == KD_PACKET_CONTROL_REQUEST ||
           (packet->type == KD_PACKET_DEBUG_IO && kd_payload_get_api(packet) != KD_API_GET_STRING);
}

/**
 * kd_payload_is_resuming:
 * @packet: for the target
 *
 * Returns: whether a target that has taken it runs again
 */
gboolean
kd_payload_is_resuming(const KdPacket *packet)
{
    if (packet->type != KD_PACKET_STATE_MANIPULATE) {
        return FALSE;
    }
    switch (kd_payload_get_api(packet)) {
    case KD_API_CONTINUE:
    case KD_API_CONTINUE2:
    case KD_API_REBOOT:
    case KD_API_CAUSE_BUG_CHECK:
        return TRUE;
    default:
        return FALSE;
    }
}

/**
 * kd_payload_has_reply:
 * @packet: for the target
 *
 * Returns: whether the target answers it with a payload, and not by its ACK alone or by a change of
 *    its state. Some do answer that they have cleared all breakpoints, some don't: no
 */
gboolean
kd_payload_has_reply(const KdPacket *packet)
{
    uint32_t api = kd_payload_get_api(packet);

    return packet->type == KD_PACKET_STATE_MANIPULATE && !kd_payload_is_resuming(packet) &&
           api != KD_API_SWITCH_PROCESSOR && api != KD_API_CLEAR_ALL_BREAKPOINTS;
}

/**
 * kd_payload_get_reply_key:
 * @packet: a request, or a reply
 *
 * Returns: what a reply has in common with its request: of memory the address, at 16, and the
 *    length, at 24. Windows repeats both
 */
KdReplyKey
kd_payload_get_reply_key(const KdPacket *packet)
{
    KdReplyKey key = {.api = kd_payload_get_api(packet)};

    switch (key.api) {
    case KD_API_READ_VIRTUAL:
    case KD_API_WRITE_VIRTUAL:
    case KD_API_READ_CONTROL:
    case KD_API_WRITE_CONTROL:
    case KD_API_READ_PHYSICAL:
    case KD_API_WRITE_PHYSICAL:
        if (packet->payload_bytes >= 28) {
            uint64_t address = kd_le_load32(packet->payload + 16) |
                               (uint64_t)kd_le_load32(packet->payload + 20) << 32;

            /* Addresses of different lengths differ then too, but for those that nobody asks for.
             */
            key.where = address ^ (uint64_t)kd_le_load32(packet->payload + 24) << 48;
        }
        break;
    default:
        break;
    }
    return key;
}

/**
 * kd_payload_may_repeat:
 * @packet: for the target
 *
 * Returns: whether a target that carries it out twice in a row is as it was after the first time,
 *    and replies the same. Ports and breakpoints are not like that
 */
gboolean
kd_payload_may_repeat(const KdPacket *packet)
{
    if (packet->type != KD_PACKET_STATE_MANIPULATE) {
        return FALSE;
    }
    switch (kd_payload_get_api(packet)) {
    case KD_API_READ_VIRTUAL:
    case KD_API_WRITE_VIRTUAL:
    case KD_API_GET_CONTEXT:
    case KD_API_SET_CONTEXT:
    case KD_API_READ_CONTROL:
    case KD_API_WRITE_CONTROL:
    case KD_API_READ_PHYSICAL:
    case KD_API_WRITE_PHYSICAL:
    case KD_API_GET_VERSION:
    case KD_API_READ_MSR:
    case KD_API_WRITE_MSR:
    case KD_API_SEARCH:
    case KD_API_FILL:
    case KD_API_QUERY_MEMORY:
    case KD_API_GET_CONTEXT_EX:
    case KD_API_SET_CONTEXT_EX:
        return TRUE;
    default:
        return FALSE;
    }
}

/**
 * kd_payload_is_quick:
 * @packet: for the target
 *
 * Returns: whether its reply should come at once, and it may be asked for again
 */
gboolean
kd_payload_is_quick(const KdPacket *packet)
{
    uint32_t api = kd_payload_get_api(packet);

    return kd_payload_may_repeat(packet) && api != KD_API_SEARCH && api != KD_API_FILL;
}

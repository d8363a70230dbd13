/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a target is answered while no debugger listens. */
#include "kd-unattended.h"

#include "kd-le.h"
#include "kd-payload.h"

#include <string.h>

#define MANIPULATE_BYTES 56u
#define DEBUG_IO_BYTES   16u
#define FILE_IO_BYTES    64u

#define DBG_CONTINUE          0x00010002u
#define STATUS_NO_SUCH_FILE   0xC000000Fu
#define STATUS_INVALID_HANDLE 0xC0000008u

/**
 * kd_unattended_is_question:
 * @packet: of data, from the target
 *
 * Returns: whether the target goes on by itself once it is answered: it has loaded symbols, wants a
 *    line of text, or a file. An exception is for people
 */
gboolean
kd_unattended_is_question(const KdPacket *packet)
{
    uint32_t api = kd_payload_get_api(packet);

    return (kd_payload_is_state_change(packet) && api == KD_API_LOAD_SYMBOLS) ||
           (packet->type == KD_PACKET_DEBUG_IO && api == KD_API_GET_STRING) ||
           packet->type == KD_PACKET_FILE_IO;
}

/**
 * kd_unattended_ask:
 * @packet: a question
 *
 * Takes a question up, instead of the one before.
 */
void
kd_unattended_ask(KdUnattended *unattended, const KdPacket *packet)
{
    unattended->type = packet->type;
    unattended->is_seen = FALSE;
    unattended->asked_bytes = MIN(packet->payload_bytes, sizeof unattended->asked);
    memset(unattended->asked, 0, sizeof unattended->asked);
    if (unattended->asked_bytes > 0) {
        memcpy(unattended->asked, packet->payload, unattended->asked_bytes);
    }
}

static gboolean
is_state_change(const KdUnattended *unattended)
{
    return unattended->type == KD_PACKET_STATE_CHANGE64 ||
           unattended->type == KD_PACKET_STATE_CHANGE32;
}

/**
 * kd_unattended_is_answer:
 * @packet: for the target
 *
 * Returns: whether the target waits for such a packet
 */
gboolean
kd_unattended_is_answer(const KdUnattended *unattended, const KdPacket *packet)
{
    if (unattended->type == 0) {
        return FALSE;
    }
    return is_state_change(unattended) ? kd_payload_is_resuming(packet)
                                       : packet->type == unattended->type;
}

/**
 * kd_unattended_is_for_people:
 *
 * Returns: whether somebody has begun to look into it: a halt that a debugger has seen
 */
gboolean
kd_unattended_is_for_people(const KdUnattended *unattended)
{
    return is_state_change(unattended) && unattended->is_seen;
}

/**
 * kd_unattended_clear:
 *
 * There is no question any more.
 */
void
kd_unattended_clear(KdUnattended *unattended)
{
    unattended->type = 0;
}

/* Continue: api, processor level and number, status; at 16 what the debugger thinks of it */
static size_t
build_continue(const uint8_t *asked, uint8_t *answer)
{
    kd_le_store32(answer, KD_API_CONTINUE);
    memcpy(answer + 4, asked + 4, 4);
    kd_le_store32(answer + 8, DBG_CONTINUE);
    kd_le_store32(answer + 16, DBG_CONTINUE);
    return MANIPULATE_BYTES;
}

/* The question's header, without its prompt: at 8 the prompt's length, at 12 that of the text */
static size_t
build_string(const uint8_t *asked, uint8_t *answer)
{
    memcpy(answer, asked, 8);
    return DEBUG_IO_BYTES;
}

/* The question's header; at 4 the status. What is asked of a file that there never was is wrong in
 * itself. */
static size_t
build_file(const uint8_t *asked, uint8_t *answer)
{
    uint32_t api = kd_le_load32(asked);

    memcpy(answer, asked, FILE_IO_BYTES);
    kd_le_store32(answer + 4,
                  api == KD_API_CREATE_FILE ? STATUS_NO_SUCH_FILE : STATUS_INVALID_HANDLE);
    return FILE_IO_BYTES;
}

/**
 * kd_unattended_build_answer:
 * @unattended: with a question
 * @answer: (out caller-allocates): the payload
 *
 * Builds what lets the target go on: symbols were loaded: Continue; a line of text: an empty one;
 * a file: there is none.
 *
 * Returns: the packet, without an id; its payload is @answer
 */
KdPacket
kd_unattended_build_answer(const KdUnattended *unattended,
                           uint8_t answer[static KD_UNATTENDED_ANSWER_MAX_BYTES])
{
    KdPacket packet = {.type = unattended->type, .payload = answer};

    memset(answer, 0, KD_UNATTENDED_ANSWER_MAX_BYTES);
    if (is_state_change(unattended)) {
        packet.type = KD_PACKET_STATE_MANIPULATE;
        packet.payload_bytes = build_continue(unattended->asked, answer);
    } else if (unattended->type == KD_PACKET_DEBUG_IO) {
        packet.payload_bytes = build_string(unattended->asked, answer);
    } else {
        packet.payload_bytes = build_file(unattended->asked, answer);
    }
    return packet;
}

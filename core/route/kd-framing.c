/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts what a peer sends into frames and keeps the frames that wait to be sent; no I/O. */
#include "kd-framing.h"

#include <string.h>

/**
 * kd_framing_new:
 * @role: ours
 *
 * Returns: (transfer full): the framing of a connection on which nothing was said yet
 */
KdFraming *
kd_framing_new(KdRole role)
{
    KdFraming *framing = g_new0(KdFraming, 1);

    kd_wire_init(&framing->wire, role);
    framing->out = g_byte_array_new();
    framing->payload = g_byte_array_new();
    return framing;
}

/**
 * kd_framing_free:
 * @framing: (nullable): a framing
 *
 * Frees it with what waits.
 */
void
kd_framing_free(KdFraming *framing)
{
    if (framing == NULL) {
        return;
    }
    g_byte_array_unref(framing->out);
    g_byte_array_unref(framing->payload);
    g_free(framing);
}

/* Collects up to `want` bytes in the head; TRUE when they are complete. */
static gboolean
collect_head(KdFraming *framing, const uint8_t **bytes, size_t *len, size_t want)
{
    size_t n = MIN(want - framing->head_len, *len);

    memcpy(framing->head + framing->head_len, *bytes, n);
    framing->head_len += n;
    *bytes += n;
    *len -= n;
    if (framing->head_len < want) {
        return FALSE;
    }
    framing->head_len = 0;
    return TRUE;
}

static KdPieceKind
next_preamble(KdFraming *framing, const uint8_t **bytes, size_t *len, KdPiece *piece,
              GError **error)
{
    KdRole peer = framing->wire.role == KD_ROLE_SERVER ? KD_ROLE_CLIENT : KD_ROLE_SERVER;

    /* An alert, after which there is no more, is shorter. */
    if (!collect_head(framing, bytes, len, KD_PREAMBLE_BYTES) &&
        !kd_preamble_is_tls(framing->head, framing->head_len)) {
        return KD_PIECE_NONE;
    }
    framing->has_preamble = TRUE;
    if (!kd_preamble_load(framing->head, peer, &piece->major, &piece->minor, error)) {
        return KD_PIECE_ERROR;
    }
    return KD_PIECE_PREAMBLE;
}

/* Takes a header apart; the frame's payload is still to come. */
static gboolean
take_header(KdFraming *framing, const uint8_t **bytes, size_t *len)
{
    if (framing->head_len == 0 && *len >= KD_HEADER_BYTES) {
        kd_frame_header_load(&framing->header, *bytes);
        *bytes += KD_HEADER_BYTES;
        *len -= KD_HEADER_BYTES;
    } else {
        if (!collect_head(framing, bytes, len, KD_HEADER_BYTES)) {
            return FALSE;
        }
        kd_frame_header_load(&framing->header, framing->head);
    }
    framing->has_header = TRUE;
    framing->left = framing->header.length;
    return TRUE;
}

/* The whole payload of a frame that is not DATA: in place where it lies whole in what was fed. */
static gboolean
take_payload(KdFraming *framing, const uint8_t **bytes, size_t *len, KdPiece *piece)
{
    size_t n = MIN(framing->left, *len);

    if (framing->payload->len == 0 && n == framing->left) {
        piece->bytes = *bytes;
    } else {
        g_byte_array_append(framing->payload, *bytes, (guint)n);
        piece->bytes = framing->payload->data;
    }
    *bytes += n;
    *len -= n;
    framing->left -= (uint32_t)n;
    piece->len = framing->header.length;
    return framing->left == 0;
}

static KdPieceKind
next_data(KdFraming *framing, const uint8_t **bytes, size_t *len, KdPiece *piece)
{
    size_t n = MIN(framing->left, *len);

    piece->bytes = *bytes;
    piece->len = n;
    *bytes += n;
    *len -= n;
    framing->left -= (uint32_t)n;
    framing->has_header = framing->left > 0;
    return KD_PIECE_DATA;
}

/**
 * kd_framing_next:
 * @framing: a framing
 * @bytes: (inout): what the peer sent; moved past what was used
 * @len: (inout): how many bytes are left
 * @piece: (out caller-allocates): filled as the kind says
 * @error: where to put an error
 *
 * Cuts off the next piece of what the peer sent. Every header is judged before a byte of its
 * payload is kept. A frame is handed out whole, bytes of DATA as they come.
 *
 * Returns: what @piece holds; %KD_PIECE_ERROR sets @error and ends the conversation
 */
KdPieceKind
kd_framing_next(KdFraming *framing, const uint8_t **bytes, size_t *len, KdPiece *piece,
                GError **error)
{
    if (!framing->has_preamble) {
        return next_preamble(framing, bytes, len, piece, error);
    }
    if (!framing->has_header) {
        g_byte_array_set_size(framing->payload, 0);
        if (*len == 0 || !take_header(framing, bytes, len)) {
            return KD_PIECE_NONE;
        }
        framing->action = kd_wire_receive(&framing->wire, &framing->header, error);
        if (framing->action == KD_ACTION_REFUSE) {
            return KD_PIECE_ERROR;
        }
    }
    piece->header = framing->header;
    if (framing->action == KD_ACTION_FORWARD) {
        return framing->left > 0 && *len == 0 ? KD_PIECE_NONE
                                              : next_data(framing, bytes, len, piece);
    }
    if (framing->action == KD_ACTION_SKIP) {
        size_t n = MIN(framing->left, *len);

        *bytes += n;
        *len -= n;
        framing->left -= (uint32_t)n;
        framing->has_header = framing->left > 0;
        return framing->has_header ? KD_PIECE_NONE : KD_PIECE_ACK;
    }
    if (!take_payload(framing, bytes, len, piece)) {
        return KD_PIECE_NONE;
    }
    framing->has_header = FALSE;
    return framing->action == KD_ACTION_ANSWER ? KD_PIECE_PING : KD_PIECE_FRAME;
}

/**
 * kd_framing_queue_preamble:
 * @framing: a framing
 *
 * Lets our preamble wait to be sent, first of all.
 */
void
kd_framing_queue_preamble(KdFraming *framing)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];

    kd_preamble_store(preamble, framing->wire.role, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    g_byte_array_append(framing->out, preamble, sizeof preamble);
}

/**
 * kd_framing_queue:
 * @framing: a framing
 * @type: not DATA
 * @payload: (nullable): copied
 * @len: of @payload
 *
 * Lets a frame wait to be sent. Its header carries the newest ack.
 */
void
kd_framing_queue(KdFraming *framing, KdFrameType type, const void *payload, size_t len)
{
    uint8_t head[KD_HEADER_BYTES];
    KdFrameHeader header = {
        .type = (uint8_t)type,
        .length = (uint32_t)len,
        .ack = kd_credit_report(&framing->wire.credit),
    };

    kd_frame_header_store(head, &header);
    g_byte_array_append(framing->out, head, sizeof head);
    if (len > 0) {
        g_byte_array_append(framing->out, payload, (guint)len);
    }
}

/**
 * kd_framing_has_out:
 * @framing: a framing
 *
 * Returns: whether frames wait to be sent
 */
gboolean
kd_framing_has_out(const KdFraming *framing)
{
    return framing->out->len > framing->out_sent;
}

/**
 * kd_framing_sent:
 * @framing: a framing
 * @len: bytes of what waits that were written
 *
 * Takes note of what was sent. The memory is kept for the next frames.
 */
void
kd_framing_sent(KdFraming *framing, size_t len)
{
    framing->out_sent += len;
    if (framing->out_sent >= framing->out->len) {
        g_byte_array_set_size(framing->out, 0);
        framing->out_sent = 0;
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts what a peer sends into frames and keeps the frames that wait to be sent; no I/O. */
#pragma once

#include "kd-wire.h"

/**
 * KdFraming:
 * @wire: states, limits and credit
 * @out: frames other than DATA that wait to be sent, whole
 * @out_sent: bytes of @out already written
 */
typedef struct {
    KdWire wire;
    GByteArray *out;
    size_t out_sent;
    /*< private >*/
    uint8_t head[KD_HEADER_BYTES];
    size_t head_len;
    KdFrameHeader header;
    gboolean has_header;
    gboolean has_preamble;
    KdAction action;
    uint32_t left;
    GByteArray *payload;
} KdFraming;

typedef enum {
    KD_PIECE_NONE = 0,     /* all bytes are used up                                  */
    KD_PIECE_PREAMBLE = 1, /* `major` and `minor` are set                            */
    KD_PIECE_DATA = 2,     /* bytes of DATA, maybe not all of the frame's            */
    KD_PIECE_FRAME = 3,    /* a whole frame to hand on                               */
    KD_PIECE_PING = 4,     /* a whole PING to answer                                 */
    KD_PIECE_ACK = 5,      /* a header was taken, and nothing more is to be done     */
    KD_PIECE_ERROR = 6,    /* the peer broke the protocol                            */
} KdPieceKind;

/**
 * KdPiece:
 * @header: of the frame
 * @bytes: borrowed: from what was fed, or until the next call
 * @len: of @bytes
 * @major: of the peer's protocol
 * @minor: of the peer's protocol
 */
typedef struct {
    KdFrameHeader header;
    const uint8_t *bytes;
    size_t len;
    uint16_t major;
    uint16_t minor;
} KdPiece;

KdFraming *kd_framing_new(KdRole role);
void kd_framing_free(KdFraming *framing);
KdPieceKind kd_framing_next(KdFraming *framing, const uint8_t **bytes, size_t *len, KdPiece *piece,
                            GError **error);
void kd_framing_queue_preamble(KdFraming *framing);
void kd_framing_queue(KdFraming *framing, KdFrameType type, const void *payload, size_t len);
gboolean kd_framing_has_out(const KdFraming *framing);
void kd_framing_sent(KdFraming *framing, size_t len);

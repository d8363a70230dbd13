/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preamble and frame header of the session protocol: bytes in, numbers out; no I/O. */
#pragma once

#include <kdsrv/kd-plugin.h>

#define KD_PROTOCOL_MAJOR 1
#define KD_PROTOCOL_MINOR 2

#define KD_PREAMBLE_BYTES 16u
#define KD_HEADER_BYTES   16u

/* Longest payloads (PROTOCOL.md, Limits) */
#define KD_MAX_PREAUTH_BYTES  1024u /* any frame before authentication                      */
#define KD_MAX_PREAUTH_FRAMES 8u    /* of all kinds, before authentication                  */
#define KD_MAX_PREAUTH_TOTAL  8192u /* bytes with headers, before authentication            */
#define KD_MAX_CONTROL_BYTES  4096u /* every other frame but DATA and LISTED                */
#define KD_MAX_LISTED_BYTES   65536u
#define KD_MAX_DATA_BYTES     131072u /* default of HELLO; what we offer                      */
#define KD_WINDOW_BYTES       262144u /* default of HELLO; what we offer                      */
#define KD_MIN_WINDOW_BYTES   4096u
#define KD_MAX_WINDOW_BYTES   (64u * 1024u * 1024u)

typedef enum {
    KD_ROLE_CLIENT = 1,
    KD_ROLE_SERVER = 2,
} KdRole;

typedef enum {
    KD_FRAME_HELLO = 1,
    KD_FRAME_AUTH = 2,
    KD_FRAME_OPEN = 3,
    KD_FRAME_OPENED = 4,
    KD_FRAME_LIST = 5,
    KD_FRAME_LISTED = 6,
    KD_FRAME_END_SERVER = 7,
    KD_FRAME_DATA = 16,
    KD_FRAME_FIN = 17,
    KD_FRAME_ACK = 18,
    KD_FRAME_CONTROL = 24,
    KD_FRAME_RESULT = 25,
    KD_FRAME_EVENT = 26,
    KD_FRAME_PING = 32,
    KD_FRAME_PONG = 33,
    KD_FRAME_CLOSE = 40,
    /* reserved: named, and refused until a feature of HELLO grants them */
    KD_FRAME_RESUME = 48,
    KD_FRAME_RESUMED = 49,
    KD_FRAME_TAKE_OVER = 50,
    KD_FRAME_GOAWAY = 51,
    KD_FRAME_OBSERVE = 52,
    KD_FRAME_FENCE = 53,
} KdFrameType;

enum {
    KD_FRAME_OPTIONAL = 0x01, /* may be skipped by a receiver that does not know the type */
    KD_FRAME_END = 0x02,      /* DATA: the sender saw a packet end here                   */
};

/**
 * KdFrameHeader:
 * @type: #KdFrameType, or one that this version does not know
 * @flags: KD_FRAME_OPTIONAL, KD_FRAME_END
 * @channel: 0
 * @length: bytes of payload that follow
 * @ack: DATA bytes of the other direction taken so far
 */
typedef struct {
    uint8_t type;
    uint8_t flags;
    uint16_t channel;
    uint32_t length;
    uint64_t ack;
} KdFrameHeader;

void kd_preamble_store(uint8_t *out, KdRole role, uint16_t major, uint16_t minor);
gboolean kd_preamble_is_tls(const uint8_t *in, size_t len);
gboolean kd_preamble_load(const uint8_t *in, KdRole expected, uint16_t *major, uint16_t *minor,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_frame_header_store(uint8_t *out, const KdFrameHeader *header);
void kd_frame_header_load(KdFrameHeader *header, const uint8_t *in);
const char *kd_frame_get_name(uint8_t type);

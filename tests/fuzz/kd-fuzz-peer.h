/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other side of a connection under fuzz: an input read as records, and a stream in memory. */
#pragma once

#include "kd-frame.h"

/* First byte of a record; each has its mutation behind it, but RAW and FRAME their bytes. What a
 * side that behaves would say next is made anew, because a proof is of one exchange. */
typedef enum {
    KD_FUZZ_RAW = 0,      /* u16 length, bytes: as they are                                */
    KD_FUZZ_FRAME = 1,    /* type, flags, u16 length, bytes: behind a header that fits     */
    KD_FUZZ_PREAMBLE = 2, /* as it should be                                               */
    KD_FUZZ_HELLO = 3,    /* as it should be                                               */
    KD_FUZZ_FIRST = 4,    /* first step of a password                                      */
    KD_FUZZ_LAST = 5,     /* last step of a password, with what binds it                   */
    KD_FUZZ_N_RECORDS = 6,
} KdFuzzRecordKind;

/**
 * KdFuzzInput:
 * @next: first byte not read yet
 * @left: bytes from there on
 */
typedef struct {
    const uint8_t *next;
    size_t left;
} KdFuzzInput;

/**
 * KdFuzzRecord:
 * @kind: what it is
 * @type: of FRAME
 * @flags: of FRAME
 * @bytes: of RAW and FRAME, inside the input
 * @len: of @bytes
 * @flip: of the others: what a byte is changed by; 0: nothing is
 * @flip_at: which byte, modulo the length
 */
typedef struct {
    KdFuzzRecordKind kind;
    uint8_t type;
    uint8_t flags;
    const uint8_t *bytes;
    size_t len;
    uint8_t flip;
    uint16_t flip_at;
} KdFuzzRecord;

/**
 * KdFuzzPeer:
 * @said: by the side under test
 * @n_taken: bytes of @said that were taken apart
 * @n_calls: reads and writes of the side under test
 * @is_deaf: it takes nothing
 * @hangs_up: its last byte is its end
 * @is_gone: the side under test has closed
 */
typedef struct {
    GByteArray *to_say;
    GByteArray *said;
    size_t n_taken;
    size_t read_most;
    guint n_calls;
    gboolean is_deaf;
    gboolean hangs_up;
    gboolean is_gone;
    KdReadyFunc ready;
    void *user;
} KdFuzzPeer;

uint8_t kd_fuzz_take_byte(KdFuzzInput *input);
gboolean kd_fuzz_take_record(KdFuzzInput *input, KdFuzzRecord *record);
void kd_fuzz_peer_init(KdFuzzPeer *peer, size_t read_most, KdEndpoint *endpoint);
void kd_fuzz_peer_clear(KdFuzzPeer *peer);
void kd_fuzz_peer_say(KdFuzzPeer *peer, const void *bytes, size_t len);
void kd_fuzz_peer_say_record(KdFuzzPeer *peer, const KdFuzzRecord *record, GBytes *made);
gboolean kd_fuzz_peer_take(KdFuzzPeer *peer, KdRole role, KdFrameHeader *header,
                           const uint8_t **payload);
void kd_fuzz_settle(void);
GBytes *kd_fuzz_build_frame(uint8_t type, uint8_t flags, const void *bytes, size_t len);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other side of a connection under fuzz: an input read as records, and a stream in memory. */
#include "kd-fuzz-peer.h"

#include "kd-endpoint.h"

#include <errno.h>
#include <string.h>

#define N_TURNS 6 /* of the main context: as many as anything takes here */

/* ---- records ---- */

/**
 * kd_fuzz_take_byte:
 *
 * Returns: the next byte, 0 at the end
 */
uint8_t
kd_fuzz_take_byte(KdFuzzInput *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->next++;
}

static uint16_t
take_u16(KdFuzzInput *input)
{
    uint8_t low = kd_fuzz_take_byte(input);

    return (uint16_t)(low | kd_fuzz_take_byte(input) << 8);
}

/**
 * kd_fuzz_take_record:
 *
 * Returns: %FALSE at the end of the input
 */
gboolean
kd_fuzz_take_record(KdFuzzInput *input, KdFuzzRecord *record)
{
    if (input->left == 0) {
        return FALSE;
    }
    *record = (KdFuzzRecord){.kind = kd_fuzz_take_byte(input) % KD_FUZZ_N_RECORDS};
    if (record->kind == KD_FUZZ_FRAME) {
        record->type = kd_fuzz_take_byte(input);
        record->flags = kd_fuzz_take_byte(input);
    }
    if (record->kind == KD_FUZZ_FRAME || record->kind == KD_FUZZ_RAW) {
        uint16_t len = take_u16(input);

        record->len = MIN(len, input->left);
        record->bytes = input->next;
        input->next += record->len;
        input->left -= record->len;
    } else {
        record->flip = kd_fuzz_take_byte(input);
        record->flip_at = take_u16(input);
    }
    return TRUE;
}

/* ---- the stream ---- */

static gssize
on_read(KdStream *stream, void *buf, size_t len)
{
    KdFuzzPeer *peer = (KdFuzzPeer *)stream;
    size_t n = MIN(MIN(len, peer->read_most), peer->to_say->len);

    peer->n_calls++;
    if (n == 0) {
        return peer->hangs_up ? 0 : -EAGAIN;
    }
    memcpy(buf, peer->to_say->data, n);
    g_byte_array_remove_range(peer->to_say, 0, (guint)n);
    return (gssize)n;
}

static gssize
on_write(KdStream *stream, const void *buf, size_t len)
{
    KdFuzzPeer *peer = (KdFuzzPeer *)stream;

    peer->n_calls++;
    if (peer->is_deaf) {
        return -EAGAIN;
    }
    g_byte_array_append(peer->said, buf, (guint)len);
    return (gssize)len;
}

static void
on_set_ready(KdStream *stream, KdReadyFunc fn, void *user)
{
    KdFuzzPeer *peer = (KdFuzzPeer *)stream;

    peer->ready = fn;
    peer->user = user;
}

static void
on_destroy(KdStream *stream)
{
    KdFuzzPeer *peer = (KdFuzzPeer *)stream;

    peer->ready = NULL;
    peer->is_gone = TRUE;
}

static const KdStreamOps ops = {
    .struct_size = sizeof ops,
    .read = on_read,
    .write = on_write,
    .set_ready = on_set_ready,
    .destroy = on_destroy,
};

/**
 * kd_fuzz_peer_init:
 * @peer: any bytes
 * @read_most: bytes that one read gives
 * @endpoint: (out caller-allocates): for the side under test
 */
void
kd_fuzz_peer_init(KdFuzzPeer *peer, size_t read_most, KdEndpoint *endpoint)
{
    *peer = (KdFuzzPeer){
        .to_say = g_byte_array_new(), .said = g_byte_array_new(), .read_most = read_most};
    kd_endpoint_init(endpoint);
    endpoint->ops = &ops;
    endpoint->stream = (KdStream *)peer;
}

/**
 * kd_fuzz_peer_clear:
 * @peer: whose other side has closed
 */
void
kd_fuzz_peer_clear(KdFuzzPeer *peer)
{
    g_assert_true(peer->is_gone);
    g_byte_array_unref(peer->to_say);
    g_byte_array_unref(peer->said);
}

/**
 * kd_fuzz_settle:
 *
 * Lets everything happen that can happen without further input.
 */
void
kd_fuzz_settle(void)
{
    for (int i = 0; i < N_TURNS; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

/**
 * kd_fuzz_peer_say:
 *
 * Says bytes, and lets the side under test hear them all, unless it has stopped to listen.
 */
void
kd_fuzz_peer_say(KdFuzzPeer *peer, const void *bytes, size_t len)
{
    guint before;

    if (peer->is_gone || len == 0) {
        return;
    }
    g_byte_array_append(peer->to_say, bytes, (guint)len);
    do {
        before = peer->to_say->len;
        if (peer->ready != NULL) {
            peer->ready(peer->user, KD_READY_IN | KD_READY_OUT);
        }
        kd_fuzz_settle();
    } while (!peer->is_gone && peer->to_say->len > 0 && peer->to_say->len < before);
}

/**
 * kd_fuzz_build_frame:
 *
 * Returns: (transfer full): a frame with a header that fits
 */
GBytes *
kd_fuzz_build_frame(uint8_t type, uint8_t flags, const void *bytes, size_t len)
{
    KdFrameHeader header = {.type = type, .flags = flags, .length = (uint32_t)len};
    GByteArray *frame = g_byte_array_new();
    uint8_t head[KD_HEADER_BYTES];

    kd_frame_header_store(head, &header);
    g_byte_array_append(frame, head, sizeof head);
    g_byte_array_append(frame, bytes, (guint)len);
    return g_byte_array_free_to_bytes(frame);
}

/**
 * kd_fuzz_peer_say_record:
 * @made: (nullable): what the record stands for, where it has no bytes of its own
 *
 * Says what a record says, with its change.
 */
void
kd_fuzz_peer_say_record(KdFuzzPeer *peer, const KdFuzzRecord *record, GBytes *made)
{
    g_autoptr(GBytes) frame = NULL;
    g_autofree uint8_t *bytes = NULL;
    gsize len = 0;

    if (record->kind == KD_FUZZ_RAW) {
        kd_fuzz_peer_say(peer, record->bytes, record->len);
        return;
    }
    if (record->kind == KD_FUZZ_FRAME) {
        made = frame = kd_fuzz_build_frame(record->type, record->flags, record->bytes, record->len);
    }
    if (made == NULL || g_bytes_get_size(made) == 0) {
        return;
    }
    len = g_bytes_get_size(made);
    bytes = g_memdup2(g_bytes_get_data(made, NULL), len);
    bytes[record->flip_at % len] ^= record->flip;
    kd_fuzz_peer_say(peer, bytes, len);
}

/**
 * kd_fuzz_peer_take:
 * @role: of the side under test
 * @header: (out): of the frame
 * @payload: (out): of the frame, until more is said
 *
 * Takes apart what the side under test has said: every byte of it must be right.
 *
 * Returns: whether there was a whole frame
 */
gboolean
kd_fuzz_peer_take(KdFuzzPeer *peer, KdRole role, KdFrameHeader *header, const uint8_t **payload)
{
    uint16_t major = 0;
    uint16_t minor = 0;
    size_t left;

    if (peer->n_taken == 0 && peer->said->len >= KD_PREAMBLE_BYTES) {
        g_assert_true(kd_preamble_load(peer->said->data, role, &major, &minor, NULL));
        g_assert_cmpuint(major, ==, KD_PROTOCOL_MAJOR);
        peer->n_taken = KD_PREAMBLE_BYTES;
    }
    left = peer->said->len - peer->n_taken;
    if (peer->n_taken == 0 || left == 0) {
        return FALSE;
    }
    /* Everything is taken at once, so there are no parts of frames. */
    g_assert_cmpuint(left, >=, KD_HEADER_BYTES);
    kd_frame_header_load(header, peer->said->data + peer->n_taken);
    g_assert_cmpuint(left, >=, KD_HEADER_BYTES + header->length);
    g_assert_cmpuint(header->channel, ==, 0);
    g_assert_cmpuint(header->length, <=, KD_MAX_CONTROL_BYTES);
    *payload = peer->said->data + peer->n_taken + KD_HEADER_BYTES;
    peer->n_taken += KD_HEADER_BYTES + header->length;
    return TRUE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Codes of a conversation against those of PROTOCOL.md, and of conversations that differ. */
#include "kd-message.h"
#include "kd-transcript.h"
#include "wire-hex.h"
#include "wire-vectors.h"

#define HEX_OF(name, what, hex) static const char HEX_##name[] G_GNUC_UNUSED = hex;
KD_WIRE_VECTORS(HEX_OF)

#define MECHANISM "SCRAM-SHA-256"

/* Of the exchange of the vectors: the password is `pencil` */
static const char KEY[] = "d0ea7813ee45c7164a5358481029414a8243548f587d8dbabdb387a75dc76772";

static void
add_vector(KdTranscript *transcript, const char *hex, gssize flipped_bit)
{
    size_t len = 0;
    g_autofree uint8_t *bytes = wire_dup_hex(hex, &len);
    KdFrameHeader header;

    if (flipped_bit >= 0) {
        bytes[flipped_bit / 8] ^= (uint8_t)(1u << flipped_bit % 8);
    }
    kd_frame_header_load(&header, bytes);
    header.length = (uint32_t)(len - KD_HEADER_BYTES);
    kd_transcript_add_frame(transcript, &header, bytes + KD_HEADER_BYTES);
}

/* (transfer full): of the vectors, but for one bit of a HELLO */
static KdTranscript *
make_transcript(gssize client_bit, gssize server_bit)
{
    KdTranscript *transcript = kd_transcript_new();

    kd_transcript_add_preamble(transcript, KD_ROLE_CLIENT, 1, 2);
    kd_transcript_add_preamble(transcript, KD_ROLE_SERVER, 1, 2);
    add_vector(transcript, HEX_HELLO_CLIENT, client_bit);
    add_vector(transcript, HEX_HELLO_PASSWORD, server_bit);
    kd_transcript_add_mechanism(transcript, MECHANISM);
    return transcript;
}

/* (transfer full): `finished` of a vector */
static GBytes *
get_finished(const char *hex)
{
    size_t len = 0;
    g_autofree uint8_t *bytes = wire_dup_hex(hex, &len);
    g_autoptr(KdAuth) auth = kd_auth_parse(bytes + KD_HEADER_BYTES, len - KD_HEADER_BYTES, NULL);

    return g_bytes_ref(auth->finished);
}

static gboolean
is_right(KdTranscript *transcript, KdRole sender, const char *hex)
{
    size_t len = 0;
    g_autofree uint8_t *key = wire_dup_hex(KEY, &len);
    g_autoptr(GBytes) code = get_finished(hex);

    return kd_transcript_check_code(transcript, sender, key, code);
}

static void
test_vectors(void)
{
    g_autoptr(KdTranscript) transcript = make_transcript(-1, -1);
    size_t len = 0;
    g_autofree uint8_t *key = wire_dup_hex(KEY, &len);
    g_autoptr(GBytes) client = kd_transcript_build_code(transcript, KD_ROLE_CLIENT, key);
    g_autoptr(GBytes) server = kd_transcript_build_code(transcript, KD_ROLE_SERVER, key);
    g_autoptr(GBytes) right_client = get_finished(HEX_AUTH_PROOF);
    g_autoptr(GBytes) right_server = get_finished(HEX_AUTH_DONE);

    g_assert_true(g_bytes_equal(client, right_client));
    g_assert_true(g_bytes_equal(server, right_server));
    g_assert_true(is_right(transcript, KD_ROLE_CLIENT, HEX_AUTH_PROOF));
    g_assert_true(is_right(transcript, KD_ROLE_SERVER, HEX_AUTH_DONE));
}

/* What one has sent is no answer to itself. */
static void
test_reflected(void)
{
    g_autoptr(KdTranscript) transcript = make_transcript(-1, -1);

    g_assert_false(is_right(transcript, KD_ROLE_SERVER, HEX_AUTH_PROOF));
    g_assert_false(is_right(transcript, KD_ROLE_CLIENT, HEX_AUTH_DONE));
}

static void
test_sent_frame(void)
{
    g_autoptr(KdTranscript) transcript = kd_transcript_new();
    size_t len = 0;
    g_autofree uint8_t *hello = wire_dup_hex(HEX_HELLO_CLIENT, &len);
    g_autoptr(GBytes) payload = g_bytes_new(hello + KD_HEADER_BYTES, len - KD_HEADER_BYTES);

    kd_transcript_add_preamble(transcript, KD_ROLE_CLIENT, 1, 2);
    kd_transcript_add_preamble(transcript, KD_ROLE_SERVER, 1, 2);
    kd_transcript_add_sent(transcript, KD_FRAME_HELLO, payload);
    add_vector(transcript, HEX_HELLO_PASSWORD, -1);
    kd_transcript_add_mechanism(transcript, MECHANISM);
    g_assert_true(is_right(transcript, KD_ROLE_CLIENT, HEX_AUTH_PROOF));
}

/* Lengths stay as they are: with others the frame would be another one, or none. */
static void
test_flipped_hellos(void)
{
    for (gssize bit = 0; bit < (gssize)(sizeof HEX_HELLO_CLIENT - 1) * 4; bit++) {
        g_autoptr(KdTranscript) transcript = make_transcript(bit, -1);

        g_assert_true(is_right(transcript, KD_ROLE_CLIENT, HEX_AUTH_PROOF) ==
                      (bit >= 32 && bit < 64));
    }
    for (gssize bit = 0; bit < (gssize)(sizeof HEX_HELLO_PASSWORD - 1) * 4; bit++) {
        g_autoptr(KdTranscript) transcript = make_transcript(-1, bit);

        g_assert_true(is_right(transcript, KD_ROLE_SERVER, HEX_AUTH_DONE) ==
                      (bit >= 32 && bit < 64));
    }
}

static void
test_other_version(void)
{
    for (uint16_t minor = 0; minor < 3; minor++) {
        g_autoptr(KdTranscript) transcript = kd_transcript_new();

        kd_transcript_add_preamble(transcript, KD_ROLE_CLIENT, 1, minor);
        kd_transcript_add_preamble(transcript, KD_ROLE_SERVER, 1, 2);
        add_vector(transcript, HEX_HELLO_CLIENT, -1);
        add_vector(transcript, HEX_HELLO_PASSWORD, -1);
        kd_transcript_add_mechanism(transcript, MECHANISM);
        g_assert_true(is_right(transcript, KD_ROLE_CLIENT, HEX_AUTH_PROOF) == (minor == 2));
    }
}

static void
test_flipped_codes(void)
{
    g_autoptr(KdTranscript) transcript = make_transcript(-1, -1);
    g_autoptr(GBytes) right = get_finished(HEX_AUTH_PROOF);
    size_t len = 0;
    g_autofree uint8_t *key = wire_dup_hex(KEY, &len);

    for (guint bit = 0; bit < KD_FINISHED_BYTES * 8; bit++) {
        uint8_t code[KD_FINISHED_BYTES];
        g_autoptr(GBytes) wrong = NULL;

        memcpy(code, g_bytes_get_data(right, NULL), sizeof code);
        code[bit / 8] ^= (uint8_t)(1u << bit % 8);
        wrong = g_bytes_new(code, sizeof code);
        g_assert_false(kd_transcript_check_code(transcript, KD_ROLE_CLIENT, key, wrong));
    }
    for (gsize n = 0; n < KD_FINISHED_BYTES; n++) {
        g_autoptr(GBytes) part = g_bytes_new_from_bytes(right, 0, n);

        g_assert_false(kd_transcript_check_code(transcript, KD_ROLE_CLIENT, key, part));
    }
    g_assert_false(kd_transcript_check_code(transcript, KD_ROLE_CLIENT, key, NULL));
    g_assert_true(kd_transcript_check_code(transcript, KD_ROLE_CLIENT, key, right));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/transcript/codes-equal-their-vectors", test_vectors);
    g_test_add_func("/wire/transcript/each-side-has-its-own-code", test_reflected);
    g_test_add_func("/wire/transcript/frame-that-we-sent-counts-as-heard", test_sent_frame);
    g_test_add_func("/wire/transcript/every-bit-of-both-hellos-counts", test_flipped_hellos);
    g_test_add_func("/wire/transcript/versions-count", test_other_version);
    g_test_add_func("/wire/transcript/every-bit-of-a-code-counts", test_flipped_codes);
    return g_test_run();
}

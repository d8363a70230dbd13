/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both sides have said before a password was proved, and the codes that bind it; no I/O. */
#include "kd-transcript.h"

struct KdTranscript {
    GChecksum *hash;
};

/**
 * kd_transcript_new:
 *
 * Returns: (transfer full): of a conversation in which nothing was said
 */
KdTranscript *
kd_transcript_new(void)
{
    KdTranscript *transcript = g_new0(KdTranscript, 1);

    transcript->hash = g_checksum_new(G_CHECKSUM_SHA256);
    return transcript;
}

/**
 * kd_transcript_free:
 * @transcript: (nullable): a transcript
 *
 * Frees it.
 */
void
kd_transcript_free(KdTranscript *transcript)
{
    if (transcript == NULL) {
        return;
    }
    g_checksum_free(transcript->hash);
    g_free(transcript);
}

/**
 * kd_transcript_add_preamble:
 * @transcript: a transcript
 * @role: of its sender
 * @major: of its sender
 * @minor: of its sender
 *
 * Adds a preamble. What is added in which order: PROTOCOL.md, Authentication by password.
 */
void
kd_transcript_add_preamble(KdTranscript *transcript, KdRole role, uint16_t major, uint16_t minor)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];

    kd_preamble_store(preamble, role, major, minor);
    g_checksum_update(transcript->hash, preamble, sizeof preamble);
}

/**
 * kd_transcript_add_frame:
 * @transcript: a transcript
 * @header: as it was heard
 * @payload: of header->length bytes
 *
 * Adds a frame with its header.
 */
void
kd_transcript_add_frame(KdTranscript *transcript, const KdFrameHeader *header, const void *payload)
{
    uint8_t head[KD_HEADER_BYTES];

    kd_frame_header_store(head, header);
    g_checksum_update(transcript->hash, head, sizeof head);
    if (header->length > 0) {
        g_checksum_update(transcript->hash, payload, header->length);
    }
}

/**
 * kd_transcript_add_sent:
 * @transcript: a transcript
 * @type: of the frame
 * @payload: (transfer none): of the frame
 *
 * Adds a frame of ours, as it is sent before there was any DATA.
 */
void
kd_transcript_add_sent(KdTranscript *transcript, KdFrameType type, GBytes *payload)
{
    gsize len = 0;
    const void *bytes = g_bytes_get_data(payload, &len);
    KdFrameHeader header = {.type = (uint8_t)type, .length = (uint32_t)len};

    kd_transcript_add_frame(transcript, &header, bytes);
}

/**
 * kd_transcript_add_mechanism:
 * @transcript: a transcript
 * @mechanism: of the client's choice
 *
 * Adds the last part: from now on there are codes.
 */
void
kd_transcript_add_mechanism(KdTranscript *transcript, const char *mechanism)
{
    g_checksum_update(transcript->hash, (const guchar *)mechanism, -1);
}

static void
make_code(const KdTranscript *transcript, KdRole sender, const uint8_t *key,
          uint8_t code[KD_FINISHED_BYTES])
{
    const char *label =
        sender == KD_ROLE_CLIENT ? "kdsrv client finished" : "kdsrv server finished";
    g_autoptr(GChecksum) hash = g_checksum_copy(transcript->hash);
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, key, KD_TRANSCRIPT_KEY_BYTES);
    uint8_t digest[32];
    gsize len = sizeof digest;

    g_checksum_get_digest(hash, digest, &len);
    g_hmac_update(hmac, (const guchar *)label, -1);
    g_hmac_update(hmac, digest, (gssize)len);
    len = KD_FINISHED_BYTES;
    g_hmac_get_digest(hmac, code, &len);
}

/**
 * kd_transcript_build_code:
 * @transcript: complete
 * @sender: whose code
 * @key: of the exchange
 *
 * Returns: (transfer full): `finished` of AUTH, %KD_FINISHED_BYTES
 */
GBytes *
kd_transcript_build_code(const KdTranscript *transcript, KdRole sender,
                         const uint8_t key[KD_TRANSCRIPT_KEY_BYTES])
{
    uint8_t code[KD_FINISHED_BYTES];

    make_code(transcript, sender, key, code);
    return g_bytes_new(code, sizeof code);
}

/**
 * kd_transcript_check_code:
 * @transcript: complete
 * @sender: whose code
 * @key: of the exchange
 * @code: (nullable): as it was heard
 *
 * Takes as long for a wrong code as for the right one.
 *
 * Returns: whether @sender has said and heard what we have
 */
gboolean
kd_transcript_check_code(const KdTranscript *transcript, KdRole sender,
                         const uint8_t key[KD_TRANSCRIPT_KEY_BYTES], GBytes *code)
{
    gsize len = 0;
    const uint8_t *said = code != NULL ? g_bytes_get_data(code, &len) : NULL;
    uint8_t right[KD_FINISHED_BYTES];
    uint8_t difference = 0;

    if (len != sizeof right) {
        return FALSE;
    }
    make_code(transcript, sender, key, right);
    for (gsize i = 0; i < sizeof right; i++) {
        difference |= (uint8_t)(said[i] ^ right[i]);
    }
    return difference == 0;
}

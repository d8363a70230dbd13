/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a side of TLS that behaves says to the one under fuzz, as inputs. */
#include "kd-fuzz-tls.h"

#include <errno.h>
#include <string.h>

#define N_TURNS 16

/* A conversation with a side that behaves; its chunks become the input. */
typedef struct {
    KdFuzzTls run;
    gnutls_session_t foreign;
    GByteArray *chunk;
    GByteArray *input;
    size_t n_said; /* inside TLS */
} Talk;

static ssize_t
on_push(gnutls_transport_ptr_t ptr, const void *buf, size_t len)
{
    Talk *talk = ptr;

    g_byte_array_append(talk->chunk, buf, (guint)len);
    return (ssize_t)len;
}

static ssize_t
on_pull(gnutls_transport_ptr_t ptr, void *buf, size_t len)
{
    Talk *talk = ptr;
    KdFuzzPeer *peer = &talk->run.peer;
    size_t n = MIN(len, peer->said->len - peer->n_taken);

    if (n == 0) {
        gnutls_transport_set_errno(talk->foreign, EAGAIN);
        return -1;
    }
    memcpy(buf, peer->said->data + peer->n_taken, n);
    peer->n_taken += n;
    return (ssize_t)n;
}

static void
append_chunk(GByteArray *input, const uint8_t *bytes, size_t len)
{
    uint8_t head[] = {(uint8_t)len, (uint8_t)(len >> 8)};

    g_assert_cmpuint(len, <=, G_MAXUINT16);
    g_byte_array_append(input, head, sizeof head);
    g_byte_array_append(input, bytes, (guint)len);
}

/* Lets the side under test hear what the other one has said. */
static void
pass(Talk *talk)
{
    if (talk->chunk->len > 0) {
        append_chunk(talk->input, talk->chunk->data, talk->chunk->len);
        kd_fuzz_tls_draw(KD_FUZZ_OURS);
        kd_fuzz_tls_say(&talk->run, talk->chunk->data, talk->chunk->len);
        g_byte_array_set_size(talk->chunk, 0);
    }
    kd_fuzz_tls_draw(KD_FUZZ_THEIRS);
}

static void
say_words(Talk *talk, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t at = talk->n_said % sizeof kd_fuzz_tls_words;
        ssize_t n = gnutls_record_send(talk->foreign, kd_fuzz_tls_words + at,
                                       MIN(len - i, sizeof kd_fuzz_tls_words - at));

        g_assert_cmpint(n, >, 0);
        talk->n_said += (size_t)n;
        i += (size_t)n;
    }
    pass(talk);
}

static void
talk_begin(Talk *talk, uint8_t options)
{
    *talk = (Talk){.chunk = g_byte_array_new(), .input = g_byte_array_new()};
    kd_fuzz_tls_begin(&talk->run, options, 0);
    kd_fuzz_tls_draw(KD_FUZZ_THEIRS);
    talk->foreign = kd_fuzz_tls_new_foreign(options);
    gnutls_transport_set_ptr(talk->foreign, talk);
    gnutls_transport_set_push_function(talk->foreign, on_push);
    gnutls_transport_set_pull_function(talk->foreign, on_pull);
}

/* (transfer full): what was said, behind the two bytes of options */
static GByteArray *
record(uint8_t options, size_t *n_said)
{
    Talk talk;
    int code = GNUTLS_E_AGAIN;

    talk_begin(&talk, options);
    for (int i = 0; i < N_TURNS && code != 0; i++) {
        code = gnutls_handshake(talk.foreign);
        g_assert_true(code == 0 || code == GNUTLS_E_AGAIN);
        pass(&talk);
    }
    g_assert_cmpint(code, ==, 0);
    say_words(&talk, 5);
    say_words(&talk, 700);
    if ((options & KD_FUZZ_TLS_OLD) == 0) {
        g_assert_cmpint(gnutls_session_key_update(talk.foreign, GNUTLS_KU_PEER), ==, 0);
    }
    say_words(&talk, 64);
    (void)gnutls_bye(talk.foreign, GNUTLS_SHUT_WR);
    pass(&talk);
    g_assert_true(talk.run.has_ended);
    g_assert_cmpuint(talk.run.n_got, ==, talk.n_said);
    *n_said = talk.n_said;
    kd_fuzz_tls_draw(KD_FUZZ_OURS);
    kd_fuzz_tls_end(&talk.run);
    gnutls_deinit(talk.foreign);
    g_byte_array_unref(talk.chunk);
    return talk.input;
}

/**
 * kd_fuzz_seeds_check:
 *
 * Asserts that what was recorded is understood once more, over a stream and over a descriptor: else
 * nothing would ever be found behind the first message.
 */
void
kd_fuzz_seeds_check(void)
{
    static const uint8_t kinds[] = {0, KD_FUZZ_TLS_OLD, KD_FUZZ_TLS_ASKS,
                                    KD_FUZZ_TLS_OLD | KD_FUZZ_TLS_ASKS};

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        size_t n_said = 0;
        g_autoptr(GByteArray) chunks = record(kinds[i], &n_said);

        KdFuzzInput input = {chunks->data, chunks->len};

        g_assert_cmpuint(kd_fuzz_tls_repeat(kinds[i], 0, input), ==, n_said);
        g_assert_cmpuint(kd_fuzz_tls_repeat(kinds[i], 1, input), ==, n_said);
        g_assert_cmpuint(kd_fuzz_tls_repeat(kinds[i] | KD_FUZZ_TLS_SOCKET, 0, input), ==, n_said);
    }
}

static void
write_seed(const char *folder, const char *name, uint8_t options, uint8_t most,
           const GByteArray *chunks)
{
    g_autoptr(GByteArray) input = g_byte_array_new();
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    g_byte_array_append(input, &options, 1);
    g_byte_array_append(input, &most, 1);
    g_byte_array_append(input, chunks->data, chunks->len);
    (void)g_file_set_contents(path, (const char *)input->data, input->len, &error);
    g_assert_no_error(error);
}

/**
 * kd_fuzz_seeds_write:
 * @folder: where to
 *
 * Writes inputs.
 */
void
kd_fuzz_seeds_write(const char *folder)
{
    static const struct {
        const char *name;
        uint8_t options;
        uint8_t added;
        uint8_t most;
    } seeds[] = {
        {"tls13", 0, 0, 0},
        {"tls13-socket", 0, KD_FUZZ_TLS_SOCKET, 0},
        {"tls13-byte-by-byte", 0, 0, 1},
        {"tls13-deaf", 0, KD_FUZZ_TLS_DEAF, 0},
        {"tls13-cut", 0, KD_FUZZ_TLS_ENDS, 0},
        {"tls13-cut-socket", 0, KD_FUZZ_TLS_ENDS | KD_FUZZ_TLS_SOCKET, 0},
        {"tls13-certificate", KD_FUZZ_TLS_ASKS, 0, 0},
        {"tls13-certificate-unknown", KD_FUZZ_TLS_ASKS, KD_FUZZ_TLS_BLIND, 0},
        {"tls12", KD_FUZZ_TLS_OLD, 0, 0},
        {"tls12-socket", KD_FUZZ_TLS_OLD, KD_FUZZ_TLS_SOCKET, 0},
        {"tls12-certificate", KD_FUZZ_TLS_OLD | KD_FUZZ_TLS_ASKS, 0, 0},
        {"tls12-certificate-unknown", KD_FUZZ_TLS_OLD | KD_FUZZ_TLS_ASKS, KD_FUZZ_TLS_BLIND, 0},
        {"other-version", 0, KD_FUZZ_TLS_OLD, 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(seeds); i++) {
        size_t n_said = 0;
        g_autoptr(GByteArray) chunks = record(seeds[i].options, &n_said);

        write_seed(folder, seeds[i].name, seeds[i].options | seeds[i].added, seeds[i].most, chunks);
    }
}

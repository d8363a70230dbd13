/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One side of TLS under fuzz. Its random numbers are the same in every run, so an input may be what
 * another side once said to it, to the last record. */
#pragma once

#include "kd-end.h"
#include "kd-fuzz-peer.h"
#include "kd-tls-config-private.h"

/* First byte of an input; the second: most bytes that one read gives, 0 = any. Chunks follow: u16
 * length, bytes. */
enum {
    KD_FUZZ_TLS_OLD = 0x01,    /* TLS 1.2 and nothing newer                                */
    KD_FUZZ_TLS_SOCKET = 0x02, /* over a descriptor, not over a plugin's stream            */
    KD_FUZZ_TLS_ASKS = 0x04,   /* the server asks for a certificate, and the client has one */
    KD_FUZZ_TLS_ENDS = 0x08,   /* the other side hangs up behind its last chunk            */
    KD_FUZZ_TLS_DEAF = 0x10,   /* the other side takes nothing; not over a descriptor      */
    KD_FUZZ_TLS_BLIND = 0x20,  /* we know nobody's certificate                             */
};

/* Which random numbers are drawn */
typedef enum {
    KD_FUZZ_OURS = 0,
    KD_FUZZ_THEIRS = 1,
} KdFuzzSide;

/**
 * KdFuzzTls:
 * @options: KD_FUZZ_TLS_*
 * @peer: the other side of a stream
 * @fd: the other side of a descriptor, or -1
 * @end: (nullable): inside TLS
 * @n_told: how often the handshake has ended
 * @has_succeeded: and well
 * @has_ended: the other side's direction, inside TLS
 * @n_got: bytes that came inside TLS, all of them from #kd_fuzz_tls_words
 *
 * One run.
 */
typedef struct {
    uint8_t options;
    KdFuzzPeer peer;
    int fd;
    KdTlsHandshake *handshake;
    KdEnd *end;
    guint n_told;
    gboolean has_succeeded;
    gboolean has_ended;
    size_t n_got;
} KdFuzzTls;

/* All that is ever said inside TLS, again and again: nobody can say anything else who does not know
 * the keys. */
extern const char kd_fuzz_tls_words[64];

void kd_fuzz_tls_start(KdTlsRole role, int argc, char **argv);
size_t kd_fuzz_tls_repeat(uint8_t options, uint8_t most, KdFuzzInput chunks);
void kd_fuzz_tls_begin(KdFuzzTls *run, uint8_t options, uint8_t most);
void kd_fuzz_tls_say(KdFuzzTls *run, const uint8_t *bytes, size_t len);
void kd_fuzz_tls_end(KdFuzzTls *run);
void kd_fuzz_tls_draw(KdFuzzSide side);
gnutls_session_t kd_fuzz_tls_new_foreign(uint8_t options);

void kd_fuzz_seeds_check(void);
void kd_fuzz_seeds_write(const char *folder);

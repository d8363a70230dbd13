/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS 1.3 on a socket, as cheap as it gets: many records for each system call.
 *
 * GnuTLS by itself reads each record in two steps and writes each in one. Here it reads from a
 * buffer that was filled in one read, and writes into one that goes out in one write. An idle
 * session has neither: each thread keeps one of both to lend. */
#include "bench-tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_BYTES 16384u
/* Eight full records and one for the head, each with header, type and tag */
#define SPACE_BYTES      (BENCH_TLS_MAX_BYTES + RECORD_BYTES)
#define PRIORITIES       "NONE:+VERS-TLS1.3:+AES-256-GCM:+AEAD:+ECDHE-ECDSA:+GROUP-X25519:+SIGN-ALL"
#define VALID_FROM_S     (-3600)
#define VALID_TO_S       (30 * 24 * 3600)
#define MAX_PEM_BYTES    8192u
#define CERTIFICATE_NAME "localhost"

/**
 * Space:
 * @bytes: (nullable): %NULL where @at equals @end
 */
typedef struct {
    uint8_t *bytes;
    size_t at;
    size_t end;
} Space;

struct BenchTls {
    gnutls_session_t session;
    int fd;
    gboolean may_pull;   /* from the socket, beside what is here already */
    gboolean is_starved; /* there was nothing to pull                    */
    gboolean was_short;  /* the last read left nothing in the socket     */
    gboolean is_at_end;  /* of the socket                                */
    Space in;            /* ciphertext                                   */
    Space out;           /* the same                                     */
};

static gnutls_certificate_credentials_t server_credentials;
static gnutls_certificate_credentials_t client_credentials;
static gnutls_priority_t priorities;
static _Thread_local uint8_t *spare_in;
static _Thread_local uint8_t *spare_out;

/* ---- buffers -------------------------------------------------------------------------------- */

static void
borrow(Space *space, uint8_t **spare)
{
    if (space->bytes == NULL) {
        space->bytes = *spare != NULL ? g_steal_pointer(spare) : g_malloc(SPACE_BYTES);
        space->at = space->end = 0;
    }
}

static void
give_back_if_empty(Space *space, uint8_t **spare)
{
    if (space->bytes == NULL || space->at < space->end) {
        return;
    }
    if (*spare == NULL) {
        *spare = g_steal_pointer(&space->bytes);
    }
    g_clear_pointer(&space->bytes, g_free);
    space->at = space->end = 0;
}

/**
 * bench_tls_flush:
 *
 * Sends ciphertext that waits.
 *
 * Returns: 0 when none waits any more, or -errno, -EAGAIN when more can't go now.
 */
int
bench_tls_flush(BenchTls *tls)
{
    while (tls->out.at < tls->out.end) {
        ssize_t n = write(tls->fd, tls->out.bytes + tls->out.at, tls->out.end - tls->out.at);

        if (n < 0) {
            return -errno;
        }
        tls->out.at += (size_t)n;
    }
    give_back_if_empty(&tls->out, &spare_out);
    return 0;
}

/* Sends first: the other side may wait for it, and so would this one. */
static ssize_t
pull(gnutls_transport_ptr_t user, void *bytes, size_t len)
{
    BenchTls *tls = user;

    if (tls->in.at == tls->in.end) {
        ssize_t n;
        int sent;

        tls->is_starved = !tls->may_pull;
        if (!tls->may_pull) {
            gnutls_transport_set_errno(tls->session, EAGAIN);
            return -1;
        }
        sent = bench_tls_flush(tls);
        if (sent < 0 && sent != -EAGAIN) {
            gnutls_transport_set_errno(tls->session, -sent);
            return -1;
        }
        borrow(&tls->in, &spare_in);
        n = read(tls->fd, tls->in.bytes, SPACE_BYTES);
        tls->was_short = n < (ssize_t)SPACE_BYTES;
        if (n <= 0) {
            tls->is_starved = n < 0;
            tls->is_at_end = n == 0;
            gnutls_transport_set_errno(tls->session, n < 0 ? errno : 0);
            return n;
        }
        tls->in.at = 0;
        tls->in.end = (size_t)n;
    }
    len = MIN(len, tls->in.end - tls->in.at);
    memcpy(bytes, tls->in.bytes + tls->in.at, len);
    tls->in.at += len;
    return (ssize_t)len;
}

static ssize_t
push(gnutls_transport_ptr_t user, const giovec_t *parts, int n_parts)
{
    BenchTls *tls = user;
    size_t sum = 0;

    for (int i = 0; i < n_parts; i++) {
        sum += parts[i].iov_len;
    }
    borrow(&tls->out, &spare_out);
    if (sum > SPACE_BYTES - tls->out.end) {
        gnutls_transport_set_errno(tls->session, ENOBUFS);
        return -1;
    }
    for (int i = 0; i < n_parts; i++) {
        memcpy(tls->out.bytes + tls->out.end, parts[i].iov_base, parts[i].iov_len);
        tls->out.end += parts[i].iov_len;
    }
    return (ssize_t)sum;
}

/* ---- set-up --------------------------------------------------------------------------------- */

static gboolean
fail(const char *what, int result, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", what, gnutls_strerror(result));
    return FALSE;
}

static int
fill_certificate(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
    static const uint8_t serial[] = {0x4b, 0x44};
    time_t now = time(NULL);
    int result = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                              GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);

    if (result < 0) {
        return result;
    }
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, serial, sizeof serial);
    gnutls_x509_crt_set_activation_time(certificate, now + VALID_FROM_S);
    gnutls_x509_crt_set_expiration_time(certificate, now + VALID_TO_S);
    gnutls_x509_crt_set_dn(certificate, "CN=" CERTIFICATE_NAME, NULL);
    gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, CERTIFICATE_NAME,
                                         strlen(CERTIFICATE_NAME), GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
    gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
    gnutls_x509_crt_set_key(certificate, key);
    return gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
}

/**
 * bench_tls_build_identity:
 *
 * Makes a key on P-256 and a certificate that signs itself.
 *
 * Returns: (transfer full): both, as PEM.
 */
char *
bench_tls_build_identity(GError **error)
{
    gnutls_x509_crt_t certificate = NULL;
    gnutls_x509_privkey_t key = NULL;
    g_autofree char *pem = g_malloc0(2 * MAX_PEM_BYTES);
    size_t crt_len = MAX_PEM_BYTES;
    size_t key_len = MAX_PEM_BYTES - 1;
    int result;

    gnutls_x509_crt_init(&certificate);
    gnutls_x509_privkey_init(&key);
    result = fill_certificate(certificate, key);
    if (result >= 0) {
        result = gnutls_x509_crt_export(certificate, GNUTLS_X509_FMT_PEM, pem, &crt_len);
    }
    if (result >= 0) {
        char *rest = pem + strlen(pem);

        result = gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                                  rest, &key_len);
    }
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    if (result < 0) {
        fail("cannot make a certificate", result, error);
        return NULL;
    }
    return g_steal_pointer(&pem);
}

/**
 * bench_tls_load_identity:
 * @path: what bench_tls_build_identity() gave
 *
 * Loads what the servers of this process show.
 *
 * Returns: whether it could be read.
 */
gboolean
bench_tls_load_identity(const char *path, GError **error)
{
    int result;

    gnutls_certificate_allocate_credentials(&server_credentials);
    result =
        gnutls_certificate_set_x509_key_file(server_credentials, path, path, GNUTLS_X509_FMT_PEM);
    return result >= 0 || fail(path, result, error);
}

static BenchTls *
new_session(int fd, unsigned flags)
{
    BenchTls *tls = g_new0(BenchTls, 1);

    if (priorities == NULL) {
        gnutls_priority_init(&priorities, PRIORITIES, NULL);
        gnutls_certificate_allocate_credentials(&client_credentials);
    }
    tls->fd = fd;
    tls->may_pull = TRUE;
    gnutls_init(&tls->session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);
    gnutls_priority_set(tls->session, priorities);
    gnutls_handshake_set_timeout(tls->session, 0);
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_vec_push_function(tls->session, push);
    return tls;
}

/**
 * bench_tls_new_client:
 * @fd: connected; may wait or not
 *
 * Takes any certificate: whom one measures one has started oneself.
 *
 * Returns: (transfer full): before its handshake.
 */
BenchTls *
bench_tls_new_client(int fd)
{
    BenchTls *tls = new_session(fd, GNUTLS_CLIENT);

    gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, client_credentials);
    return tls;
}

/**
 * bench_tls_new_server:
 * @fd: connected; may wait or not
 *
 * Returns: (transfer full): before its handshake.
 */
BenchTls *
bench_tls_new_server(int fd)
{
    BenchTls *tls = new_session(fd, GNUTLS_SERVER);

    gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, server_credentials);
    return tls;
}

/**
 * bench_tls_free:
 *
 * Frees the session; the descriptor stays open.
 */
void
bench_tls_free(BenchTls *tls)
{
    gnutls_deinit(tls->session);
    g_free(tls->in.bytes);
    g_free(tls->out.bytes);
    g_free(tls);
}

/* ---- the stream ----------------------------------------------------------------------------- */

/**
 * bench_tls_has_unsent:
 *
 * Returns: whether ciphertext waits for room in the socket.
 */
gboolean
bench_tls_has_unsent(const BenchTls *tls)
{
    return tls->out.at < tls->out.end;
}

static int
get_errno(int result)
{
    return result == GNUTLS_E_AGAIN                   ? -EAGAIN
           : result == GNUTLS_E_PREMATURE_TERMINATION ? -ECONNRESET
           : result == GNUTLS_E_PULL_ERROR            ? -ECONNRESET
                                                      : -EPROTO;
}

/**
 * bench_tls_shake_hands:
 *
 * Goes on with the handshake.
 *
 * Returns: 0 when it has ended well and all of it is sent; or -errno, -EAGAIN when it waits.
 */
int
bench_tls_shake_hands(BenchTls *tls)
{
    int result;
    int sent;

    tls->may_pull = TRUE;
    do {
        result = gnutls_handshake(tls->session);
        sent = bench_tls_flush(tls);
    } while (result < 0 && result != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(result) && sent == 0);
    give_back_if_empty(&tls->in, &spare_in);
    return result < 0 ? get_errno(result) : sent;
}

/**
 * bench_tls_read:
 *
 * Takes what one read of the socket brings, in as many records as that is. Has to be called again
 * until -EAGAIN: the socket does not tell what is here already.
 *
 * Returns: bytes; 0 at the end; or -errno.
 */
ssize_t
bench_tls_read(BenchTls *tls, uint8_t *bytes, size_t len_bytes)
{
    size_t got = 0;
    ssize_t n = 1;

    tls->may_pull = TRUE;
    tls->is_starved = FALSE;
    while (got < len_bytes) {
        n = gnutls_record_recv(tls->session, bytes + got, len_bytes - got);
        if (n > 0) {
            got += (size_t)n;
            tls->may_pull = FALSE;
        } else if (n == 0 || tls->is_starved || gnutls_error_is_fatal((int)n)) {
            break; /* and else it was a record without bytes of the stream, a ticket maybe */
        }
    }
    give_back_if_empty(&tls->in, &spare_in);
    return got > 0 ? (ssize_t)got : n < 0 ? get_errno((int)n) : 0;
}

/**
 * bench_tls_is_drained:
 *
 * Returns: whether all that the socket had is shown, so that its next edge says when there is more.
 */
gboolean
bench_tls_is_drained(const BenchTls *tls)
{
    return tls->was_short && !tls->is_at_end && tls->in.at == tls->in.end &&
           gnutls_record_check_pending(tls->session) == 0;
}

static int
encrypt(BenchTls *tls, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = gnutls_record_send(tls->session, bytes, MIN(len, RECORD_BYTES));

        if (n < 0) {
            return -EPROTO;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/**
 * bench_tls_write:
 * @head: goes before @bytes, in the same record
 *
 * Takes all of it, unless earlier ciphertext still waits for room.
 *
 * Returns: how many bytes were taken, with those of @head; or -errno, -EAGAIN when none can be.
 */
ssize_t
bench_tls_write(BenchTls *tls, const uint8_t *head, size_t head_bytes, const uint8_t *bytes,
                size_t len_bytes)
{
    int result = bench_tls_flush(tls);

    g_return_val_if_fail(head_bytes <= BENCH_TLS_MAX_HEAD_BYTES, -EINVAL);
    if (result < 0) {
        return result;
    }
    len_bytes = MIN(len_bytes, BENCH_TLS_MAX_BYTES);
    if (head_bytes > 0) {
        uint8_t first[RECORD_BYTES];
        size_t with_head = MIN(len_bytes, sizeof first - head_bytes);

        memcpy(first, head, head_bytes);
        memcpy(first + head_bytes, bytes, with_head);
        result = encrypt(tls, first, head_bytes + with_head);
        bytes += with_head;
        result = result == 0 ? encrypt(tls, bytes, len_bytes - with_head) : result;
    } else {
        result = encrypt(tls, bytes, len_bytes);
    }
    if (result == 0) {
        result = bench_tls_flush(tls);
    }
    return result < 0 && result != -EAGAIN ? result : (ssize_t)(head_bytes + len_bytes);
}

/**
 * bench_tls_say_bye:
 *
 * Says that nothing more comes, and ends that direction of the socket.
 *
 * Returns: 0 or -errno.
 */
int
bench_tls_say_bye(BenchTls *tls)
{
    int result = gnutls_bye(tls->session, GNUTLS_SHUT_WR);

    result = result < 0 ? get_errno(result) : bench_tls_flush(tls);
    shutdown(tls->fd, SHUT_WR);
    return result;
}

/**
 * bench_tls_describe:
 *
 * Returns: (transfer full): version, key exchange and cipher, as they were agreed upon.
 */
char *
bench_tls_describe(const BenchTls *tls)
{
    char *text = gnutls_session_get_desc(tls->session);
    char *copy = g_strdup(text);

    gnutls_free(text);
    return copy;
}

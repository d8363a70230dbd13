/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One SCRAM-SHA-256(-PLUS) exchange (RFC 5802, RFC 7677, RFC 9266), either side; no I/O. */
#include "kd-scram.h"

#include <kdsrv/kd-plugin.h>

#include <gnutls/crypto.h>
#include <gsasl.h>
#include <string.h>

#define KEY_LABEL      "kdsrv session key"
#define MAX_STEP_BYTES 1024u

struct KdScram {
    gboolean is_server;
    gboolean is_bound;
    KdPassword *password;
    Gsasl_session *session;
    GString *auth_message; /* of RFC 5802, section 3; grows with the steps */
    guint n_steps;
    gboolean is_over;    /* done, or failed: there is no next step */
    const char *refusal; /* why the callback gave nothing; NULL: it did not refuse */
    uint8_t server_key[KD_VERIFIER_KEY_BYTES];
    gboolean has_key;
    uint8_t key[KD_SCRAM_KEY_BYTES];
};

/* ---- what the library asks for ---- */

static void
set_hex(Gsasl_session *session, Gsasl_property property, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * KD_VERIFIER_KEY_BYTES + 1] = {0};

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[(uint8_t)bytes[i] >> 4];
        text[2 * i + 1] = digits[(uint8_t)bytes[i] & 15];
    }
    (void)gsasl_property_set(session, property, text);
    kd_secret_wipe(text, sizeof text);
}

/* The client's work: as much of it as the server says, within limits. */
static gboolean
derive(KdScram *scram, guint iterations, const uint8_t *salt, size_t salt_len)
{
    const char *text = kd_secret_get_text(kd_password_get_text(scram->password));
    char salted[GSASL_HASH_MAX_SIZE] = {0};
    char client_key[GSASL_HASH_MAX_SIZE] = {0};
    char server_key[GSASL_HASH_MAX_SIZE] = {0};
    char stored_key[GSASL_HASH_MAX_SIZE] = {0};
    int rc =
        gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, text, iterations, (const char *)salt,
                                          salt_len, salted, client_key, server_key, stored_key);

    if (rc == GSASL_OK) {
        memcpy(scram->server_key, server_key, sizeof scram->server_key);
        set_hex(scram->session, GSASL_SCRAM_SALTED_PASSWORD, salted, KD_VERIFIER_KEY_BYTES);
    }
    kd_secret_wipe(salted, sizeof salted);
    kd_secret_wipe(client_key, sizeof client_key);
    kd_secret_wipe(server_key, sizeof server_key);
    kd_secret_wipe(stored_key, sizeof stored_key);
    return rc == GSASL_OK;
}

/* A server that may choose the count may keep us busy, or learn what a fast guess would tell it. */
static gboolean
judge_and_derive(KdScram *scram)
{
    const char *count = gsasl_property_fast(scram->session, GSASL_SCRAM_ITER);
    const char *salt = gsasl_property_fast(scram->session, GSASL_SCRAM_SALT);
    uint8_t salt_bytes[KD_VERIFIER_MAX_SALT_BYTES];
    guint64 iterations = 0;
    size_t salt_len = 0;

    if (count == NULL ||
        !g_ascii_string_to_unsigned(count, 10, KD_PASSWORD_MIN_ITERATIONS,
                                    KD_PASSWORD_MAX_ITERATIONS, &iterations, NULL)) {
        scram->refusal = "the server asks for a number of iterations beyond 4096 to 262144";
    } else if (salt == NULL || !kd_verifier_decode_salt(salt, salt_bytes, &salt_len)) {
        scram->refusal = "the server's salt is not one of 8 to 64 bytes";
    } else if (!derive(scram, (guint)iterations, salt_bytes, salt_len)) {
        scram->refusal = "can't derive keys from the password";
    }
    return scram->refusal == NULL;
}

static int
on_property(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    KdScram *scram = session != NULL ? gsasl_session_hook_get(session) : NULL;

    (void)context;
    if (scram == NULL || scram->is_server) {
        return GSASL_NO_CALLBACK;
    }
    if (property == GSASL_SCRAM_SALTED_PASSWORD) {
        return scram->refusal == NULL && judge_and_derive(scram) ? GSASL_OK : GSASL_NO_PASSWORD;
    }
    /* Asked for next when the other is refused: the library would count for itself. */
    return property == GSASL_PASSWORD ? GSASL_NO_PASSWORD : GSASL_NO_CALLBACK;
}

/* (transfer none) (nullable): the library's, for the life of the process */
static Gsasl *
get_context(void)
{
    static Gsasl *context;

    if (context == NULL && gsasl_init(&context) == GSASL_OK) {
        gsasl_callback_set(context, on_property);
    }
    return context;
}

/* ---- begin and end ---- */

static void
wipe_property(KdScram *scram, Gsasl_property property)
{
    char *text = (char *)gsasl_property_fast(scram->session, property);

    if (text != NULL) {
        kd_secret_wipe(text, strlen(text));
    }
}

/* The library frees what it holds without wiping it. */
static void
forget_session(KdScram *scram)
{
    if (scram->session == NULL) {
        return;
    }
    wipe_property(scram, GSASL_SCRAM_SALTED_PASSWORD);
    wipe_property(scram, GSASL_SCRAM_SERVERKEY);
    wipe_property(scram, GSASL_SCRAM_STOREDKEY);
    wipe_property(scram, GSASL_CB_TLS_EXPORTER);
    gsasl_finish(g_steal_pointer(&scram->session));
}

/**
 * kd_scram_free:
 * @scram: (nullable): an exchange
 *
 * Wipes and frees it.
 */
void
kd_scram_free(KdScram *scram)
{
    if (scram == NULL) {
        return;
    }
    forget_session(scram);
    g_string_free(scram->auth_message, TRUE);
    kd_password_unref(scram->password);
    kd_secret_wipe(scram, sizeof *scram);
    g_free(scram);
}

static gboolean
set(KdScram *scram, Gsasl_property property, const char *text)
{
    return gsasl_property_set(scram->session, property, text) == GSASL_OK;
}

static gboolean
set_binding(KdScram *scram, GBytes *binding)
{
    size_t len = 0;
    const guchar *bytes = g_bytes_get_data(binding, &len);
    char *text = g_base64_encode(bytes, len);
    gboolean is_set = set(scram, GSASL_CB_TLS_EXPORTER, text);

    kd_secret_free_text(text);
    return is_set;
}

/* (transfer full) (nullable) */
static KdScram *
start(gboolean is_server, KdPassword *password, GBytes *binding, GError **error)
{
    g_autoptr(KdScram) scram = g_new0(KdScram, 1);
    Gsasl *context = get_context();
    int rc = GSASL_MALLOC_ERROR;

    scram->is_server = is_server;
    scram->is_bound = binding != NULL;
    scram->password = kd_password_ref(password);
    scram->auth_message = g_string_new(NULL);
    if (context != NULL) {
        const char *mechanism = kd_scram_get_mechanism(scram);

        rc = is_server ? gsasl_server_start(context, mechanism, &scram->session)
                       : gsasl_client_start(context, mechanism, &scram->session);
    }
    if (rc != GSASL_OK || (binding != NULL && !set_binding(scram, binding))) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "can't begin %s: %s",
                    kd_scram_get_mechanism(scram), gsasl_strerror(rc));
        return NULL;
    }
    gsasl_session_hook_set(scram->session, scram);
    return g_steal_pointer(&scram);
}

/**
 * kd_scram_new_server:
 * @password: what clients must prove
 * @binding: (nullable): 32 bytes of tls-exporter: PLUS; %NULL: plain
 * @error: return location
 *
 * Costs a few hashes only where kd_password_get_verifier() was called before.
 *
 * Returns: (transfer full) (nullable): an exchange that waits for the client
 */
KdScram *
kd_scram_new_server(KdPassword *password, GBytes *binding, GError **error)
{
    const KdVerifier *verifier = kd_password_get_verifier(password, error);
    g_autoptr(KdScram) scram = NULL;
    char count[16];

    if (verifier == NULL) {
        return NULL;
    }
    scram = start(TRUE, password, binding, error);
    if (scram == NULL) {
        return NULL;
    }
    (void)g_snprintf(count, sizeof count, "%u", verifier->iterations);
    memcpy(scram->server_key, verifier->server_key_bytes, sizeof scram->server_key);
    if (!set(scram, GSASL_SCRAM_ITER, count) || !set(scram, GSASL_SCRAM_SALT, verifier->salt) ||
        !set(scram, GSASL_SCRAM_STOREDKEY, verifier->stored_key) ||
        !set(scram, GSASL_SCRAM_SERVERKEY, verifier->server_key)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "can't begin SCRAM: no memory");
        return NULL;
    }
    return g_steal_pointer(&scram);
}

/**
 * kd_scram_new_client:
 * @password: to be proved; not a verifier
 * @binding: (nullable): 32 bytes of tls-exporter: PLUS; %NULL: plain
 * @error: return location; %KD_ERROR_AUTH: @password is a verifier
 *
 * The step that answers the server takes about 50 ms, as many as the server has asked for.
 *
 * Returns: (transfer full) (nullable): an exchange that begins
 */
KdScram *
kd_scram_new_client(KdPassword *password, GBytes *binding, GError **error)
{
    g_autoptr(KdScram) scram = NULL;

    if (kd_password_is_verifier(password)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_AUTH,
                            "a verifier is for the server; the client needs the password");
        return NULL;
    }
    scram = start(FALSE, password, binding, error);
    if (scram == NULL) {
        return NULL;
    }
    if (!set(scram, GSASL_AUTHID, KD_SCRAM_USER)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "can't begin SCRAM: no memory");
        return NULL;
    }
    return g_steal_pointer(&scram);
}

/**
 * kd_scram_get_mechanism:
 * @scram: an exchange
 *
 * Returns: %KD_SCRAM_PLAIN or %KD_SCRAM_BOUND
 */
const char *
kd_scram_get_mechanism(const KdScram *scram)
{
    return scram->is_bound ? KD_SCRAM_BOUND : KD_SCRAM_PLAIN;
}

/* ---- steps ---- */

/* client-first-message-bare: what stands behind the second comma. */
static void
note_client_first(KdScram *scram, const char *text, size_t len)
{
    const char *end = text + len;
    const char *bare = memchr(text, ',', len);

    bare = bare != NULL ? memchr(bare + 1, ',', (size_t)(end - bare - 1)) : NULL;
    if (bare != NULL) {
        g_string_append_len(scram->auth_message, bare + 1, end - bare - 1);
    }
}

static void
note_server_first(KdScram *scram, const char *text, size_t len)
{
    g_string_append_c(scram->auth_message, ',');
    g_string_append_len(scram->auth_message, text, (gssize)len);
}

/* client-final-message-without-proof: the proof is the last attribute. */
static void
note_client_final(KdScram *scram, const char *text, size_t len)
{
    const char *proof = g_strrstr_len(text, (gssize)len, ",p=");

    g_string_append_c(scram->auth_message, ',');
    g_string_append_len(scram->auth_message, text, proof != NULL ? proof - text : (gssize)len);
}

/* HMAC(ServerKey, label | SHA-256(AuthMessage)): PROTOCOL.md, Authentication by password. */
static void
make_key(KdScram *scram)
{
    uint8_t text[sizeof KEY_LABEL - 1 + 32];

    memcpy(text, KEY_LABEL, sizeof KEY_LABEL - 1);
    scram->has_key = gnutls_hash_fast(GNUTLS_DIG_SHA256, scram->auth_message->str,
                                      scram->auth_message->len, text + sizeof KEY_LABEL - 1) == 0 &&
                     gnutls_hmac_fast(GNUTLS_MAC_SHA256, scram->server_key,
                                      sizeof scram->server_key, text, sizeof text, scram->key) == 0;
}

static void
note_step(KdScram *scram, GBytes *in, const char *out, size_t out_len)
{
    size_t in_len = 0;
    const char *in_text = in != NULL ? g_bytes_get_data(in, &in_len) : NULL;
    guint n = scram->n_steps++;

    if (scram->is_server && n == 0) {
        note_client_first(scram, in_text, in_len);
        note_server_first(scram, out, out_len);
    } else if (scram->is_server) {
        note_client_final(scram, in_text, in_len);
        make_key(scram);
    } else if (n == 0) {
        note_client_first(scram, out, out_len);
    } else if (n == 1) {
        note_server_first(scram, in_text, in_len);
        note_client_final(scram, out, out_len);
        make_key(scram);
    }
}

/* There is one user, who can't be somebody else; asked at the end, where a wrong password fails. */
static gboolean
is_user(const KdScram *scram)
{
    const char *user = gsasl_property_fast(scram->session, GSASL_AUTHID);
    const char *other = gsasl_property_fast(scram->session, GSASL_AUTHZID);

    return g_strcmp0(user, KD_SCRAM_USER) == 0 && (other == NULL || *other == '\0');
}

static void
set_step_error(const KdScram *scram, int rc, GError **error)
{
    const char *text = gsasl_strerror(rc);

    if (scram->refusal != NULL) {
        text = scram->refusal;
    } else if (rc == GSASL_AUTHENTICATION_ERROR && scram->is_server) {
        text = scram->is_bound ? "wrong password, or another TLS connection" : "wrong password";
    } else if (rc == GSASL_AUTHENTICATION_ERROR || scram->n_steps == 2) {
        text = "the server does not know the password";
    }
    g_set_error_literal(error, KD_ERROR, KD_ERROR_AUTH, text);
}

static gboolean
check_step(const KdScram *scram, GBytes *in, GError **error)
{
    size_t len = 0;
    const char *bytes = in != NULL ? g_bytes_get_data(in, &len) : NULL;

    if (scram->is_over) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_AUTH, "a step beyond the end");
    } else if (in == NULL ? scram->is_server || scram->n_steps > 0 : len == 0) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_AUTH, "a step without bytes");
    } else if (len > MAX_STEP_BYTES || (len > 0 && memchr(bytes, '\0', len) != NULL)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_AUTH, "a step that is no text");
    } else {
        return TRUE;
    }
    return FALSE;
}

/* The one gs2-header of the mechanism: no other binding, nobody on behalf of somebody else. */
static gboolean
check_header(const KdScram *scram, const char *text, size_t len, GError **error)
{
    const char *header = scram->is_bound ? "p=tls-exporter,," : "n,,";

    if (!scram->is_server || scram->n_steps > 0 ||
        (len >= strlen(header) && memcmp(text, header, strlen(header)) == 0)) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_AUTH, "a first step that does not begin with %s", header);
    return FALSE;
}

/**
 * kd_scram_step:
 * @scram: an exchange
 * @in: (nullable): the other side's step; %NULL for the client's first
 * @out: (out) (transfer full) (nullable): to be sent
 * @is_done: (out): the other side has proved that it knows the password
 * @error: return location; %KD_ERROR_AUTH: it has not; the message is for a log
 *
 * Takes the other side's step. After an error, or the end, there is no other.
 *
 * Returns: whether the exchange goes on, or is done
 */
gboolean
kd_scram_step(KdScram *scram, GBytes *in, GBytes **out, gboolean *is_done, GError **error)
{
    size_t in_len = 0;
    const char *in_bytes = in != NULL ? g_bytes_get_data(in, &in_len) : NULL;
    char *out_bytes = NULL;
    size_t out_len = 0;
    int rc;

    *out = NULL;
    *is_done = FALSE;
    if (!check_step(scram, in, error) || !check_header(scram, in_bytes, in_len, error)) {
        scram->is_over = TRUE;
        return FALSE;
    }
    rc = gsasl_step(scram->session, in_bytes, in_len, &out_bytes, &out_len);
    if (rc == GSASL_OK && scram->is_server && !is_user(scram)) {
        rc = GSASL_AUTHENTICATION_ERROR;
        g_clear_pointer(&out_bytes, gsasl_free);
    }
    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
        scram->is_over = TRUE;
        set_step_error(scram, rc, error);
        forget_session(scram);
        return FALSE;
    }
    note_step(scram, in, out_bytes, out_len);
    *is_done = scram->is_over = rc == GSASL_OK;
    *out = out_len > 0 ? g_bytes_new(out_bytes, out_len) : NULL;
    gsasl_free(out_bytes);
    return TRUE;
}

/**
 * kd_scram_get_key:
 * @scram: an exchange
 * @key: (out): known to those two alone who know the password, or the verifier, and this exchange
 *
 * The client has it once it has made its proof, the server once it has checked that.
 *
 * Returns: whether it is known already
 */
gboolean
kd_scram_get_key(const KdScram *scram, uint8_t key[KD_SCRAM_KEY_BYTES])
{
    if (!scram->has_key) {
        return FALSE;
    }
    memcpy(key, scram->key, KD_SCRAM_KEY_BYTES);
    return TRUE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the certificate of the other side will do. */
#include "kd-cert-judge.h"

#include "kd-cert.h"
#include "kd-known-servers.h"
#include "kd-tls-text.h"

#include <string.h>

typedef struct {
    const KdCertJudge *judge;
    gnutls_x509_crt_t chain[KD_CERT_MAX_CHAIN];
    guint n_chain;
    KdTlsPeer *peer;
    const char *purpose;
} Trial;

/* What is wrong on the way to an anchor, the worst first */
static const struct {
    guint status;
    const char *sentence;
} way_faults[] = {
    {GNUTLS_CERT_REVOKED, "was revoked by its issuer"},
    {GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED,
     "can't be checked: the revocation list of its issuer is out of date, get a new one"},
    {GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE,
     "can't be checked: the revocation list of its issuer is from the future"},
    {GNUTLS_CERT_SIGNER_NOT_CA,
     "is signed by one that is not allowed to: its issuer is not a certificate authority"},
    {GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE,
     "goes beyond what its issuers are allowed to sign: path length, names or key usage"},
    {GNUTLS_CERT_PURPOSE_MISMATCH, "has an issuer that may not sign for this purpose"},
    {GNUTLS_CERT_EXPIRED, "has an issuer whose certificate has expired"},
    {GNUTLS_CERT_NOT_ACTIVATED, "has an issuer whose certificate is not yet valid"},
    {GNUTLS_CERT_INSECURE_ALGORITHM, "has an issuer with a weak key or a weak signature"},
    {GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS,
     "has an issuer with a critical extension that is unknown here"},
    {GNUTLS_CERT_SIGNATURE_FAILURE,
     "has a signature that its issuer has not made: forged, damaged, or of another issuer of the "
     "same name"},
};

/**
 * kd_cert_judge_clear:
 * @judge: what was asked
 *
 * Frees what is in it.
 */
void
kd_cert_judge_clear(KdCertJudge *judge)
{
    g_clear_pointer(&judge->pin, g_free);
    g_clear_pointer(&judge->pin_key, g_free);
    g_clear_pointer(&judge->name, g_free);
    g_clear_pointer(&judge->hosts, g_strfreev);
    g_clear_pointer(&judge->place, g_free);
    g_clear_pointer(&judge->anchors, kd_tls_anchors_free);
}

static const char *
get_side(const KdCertJudge *judge)
{
    return judge->role == KD_TLS_CLIENT ? "server" : "client";
}

static gboolean refuse(Trial *trial, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean
refuse(Trial *trial, GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *sentence = g_strdup_vprintf(format, args);
    va_end(args);
    trial->peer->verdict = KD_TLS_REFUSED;
    g_set_error(error, KD_ERROR, KD_ERROR_TLS, "the %s's certificate `%s` %s (sha256:%s)",
                get_side(trial->judge), trial->peer->name, sentence, trial->peer->sha256);
    return FALSE;
}

static gboolean
import_shown(Trial *trial, const gnutls_datum_t *shown, guint n_shown, GError **error)
{
    const char *side = get_side(trial->judge);

    if (n_shown == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "the %s has shown no certificate", side);
        return FALSE;
    }
    if (n_shown > KD_CERT_MAX_CHAIN) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "the %s has shown a chain of %u certificates, at most %u are looked at", side,
                    n_shown, KD_CERT_MAX_CHAIN);
        return FALSE;
    }
    for (guint i = 0; i < n_shown; i++) {
        int status = gnutls_x509_crt_init(&trial->chain[i]);
        if (status >= 0) {
            trial->n_chain++;
            status = gnutls_x509_crt_import(trial->chain[i], &shown[i], GNUTLS_X509_FMT_DER);
        }
        if (status < 0) {
            kd_tls_text_set_error(error, status,
                                  "the %s has shown a certificate that can\'t be read", side);
            return FALSE;
        }
    }
    g_free(trial->peer->name);
    g_free(trial->peer->sha256);
    trial->peer->name = kd_cert_build_subject(trial->chain[0]);
    trial->peer->sha256 = kd_cert_build_thumbprint(trial->chain[0], GNUTLS_DIG_SHA256);
    return TRUE;
}

static gboolean
try_pin(Trial *trial, GError **error)
{
    const KdCertJudge *judge = trial->judge;

    if (!kd_cert_has_thumbprint(trial->chain[0], judge->pin)) {
        return refuse(trial, error, "is another certificate than %s= wants, which is %s%s",
                      judge->pin_key, strlen(judge->pin) == 40 ? "sha1:" : "sha256:", judge->pin);
    }
    trial->peer->verdict = KD_TLS_TRUSTED;
    return TRUE;
}

/* A client may name the server as the server itself does: by the common name, whatever else there
 * is. Of a host's name GnuTLS's rules count (RFC 6125): DNS names with a wildcard as their first
 * label, addresses by address entries alone, the common name only where there is no DNS name. */
static gboolean
has_asked_name(Trial *trial, const char *name, gboolean is_typed)
{
    return gnutls_x509_crt_check_hostname2(trial->chain[0], name, 0) != 0 ||
           (is_typed && !g_hostname_is_ip_address(name) && kd_cert_has_name(trial->chain[0], name));
}

/* What was typed and is not a host's name for GnuTLS has not been held against the issuers. */
static gboolean
may_be_called_so(Trial *trial)
{
    const KdCertJudge *judge = trial->judge;

    return judge->name == NULL || judge->anchors == NULL ||
           has_asked_name(trial, judge->name, FALSE) ||
           kd_tls_anchors_allow_name(judge->anchors, trial->chain, trial->n_chain, judge->name);
}

static gboolean
try_names(Trial *trial, GError **error)
{
    const KdCertJudge *judge = trial->judge;
    g_autofree char *names = kd_cert_build_names(trial->chain[0]);

    if (judge->name != NULL) {
        return has_asked_name(trial, judge->name, TRUE) ||
               refuse(trial, error, "has the wrong name: it is for %s, %s= wants `%s`", names,
                      judge->pin_key, judge->name);
    }
    for (char **host = judge->hosts; host != NULL && *host != NULL; host++) {
        if (has_asked_name(trial, *host, FALSE)) {
            return TRUE;
        }
    }
    return refuse(trial, error,
                  "has the wrong name: it is for %s, `%s` was dialled; if it is the right server "
                  "give certuser=THUMBPRINT",
                  names, judge->hosts != NULL && judge->hosts[0] != NULL ? judge->hosts[0] : "");
}

/* Also says whether the server was found there. */
static gboolean
try_known(Trial *trial, gboolean *is_known, GError **error)
{
    g_autofree char *sha256 = NULL;
    g_autofree char *path = NULL;

    *is_known = FALSE;
    if (!kd_known_servers_find(trial->judge->place, &sha256, error)) {
        return FALSE;
    }
    if (sha256 == NULL) {
        return TRUE;
    }
    *is_known = TRUE;
    if (strcmp(sha256, trial->peer->sha256) == 0) {
        trial->peer->verdict = KD_TLS_TRUSTED;
        return TRUE;
    }
    path = kd_known_servers_build_path();
    return refuse(trial, error,
                  "is NOT the one that %s has for %s, which is sha256:%s: either the server has a "
                  "new one or somebody is in between; ask its owner, then take the line out of "
                  "the file",
                  path, trial->judge->place, sha256);
}

static gboolean
set_unknown(Trial *trial, GError **error)
{
    gnutls_x509_crt_t leaf = trial->chain[0];
    g_autofree char *issuer = kd_cert_build_issuer(leaf);
    g_autofree char *why = gnutls_x509_crt_check_issuer(leaf, leaf) != 0
                               ? g_strdup("is self-signed")
                               : g_strdup_printf("has an unknown issuer, `%s`", issuer);

    if (trial->judge->role == KD_TLS_SERVER) {
        return refuse(trial, error, "%s: none of the anchors for clients vouches for it", why);
    }
    trial->peer->verdict = KD_TLS_UNKNOWN;
    g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                "the server's certificate `%s` %s, and nobody vouches for it; if its owner says "
                "that it is the right one, give certuser=%s",
                trial->peer->name, why, trial->peer->sha256);
    return FALSE;
}

static gboolean
try_anchors(Trial *trial, GError **error)
{
    guint status = GNUTLS_CERT_INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND;

    if (trial->judge->anchors != NULL) {
        status = kd_tls_anchors_verify(trial->judge->anchors, trial->chain, trial->n_chain,
                                       trial->purpose);
    }
    for (guint i = 0; i < G_N_ELEMENTS(way_faults); i++) {
        if ((status & way_faults[i].status) != 0) {
            return refuse(trial, error, "%s", way_faults[i].sentence);
        }
    }
    if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0) {
        return set_unknown(trial, error);
    }
    if (status != 0) {
        return refuse(trial, error, "can't be verified (status 0x%x)", status);
    }
    if (!may_be_called_so(trial)) {
        return refuse(trial, error,
                      "is called `%s`, and names like that its issuers are not "
                      "allowed to sign",
                      trial->judge->name);
    }
    trial->peer->verdict = KD_TLS_TRUSTED;
    return TRUE;
}

static gboolean
try_trust(Trial *trial, GError **error)
{
    const KdCertJudge *judge = trial->judge;
    gboolean is_known = FALSE;

    if (judge->pin != NULL) {
        return try_pin(trial, error);
    }
    if (judge->role == KD_TLS_SERVER) {
        return try_anchors(trial, error);
    }
    /* the user has confirmed it for this place; a name that the string wants counts all the same */
    if ((judge->name != NULL && !try_names(trial, error)) || !try_known(trial, &is_known, error)) {
        return FALSE;
    }
    return is_known ||
           ((judge->name != NULL || try_names(trial, error)) && try_anchors(trial, error));
}

/**
 * kd_cert_judge_try:
 * @judge: what is asked
 * @shown: certificates of the other side in DER form, its own first
 * @n_shown: how many
 * @peer: verdict, name and thumbprint are filled in, as far as they are known, also on error
 * @error: %KD_ERROR_TLS: why not; with the verdict %KD_TLS_UNKNOWN the user may confirm it
 *
 * Judges a certificate: first what rules it out whoever vouches for it, then a pin, or the file of
 * known servers, or name and anchors.
 *
 * Returns: whether it is trusted
 */
gboolean
kd_cert_judge_try(const KdCertJudge *judge, const gnutls_datum_t *shown, guint n_shown,
                  KdTlsPeer *peer, GError **error)
{
    Trial trial = {.judge = judge,
                   .peer = peer,
                   .purpose = judge->role == KD_TLS_CLIENT ? GNUTLS_KP_TLS_WWW_SERVER
                                                           : GNUTLS_KP_TLS_WWW_CLIENT};
    g_autofree char *sentence = NULL;
    gboolean is_trusted = FALSE;

    peer->verdict = KD_TLS_REFUSED;
    if (import_shown(&trial, shown, n_shown, error)) {
        is_trusted =
            kd_cert_find_fault(trial.chain[0], trial.purpose, &sentence) == KD_CERT_FAULT_NONE
                ? try_trust(&trial, error)
                : refuse(&trial, error, "%s", sentence);
    }
    for (guint i = 0; i < trial.n_chain; i++) {
        gnutls_x509_crt_deinit(trial.chain[i]);
    }
    if (!is_trusted && peer->verdict == KD_TLS_TRUSTED) {
        peer->verdict = KD_TLS_REFUSED;
    }
    return is_trusted;
}

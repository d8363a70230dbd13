/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A password as the two ends know it: the text itself, or what a server keeps instead. */
#include "kd-password.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <gsasl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES 4096u
#define SCRAM_PREFIX   "{SCRAM-" /* of all verifiers (RFC 5803, 2) */

struct KdPassword {
    grefcount n_refs;
    KdSecret *text;       /* prepared with SASLprep; NULL: only the verifier is known */
    KdVerifier *verifier; /* NULL: was not needed yet */
};

/* Those whose verifier was derived: the same text, read anew, need not be derived anew. */
static GList *derived;

static KdPassword *
alloc(KdSecret *text, KdVerifier *verifier)
{
    KdPassword *password = g_new0(KdPassword, 1);

    g_ref_count_init(&password->n_refs);
    password->text = text;
    password->verifier = verifier;
    return password;
}

/**
 * kd_password_new:
 * @text: as typed, UTF-8 of 1 to %KD_PASSWORD_MAX_BYTES
 * @error: return location; %KD_ERROR_PARAM_INVALID: it can't be a password
 *
 * Takes a password as SASLprep (RFC 4013) has it, so that both ends know the same bytes however
 * they were typed.
 *
 * Returns: (transfer full) (nullable): the password
 */
KdPassword *
kd_password_new(const char *text, GError **error)
{
    size_t len = strnlen(text, KD_PASSWORD_MAX_BYTES + 1);
    KdPassword *password = NULL;
    char *prepared = NULL;

    if (len == 0 || len > KD_PASSWORD_MAX_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "the password %s",
                    len == 0 ? "is empty" : "is longer than 1024 bytes");
        return NULL;
    }
    if (!g_utf8_validate(text, -1, NULL)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "the password is not UTF-8");
        return NULL;
    }
    if (gsasl_saslprep(text, 0, &prepared, NULL) != GSASL_OK) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "the password has characters that none can have");
        return NULL;
    }
    if (*prepared == '\0') {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "the password has no character that counts");
    } else {
        password = alloc(kd_secret_new(prepared, -1), NULL);
    }
    kd_secret_wipe(prepared, strlen(prepared));
    gsasl_free(prepared);
    return password;
}

/**
 * kd_password_new_from_line:
 * @line: a password, or a verifier, which its prefix tells
 * @error: return location
 *
 * Returns: (transfer full) (nullable): what a file's first line says
 */
KdPassword *
kd_password_new_from_line(const char *line, GError **error)
{
    KdVerifier *verifier = NULL;

    /* Those of other mechanisms, too: taken for passwords they would be keys to the server. */
    if (g_ascii_strncasecmp(line, SCRAM_PREFIX, strlen(SCRAM_PREFIX)) != 0) {
        return kd_password_new(line, error);
    }
    verifier = kd_verifier_parse(line, error);
    return verifier != NULL ? alloc(NULL, verifier) : NULL;
}

/* ---- files ---- */

static gboolean
is_credential(const char *path)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");

    return folder != NULL && g_path_is_absolute(folder) && g_str_has_prefix(path, folder) &&
           path[strlen(folder)] == '/';
}

/* Nobody else; but a credential of root may be lent to us by an entry of an ACL, which shows as a
 * right of the group: so a service manager gives it to a service with a user of its own. */
static gboolean
is_closed(const char *path, const struct stat *st)
{
    gboolean is_lent = st->st_uid == 0 && st->st_gid == 0 && is_credential(path);

    return (st->st_mode & (is_lent ? 037u : 077u)) == 0;
}

static gboolean
check_file(const char *path, const struct stat *st, GError **error)
{
    if (!S_ISREG(st->st_mode)) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: is not a regular file", path);
    } else if (st->st_uid != 0 && st->st_uid != geteuid()) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED,
                    "%s: belongs to user %u, who could read it; fix: chown %u %s", path,
                    (guint)st->st_uid, (guint)geteuid(), path);
    } else if (!is_closed(path, st)) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED,
                    "%s: is open to others than its owner (mode %04o); fix: chmod 600 %s", path,
                    (guint)(st->st_mode & 07777), path);
    } else if (st->st_size > (off_t)MAX_FILE_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: has more than %u bytes", path,
                    MAX_FILE_BYTES);
    } else {
        return TRUE;
    }
    return FALSE;
}

static gboolean
load_file(const char *path, int fd, char *text, GError **error)
{
    size_t len = 0;
    gssize n = 0;

    do {
        n = read(fd, text + len, MAX_FILE_BYTES - len);
        len += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && len < MAX_FILE_BYTES) || (n < 0 && errno == EINTR));
    if (n < 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: %s", path, g_strerror(errno));
        return FALSE;
    }
    text[len] = '\0';
    if (strlen(text) != len) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: has zeros in it, so it is no text",
                    path);
        return FALSE;
    }
    text[strcspn(text, "\r\n")] = '\0';
    return TRUE;
}

static KdPassword *
read_file(const char *path, int fd, GError **error)
{
    char text[MAX_FILE_BYTES + 1];
    KdPassword *password = NULL;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: %s", path, g_strerror(errno));
        return NULL;
    }
    if (!check_file(path, &st, error)) {
        return NULL;
    }
    if (load_file(path, fd, text, error)) {
        password = kd_password_new_from_line(text, error);
        if (password == NULL) {
            g_prefix_error(error, "%s: ", path);
            (*error)->code = KD_ERROR_FAILED; /* the file's fault, no string's */
        }
    }
    kd_secret_wipe(text, sizeof text);
    return password;
}

/**
 * kd_password_new_from_file:
 * @path: a regular file, nobody's but root's or our own and closed to all others, whose first line
 *    is a password or a verifier
 * @error: (not optional): return location; %KD_ERROR_FAILED: names the file, and how to mend it
 *
 * Returns: (transfer full) (nullable): the password
 */
KdPassword *
kd_password_new_from_file(const char *path, GError **error)
{
    g_autoptr(GError) why = NULL;
    KdPassword *password = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);

    if (fd < 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: %s", path,
                    errno == ELOOP ? "is a symbolic link; name the file itself"
                                   : g_strerror(errno));
        return NULL;
    }
    password = read_file(path, fd, &why);
    close(fd);
    if (password == NULL) {
        g_propagate_error(error, g_steal_pointer(&why));
    }
    return password;
}

/**
 * kd_password_ref:
 * @password: a password
 *
 * Returns: (transfer full): @password
 */
KdPassword *
kd_password_ref(KdPassword *password)
{
    g_ref_count_inc(&password->n_refs);
    return password;
}

/**
 * kd_password_unref:
 * @password: (nullable): a password
 *
 * Wipes and frees it when nobody else holds it.
 */
void
kd_password_unref(KdPassword *password)
{
    if (password != NULL && g_ref_count_dec(&password->n_refs)) {
        derived = g_list_remove(derived, password);
        kd_secret_unref(password->text);
        kd_verifier_unref(password->verifier);
        g_free(password);
    }
}

/**
 * kd_password_is_verifier:
 * @password: a password
 *
 * Returns: whether it can only check, not prove
 */
gboolean
kd_password_is_verifier(const KdPassword *password)
{
    return password->text == NULL;
}

/**
 * kd_password_get_text:
 * @password: a password
 *
 * Returns: (transfer none) (nullable): the text as SASLprep has it; %NULL for a verifier
 */
const KdSecret *
kd_password_get_text(const KdPassword *password)
{
    return password->text;
}

/* Another one with the same text, whose keys are known. */
static KdPassword *
find_derived(const KdSecret *text)
{
    for (GList *item = derived; item != NULL; item = item->next) {
        KdPassword *other = item->data;

        if (kd_secret_get_len(other->text) == kd_secret_get_len(text) &&
            memcmp(kd_secret_get_text(other->text), kd_secret_get_text(text),
                   kd_secret_get_len(text)) == 0) {
            return other;
        }
    }
    return NULL;
}

/**
 * kd_password_get_verifier:
 * @password: a password
 * @error: return location; %KD_ERROR_FAILED: there is no randomness
 *
 * The first call for a text takes about 50 ms, so a server makes it before it listens; logging in
 * then costs it a few hashes.
 *
 * Returns: (transfer none) (nullable): what a server checks clients with
 */
const KdVerifier *
kd_password_get_verifier(KdPassword *password, GError **error)
{
    KdPassword *other = NULL;

    if (password->verifier != NULL) {
        return password->verifier;
    }
    other = find_derived(password->text);
    if (other != NULL) {
        password->verifier = kd_verifier_ref(other->verifier);
    } else {
        password->verifier = kd_verifier_new(password->text, KD_PASSWORD_ITERATIONS, error);
    }
    if (password->verifier != NULL) {
        derived = g_list_prepend(derived, password);
    }
    return password->verifier;
}

/**
 * kd_password_build_verifier:
 * @password: a password
 * @error: return location
 *
 * Returns: (transfer full) (nullable): what a server can keep instead of the password,
 *    `{SCRAM-SHA-256}iterations,salt,stored,server`; freed with kd_secret_free_text()
 */
char *
kd_password_build_verifier(KdPassword *password, GError **error)
{
    const KdVerifier *verifier = kd_password_get_verifier(password, error);

    return verifier != NULL ? kd_verifier_build_text(verifier) : NULL;
}

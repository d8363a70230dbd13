/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A password as the two ends know it: the text itself, or what a server keeps instead. */
#include "kd-password.h"

#include "kd-secret.h"

#include <kdsrv/kd-plugin.h>

struct KdPassword {
    grefcount n_refs;
    KdSecret *text;
};

/**
 * kd_password_new:
 * @text: as typed
 * @error: where to put an error
 *
 * Returns: (transfer full) (nullable): the password
 */
KdPassword *
kd_password_new(const char *text, GError **error)
{
    KdPassword *password = g_new0(KdPassword, 1);

    (void)error;
    g_ref_count_init(&password->n_refs);
    password->text = kd_secret_new(text, -1);
    return password;
}

/**
 * kd_password_new_from_file:
 * @path: of a password or a verifier
 * @error: where to put an error
 *
 * Returns: (transfer full) (nullable): the password
 */
KdPassword *
kd_password_new_from_file(const char *path, GError **error)
{
    g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s: not yet", path);
    return NULL;
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
        kd_secret_unref(password->text);
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
 * kd_password_build_verifier:
 * @password: a password
 * @error: where to put an error
 *
 * Returns: (transfer full) (nullable): what a server can keep instead of the password
 */
char *
kd_password_build_verifier(KdPassword *password, GError **error)
{
    (void)password;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    return NULL;
}

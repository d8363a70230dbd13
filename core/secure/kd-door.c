/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guards one transport string: TLS, a password, both or neither. */
#include "kd-door.h"

struct KdDoor {
    grefcount n_refs;
    KdTlsConfig *tls;
    KdPassword *password;
};

/**
 * kd_door_check:
 * @role: ours
 * @transport: of the string
 * @params: a{sv} with the host's keys
 * @error: KD_ERROR_PARAM_*: the string is wrong
 *
 * Judges the string alone; opens nothing.
 *
 * Returns: whether it can be right
 */
gboolean
kd_door_check(KdTlsRole role, const KdTransport *transport, GVariant *params, GError **error)
{
    return (transport->caps & KD_TRANSPORT_TLS) == 0 ||
           kd_tls_config_check(role, transport->scheme, params, error);
}

static gboolean
find_password(GVariant *params, KdPassword *fallback, KdPassword **password, GError **error)
{
    const char *text = NULL;

    if (g_variant_lookup(params, "password", "&s", &text)) {
        *password = kd_password_new(text, error);
    } else if (g_variant_lookup(params, "password-file", "&s", &text)) {
        *password = kd_password_new_from_file(text, error);
    } else {
        *password = fallback != NULL ? kd_password_ref(fallback) : NULL;
        return TRUE;
    }
    return *password != NULL;
}

/**
 * kd_door_new:
 * @role: ours
 * @transport: of the string
 * @params: a{sv} with the host's keys
 * @fallback: (nullable): password where the string names none
 * @error: %KD_ERROR_TLS, or of a file
 *
 * Reads certificates, keys and passwords.
 *
 * Returns: (transfer full) (nullable): the door
 */
KdDoor *
kd_door_new(KdTlsRole role, const KdTransport *transport, GVariant *params, KdPassword *fallback,
            GError **error)
{
    g_autoptr(KdDoor) door = g_new0(KdDoor, 1);

    g_ref_count_init(&door->n_refs);
    if (!kd_door_check(role, transport, params, error) ||
        !find_password(params, fallback, &door->password, error)) {
        return NULL;
    }
    /* It takes its time, so not while sessions wait for it. */
    if (role == KD_TLS_SERVER && door->password != NULL &&
        kd_password_get_verifier(door->password, error) == NULL) {
        return NULL;
    }
    if ((transport->caps & KD_TRANSPORT_TLS) != 0) {
        door->tls = kd_tls_config_new(role, transport->scheme, params, error);
        if (door->tls == NULL) {
            return NULL;
        }
    }
    return g_steal_pointer(&door);
}

/**
 * kd_door_ref:
 * @door: a door
 *
 * Returns: (transfer full): @door
 */
KdDoor *
kd_door_ref(KdDoor *door)
{
    g_ref_count_inc(&door->n_refs);
    return door;
}

/**
 * kd_door_unref:
 * @door: (nullable): a door
 *
 * Frees it when nobody else holds it.
 */
void
kd_door_unref(KdDoor *door)
{
    if (door != NULL && g_ref_count_dec(&door->n_refs)) {
        kd_tls_config_unref(door->tls);
        kd_password_unref(door->password);
        g_free(door);
    }
}

/**
 * kd_door_get_tls:
 * @door: a door
 *
 * Returns: (transfer none) (nullable): %NULL: what passes is in clear
 */
KdTlsConfig *
kd_door_get_tls(const KdDoor *door)
{
    return door->tls;
}

/**
 * kd_door_get_password:
 * @door: a door
 *
 * Returns: (transfer none) (nullable): %NULL: none is asked for
 */
KdPassword *
kd_door_get_password(const KdDoor *door)
{
    return door->password;
}

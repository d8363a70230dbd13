/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One `-t`: a transport with its keys, what guards it, and what listens or dials there. */
#include "kd-entrance.h"

#include "kd-host-keys.h"
#include "kd-params.h"
#include "kd-secret.h"

#include <string.h>

/* A copy of @params in which @key is @value, or missing */
static GVariant *
dup_with(GVariant *params, const char *key, const char *value)
{
    GVariantDict dict;

    g_variant_dict_init(&dict, params);
    if (value != NULL) {
        g_variant_dict_insert(&dict, key, "s", value);
    } else {
        g_variant_dict_remove(&dict, key);
    }
    return g_variant_ref_sink(g_variant_dict_end(&dict));
}

/* Of the text nothing stays but what clients are judged by. */
static gboolean
take_password(KdEntrance *entrance, GError **error)
{
    const char *text = NULL;
    GVariant *rest;

    if (!g_variant_lookup(entrance->params, "password", "&s", &text)) {
        return TRUE;
    }
    entrance->password = kd_password_new(text, error);
    rest = dup_with(entrance->params, "password", "*");
    kd_secret_wipe_value(entrance->params, "password");
    g_variant_unref(entrance->params);
    entrance->params = rest;
    return entrance->password != NULL;
}

/* The firewall is not ours yet, and a pipe has none. */
static void
tell_icf(const KdEntrance *entrance)
{
    gboolean is_wanted = FALSE;

    if (!g_variant_lookup(entrance->params, "IcfEnable", "b", &is_wanted) || !is_wanted) {
        return;
    }
    if ((entrance->transport->caps & KD_TRANSPORT_LOCAL) != 0) {
        g_message("%s: IcfEnable: nothing is needed, no firewall stands before a pipe",
                  entrance->transport->scheme);
    } else {
        g_message("%s: IcfEnable: this version does not open the firewall: open the port by hand",
                  entrance->transport->scheme);
    }
}

static gboolean
check_caps(const KdEntrance *entrance, GError **error)
{
    uint32_t needed = entrance->is_clicon ? KD_TRANSPORT_CONNECT : KD_TRANSPORT_LISTEN;

    if ((entrance->transport->caps & needed) == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: can't %s",
                    entrance->transport->scheme, entrance->is_clicon ? "dial" : "listen");
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_params(KdEntrance *entrance, GError **error)
{
    const KdTransport *transport = entrance->transport;
    const char *word = NULL;

    entrance->is_clicon = kd_params_get_form(transport->params, KD_FORM_SERVER, entrance->params) ==
                          KD_FORM_SERVER_CLICON;
    entrance->is_certain = g_variant_lookup(entrance->params, "clientcert", "&s", &word) &&
                           strcmp(word, "require") == 0;
    return check_caps(entrance, error) &&
           kd_host_keys_check_stripped(transport, entrance->params, error) &&
           kd_door_check(KD_TLS_SERVER, transport, entrance->params, error);
}

/**
 * kd_entrance_new:
 * @registry: loaded
 * @text: of `-t`
 * @owner: the server
 * @error: KD_ERROR_PARAM_*: the text is wrong; %KD_ERROR_NOT_SUPPORTED: this version can't
 *
 * Judges a string; nothing is opened yet.
 *
 * Returns: (transfer full) (nullable): the entrance, closed
 */
KdEntrance *
kd_entrance_new(const KdRegistry *registry, const char *text, gpointer owner, GError **error)
{
    g_autoptr(KdEntrance) entrance = g_new0(KdEntrance, 1);
    g_autofree char *scheme = NULL;
    char *items = NULL;

    entrance->owner = owner;
    entrance->host = kd_registry_get_host(registry);
    if (!kd_params_split(text, &scheme, &items, error)) {
        return NULL;
    }
    entrance->transport = kd_registry_find_transport(registry, scheme, error);
    if (entrance->transport != NULL) {
        entrance->params = kd_params_parse(scheme, entrance->transport->params, KD_FORM_SERVER,
                                           items, NULL, error);
    }
    kd_secret_free_text(items);
    if (entrance->params == NULL || !take_password(entrance, error) ||
        !check_params(entrance, error)) {
        return NULL;
    }
    tell_icf(entrance);
    return g_steal_pointer(&entrance);
}

/**
 * kd_entrance_free:
 * @entrance: (nullable): an entrance; not while its listener is being opened
 *
 * Closes and frees it; sessions that came by it stay, and keep their door.
 */
void
kd_entrance_free(KdEntrance *entrance)
{
    if (entrance == NULL) {
        return;
    }
    kd_listener_free(entrance->listener);
    kd_caller_free(entrance->caller);
    kd_door_unref(entrance->door);
    kd_door_unref(entrance->next_door);
    kd_password_unref(entrance->password);
    g_clear_pointer(&entrance->params, g_variant_unref);
    g_free(entrance);
}

/**
 * kd_entrance_has_secret:
 * @entrance: an entrance
 *
 * Returns: whether its string names a password or a key
 */
gboolean
kd_entrance_has_secret(const KdEntrance *entrance)
{
    return entrance->password != NULL || (entrance->transport->caps & KD_TRANSPORT_TLS) != 0 ||
           g_variant_lookup(entrance->params, "password-file", "&s", NULL);
}

/**
 * kd_entrance_make_door:
 * @entrance: an entrance
 * @fallback: (nullable): password where the string names none
 * @error: %KD_ERROR_TLS, or of a file; KD_ERROR_PARAM_*: the string is wrong
 *
 * Reads certificates, keys and passwords. What comes of it is in use only after
 * kd_entrance_take_door().
 *
 * Returns: whether there is a door
 */
gboolean
kd_entrance_make_door(KdEntrance *entrance, KdPassword *fallback, GError **error)
{
    g_autoptr(GVariant) params = dup_with(entrance->params, "password", NULL);
    KdPassword *password = entrance->password != NULL ? entrance->password : fallback;

    g_clear_pointer(&entrance->next_door, kd_door_unref);
    entrance->next_door = kd_door_new(KD_TLS_SERVER, entrance->transport, params, password, error);
    return entrance->next_door != NULL;
}

/**
 * kd_entrance_take_door:
 * @entrance: an entrance
 * @is_wanted: %FALSE drops the new door
 *
 * Puts the door that kd_entrance_make_door() has made in place of the old one.
 */
void
kd_entrance_take_door(KdEntrance *entrance, gboolean is_wanted)
{
    if (is_wanted && entrance->next_door != NULL) {
        kd_door_unref(entrance->door);
        entrance->door = g_steal_pointer(&entrance->next_door);
    }
    g_clear_pointer(&entrance->next_door, kd_door_unref);
}

/**
 * kd_entrance_is_guarded:
 * @entrance: with a door
 *
 * Returns: whether clients must have a password or a certificate
 */
gboolean
kd_entrance_is_guarded(const KdEntrance *entrance)
{
    return entrance->is_certain ||
           (entrance->door != NULL && kd_door_get_password(entrance->door) != NULL);
}

/**
 * kd_entrance_build_name:
 * @entrance: an entrance
 *
 * Returns: (transfer full): as listed: `tcp:Port=51002:51010,Password=*`
 */
char *
kd_entrance_build_name(const KdEntrance *entrance)
{
    return entrance->listener != NULL
               ? kd_listener_build_name(entrance->listener)
               : kd_params_build_listing(entrance->transport->scheme, entrance->transport->params,
                                         entrance->params, NULL);
}

/* A name may lead anywhere, but for the one that everybody knows. */
static gboolean
is_loopback(const char *host)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);

    return address != NULL ? g_inet_address_get_is_loopback(address)
                           : g_ascii_strcasecmp(host, "localhost") == 0;
}

/* Whether what passes there stays on this machine */
static gboolean
is_local(const KdEntrance *entrance)
{
    const char *client = NULL;

    if ((entrance->transport->caps & KD_TRANSPORT_LOCAL) != 0) {
        return TRUE;
    }
    if (entrance->is_clicon) {
        return g_variant_lookup(entrance->params, "clicon", "&s", &client) && is_loopback(client);
    }
    return entrance->listener != NULL && kd_listener_is_local(entrance->listener);
}

/**
 * kd_entrance_warn:
 * @entrance: open
 *
 * Says so in one line when a password may give a wrong impression: without TLS it is not sent, but
 * all that follows it can be read and altered on the way.
 */
void
kd_entrance_warn(const KdEntrance *entrance)
{
    g_autofree char *name = NULL;

    if (entrance->door == NULL || kd_door_get_password(entrance->door) == NULL ||
        kd_door_get_tls(entrance->door) != NULL || is_local(entrance)) {
        return;
    }
    name = kd_entrance_build_name(entrance);
    g_message("%s: the password is not sent, but whoever is on the way can read and alter the "
              "session: use ssl, or stay on this machine",
              name);
}

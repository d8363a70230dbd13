/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a transport string says about a server: how to reach it, and what it must prove. */
#include "kd-dial-up.h"

#include "kd-host-keys.h"
#include "kd-params.h"
#include "kd-secret.h"

static const char *
get_variable(const char *variable, void *user)
{
    (void)user;
    return g_getenv(variable);
}

static gboolean
check_offered(const KdTransport *transport, gboolean is_waited_for, GError **error)
{
    uint32_t needed = is_waited_for ? KD_TRANSPORT_LISTEN : KD_TRANSPORT_CONNECT;

    if ((transport->caps & needed) != 0) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s: this transport can't %s",
                transport->scheme, is_waited_for ? "wait for a server that dials" : "dial");
    return FALSE;
}

static gboolean
parse_items(KdDialUp *dial_up, const char *items, GError **error)
{
    KdParamsSource source = {.environment = get_variable, .machine = g_get_host_name()};
    const KdTransport *transport = dial_up->transport;

    dial_up->params = kd_params_parse(transport->scheme, transport->params, KD_FORM_CLIENT, items,
                                      &source, error);
    if (dial_up->params == NULL ||
        !kd_host_keys_check_stripped(transport, dial_up->params, error)) {
        return FALSE;
    }
    dial_up->is_waited_for = kd_params_get_form(transport->params, KD_FORM_CLIENT,
                                                dial_up->params) == KD_FORM_CLIENT_CLICON;
    return check_offered(transport, dial_up->is_waited_for, error) &&
           kd_door_check(KD_TLS_CLIENT, transport, dial_up->params, error);
}

/**
 * kd_dial_up_new:
 * @registry: loaded plugins; outlives what is returned
 * @server: a transport string in its client form
 * @error: return location
 *
 * Parses a transport string by the table of its plugin and the host's keys; opens nothing.
 *
 * Returns: (transfer full): what it says; %NULL with one of the KD_ERROR_PARAM_ codes, or
 * %KD_ERROR_NOT_SUPPORTED
 */
KdDialUp *
kd_dial_up_new(const KdRegistry *registry, const char *server, GError **error)
{
    g_autoptr(KdDialUp) dial_up = g_new0(KdDialUp, 1);
    g_autofree char *scheme = NULL;
    char *items = NULL;
    gboolean is_parsed;

    if (!kd_params_split(server, &scheme, &items, error)) {
        return NULL;
    }
    dial_up->host = kd_registry_get_host(registry);
    dial_up->transport = kd_registry_find_transport(registry, scheme, error);
    is_parsed = dial_up->transport != NULL && parse_items(dial_up, items, error);
    kd_secret_free_text(items);
    if (!is_parsed) {
        return NULL;
    }
    dial_up->name = kd_dial_up_build_name(registry, server);
    return g_steal_pointer(&dial_up);
}

/**
 * kd_dial_up_free:
 * @dial_up: (nullable): nothing is under way for it
 *
 * Frees it, and wipes its password.
 */
void
kd_dial_up_free(KdDialUp *dial_up)
{
    if (dial_up == NULL) {
        return;
    }
    kd_door_unref(dial_up->door);
    kd_password_unref(dial_up->password);
    g_clear_pointer(&dial_up->params, g_variant_unref);
    g_free(dial_up->name);
    g_free(dial_up);
}

/* From here on the password is in one place, which is wiped. */
static void
move_password(KdDialUp *dial_up)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(dial_up->params);

    if (dial_up->password == NULL && kd_door_get_password(dial_up->door) != NULL) {
        dial_up->password = kd_password_ref(kd_door_get_password(dial_up->door));
        kd_secret_guard_process();
    }
    g_variant_dict_remove(&dict, "password");
    g_variant_dict_remove(&dict, "password-file");
    kd_secret_wipe_value(dial_up->params, "password");
    g_variant_unref(dial_up->params);
    dial_up->params = g_variant_ref_sink(g_variant_dict_end(&dict));
}

/**
 * kd_dial_up_make_door:
 * @dial_up: of a string
 * @error: of the string, of a file, or %KD_ERROR_TLS
 *
 * Reads certificates, keys and the password that the string names, or reads them anew. Needed
 * before dialling.
 *
 * Returns: whether all are right; if not, an earlier door stays
 */
gboolean
kd_dial_up_make_door(KdDialUp *dial_up, GError **error)
{
    KdDoor *door =
        kd_door_new(KD_TLS_CLIENT, dial_up->transport, dial_up->params, dial_up->password, error);

    if (door == NULL) {
        return FALSE;
    }
    kd_door_unref(dial_up->door);
    dial_up->door = door;
    move_password(dial_up);
    return TRUE;
}

/**
 * kd_dial_up_take_password:
 * @dial_up: of a string that has none
 * @text: as the user has typed it
 * @error: it can't be one
 *
 * Keeps a password for this and later sessions.
 *
 * Returns: whether it can be one
 */
gboolean
kd_dial_up_take_password(KdDialUp *dial_up, const char *text, GError **error)
{
    KdPassword *password = kd_password_new(text, error);

    if (password == NULL) {
        return FALSE;
    }
    kd_password_unref(dial_up->password);
    dial_up->password = password;
    dial_up->is_password_typed = TRUE;
    kd_secret_guard_process();
    return TRUE;
}

/**
 * kd_dial_up_forget_password:
 * @dial_up: of a string
 *
 * Drops a password that was typed and is wrong, so that the next session asks for it again. One of
 * the string stays.
 */
void
kd_dial_up_forget_password(KdDialUp *dial_up)
{
    if (dial_up->is_password_typed) {
        g_clear_pointer(&dial_up->password, kd_password_unref);
        dial_up->is_password_typed = FALSE;
    }
}

/**
 * kd_dial_up_build_name:
 * @registry: loaded plugins
 * @server: a transport string, right or wrong
 *
 * Returns: (transfer full): the string as typed, without its secrets
 */
char *
kd_dial_up_build_name(const KdRegistry *registry, const char *server)
{
    g_autofree char *scheme = NULL;
    char *items = NULL;
    char *name;
    const KdTransport *transport;

    if (!kd_params_split(server, &scheme, &items, NULL)) {
        return kd_params_build_masked(NULL, NULL, server);
    }
    transport = kd_registry_find_transport(registry, scheme, NULL);
    name = kd_params_build_masked(scheme, transport != NULL ? transport->params : NULL, items);
    kd_secret_free_text(items);
    return name;
}

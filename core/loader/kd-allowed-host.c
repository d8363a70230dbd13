/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One HOST[:PORT] that strings of a client may dial. */
#include "kd-allowed-host.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

#define NAME_MAX_BYTES 255u

struct KdAllowedHost {
    char *name;            /* (nullable): without a dot at its end */
    GInetAddress *address; /* (nullable): plain                    */
    guint16 port;          /* 0 = any                              */
};

/**
 * kd_allowed_host_dup_plain:
 *
 * Returns: (transfer full): the address, as IPv4 if it is IPv4 in IPv6's clothes (RFC 4291 2.5.5.2)
 */
GInetAddress *
kd_allowed_host_dup_plain(GInetAddress *address)
{
    static const guint8 mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (g_inet_address_get_family(address) == G_SOCKET_FAMILY_IPV6) {
        const guint8 *bytes = g_inet_address_to_bytes(address);
        if (memcmp(bytes, mapped, sizeof mapped) == 0) {
            return g_inet_address_new_from_bytes(bytes + sizeof mapped, G_SOCKET_FAMILY_IPV4);
        }
    }
    return g_object_ref(address);
}

static gboolean
refuse(GError **error, const char *text, const char *reason)
{
    g_autofree char *shown = g_strescape(text, NULL);
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                "%s: %s; what may be dialled is HOST, HOST:PORT or [IPV6]:PORT", shown, reason);
    return FALSE;
}

static gboolean
is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_BYTES) {
        return FALSE;
    }
    for (size_t i = 0; i < len; i++) {
        if (!g_ascii_isalnum(name[i]) && strchr("-_.:%", name[i]) == NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Cuts the text in two; @port is %NULL where none stands. */
static gboolean
split(const char *text, char **name, const char **port, GError **error)
{
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return refuse(error, text, "a bracket is not closed");
        }
        *name = g_strndup(text + 1, (gsize)(end - text - 1));
        *port = end[1] == ':' ? end + 2 : NULL;
        return TRUE;
    }
    const char *colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL) {
        *name = g_strdup(text); /* two colons: IPv6 without a port */
        *port = NULL;
        return TRUE;
    }
    *name = g_strndup(text, (gsize)(colon - text));
    *port = colon + 1;
    return TRUE;
}

/**
 * kd_allowed_host_new:
 * @host_and_port: `HOST`, `HOST:PORT`, `[IPV6]:PORT`; a name or a number
 *
 * Returns: (transfer full): or %NULL with KD_ERROR_PARAM_INVALID
 */
KdAllowedHost *
kd_allowed_host_new(const char *host_and_port, GError **error)
{
    g_autofree char *name = NULL;
    const char *port = NULL;
    if (!split(host_and_port, &name, &port, error)) {
        return NULL;
    }
    guint64 number = 0;
    if (port != NULL && !g_ascii_string_to_unsigned(port, 10, 1, G_MAXUINT16, &number, NULL)) {
        refuse(error, host_and_port, "the port is not a number from 1 to 65535");
        return NULL;
    }
    size_t len = strlen(name);
    if (len > 1 && name[len - 1] == '.') {
        name[len - 1] = '\0';
    }
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);
    gboolean is_numeric_only = host_and_port[0] == '[' || strchr(name, ':') != NULL;
    if (!is_name(name) || (address == NULL && is_numeric_only && strchr(name, '%') == NULL)) {
        refuse(error, host_and_port, "neither a name nor an address");
        return NULL;
    }
    KdAllowedHost *host = g_new0(KdAllowedHost, 1);
    host->name = g_steal_pointer(&name);
    host->address = address != NULL ? kd_allowed_host_dup_plain(address) : NULL;
    host->port = (guint16)number;
    return host;
}

/**
 * kd_allowed_host_free:
 * @host: (transfer full)
 */
void
kd_allowed_host_free(KdAllowedHost *host)
{
    g_free(host->name);
    g_clear_object(&host->address);
    g_free(host);
}

static gboolean
is_same_name(const char *own, const char *theirs)
{
    size_t len = strlen(theirs);
    if (len > 1 && theirs[len - 1] == '.') {
        len--;
    }
    return strlen(own) == len && g_ascii_strncasecmp(own, theirs, len) == 0;
}

/**
 * kd_allowed_host_matches:
 * @name: (nullable): as the client typed it
 * @address: what it resolved to
 *
 * Returns: whether this entry allows the connection, by the name or by the address
 */
gboolean
kd_allowed_host_matches(const KdAllowedHost *host, const char *name, GInetSocketAddress *address)
{
    if (host->port != 0 && host->port != g_inet_socket_address_get_port(address)) {
        return FALSE;
    }
    if (host->address == NULL) {
        return name != NULL && is_same_name(host->name, name);
    }
    g_autoptr(GInetAddress) plain =
        kd_allowed_host_dup_plain(g_inet_socket_address_get_address(address));
    return g_inet_address_equal(host->address, plain);
}

/**
 * kd_allowed_host_may_be:
 * @name: as the client typed it, not a number
 *
 * Returns: whether what @name resolves to could be this entry: an entry that is a number can be
 * anybody's
 */
gboolean
kd_allowed_host_may_be(const KdAllowedHost *host, const char *name)
{
    return host->address != NULL || is_same_name(host->name, name);
}

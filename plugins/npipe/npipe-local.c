/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a host name means this machine. */
#include "npipe-local.h"

#include <gio/gio.h>

#include <string.h>

#define HOSTS_FILE "/etc/hosts"

static gboolean
is_loopback(const char *text)
{
    g_autofree char *bare = NULL;
    size_t len = strlen(text);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        bare = g_strndup(text + 1, len - 2);
    } else {
        bare = g_strdup(text);
    }
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(bare);
    return address != NULL && g_inet_address_get_is_loopback(address);
}

/* The name that the machine has itself, which is short or full as its owner likes. */
static gboolean
is_host_name(const char *host)
{
    const char *own = g_get_host_name();
    g_autofree char *short_name = g_strndup(own, strcspn(own, "."));
    return g_ascii_strcasecmp(host, own) == 0 || g_ascii_strcasecmp(host, short_name) == 0;
}

/* Whether a line of the file gives the name to a loopback address, as Debian does with the full
 * name of a machine. */
static gboolean
is_in_line(const char *line, const char *host)
{
    g_autofree char *text = g_strndup(line, strcspn(line, "#\r"));
    g_auto(GStrv) words = g_strsplit_set(g_strstrip(text), " \t", -1);
    if (words[0] == NULL || !is_loopback(words[0])) {
        return FALSE;
    }
    for (guint i = 1; words[i] != NULL; i++) {
        if (g_ascii_strcasecmp(words[i], host) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
is_in_hosts_file(const char *host)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(HOSTS_FILE, &text, NULL, NULL)) {
        return FALSE;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (is_in_line(lines[i], host)) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * npipe_local_is_own_name:
 * @host: name or address
 *
 * Asks no name server: knows `.`, `localhost`, loopback addresses, the machine's own name, short
 * and full, and the names that /etc/hosts gives to a loopback address; in any case.
 *
 * Returns: whether @host is this machine
 */
gboolean
npipe_local_is_own_name(const char *host)
{
    return strcmp(host, ".") == 0 || g_ascii_strcasecmp(host, "localhost") == 0 ||
           is_loopback(host) || is_host_name(host) || is_in_hosts_file(host);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a server is called: by its certificate, in the file of known servers, in the handshake. */
#include "kd-tls-place.h"

#include <gio/gio.h>

#include <stdint.h>
#include <string.h>

#define LOCALHOST "localhost"

/* The server's host as the client's string names it, whoever dials; an address without the brackets
 * that transports take, too, and no certificate has */
static char *
build_host(GVariant *params)
{
    const char *host = "";

    if (!g_variant_lookup(params, "server", "&s", &host)) {
        (void)g_variant_lookup(params, "clicon", "&s", &host);
    }
    gsize len = strlen(host);
    return len > 2 && host[0] == '[' && host[len - 1] == ']' ? g_strndup(host + 1, len - 2)
                                                             : g_strdup(host);
}

static gboolean
is_pipe(GVariant *params)
{
    const char *pipe = NULL;

    return g_variant_lookup(params, "pipe", "&s", &pipe);
}

/* Of a pipe these three are one machine */
static gboolean
is_local(const char *host)
{
    return strcmp(host, ".") == 0 || g_ascii_strcasecmp(host, LOCALHOST) == 0 ||
           g_ascii_strcasecmp(host, g_get_host_name()) == 0;
}

static char *
build_end(GVariant *params)
{
    const char *pipe = NULL;
    uint16_t low = 0, high = 0;

    if (g_variant_lookup(params, "pipe", "&s", &pipe)) {
        return g_strdup(pipe);
    }
    /* there it is our own port, and says nothing about the server */
    if (g_variant_lookup(params, "clicon", "&s", &pipe)) {
        return g_strdup("clicon");
    }
    if (!g_variant_lookup(params, "port", "(qq)", &low, &high)) {
        return g_strdup("");
    }
    return low == high ? g_strdup_printf("%u", low) : g_strdup_printf("%u-%u", low, high);
}

/**
 * kd_tls_place_build:
 * @scheme: of the transport
 * @params: a{sv} of a client
 *
 * Returns: (transfer full): what stands for the server in the file of known servers:
 *    `ssl:labhost:1027`, `ssl:[fd00::1]:1027`, `ssl:labhost:clicon` where the server dials,
 *    `spipe:localhost:kd`
 */
char *
kd_tls_place_build(const char *scheme, GVariant *params)
{
    g_autofree char *host = build_host(params);
    g_autofree char *lower =
        g_ascii_strdown(is_pipe(params) && is_local(host) ? LOCALHOST : host, -1);
    g_autofree char *end = build_end(params);
    const gboolean is_ipv6 = strchr(lower, ':') != NULL;

    return g_strdup_printf("%s:%s%s%s:%s", scheme, is_ipv6 ? "[" : "", lower, is_ipv6 ? "]" : "",
                           end);
}

/**
 * kd_tls_place_build_hosts:
 * @params: a{sv} of a client
 *
 * Returns: (transfer full): the names of which a certificate must have one: the host's as it was
 *    typed; of a pipe of this machine also `localhost` and the machine's name
 */
char **
kd_tls_place_build_hosts(GVariant *params)
{
    g_autofree char *host = build_host(params);
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();

    if (is_pipe(params) && is_local(host)) {
        g_ptr_array_add(hosts, g_strdup(LOCALHOST));
        g_ptr_array_add(hosts, g_strdup(g_get_host_name()));
    } else if (*host != '\0') {
        g_ptr_array_add(hosts, g_strdup(host));
    }
    g_ptr_array_add(hosts, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&hosts), FALSE);
}

/**
 * kd_tls_place_build_server_name:
 * @params: a{sv} of a client
 *
 * Returns: (transfer full) (nullable): the host's name for the handshake (RFC 6066, 3); %NULL for
 *    addresses and this machine's pipes
 */
char *
kd_tls_place_build_server_name(GVariant *params)
{
    g_autofree char *host = build_host(params);
    gsize len = strlen(host);

    /* the dot that ends an absolute name is no part of it there */
    while (len > 0 && host[len - 1] == '.') {
        len--;
    }
    if (len == 0 || (is_pipe(params) && is_local(host)) || g_hostname_is_ip_address(host) ||
        strchr(host, ':') != NULL) {
        return NULL;
    }
    return g_strndup(host, len);
}

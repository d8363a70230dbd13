/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening on a range of ports, and dialling: what tcp and ssl do alike. It is compiled into each
 * of the two modules, with TCP_SCHEME as the name in its messages. */
#include "tcp-transport.h"

#include <kdsrv-support/kd-dial.h>

#include <unistd.h>

static KdFamily
tcp_get_family(GVariant *params)
{
    return g_variant_lookup(params, "ipversion", "t", NULL) ? KD_FAMILY_IPV6 : KD_FAMILY_ANY;
}

/**
 * tcp_check:
 *
 * A transport's check: whether bind= is an address that ipversion= allows.
 */
gboolean
tcp_check(GVariant *params, GError **error)
{
    const char *address = NULL;
    if (g_variant_lookup(params, "bind", "&s", &address) &&
        !kd_listen_check_address(address, tcp_get_family(params), error)) {
        g_prefix_error(error, TCP_SCHEME ": bind=");
        return FALSE;
    }
    return TRUE;
}

static void
tcp_listening_free(gpointer data)
{
    KdListening *listening = data;
    for (uint32_t i = 0; i < listening->n_fds; i++) {
        close(listening->fds[i]);
    }
    g_clear_pointer(&listening->bound, g_variant_unref);
    g_free(listening);
}

/**
 * tcp_listen_async:
 *
 * A transport's listen_async: takes the first free port of the range. A client with clicon= listens
 * for its server in the same way.
 */
void
tcp_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                 GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_source_tag(task, tcp_listen_async);
    (void)host;
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    uint16_t low = 0;
    uint16_t high = 0;
    if (!g_variant_lookup(params, "port", "(qq)", &low, &high)) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_PARAM_MISSING,
                                TCP_SCHEME ": port= is missing");
        return;
    }
    g_autofree char *address = NULL;
    g_variant_lookup(params, "bind", "s", &address);
    KdListening *listening = g_new0(KdListening, 1);
    uint16_t port = 0;
    GError *error = NULL;
    if (!kd_listen_ports(address, low, high, tcp_get_family(params), listening, &port, &error)) {
        tcp_listening_free(listening);
        g_prefix_error(&error, TCP_SCHEME ": ");
        g_task_return_error(task, error);
        return;
    }
    GVariantDict bound;
    g_variant_dict_init(&bound, NULL);
    g_variant_dict_insert(&bound, "port", "(qq)", port, low == high ? port : high);
    listening->bound = g_variant_ref_sink(g_variant_dict_end(&bound));
    g_task_return_pointer(task, listening, tcp_listening_free);
}

/**
 * tcp_listen_finish:
 *
 * A transport's listen_finish. Errors that a caller branches on: %KD_ERROR_BUSY.
 */
gboolean
tcp_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    g_autofree KdListening *made = g_task_propagate_pointer(G_TASK(result), error);
    if (made == NULL) {
        return FALSE;
    }
    for (uint32_t i = 0; i < made->n_fds; i++) {
        listening->fds[i] = made->fds[i];
    }
    listening->n_fds = made->n_fds;
    listening->bound = made->bound;
    return TRUE;
}

/**
 * tcp_connect_async:
 *
 * A transport's connect_async. Errors of tcp_connect_finish() that a caller branches on are those
 * of kd_dial_ports_async().
 */
void
tcp_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer user_data)
{
    /* A string without these does not pass the table; an empty name is refused by dialling. */
    uint16_t low = 0;
    uint16_t high = 0;
    const char *name = "";
    g_variant_lookup(params, "port", "(qq)", &low, &high);
    /* A client dials its server, and a server the client that clicon= names. */
    if (!g_variant_lookup(params, "server", "&s", &name)) {
        g_variant_lookup(params, "clicon", "&s", &name);
    }
    kd_dial_ports_async(host, name, low, MAX(low, high), tcp_get_family(params), cancellable,
                        callback, user_data);
}

/**
 * tcp_connect_finish:
 *
 * A transport's connect_finish; the fact `peer` is the other end's address and port.
 */
gboolean
tcp_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    int fd = kd_dial_finish(result, error);
    if (fd < 0) {
        g_prefix_error(error, TCP_SCHEME ": ");
        return FALSE;
    }
    g_autofree char *peer = kd_dial_build_peer_name(fd);
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    kd_endpoint_take_fd(endpoint, fd, KD_ENDPOINT_HALF_CLOSE, g_variant_dict_end(&facts));
    return TRUE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clicon: waits until the server dials us, and lets in nobody else. */
#include "kd-waiting.h"

#include "kd-allowed-host.h"
#include "kd-endpoint.h"
#include "kd-listener.h"
#include "kd-notice.h"

#include <sys/socket.h>

#define MAX_STRANGERS_TOLD 8u /* a scan of ports must not fill the terminal */

/**
 * KdWaiting:
 * @server: the name that clicon= gives
 * @addresses: (element-type GInetAddress): that it has
 * @under_way: cancels looking the name up, and beginning to listen, which come back yet
 * @listener: (nullable): until the server is there
 * @is_opening: @listener must not be freed yet
 * @taken: the server's connection
 * @idle_id: tells of @taken, 0 = not yet
 */
struct KdWaiting {
    const KdDialUp *dial_up;
    KdWaitingFunc func;
    void *user;
    const char *server;
    GList *addresses;
    GCancellable *under_way;
    KdListener *listener;
    gboolean is_opening;
    gboolean is_taken;
    gboolean is_dead;
    guint n_strangers;
    KdEndpoint taken;
    guint idle_id;
};

static void
free_addresses(GList *addresses)
{
    g_list_free_full(addresses, g_object_unref);
}

/* After the last of what comes back. */
static void
clear_waiting(gpointer data)
{
    KdWaiting *waiting = data;

    g_clear_pointer(&waiting->listener, kd_listener_free);
    g_clear_pointer(&waiting->addresses, free_addresses);
    g_clear_object(&waiting->under_way);
    kd_endpoint_clear(&waiting->taken);
}

static void
release(KdWaiting *waiting)
{
    g_rc_box_release_full(waiting, clear_waiting);
}

static void
fail(KdWaiting *waiting, const GError *error)
{
    if (!waiting->is_dead) {
        waiting->func(NULL, error, waiting->user);
    }
}

/* ---- who comes ---- */

/* Whether the two are one, in whatever clothes (a dual-stack socket has IPv4 in those of IPv6) */
static gboolean
is_match(GInetAddress *peer, GInetAddress *known, gboolean is_name)
{
    g_autoptr(GInetAddress) one = kd_allowed_host_dup_plain(peer);
    g_autoptr(GInetAddress) other = kd_allowed_host_dup_plain(known);

    return g_inet_address_equal(one, other) || (is_name && g_inet_address_get_is_loopback(one) &&
                                                g_inet_address_get_is_loopback(other));
}

/* Who has no address can't be told from others. A name of this machine may have another loopback
 * address (127.0.1.1) than the one that it dials itself from. */
static gboolean
is_server(const KdWaiting *waiting, const KdEndpoint *endpoint)
{
    struct sockaddr_storage bytes;
    socklen_t len = sizeof bytes;
    gboolean is_name = !g_hostname_is_ip_address(waiting->server);
    g_autoptr(GSocketAddress) address = NULL;
    GInetAddress *peer;

    if (endpoint->fd < 0 || getpeername(endpoint->fd, (struct sockaddr *)&bytes, &len) != 0) {
        return FALSE;
    }
    address = g_socket_address_new_from_native(&bytes, len);
    if (!G_IS_INET_SOCKET_ADDRESS(address)) {
        return FALSE;
    }
    peer = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address));
    for (const GList *each = waiting->addresses; each != NULL; each = each->next) {
        if (is_match(peer, each->data, is_name)) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
tell_stranger(KdWaiting *waiting, const char *peer)
{
    if (++waiting->n_strangers <= MAX_STRANGERS_TOLD) {
        kd_notice_print("%s: not %s, closed%s", peer, waiting->server,
                        waiting->n_strangers == MAX_STRANGERS_TOLD ? "; more are not told" : "");
    }
}

/* Not from within the listener, which is freed here. */
static gboolean
on_taken(gpointer data)
{
    KdWaiting *waiting = data;

    if (waiting->is_opening) {
        return G_SOURCE_CONTINUE;
    }
    g_rc_box_acquire(waiting);
    waiting->idle_id = 0;
    g_clear_pointer(&waiting->listener, kd_listener_free);
    waiting->func(&waiting->taken, NULL, waiting->user);
    release(waiting);
    return G_SOURCE_REMOVE;
}

static void
on_client(KdListener *listener, KdEndpoint *endpoint, const char *peer, const char *source,
          void *user)
{
    KdWaiting *waiting = user;

    (void)listener;
    (void)source;
    if (waiting->is_taken || waiting->is_dead) {
        return; /* closed by the listener, as it was not taken */
    }
    if (!is_server(waiting, endpoint)) {
        tell_stranger(waiting, peer);
        return;
    }
    waiting->is_taken = TRUE;
    waiting->taken = *endpoint;
    kd_endpoint_init(endpoint);
    waiting->idle_id = g_idle_add(on_taken, waiting);
}

/* ---- waiting ---- */

static void
on_listening(GObject *source, GAsyncResult *result, gpointer data)
{
    KdWaiting *waiting = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *name = NULL;

    (void)source;
    waiting->is_opening = FALSE;
    if (!kd_listener_listen_finish(waiting->listener, result, &error)) {
        fail(waiting, error);
    } else if (!waiting->is_dead) {
        name = kd_listener_build_name(waiting->listener);
        kd_notice_print("waiting for %s on %s", waiting->server, name);
    }
    release(waiting);
}

static void
on_resolved(GObject *source, GAsyncResult *result, gpointer data)
{
    KdWaiting *waiting = data;
    const KdDialUp *dial_up = waiting->dial_up;
    g_autoptr(GError) error = NULL;

    waiting->addresses = g_resolver_lookup_by_name_finish(G_RESOLVER(source), result, &error);
    if (waiting->is_dead) {
        release(waiting);
        return;
    }
    if (waiting->addresses == NULL) {
        g_prefix_error(&error, "%s: clicon=%s: ", dial_up->transport->scheme, waiting->server);
        fail(waiting, error);
        release(waiting);
        return;
    }
    waiting->is_opening = TRUE;
    waiting->listener =
        kd_listener_new(dial_up->host, dial_up->transport, dial_up->params, on_client, waiting);
    kd_listener_listen_async(waiting->listener, waiting->under_way, on_listening, waiting);
}

/**
 * kd_waiting_new:
 * @dial_up: with clicon=; outlives the waiting
 * @func: told when the server is there
 * @user: for @func
 *
 * Listens for one connection, of the server that clicon= names; all others are closed, and told.
 * Says where it waits. Has no deadline.
 *
 * Returns: (transfer full): the waiting
 */
KdWaiting *
kd_waiting_new(const KdDialUp *dial_up, KdWaitingFunc func, void *user)
{
    KdWaiting *waiting = g_rc_box_new0(KdWaiting);
    g_autoptr(GResolver) resolver = g_resolver_get_default();

    waiting->dial_up = dial_up;
    waiting->func = func;
    waiting->user = user;
    waiting->server = "";
    (void)g_variant_lookup(dial_up->params, "clicon", "&s", &waiting->server);
    waiting->under_way = g_cancellable_new();
    kd_endpoint_init(&waiting->taken);
    g_resolver_lookup_by_name_async(resolver, waiting->server, waiting->under_way, on_resolved,
                                    g_rc_box_acquire(waiting));
    return waiting;
}

/**
 * kd_waiting_free:
 * @waiting: (nullable): a waiting
 *
 * Ends it; nothing is told any more.
 */
void
kd_waiting_free(KdWaiting *waiting)
{
    if (waiting == NULL) {
        return;
    }
    waiting->is_dead = TRUE;
    g_clear_handle_id(&waiting->idle_id, g_source_remove);
    kd_endpoint_clear(&waiting->taken);
    if (!waiting->is_opening) {
        g_clear_pointer(&waiting->listener, kd_listener_free);
    }
    g_cancellable_cancel(waiting->under_way);
    release(waiting);
}

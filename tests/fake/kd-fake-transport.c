/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transport `fake:`: both ends in one process, over two ring streams, without a socket. */
#include "kd-fake.h"

#include <kdsrv-support/kd-ring-stream.h>

#include <errno.h>

#define RING_BYTES  (64u * 1024u)
#define MAX_BACKLOG 16u

typedef struct End {
    struct End *other;
    KdRingStream *ring; /* NULL once the host has destroyed it */
    gboolean is_given;
    gboolean is_shut;
} End;

/* One connection; bytes go across as soon as the other end has room. It is freed with the first
 * end that goes, unless the server's is yet to be accepted. */
typedef struct {
    End client;
    End server;
    guint64 name;
} Pair;

#define KD_FAKE_TYPE_LISTENER (kd_fake_listener_get_type())
G_DECLARE_FINAL_TYPE(KdFakeListener, kd_fake_listener, KD_FAKE, LISTENER, GObject)

struct _KdFakeListener {
    GObject parent;
    guint64 name;
    GQueue backlog; /* Pair: connected and not accepted */
    GTask *accept;
    GSource *cancel_source;
    gboolean is_closed;
};

G_DEFINE_TYPE(KdFakeListener, kd_fake_listener, G_TYPE_OBJECT)

static GHashTable *listeners; /* name -> KdFakeListener, borrowed */

static void
move_across(End *from)
{
    uint8_t chunk[16 * 1024];
    End *to = from->other;
    if (from->ring == NULL || to->ring == NULL)
        return;
    while (kd_ring_stream_get_pending(from->ring) > 0) {
        size_t room = kd_ring_stream_get_room(to->ring);
        if (room == 0) {
            /* Takes nothing, but makes the ring say when there is room. */
            (void)kd_ring_stream_put(to->ring, chunk, 1);
            return;
        }
        size_t n = kd_ring_stream_take(from->ring, chunk, MIN(room, sizeof chunk));
        (void)kd_ring_stream_put(to->ring, chunk, n);
    }
    if (from->is_shut)
        kd_ring_stream_end(to->ring, 0);
}

static void
on_readable(KdRingStream *ring G_GNUC_UNUSED, void *user)
{
    move_across(user);
}

static void
on_writable(KdRingStream *ring G_GNUC_UNUSED, void *user)
{
    move_across(((End *)user)->other);
}

static void
on_ended(KdRingStream *ring G_GNUC_UNUSED, void *user)
{
    End *end = user;
    end->is_shut = TRUE;
    move_across(end);
}

static void
pair_free(Pair *pair)
{
    End *ends[] = {&pair->client, &pair->server};
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        if (ends[i]->ring == NULL)
            continue;
        if (ends[i]->is_given)
            kd_ring_stream_detach(ends[i]->ring);
        else
            kd_ring_stream_free(ends[i]->ring);
    }
    g_free(pair);
}

static Pair *
end_get_pair(End *end)
{
    return (Pair *)(void *)(end < end->other ? end : end->other);
}

static void
on_gone(KdRingStream *ring, void *user)
{
    End *end = user;
    End *other = end->other;
    end->ring = NULL;
    /* Like a socket that is closed with bytes under way: the other side gets to know. */
    if (other->ring != NULL &&
        kd_ring_stream_get_pending(ring) + kd_ring_stream_get_pending(other->ring) > 0)
        kd_ring_stream_end(other->ring, ECONNRESET);
    if (other->is_given || other->ring == NULL)
        pair_free(end_get_pair(end));
}

static void
end_init(End *end, End *other)
{
    static const KdRingStreamFuncs funcs = {
        .readable = on_readable,
        .writable = on_writable,
        .ended = on_ended,
        .gone = on_gone,
    };
    end->other = other;
    end->ring = kd_ring_stream_new(RING_BYTES, RING_BYTES, &funcs, end);
}

static Pair *
pair_new(guint64 name)
{
    Pair *pair = g_new0(Pair, 1);
    pair->name = name;
    end_init(&pair->client, &pair->server);
    end_init(&pair->server, &pair->client);
    return pair;
}

static void
end_give(End *end, KdEndpoint *endpoint)
{
    Pair *pair = end_get_pair(end);
    g_autofree char *peer = g_strdup_printf("fake:name=%" G_GUINT64_FORMAT, pair->name);
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    end->is_given = TRUE;
    kd_ring_stream_give(end->ring, endpoint, KD_ENDPOINT_HALF_CLOSE, g_variant_dict_end(&facts));
    if (end->other->ring == NULL)
        pair_free(pair); /* the client has gone while nobody accepted it */
}

/* What a waiting accept holds: the pair that it was given, until the host takes it. */
typedef struct {
    Pair *pair;
} Accept;

static void
accept_free(gpointer user)
{
    Accept *accept = user;
    g_clear_pointer(&accept->pair, pair_free);
    g_free(accept);
}

static void
listener_close(KdFakeListener *listener)
{
    g_queue_clear_full(&listener->backlog, (GDestroyNotify)pair_free);
    if (!listener->is_closed)
        g_hash_table_remove(listeners, &listener->name);
    listener->is_closed = TRUE;
}

static void
kd_fake_listener_finalize(GObject *object)
{
    listener_close(KD_FAKE_LISTENER(object));
    G_OBJECT_CLASS(kd_fake_listener_parent_class)->finalize(object);
}

static void
kd_fake_listener_class_init(KdFakeListenerClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = kd_fake_listener_finalize;
}

static void
kd_fake_listener_init(KdFakeListener *listener)
{
    g_queue_init(&listener->backlog);
}

static guint64
get_name(GVariant *params)
{
    guint64 name = 0;
    (void)g_variant_lookup(params, "name", "t", &name);
    return name;
}

static void
fake_listen_async(const KdHost *host G_GNUC_UNUSED, GVariant *params, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_source_tag(task, fake_listen_async);
    g_task_set_task_data(task, g_variant_ref_sink(params), (GDestroyNotify)g_variant_unref);
    g_task_return_boolean(task, TRUE);
}

static gboolean
fake_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    guint64 name = get_name(g_task_get_task_data(G_TASK(result)));
    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    if (listeners == NULL)
        listeners = g_hash_table_new(g_int64_hash, g_int64_equal);
    if (g_hash_table_contains(listeners, &name)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                    "fake:name=%" G_GUINT64_FORMAT ": another listener has this name", name);
        return FALSE;
    }
    KdFakeListener *listener = g_object_new(KD_FAKE_TYPE_LISTENER, NULL);
    listener->name = name;
    g_hash_table_insert(listeners, &listener->name, listener);
    listening->n_fds = 0;
    listening->bound = NULL;
    listening->listener = G_OBJECT(listener);
    return TRUE;
}

/* (transfer full): the waiting accept, which waits no more */
static GTask *
stop_accept(KdFakeListener *listener)
{
    if (listener->cancel_source != NULL) {
        g_source_destroy(listener->cancel_source);
        g_clear_pointer(&listener->cancel_source, g_source_unref);
    }
    return g_steal_pointer(&listener->accept);
}

static void
serve_accept(KdFakeListener *listener)
{
    if (listener->accept == NULL || g_queue_is_empty(&listener->backlog))
        return;
    g_autoptr(GTask) task = stop_accept(listener);
    Accept *accept = g_task_get_task_data(task);
    accept->pair = g_queue_pop_head(&listener->backlog);
    g_task_return_boolean(task, TRUE);
}

static gboolean
on_accept_cancelled(GCancellable *cancellable G_GNUC_UNUSED, gpointer user)
{
    g_autoptr(GTask) task = stop_accept(KD_FAKE_LISTENER(user));
    (void)g_task_return_error_if_cancelled(task);
    return G_SOURCE_REMOVE;
}

static void
watch_cancellable(KdFakeListener *listener, GCancellable *cancellable)
{
    if (cancellable == NULL)
        return;
    listener->cancel_source = g_cancellable_source_new(cancellable);
    g_source_set_callback(listener->cancel_source, G_SOURCE_FUNC(on_accept_cancelled), listener,
                          NULL);
    g_source_attach(listener->cancel_source, NULL);
}

static void
fake_accept_async(GObject *object, GCancellable *cancellable, GAsyncReadyCallback callback,
                  gpointer user_data)
{
    KdFakeListener *listener = KD_FAKE_LISTENER(object);
    GTask *task = g_task_new(object, cancellable, callback, user_data);
    g_task_set_source_tag(task, fake_accept_async);
    g_task_set_task_data(task, g_new0(Accept, 1), accept_free);
    if (listener->is_closed || listener->accept != NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_FAILED,
                                "fake:name=%" G_GUINT64_FORMAT ": not listening, or asked twice",
                                listener->name);
        g_object_unref(task);
        return;
    }
    listener->accept = task;
    watch_cancellable(listener, cancellable);
    serve_accept(listener);
}

static gboolean
fake_accept_finish(GObject *object, GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdFakeListener *listener = KD_FAKE_LISTENER(object);
    Accept *accept = g_task_get_task_data(G_TASK(result));
    Pair *pair = g_steal_pointer(&accept->pair);
    if (g_task_propagate_boolean(G_TASK(result), error)) {
        end_give(&pair->server, endpoint);
        return TRUE;
    }
    /* Nobody has seen this client: the next accept shall. */
    if (pair != NULL && !listener->is_closed) {
        g_queue_push_head(&listener->backlog, pair);
        serve_accept(listener);
    } else if (pair != NULL) {
        pair_free(pair);
    }
    return FALSE;
}

static void
fake_unlisten(GObject *object)
{
    KdFakeListener *listener = KD_FAKE_LISTENER(object);
    listener_close(listener);
    if (listener->accept == NULL)
        return;
    g_autoptr(GTask) task = stop_accept(listener);
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                            "fake:name=%" G_GUINT64_FORMAT ": not listening any more",
                            listener->name);
}

static void
fake_connect_async(const KdHost *host G_GNUC_UNUSED, GVariant *params, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_source_tag(task, fake_connect_async);
    g_task_set_task_data(task, g_variant_ref_sink(params), (GDestroyNotify)g_variant_unref);
    g_task_return_boolean(task, TRUE);
}

static gboolean
fake_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    guint64 name = get_name(g_task_get_task_data(G_TASK(result)));
    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    KdFakeListener *listener = listeners != NULL ? g_hash_table_lookup(listeners, &name) : NULL;
    if (listener == NULL || g_queue_get_length(&listener->backlog) >= MAX_BACKLOG) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED,
                    "fake:name=%" G_GUINT64_FORMAT ": %s", name,
                    listener == NULL ? "nobody listens" : "too many wait to be accepted");
        return FALSE;
    }
    Pair *pair = pair_new(name);
    end_give(&pair->client, endpoint);
    g_queue_push_tail(&listener->backlog, pair);
    serve_accept(listener);
    return TRUE;
}

static const KdParamSpec fake_params[] = {
    {.key = "name",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_REQUIRED,
     .max = G_MAXUINT32,
     .placeholder = "N",
     .help = "number that both ends agree on"},
    {.key = "hidden", .type = KD_PARAM_FLAG, .flags = KD_PARAM_SERVER, .help = "is not listed"},
    {0},
};

const KdTransport kd_fake_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT | KD_TRANSPORT_LOCAL,
    .scheme = "fake",
    .summary = "both ends in one process, for tests",
    .params = fake_params,
    .listen_async = fake_listen_async,
    .listen_finish = fake_listen_finish,
    .accept_async = fake_accept_async,
    .accept_finish = fake_accept_finish,
    .unlisten = fake_unlisten,
    .connect_async = fake_connect_async,
    .connect_finish = fake_connect_finish,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target link with a life of its own: sessions claim and release it, its kind says what then. */
#include "kd-link.h"

#include <errno.h>

/* So many links stay open without a session: each costs a descriptor and memory, and for some kinds
 * a client can name thousands. */
#define MOST_IDLE 128u

typedef enum {
    LINK_NEW = 0,     /* claimed, not opened yet                                       */
    LINK_OPENING = 1, /* open_async is under way                                       */
    LINK_OPEN = 2,    /* a session has its endpoint                                    */
    LINK_IDLE = 3,    /* nobody claims it; it stays open                               */
    LINK_CLOSING = 4, /* close_async is under way                                      */
} KdLinkState;

struct KdLinkTable {
    const KdHost *host;
    GPtrArray *links; /* (element-type KdLink) */
};

struct KdLink {
    KdLinkTable *table; /* NULL: the table has gone */
    const KdHost *host;
    const KdTarget *target;
    GVariant *params;
    char *name;
    char **lock_names;
    KdLinkState state;
    GObject *object;
    KdSink sink;
    KdEndpoint endpoint; /* while idle and not drained */
    KdEnd *drain;        /* while idle and drained */
    KdLink *waits_for;   /* has our device and is closing, because of other parameters */
    gboolean is_claimed;
    char *holder;
    gint64 since_us; /* claimed, or idle */
    gint64 since_real_us;
    KdLinkEventFunc on_event;
    void *user;
    guint lost_id;
    GTask *opening;
    GVariant *session;
    GTask *releasing;
};

static void close_link(KdLink *link);
static void open_or_wait(KdLink *link);

static void
link_free(KdLink *link)
{
    KdLinkTable *table = link->table;

    kd_endpoint_clear(&link->endpoint);
    kd_end_free(link->drain);
    g_clear_object(&link->object);
    if (table != NULL) {
        g_ptr_array_remove_fast(table->links, link);
    }
    /* Now the device is free. */
    for (guint i = 0; table != NULL && i < table->links->len; i++) {
        KdLink *waiter = g_ptr_array_index(table->links, i);

        if (waiter->waits_for == link) {
            open_or_wait(waiter);
        }
    }
    g_variant_unref(link->params);
    g_clear_pointer(&link->session, g_variant_unref);
    g_strfreev(link->lock_names);
    g_free(link->name);
    g_free(link->holder);
    g_free(link);
}

static gboolean
on_idle_lost(gpointer user_data)
{
    KdLink *link = user_data;

    link->lost_id = 0;
    close_link(link);
    return G_SOURCE_REMOVE;
}

static void
on_sink_event(void *user, uint32_t event, GVariant *arg)
{
    KdLink *link = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;

    if (link->on_event != NULL) {
        link->on_event(link, event, owned, link->user);
    } else if (link->state == LINK_IDLE && event == KD_EVENT_LOST && link->lost_id == 0) {
        /* Not from here: the plugin is still in the call that tells us. */
        link->lost_id = g_idle_add(on_idle_lost, link);
    }
}

/**
 * kd_link_table_new:
 * @host: given to the targets
 *
 * Returns: (transfer full): a table without links
 */
KdLinkTable *
kd_link_table_new(const KdHost *host)
{
    KdLinkTable *table = g_new0(KdLinkTable, 1);

    table->host = host;
    table->links = g_ptr_array_new();
    return table;
}

/**
 * kd_link_table_free:
 * @table: (nullable): a table; links that are still closing end by themselves
 *
 * Forgets all links. None may be claimed any more.
 */
void
kd_link_table_free(KdLinkTable *table)
{
    if (table == NULL) {
        return;
    }
    kd_link_table_close_idle(table);
    for (guint i = 0; i < table->links->len; i++) {
        KdLink *link = g_ptr_array_index(table->links, i);

        link->table = NULL;
        link->waits_for = NULL;
    }
    g_ptr_array_unref(table->links);
    g_free(table);
}

/**
 * kd_link_table_get_n_links:
 * @table: a table
 *
 * Returns: how many links are claimed, open or closing
 */
guint
kd_link_table_get_n_links(const KdLinkTable *table)
{
    return table->links->len;
}

/**
 * kd_link_table_close_idle:
 * @table: a table
 *
 * Starts to close every link that no session claims.
 */
void
kd_link_table_close_idle(KdLinkTable *table)
{
    g_autoptr(GPtrArray) links = g_ptr_array_copy(table->links, NULL, NULL);

    for (guint i = 0; i < links->len; i++) {
        KdLink *link = g_ptr_array_index(links, i);

        if (link->state == LINK_IDLE && !link->is_claimed) {
            close_link(link);
        }
    }
}

static gboolean
have_common_name(char **a, char **b)
{
    for (int i = 0; a != NULL && a[i] != NULL; i++) {
        if (b != NULL && g_strv_contains((const char *const *)b, a[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether a link keeps another one from its device. */
static gboolean
is_in_way(const KdLink *link, const KdTarget *target, char **lock_names)
{
    return have_common_name(link->lock_names, lock_names) &&
           (link->target != target || (target->caps & KD_TARGET_SHARED) == 0);
}

/* A link on the same device: a claimed one rather than one that is only left over. */
static KdLink *
find_colliding(const KdLinkTable *table, const KdTarget *target, char **lock_names)
{
    KdLink *left_over = NULL;

    for (guint i = 0; i < table->links->len; i++) {
        KdLink *link = g_ptr_array_index(table->links, i);

        if (!is_in_way(link, target, lock_names)) {
            continue;
        }
        if (link->is_claimed) {
            return link;
        }
        left_over = link;
    }
    return left_over;
}

static void
set_busy(const KdLink *link, GError **error)
{
    g_autoptr(GDateTime) since =
        g_date_time_new_from_unix_local(link->since_real_us / G_USEC_PER_SEC);
    g_autofree char *text = g_date_time_format(since, "%Y-%m-%d %H:%M:%S");

    g_set_error(error, KD_ERROR, KD_ERROR_BUSY,
                "%s: in use by %s since %s (%" G_GINT64_FORMAT " s)", link->name, link->holder,
                text, (g_get_monotonic_time() - link->since_us) / G_USEC_PER_SEC);
}

static KdLink *
link_new(KdLinkTable *table, const KdTarget *target, GVariant *params, const char *name,
         char **lock_names)
{
    KdLink *link = g_new0(KdLink, 1);

    link->table = table;
    link->host = table->host;
    link->target = target;
    link->params = g_variant_ref_sink(params);
    link->name = g_strdup(name);
    link->lock_names = lock_names;
    link->sink = (KdSink){.struct_size = sizeof link->sink, .event = on_sink_event, .user = link};
    kd_endpoint_init(&link->endpoint);
    g_ptr_array_add(table->links, link);
    return link;
}

/**
 * kd_link_table_claim:
 * @table: a table
 * @target: kind of the link
 * @params: a{sv} for it
 * @name: as listed
 * @holder: who claims it, for those who find it busy
 * @error: KD_ERROR_BUSY names the holder and since when
 *
 * Gives a link to one session. A link that stayed open is given again if it was opened in the same
 * way; else the old one is closed first, and opening the new one waits for that.
 *
 * Returns: (transfer none) (nullable): the link; kd_link_release_async() ends the claim
 */
KdLink *
kd_link_table_claim(KdLinkTable *table, const KdTarget *target, GVariant *params, const char *name,
                    const char *holder, GError **error)
{
    char **lock_names =
        target->build_lock_names != NULL ? target->build_lock_names(table->host, params) : NULL;
    KdLink *found = find_colliding(table, target, lock_names);
    KdLink *link;

    if (found != NULL && found->is_claimed) {
        g_strfreev(lock_names);
        set_busy(found, error);
        return NULL;
    }
    if (found != NULL && found->state == LINK_IDLE && found->lost_id == 0 &&
        found->target == target && g_variant_equal(found->params, params)) {
        g_strfreev(lock_names);
        link = found;
        link->is_claimed = TRUE;
    } else {
        link = link_new(table, target, params, name, lock_names);
        link->is_claimed = TRUE;
        open_or_wait(link);
    }
    g_free(link->holder);
    link->holder = g_strdup(holder);
    link->since_us = g_get_monotonic_time();
    link->since_real_us = g_get_real_time();
    return link;
}

/**
 * kd_link_table_has:
 * @table: a table
 * @target: kind of a link
 * @params: a{sv} of it
 * @holder: (out) (transfer none) (nullable): who has claimed the device; %NULL: nobody
 *
 * Looks whether one of our links is on a device in such a way that no other can be.
 *
 * Returns: whether there is one, claimed or left open
 */
gboolean
kd_link_table_has(const KdLinkTable *table, const KdTarget *target, GVariant *params,
                  const char **holder)
{
    g_auto(GStrv) lock_names =
        target->build_lock_names != NULL ? target->build_lock_names(table->host, params) : NULL;
    const KdLink *found = find_colliding(table, target, lock_names);

    *holder = found != NULL && found->is_claimed ? found->holder : NULL;
    return found != NULL;
}

/**
 * kd_link_get_target:
 * @link: a link
 *
 * Returns: its kind
 */
const KdTarget *
kd_link_get_target(const KdLink *link)
{
    return link->target;
}

/**
 * kd_link_get_name:
 * @link: a link
 *
 * Returns: the link as listed
 */
const char *
kd_link_get_name(const KdLink *link)
{
    return link->name;
}

/**
 * kd_link_get_object:
 * @link: an open link
 *
 * Returns: (transfer none): the plugin's object, for reopen and control
 */
GObject *
kd_link_get_object(const KdLink *link)
{
    return link->object;
}

/* ---- opening ---- */

static void
on_opened(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdLink *link = user_data;
    g_autoptr(GTask) task = g_steal_pointer(&link->opening);
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;

    (void)source;
    kd_endpoint_init(&endpoint);
    link->object = link->target->open_finish(result, &endpoint, &error);
    if (link->object == NULL) {
        link->state = LINK_NEW;
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    link->state = LINK_OPEN;
    link->endpoint = endpoint;
    g_task_return_boolean(task, TRUE);
}

static void
start_open(KdLink *link)
{
    link->state = LINK_OPENING;
    link->target->open_async(link->host, link->params, link->session, &link->sink,
                             g_task_get_cancellable(link->opening), on_opened, link);
}

/* Starts to open a claimed link when it was asked for and no other link is left on the device.
 * Links that nobody claims any more are closed, one after the other. */
static void
open_or_wait(KdLink *link)
{
    link->waits_for = NULL;
    for (guint i = 0; link->table != NULL && i < link->table->links->len; i++) {
        KdLink *other = g_ptr_array_index(link->table->links, i);

        if (!other->is_claimed && is_in_way(other, link->target, link->lock_names)) {
            link->waits_for = other;
            if (other->state == LINK_IDLE) {
                close_link(other);
            }
            return;
        }
    }
    if (link->opening != NULL) {
        start_open(link);
    }
}

/**
 * kd_link_open_async:
 * @link: a claimed link
 * @session: a{sv} of the session, for the target
 * @on_event: told of the link's events until it is released
 * @user: for @on_event
 * @cancellable: (nullable): ends the opening
 * @callback: called when it is open or failed
 * @user_data: for @callback
 *
 * Opens a claimed link. Failed or not, the claim stays until it is released.
 */
void
kd_link_open_async(KdLink *link, GVariant *session, KdLinkEventFunc on_event, void *user,
                   GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    link->opening = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_task_data(link->opening, link, NULL);
    /* A link that was opened stays open whatever the cancellable says: its release closes it. */
    g_task_set_check_cancellable(link->opening, FALSE);
    g_clear_pointer(&link->session, g_variant_unref);
    link->session = g_variant_ref_sink(session);
    link->on_event = on_event;
    link->user = user;
    if (link->state == LINK_IDLE) {
        g_autoptr(GTask) task = g_steal_pointer(&link->opening);

        if (link->drain != NULL) {
            kd_end_release(g_steal_pointer(&link->drain), &link->endpoint);
        }
        link->state = LINK_OPEN;
        g_task_return_boolean(task, TRUE);
    } else if (link->waits_for == NULL) {
        start_open(link);
    }
}

/**
 * kd_link_open_finish:
 * @result: given to the callback
 * @endpoint: (out caller-allocates): the link's endpoint
 * @error: where to put an error
 *
 * Returns: whether the link is open
 */
gboolean
kd_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdLink *link = g_task_get_task_data(G_TASK(result));

    kd_endpoint_init(endpoint);
    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return FALSE;
    }
    *endpoint = link->endpoint;
    kd_endpoint_init(&link->endpoint);
    return TRUE;
}

/* ---- letting go ---- */

static gboolean
on_drain_run(KdLoopWatch *watch)
{
    KdEnd *end = (KdEnd *)watch;
    KdLink *link = end->owner;

    while (kd_end_is_readable(end)) {
        gssize n = kd_end_read(end, kd_loop_get_buffer(), KD_LOOP_BUFFER_BYTES);

        if (n > 0) {
            return TRUE; /* one buffer a turn */
        }
        if (n != -EAGAIN) {
            if (link->state == LINK_IDLE) {
                close_link(link);
            }
            return FALSE;
        }
    }
    return FALSE;
}

static const KdLoopWatchFuncs drain_funcs = {
    .run = on_drain_run,
    .gone = kd_end_gone,
};

/* The last of a link: whoever is told finds the device free. */
static void
finish_release(KdLink *link)
{
    g_autoptr(GTask) task = g_steal_pointer(&link->releasing);

    link_free(link);
    if (task != NULL) {
        g_task_return_boolean(task, TRUE);
    }
}

static void
on_closed(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdLink *link = user_data;

    (void)source;
    link->target->close_finish(link->object, result);
    finish_release(link);
}

static void
close_link(KdLink *link)
{
    g_clear_handle_id(&link->lost_id, g_source_remove);
    if (link->drain != NULL) {
        kd_end_release(g_steal_pointer(&link->drain), &link->endpoint);
    }
    link->state = LINK_CLOSING;
    link->target->close_async(link->object, on_closed, link);
}

static gboolean
keep_open(KdLink *link)
{
    g_autoptr(GError) error = NULL;

    if (link->endpoint.fd < 0 && link->endpoint.stream == NULL) {
        return FALSE;
    }
    if ((link->endpoint.flags & KD_ENDPOINT_DRAIN) != 0) {
        link->drain = kd_end_new(&link->endpoint, &drain_funcs, link, &error);
        if (link->drain == NULL) {
            g_info("%s: %s", link->name, error->message);
        }
        return link->drain != NULL;
    }
    return (link->endpoint.flags & KD_ENDPOINT_KEEP) != 0;
}

/* Makes room for a link that has become idle: the one that nobody wanted for longest is closed. */
static void
trim_idle(const KdLinkTable *table)
{
    KdLink *oldest = NULL;
    guint n = 0;

    for (guint i = 0; i < table->links->len; i++) {
        KdLink *link = g_ptr_array_index(table->links, i);

        if (link->state != LINK_IDLE || link->is_claimed) {
            continue;
        }
        n++;
        if (oldest == NULL || link->since_us < oldest->since_us) {
            oldest = link;
        }
    }
    if (n > MOST_IDLE) {
        g_info("%s: closed, for more than %u links are open without a session", oldest->name,
               MOST_IDLE);
        close_link(oldest);
    }
}

/**
 * kd_link_release_async:
 * @link: a claimed link; nothing that was asked of it is under way any more
 * @endpoint: (transfer full) (nullable): what opening gave; %NULL or empty: it has ended
 * @callback: called when the next session may have it; the link may be gone then
 * @user_data: for @callback
 *
 * Ends a claim. The link is closed, unless its endpoint says that it is kept or drained; of very
 * many such links the one that was released first is closed.
 */
void
kd_link_release_async(KdLink *link, KdEndpoint *endpoint, GAsyncReadyCallback callback,
                      gpointer user_data)
{
    link->releasing = g_task_new(NULL, NULL, callback, user_data);
    link->is_claimed = FALSE;
    link->on_event = NULL;
    if (endpoint != NULL) {
        link->endpoint = *endpoint;
        kd_endpoint_init(endpoint);
    }
    if (link->object == NULL) {
        finish_release(link);
    } else if (link->table != NULL && keep_open(link)) {
        g_autoptr(GTask) task = g_steal_pointer(&link->releasing);

        link->state = LINK_IDLE;
        link->since_us = g_get_monotonic_time();
        trim_idle(link->table);
        g_task_return_boolean(task, TRUE);
    } else {
        close_link(link);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libusb on the host's loop: its descriptors are watched, its timeouts are a timerfd among them,
 * and it does only what it can do at once. */
#include "usb-context.h"

#include <kdsrv-support/kd-source.h>

#include <poll.h>
#include <unistd.h>

/* A descriptor that is ready again and again, and nothing comes of it, is left alone for a while.
 */
#define N_IDLE_TURNS 64u
#define PAUSE_MS     20u

/* While nobody uses USB, what udev has told is taken so seldom: libusb keeps it until then. */
#define REST_MS 60000u

/* There while udevd runs: without it nobody tells of devices. */
#define UDEV_SOCKET "/run/udev/control"

struct UsbContext {
    grefcount ref_count;
    const KdHost *host;
    libusb_context *usb;
    GHashTable *watches; /* fd -> KdWatch */
    gboolean is_watched;
    gboolean is_resting;
    gboolean has_hotplug;
    gboolean has_changed;
    guint n_idle_turns;
    GSource *timer; /* (nullable): of a pause, or where libusb has no timerfd */
    gboolean is_paused;
    UsbContextFunc changed; /* (nullable) */
    void *user;
};

/* What may not be done from within libusb. All is on the one thread of the loop. */
typedef struct {
    void (*fn)(gpointer user);
    gpointer user;
} Deferred;

static guint n_turning;
static GQueue deferred = G_QUEUE_INIT;

static void turn(UsbContext *context);
static gboolean on_timer(gpointer user_data);

/**
 * usb_context_is_turning:
 *
 * Returns: whether libusb is calling us, and devices can neither be opened nor closed
 */
gboolean
usb_context_is_turning(void)
{
    return n_turning > 0;
}

/**
 * usb_context_defer:
 *
 * Calls @fn when libusb is not calling us: now, or right after.
 */
void
usb_context_defer(void (*fn)(gpointer user), gpointer user)
{
    if (n_turning == 0) {
        fn(user);
        return;
    }
    Deferred *later = g_new(Deferred, 1);
    *later = (Deferred){.fn = fn, .user = user};
    g_queue_push_tail(&deferred, later);
}

static void
run_deferred(void)
{
    for (Deferred *next = g_queue_pop_head(&deferred); next != NULL;
         next = g_queue_pop_head(&deferred)) {
        g_autofree Deferred *owned = next;
        owned->fn(owned->user);
    }
}

/**
 * usb_context_note_progress:
 *
 * Notes that a transfer has completed, so that this turn was not in vain.
 */
void
usb_context_note_progress(UsbContext *context)
{
    context->n_idle_turns = 0;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

typedef struct {
    const KdHost *host;
    KdWatch *watch;
    uint32_t ready;
} Watch;

static void
on_ready(void *user, uint32_t ready)
{
    (void)ready;
    turn(user);
}

static void LIBUSB_CALL
on_fd_added(int fd, short events, void *user)
{
    UsbContext *context = user;
    uint32_t ready = ((events & POLLIN) != 0 ? (uint32_t)KD_READY_IN : 0u) |
                     ((events & POLLOUT) != 0 ? (uint32_t)KD_READY_OUT : 0u);
    KdWatch *watch = context->host->watch_add(context->host, fd, ready, on_ready, context);
    if (watch == NULL) {
        context->is_watched = FALSE;
        return;
    }
    Watch *own = g_new(Watch, 1);
    *own = (Watch){.host = context->host, .watch = watch, .ready = ready};
    g_hash_table_replace(context->watches, GINT_TO_POINTER(fd), own);
}

static void LIBUSB_CALL
on_fd_removed(int fd, void *user)
{
    UsbContext *context = user;
    g_hash_table_remove(context->watches, GINT_TO_POINTER(fd));
}

static void
on_free_watch(gpointer user)
{
    Watch *watch = user;
    watch->host->watch_remove(watch->watch);
    g_free(watch);
}

static gboolean
watch_all(UsbContext *context, GError **error)
{
    context->is_watched = TRUE;
    const struct libusb_pollfd **fds = libusb_get_pollfds(context->usb);
    for (size_t i = 0; fds != NULL && fds[i] != NULL; i++) {
        on_fd_added(fds[i]->fd, fds[i]->events, context);
    }
    context->is_watched = context->is_watched && fds != NULL;
    libusb_free_pollfds(fds);
    libusb_set_pollfd_notifiers(context->usb, on_fd_added, on_fd_removed, context);
    if (!context->is_watched) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED,
                            "the kernel watches no more descriptors");
    }
    return context->is_watched;
}

static void
set_paused(UsbContext *context, gboolean is_paused)
{
    GHashTableIter iter;
    gpointer value = NULL;
    g_hash_table_iter_init(&iter, context->watches);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Watch *watch = value;
        watch->host->watch_set(watch->watch, is_paused ? 0 : watch->ready);
    }
    context->is_paused = is_paused;
    /* Until something comes of it, one turn in each pause. */
    context->n_idle_turns = N_IDLE_TURNS;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static gboolean
on_timer(gpointer user_data)
{
    UsbContext *context = user_data;
    kd_source_clear(&context->timer);
    if (context->is_paused) {
        set_paused(context, FALSE);
    }
    turn(context);
    return G_SOURCE_REMOVE;
}

/* On Linux libusb's timeouts are a descriptor; elsewhere we keep its time. */
static void
start_timer(UsbContext *context, gboolean has_failed)
{
    struct timeval next = {0};
    if (context->is_resting) {
        kd_source_start_timer(&context->timer, REST_MS, on_timer, context);
    } else if (has_failed || context->n_idle_turns >= N_IDLE_TURNS) {
        set_paused(context, TRUE);
        kd_source_start_timer(&context->timer, PAUSE_MS, on_timer, context);
    } else if (libusb_pollfds_handle_timeouts(context->usb) == 0 &&
               libusb_get_next_timeout(context->usb, &next) == 1) {
        uint32_t wait_ms = (uint32_t)CLAMP(next.tv_sec * 1000 + next.tv_usec / 1000 + 1, 1, 60000);
        kd_source_start_timer(&context->timer, wait_ms, on_timer, context);
    }
}

static void
turn(UsbContext *context)
{
    struct timeval now = {0};
    usb_context_ref(context); /* its last user may go in this turn */
    context->n_idle_turns++;
    n_turning++;
    int result = libusb_handle_events_timeout_completed(context->usb, &now, NULL);
    n_turning--;
    if (n_turning == 0) {
        run_deferred();
    }
    if (context->has_changed) {
        context->has_changed = FALSE;
        context->n_idle_turns = 0;
        if (context->changed != NULL) {
            context->changed(context->user);
        }
    }
    start_timer(context, result != LIBUSB_SUCCESS && result != LIBUSB_ERROR_INTERRUPTED);
    usb_context_unref(context);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Here no device may be opened or closed. */
static int LIBUSB_CALL
on_hotplug(libusb_context *usb, libusb_device *device, libusb_hotplug_event event, void *user)
{
    UsbContext *context = user;
    (void)usb;
    (void)device;
    (void)event;
    context->has_changed = TRUE;
    return 0; /* go on */
}

static void
start_hotplug(UsbContext *context)
{
    if (libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) == 0) {
        return;
    }
    int result = libusb_hotplug_register_callback(
        context->usb, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0,
        LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, on_hotplug,
        context, NULL);
    context->has_hotplug = result == LIBUSB_SUCCESS && access(UDEV_SOCKET, F_OK) == 0;
}

/**
 * usb_context_new:
 * @changed: called when devices come and go
 *
 * Starts libusb, which reads from sysfs what there is: short files that wait for no device. It has
 * a thread of its own for udev's messages, which comes with the first context and goes with the
 * last one. To end that one means to wait for the thread, so it is put to rest instead.
 *
 * Returns: (transfer full) (nullable): knows the devices of this moment
 */
UsbContext *
usb_context_new(const KdHost *host, UsbContextFunc changed, void *user, GError **error)
{
    libusb_context *usb = NULL;
    int result = libusb_init(&usb);
    if (result != LIBUSB_SUCCESS) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "libusb cannot start: %s",
                    libusb_strerror(result));
        return NULL;
    }
    UsbContext *context = g_new0(UsbContext, 1);
    g_ref_count_init(&context->ref_count);
    context->host = host;
    context->usb = usb;
    context->changed = changed;
    context->user = user;
    context->watches = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, on_free_watch);
    if (!watch_all(context, error)) {
        usb_context_unref(context);
        return NULL;
    }
    start_hotplug(context);
    return context;
}

/**
 * usb_context_ref:
 *
 * Returns: (transfer full): the same
 */
UsbContext *
usb_context_ref(UsbContext *context)
{
    g_ref_count_inc(&context->ref_count);
    return context;
}

/**
 * usb_context_unref:
 * @context: (transfer full) (nullable): not from within libusb, for its last user
 *
 * Ends libusb with the last reference; all devices have been closed.
 */
void
usb_context_unref(UsbContext *context)
{
    if (context == NULL || !g_ref_count_dec(&context->ref_count)) {
        return;
    }
    g_warn_if_fail(n_turning == 0);
    kd_source_clear(&context->timer);
    libusb_set_pollfd_notifiers(context->usb, NULL, NULL, NULL);
    g_hash_table_unref(context->watches);
    libusb_exit(context->usb);
    g_free(context);
}

/**
 * usb_context_forget:
 *
 * Tells nobody of devices any more.
 */
void
usb_context_forget(UsbContext *context)
{
    context->changed = NULL;
}

/**
 * usb_context_rest:
 * @context: no device of it is open
 *
 * Watches no descriptor any more.
 */
void
usb_context_rest(UsbContext *context)
{
    if (context->is_resting) {
        return;
    }
    libusb_set_pollfd_notifiers(context->usb, NULL, NULL, NULL);
    g_hash_table_remove_all(context->watches);
    context->is_resting = TRUE;
    context->is_paused = FALSE;
    kd_source_start_timer(&context->timer, REST_MS, on_timer, context);
}

/**
 * usb_context_wake:
 *
 * Watches them again, and takes what was told meanwhile.
 *
 * Returns: %FALSE: the kernel refuses; it rests on
 */
gboolean
usb_context_wake(UsbContext *context, GError **error)
{
    if (!context->is_resting) {
        return TRUE;
    }
    context->is_resting = FALSE;
    kd_source_clear(&context->timer);
    if (!watch_all(context, error)) {
        usb_context_rest(context);
        return FALSE;
    }
    if (n_turning == 0) {
        turn(context);
    }
    return TRUE;
}

/**
 * usb_context_get:
 *
 * Returns: (transfer none): libusb's own
 */
libusb_context *
usb_context_get(const UsbContext *context)
{
    return context->usb;
}

/**
 * usb_context_has_hotplug:
 *
 * Returns: whether we are told of devices; else they have to be looked for, by a new context
 */
gboolean
usb_context_has_hotplug(const UsbContext *context)
{
    return context->has_hotplug;
}

/**
 * usb_context_take_refusal:
 *
 * Returns: whether a descriptor could not be watched since this was asked last: the device that was
 *    opened is of no use
 */
gboolean
usb_context_take_refusal(UsbContext *context)
{
    gboolean is_refused = !context->is_watched;
    context->is_watched = TRUE;
    return is_refused;
}

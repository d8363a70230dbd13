/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated target at a cable that umockdev lends. What the host writes comes in umockdev's
 * thread and is taken in the target's own, which keeps its time, too. */
#include "kd-usb-target.h"

/* What a test wants of the target's thread */
typedef enum {
    ORDER_NONE = 0,
    ORDER_PLUG,
    ORDER_UNPLUG,
    ORDER_QUIT,
} Order;

struct KdUsbTarget {
    KdUsbMock *mock;
    KdUsbTargetOptions options;
    GThread *thread;
    GMutex lock;
    GCond cond;
    /* under the lock */
    GQueue received; /* GBytes */
    Order order;
    guint n_plugged;
    /* of the thread */
    KdSimTarget *sim;
    KdUsbDevice *device; /* (nullable): while it is plugged in */
};

static void
on_written(KdUsbDevice *device, const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdUsbTarget *target = user;
    (void)device;
    g_mutex_lock(&target->lock);
    g_queue_push_tail(&target->received, g_bytes_new(bytes, len_bytes));
    g_cond_broadcast(&target->cond);
    g_mutex_unlock(&target->lock);
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to, void *user)
{
    KdUsbTarget *target = user;
    (void)to;
    if (target->device == NULL)
        return FALSE;
    kd_usb_device_send(target->device, bytes, len_bytes);
    return TRUE;
}

/* ---- in the target's thread ------------------------------------------------------------------ */

static void
plug(KdUsbTarget *target)
{
    static const KdUsbDeviceSpec spec = {.name = NULL}; /* the target answers by itself */
    if (target->device != NULL)
        return;
    target->device = kd_usb_mock_plug(target->mock, &spec);
    kd_usb_device_set_written(target->device, on_written, target);
    kd_usb_device_set_chaos(target->device, target->options.chaos_percent,
                            (guint32)target->options.sim.seed + target->n_plugged);
    g_mutex_lock(&target->lock);
    target->n_plugged++;
    g_mutex_unlock(&target->lock);
}

static void
unplug(KdUsbTarget *target)
{
    if (target->device != NULL)
        kd_usb_device_unplug(target->device);
    target->device = NULL;
}

static void
look_at_machine(KdUsbTarget *target, gboolean *was_booting)
{
    gboolean is_booting = kd_sim_machine_is_booting(kd_sim_target_get_machine(target->sim));
    if (!target->options.is_replugged || is_booting == *was_booting)
        return;
    *was_booting = is_booting;
    if (is_booting)
        unplug(target);
    else
        plug(target);
}

static void
receive_all(KdUsbTarget *target)
{
    for (;;) {
        gsize len_bytes = 0;
        g_mutex_lock(&target->lock);
        g_autoptr(GBytes) bytes = g_queue_pop_head(&target->received);
        g_mutex_unlock(&target->lock);
        if (bytes == NULL)
            return;
        const uint8_t *data = g_bytes_get_data(bytes, &len_bytes);
        kd_sim_target_receive(target->sim, data, len_bytes, NULL, g_get_monotonic_time());
    }
}

/* Until something has come, or the target's time has */
static Order
wait(KdUsbTarget *target)
{
    gint64 deadline_us = kd_sim_target_get_deadline_us(target->sim);
    g_mutex_lock(&target->lock);
    while (target->order == ORDER_NONE && target->received.length == 0) {
        if (deadline_us < 0)
            g_cond_wait(&target->cond, &target->lock);
        else if (!g_cond_wait_until(&target->cond, &target->lock, deadline_us))
            break;
    }
    Order order = target->order;
    target->order = ORDER_NONE;
    g_cond_broadcast(&target->cond);
    g_mutex_unlock(&target->lock);
    return order;
}

static gpointer
run(gpointer user)
{
    KdUsbTarget *target = user;
    gboolean was_booting = FALSE;
    Order order = ORDER_NONE;
    kd_sim_target_boot(target->sim, g_get_monotonic_time());
    was_booting = kd_sim_machine_is_booting(kd_sim_target_get_machine(target->sim));
    plug(target);
    while (order != ORDER_QUIT) {
        order = wait(target);
        if (order == ORDER_PLUG)
            plug(target);
        else if (order == ORDER_UNPLUG)
            unplug(target);
        receive_all(target);
        gint64 deadline_us = kd_sim_target_get_deadline_us(target->sim);
        if (deadline_us >= 0 && deadline_us <= g_get_monotonic_time())
            kd_sim_target_tick(target->sim, g_get_monotonic_time());
        look_at_machine(target, &was_booting);
    }
    unplug(target);
    return NULL;
}

/* ---- in the test's --------------------------------------------------------------------------- */

/**
 * kd_usb_target_new:
 *
 * Boots a target and plugs it in.
 *
 * Returns: (transfer full)
 */
KdUsbTarget *
kd_usb_target_new(KdUsbMock *mock, const KdUsbTargetOptions *options)
{
    g_autoptr(GError) error = NULL;
    KdUsbTarget *target = g_new0(KdUsbTarget, 1);
    target->mock = mock;
    target->options = *options;
    target->options.sim.dialect = KD_SIM_DIALECT_USB;
    target->sim = kd_sim_target_new(&target->options.sim, &error);
    g_assert_no_error(error);
    kd_sim_target_set_send(target->sim, on_send, target);
    g_mutex_init(&target->lock);
    g_cond_init(&target->cond);
    target->thread = g_thread_new("target", run, target);
    return target;
}

static void
give_order(KdUsbTarget *target, Order order)
{
    g_mutex_lock(&target->lock);
    while (target->order != ORDER_NONE)
        g_cond_wait(&target->cond, &target->lock);
    target->order = order;
    g_cond_broadcast(&target->cond);
    g_mutex_unlock(&target->lock);
}

/**
 * kd_usb_target_free:
 * @target: (transfer full) (nullable)
 *
 * Unplugs it and switches it off.
 */
void
kd_usb_target_free(KdUsbTarget *target)
{
    if (target == NULL)
        return;
    give_order(target, ORDER_QUIT);
    g_thread_join(target->thread);
    kd_sim_target_free(target->sim);
    g_queue_clear_full(&target->received, (GDestroyNotify)(void (*)(void))g_bytes_unref);
    g_mutex_clear(&target->lock);
    g_cond_clear(&target->cond);
    g_free(target);
}

/**
 * kd_usb_target_unplug:
 *
 * Pulls the cable out; soon.
 */
void
kd_usb_target_unplug(KdUsbTarget *target)
{
    give_order(target, ORDER_UNPLUG);
}

/**
 * kd_usb_target_plug:
 *
 * Plugs it in again; soon.
 */
void
kd_usb_target_plug(KdUsbTarget *target)
{
    give_order(target, ORDER_PLUG);
}

/**
 * kd_usb_target_get_n_plugged:
 *
 * Returns: how often it was plugged in
 */
guint
kd_usb_target_get_n_plugged(KdUsbTarget *target)
{
    g_mutex_lock(&target->lock);
    guint n_plugged = target->n_plugged;
    g_mutex_unlock(&target->lock);
    return n_plugged;
}

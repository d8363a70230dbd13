/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open link to a target on USB: it looks for its target, and again when that went away. */
#include "usb-link.h"

#include "kd-link-port.h"
#include "usb-bus.h"
#include "usb-name.h"
#include "usb-sysfs.h"

#include <kdsrv-support/kd-source.h>

/* A target that comes and goes all the time is looked at once a second. */
#define STABLE_US (1000 * G_GINT64_CONSTANT(1000))
#define PAUSE_MS  1000u

struct _UsbLink {
    GObject parent_instance;
    const KdSink *sink;
    char *name;
    UsbBus *bus;
    KdLinkPort *port;
    UsbSeeker *seeker; /* (nullable): while the target is not there */
    UsbUnit *unit;     /* (nullable): while it is */
    UsbPipe *pipe;     /* (nullable): the same */
    GSource *pause;    /* (nullable): before it is looked for again */
    gint64 found_us;
    gboolean was_found;
    gboolean is_back; /* and has not said yet whether it goes on or begins anew */
    gboolean is_opened;
    char *trouble; /* (nullable): what was said last about the search */
    GTask *closing;
};

G_DEFINE_TYPE(UsbLink, usb_link, G_TYPE_OBJECT)

static void seek(UsbLink *link);
static void seek_again(UsbLink *link);

/* The unit outlives its link: it may be closing yet. */
static void
clear_all(UsbLink *link)
{
    kd_source_clear(&link->pause);
    g_clear_pointer(&link->seeker, usb_seeker_free);
    link->pipe = NULL;
    if (link->unit != NULL) {
        usb_unit_give_back(link->unit, FALSE, NULL, NULL);
    }
    g_clear_pointer(&link->unit, usb_unit_unref);
    g_clear_pointer(&link->port, kd_link_port_free);
    g_clear_pointer(&link->bus, usb_bus_release);
}

static void
usb_link_finalize(GObject *object)
{
    UsbLink *link = USB_LINK(object);
    clear_all(link);
    g_free(link->name);
    g_free(link->trouble);
    G_OBJECT_CLASS(usb_link_parent_class)->finalize(object);
}

static void
usb_link_class_init(UsbLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = usb_link_finalize;
}

static void
usb_link_init(UsbLink *link)
{
    (void)link;
}

/* ---- the carrier ----------------------------------------------------------------------------- */

static gboolean
on_port_send(const uint8_t *bytes, size_t len_bytes, void *user)
{
    UsbLink *link = user;
    /* Without a target a packet is lost, as on a cable that leads nowhere. */
    return link->pipe == NULL || usb_pipe_send(link->pipe, bytes, len_bytes);
}

static const KdLinkPortFuncs port_funcs = {
    .send = on_port_send,
};

/* The first packet of data on a new cable tells a target that has restarted, and counts anew, from
 * one that was only unplugged. */
static void
note_restart(UsbLink *link, const uint8_t *bytes, size_t len_bytes)
{
    KdPacket packet;
    if (!link->is_back || !kd_packet_parse(KD_DIALECT_USB, bytes, len_bytes, &packet, NULL) ||
        packet.is_control) {
        return;
    }
    link->is_back = FALSE;
    if ((packet.id & KD_PACKET_SYNC_ID) != 0) {
        kd_link_port_restarted(link->port);
    }
}

static void
on_received(const uint8_t *bytes, size_t len_bytes, void *user)
{
    g_autoptr(UsbLink) link = g_object_ref(user);
    /* The target may be asked twice before it answers, and then answers twice. */
    if (usb_name_is_answer(bytes, len_bytes)) {
        return;
    }
    note_restart(link, bytes, len_bytes);
    if (link->port != NULL) {
        (void)kd_link_port_receive(link->port, bytes, len_bytes);
    }
}

static void
on_sent(void *user)
{
    UsbLink *link = user;
    kd_link_port_ready(link->port);
}

static void
on_ended(UsbEnd why, void *user)
{
    g_autoptr(UsbLink) link = g_object_ref(user);
    g_autoptr(UsbUnit) unit = g_steal_pointer(&link->unit);
    link->pipe = NULL;
    usb_unit_give_back(unit, TRUE, NULL, NULL);
    seek_again(link);
    if (why != USB_END_GONE) {
        kd_link_port_note(link->port, "nothing passes to %s: opening it anew",
                          usb_unit_get_label(unit));
    }
    /* Whoever is told may close the link. */
    if (link->port != NULL) {
        kd_link_port_set_present(link->port, FALSE);
    }
}

static const UsbPipeFuncs pipe_funcs = {
    .received = on_received,
    .sent = on_sent,
    .ended = on_ended,
};

/* ---- the search ------------------------------------------------------------------------------ */

static void
on_found(UsbUnit *unit, void *user)
{
    g_autoptr(UsbLink) link = g_object_ref(user);
    g_autoptr(GPtrArray) packets = NULL;
    link->seeker = NULL;
    link->is_back = link->was_found;
    link->was_found = TRUE;
    link->found_us = g_get_monotonic_time();
    link->unit = usb_unit_ref(unit);
    link->pipe = usb_unit_take(unit, &pipe_funcs, link, &packets);
    g_clear_pointer(&link->trouble, g_free);
    kd_link_port_note(link->port, "%s is the target %s", usb_unit_get_label(unit), link->name);
    if (link->port != NULL) {
        kd_link_port_set_present(link->port, TRUE);
    }
    if (link->port != NULL) {
        kd_link_port_ready(link->port);
    }
    for (guint i = 0; i < packets->len && link->port != NULL; i++) {
        gsize len_bytes = 0;
        const uint8_t *bytes = g_bytes_get_data(packets->pdata[i], &len_bytes);
        on_received(bytes, len_bytes, link);
    }
}

/* What keeps the search from ending, if it is anything but that the target is not there. */
static char *
build_trouble(const UsbLink *link)
{
    const GPtrArray *units = usb_bus_get_units(link->bus);
    for (guint i = 0; i < units->len; i++) {
        const UsbUnit *unit = units->pdata[i];
        const GError *error = usb_unit_get_error(unit);
        if (error != NULL && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
            return g_strdup(error->message);
        }
        if (usb_unit_is_silent(unit)) {
            return g_strdup_printf("%s does not tell its name: asking on",
                                   usb_unit_get_label(unit));
        }
    }
    return NULL;
}

static void
on_changed(void *user)
{
    UsbLink *link = user;
    g_autofree char *trouble = link->is_opened ? build_trouble(link) : NULL;
    if (trouble != NULL && g_strcmp0(trouble, link->trouble) != 0) {
        g_free(link->trouble);
        link->trouble = g_steal_pointer(&trouble);
        kd_link_port_note(link->port, "%s", link->trouble);
    }
}

static const UsbSeekerFuncs seeker_funcs = {
    .found = on_found,
    .changed = on_changed,
};

static void
seek(UsbLink *link)
{
    link->seeker = usb_bus_seek(link->bus, link->name, &seeker_funcs, link);
}

static gboolean
on_pause_over(gpointer user_data)
{
    UsbLink *link = user_data;
    kd_source_clear(&link->pause);
    seek(link);
    return G_SOURCE_REMOVE;
}

static void
seek_again(UsbLink *link)
{
    if (g_get_monotonic_time() - link->found_us >= STABLE_US) {
        seek(link);
    } else {
        kd_source_start_timer(&link->pause, PAUSE_MS, on_pause_over, link);
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static GError *
build_linux_error(const UsbUnit *unit)
{
    g_autofree char *terminal = usb_sysfs_find_terminal(usb_unit_get_place(unit));
    return g_error_new(KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                       "%s is a debug device of Linux, not of Windows: use com:port=%s",
                       usb_unit_get_label(unit), terminal != NULL ? terminal : "/dev/ttyUSBn");
}

/* A mistake that no waiting mends: nothing there can be the target, for a reason that stays. While
 * anything is asked for its name, or nothing at all is there, the link waits. */
static GError *
find_mistake(const UsbLink *link)
{
    const GPtrArray *units = usb_bus_get_units(link->bus);
    const UsbUnit *terminal = NULL;
    const GError *error = NULL;
    for (guint i = 0; i < units->len; i++) {
        const UsbUnit *unit = units->pdata[i];
        if (usb_unit_get_kind(unit) == USB_KIND_LINUX) {
            terminal = terminal != NULL ? terminal : unit;
        } else if (usb_unit_get_state(unit) != USB_UNIT_IDLE || usb_unit_get_error(unit) == NULL) {
            return NULL;
        } else {
            error = error != NULL ? error : usb_unit_get_error(unit);
        }
    }
    if (error != NULL) {
        gboolean stays = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) ||
                         g_error_matches(error, KD_ERROR, KD_ERROR_BUSY);
        return stays ? g_error_copy(error) : NULL;
    }
    return terminal != NULL ? build_linux_error(terminal) : NULL;
}

static gboolean
start(UsbLink *link, const KdHost *host, GError **error)
{
    link->bus = usb_bus_acquire(host, error);
    if (link->bus == NULL) {
        return FALSE;
    }
    link->port = kd_link_port_new(KD_DIALECT_USB, link->sink, &port_funcs, link);
    seek(link);
    usb_bus_work(link->bus);
    GError *mistake = link->unit == NULL ? find_mistake(link) : NULL;
    if (mistake != NULL) {
        g_propagate_error(error, mistake);
        return FALSE;
    }
    if (link->unit == NULL) {
        kd_link_port_note(link->port, "waiting for the target %s on USB", link->name);
    }
    link->is_opened = TRUE;
    return TRUE;
}

/**
 * usb_link_open_async:
 * @params: with `targetname`
 * @sink: told what is waited for
 *
 * Starts to look for a target; whether it is there already does not matter.
 */
void
usb_link_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                    GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(UsbLink) link = g_object_new(USB_TYPE_LINK, NULL);
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    GError *error = NULL;
    (void)session;
    g_task_set_source_tag(task, usb_link_open_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    link->sink = sink;
    g_variant_lookup(params, "targetname", "s", &link->name);
    if (!start(link, host, &error)) {
        g_prefix_error(&error, "usb: ");
        clear_all(link);
        g_task_return_error(task, error);
        return;
    }
    g_task_return_boolean(task, TRUE);
}

/**
 * usb_link_open_finish:
 *
 * Returns: (transfer full) (nullable): the link. Errors a caller branches on:
 *    %G_IO_ERROR_PERMISSION_DENIED, %KD_ERROR_BUSY, %KD_ERROR_NOT_SUPPORTED (only Linux's own debug
 *    devices are there)
 */
GObject *
usb_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return NULL;
    }
    UsbLink *link = g_task_get_source_object(G_TASK(result));
    g_autofree char *peer = usb_name_build_lock(link->name);
    kd_link_port_give(link->port, endpoint, peer);
    return g_object_ref(G_OBJECT(link));
}

/* ---- controls -------------------------------------------------------------------------------- */

static void
fill_status(const UsbLink *link, GVariantDict *status)
{
    if (link->unit == NULL) {
        return;
    }
    g_variant_dict_insert(status, "device", "s", usb_unit_get_label(link->unit));
    g_variant_dict_insert(status, "speed-mbit", "u", (guint32)usb_unit_get_speed_mbit(link->unit));
}

/**
 * usb_link_control_async:
 * @arg: (nullable): as kd-plugin.h says
 *
 * Starts a control operation; one at a time.
 */
void
usb_link_control_async(GObject *object, uint32_t op, GVariant *arg, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer user_data)
{
    UsbLink *link = USB_LINK(object);
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    GVariantDict status;
    g_task_set_source_tag(task, usb_link_control_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (link->port == NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST, "usb: the link was closed");
        return;
    }
    g_variant_dict_init(&status, NULL);
    if (op == KD_CONTROL_STATUS) {
        fill_status(link, &status);
    }
    kd_link_port_control(link->port, op, arg, &status, task);
}

/**
 * usb_link_control_finish:
 * @out: (out) (transfer full) (nullable): the result
 * @error: %KD_ERROR_NOT_SUPPORTED: the link has no such operation
 *
 * Returns: whether it was done
 */
gboolean
usb_link_control_finish(GObject *object, GAsyncResult *result, GVariant **out, GError **error)
{
    GError *own = NULL;
    g_autoptr(GVariant) value = g_task_propagate_pointer(G_TASK(result), &own);
    (void)object;
    if (own != NULL) {
        g_propagate_error(error, own);
        return FALSE;
    }
    if (out != NULL) {
        *out = g_steal_pointer(&value);
    }
    return TRUE;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
on_closed(gpointer user)
{
    g_autoptr(GTask) task = user;
    clear_all(g_task_get_source_object(task));
    g_task_return_boolean(task, TRUE);
}

/**
 * usb_link_close_async:
 *
 * Ends the search, or gives the device back; that takes half a second at most.
 */
void
usb_link_close_async(GObject *object, GAsyncReadyCallback callback, gpointer user_data)
{
    UsbLink *link = USB_LINK(object);
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);
    g_task_set_source_tag(task, usb_link_close_async);
    kd_source_clear(&link->pause);
    g_clear_pointer(&link->seeker, usb_seeker_free);
    g_clear_pointer(&link->port, kd_link_port_free);
    if (link->unit == NULL) {
        on_closed(g_steal_pointer(&task));
        return;
    }
    g_autoptr(UsbUnit) unit = g_steal_pointer(&link->unit);
    link->pipe = NULL;
    usb_unit_give_back(unit, FALSE, on_closed, g_steal_pointer(&task));
}

/**
 * usb_link_close_finish:
 *
 * Ends closing.
 */
void
usb_link_close_finish(GObject *object, GAsyncResult *result)
{
    (void)object;
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}

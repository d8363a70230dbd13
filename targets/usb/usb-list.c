/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which targets there are on this machine's USB: those whose name is not known yet are asked. */
#include "usb-list.h"

#include "usb-bus.h"
#include "usb-name.h"
#include "usb-sysfs.h"

#include <kdsrv-support/kd-source.h>

/* A target that polls its cable answers in much less. */
#define ASK_LIMIT_MS 1500u

/* One device in the list; the thread adds what it calls itself. */
typedef struct {
    char *name;
    char *place;
    char *label;
    char *device;
    char *title; /* (nullable) */
    gboolean is_busy;
} Entry;

typedef struct {
    UsbBus *bus;
    UsbSeeker *seeker;
    GTask *task;
    GSource *limit;
    GSource *cancel;
} Listing;

static void
on_free_entry(gpointer user)
{
    Entry *entry = user;
    g_free(entry->name);
    g_free(entry->place);
    g_free(entry->label);
    g_free(entry->device);
    g_free(entry->title);
    g_free(entry);
}

static void
listing_free(Listing *listing)
{
    kd_source_clear(&listing->limit);
    kd_source_clear(&listing->cancel);
    usb_seeker_free(listing->seeker);
    usb_bus_release(listing->bus);
    g_object_unref(listing->task);
    g_free(listing);
}

/* ---- what is listed -------------------------------------------------------------------------- */

static void
on_unref_variant(gpointer list)
{
    g_variant_unref(list);
}

static GVariant *
build_entry(const Entry *entry)
{
    GVariantDict dict;
    g_autofree char *trans = g_strdup_printf("usb:targetname=%s", entry->name);
    g_autofree char *name = entry->title != NULL && entry->title[0] != '\0'
                                ? g_strdup_printf("%s: %s", entry->label, entry->title)
                                : g_strdup(entry->label);
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "trans", "s", trans);
    g_variant_dict_insert(&dict, "name", "s", name);
    g_variant_dict_insert(&dict, "device", "s", entry->device);
    g_variant_dict_insert_value(&dict, "aliases", g_variant_new_strv(NULL, 0));
    g_variant_dict_insert(&dict, "busy", "b", entry->is_busy);
    return g_variant_dict_end(&dict);
}

static void
on_titled(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    const GPtrArray *entries = g_task_get_task_data(G_TASK(result));
    GVariantBuilder list;
    GError *error = NULL;
    (void)source;
    if (!g_task_propagate_boolean(G_TASK(result), &error)) {
        g_task_return_error(task, error);
        return;
    }
    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < entries->len; i++) {
        g_variant_builder_add_value(&list, build_entry(entries->pdata[i]));
    }
    g_task_return_pointer(task, g_variant_ref_sink(g_variant_builder_end(&list)), on_unref_variant);
}

static void
on_unref_entries(gpointer entries)
{
    g_ptr_array_unref(entries);
}

/* The kernel reads these texts out under a lock that a driver may hold for long. */
static void
add_titles_in_thread(GTask *task, gpointer source, gpointer user_data, GCancellable *cancellable)
{
    const GPtrArray *entries = user_data;
    (void)source;
    for (guint i = 0; i < entries->len && !g_cancellable_is_cancelled(cancellable); i++) {
        Entry *entry = entries->pdata[i];
        entry->title = usb_sysfs_build_title(entry->place);
    }
    g_task_return_boolean(task, TRUE);
}

static gboolean
is_busy(const UsbUnit *unit)
{
    g_autofree char *driver = NULL;
    switch (usb_unit_get_state(unit)) {
    case USB_UNIT_TAKEN:
        return TRUE;
    case USB_UNIT_IDLE:
        driver =
            usb_sysfs_find_driver(usb_unit_get_place(unit), usb_unit_get_interface(unit)->number);
        return driver != NULL;
    case USB_UNIT_ASKING:
    case USB_UNIT_NAMED:
    case USB_UNIT_CLOSING:
    default:
        return FALSE; /* it is ours for this moment only */
    }
}

static Entry *
build_listed(const UsbUnit *unit)
{
    uint32_t number = usb_unit_get_number(unit);
    Entry *entry = g_new0(Entry, 1);
    entry->name = g_strdup(usb_unit_get_name(unit));
    entry->place = g_strdup(usb_unit_get_place(unit));
    entry->label = g_strdup(usb_unit_get_label(unit));
    entry->device = g_strdup_printf("/dev/bus/usb/%03u/%03u", number >> 8, number & 0xFFu);
    entry->is_busy = is_busy(unit);
    return entry;
}

/* A device that does not tell its name can't be written as a string. */
static void
finish(Listing *listing)
{
    const GPtrArray *units = usb_bus_get_units(listing->bus);
    GPtrArray *entries = g_ptr_array_new_with_free_func(on_free_entry);
    g_autoptr(GTask) titled = g_task_new(NULL, g_task_get_cancellable(listing->task), on_titled,
                                         g_object_ref(listing->task));
    for (guint i = 0; i < units->len; i++) {
        if (usb_unit_get_name(units->pdata[i]) != NULL) {
            g_ptr_array_add(entries, build_listed(units->pdata[i]));
        }
    }
    listing_free(listing);
    g_task_set_task_data(titled, entries, on_unref_entries);
    g_task_run_in_thread(titled, add_titles_in_thread);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static gboolean
on_limit(gpointer user_data)
{
    finish(user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    Listing *listing = user_data;
    g_autoptr(GTask) task = g_object_ref(listing->task);
    (void)cancellable;
    listing_free(listing);
    (void)g_task_return_error_if_cancelled(task);
    return G_SOURCE_REMOVE;
}

static gboolean
has_unknown(const GPtrArray *units)
{
    for (guint i = 0; i < units->len; i++) {
        const UsbUnit *unit = units->pdata[i];
        if (usb_unit_get_kind(unit) != USB_KIND_LINUX && usb_unit_get_name(unit) == NULL &&
            usb_unit_get_error(unit) == NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
on_changed(void *user)
{
    Listing *listing = user;
    if (!has_unknown(usb_bus_get_units(listing->bus))) {
        kd_source_start_timer(&listing->limit, 0, on_limit, listing);
    }
}

static const UsbSeekerFuncs seeker_funcs = {
    .changed = on_changed,
};

/**
 * usb_list_async:
 * @filter: a{sv}; nothing is known in it yet
 *
 * Looks for targets. A device that has not told its name yet is opened and asked, if nobody else
 * has it; what the target sends meanwhile is not acknowledged, so it is sent again.
 */
void
usb_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
               GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    GError *error = NULL;
    (void)filter;
    g_task_set_source_tag(task, usb_list_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    UsbBus *bus = usb_bus_acquire(host, &error);
    if (bus == NULL) {
        g_task_return_error(task, error);
        return;
    }
    Listing *listing = g_new0(Listing, 1);
    listing->bus = bus;
    listing->task = g_object_ref(task);
    listing->seeker = usb_bus_seek(bus, NULL, &seeker_funcs, listing);
    kd_source_start_timer(&listing->limit, ASK_LIMIT_MS, on_limit, listing);
    if (cancellable != NULL) {
        listing->cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(listing->cancel, G_SOURCE_FUNC(on_cancelled), listing, NULL);
        g_source_attach(listing->cancel, g_task_get_context(task));
    }
}

/**
 * usb_list_finish:
 *
 * Returns: (transfer full) (nullable): aa{sv}, as in #KdTarget
 */
GVariant *
usb_list_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

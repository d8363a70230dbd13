/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fake target finds: its devices, or whatever a test wants it to say. */
#include "kd-fake-device.h"

#include <string.h>

/* For a whole program: what kd_fake_set_listing() is to a test's own process */
#define VARIABLE "KD_FAKE_LISTING"

static char *listing;   /* NULL: the variable's, else the devices */
static GPtrArray *deaf; /* (element-type GTask): nobody hears of them any more */
static guint n_listings;

static const char *
get_listing(void)
{
    return listing != NULL ? listing : g_getenv(VARIABLE);
}

/**
 * kd_fake_set_listing:
 * @how: (nullable): `fail TEXT`: with that error; `hang`: until it is cancelled; `deaf`: even then
 *    not before the fakes are forgotten; `null`: neither a value nor an error; else a GVariant as
 *    text, to be returned as it is. %NULL: all devices
 *
 * Says how the next enumerations end.
 */
void
kd_fake_set_listing(const char *how)
{
    g_free(listing);
    listing = g_strdup(how);
}

/**
 * kd_fake_get_n_listings:
 *
 * Returns: how often the target was asked what it finds, since the fakes were forgotten
 */
guint
kd_fake_get_n_listings(void)
{
    return n_listings;
}

/**
 * kd_fake_forget_listing:
 *
 * Lets what was deaf come back, and lists the devices again.
 */
void
kd_fake_forget_listing(void)
{
    g_autoptr(GPtrArray) tasks = g_steal_pointer(&deaf);

    for (guint i = 0; tasks != NULL && i < tasks->len; i++)
        g_task_return_new_error(g_ptr_array_index(tasks, i), KD_ERROR, KD_ERROR_FAILED,
                                "fake: forgotten");
    kd_fake_set_listing(NULL);
    n_listings = 0;
}

static void
add_found(KdFakeDevice *device, void *user)
{
    g_autofree char *trans = g_strdup_printf("fake:name=%" G_GUINT64_FORMAT, device->name);
    g_autofree char *name = g_strdup_printf("fake device %" G_GUINT64_FORMAT, device->name);
    g_variant_builder_open(user, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(user, "{sv}", "trans", g_variant_new_string(trans));
    g_variant_builder_add(user, "{sv}", "name", g_variant_new_string(name));
    g_variant_builder_add(user, "{sv}", "busy", g_variant_new_boolean(device->link != NULL));
    g_variant_builder_close(user);
}

static GVariant *
build_devices(void)
{
    GVariantBuilder found;
    g_variant_builder_init(&found, G_VARIANT_TYPE("aa{sv}"));
    kd_fake_foreach(add_found, &found);
    return g_variant_builder_end(&found);
}

static gboolean
on_cancelled(GCancellable *cancellable G_GNUC_UNUSED, gpointer user_data)
{
    GTask *task = user_data;
    (void)g_task_return_error_if_cancelled(task);
    return G_SOURCE_REMOVE;
}

static void
wait_for_cancel(GTask *task)
{
    g_autoptr(GSource) source = g_cancellable_source_new(g_task_get_cancellable(task));
    g_task_attach_source(task, source, G_SOURCE_FUNC(on_cancelled));
}

static void
return_parsed(GTask *task, const char *text)
{
    GError *error = NULL;
    GVariant *found = g_variant_parse(NULL, text, NULL, NULL, &error);
    if (found == NULL)
        g_task_return_error(task, error);
    else
        g_task_return_pointer(task, found, (GDestroyNotify)g_variant_unref);
}

/**
 * kd_fake_enumerate_async:
 *
 * As #KdTarget has it.
 */
void
kd_fake_enumerate_async(const KdHost *host G_GNUC_UNUSED, GVariant *filter G_GNUC_UNUSED,
                        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    const char *how = get_listing();
    g_task_set_source_tag(task, kd_fake_enumerate_async);
    n_listings++;
    if (how == NULL) {
        g_task_return_pointer(task, g_variant_ref_sink(build_devices()),
                              (GDestroyNotify)g_variant_unref);
    } else if (g_str_has_prefix(how, "fail ")) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_FAILED, "%s", how + strlen("fail "));
    } else if (strcmp(how, "hang") == 0) {
        wait_for_cancel(task);
    } else if (strcmp(how, "deaf") == 0) {
        if (deaf == NULL)
            deaf = g_ptr_array_new_with_free_func(g_object_unref);
        g_ptr_array_add(deaf, g_steal_pointer(&task));
    } else if (strcmp(how, "null") == 0) {
        g_task_return_pointer(task, NULL, NULL);
    } else {
        return_parsed(task, how);
    }
}

/**
 * kd_fake_enumerate_finish:
 *
 * As #KdTarget has it.
 */
GVariant *
kd_fake_enumerate_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

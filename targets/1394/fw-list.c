/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The targets that could be opened now. */
#include "fw-list.h"

#include "fw-search.h"

#include <kdsrv-support/kd-source.h>

#include <string.h>

/* Nodes answer in less than a millisecond; who has not by then is no target that could be opened.
 */
#define LIMIT_MS 1000u
#define TURN_MS  5u

typedef struct {
    FwSearch *search;
    GSource *timer;
    GSource *cancel;
    GPtrArray *targets; /* GVariant */
    guint n_turns;
} Listing;

static void
listing_free(gpointer user_data)
{
    Listing *listing = user_data;
    g_clear_pointer(&listing->search, fw_search_free);
    kd_source_clear(&listing->timer);
    kd_source_clear(&listing->cancel);
    g_ptr_array_unref(listing->targets);
    g_free(listing);
}

static void
on_free_target(gpointer target)
{
    g_variant_unref(target);
}

static gboolean
is_listed(const Listing *listing, const char *device)
{
    for (guint i = 0; i < listing->targets->len; i++) {
        const char *listed = NULL;
        if (g_variant_lookup(listing->targets->pdata[i], "device", "&s", &listed) &&
            strcmp(listed, device) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
add_target(Listing *listing, const FwNode *node, const FwBlock *block)
{
    const FwRom *rom = fw_node_get_rom(node);
    g_autofree char *trans = g_strdup_printf("1394:channel=%u", block->channel);
    g_autofree char *name =
        g_strdup_printf("target on FireWire channel %u, node %016" G_GINT64_MODIFIER "x",
                        block->channel, rom->guid);
    GVariantDict dict;
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "trans", "s", trans);
    g_variant_dict_insert(&dict, "name", "s", name);
    g_variant_dict_insert(&dict, "device", "s", fw_node_get_path(node));
    g_variant_dict_insert_value(&dict, "aliases", g_variant_new_strv(NULL, 0));
    g_ptr_array_add(listing->targets, g_variant_ref_sink(g_variant_dict_end(&dict)));
}

/* A node that was seen is closed; while another is waited for, it may be found and asked again. */
static void
on_seen(FwSearch *search, FwNode *node, const FwBlock *block, void *user)
{
    Listing *listing = g_task_get_task_data(user);
    if (!is_listed(listing, fw_node_get_path(node))) {
        add_target(listing, node, block);
    }
    fw_node_free(fw_search_take(search, node));
}

static void
end(GTask *task, GError *error)
{
    Listing *listing = g_task_get_task_data(task);
    g_clear_pointer(&listing->search, fw_search_free);
    kd_source_clear(&listing->timer);
    kd_source_clear(&listing->cancel);
    if (error != NULL) {
        g_task_return_error(task, error);
    } else {
        g_task_return_boolean(task, TRUE);
    }
    g_object_unref(task);
}

static gboolean
on_turn(gpointer user_data)
{
    Listing *listing = g_task_get_task_data(user_data);
    listing->n_turns++;
    if (fw_search_get_n_asked(listing->search) > 0 && listing->n_turns * TURN_MS < LIMIT_MS) {
        return G_SOURCE_CONTINUE;
    }
    end(user_data, NULL);
    return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    (void)cancellable;
    end(user_data,
        g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "1394: listing was cancelled"));
    return G_SOURCE_REMOVE;
}

static const FwSearchFuncs search_funcs = {.seen = on_seen};

/**
 * fw_list_async:
 *
 * Finds the targets on this machine's buses.
 */
void
fw_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
              GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    Listing *listing = g_new0(Listing, 1);
    (void)filter;
    listing->targets = g_ptr_array_new_with_free_func(on_free_target);
    g_task_set_source_tag(task, fw_list_async);
    g_task_set_task_data(task, listing, listing_free);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    listing->search = fw_search_new(host, 0, &search_funcs, task);
    kd_source_start_timer(&listing->timer, TURN_MS, on_turn, task);
    if (cancellable != NULL) {
        listing->cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(listing->cancel, G_SOURCE_FUNC(on_cancelled), task, NULL);
        g_source_attach(listing->cancel, g_task_get_context(task));
    }
    (void)g_steal_pointer(&task);
}

/**
 * fw_list_finish:
 *
 * Returns: (transfer full) (nullable): aa{sv}
 */
GVariant *
fw_list_finish(GAsyncResult *result, GError **error)
{
    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return NULL;
    }
    const Listing *listing = g_task_get_task_data(G_TASK(result));
    return g_variant_ref_sink(g_variant_new_array(
        G_VARIANT_TYPE_VARDICT, (GVariant *const *)listing->targets->pdata, listing->targets->len));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all kinds of targets find that could be opened; asked one after the other, never too often.
 */
#include "kd-inventory.h"

typedef GVariant *(*FinishFunc)(GAsyncResult *result, GError **error);

typedef struct Call Call;

/* One kind of target. */
typedef struct {
    const char *scheme;
    const KdTarget *target;
    Call *call;      /* not back yet, maybe of a round that has ended without it */
    GVariant *found; /* in this round */
} Part;

/* One call of enumerate_async: it comes back even if nobody waits for it any more. */
struct Call {
    KdInventory *inventory; /* NULL: it has gone */
    Part *part;
    FinishFunc finish; /* the target's: its table may be gone as well */
    guint round;
};

/**
 * KdInventory:
 * @parts: (element-type Part): in the order of the registry
 * @next: (element-type KdInventoryTicket): wait for the next round
 * @tickets: (element-type KdInventoryTicket): are answered by this round
 * @cancellable: (nullable): of this round; %NULL: there is none
 * @round: number of the latest round
 * @n_left: parts that this round still waits for
 * @answer: (nullable): of %KD_INVENTORY_TYPE: what @tickets are told
 * @began_us: when the latest round began
 * @start_id: begins the next round
 * @deadline_id: ends this one
 * @answer_id: tells @answer to the next of @tickets
 */
struct KdInventory {
    const KdRegistry *registry;
    GPtrArray *parts;
    GPtrArray *next;
    GPtrArray *tickets;
    GCancellable *cancellable;
    guint round;
    guint n_left;
    GVariant *answer;
    gint64 began_us;
    guint start_id;
    guint deadline_id;
    guint answer_id;
};

struct KdInventoryTicket {
    KdInventoryFunc func; /* NULL: forgotten */
    void *user;
};

static void want_round(KdInventory *inventory);

static void
part_free(gpointer data)
{
    Part *part = data;

    g_clear_pointer(&part->found, g_variant_unref);
    g_free(part);
}

/**
 * kd_inventory_new:
 * @registry: loaded; outlives the inventory
 *
 * Returns: (transfer full): an inventory of which nobody has asked anything
 */
KdInventory *
kd_inventory_new(const KdRegistry *registry)
{
    KdInventory *inventory = g_new0(KdInventory, 1);

    inventory->registry = registry;
    inventory->parts = g_ptr_array_new_with_free_func(part_free);
    inventory->next = g_ptr_array_new_with_free_func(g_free);
    inventory->tickets = g_ptr_array_new_with_free_func(g_free);
    inventory->began_us = G_MININT64 / 2;
    for (guint i = 0; i < kd_registry_get_n_entries(registry); i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);
        const KdTarget *target = g_strcmp0(entry->kind, "target") == 0
                                     ? kd_registry_find_target(registry, entry->scheme, NULL)
                                     : NULL;

        if (target != NULL && target->enumerate_async != NULL) {
            Part *part = g_new0(Part, 1);

            part->scheme = entry->scheme;
            part->target = target;
            g_ptr_array_add(inventory->parts, part);
        }
    }
    return inventory;
}

/**
 * kd_inventory_free:
 * @inventory: (nullable): an inventory
 *
 * Cancels what is under way; nobody is answered any more, and no ticket is valid.
 */
void
kd_inventory_free(KdInventory *inventory)
{
    if (inventory == NULL) {
        return;
    }
    g_clear_handle_id(&inventory->start_id, g_source_remove);
    g_clear_handle_id(&inventory->deadline_id, g_source_remove);
    g_clear_handle_id(&inventory->answer_id, g_source_remove);
    g_clear_pointer(&inventory->answer, g_variant_unref);
    for (guint i = 0; i < inventory->parts->len; i++) {
        Part *part = g_ptr_array_index(inventory->parts, i);

        if (part->call != NULL) {
            part->call->inventory = NULL;
        }
    }
    if (inventory->cancellable != NULL) {
        g_cancellable_cancel(inventory->cancellable);
        g_object_unref(inventory->cancellable);
    }
    g_ptr_array_unref(inventory->next);
    g_ptr_array_unref(inventory->tickets);
    g_ptr_array_unref(inventory->parts);
    g_free(inventory);
}

/* ---- a round ---- */

static GVariant *
build_answer(KdInventory *inventory)
{
    GVariantBuilder answer;

    g_variant_builder_init(&answer, KD_INVENTORY_TYPE);
    for (guint i = 0; i < inventory->parts->len; i++) {
        Part *part = g_ptr_array_index(inventory->parts, i);
        g_autoptr(GVariant) found = g_steal_pointer(&part->found);
        gboolean has_answered = found != NULL;

        if (!has_answered) {
            found = g_variant_ref_sink(g_variant_new("aa{sv}", NULL));
        }
        g_variant_builder_add(&answer, "(sb@aa{sv})", part->scheme, has_answered, found);
    }
    return g_variant_ref_sink(g_variant_builder_end(&answer));
}

/* One of those who wait, whom that may make ask again. */
static void
answer_next(KdInventory *inventory)
{
    while (inventory->tickets->len > 0) {
        g_autofree KdInventoryTicket *ticket = g_ptr_array_steal_index(inventory->tickets, 0);

        if (ticket->func != NULL) {
            ticket->func(inventory->answer, ticket->user);
            return;
        }
    }
}

/* One a turn: an answer takes time, and hundreds may wait for theirs. */
static gboolean
on_answer(gpointer user_data)
{
    KdInventory *inventory = user_data;

    answer_next(inventory);
    if (inventory->tickets->len > 0) {
        return G_SOURCE_CONTINUE;
    }
    inventory->answer_id = 0;
    g_clear_pointer(&inventory->answer, g_variant_unref);
    if (inventory->next->len > 0) {
        want_round(inventory);
    }
    return G_SOURCE_REMOVE;
}

static void
end_round(KdInventory *inventory)
{
    g_autoptr(GCancellable) cancellable = g_steal_pointer(&inventory->cancellable);

    g_clear_handle_id(&inventory->deadline_id, g_source_remove);
    inventory->n_left = 0;
    inventory->answer = build_answer(inventory);
    inventory->answer_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_answer, inventory, NULL);
    g_cancellable_cancel(cancellable);
}

static gboolean
on_deadline(gpointer user_data)
{
    KdInventory *inventory = user_data;

    inventory->deadline_id = 0;
    for (guint i = 0; i < inventory->parts->len; i++) {
        const Part *part = g_ptr_array_index(inventory->parts, i);

        if (part->call != NULL) {
            g_message("%s: its links are not listed: it has not answered within %u s", part->scheme,
                      KD_INVENTORY_MOST_MS / 1000);
        }
    }
    end_round(inventory);
    return G_SOURCE_REMOVE;
}

static void
count_off(KdInventory *inventory)
{
    if (--inventory->n_left == 0) {
        end_round(inventory);
    }
}

/* (transfer full) (nullable): a plugin may return anything */
static GVariant *
take_found(const Call *call, GAsyncResult *result, GError **error)
{
    g_autoptr(GVariant) found = call->finish(result, error);

    if (found == NULL) {
        return NULL;
    }
    if (!g_variant_is_of_type(found, G_VARIANT_TYPE("aa{sv}"))) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "the plugin has answered with `%s`",
                    g_variant_get_type_string(found));
        return NULL;
    }
    return g_variant_take_ref(g_steal_pointer(&found));
}

static void
on_enumerated(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autofree Call *call = user_data;
    KdInventory *inventory = call->inventory;
    Part *part = call->part;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) found = take_found(call, result, &error);

    (void)source;
    if (inventory == NULL) {
        return;
    }
    part->call = NULL;
    if (inventory->cancellable == NULL || call->round != inventory->round) {
        return; /* too late */
    }
    if (found == NULL) {
        g_message("%s: its links are not listed: %s", part->scheme,
                  error != NULL ? error->message : "the plugin gives no reason");
    }
    part->found = g_steal_pointer(&found);
    count_off(inventory);
}

static void
ask_part(KdInventory *inventory, Part *part)
{
    g_autoptr(GVariant) filter = g_variant_ref_sink(g_variant_new("a{sv}", NULL));
    Call *call = g_new0(Call, 1);

    call->inventory = inventory;
    call->part = part;
    call->finish = part->target->enumerate_finish;
    call->round = inventory->round;
    part->call = call;
    inventory->n_left++;
    part->target->enumerate_async(kd_registry_get_host(inventory->registry), filter,
                                  inventory->cancellable, on_enumerated, call);
}

static gboolean
on_start(gpointer user_data)
{
    KdInventory *inventory = user_data;

    inventory->start_id = 0;
    inventory->round++;
    inventory->began_us = g_get_monotonic_time();
    inventory->cancellable = g_cancellable_new();
    inventory->deadline_id = g_timeout_add(KD_INVENTORY_MOST_MS, on_deadline, inventory);
    inventory->n_left = 1; /* ours, until all are asked: a plugin may answer within the call */
    g_ptr_array_unref(inventory->tickets);
    inventory->tickets = g_steal_pointer(&inventory->next);
    inventory->next = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < inventory->parts->len; i++) {
        Part *part = g_ptr_array_index(inventory->parts, i);

        if (part->call == NULL) {
            ask_part(inventory, part);
        } else {
            /* It has not even heard that it was cancelled: more calls would only pile up. */
            g_message("%s: its links are not listed: it is still busy with the call before",
                      part->scheme);
        }
    }
    count_off(inventory);
    return G_SOURCE_REMOVE;
}

/* Begins the next round when this one is over, and not too soon. */
static void
want_round(KdInventory *inventory)
{
    gint64 rest_ms = KD_INVENTORY_LEAST_MS -
                     (g_get_monotonic_time() - inventory->began_us) / G_TIME_SPAN_MILLISECOND;

    if (inventory->start_id == 0 && inventory->cancellable == NULL && inventory->answer_id == 0) {
        inventory->start_id = g_timeout_add((guint)MAX(rest_ms, 0), on_start, inventory);
    }
}

/* ---- those who ask ---- */

/**
 * kd_inventory_ask:
 * @inventory: an inventory
 * @func: called once, never from within this call
 * @user: for @func
 *
 * Asks all kinds of targets at the same time what could be opened. What fails or does not answer
 * within %KD_INVENTORY_MOST_MS is logged and left out. Those who ask meanwhile get a round of their
 * own together, so that no answer is older than its question.
 *
 * Returns: (transfer none): the ticket, for kd_inventory_forget()
 */
KdInventoryTicket *
kd_inventory_ask(KdInventory *inventory, KdInventoryFunc func, void *user)
{
    KdInventoryTicket *ticket = g_new0(KdInventoryTicket, 1);

    ticket->func = func;
    ticket->user = user;
    g_ptr_array_add(inventory->next, ticket);
    want_round(inventory);
    return ticket;
}

/**
 * kd_inventory_forget:
 * @ticket: whose func was not called yet
 *
 * Waits no longer: func will not be called. What is under way goes on, for others may wait for it.
 */
void
kd_inventory_forget(KdInventoryTicket *ticket)
{
    ticket->func = NULL;
}

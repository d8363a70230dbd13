/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations of one session: in order with the bytes, or urgent; one at a time. */
#include "kd-control-queue.h"

#include <string.h>

/* Unanswered operations that a client may have (PROTOCOL.md, Limits). */
#define MAX_WAITING 16u

/* One operation, from the frame to the answer. */
typedef struct {
    KdControl control;
    uint64_t dropped_bytes; /* by the route, before the link was asked */
} KdOperation;

struct KdControlQueue {
    KdRoute *route;
    KdLink *link;
    uint32_t offered;
    GQueue waiting; /* (element-type KdOperation) */
    KdOperation *running;
    GCancellable *cancellable;
    KdControlIdleFunc on_idle;
    void *user;
    gboolean is_stopped;
};

static void start_next(KdControlQueue *queue);

/**
 * kd_control_queue_new:
 * @route: answers go to its peer; lives longer than the queue
 * @link: open; lives longer than the queue
 * @offered: bit (1 << op) for each operation that the link offers
 *
 * Returns: (transfer full): an empty queue
 */
KdControlQueue *
kd_control_queue_new(KdRoute *route, KdLink *link, uint32_t offered)
{
    KdControlQueue *queue = g_new0(KdControlQueue, 1);

    queue->route = route;
    queue->link = link;
    queue->offered = offered;
    g_queue_init(&queue->waiting);
    return queue;
}

/**
 * kd_control_queue_free:
 * @queue: (nullable): stopped, and nothing is under way
 *
 * Forgets what waits.
 */
void
kd_control_queue_free(KdControlQueue *queue)
{
    if (queue == NULL) {
        return;
    }
    g_queue_clear_full(&queue->waiting, g_free);
    g_clear_object(&queue->cancellable);
    g_free(queue);
}

static void
answer(KdControlQueue *queue, const KdOperation *operation, uint32_t code, uint64_t value,
       const char *text)
{
    KdResult result = {
        .id = operation->control.id, .code = code, .value = value, .text = (char *)text};

    if (!queue->is_stopped) {
        kd_route_send(queue->route, KD_FRAME_RESULT, kd_result_build(&result));
    }
}

static void
answer_error(KdControlQueue *queue, const KdOperation *operation, const GError *error)
{
    uint32_t code = error->domain == KD_ERROR ? (uint32_t)error->code : KD_ERROR_FAILED;

    answer(queue, operation, code + 1, 0, error->message);
}

static void
answer_value(KdControlQueue *queue, const KdOperation *operation, GVariant *value)
{
    uint64_t number = operation->dropped_bytes;
    g_autofree char *text = NULL;

    if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64)) {
        number += g_variant_get_uint64(value);
    } else if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32)) {
        number += g_variant_get_uint32(value);
    } else if (value != NULL) {
        text = g_variant_print(value, FALSE);
        if (strlen(text) > 512) {
            text[512] = '\0';
        }
    }
    answer(queue, operation, 0, number, text);
}

static void
on_control_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdControlQueue *queue = user_data;
    g_autofree KdOperation *operation = g_steal_pointer(&queue->running);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) value = NULL;

    if (kd_link_get_target(queue->link)->control_finish(source, result, &value, &error)) {
        answer_value(queue, operation, value);
    } else {
        answer_error(queue, operation, error);
    }
    g_clear_object(&queue->cancellable);
    if (!queue->is_stopped) {
        start_next(queue);
    } else if (queue->on_idle != NULL) {
        queue->on_idle(queue->user);
    }
}

static GVariant *
build_arg(const KdControl *control)
{
    switch (control->op) {
    case KD_CONTROL_BREAK:
        return g_variant_new_uint32(control->is_urgent ? 1 : 0);
    case KD_CONTROL_BAUD:
        return g_variant_new_uint32(control->arg);
    case KD_CONTROL_LINES:
        return g_variant_new("(uu)", control->arg, control->arg2);
    default:
        return NULL;
    }
}

static void
run(KdControlQueue *queue, KdOperation *operation)
{
    GVariant *arg = build_arg(&operation->control);
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;

    queue->running = operation;
    queue->cancellable = g_cancellable_new();
    kd_link_get_target(queue->link)
        ->control_async(kd_link_get_object(queue->link), operation->control.op, owned,
                        queue->cancellable, on_control_done, queue);
}

/* The next one: an urgent one at once, another when the line has taken the bytes before it. */
static void
start_next(KdControlQueue *queue)
{
    KdOperation *next = g_queue_peek_head(&queue->waiting);

    if (queue->running != NULL || queue->is_stopped) {
        return;
    }
    if (next == NULL) {
        kd_route_unhold(queue->route);
    } else if (next->control.is_urgent) {
        run(queue, g_queue_pop_head(&queue->waiting));
    } else {
        kd_route_hold(queue->route, next->control.at);
    }
}

/**
 * kd_control_queue_reached:
 * @queue: a queue
 *
 * The line has taken the bytes before the operation that waits first.
 */
void
kd_control_queue_reached(KdControlQueue *queue)
{
    if (queue->running == NULL && !g_queue_is_empty(&queue->waiting) && !queue->is_stopped) {
        run(queue, g_queue_pop_head(&queue->waiting));
    }
}

static void
add_urgent(KdControlQueue *queue, KdOperation *operation)
{
    /* Behind other urgent ones, before everything that waits for its place among the bytes. */
    GList *place = queue->waiting.head;

    while (place != NULL && ((KdOperation *)place->data)->control.is_urgent) {
        place = place->next;
    }
    if (operation->control.op == KD_CONTROL_BREAK || operation->control.op == KD_CONTROL_PURGE) {
        operation->dropped_bytes = kd_route_drop(queue->route);
    }
    if (place != NULL) {
        g_queue_insert_before(&queue->waiting, place, operation);
    } else {
        g_queue_push_tail(&queue->waiting, operation);
    }
    if (queue->running != NULL && !queue->running->control.is_urgent) {
        /* It may be waiting for a line that takes nothing. */
        g_cancellable_cancel(queue->cancellable);
    }
}

/**
 * kd_control_queue_add:
 * @queue: a queue
 * @control: from the client
 * @error: the client broke the protocol
 *
 * Takes an operation; its answer is sent as a RESULT when it is done.
 *
 * Returns: whether the session may go on
 */
gboolean
kd_control_queue_add(KdControlQueue *queue, const KdControl *control, GError **error)
{
    KdOperation *operation;

    if (queue->waiting.length + (queue->running != NULL ? 1 : 0) >= MAX_WAITING) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "more than %u control operations wait",
                    MAX_WAITING);
        return FALSE;
    }
    if (control->op == 0 || control->op >= 16 || (queue->offered & (1u << control->op)) == 0) {
        KdOperation refused = {.control = *control};

        answer(queue, &refused, KD_ERROR_NOT_SUPPORTED + 1, 0,
               "this link does not have that operation");
        return TRUE;
    }
    operation = g_new0(KdOperation, 1);
    operation->control = *control;
    if (control->is_urgent) {
        add_urgent(queue, operation);
    } else {
        g_queue_push_tail(&queue->waiting, operation);
    }
    start_next(queue);
    return TRUE;
}

/**
 * kd_control_queue_stop:
 * @queue: a queue
 * @fn: called when the operation that is under way has ended
 * @user: for @fn
 *
 * Starts nothing more, and cancels what is under way.
 *
 * Returns: whether something is: if not, @fn is not called
 */
gboolean
kd_control_queue_stop(KdControlQueue *queue, KdControlIdleFunc fn, void *user)
{
    queue->is_stopped = TRUE;
    if (queue->running == NULL) {
        return FALSE;
    }
    queue->on_idle = fn;
    queue->user = user;
    g_cancellable_cancel(queue->cancellable);
    return TRUE;
}

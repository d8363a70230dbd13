/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations on the line of a route: in order with the bytes, or urgent; one at a time. */
#include "kd-control-queue.h"

/* How long the line may take no byte before one that waits for it in order is given up, looked at
 * each second. */
#define STUCK_LOOKS   5u
#define LOOK_EVERY_MS 1000u

/* One operation, from the request to the answer. */
typedef struct {
    KdControl control;
    uint64_t dropped_bytes; /* by the route, before the link was asked */
    gboolean is_overtaken;  /* cancelled for an urgent one */
} KdOperation;

struct KdControlQueue {
    KdRoute *route;
    KdControlLink link;
    KdControlAnswerFunc on_answer;
    void *answer_user;
    GQueue waiting; /* (element-type KdOperation) */
    KdOperation *running;
    GCancellable *cancellable;
    KdControlIdleFunc on_idle;
    void *idle_user;
    guint look_id; /* while one waits for the line, 0 = none does */
    guint n_looks; /* since the line took a byte */
    uint64_t looked_taken;
    gboolean is_stopped;
};

static void start_next(KdControlQueue *queue);

/**
 * kd_control_find_offered:
 * @target: of the link
 * @facts: (nullable): a{sv} of its endpoint
 *
 * Returns: bit (1 << op) for each operation that this link offers, which may be fewer than its kind
 */
uint32_t
kd_control_find_offered(const KdTarget *target, GVariant *facts)
{
    uint32_t offered = target->caps & 0xffffu;
    uint32_t of_this_one;

    if (facts != NULL && g_variant_lookup(facts, "controls", "u", &of_this_one)) {
        offered &= of_this_one;
    }
    return target->control_async != NULL ? offered : 0;
}

/**
 * kd_control_queue_new:
 * @route: whose bytes the operations are in order with; lives longer than the queue, or until it is
 *    stopped
 * @link: copied
 * @answer: takes the answers; may be called before kd_control_queue_add() returns
 * @user: for @answer
 *
 * Returns: (transfer full): an empty queue
 */
KdControlQueue *
kd_control_queue_new(KdRoute *route, const KdControlLink *link, KdControlAnswerFunc answer,
                     void *user)
{
    KdControlQueue *queue = g_new0(KdControlQueue, 1);

    queue->route = route;
    queue->link = *link;
    queue->on_answer = answer;
    queue->answer_user = user;
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
    g_clear_handle_id(&queue->look_id, g_source_remove);
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
        queue->on_answer(&result, queue->answer_user);
    }
}

static void
answer_error(KdControlQueue *queue, const KdOperation *operation, const GError *error)
{
    uint32_t code = error->domain == KD_ERROR ? (uint32_t)error->code : KD_ERROR_FAILED;

    answer(queue, operation, code + 1, 0, error->message);
}

static void
answer_overtaken(KdControlQueue *queue, const KdOperation *operation)
{
    g_autoptr(GError) error =
        g_error_new_literal(KD_ERROR, KD_ERROR_FAILED, "an urgent BREAK has taken its place");

    answer_error(queue, operation, error);
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

    if (queue->link.target->control_finish(source, result, &value, &error)) {
        answer_value(queue, operation, value);
    } else if (operation->is_overtaken &&
               g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        answer_overtaken(queue, operation);
    } else {
        answer_error(queue, operation, error);
    }
    g_clear_object(&queue->cancellable);
    if (!queue->is_stopped) {
        start_next(queue);
    } else if (queue->on_idle != NULL) {
        queue->on_idle(queue->idle_user);
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
    queue->link.target->control_async(queue->link.object, operation->control.op, owned,
                                      queue->cancellable, on_control_done, queue);
}

/* All of them: those behind the first would have to wait as long again each. */
static void
give_up_waiting(KdControlQueue *queue, uint64_t taken)
{
    const KdOperation *next = g_queue_peek_head(&queue->waiting);

    while (next != NULL && !next->control.is_urgent && next->control.at > taken) {
        g_autofree KdOperation *operation = g_queue_pop_head(&queue->waiting);
        g_autoptr(GError) error = g_error_new(KD_ERROR, KD_ERROR_FAILED,
                                              "the line takes nothing: %" G_GUINT64_FORMAT
                                              " bytes still wait before it (an urgent "
                                              "BREAK or a purge drops them)",
                                              operation->control.at - taken);

        answer_error(queue, operation, error);
        next = g_queue_peek_head(&queue->waiting);
    }
}

static gboolean
on_look(gpointer user_data)
{
    KdControlQueue *queue = user_data;
    uint64_t taken = kd_route_get_taken(queue->route);

    if (taken != queue->looked_taken) {
        queue->looked_taken = taken;
        queue->n_looks = 0;
    }
    if (++queue->n_looks < STUCK_LOOKS) {
        return G_SOURCE_CONTINUE;
    }
    queue->look_id = 0;
    give_up_waiting(queue, taken);
    start_next(queue);
    return G_SOURCE_REMOVE;
}

/* A line that is stuck would keep those who asked waiting for ever. */
static void
watch_line(KdControlQueue *queue)
{
    if (queue->look_id == 0) {
        queue->looked_taken = kd_route_get_taken(queue->route);
        queue->n_looks = 0;
        queue->look_id = g_timeout_add(LOOK_EVERY_MS, on_look, queue);
    }
}

/* The next one: an urgent one at once, another when the line has taken the bytes before it. */
static void
start_next(KdControlQueue *queue)
{
    KdOperation *next = g_queue_peek_head(&queue->waiting);

    if (queue->running != NULL || queue->is_stopped) {
        return;
    }
    if (next == NULL || next->control.is_urgent) {
        g_clear_handle_id(&queue->look_id, g_source_remove);
    }
    if (next == NULL) {
        kd_route_unhold(queue->route);
    } else if (next->control.is_urgent) {
        /* No byte behind it may reach the link while it runs. */
        kd_route_hold(queue->route, kd_route_get_taken(queue->route));
        run(queue, g_queue_pop_head(&queue->waiting));
    } else {
        kd_route_hold(queue->route, next->control.at);
        watch_line(queue);
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
        g_clear_handle_id(&queue->look_id, g_source_remove);
        run(queue, g_queue_pop_head(&queue->waiting));
    }
}

/* Those that wait for bytes which an urgent one drops are done with it: a second BREAK right behind
 * it would be one too many. */
static void
end_waiting_breaks(KdControlQueue *queue)
{
    GList *next;

    for (GList *item = queue->waiting.head; item != NULL; item = next) {
        g_autofree KdOperation *operation = item->data;

        next = item->next;
        if (operation->control.op == KD_CONTROL_BREAK && !operation->control.is_urgent) {
            g_queue_delete_link(&queue->waiting, item);
            answer_overtaken(queue, operation);
        } else {
            operation = NULL;
        }
    }
}

static void
add_urgent(KdControlQueue *queue, KdOperation *operation)
{
    gboolean is_dropping =
        operation->control.op == KD_CONTROL_BREAK || operation->control.op == KD_CONTROL_PURGE;
    GList *place;

    if (is_dropping) {
        operation->dropped_bytes = kd_route_drop(queue->route);
    }
    if (operation->control.op == KD_CONTROL_BREAK) {
        end_waiting_breaks(queue);
    }
    /* Behind other urgent ones, before everything that waits for its place among the bytes. */
    place = queue->waiting.head;
    while (place != NULL && ((KdOperation *)place->data)->control.is_urgent) {
        place = place->next;
    }
    if (place != NULL) {
        g_queue_insert_before(&queue->waiting, place, operation);
    } else {
        g_queue_push_tail(&queue->waiting, operation);
    }
    if (is_dropping && queue->running != NULL && !queue->running->control.is_urgent) {
        /* It may be waiting for a line that takes nothing. */
        queue->running->is_overtaken = operation->control.op == KD_CONTROL_BREAK;
        g_cancellable_cancel(queue->cancellable);
    }
}

/**
 * kd_control_queue_add:
 * @queue: a queue
 * @control: with an id for its answer, and its place among the peer's bytes
 * @error: return location
 *
 * Takes an operation; it is answered when it is done.
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL when %KD_MAX_CONTROLS are unanswered
 */
gboolean
kd_control_queue_add(KdControlQueue *queue, const KdControl *control, GError **error)
{
    KdOperation *operation;

    if (queue->waiting.length + (queue->running != NULL ? 1 : 0) >= KD_MAX_CONTROLS) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "more than %u control operations wait",
                    KD_MAX_CONTROLS);
        return FALSE;
    }
    if (control->op == 0 || control->op >= 16 || (queue->link.offered & (1u << control->op)) == 0) {
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
    g_clear_handle_id(&queue->look_id, g_source_remove);
    if (queue->running == NULL) {
        return FALSE;
    }
    queue->on_idle = fn;
    queue->idle_user = user;
    g_cancellable_cancel(queue->cancellable);
    return TRUE;
}

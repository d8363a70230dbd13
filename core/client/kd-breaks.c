/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BREAKs that a person or a debugger asks for while a session goes on. */
#include "kd-breaks.h"

#include "kd-kgdb-stream.h"
#include "kd-notice.h"

/**
 * KdBreaks:
 * @connection: (nullable): the session there is
 * @is_kgdb: a kernel in kgdb wants a `g` behind each BREAK, and GDB is read along
 * @stream: (nullable): the debugger, while it is read along
 * @in_order: (element-type KdBreakAsked): whom the BREAK in order that is under way is for, where
 * no debugger is read along
 * @waiting: (element-type KdBreakAsked): asked for by persons, for the next mark of @stream
 * @running: (element-type KdBreakAsked): whom the BREAK at the last mark of @stream is for
 * @is_running: that BREAK is not answered yet
 * @is_signalled: a signal asked for one that is not answered yet; by urgency
 * @complaint: (nullable): what was said last about a BREAK that the debugger wanted
 */
struct KdBreaks {
    KdConnection *connection;
    gboolean is_kgdb;
    KdStream *stream;
    GQueue in_order;
    GQueue waiting;
    GQueue running;
    gboolean is_running;
    gboolean is_signalled[2];
    gboolean has_warned;
    char *complaint;
};

/* One request, from the question to the answer. */
typedef struct {
    KdBreaksFunc fn;
    void *user;
} KdBreakAsked;

/**
 * kd_breaks_new:
 * @is_kgdb: the target is a Linux kernel in kgdb
 *
 * Returns: (transfer full): nothing asked for, and no session yet
 */
KdBreaks *
kd_breaks_new(gboolean is_kgdb)
{
    KdBreaks *breaks = g_new0(KdBreaks, 1);

    breaks->is_kgdb = is_kgdb;
    g_queue_init(&breaks->in_order);
    g_queue_init(&breaks->waiting);
    g_queue_init(&breaks->running);
    return breaks;
}

/**
 * kd_breaks_free:
 * @breaks: (nullable): outlives the connections that it was told of
 *
 * Frees it.
 */
void
kd_breaks_free(KdBreaks *breaks)
{
    if (breaks == NULL) {
        return;
    }
    g_free(breaks->complaint);
    g_free(breaks);
}

/**
 * kd_breaks_set_connection:
 * @breaks: of all sessions
 * @connection: (nullable) (unowned): the one that goes on now
 *
 * Tells which session the next BREAK is for.
 */
void
kd_breaks_set_connection(KdBreaks *breaks, KdConnection *connection)
{
    breaks->connection = connection;
}

/* ---- answers ---- */

static void
answer(KdBreakAsked *asked, uint64_t n_dropped, const GError *error)
{
    g_autofree char *text = NULL;

    if (error == NULL) {
        text = n_dropped == 0 ? g_strdup("break sent")
                              : g_strdup_printf("break sent, %" G_GUINT64_FORMAT " %s dropped",
                                                n_dropped, n_dropped == 1 ? "byte" : "bytes");
    }
    asked->fn(text, error, asked->user);
    g_free(asked);
}

static void
answer_all(GQueue *queue, uint64_t n_dropped, const GError *error)
{
    KdBreakAsked *asked;

    while ((asked = g_queue_pop_head(queue)) != NULL) {
        answer(asked, n_dropped, error);
    }
}

/* A key that is pressed again and again gets one line. */
static void
complain(KdBreaks *breaks, const GError *error)
{
    if (error == NULL) {
        g_clear_pointer(&breaks->complaint, g_free);
    } else if (g_strcmp0(breaks->complaint, error->message) != 0) {
        g_free(breaks->complaint);
        breaks->complaint = g_strdup(error->message);
        kd_notice_print("no break: %s", error->message);
    }
}

/* ---- a kernel in kgdb ---- */

static void
on_mark_answered(uint64_t value, const char *text, const GError *error, void *user)
{
    KdBreaks *breaks = user;

    (void)text;
    breaks->is_running = FALSE;
    if (g_queue_is_empty(&breaks->running)) {
        complain(breaks, error);
    }
    answer_all(&breaks->running, value, error);
    if (breaks->stream != NULL) {
        kd_kgdb_stream_retry(breaks->stream);
    }
}

/* One after the other: a kernel takes a second BREAK for the first one's end if no `g` stood in
 * between, and a debugger may say thousands. */
static void
on_marked(void *user)
{
    KdBreaks *breaks = user;
    KdControl control = {.op = KD_CONTROL_BREAK};
    KdBreakAsked *asked;

    if (breaks->is_running || breaks->connection == NULL) {
        return;
    }
    while ((asked = g_queue_pop_head(&breaks->waiting)) != NULL) {
        g_queue_push_tail(&breaks->running, asked);
    }
    breaks->is_running = TRUE;
    kd_kgdb_stream_pass(breaks->stream, kd_connection_control(breaks->connection, &control,
                                                              on_mark_answered, breaks));
}

static void
on_stream_gone(void *user)
{
    KdBreaks *breaks = user;
    g_autoptr(GError) error =
        g_error_new_literal(KD_ERROR, KD_ERROR_FAILED, "the debugger has gone");

    breaks->stream = NULL;
    answer_all(&breaks->waiting, 0, error);
}

static const KdKgdbFuncs kgdb_funcs = {.marked = on_marked, .gone = on_stream_gone};

/**
 * kd_breaks_wrap:
 * @breaks: of all sessions
 * @debugger: (inout): the end that is about to join the session; untouched on error
 * @error: return location
 *
 * Lets the debugger be read along if the target is a kernel in kgdb whose link has a BREAK.
 *
 * Returns: %FALSE if the loop can't take the end
 */
gboolean
kd_breaks_wrap(KdBreaks *breaks, KdEndpoint *debugger, GError **error)
{
    if (!breaks->is_kgdb) {
        return TRUE;
    }
    if (!kd_connection_has_control(breaks->connection, KD_CONTROL_BREAK)) {
        g_autoptr(GError) refusal = kd_controls_build_refusal(KD_CONTROL_BREAK);

        if (!breaks->has_warned) {
            breaks->has_warned = TRUE;
            kd_notice_print("Break=kgdb: %s", refusal->message);
        }
        return TRUE;
    }
    breaks->stream = kd_kgdb_stream_wrap(debugger, &kgdb_funcs, breaks, error);
    return breaks->stream != NULL;
}

/* ---- persons ---- */

static void
on_controlled(uint64_t value, const char *text, const GError *error, void *user)
{
    (void)text;
    answer(user, value, error);
}

static void
send_urgent(KdBreaks *breaks, KdBreakAsked *asked)
{
    KdControl control = {.op = KD_CONTROL_BREAK, .is_urgent = TRUE};

    if (kd_connection_control(breaks->connection, &control, on_controlled, asked) &&
        breaks->stream != NULL) {
        kd_kgdb_stream_insert_g(breaks->stream);
    }
}

static void
on_in_order_answered(uint64_t value, const char *text, const GError *error, void *user)
{
    (void)text;
    answer_all(&((KdBreaks *)user)->in_order, value, error);
}

/* One that is asked for while another waits for a stuck line is the same, or they would keep an
 * urgent one out in the end. */
static void
send_in_order(KdBreaks *breaks, KdBreakAsked *asked)
{
    KdControl control = {.op = KD_CONTROL_BREAK};

    g_queue_push_tail(&breaks->in_order, asked);
    if (breaks->in_order.length == 1) {
        (void)kd_connection_control(breaks->connection, &control, on_in_order_answered, breaks);
    }
}

/* A `g` needs a debugger between whose bytes it stands. */
static gboolean
has_debugger(const KdBreaks *breaks)
{
    return breaks->connection != NULL &&
           (!breaks->is_kgdb || breaks->stream != NULL ||
            !kd_connection_has_control(breaks->connection, KD_CONTROL_BREAK));
}

/**
 * kd_breaks_send:
 * @breaks: of all sessions
 * @is_urgent: do not wait for bytes that the target has not taken: drop them
 * @fn: takes the answer; may be called before this returns
 * @user: for @fn
 *
 * Sends a BREAK to the target of the session that goes on, and `g` behind it to a kernel in kgdb.
 */
void
kd_breaks_send(KdBreaks *breaks, gboolean is_urgent, KdBreaksFunc fn, void *user)
{
    KdBreakAsked *asked = g_new(KdBreakAsked, 1);

    *asked = (KdBreakAsked){.fn = fn, .user = user};
    if (!has_debugger(breaks)) {
        g_autoptr(GError) error =
            g_error_new_literal(KD_ERROR, KD_ERROR_FAILED, "no debugger is connected");

        answer(asked, 0, error);
    } else if (is_urgent) {
        send_urgent(breaks, asked);
    } else if (breaks->stream != NULL && kd_kgdb_stream_ask(breaks->stream)) {
        g_queue_push_tail(&breaks->waiting, asked);
    } else {
        send_in_order(breaks, asked);
    }
}

static void
print_outcome(const char *text, const GError *error)
{
    if (error != NULL) {
        kd_notice_print("no break: %s", error->message);
    } else {
        kd_notice_print("%s", text);
    }
}

static void
on_signalled(const char *text, const GError *error, void *user)
{
    KdBreaks *breaks = user;

    breaks->is_signalled[FALSE] = FALSE;
    print_outcome(text, error);
}

static void
on_signalled_urgently(const char *text, const GError *error, void *user)
{
    KdBreaks *breaks = user;

    breaks->is_signalled[TRUE] = FALSE;
    print_outcome(text, error);
}

/**
 * kd_breaks_take_signal:
 * @breaks: of all sessions
 * @is_urgent: as kd_breaks_send() has it
 *
 * Sends a BREAK because a signal asked for it, and says on stderr what became of it. While one goes
 * on, more signals of its kind ask for nothing.
 */
void
kd_breaks_take_signal(KdBreaks *breaks, gboolean is_urgent)
{
    if (breaks->is_signalled[is_urgent ? 1 : 0]) {
        return;
    }
    breaks->is_signalled[is_urgent ? 1 : 0] = TRUE;
    kd_breaks_send(breaks, is_urgent, is_urgent ? on_signalled_urgently : on_signalled, breaks);
}

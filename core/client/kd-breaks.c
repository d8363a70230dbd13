/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BREAKs that a person or a debugger asks for while a session goes on. */
#include "kd-breaks.h"

#include "kd-notice.h"

/**
 * KdBreaks:
 * @connection: (nullable): the session there is
 * @is_signalled: a signal asked for one that is not answered yet; by urgency
 */
struct KdBreaks {
    KdConnection *connection;
    gboolean is_signalled[2];
};

/* One request, from the question to the answer. */
typedef struct {
    KdBreaksFunc fn;
    void *user;
} KdBreakAsked;

/**
 * kd_breaks_new:
 *
 * Returns: (transfer full): nothing asked for, and no session yet
 */
KdBreaks *
kd_breaks_new(void)
{
    return g_new0(KdBreaks, 1);
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

static void
on_controlled(uint64_t value, const char *text, const GError *error, void *user)
{
    g_autofree KdBreakAsked *asked = user;
    g_autofree char *outcome = NULL;

    (void)text;
    if (error == NULL) {
        outcome = value == 0 ? g_strdup("break sent")
                             : g_strdup_printf("break sent, %" G_GUINT64_FORMAT " %s dropped",
                                               value, value == 1 ? "byte" : "bytes");
    }
    asked->fn(outcome, error, asked->user);
}

/**
 * kd_breaks_send:
 * @breaks: of all sessions
 * @is_urgent: do not wait for bytes that the target has not taken: drop them
 * @fn: takes the answer; may be called before this returns
 * @user: for @fn
 *
 * Sends a BREAK to the target of the session that goes on.
 */
void
kd_breaks_send(KdBreaks *breaks, gboolean is_urgent, KdBreaksFunc fn, void *user)
{
    KdControl control = {.op = KD_CONTROL_BREAK, .is_urgent = is_urgent};
    KdBreakAsked *asked;

    if (breaks->connection == NULL) {
        g_autoptr(GError) error =
            g_error_new_literal(KD_ERROR, KD_ERROR_FAILED, "no debugger is connected");

        fn(NULL, error, user);
        return;
    }
    asked = g_new(KdBreakAsked, 1);
    *asked = (KdBreakAsked){.fn = fn, .user = user};
    kd_connection_control(breaks->connection, &control, on_controlled, asked);
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

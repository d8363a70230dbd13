/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asynchronous calls under test: called back exactly once, and not before they have returned. */
#include "kd-check.h"

/**
 * kd_check_call_begin:
 * @what: static
 *
 * Gets ready for an _async call, which must be next.
 */
void
kd_check_call_begin(KdCheckCall *call, const char *what)
{
    g_assert_null(call->result);
    call->what = what;
    call->n_done = 0;
    call->has_returned = FALSE;
    if (call->cancellable == NULL)
        call->cancellable = g_cancellable_new();
    kd_check_clock_start();
}

/**
 * kd_check_call_returned:
 *
 * Notes that the _async call has returned.
 */
void
kd_check_call_returned(KdCheckCall *call)
{
    kd_check_clock_stop(call->what);
    g_assert_cmpuint(call->n_done, ==, 0);
    call->has_returned = TRUE;
}

/**
 * kd_check_call_on_done:
 * @user: the #KdCheckCall
 *
 * The callback of every call.
 */
void
kd_check_call_on_done(GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer user)
{
    KdCheckCall *call = user;
    if (!call->has_returned || call->n_done > 0)
        g_test_message("%s: called back %s", call->what,
                       call->has_returned ? "twice" : "before it had returned");
    g_assert_true(call->has_returned);
    g_assert_cmpuint(call->n_done, ==, 0);
    call->n_done++;
    call->result = g_object_ref(result);
}

/**
 * kd_check_call_await:
 *
 * Turns the loop until the callback has come.
 */
void
kd_check_call_await(KdCheckCall *call)
{
    while (call->n_done == 0)
        kd_check_turn(TRUE);
}

/**
 * kd_check_call_clear:
 *
 * Forgets a call that is over, after a look for a second callback.
 */
void
kd_check_call_clear(KdCheckCall *call)
{
    kd_check_settle();
    g_assert_cmpuint(call->n_done, <=, 1);
    g_clear_object(&call->result);
    g_clear_object(&call->cancellable);
}

/**
 * kd_check_call_cancel_before:
 *
 * Cancels a call that is about to be made, if this is the moment.
 */
void
kd_check_call_cancel_before(KdCheckCall *call, int moment)
{
    call->cancellable = g_cancellable_new();
    if (moment == KD_CHECK_CANCEL_BEFORE)
        g_cancellable_cancel(call->cancellable);
}

/**
 * kd_check_call_cancel_after:
 * @may_block: whether the call is bound to complete by itself
 *
 * Turns the loop until the moment has come, cancels, and waits for the callback.
 */
void
kd_check_call_cancel_after(KdCheckCall *call, int moment, gboolean may_block)
{
    if (moment == KD_CHECK_CANCEL_FINISHED && may_block)
        kd_check_call_await(call);
    for (int i = 0; i < moment && call->n_done == 0; i++)
        kd_check_turn(may_block);
    g_cancellable_cancel(call->cancellable);
    kd_check_call_await(call);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases about target links: calls that are cancelled at every moment. */
#include "kd-check-link.h"

static void
check_outcome(gboolean is_done, const GError *error, int moment)
{
    if (is_done)
        g_assert_cmpint(moment, !=, KD_CHECK_CANCEL_BEFORE);
    else
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
cancel_open(const KdCheckSubject *subject, KdCheckPeer *peer, int moment)
{
    KdCheckLink link;
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    kd_check_link_prepare(&link, subject, peer);
    kd_check_call_cancel_before(&call, moment);
    kd_check_link_start_open(&link, &call);
    kd_check_call_cancel_after(&call, moment, TRUE);
    gboolean is_open = kd_check_link_finish_open(&link, &call, &error);
    check_outcome(is_open, error, moment);
    kd_check_call_clear(&call);
    if (is_open) {
        (void)kd_check_link_close(&link);
        return;
    }
    /* With the result gone, nothing of the opening is left: the device is free. */
    link.is_closed = TRUE;
    KdCheckLink next;
    kd_check_link_open(&next, subject, peer);
    kd_check_link_echo(&next, 10, 1);
    (void)kd_check_link_close(&next);
    kd_check_link_clear(&link);
}

static void
cancel_reopen(const KdCheckSubject *subject, KdCheckPeer *peer, int moment)
{
    KdCheckLink link;
    KdCheckEnd end;
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    kd_check_link_open(&link, subject, peer);
    subject->adapter->lose(peer);
    (void)kd_check_end_drain(&link.end, NULL);
    kd_check_end_close(&link.end);
    /* In the second half of the moments the device is back before the call. */
    gboolean is_back = moment >= KD_CHECK_CANCEL_LAST / 2;
    if (is_back)
        subject->adapter->restore(peer);
    kd_check_call_cancel_before(&call, moment);
    kd_check_link_start_reopen(&link, &call);
    kd_check_call_cancel_after(&call, moment, is_back);
    kd_check_end_prepare(&end);
    gboolean is_done = kd_check_link_finish_reopen(&link, &call, &end, &error);
    check_outcome(is_done, error, moment);
    kd_check_call_clear(&call);
    kd_check_end_close(&end);
    if (!is_back)
        subject->adapter->restore(peer);
    (void)kd_check_link_close(&link);
}

/* A break behind bytes that do not leave waits until it is cancelled. */
static void
cancel_control(const KdCheckSubject *subject, KdCheckPeer *peer, int moment)
{
    KdCheckLink link;
    for (uint32_t op = KD_CONTROL_BREAK; op <= KD_CONTROL_DRAIN; op++) {
        if ((subject->target->caps & (1u << op)) == 0)
            continue;
        KdCheckCall call = {0};
        g_autoptr(GError) error = NULL;
        kd_check_link_open(&link, subject, peer);
        if (subject->adapter->deafen != NULL) {
            subject->adapter->deafen(peer, TRUE);
            g_assert_cmpint(kd_check_end_write(&link.end, "abc", 3), ==, 3);
        }
        kd_check_call_cancel_before(&call, moment);
        kd_check_link_start_control(&link, &call, op);
        kd_check_call_cancel_after(&call, moment, FALSE);
        if (!kd_check_link_finish_control(&link, &call, op, &error) &&
            moment == KD_CHECK_CANCEL_BEFORE)
            g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        kd_check_call_clear(&call);
        if (subject->adapter->deafen != NULL)
            subject->adapter->deafen(peer, FALSE);
        (void)kd_check_link_close(&link);
    }
}

static void
run_moments(const KdCheckSubject *subject,
            void (*fn)(const KdCheckSubject *subject, KdCheckPeer *peer, int moment))
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    fn(subject, peer, KD_CHECK_CANCEL_FINISHED); /* the first use makes what stays */
    kd_check_settle();
    guint n_fds = kd_check_count_fds();
    for (int moment = KD_CHECK_CANCEL_BEFORE; moment <= KD_CHECK_CANCEL_FINISHED; moment++)
        fn(subject, peer, moment);
    kd_check_settle();
    g_assert_cmpuint(kd_check_count_fds(), ==, n_fds);
}

static void
test_open(const KdCheckSubject *subject)
{
    run_moments(subject, cancel_open);
}

static void
test_reopen(const KdCheckSubject *subject)
{
    if ((subject->target->caps & KD_TARGET_REOPEN) == 0 || subject->adapter->lose == NULL)
        g_test_skip("the link does not reopen, or its peer cannot go away");
    else
        run_moments(subject, cancel_reopen);
}

static void
test_control(const KdCheckSubject *subject)
{
    if (subject->target->control_async == NULL)
        g_test_skip("the link has no controls");
    else
        run_moments(subject, cancel_control);
}

/**
 * kd_check_add_target_cancel_cases:
 *
 * Adds the cases that cancel each call of a target link.
 */
void
kd_check_add_target_cancel_cases(const KdCheckSubject *subject)
{
    kd_check_add_case("cancel/open-at-every-moment", test_open, subject);
    kd_check_add_case("cancel/reopen-at-every-moment", test_reopen, subject);
    kd_check_add_case("cancel/control-at-every-moment", test_control, subject);
}

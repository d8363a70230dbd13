/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases about target links: a link in this process and a peer that echoes. */
#include "kd-check-link.h"

#include <errno.h>

#define CLOSE_LIMIT_US (G_GINT64_CONSTANT(2000000))

static gint64
get_close_limit_us(void)
{
    return CLOSE_LIMIT_US + (kd_check_has_sanitizer() ? 1000000 : 300000);
}

static void
test_echo(const KdCheckSubject *subject)
{
    static const guint64 sizes[] = {1, 2, 1000, 65536, 1024 * 1024};
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        kd_check_link_echo(&link, sizes[i], 65536);
    (void)kd_check_link_close(&link);
}

static void
test_one_byte_writes(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    kd_check_link_echo(&link, 2000, 1);
    (void)kd_check_link_close(&link);
}

static void
test_eagain_in(const KdCheckSubject *subject)
{
    char byte = 0;
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    for (guint i = 0; i < 10; i++) {
        kd_check_settle();
        g_assert_cmpint(kd_check_end_read(&link.end, &byte, 1), ==, -EAGAIN);
        g_assert_cmpint(kd_check_end_read(&link.end, &byte, 1), ==, -EAGAIN);
        kd_check_settle();
        g_assert_cmpuint(link.end.ready & KD_READY_IN, ==, 0);
        g_assert_cmpint(kd_check_end_write(&link.end, "x", 1), ==, 1);
        kd_check_end_await(&link.end, KD_READY_IN);
        g_assert_cmpint(kd_check_end_read(&link.end, &byte, 1), ==, 1);
    }
    (void)kd_check_link_close(&link);
}

static void
test_eagain_out(const KdCheckSubject *subject)
{
    const guint64 most = 16u * 1024 * 1024;
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    if (subject->adapter->deafen == NULL) {
        g_test_skip("this peer cannot stop reading");
        return;
    }
    kd_check_link_open(&link, subject, peer);
    subject->adapter->deafen(peer, TRUE);
    guint64 sent = kd_check_end_fill(&link.end, most);
    g_assert_cmpuint(sent, >, 0);
    g_assert_cmpuint(sent, <, most);
    subject->adapter->deafen(peer, FALSE);
    KdCheckFlow flow = {&link.end, &link.end, sent + 100000, 65536, sent, 0};
    kd_check_run_flows(&flow, 1);
    (void)kd_check_link_close(&link);
}

static void
test_half_close(const KdCheckSubject *subject)
{
    guint64 got = 0;
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    if ((link.end.endpoint.flags & KD_ENDPOINT_HALF_CLOSE) == 0) {
        g_test_skip("the link has no half-close");
    } else {
        g_assert_cmpint(kd_check_end_write(&link.end, "last", 4), ==, 4);
        g_assert_cmpint(kd_check_end_shutdown(&link.end), ==, 0);
        g_assert_cmpint(kd_check_end_drain(&link.end, &got), ==, 0);
        g_assert_cmpuint(got, ==, 4);
    }
    (void)kd_check_link_close(&link);
}

static void
test_lock_names(const KdCheckSubject *subject)
{
    const KdTarget *target = subject->target;
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    if (target->build_lock_names == NULL) {
        g_test_skip("the link collides with nothing");
        return;
    }
    g_autoptr(GVariant) params =
        kd_check_parse(target->scheme, target->params, KD_FORM_TARGET, peer->spec);
    g_auto(GStrv) first = target->build_lock_names(&kd_check_host, params);
    g_auto(GStrv) second = target->build_lock_names(&kd_check_host, params);
    g_assert_true((first == NULL) == (second == NULL));
    if (first != NULL)
        g_assert_true(g_strv_equal((const char *const *)first, (const char *const *)second));
}

static gboolean
has_lock_name(const KdCheckLink *link)
{
    if (link->target->build_lock_names == NULL)
        return FALSE;
    g_auto(GStrv) names = link->target->build_lock_names(&kd_check_host, link->params);
    return names != NULL && names[0] != NULL;
}

static void
test_double_open(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    g_autoptr(GError) error = NULL;
    KdCheckCall call = {0};
    KdCheckLink first;
    KdCheckLink second;
    kd_check_link_open(&first, subject, peer);
    kd_check_link_prepare(&second, subject, peer);
    kd_check_link_start_open(&second, &call);
    kd_check_call_await(&call);
    if (kd_check_link_finish_open(&second, &call, &error)) {
        g_assert_true((subject->target->caps & KD_TARGET_SHARED) != 0 || has_lock_name(&second));
        kd_check_call_clear(&call);
        (void)kd_check_link_close(&second);
    } else {
        g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
        kd_check_call_clear(&call);
        kd_check_link_clear(&second);
    }
    kd_check_link_echo(&first, 1000, 100); /* untouched by the other */
    (void)kd_check_link_close(&first);
}

static gboolean
can_reopen(const KdCheckSubject *subject)
{
    if ((subject->target->caps & KD_TARGET_REOPEN) != 0 && subject->adapter->lose != NULL)
        return TRUE;
    g_test_skip("the link does not reopen, or its peer cannot go away");
    return FALSE;
}

static void
reopen_once(KdCheckLink *link, gboolean is_old_first)
{
    KdCheckEnd end;
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    link->peer->adapter->lose(link->peer);
    g_assert_cmpint(kd_check_end_drain(&link->end, NULL), <=, 0);
    if (is_old_first)
        kd_check_end_close(&link->end);
    kd_check_link_start_reopen(link, &call);
    kd_check_settle();
    g_assert_cmpuint(call.n_done, ==, 0); /* waits, however long it takes */
    link->peer->adapter->restore(link->peer);
    kd_check_call_await(&call);
    kd_check_end_prepare(&end);
    (void)kd_check_link_finish_reopen(link, &call, &end, &error);
    g_assert_no_error(error);
    kd_check_end_close(&link->end);
    /* The end reports to where it was started: it cannot move. */
    KdCheckFlow flow = {&end, &end, 10000, 1000, 0, 0};
    kd_check_run_flows(&flow, 1);
    kd_check_call_clear(&call);
    link->peer->adapter->lose(link->peer);
    g_assert_cmpint(kd_check_end_drain(&end, NULL), <=, 0);
    kd_check_end_close(&end);
    link->peer->adapter->restore(link->peer);
}

static void
test_reopen(const KdCheckSubject *subject)
{
    if (!can_reopen(subject))
        return;
    for (guint i = 0; i < 2; i++) {
        g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
        KdCheckLink link;
        kd_check_link_open(&link, subject, peer);
        reopen_once(&link, i == 0);
        (void)kd_check_link_close(&link);
        g_assert_cmpuint(link.n_events, <, 20);
    }
}

static void
test_close_while_lost(const KdCheckSubject *subject)
{
    if (!can_reopen(subject))
        return;
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    subject->adapter->lose(peer);
    g_assert_cmpint(kd_check_end_drain(&link.end, NULL), <=, 0);
    g_assert_cmpint(kd_check_link_close(&link), <=, get_close_limit_us());
    subject->adapter->restore(peer);
}

static void
test_controls(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    for (uint32_t op = KD_CONTROL_BREAK; op <= KD_CONTROL_DRAIN; op++) {
        if ((subject->target->caps & (1u << op)) == 0)
            continue;
        KdCheckCall call = {0};
        g_autoptr(GError) error = NULL;
        kd_check_link_start_control(&link, &call, op);
        kd_check_call_await(&call);
        if (!kd_check_link_finish_control(&link, &call, op, &error))
            g_test_message("control %u: %s", op, error->message);
        kd_check_call_clear(&call);
    }
    kd_check_link_echo(&link, 1000, 100); /* still in order */
    (void)kd_check_link_close(&link);
}

static void
test_unknown_control(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    g_autoptr(GError) error = NULL;
    KdCheckCall call = {0};
    KdCheckLink link;
    if (subject->target->control_async == NULL) {
        g_test_skip("the link has no controls");
        return;
    }
    kd_check_link_open(&link, subject, peer);
    kd_check_link_start_control(&link, &call, 15);
    kd_check_call_await(&call);
    g_assert_false(kd_check_link_finish_control(&link, &call, 15, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    kd_check_call_clear(&call);
    (void)kd_check_link_close(&link);
}

static void
test_close(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    g_assert_cmpint(kd_check_link_close(&link), <=, get_close_limit_us());
}

static void
test_close_with_unsent(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    if (subject->adapter->deafen != NULL)
        subject->adapter->deafen(peer, TRUE);
    (void)kd_check_end_fill(&link.end, 1024 * 1024);
    g_assert_cmpint(kd_check_link_close(&link), <=, get_close_limit_us());
}

static void
test_silence_after_close(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    KdCheckLink link;
    kd_check_link_open(&link, subject, peer);
    (void)kd_check_link_close(&link);
    if (subject->adapter->lose != NULL) {
        subject->adapter->lose(peer); /* the sink asserts that it hears nothing */
        kd_check_settle();
        subject->adapter->restore(peer);
    }
    kd_check_settle();
}

static void
run_rounds(const KdCheckSubject *subject, KdCheckPeer *peer, guint n_rounds)
{
    for (guint i = 0; i < n_rounds; i++) {
        KdCheckLink link;
        kd_check_link_open(&link, subject, peer);
        g_assert_cmpint(kd_check_end_write(&link.end, "x", 1), ==, 1);
        if (!subject->adapter->is_mute)
            kd_check_end_await(&link.end, KD_READY_IN);
        (void)kd_check_link_close(&link);
    }
}

static void
test_fds_flat(const KdCheckSubject *subject)
{
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    run_rounds(subject, peer, 10);
    guint n_fds = kd_check_count_fds();
    run_rounds(subject, peer, 1000);
    kd_check_settle();
    g_assert_cmpuint(kd_check_count_fds(), ==, n_fds);
}

static void
test_memory_flat(const KdCheckSubject *subject)
{
    if (kd_check_has_sanitizer()) {
        g_test_skip("the sanitizer's allocator does not tell");
        return;
    }
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    run_rounds(subject, peer, 200);
    size_t before = kd_check_count_bytes();
    size_t after = before;
    /* Each thread of a pool keeps some of what it has freed: a leak goes on, that does not. */
    for (guint i = 0; i < 4; i++) {
        before = after;
        run_rounds(subject, peer, 1000);
        after = kd_check_count_bytes();
        if (after <= before + 32768) {
            return;
        }
    }
    g_assert_cmpuint(after, <=, before + 32768);
}

/**
 * kd_check_add_target_cases:
 *
 * Adds the cases for a target link.
 */
void
kd_check_add_target_cases(const KdCheckSubject *subject)
{
    if (!subject->adapter->is_mute) {
        kd_check_add_case("bytes/echo-up-to-1-mib", test_echo, subject);
        kd_check_add_case("bytes/one-byte-writes-arrive", test_one_byte_writes, subject);
        kd_check_add_case("ready/in-follows-after-eagain", test_eagain_in, subject);
        kd_check_add_case("ready/out-follows-after-eagain", test_eagain_out, subject);
    }
    kd_check_add_case("end/half-close-reaches-the-other-end", test_half_close, subject);
    kd_check_add_case("lock/names-of-one-string-are-equal", test_lock_names, subject);
    kd_check_add_case("lock/second-opening-is-busy-or-named", test_double_open, subject);
    kd_check_add_case("reopen/new-endpoint-when-the-device-is-back", test_reopen, subject);
    kd_check_add_case("reopen/close-works-while-lost", test_close_while_lost, subject);
    kd_check_add_case("control/each-one-offered-gives-its-type-or-an-error", test_controls,
                      subject);
    kd_check_add_case("control/unknown-one-is-an-error", test_unknown_control, subject);
    kd_check_add_case("close/takes-no-longer-than-2-s", test_close, subject);
    kd_check_add_case("close/takes-no-longer-with-unsent-bytes", test_close_with_unsent, subject);
    kd_check_add_case("close/no-event-comes-after-it", test_silence_after_close, subject);
    kd_check_add_case("flat/descriptors-after-1000-rounds", test_fds_flat, subject);
    kd_check_add_case("flat/memory-after-1000-rounds", test_memory_flat, subject);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations of a session: in order with the bytes, or urgent. */
#include "kd-test-stage.h"

#include <string.h>

static void
open_as(KdStageFixture *f, const char *trans)
{
    kd_opened_free(kd_stage_open(&f->stage, &f->client, trans));
}

static guint64
expect_done(KdStageFixture *f, uint32_t id)
{
    g_autoptr(KdResult) result = kd_test_client_expect_result(&f->client, id);

    g_assert_cmpuint(result->code, ==, 0);
    return result->value;
}

static void
test_in_order(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, "fake:name=1,size=4");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "0123456789", 10);
    kd_test_client_send_control(&f->client, 7, KD_CONTROL_BREAK, FALSE);
    kd_test_client_send_bytes(&f->client, "after", 5);
    kd_stage_settle();
    /* Not even asked yet: the link has not taken the bytes before it. */
    g_assert_cmpuint(stat->controls, ==, 0);
    kd_fake_go(f->stage.device);
    g_assert_cmpuint(expect_done(f, 7), ==, 0);
    g_assert_cmpuint(stat->break_at, ==, 10);
    kd_stage_await_received(&f->stage, "0123456789after");
}

static void
test_two_in_order(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "fake:name=1,size=4");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "0123456789", 10);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    kd_test_client_send_bytes(&f->client, "abcdefghij", 10);
    kd_test_client_send_control(&f->client, 2, KD_CONTROL_BREAK, FALSE);
    kd_test_client_send_bytes(&f->client, "x", 1);
    kd_fake_go(f->stage.device);
    expect_done(f, 1);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->break_at, ==, 10);
    expect_done(f, 2);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->break_at, ==, 20);
    kd_stage_await_received(&f->stage, "0123456789abcdefghijx");
}

static void
test_urgent(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "fake:name=1,size=4");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "0123456789", 10);
    kd_test_client_send_control(&f->client, 7, KD_CONTROL_BREAK, TRUE);
    /* six in the route, four in the link */
    g_assert_cmpuint(expect_done(f, 7), ==, 10);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->breaks, ==, 1);
    kd_fake_go(f->stage.device);
    kd_test_client_send_bytes(&f->client, "after", 5);
    kd_stage_await_received(&f->stage, "after");
}

/* Dropped bytes count as taken: else the window would shrink for good. */
static void
test_urgent_gives_credit(KdStageFixture *f, gconstpointer user)
{
    g_autofree uint8_t *bytes = g_malloc0(KD_WINDOW_BYTES);

    (void)user;
    open_as(f, "fake:name=1,size=1000");
    kd_fake_stop(f->stage.device);
    for (uint32_t id = 1; id <= 4; id++) {
        kd_test_client_send_bytes(&f->client, bytes, KD_WINDOW_BYTES);
        kd_test_client_send_control(&f->client, id, KD_CONTROL_BREAK, TRUE);
        g_assert_cmpuint(expect_done(f, id), ==, KD_WINDOW_BYTES);
    }
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->in, ==, 0);
}

static void
test_urgent_overtakes(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);
    g_autoptr(KdResult) cancelled = NULL;

    (void)user;
    open_as(f, "fake:name=1");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    KD_AWAIT(stat->controls == 1);
    kd_test_client_send_bytes(&f->client, "def", 3);
    kd_test_client_send_control(&f->client, 2, KD_CONTROL_STATUS, FALSE);
    kd_test_client_send_control(&f->client, 3, KD_CONTROL_BREAK, TRUE);
    cancelled = kd_test_client_expect_result(&f->client, 1);
    g_assert_cmpuint(cancelled->code, !=, 0);
    g_assert_cmpuint(expect_done(f, 3), ==, 6);
    g_assert_cmpuint(stat->breaks, ==, 1);
    /* The one that waited for the dropped bytes need not wait any more. */
    expect_done(f, 2);
    kd_test_client_send_bytes(&f->client, "on", 2);
    kd_fake_go(f->stage.device);
    kd_stage_await_received(&f->stage, "on");
}

static void
test_two_urgent(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "fake:name=1,size=4");
    kd_fake_stop(f->stage.device);
    kd_test_client_cork(&f->client);
    kd_test_client_send_bytes(&f->client, "0123456789", 10);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, TRUE);
    kd_test_client_send_bytes(&f->client, "abcdefghij", 10);
    kd_test_client_send_control(&f->client, 2, KD_CONTROL_BREAK, TRUE);
    kd_test_client_uncork(&f->client);
    g_assert_cmpuint(expect_done(f, 1) + expect_done(f, 2), ==, 20);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->breaks, ==, 2);
}

/* They would go out during the break, and be garbled or taken for a part of it. */
static void
test_urgent_holds(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, "fake:name=1");
    kd_fake_long_breaks(f->stage.device);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, TRUE);
    kd_test_client_send_bytes(&f->client, "later", 5);
    KD_AWAIT(stat->breaks == 1);
    kd_stage_settle();
    kd_test_client_send_bytes(&f->client, "on", 2);
    kd_stage_settle();
    g_assert_cmpuint(stat->in, ==, 0);
    g_assert_cmpuint(stat->in_break, ==, 0);
    kd_fake_end_break(f->stage.device);
    expect_done(f, 1);
    kd_stage_await_received(&f->stage, "lateron");
}

/* The bytes between two urgent breaks are dropped, those behind the second wait for its end. */
static void
test_two_urgent_hold(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, "fake:name=1");
    kd_fake_long_breaks(f->stage.device);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, TRUE);
    kd_test_client_send_bytes(&f->client, "between", 7);
    kd_test_client_send_control(&f->client, 2, KD_CONTROL_BREAK, TRUE);
    kd_test_client_send_bytes(&f->client, "behind", 6);
    kd_test_client_send_control(&f->client, 3, KD_CONTROL_STATUS, FALSE);
    KD_AWAIT(stat->breaks == 1);
    kd_fake_end_break(f->stage.device);
    expect_done(f, 1);
    KD_AWAIT(stat->breaks == 2);
    kd_stage_settle();
    g_assert_cmpuint(stat->in, ==, 0);
    kd_fake_end_break(f->stage.device);
    g_assert_cmpuint(expect_done(f, 2), ==, 7);
    expect_done(f, 3);
    kd_stage_await_received(&f->stage, "behind");
    g_assert_cmpuint(stat->in_break, ==, 0);
}

/* Two breaks in a row would be one too many for whoever waits for one. */
static void
test_urgent_replaces(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, "fake:name=1,size=1");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    for (uint32_t id = 1; id <= 2; id++) {
        kd_test_client_send_control(&f->client, id, KD_CONTROL_BREAK, FALSE);
    }
    kd_test_client_send_control(&f->client, 3, KD_CONTROL_BREAK, TRUE);
    for (uint32_t id = 1; id <= 2; id++) {
        g_autoptr(KdResult) result = kd_test_client_expect_result(&f->client, id);

        g_assert_cmpuint(result->code, ==, KD_ERROR_FAILED + 1);
    }
    g_assert_cmpuint(expect_done(f, 3), ==, 3);
    kd_stage_settle();
    g_assert_cmpuint(stat->breaks, ==, 1);
}

/* Who asks for the state of a link that is busy does not disturb it. */
static void
test_urgent_status(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, "fake:name=1,size=1");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    kd_test_client_send_control(&f->client, 2, KD_CONTROL_STATUS, TRUE);
    expect_done(f, 2);
    kd_fake_long_breaks(f->stage.device);
    kd_fake_go(f->stage.device);
    KD_AWAIT(stat->breaks == 1);
    kd_test_client_send_control(&f->client, 3, KD_CONTROL_STATUS, TRUE);
    kd_stage_settle();
    kd_fake_end_break(f->stage.device);
    expect_done(f, 1);
    expect_done(f, 3);
    g_assert_cmpuint(stat->drops, ==, 0);
    g_assert_cmpuint(stat->break_at, ==, 3);
}

static void
test_in_order_holds(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);
    g_autofree char *story = NULL;

    (void)user;
    open_as(f, "fake:name=1");
    kd_fake_long_breaks(f->stage.device);
    kd_test_client_send_bytes(&f->client, "before", 6);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    kd_test_client_send_bytes(&f->client, "behind", 6);
    KD_AWAIT(stat->breaks == 1);
    kd_stage_settle();
    g_assert_cmpuint(stat->in_break, ==, 0);
    kd_fake_end_break(f->stage.device);
    expect_done(f, 1);
    KD_AWAIT(stat->in == 12);
    story = kd_fake_build_story(f->stage.device);
    g_assert_cmpstr(story, ==, "before<break>behind");
}

static void
test_break_while_lost(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "fake:name=1");
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    kd_stage_settle();
    kd_fake_back(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_BACK);
    expect_done(f, 1);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->break_at, ==, 3);
}

static void
test_too_many(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    open_as(f, "fake:name=1,size=1");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    for (uint32_t id = 1; id <= 16; id++) {
        kd_test_client_send_control(&f->client, id, KD_CONTROL_BREAK, FALSE);
    }
    kd_stage_settle();
    g_assert_nonnull(f->stage.session);
    kd_test_client_send_control(&f->client, 17, KD_CONTROL_BREAK, FALSE);
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR);
    g_assert_nonnull(strstr(why->text, "16"));
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->controls, ==, 0);
}

static void
test_not_offered(KdStageFixture *f, gconstpointer user)
{
    static const uint16_t ops[] = {KD_CONTROL_PURGE, 8, 15, 16, 31};

    (void)user;
    open_as(f, "plain:name=1");
    for (uint32_t i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_autoptr(KdResult) result = NULL;

        kd_test_client_send_control(&f->client, i, ops[i], FALSE);
        result = kd_test_client_expect_result(&f->client, i);
        g_assert_cmpuint(result->code, ==, KD_ERROR_NOT_SUPPORTED + 1);
    }
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->controls, ==, 0);
    kd_test_client_send_bytes(&f->client, "on", 2);
    kd_stage_await_received(&f->stage, "on");
}

static void
test_failure(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdResult) result = NULL;

    (void)user;
    open_as(f, "fake:name=1");
    kd_fake_fail_control(f->stage.device, "it is stuck");
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_RESET, FALSE);
    kd_test_client_send_bytes(&f->client, "on", 2);
    result = kd_test_client_expect_result(&f->client, 1);
    g_assert_cmpuint(result->code, ==, KD_ERROR_FAILED + 1);
    g_assert_cmpstr(result->text, ==, "fake:name=1: it is stuck");
    kd_stage_await_received(&f->stage, "on");
}

static void
test_values(KdStageFixture *f, gconstpointer user)
{
    KdControl baud = {.id = 1, .op = KD_CONTROL_BAUD, .arg = 9600};
    KdControl lines = {.id = 2, .op = KD_CONTROL_LINES, .arg = 6, .arg2 = 3};
    g_autoptr(KdResult) status = NULL;

    (void)user;
    open_as(f, "fake:name=1");
    kd_test_client_send(&f->client, KD_FRAME_CONTROL, kd_control_build(&baud));
    g_assert_cmpuint(expect_done(f, 1), ==, 9600);
    kd_test_client_send(&f->client, KD_FRAME_CONTROL, kd_control_build(&lines));
    g_assert_cmpuint(expect_done(f, 2), ==, 2);
    kd_test_client_send_control(&f->client, 3, KD_CONTROL_STATUS, FALSE);
    status = kd_test_client_expect_result(&f->client, 3);
    g_assert_nonnull(strstr(status->text, "'baud': <uint32 9600>"));
    kd_test_client_send_control(&f->client, 4, KD_CONTROL_DRAIN, FALSE);
    expect_done(f, 4);
}

/* An offset that no byte will ever reach must not keep a session or its link. */
static void
test_far_offset(KdStageFixture *f, gconstpointer user)
{
    KdControl far = {.id = 1, .op = KD_CONTROL_BREAK, .at = UINT64_MAX - 1};

    (void)user;
    open_as(f, "fake:name=1");
    kd_test_client_send(&f->client, KD_FRAME_CONTROL, kd_control_build(&far));
    kd_stage_settle();
    kd_test_client_send_close(&f->client);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_CLOSE));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/control/in-order-waits-for-the-bytes-before-it", test_in_order);
    kd_stage_add("/control/two-in-order-keep-their-places", test_two_in_order);
    kd_stage_add("/control/urgent-break-drops-the-bytes-and-counts-them", test_urgent);
    kd_stage_add("/control/urgent-break-gives-the-credit-back", test_urgent_gives_credit);
    kd_stage_add("/control/urgent-break-cancels-one-that-waits-for-the-line",
                 test_urgent_overtakes);
    kd_stage_add("/control/urgent-breaks-in-one-write-are-all-done", test_two_urgent);
    kd_stage_add("/control/no-byte-reaches-the-link-during-an-urgent-break", test_urgent_holds);
    kd_stage_add("/control/bytes-between-urgent-breaks-are-dropped-and-later-ones-wait",
                 test_two_urgent_hold);
    kd_stage_add("/control/urgent-break-takes-the-place-of-those-in-order", test_urgent_replaces);
    kd_stage_add("/control/urgent-status-drops-and-cancels-nothing", test_urgent_status);
    kd_stage_add("/control/no-byte-reaches-the-link-during-a-break-in-order", test_in_order_holds);
    kd_stage_add("/control/in-order-waits-for-a-lost-target", test_break_while_lost);
    kd_stage_add("/control/more-than-16-waiting-is-a-protocol-error", test_too_many);
    kd_stage_add("/control/not-offered-gets-an-error-and-goes-on", test_not_offered);
    kd_stage_add("/control/failure-is-told-and-lets-bytes-pass", test_failure);
    kd_stage_add("/control/results-carry-values", test_values);
    kd_stage_add("/control/far-offset-keeps-nobody-from-closing", test_far_offset);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Targets that go, come back or end, and clients that vanish at a bad moment. */
#include "kd-test-stage.h"

#include <string.h>

static void
open_as(KdStageFixture *f, KdTestClient *client, const char *trans)
{
    kd_opened_free(kd_stage_open(&f->stage, client, trans));
}

/* The first client vanishes, if it has not yet: nothing of it is left, and the next one is served.
 */
static void
assert_free(KdStageFixture *f)
{
    kd_test_client_vanish(&f->client);
    kd_stage_await_ended(&f->stage);
    KD_AWAIT(kd_link_table_get_n_links(f->stage.scope.links) == 0);
    g_assert_false(kd_fake_is_open(f->stage.device));
    kd_fake_go(f->stage.device);
    kd_fake_back(f->stage.device);
    g_bytes_unref(kd_fake_take_received(f->stage.device));
    open_as(f, &f->other, "fake:name=1");
    kd_test_client_send_bytes(&f->other, "next", 4);
    kd_stage_await_received(&f->stage, "next");
}

/* ---- targets ---- */

static void
test_back(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_test_client_send_bytes(&f->client, "waits", 5);
    kd_stage_settle();
    kd_stage_log_in(&f->stage, &f->other);
    kd_test_client_send_open(&f->other, "fake:name=1");
    kd_close_free(kd_test_client_expect_close(&f->other, KD_CLOSE_BUSY));
    kd_fake_back(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_BACK);
    kd_stage_await_received(&f->stage, "waits");
    kd_fake_say(f->stage.device, "again", 5);
    kd_test_client_expect_bytes(&f->client, "again");
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->reopens, ==, 1);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 1);
}

static void
test_back_with_its_stream(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_lost(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_fake_back(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_BACK);
    kd_fake_say(f->stage.device, "again", 5);
    kd_test_client_expect_bytes(&f->client, "again");
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->reopens, ==, 0);
}

static void
test_silent_reopening(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_end(f->stage.device);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->reopens == 1);
    kd_fake_say(f->stage.device, "again", 5);
    /* No event: nobody was kept waiting. */
    kd_test_client_expect_bytes(&f->client, "again");
}

static void
test_other_events(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_say(f->stage.device, "before", 6);
    kd_test_client_await_data(&f->client, 6);
    kd_fake_resync(f->stage.device);
    kd_fake_note(f->stage.device, "it rains");
    kd_fake_lines(f->stage.device, 6);
    kd_test_client_expect_event(&f->client, KD_EVENT_RESYNC);
    kd_test_client_expect_event(&f->client, KD_EVENT_NOTE);
    kd_test_client_expect_event(&f->client, KD_EVENT_LINES);
}

static void
test_refused_reopening(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    open_as(f, &f->client, "refuse:name=1");
    kd_fake_say(f->stage.device, "last words", 10);
    kd_fake_end(f->stage.device);
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_CLOSED);
    g_assert_nonnull(strstr(why->text, "it has left for good"));
    g_assert_cmpmem(f->client.bytes->data, f->client.bytes->len, "last words", 10);
    assert_free(f);
}

static void
test_last_bytes(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "plain:name=1,size=300000");
    kd_fake_flood(f->stage.device, 250000);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->out == 250000);
    kd_fake_end(f->stage.device);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_CLOSED));
    g_assert_cmpuint(f->client.bytes->len, ==, 250000);
    for (guint i = 0; i < 250000; i++) {
        g_assert_cmpuint(f->client.bytes->data[i], ==, kd_fake_get_pattern(i));
    }
    assert_free(f);
}

/* The end of the target is told when its last byte is out; by then the session may be closing. */
static void
test_end_behind_close(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "plain:name=1,size=1000000");
    kd_fake_flood(f->stage.device, 260000);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->out == 260000);
    kd_fake_end(f->stage.device);
    kd_stage_settle();
    kd_test_client_send_close(&f->client);
    kd_stage_settle();
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NORMAL));
    kd_stage_settle();
    assert_free(f);
}

/* ---- halves ---- */

static void
test_fin_reaches_the_target(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_stop(f->stage.device);
    open_as(f, &f->client, "plain:name=1,half,echo,size=3");
    kd_test_client_send_bytes(&f->client, "bytes before", 12);
    kd_test_client_send_fin(&f->client);
    kd_stage_settle();
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->ends, ==, 0);
    kd_fake_go(f->stage.device);
    kd_test_client_expect_bytes(&f->client, "bytes before");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NORMAL));
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->ends, ==, 1);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->in, ==, 12);
}

static void
test_fin_is_remembered(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "plain:name=1");
    kd_test_client_send_bytes(&f->client, "over", 4);
    kd_test_client_send_fin(&f->client);
    kd_stage_await_received(&f->stage, "over");
    kd_fake_say(f->stage.device, "not for me", 10);
    kd_test_client_expect_bytes(&f->client, "not for me");
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->ends, ==, 0);
    kd_fake_end(f->stage.device);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NORMAL));
}

static void
test_half_of_the_target(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdOpened) opened = kd_stage_open(&f->stage, &f->client, "fake:name=1,half");

    (void)user;
    g_assert_true(opened->has_half_close);
    kd_fake_say(f->stage.device, "last words", 10);
    kd_fake_end(f->stage.device);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_FIN));
    g_assert_cmpmem(f->client.bytes->data, f->client.bytes->len, "last words", 10);
    kd_test_client_send_bytes(&f->client, "but I go on", 11);
    kd_stage_await_received(&f->stage, "but I go on");
    kd_test_client_send_fin(&f->client);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_CLOSE));
}

static void
test_fin_while_lost(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1,half");
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_test_client_send_fin(&f->client);
    kd_stage_settle();
    kd_fake_back(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_BACK);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->ends == 1);
}

static void
test_hang_up_after_fin(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "plain:name=1");
    kd_test_client_send_fin(&f->client);
    kd_stage_settle();
    kd_test_client_vanish(&f->client);
    assert_free(f);
}

static void
test_wrong_fin(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "plain:name=1");
    f->client.sent += 3;
    kd_test_client_send_fin(&f->client);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
}

/* ---- clients that vanish ---- */

static void
test_vanish_while_opening(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send_open(&f->client, "fake:name=1,delay=60000");
    KD_AWAIT(kd_fake_is_open(f->stage.device));
    kd_test_client_vanish(&f->client);
    assert_free(f);
}

static void
test_close_while_opening(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send_open(&f->client, "fake:name=1,delay=60000");
    KD_AWAIT(kd_fake_is_open(f->stage.device));
    kd_test_client_send_close(&f->client);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NORMAL));
    assert_free(f);
}

static void
test_vanish_while_reopening(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_stage_settle();
    kd_test_client_vanish(&f->client);
    assert_free(f);
}

static void
test_vanish_in_a_control(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    kd_test_client_send_control(&f->client, 2, KD_CONTROL_BREAK, FALSE);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->controls == 1);
    kd_test_client_vanish(&f->client);
    assert_free(f);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->breaks, ==, 0);
}

static void
test_vanish_in_a_control_while_lost(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_DRAIN, FALSE);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->controls == 1);
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_test_client_vanish(&f->client);
    assert_free(f);
}

static void
test_vanish_in_a_full_window(KdStageFixture *f, gconstpointer user)
{
    g_autofree uint8_t *bytes = g_malloc0(KD_WINDOW_BYTES);

    (void)user;
    open_as(f, &f->client, "fake:name=1,size=1000");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, bytes, KD_WINDOW_BYTES);
    KD_AWAIT(kd_fake_get_pending(f->stage.device) == 1000);
    kd_stage_settle();
    kd_test_client_vanish(&f->client);
    assert_free(f);
}

static void
test_too_much_for_the_window(KdStageFixture *f, gconstpointer user)
{
    g_autofree uint8_t *bytes = g_malloc0(KD_WINDOW_BYTES + 1001);

    (void)user;
    open_as(f, &f->client, "fake:name=1,size=1000");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, bytes, KD_WINDOW_BYTES + 1001);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_FLOW_VIOLATION));
    assert_free(f);
}

static void
test_vanish_unread(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1,size=1000000");
    kd_fake_flood(f->stage.device, 1000000);
    kd_stage_settle();
    kd_test_client_vanish(&f->client);
    assert_free(f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/lost/target-comes-back-to-the-same-claim", test_back);
    kd_stage_add("/lost/target-comes-back-with-its-stream", test_back_with_its_stream);
    kd_stage_add("/lost/is-not-told-when-reopened-at-once", test_silent_reopening);
    kd_stage_add("/lost/for-good-is-told-after-the-last-bytes", test_refused_reopening);
    kd_stage_add("/event/stands-at-its-place-among-the-bytes", test_other_events);
    kd_stage_add("/ended/target-has-all-its-bytes-delivered-before-close", test_last_bytes);
    kd_stage_add("/ended/target-does-not-disturb-a-close-under-way", test_end_behind_close);
    kd_stage_add("/fin/reaches-the-target-behind-the-bytes", test_fin_reaches_the_target);
    kd_stage_add("/fin/is-remembered-for-a-target-without-halves", test_fin_is_remembered);
    kd_stage_add("/fin/of-the-target-leaves-the-other-direction", test_half_of_the_target);
    kd_stage_add("/fin/while-lost-reaches-the-target-that-is-back", test_fin_while_lost);
    kd_stage_add("/fin/with-a-wrong-count-is-a-protocol-error", test_wrong_fin);
    kd_stage_add("/fin/does-not-hide-a-hang-up", test_hang_up_after_fin);
    kd_stage_add("/vanished/while-opening-frees-the-link", test_vanish_while_opening);
    kd_stage_add("/closed/while-opening-frees-the-link", test_close_while_opening);
    kd_stage_add("/vanished/while-reopening-frees-the-link", test_vanish_while_reopening);
    kd_stage_add("/vanished/during-a-control-frees-the-link", test_vanish_in_a_control);
    kd_stage_add("/vanished/during-a-control-while-lost-frees-the-link",
                 test_vanish_in_a_control_while_lost);
    kd_stage_add("/vanished/with-a-full-window-frees-the-link", test_vanish_in_a_full_window);
    kd_stage_add("/vanished/with-unread-bytes-frees-the-link", test_vanish_unread);
    kd_stage_add("/window/overrun-is-a-flow-violation", test_too_much_for_the_window);
    return g_test_run();
}

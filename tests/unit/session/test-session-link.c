/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who gets a link, and what becomes of it between two sessions. */
#include "kd-test-stage.h"

#include <string.h>

static void
open_as(KdStageFixture *f, KdTestClient *client, const char *trans)
{
    kd_opened_free(kd_stage_open(&f->stage, client, trans));
}

/* Until the link is the next one's: CLOSE comes after that. */
static void
leave(KdTestClient *client)
{
    kd_test_client_send_close(client);
    kd_close_free(kd_test_client_expect_close(client, KD_CLOSE_NORMAL));
    kd_test_client_clear(client);
}

static void
test_busy(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_stage_log_in(&f->stage, &f->other);
    kd_test_client_send_open(&f->other, "fake:name=1,size=100");
    why = kd_test_client_expect_close(&f->other, KD_CLOSE_BUSY);
    g_assert_nonnull(strstr(why->text, "fake:Name=1"));
    g_assert_nonnull(strstr(why->text, "LAB\\ann (127.0.0.1:40312)"));
    g_assert_true(g_regex_match_simple(
        " since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d \\(\\d+ s\\)", why->text, 0, 0));
    kd_test_client_send_bytes(&f->client, "still here", 10);
    kd_stage_await_received(&f->stage, "still here");
}

static void
test_busy_while_opening(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send_open(&f->client, "fake:name=1,delay=60000");
    KD_AWAIT(kd_fake_is_open(f->stage.device));
    kd_stage_log_in(&f->stage, &f->other);
    kd_test_client_send_open(&f->other, "fake:name=1");
    kd_close_free(kd_test_client_expect_close(&f->other, KD_CLOSE_BUSY));
}

static void
test_again_while_closing(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_set_close_delay(f->stage.device, 200);
    open_as(f, &f->client, "fake:name=1");
    kd_test_client_vanish(&f->client);
    /* The claim ends when the session has noticed; the link then takes its time to close. */
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->reads > 0);
    kd_stage_log_in(&f->stage, &f->other);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->closes, ==, 0);
    g_assert_true(kd_fake_is_open(f->stage.device));
    kd_test_client_send_open(&f->other, "fake:name=1");
    g_bytes_unref(kd_test_client_expect(&f->other, KD_FRAME_OPENED));
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->closes, ==, 1);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 2);
}

static void
test_vanish_behind_closing(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_set_close_delay(f->stage.device, 200);
    open_as(f, &f->client, "fake:name=1");
    kd_test_client_vanish(&f->client);
    kd_stage_log_in(&f->stage, &f->other);
    kd_test_client_send_open(&f->other, "fake:name=1");
    kd_stage_settle();
    kd_test_client_clear(&f->other);
    kd_stage_await_ended(&f->stage);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 1);
    open_as(f, &f->other, "fake:name=1");
}

static void
test_third_behind_closing(KdStageFixture *f, gconstpointer user)
{
    KdTestClient third;

    (void)user;
    kd_fake_set_close_delay(f->stage.device, 300);
    open_as(f, &f->client, "fake:name=1");
    kd_test_client_vanish(&f->client);
    kd_stage_log_in(&f->stage, &f->other);
    kd_test_client_send_open(&f->other, "fake:name=1");
    kd_stage_log_in(&f->stage, &third);
    kd_test_client_send_open(&third, "fake:name=1");
    kd_close_free(kd_test_client_expect_close(&third, KD_CLOSE_BUSY));
    g_bytes_unref(kd_test_client_expect(&f->other, KD_FRAME_OPENED));
    kd_test_client_clear(&third);
}

static void
test_kept(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, &f->client, "fake:name=1,keep");
    leave(&f->client);
    kd_stage_await_ended(&f->stage);
    g_assert_cmpuint(kd_link_table_get_n_links(f->stage.scope.links), ==, 1);
    kd_fake_say(f->stage.device, "meanwhile", 9);
    kd_stage_settle();
    open_as(f, &f->client, "fake:name=1,keep");
    g_assert_cmpuint(stat->opens, ==, 1);
    kd_test_client_expect_bytes(&f->client, "meanwhile");
    kd_test_client_send_bytes(&f->client, "and back", 8);
    kd_stage_await_received(&f->stage, "and back");
}

static void
test_kept_descriptor(KdStageFixture *f, gconstpointer user)
{
    KdTestClient line;

    (void)user;
    open_as(f, &f->client, "pair:keep");
    kd_test_client_init_fd(&line, kd_stage_take_line());
    leave(&f->client);
    kd_test_client_say(&line, "meanwhile", 9);
    kd_stage_settle();
    open_as(f, &f->client, "pair:keep");
    g_assert_cmpint(kd_stage_take_line(), ==, -1);
    kd_test_client_expect_bytes(&f->client, "meanwhile");
    kd_test_client_clear(&line);
}

static void
test_kept_with_other_keys(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdOpened) opened = NULL;
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    kd_fake_set_close_delay(f->stage.device, 50);
    open_as(f, &f->client, "fake:name=1,keep");
    leave(&f->client);
    g_assert_cmpuint(stat->closes, ==, 0);
    opened = kd_stage_open(&f->stage, &f->client, "fake:name=1,keep,baud=9600");
    g_assert_cmpuint(opened->baud, ==, 9600);
    g_assert_cmpuint(stat->closes, ==, 1);
    g_assert_cmpuint(stat->opens, ==, 2);
    g_assert_cmpuint(kd_link_table_get_n_links(f->stage.scope.links), ==, 1);
}

static void
test_drained(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    open_as(f, &f->client, "fake:name=1,drain,size=4096");
    leave(&f->client);
    /* Far more than the link has room for: only a reader lets it all out. */
    kd_fake_flood(f->stage.device, 1000000);
    KD_AWAIT(stat->out == 1000000);
    kd_stage_settle();
    open_as(f, &f->client, "fake:name=1,drain,size=4096");
    g_assert_cmpuint(stat->opens, ==, 1);
    kd_fake_say(f->stage.device, "fresh", 5);
    kd_test_client_expect_bytes(&f->client, "fresh");
}

static void
test_drained_descriptor(KdStageFixture *f, gconstpointer user)
{
    g_autofree uint8_t *bytes = g_malloc0(3000000);
    KdTestClient line;

    (void)user;
    open_as(f, &f->client, "pair:drain");
    kd_test_client_init_fd(&line, kd_stage_take_line());
    leave(&f->client);
    kd_test_client_say(&line, bytes, 3000000);
    kd_stage_settle();
    open_as(f, &f->client, "pair:drain");
    kd_test_client_say(&line, "fresh", 5);
    kd_test_client_expect_bytes(&f->client, "fresh");
    leave(&f->client);
    /* A drained link that ends by itself is closed: the next session gets a new one. */
    kd_test_client_clear(&line);
    KD_AWAIT(kd_link_table_get_n_links(f->stage.scope.links) == 0);
    open_as(f, &f->client, "pair:drain");
    kd_test_client_init_fd(&line, kd_stage_take_line());
    kd_test_client_say(&line, "new", 3);
    kd_test_client_expect_bytes(&f->client, "new");
    kd_test_client_clear(&line);
}

static void
test_kept_and_lost(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1,keep");
    leave(&f->client);
    kd_fake_lose(f->stage.device);
    KD_AWAIT(kd_link_table_get_n_links(f->stage.scope.links) == 0);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->closes, ==, 1);
    kd_fake_back(f->stage.device);
    open_as(f, &f->client, "fake:name=1,keep");
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 2);
}

static void
test_ended_is_not_kept(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "plain:name=1,keep");
    kd_fake_end(f->stage.device);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_CLOSED));
    KD_AWAIT(kd_link_table_get_n_links(f->stage.scope.links) == 0);
    kd_test_client_clear(&f->client);
    open_as(f, &f->client, "plain:name=1,keep");
}

static void
test_kept_after_vanishing(KdStageFixture *f, gconstpointer user)
{
    g_autofree uint8_t *bytes = g_malloc0(KD_WINDOW_BYTES);

    (void)user;
    open_as(f, &f->client, "fake:name=1,keep,size=1000");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, bytes, KD_WINDOW_BYTES);
    KD_AWAIT(kd_fake_get_pending(f->stage.device) == 1000);
    kd_test_client_clear(&f->client);
    kd_stage_await_ended(&f->stage);
    g_assert_cmpuint(kd_link_table_get_n_links(f->stage.scope.links), ==, 1);
    kd_fake_go(f->stage.device);
    open_as(f, &f->client, "fake:name=1,keep,size=1000");
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 1);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->in == 1000);
    kd_test_client_send_bytes(&f->client, "x", 1);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->in == 1001);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/claim/of-a-held-link-names-holder-and-since", test_busy);
    kd_stage_add("/claim/of-a-link-that-is-opening-is-refused", test_busy_while_opening);
    kd_stage_add("/claim/waits-for-the-link-that-is-closing", test_again_while_closing);
    kd_stage_add("/claim/that-waits-is-given-up-with-its-client", test_vanish_behind_closing);
    kd_stage_add("/claim/that-waits-is-a-claim", test_third_behind_closing);
    kd_stage_add("/kept/holds-bytes-for-the-next-session", test_kept);
    kd_stage_add("/kept/descriptor-holds-bytes-for-the-next-session", test_kept_descriptor);
    kd_stage_add("/kept/is-closed-and-opened-for-other-keys", test_kept_with_other_keys);
    kd_stage_add("/kept/is-closed-when-lost", test_kept_and_lost);
    kd_stage_add("/kept/is-closed-when-ended", test_ended_is_not_kept);
    kd_stage_add("/kept/survives-a-client-that-vanishes-in-a-full-window",
                 test_kept_after_vanishing);
    kd_stage_add("/drained/never-blocks-its-writer", test_drained);
    kd_stage_add("/drained/descriptor-never-blocks-its-writer", test_drained_descriptor);
    return g_test_run();
}

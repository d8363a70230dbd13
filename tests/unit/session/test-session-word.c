/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client is told about an end, a holder or its own mistakes is what was the matter. */
#include "kd-test-stage.h"

#include <string.h>

static void
open_as(KdStageFixture *f, const char *trans)
{
    kd_opened_free(kd_stage_open(&f->stage, &f->client, trans));
}

/* ---- ends ---- */

static void
test_target_first(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "plain:name=1,half");
    kd_fake_end(f->stage.device);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_FIN));
    kd_test_client_send_fin(&f->client);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_CLOSED));
}

static void
test_failed_target(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "plain:name=1");
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_LOST));
    kd_fake_back(f->stage.device);
}

static void
test_failed_and_not_back(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    open_as(f, "refuse:name=1");
    kd_fake_lose(f->stage.device);
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_LOST);
    g_assert_nonnull(strstr(why->text, "it has left for good"));
    kd_fake_back(f->stage.device);
}

/* ---- openings that fail ---- */

typedef struct {
    GObject *link;
    KdEndpoint endpoint;
    gboolean is_done;
} Outsider;

static void
on_outsider_open(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Outsider *outsider = user_data;

    (void)source;
    outsider->link = kd_fake_target.open_finish(result, &outsider->endpoint, NULL);
    outsider->is_done = TRUE;
}

static void
on_outsider_closed(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Outsider *outsider = user_data;

    (void)source;
    kd_fake_target.close_finish(outsider->link, result);
    outsider->is_done = TRUE;
}

/* Another program has the device: no link of ours knows. */
static void
test_busy_elsewhere(KdStageFixture *f, gconstpointer user)
{
    static const KdSink sink = {.struct_size = sizeof sink};
    g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_new_parsed("{'name': <uint64 1>}"));
    Outsider outsider = {0};

    (void)user;
    kd_endpoint_init(&outsider.endpoint);
    kd_fake_target.open_async(f->stage.host, params, NULL, &sink, NULL, on_outsider_open,
                              &outsider);
    KD_AWAIT(outsider.is_done);
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send_open(&f->client, "fake:name=1");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_BUSY));
    outsider.is_done = FALSE;
    kd_fake_target.close_async(outsider.link, on_outsider_closed, &outsider);
    KD_AWAIT(outsider.is_done);
    kd_endpoint_clear(&outsider.endpoint);
    g_object_unref(outsider.link);
}

/* ---- mistakes ---- */

static void
test_control_elsewhere(KdStageFixture *f, gconstpointer user)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BREAK, .at = 4};

    (void)user;
    open_as(f, "fake:name=1");
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send(&f->client, KD_FRAME_CONTROL, kd_control_build(&control));
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
}

static void
test_one_too_many(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, "fake:name=1,size=16");
    kd_fake_stop(f->stage.device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_DRAIN, FALSE);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->controls == 1); /* is under way */
    for (uint32_t id = 2; id <= 16; id++) {
        kd_test_client_send_control(&f->client, id, KD_CONTROL_BREAK, FALSE);
    }
    kd_stage_settle();
    g_assert_nonnull(f->stage.session);
    kd_test_client_send_control(&f->client, 17, KD_CONTROL_BREAK, FALSE);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
}

/* ---- who has it ---- */

/* What a client calls itself stands before what is known of it, and must not look like that. */
static void
test_no_other_peer(KdStageFixture *f, gconstpointer user)
{
    KdOpen open = {.trans = (char *)"fake:name=1",
                   .identity = (char *)"root (10.0.0.9:1) since 2020 \xe2\x80\xae(\xe2\x80\xa9"};
    g_autoptr(KdClose) why = NULL;

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send(&f->client, KD_FRAME_OPEN, kd_open_build(&open));
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_OPENED));
    kd_stage_log_in(&f->stage, &f->other);
    kd_test_client_send_open(&f->other, "fake:name=1");
    why = kd_test_client_expect_close(&f->other, KD_CLOSE_BUSY);
    g_test_message("%s", why->text);
    g_assert_nonnull(strstr(why->text,
                            "in use by root ?10.0.0.9:1? since 2020 ??? (127.0.0.1:40312) "
                            "since "));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/word/target-that-ended-first-is-named", test_target_first);
    kd_stage_add("/word/target-that-failed-is-lost", test_failed_target);
    kd_stage_add("/word/target-that-failed-and-is-not-back-is-lost", test_failed_and_not_back);
    kd_stage_add("/word/device-of-another-program-is-busy", test_busy_elsewhere);
    kd_stage_add("/word/control-must-know-its-place", test_control_elsewhere);
    kd_stage_add("/word/control-under-way-counts-as-unanswered", test_one_too_many);
    kd_stage_add("/word/name-cannot-pass-for-an-address", test_no_other_peer);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer while nobody is attached, or nobody listens: the target runs on, until an
 * exception. */
#include "kd-layer-stage.h"
#include "kd-le.h"

#include <string.h>

enum {
    REQUEST = KD_PACKET_STATE_MANIPULATE,
    EVENT = KD_PACKET_STATE_CHANGE64,
    TEXT = KD_PACKET_DEBUG_IO,
    FILE_IO = KD_PACKET_FILE_IO,
};

static void
set_up(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up(stage, GPOINTER_TO_INT(dialect));
    kd_link_layer_set_target(stage->layer, TRUE, stage->now_us);
}

static void
set_up_running(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_running(stage, GPOINTER_TO_INT(dialect));
}

static void
set_up_halted(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_halted(stage, GPOINTER_TO_INT(dialect));
}

static void
tear_down(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_tear_down(stage);
}

/* What lets a target go on that has loaded symbols */
static const KdStagePayload *
build_continue(void)
{
    static KdStagePayload payload;

    payload.len_bytes = 56;
    kd_le_store32(payload.bytes, STAGE_CONTINUE);
    payload.bytes[4] = 6;
    payload.bytes[6] = 1;
    kd_le_store32(payload.bytes + 8, 0x00010002);
    kd_le_store32(payload.bytes + 16, 0x00010002);
    return &payload;
}

static void
test_symbols(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 5; i++) {
        uint32_t api = i % 2 == 0 ? STAGE_LOAD_SYMBOLS : STAGE_LOAD_SYMBOLS | 0x10000;

        kd_layer_stage_say(stage, EVENT, kd_stage_event(api, (uint8_t)i));
        kd_layer_stage_take(stage, REQUEST, build_continue());
        g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_RUNNING);
        kd_layer_stage_expect_target_silence(stage);
    }
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_endless(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    for (int i = 0; i < 100; i++) {
        kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, build_continue());
        kd_layer_stage_expect_target_silence(stage);
        kd_layer_stage_pass(stage, 3300 * MS);
    }
    kd_layer_stage_take(stage, REQUEST, build_continue());
    kd_layer_stage_pass(stage, 2000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_string(KdLayerStage *stage, gconstpointer dialect)
{
    KdStagePayload empty = {.len_bytes = 16};

    (void)dialect;
    kd_le_store32(empty.bytes, STAGE_GET_STRING);
    empty.bytes[4] = 6;
    kd_layer_stage_say(stage, TEXT, kd_stage_debug_io(STAGE_GET_STRING));
    kd_layer_stage_take(stage, TEXT, &empty);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_files(KdLayerStage *stage, gconstpointer dialect)
{
    KdStagePayload failure = {.len_bytes = 64};

    (void)dialect;
    kd_le_store32(failure.bytes, STAGE_CREATE_FILE);
    kd_le_store32(failure.bytes + 4, 0xC000000F);
    kd_layer_stage_say(stage, FILE_IO, kd_stage_file_io(STAGE_CREATE_FILE));
    kd_layer_stage_take(stage, FILE_IO, &failure);
    kd_le_store32(failure.bytes, STAGE_READ_FILE);
    kd_le_store32(failure.bytes + 4, 0xC0000008);
    kd_layer_stage_say(stage, FILE_IO, kd_stage_file_io(STAGE_READ_FILE));
    kd_layer_stage_take(stage, FILE_IO, &failure);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_exception(KdLayerStage *stage, gconstpointer dialect)
{
    static const uint32_t apis[] = {STAGE_EXCEPTION, STAGE_COMMAND_STRING};

    (void)dialect;
    for (guint i = 0; i < G_N_ELEMENTS(apis); i++) {
        kd_layer_stage_say(stage, EVENT, kd_stage_event(apis[i], (uint8_t)i));
        kd_layer_stage_pass(stage, 3600 * 1000 * MS);
        kd_layer_stage_expect_target_silence(stage);
        g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_HALTED);
        kd_layer_stage_attach(stage, TRUE);
        kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(apis[i], (uint8_t)i));
        kd_layer_stage_expect_client_silence(stage);
        kd_layer_stage_attach(stage, FALSE);
    }
}

static void
test_last_event(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 2000; i++)
        kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, (uint8_t)i));
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, (uint8_t)1999));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_texts(KdLayerStage *stage, gconstpointer dialect)
{
    guint n_seen = 0;

    (void)dialect;
    for (int i = 0; i < 10000; i++) {
        g_autofree char *text = g_strdup_printf("debug string number %5d of a target\n", i);

        kd_layer_stage_say(stage, TEXT, kd_stage_print(text));
    }
    guint64 n_dropped = kd_layer_stage_get_status(stage).n_unseen_prints;
    g_assert_cmpuint(n_dropped, >, 9000);
    kd_layer_stage_attach(stage, TRUE);
    g_assert_cmpuint(stage->notes->len, ==, 1);
    g_autofree char *note = g_strdup_printf(
        "%" G_GUINT64_FORMAT " debug strings were dropped while no debugger listened", n_dropped);
    g_assert_cmpstr(stage->notes->pdata[0], ==, note);
    for (guint64 i = n_dropped; i < 10000; i++) {
        g_autofree char *text = g_strdup_printf("debug string number %5u of a target\n", (guint)i);

        kd_layer_stage_see(stage, TEXT, n_seen == 0 ? SYNC_ID : CLIENT_ID ^ (n_seen & 1),
                           kd_stage_print(text));
        n_seen++;
    }
    kd_layer_stage_expect_client_silence(stage);
    g_assert_cmpuint(n_seen, >, 400);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_unseen_prints, ==, n_dropped);
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_attach(stage, TRUE);
    g_assert_cmpuint(stage->notes->len, ==, 1);
}

static void
test_text_then_event(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("why I die\n"));
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("why I die\n"));
    kd_layer_stage_see(stage, EVENT, CLIENT_ID ^ 1, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_unseen_text(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_attach(stage, FALSE); /* without an ACK: it may not have seen it */
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("x"));
}

static void
test_goes_unseen(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_expect_client_data(stage, EVENT, CLIENT_ID ^ 1,
                                      kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_take(stage, REQUEST, build_continue());
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_goes_seen(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_see(stage, EVENT, CLIENT_ID ^ 1, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage); /* somebody is looking into it */
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
}

static void
test_goes_asked(KdLayerStage *stage, gconstpointer dialect)
{
    KdStagePayload failure = {.len_bytes = 64};

    (void)dialect;
    kd_layer_stage_say(stage, FILE_IO, kd_stage_file_io(STAGE_CREATE_FILE));
    kd_layer_stage_see(stage, FILE_IO, CLIENT_ID ^ 1, kd_stage_file_io(STAGE_CREATE_FILE));
    kd_layer_stage_attach(stage, FALSE); /* and has not answered */
    kd_le_store32(failure.bytes, STAGE_CREATE_FILE);
    kd_le_store32(failure.bytes + 4, 0xC000000F);
    kd_layer_stage_take(stage, FILE_IO, &failure);
}

static void
test_goes_answered(KdLayerStage *stage, gconstpointer dialect)
{
    KdStagePayload answer = {.len_bytes = 64, .bytes = {0x30, 0x34, 0, 0, 0, 0, 0, 0, 1}};

    (void)dialect;
    kd_layer_stage_say(stage, FILE_IO, kd_stage_file_io(STAGE_CREATE_FILE));
    kd_layer_stage_see(stage, FILE_IO, CLIENT_ID ^ 1, kd_stage_file_io(STAGE_CREATE_FILE));
    kd_layer_stage_client_data(stage, FILE_IO, CLIENT_ID ^ 1, &answer);
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_take(stage, FILE_IO, &answer);
    kd_layer_stage_pass(stage, 2000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_behind_abandoned(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_CONTINUE, 0));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_CONTINUE, 0));
    kd_layer_stage_attach(stage, FALSE);
    /* its ACK got lost, and the target runs into the next event */
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, build_continue());
}

static void
test_comes_meanwhile(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, build_continue());
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_expect_client_silence(stage); /* it is about to run on */
    kd_layer_stage_pass(stage, 3800 * MS);
    g_queue_clear_full(&stage->to_target, (GDestroyNotify)g_bytes_unref);
    /* but it does not: now there is somebody to see it */
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_pass(stage, 3000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_deaf(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_LOAD_SYMBOLS, 1));
    kd_layer_stage_pass(stage, 19999 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_pass(stage, 1 * MS); /* no ACK for 20 s: a target would give up too */
    kd_layer_stage_take(stage, REQUEST, build_continue());
    kd_layer_stage_expect_target_silence(stage);
    for (int i = 0; i < 10000; i++)
        kd_layer_stage_say(stage, TEXT, kd_stage_print("nobody hears me"));
    g_byte_array_set_size(stage->to_client, 0);
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_pass(stage, 2000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_unseen_prints, >, 5000);
    /* A debugger wakes up. */
    g_byte_array_set_size(stage->to_client, 0);
    kd_layer_stage_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("nobody hears me"));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1,
                                      kd_stage_print("nobody hears me"));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_deaf_exception(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 2));
    for (int i = 0; i < 100; i++) {
        kd_layer_stage_expect_client_data(stage, EVENT, CLIENT_ID ^ 1,
                                          kd_stage_event(STAGE_EXCEPTION, 2));
        kd_layer_stage_pass(stage, 1000 * MS); /* who comes just has to listen */
    }
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_see(stage, EVENT, CLIENT_ID ^ 1, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_full_of_events(KdLayerStage *stage, gconstpointer dialect)
{
    /* What no client wants and no target waits for is acknowledged and forgotten. */
    (void)dialect;
    for (int i = 0; i < 5000; i++)
        kd_layer_stage_say(stage, i % 2 == 0 ? REQUEST : KD_PACKET_POLL_BREAK_IN,
                           kd_stage_request(STAGE_READ, (uint8_t)i));
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_expect_client_silence(stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, dialect, set_up_, fn)                                                           \
    g_test_add("/kd-layer/unattended/" name, KdLayerStage, GINT_TO_POINTER(KD_DIALECT_##dialect), \
               set_up_, fn, tear_down)
    ADD("loaded-symbols-are-answered-with-continue/net", NET, set_up, test_symbols);
    ADD("loaded-symbols-are-answered-with-continue/usb", USB, set_up, test_symbols);
    ADD("loaded-symbols-are-answered-with-continue/1394", 1394, set_up, test_symbols);
    ADD("answer-is-repeated-until-it-is-taken", NET, set_up, test_endless);
    ADD("question-gets-an-empty-line", NET, set_up, test_string);
    ADD("files-do-not-exist", NET, set_up, test_files);
    ADD("exception-is-held-for-the-next-client", NET, set_up, test_exception);
    ADD("only-the-last-event-is-held", NET, set_up, test_last_event);
    ADD("last-texts-are-kept-and-the-others-counted", NET, set_up, test_texts);
    ADD("texts-come-before-the-event-that-followed", NET, set_up, test_text_then_event);
    ADD("text-that-was-not-acknowledged-is-shown-to-the-next", NET, set_up_running,
        test_unseen_text);
    ADD("symbols-that-nobody-saw-are-answered-when-the-client-goes", NET, set_up_running,
        test_goes_unseen);
    ADD("symbols-that-somebody-saw-are-held-when-the-client-goes", NET, set_up_running,
        test_goes_seen);
    ADD("file-that-the-client-did-not-answer-for-does-not-exist", NET, set_up_running,
        test_goes_asked);
    ADD("answer-of-the-client-that-goes-is-the-answer", NET, set_up_running, test_goes_answered);
    ADD("answer-comes-after-a-request-whose-ack-was-lost", NET, set_up_halted,
        test_behind_abandoned);
    ADD("client-that-comes-is-shown-what-our-answer-did-not-mend", NET, set_up,
        test_comes_meanwhile);
    ADD("client-that-never-acknowledges-is-none", NET, set_up_running, test_deaf);
    ADD("exception-is-shown-for-ever", NET, set_up_running, test_deaf_exception);
    ADD("what-nobody-wants-is-forgotten", NET, set_up, test_full_of_events);
    return g_test_run();
}

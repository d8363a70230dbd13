/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* However and whenever a session ends, everything is released and the next one is served. */
#include "kd-test-stage.h"

#include <string.h>

#define N_CANCELS   61
#define N_GARBAGE   30
#define LINGER_US   (2 * G_USEC_PER_SEC)
#define DEADLINE_US (10 * G_USEC_PER_SEC)

static void
open_as(KdStageFixture *f, KdTestClient *client, const char *trans)
{
    kd_opened_free(kd_stage_open(&f->stage, client, trans));
}

static void
assert_free(KdStageFixture *f)
{
    kd_stage_await_ended(&f->stage);
    KD_AWAIT(kd_link_table_get_n_links(f->stage.scope.links) == 0);
    g_assert_false(kd_fake_is_open(f->stage.device));
}

static void
test_deaf_client(KdStageFixture *f, gconstpointer user)
{
    gint64 start_us;

    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_fake_flood(f->stage.device, 10000000);
    kd_stage_settle();
    start_us = g_get_monotonic_time();
    kd_session_close(f->stage.session, KD_CLOSE_GOING_AWAY, "the server is ending");
    /* The link is free at once, the client has its time to read. */
    KD_AWAIT(kd_link_table_get_n_links(f->stage.scope.links) == 0);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, LINGER_US);
    g_assert_cmpuint(f->stage.n_ended, ==, 0);
    kd_stage_await_ended(&f->stage);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, LINGER_US - G_USEC_PER_SEC / 10);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 5 * LINGER_US);
}

/* Hears CLOSE, but goes on talking and never hangs up. */
static void
test_talking_client(KdStageFixture *f, gconstpointer user)
{
    uint8_t bytes[1000] = {0};

    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_session_close(f->stage.session, KD_CLOSE_KICKED, "enough");
    while (f->stage.n_ended == 0) {
        kd_test_client_say(&f->client, bytes, sizeof bytes);
        g_main_context_iteration(NULL, FALSE);
    }
}

static void
test_first_reason(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_session_close(f->stage.session, KD_CLOSE_KICKED, "first");
    kd_session_close(f->stage.session, KD_CLOSE_GOING_AWAY, "second");
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_KICKED);
    g_assert_cmpstr(why->text, ==, "first");
}

static void
test_close_then_drop(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1");
    kd_session_close(f->stage.session, KD_CLOSE_KICKED, "first");
    kd_session_drop(f->stage.session, "and now");
    assert_free(f);
}

static void
test_close_behind_data(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    open_as(f, &f->client, "fake:name=1,size=1000000");
    kd_fake_flood(f->stage.device, 1000000);
    KD_AWAIT(kd_fake_get_stat(f->stage.device)->out == 1000000);
    kd_stage_settle();
    /* Whole frames of what was under way, then CLOSE, then nothing. */
    kd_session_close(f->stage.session, KD_CLOSE_KICKED, "enough");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_KICKED));
    g_assert_cmpuint(f->client.bytes->len, >, 0);
    g_assert_cmpuint(f->client.bytes->len, <=, KD_WINDOW_BYTES);
}

static void
test_no_authentication(KdStageFixture *f, gconstpointer user)
{
    gint64 start_us = g_get_monotonic_time();

    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_stage_log_in(&f->stage, &f->other);
    /* The same ten seconds for one who is not authenticated and one who asks for nothing. */
    KD_AWAIT(f->stage.n_ended >= 1);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <=, DEADLINE_US + 2 * G_USEC_PER_SEC);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, DEADLINE_US - 2 * G_USEC_PER_SEC);
    kd_close_free(kd_test_client_expect_close(&f->other, KD_CLOSE_TIMEOUT));
    /* A stranger gets no word. */
    kd_test_client_read(&f->client);
    g_assert_true(f->client.has_ended);
    g_assert_cmpuint(f->client.in->len, ==, KD_PREAMBLE_BYTES);
}

/* ---- garbage ---- */

typedef enum {
    AT_START,
    AFTER_PREAMBLE,
    AFTER_HELLO,
    AFTER_AUTH,
    WHILE_OPENING,
    WHILE_STREAMING,
    N_PLACES,
} Place;

static void
go_to(KdStageFixture *f, Place place)
{
    if (place == WHILE_STREAMING) {
        open_as(f, &f->client, "fake:name=1,echo");
        return;
    }
    kd_stage_connect(&f->stage, &f->client);
    if (place >= AFTER_PREAMBLE) {
        kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    }
    if (place >= AFTER_HELLO) {
        kd_test_client_send_hello(&f->client);
    }
    if (place >= AFTER_AUTH) {
        kd_test_client_send_auth(&f->client, "none");
    }
    if (place >= WHILE_OPENING) {
        kd_test_client_send_open(&f->client, "fake:name=1,delay=60000");
    }
    kd_stage_settle();
}

/* A header that is often allowed, with a payload that seldom makes sense. */
static void
say_likely_frame(KdTestClient *client)
{
    static const uint8_t types[] = {KD_FRAME_HELLO, KD_FRAME_AUTH, KD_FRAME_OPEN,    KD_FRAME_LIST,
                                    KD_FRAME_DATA,  KD_FRAME_FIN,  KD_FRAME_CONTROL, KD_FRAME_EVENT,
                                    KD_FRAME_PING,  KD_FRAME_ACK,  KD_FRAME_CLOSE,   99};
    KdFrameHeader header = {
        .type = types[g_test_rand_int_range(0, G_N_ELEMENTS(types))],
        .flags = (uint8_t)(g_test_rand_int_range(0, 6) == 0 ? KD_FRAME_OPTIONAL : 0),
        .length = (uint32_t)g_test_rand_int_range(0, 3) * 8u,
        .ack = g_test_rand_int_range(0, 8) == 0 ? 1u : 0u,
    };
    uint8_t frame[KD_HEADER_BYTES + 24] = {0};

    kd_frame_header_store(frame, &header);
    for (size_t i = KD_HEADER_BYTES; i < KD_HEADER_BYTES + header.length; i++) {
        frame[i] = (uint8_t)g_test_rand_int_range(0, g_test_rand_int_range(0, 2) == 0 ? 256 : 6);
    }
    kd_test_client_say(client, frame, KD_HEADER_BYTES + header.length);
}

static void
say_noise(KdTestClient *client)
{
    uint8_t noise[200];

    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)g_test_rand_int_range(0, 256);
    }
    kd_test_client_say(client, noise, (size_t)g_test_rand_int_range(1, sizeof noise));
}

static void
test_garbage(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    for (int place = 0; place < N_PLACES; place++) {
        for (int n = 0; n < N_GARBAGE; n++) {
            go_to(f, (Place)place);
            for (int i = 0; i < 6; i++) {
                if (n % 2 == 0) {
                    say_noise(&f->client);
                } else {
                    say_likely_frame(&f->client);
                }
                kd_stage_settle();
                kd_test_client_read(&f->client);
            }
            kd_test_client_clear(&f->client);
            assert_free(f);
        }
    }
    open_as(f, &f->client, "fake:name=1,echo");
    kd_test_client_send_bytes(&f->client, "fine", 4);
    kd_test_client_expect_bytes(&f->client, "fine");
}

/* Pure noise is answered by CLOSE, not by silence. */
static void
test_noise_is_answered(KdStageFixture *f, gconstpointer user)
{
    static const uint8_t zeros[64] = {0};

    (void)user;
    for (int place = 0; place < N_PLACES; place++) {
        g_autoptr(GBytes) payload = NULL;
        KdFrameHeader header;

        go_to(f, (Place)place);
        kd_test_client_say(&f->client, zeros, sizeof zeros);
        do {
            g_clear_pointer(&payload, g_bytes_unref);
            KD_AWAIT(kd_test_client_take(&f->client, &header, &payload));
        } while (header.type != KD_FRAME_CLOSE);
        KD_AWAIT((kd_test_client_read(&f->client), f->client.has_ended));
        g_assert_cmpuint(f->client.in->len, ==, 0);
        kd_test_client_clear(&f->client);
        assert_free(f);
    }
}

/* ---- the nth turn ---- */

typedef enum { BY_CLOSE, BY_DROP, BY_VANISHING, N_WAYS } Way;

/* A whole life that never waits for an answer. */
static void
live(KdStageFixture *f, int turn)
{
    switch (turn) {
    case 0:
        kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
        kd_test_client_send_hello(&f->client);
        break;
    case 4:
        kd_test_client_send_auth(&f->client, "none");
        break;
    case 8:
        kd_test_client_send_open(&f->client, "fake:name=1,delay=1");
        break;
    case 10:
        g_usleep(2000);
        break;
    case 20:
        if (f->client.n_frames < 3) {
            break;
        }
        kd_fake_stop(f->stage.device);
        kd_test_client_send_bytes(&f->client, "bytes", 5);
        kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
        kd_fake_say(f->stage.device, "said", 4);
        break;
    case 26:
        kd_fake_go(f->stage.device);
        break;
    case 32:
        kd_fake_lose(f->stage.device);
        break;
    case 40:
        kd_fake_back(f->stage.device);
        break;
    case 46:
        kd_fake_end(f->stage.device);
        break;
    case 50:
        kd_test_client_send_close(&f->client);
        break;
    default:
        break;
    }
}

static void
end_in(KdStageFixture *f, Way way)
{
    if (way == BY_VANISHING) {
        kd_test_client_vanish(&f->client);
    } else if (f->stage.session == NULL) {
        return;
    } else if (way == BY_CLOSE) {
        kd_session_close(f->stage.session, KD_CLOSE_GOING_AWAY, "the server is ending");
    } else {
        kd_session_drop(f->stage.session, "of no use");
    }
}

static void
test_any_turn(KdStageFixture *f, gconstpointer user)
{
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    for (int way = 0; way < N_WAYS; way++) {
        for (int n = 0; n < N_CANCELS; n++) {
            kd_stage_connect(&f->stage, &f->client);
            for (int turn = 0; turn < n; turn++) {
                g_autoptr(GBytes) payload = NULL;
                KdFrameHeader header;

                live(f, turn);
                g_main_context_iteration(NULL, FALSE);
                (void)kd_test_client_take(&f->client, &header, &payload);
            }
            end_in(f, (Way)way);
            g_main_context_iteration(NULL, FALSE);
            kd_test_client_clear(&f->client);
            assert_free(f);
            kd_fake_go(f->stage.device);
            kd_fake_back(f->stage.device);
        }
    }
    /* The lives that got so far before they ended */
    g_assert_cmpuint(stat->opens, >, 10);
    g_assert_cmpuint(stat->breaks, >, 10);
    g_assert_cmpuint(stat->reopens, >, 10);
    open_as(f, &f->client, "fake:name=1,echo");
    kd_test_client_send_bytes(&f->client, "fine", 4);
    kd_test_client_expect_bytes(&f->client, "fine");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/end/waits-two-seconds-for-a-deaf-client", test_deaf_client);
    kd_stage_add("/end/does-not-wait-for-a-client-that-talks-on", test_talking_client);
    kd_stage_add("/end/tells-the-first-reason", test_first_reason);
    kd_stage_add("/end/may-be-hurried", test_close_then_drop);
    kd_stage_add("/end/says-close-behind-whole-frames-and-nothing-after", test_close_behind_data);
    kd_stage_add_once("/deadline/ten-seconds-to-authenticate-and-to-ask", test_no_authentication);
    kd_stage_add("/garbage/in-any-state-leaves-nothing", test_garbage);
    kd_stage_add("/garbage/in-any-state-is-answered-by-close", test_noise_is_answered);
    kd_stage_add("/cancel/at-any-turn-leaves-nothing", test_any_turn);
    return g_test_run();
}

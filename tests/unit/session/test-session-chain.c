/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a client that behaves, and of one that asks for what there is not. */
#include "kd-test-stage.h"

#include <string.h>

#define FLOOD_BYTES 1500000u

static void
test_whole_chain(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdOpened) opened = kd_stage_open(&f->stage, &f->client, "fake:name=1,baud=57600");
    g_autoptr(KdClose) why = NULL;

    (void)user;
    g_assert_cmpuint(f->stage.n_authenticated, ==, 1);
    g_assert_cmpuint(opened->session, ==, 1);
    g_assert_cmpstr(opened->scheme, ==, "fake");
    g_assert_cmpstr(opened->dialect, ==, "bytes");
    g_assert_cmpuint(opened->baud, ==, 57600);
    g_assert_cmphex(opened->controls, ==, kd_fake_target.caps & 0xffffu);
    g_assert_false(opened->has_half_close);
    g_assert_true(g_str_has_prefix(opened->name, "fake:Name=1"));
    kd_test_client_send_bytes(&f->client, "hello", 5);
    kd_stage_await_received(&f->stage, "hello");
    kd_fake_say(f->stage.device, "there", 5);
    kd_test_client_expect_bytes(&f->client, "there");
    kd_test_client_send_close(&f->client);
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_NORMAL);
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->closes, ==, 1);
    g_assert_cmpuint(f->stage.n_ended, ==, 0);
    kd_test_client_vanish(&f->client);
    kd_stage_await_ended(&f->stage);
}

/* For the debugger; 1.0 does not say it. */
static void
test_resets(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdOpened) with = kd_stage_open(&f->stage, &f->client, "fake:name=1,resets=3");
    g_autoptr(KdOpened) without = NULL;

    (void)user;
    g_assert_true(with->has_resets);
    g_assert_cmpuint(with->resets, ==, 3);
    without = kd_stage_open(&f->stage, &f->other, "fake:name=2");
    g_assert_false(without->has_resets);
}

static void
test_target_knows_who(KdStageFixture *f, gconstpointer user)
{
    GVariant *session;
    const char *identity = NULL;
    const char *peer = NULL;
    guint64 id = 0;

    (void)user;
    kd_opened_free(kd_stage_open(&f->stage, &f->client, "fake:name=1"));
    session = kd_fake_get_session(f->stage.device);
    g_assert_true(g_variant_lookup(session, "id", "t", &id));
    g_assert_true(g_variant_lookup(session, "identity", "&s", &identity));
    g_assert_true(g_variant_lookup(session, "peer", "&s", &peer));
    g_assert_cmpuint(id, ==, 1);
    g_assert_cmpstr(identity, ==, "LAB\\ann (127.0.0.1:40312)");
    g_assert_cmpstr(peer, ==, "127.0.0.1:40312");
}

static void
test_descriptor_line(KdStageFixture *f, gconstpointer user)
{
    KdTestClient line;

    (void)user;
    kd_opened_free(kd_stage_open(&f->stage, &f->client, "pair:"));
    kd_test_client_init_fd(&line, kd_stage_take_line());
    kd_test_client_send_bytes(&f->client, "hello", 5);
    KD_AWAIT((kd_test_client_read(&line), line.in->len == 5));
    kd_test_client_say(&line, "there", 5);
    kd_test_client_expect_bytes(&f->client, "there");
    kd_test_client_clear(&line);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_TARGET_CLOSED));
}

static void
test_one_write(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_cork(&f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    kd_test_client_send_auth(&f->client, "none");
    kd_test_client_send_open(&f->client, "fake:name=1");
    kd_test_client_uncork(&f->client);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_HELLO));
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_AUTH));
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_OPENED));
}

static void
test_single_bytes(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(GByteArray) all = NULL;

    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_cork(&f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    kd_test_client_send_auth(&f->client, "none");
    kd_test_client_send_open(&f->client, "fake:name=1,echo");
    all = g_steal_pointer(&f->client.cork);
    for (guint i = 0; i < all->len; i++) {
        kd_test_client_say(&f->client, all->data + i, 1);
        g_main_context_iteration(NULL, FALSE);
        g_main_context_iteration(NULL, FALSE);
    }
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_HELLO));
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_AUTH));
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_OPENED));
    kd_test_client_send_bytes(&f->client, "x", 1);
    kd_test_client_expect_bytes(&f->client, "x");
}

static void
test_flood(KdStageFixture *f, gconstpointer user)
{
    g_autofree uint8_t *bytes = g_malloc(FLOOD_BYTES);
    const KdFakeStat *stat = kd_fake_get_stat(f->stage.device);

    (void)user;
    kd_opened_free(kd_stage_open(&f->stage, &f->client, "fake:name=1,size=4096"));
    for (guint i = 0; i < FLOOD_BYTES; i++) {
        bytes[i] = kd_fake_get_pattern(i);
    }
    kd_fake_flood(f->stage.device, FLOOD_BYTES);
    for (guint at = 0; at < FLOOD_BYTES; at += 50000) {
        kd_test_client_send_bytes(&f->client, bytes + at, 50000);
        kd_test_client_await_data(&f->client, MIN(at, FLOOD_BYTES));
        KD_AWAIT(stat->in + KD_WINDOW_BYTES / 2 >= at);
    }
    kd_test_client_await_data(&f->client, FLOOD_BYTES);
    g_assert_cmpmem(f->client.bytes->data, f->client.bytes->len, bytes, FLOOD_BYTES);
    KD_AWAIT(stat->in == FLOOD_BYTES);
    g_assert_cmpuint(stat->in_matching, ==, FLOOD_BYTES);
}

static void
test_other_major(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, 9);
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_VERSION);
    /* FEATURES F37 */
    g_assert_cmpstr(why->text, ==,
                    "The client is not using same version of remoting protocol as the server "
                    "(client 9.7, server 1.2)");
}

static void
test_other_mechanism(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_HELLO));
    kd_test_client_send_auth(&f->client, "password");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_AUTH_FAILED));
    g_assert_cmpuint(f->stage.n_authenticated, ==, 0);
}

static void
test_no_mechanism(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    kd_test_client_send(&f->client, KD_FRAME_AUTH, NULL);
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_HELLO));
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_AUTH_FAILED));
    g_assert_cmpuint(f->stage.n_authenticated, ==, 0);
}

static void
test_open_before_auth(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    kd_test_client_send_open(&f->client, "fake:name=1");
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_HELLO));
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 0);
}

static void
test_end_server(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send(&f->client, KD_FRAME_END_SERVER, NULL);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NOT_SUPPORTED));
}

static KdClose *
ask(KdStageFixture *f, const char *trans, KdCloseCode code)
{
    KdClose *why;

    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send_open(&f->client, trans);
    why = kd_test_client_expect_close(&f->client, code);
    g_assert_cmpuint(kd_link_table_get_n_links(f->stage.scope.links), ==, 0);
    return why;
}

static void
test_bad_key(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = ask(f, "fake:name=1,colour=blue", KD_CLOSE_BAD_REQUEST);

    (void)user;
    g_assert_nonnull(strstr(why->text, "colour"));
}

static void
test_bad_value(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = ask(f, "fake:name=1,size=lots", KD_CLOSE_BAD_REQUEST);

    (void)user;
    g_assert_nonnull(strstr(why->text, "size"));
}

static void
test_unknown_scheme(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = ask(f, "1394:channel=3", KD_CLOSE_BAD_REQUEST);

    (void)user;
    g_assert_nonnull(strstr(why->text, "1394"));
}

static void
test_open_of_nothing(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send(&f->client, KD_FRAME_OPEN, g_bytes_new_static("\0\0\0\0\0\0", 6));
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_BAD_REQUEST));
}

static void
test_environment(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdOpened) opened = NULL;

    (void)user;
    f->stage.variable = "1";
    opened = kd_stage_open(&f->stage, &f->client, "needy:");
    g_assert_cmpstr(opened->name, ==, "needy:Name=1");
    g_assert_true(kd_fake_is_open(f->stage.device));
}

static void
test_nothing_in_environment(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = ask(f, "needy:", KD_CLOSE_BAD_REQUEST);

    (void)user;
    g_assert_nonnull(strstr(why->text, "name"));
    g_assert_nonnull(strstr(why->text, KD_STAGE_VARIABLE));
    g_assert_nonnull(strstr(why->text, "testhost"));
}

static void
test_denied(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = ask(f, "denied:", KD_CLOSE_DENIED);

    (void)user;
    g_assert_cmpstr(why->text, ==, "/dev/mem: not in an allowed folder");
}

static void
test_failed_open(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdClose) why = NULL;

    (void)user;
    kd_fake_fail_open(f->stage.device, "no such luck");
    why = ask(f, "fake:name=1", KD_CLOSE_OPEN_FAILED);
    g_assert_cmpstr(why->text, ==, "fake:name=1: no such luck");
    kd_opened_free(kd_stage_open(&f->stage, &f->other, "fake:name=1"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/chain/passes-bytes-both-ways-until-close", test_whole_chain);
    kd_stage_add("/chain/tells-the-resets-of-the-string", test_resets);
    kd_stage_add("/chain/tells-the-target-who-asks", test_target_knows_who);
    kd_stage_add("/chain/serves-a-link-with-a-descriptor", test_descriptor_line);
    kd_stage_add("/chain/takes-all-steps-in-one-write", test_one_write);
    kd_stage_add("/chain/takes-all-steps-byte-by-byte", test_single_bytes);
    kd_stage_add("/chain/loses-nothing-of-a-flood-both-ways", test_flood);
    kd_stage_add("/preamble/of-another-major-gets-the-version-text", test_other_major);
    kd_stage_add("/auth/by-an-unknown-mechanism-fails", test_other_mechanism);
    kd_stage_add("/auth/without-a-mechanism-fails", test_no_mechanism);
    kd_stage_add("/auth/comes-before-open", test_open_before_auth);
    kd_stage_add("/request/end-server-is-not-supported", test_end_server);
    kd_stage_add("/open/names-the-unknown-key", test_bad_key);
    kd_stage_add("/open/names-the-key-of-a-bad-value", test_bad_value);
    kd_stage_add("/open/names-the-unknown-scheme", test_unknown_scheme);
    kd_stage_add("/open/without-a-string-is-a-bad-request", test_open_of_nothing);
    kd_stage_add("/open/takes-what-is-missing-from-the-environment", test_environment);
    kd_stage_add("/open/names-variable-and-machine-of-what-is-missing",
                 test_nothing_in_environment);
    kd_stage_add("/open/of-what-the-server-forbids-is-denied", test_denied);
    kd_stage_add("/open/says-why-a-link-failed-and-frees-it", test_failed_open);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LIST: what the server could open, who has it, and that nothing of it can hurt a session. */
#include "kd-test-stage.h"

#include <string.h>

#define MS G_TIME_SPAN_MILLISECOND

static void
send_list(KdTestClient *client, const char *scheme)
{
    KdList list = {.scheme = (char *)scheme};

    kd_test_client_send(client, KD_FRAME_LIST, kd_list_build(&list));
}

static KdListed *
ask(KdTestClient *client)
{
    send_list(client, NULL);
    return kd_test_client_expect_listed(client);
}

static const KdListedLink *
get_link(const KdListed *listed, guint at)
{
    g_assert_cmpuint(listed->links->len, >, at);
    return g_ptr_array_index(listed->links, at);
}

static void
assert_link(const KdListed *listed, guint at, const char *trans, KdLinkUse use, const char *holder)
{
    const KdListedLink *link = get_link(listed, at);

    g_assert_cmpstr(link->trans, ==, trans);
    g_assert_cmpint(link->use, ==, use);
    g_assert_cmpstr(link->holder, ==, holder);
}

/* Only what the target `pair` finds: nothing else could be asked. */
static void
assert_pair_only(const KdListed *listed)
{
    g_assert_true(listed->has_more);
    g_assert_cmpuint(listed->links->len, ==, 1);
    assert_link(listed, 0, "pair:", KD_LINK_USE_UNKNOWN, NULL);
}

static void
expect_told(const char *pattern)
{
    g_test_expect_message("kdsrv-loader", G_LOG_LEVEL_MESSAGE, pattern);
}

/* ---- what is listed ---- */

static void
test_all(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    listed = ask(&f->client);
    g_assert_false(listed->has_more);
    g_assert_cmpuint(listed->links->len, ==, 2);
    assert_link(listed, 0, "fake:name=1", KD_LINK_USE_FREE, NULL);
    assert_link(listed, 1, "pair:", KD_LINK_USE_UNKNOWN, NULL);
    g_assert_cmpstr(get_link(listed, 1)->name, ==, "a socket");
}

static void
test_one_kind(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) pairs = NULL;
    g_autoptr(KdListed) none = NULL;

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    send_list(&f->client, "PAIR");
    pairs = kd_test_client_expect_listed(&f->client);
    g_assert_cmpuint(pairs->links->len, ==, 1);
    assert_link(pairs, 0, "pair:", KD_LINK_USE_UNKNOWN, NULL);
    send_list(&f->client, "1394");
    none = kd_test_client_expect_listed(&f->client);
    g_assert_cmpuint(none->links->len, ==, 0);
    g_assert_false(none->has_more);
}

static void
test_then_open(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_listed_free(ask(&f->client));
    kd_listed_free(ask(&f->client));
    kd_test_client_send_open(&f->client, "fake:name=1,echo");
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_OPENED));
    kd_test_client_send_bytes(&f->client, "x", 1);
    kd_test_client_expect_bytes(&f->client, "x");
}

/* By the device, not by the string: the session's has more keys. */
static void
test_busy(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) busy = NULL;
    g_autoptr(KdListed) released = NULL;

    (void)user;
    kd_opened_free(kd_stage_open(&f->stage, &f->other, "fake:name=1,baud=57600"));
    kd_stage_log_in(&f->stage, &f->client);
    busy = ask(&f->client);
    assert_link(busy, 0, "fake:name=1", KD_LINK_USE_BUSY, "LAB\\ann (127.0.0.1:40312)");
    assert_link(busy, 1, "pair:", KD_LINK_USE_UNKNOWN, NULL);
    kd_test_client_send_close(&f->other);
    kd_close_free(kd_test_client_expect_close(&f->other, KD_CLOSE_NORMAL));
    released = ask(&f->client);
    assert_link(released, 0, "fake:name=1", KD_LINK_USE_FREE, NULL);
}

/* The device is open, as the plugin sees and says, but for whoever asks next. */
static void
test_kept(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    kd_opened_free(kd_stage_open(&f->stage, &f->other, "fake:name=1,keep"));
    kd_test_client_send_close(&f->other);
    kd_close_free(kd_test_client_expect_close(&f->other, KD_CLOSE_NORMAL));
    g_assert_true(kd_fake_is_open(f->stage.device));
    kd_stage_log_in(&f->stage, &f->client);
    listed = ask(&f->client);
    assert_link(listed, 0, "fake:name=1", KD_LINK_USE_FREE, NULL);
}

static void
test_held_by_others(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    kd_fake_set_listing("[{'trans': <'fake:name=7'>, 'busy': <true>, 'holder': <'screen (812)'>}]");
    kd_stage_log_in(&f->stage, &f->client);
    listed = ask(&f->client);
    assert_link(listed, 0, "fake:name=7", KD_LINK_USE_BUSY, "screen (812)");
}

/* ---- what plugins do wrong ---- */

static void
test_hostile(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    kd_fake_set_listing(
        "[{'name': <'of nothing'>}, {'trans': <'fake:\\u001b[2J'>}, {'trans': <5>}, "
        "{'trans': <'fake:name=1'>, 'name': <'\\u001b[2J\\nowned'>, 'busy': "
        "<'maybe'>, 'device': <'/dev/\\n'>}, {'trans': <'no such thing'>}]");
    for (int i = 0; i < 3; i++) {
        g_test_expect_message("kdsrv-wire", G_LOG_LEVEL_MESSAGE, "fake: a link is not listed: *");
    }
    kd_stage_log_in(&f->stage, &f->client);
    listed = ask(&f->client);
    g_test_assert_expected_messages();
    g_assert_cmpuint(listed->links->len, ==, 3);
    assert_link(listed, 0, "fake:name=1", KD_LINK_USE_UNKNOWN, NULL);
    g_assert_cmpstr(get_link(listed, 0)->name, ==, "?[2J?owned");
    g_assert_null(get_link(listed, 0)->device);
    assert_link(listed, 1, "no such thing", KD_LINK_USE_UNKNOWN, NULL);
    g_assert_false(listed->has_more);
}

static void
test_failures(KdStageFixture *f, gconstpointer user)
{
    static const struct {
        const char *how;
        const char *told;
    } failures[] = {
        {"fail no such luck", "fake: its links are not listed: no such luck"},
        {"null", "fake: its links are not listed: the plugin gives no reason"},
        {"[1, 2]", "fake: its links are not listed: the plugin has answered with `ai`"},
        {"'x'", "fake: its links are not listed: the plugin has answered with `s`"},
    };

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    for (guint i = 0; i < G_N_ELEMENTS(failures); i++) {
        g_autoptr(KdListed) listed = NULL;

        kd_fake_set_listing(failures[i].how);
        expect_told(failures[i].told);
        listed = ask(&f->client);
        g_test_assert_expected_messages();
        assert_pair_only(listed);
    }
}

static void
test_too_much(KdStageFixture *f, gconstpointer user)
{
    g_autofree char *name = g_strnfill(1000, 'n');
    g_autoptr(GString) found = g_string_new("[");
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    for (guint i = 0; i < 200; i++) {
        g_string_append_printf(found, "%s{'trans': <'fake:name=%u'>, 'name': <'%s'>}",
                               i > 0 ? ", " : "", i, name);
    }
    g_string_append_c(found, ']');
    kd_fake_set_listing(found->str);
    kd_stage_log_in(&f->stage, &f->client);
    listed = ask(&f->client);
    g_assert_true(listed->has_more);
    g_assert_cmpuint(listed->links->len, >, 60);
    g_assert_cmpuint(listed->links->len, <, 66);
    g_assert_cmpstr(get_link(listed, 59)->trans, ==, "fake:name=59");
}

/* Takes 5 s. Others are served meanwhile. */
static void
test_hangs(KdStageFixture *f, gconstpointer user)
{
    gint64 start_us;
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    kd_opened_free(kd_stage_open(&f->stage, &f->other, "fake:name=1,echo"));
    kd_stage_log_in(&f->stage, &f->client);
    kd_fake_set_listing("hang");
    expect_told("fake: its links are not listed: it has not answered within 5 s");
    start_us = g_get_monotonic_time();
    send_list(&f->client, NULL);
    kd_test_client_send_bytes(&f->other, "x", 1);
    kd_test_client_expect_bytes(&f->other, "x");
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 4000 * MS);
    listed = kd_test_client_expect_listed(&f->client);
    g_test_assert_expected_messages();
    assert_pair_only(listed);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >, 4000 * MS);
}

/* Takes 5 s. A call that does not even come back when it is cancelled is not repeated. */
static void
test_deaf(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) first = NULL;
    g_autoptr(KdListed) second = NULL;
    gint64 start_us;

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_fake_set_listing("deaf");
    expect_told("*has not answered within 5 s");
    first = ask(&f->client);
    g_test_assert_expected_messages();
    assert_pair_only(first);
    start_us = g_get_monotonic_time();
    expect_told("*still busy with the call before");
    second = ask(&f->client);
    g_test_assert_expected_messages();
    assert_pair_only(second);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 3000 * MS);
}

/* ---- what clients do wrong, and how sessions end ---- */

/* A client of 1.0, or one that has no use for it. */
static void
test_without_feature(KdStageFixture *f, gconstpointer user)
{
    KdHello hello = {.window = KD_WINDOW_BYTES, .max_data_bytes = KD_MAX_DATA_BYTES};

    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send(&f->client, KD_FRAME_HELLO, kd_hello_build(&hello));
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_HELLO));
    kd_test_client_send_auth(&f->client, "none");
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_AUTH));
    kd_test_client_send(&f->client, KD_FRAME_LIST, g_bytes_new_static("\1\0\3", 3));
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NOT_SUPPORTED));
}

static void
test_feature_is_offered(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(GBytes) payload = NULL;
    g_autoptr(KdHello) hello = NULL;

    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    payload = kd_test_client_expect(&f->client, KD_FRAME_HELLO);
    hello = kd_hello_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), NULL);
    g_assert_cmpuint(g_strv_length(hello->features), ==, 1);
    g_assert_cmpstr(hello->features[0], ==, "list");
}

static void
test_broken(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_send(&f->client, KD_FRAME_LIST, g_bytes_new_static("\1\0\3", 3));
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_BAD_REQUEST));
}

static void
test_twice(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_cork(&f->client);
    send_list(&f->client, NULL);
    send_list(&f->client, NULL);
    kd_test_client_uncork(&f->client);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
}

static void
test_open_too_soon(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_test_client_cork(&f->client);
    send_list(&f->client, NULL);
    kd_test_client_send_open(&f->client, "fake:name=1");
    kd_test_client_uncork(&f->client);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
    g_assert_cmpuint(kd_fake_get_stat(f->stage.device)->opens, ==, 0);
}

static void
test_client_goes(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_set_listing("hang");
    kd_stage_log_in(&f->stage, &f->client);
    send_list(&f->client, NULL);
    KD_AWAIT(kd_fake_get_n_listings() == 1);
    kd_test_client_vanish(&f->client);
    kd_stage_await_ended(&f->stage);
}

static void
test_client_closes(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_set_listing("deaf");
    kd_stage_log_in(&f->stage, &f->client);
    send_list(&f->client, NULL);
    KD_AWAIT(kd_fake_get_n_listings() == 1);
    kd_test_client_send_close(&f->client);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_NORMAL));
}

/* The answer that one does not wait for any more is the other's all the same. */
static void
test_one_of_two_goes(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(KdListed) listed = NULL;

    (void)user;
    kd_stage_log_in(&f->stage, &f->other);
    kd_stage_log_in(&f->stage, &f->client);
    send_list(&f->other, NULL);
    send_list(&f->client, NULL);
    kd_test_client_vanish(&f->other);
    listed = kd_test_client_expect_listed(&f->client);
    g_assert_cmpuint(listed->links->len, ==, 2);
}

static void
test_server_ends(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_set_listing("hang");
    kd_stage_log_in(&f->stage, &f->client);
    send_list(&f->client, NULL);
    KD_AWAIT(kd_fake_get_n_listings() == 1);
    kd_session_close(f->stage.session, KD_CLOSE_GOING_AWAY, "the server is ending");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_GOING_AWAY));
}

/* ---- how often ---- */

static void
test_pace(KdStageFixture *f, gconstpointer user)
{
    gint64 start_us = g_get_monotonic_time();

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    for (int i = 0; i < 5; i++) {
        kd_listed_free(ask(&f->client));
    }
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 4 * KD_INVENTORY_LEAST_MS * MS - 5 * MS);
}

static gboolean
on_turn(gpointer user_data)
{
    (*(guint *)user_data)++;
    return G_SOURCE_CONTINUE;
}

typedef struct {
    const guint *n_turns;
    guint told_at;
} Waiting;

static void
on_told(GVariant *found, void *user)
{
    Waiting *waiting = user;

    (void)found;
    waiting->told_at = *waiting->n_turns;
}

/* An answer takes milliseconds where there are many ports: hundreds at once would stop all bytes.
 */
static void
test_one_a_turn(KdStageFixture *f, gconstpointer user)
{
    guint n_turns = 1;
    guint turn_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, &n_turns, NULL);
    Waiting waiting[3];

    (void)user;
    for (guint i = 0; i < G_N_ELEMENTS(waiting); i++) {
        waiting[i] = (Waiting){.n_turns = &n_turns};
        (void)kd_inventory_ask(f->stage.scope.inventory, on_told, &waiting[i]);
    }
    KD_AWAIT(waiting[0].told_at > 0 && waiting[1].told_at > 0 && waiting[2].told_at > 0);
    g_source_remove(turn_id);
    g_assert_cmpuint(waiting[1].told_at, >, waiting[0].told_at);
    g_assert_cmpuint(waiting[2].told_at, >, waiting[1].told_at);
}

/* Takes 10 s: longer than a client may be READY without asking for anything. */
static void
test_deadline_stands_still(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_fake_set_listing("hang");
    kd_listed_free(ask(&f->client));
    kd_listed_free(ask(&f->client));
    kd_test_client_send_open(&f->client, "fake:name=1,echo");
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_OPENED));
}

/* Takes 15 s. */
static void
test_deadline_runs_anew(KdStageFixture *f, gconstpointer user)
{
    gint64 listed_us;

    (void)user;
    kd_stage_log_in(&f->stage, &f->client);
    kd_fake_set_listing("hang");
    kd_listed_free(ask(&f->client));
    listed_us = g_get_monotonic_time();
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_TIMEOUT));
    g_assert_cmpint(g_get_monotonic_time() - listed_us, >, 8500 * MS);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/list/names-what-each-kind-finds-in-order", test_all);
    kd_stage_add("/list/names-one-kind-where-asked", test_one_kind);
    kd_stage_add("/list/may-be-repeated-and-then-open", test_then_open);
    kd_stage_add("/list/tells-which-session-has-a-link", test_busy);
    kd_stage_add("/list/a-link-that-was-kept-is-free", test_kept);
    kd_stage_add("/list/tells-which-program-has-a-link", test_held_by_others);
    kd_stage_add("/list/is-made-fit-whatever-a-plugin-says", test_hostile);
    kd_stage_add("/list/a-failure-costs-only-its-own-part", test_failures);
    kd_stage_add("/list/says-that-not-all-fitted", test_too_much);
    kd_stage_add_once("/list/goes-on-without-a-plugin-that-hangs", test_hangs);
    kd_stage_add_once("/list/a-plugin-that-is-deaf-is-not-asked-again", test_deaf);
    kd_stage_add("/list/without-the-feature-is-not-supported", test_without_feature);
    kd_stage_add("/list/is-a-feature-of-hello", test_feature_is_offered);
    kd_stage_add("/list/that-is-broken-is-a-bad-request", test_broken);
    kd_stage_add("/list/before-listed-is-an-error", test_twice);
    kd_stage_add("/list/open-before-listed-is-an-error", test_open_too_soon);
    kd_stage_add("/list/a-client-may-vanish-meanwhile", test_client_goes);
    kd_stage_add("/list/a-client-may-close-meanwhile", test_client_closes);
    kd_stage_add("/list/one-who-vanishes-takes-nothing-from-another", test_one_of_two_goes);
    kd_stage_add("/list/the-server-may-end-meanwhile", test_server_ends);
    kd_stage_add("/list/begins-only-so-often", test_pace);
    kd_stage_add_once("/list/answers-one-client-a-turn", test_one_a_turn);
    kd_stage_add_once("/list/stops-the-deadline-for-asking", test_deadline_stands_still);
    kd_stage_add_once("/list/the-deadline-for-asking-runs-anew", test_deadline_runs_anew);
    return g_test_run();
}

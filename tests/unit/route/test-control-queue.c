/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations on a route between two raw ends: a debugger's socket and a fake device. */
#include "kd-control-queue.h"
#include "kd-fake.h"
#include "kd-test-peer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    KdRoute *route;
    KdControlQueue *queue;
    KdFakeDevice *device;
    GObject *link;
    KdEndpoint line;
    int debugger;
    guint n_finished[2];
    guint n_answers;
    KdResult last;
    gboolean is_idle;
    gboolean is_closed;
    uint32_t id;
} Fixture;

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    (void)route;
    g_assert_cmpint(error, ==, 0);
    ((Fixture *)user)->n_finished[side]++;
}

static void
on_reached(KdRoute *route, void *user)
{
    (void)route;
    kd_control_queue_reached(((Fixture *)user)->queue);
}

static const KdRouteFuncs funcs = {.finished = on_finished, .reached = on_reached};

static void
on_answer(const KdResult *result, void *user)
{
    Fixture *fixture = user;

    fixture->n_answers++;
    fixture->last = *result;
    fixture->last.text = NULL;
}

static void
on_opened(GObject *source, GAsyncResult *result, gpointer user)
{
    Fixture *fixture = user;
    g_autoptr(GError) error = NULL;

    (void)source;
    fixture->link = kd_fake_target.open_finish(result, &fixture->line, &error);
    g_assert_no_error(error);
}

static void
on_closed(GObject *source, GAsyncResult *result, gpointer user)
{
    Fixture *fixture = user;

    kd_fake_target.close_finish(source, result);
    fixture->is_closed = TRUE;
}

static gboolean
is_open(void *user)
{
    return ((Fixture *)user)->link != NULL;
}

static gboolean
is_closed(void *user)
{
    return ((Fixture *)user)->is_closed;
}

static gboolean
has_break(void *user)
{
    return kd_fake_get_stat(((Fixture *)user)->device)->breaks > 0;
}

static gboolean
has_answer(void *user)
{
    return ((Fixture *)user)->n_answers > 0;
}

static void
set_up(Fixture *fixture, gconstpointer size)
{
    static const KdSink sink = {.struct_size = sizeof(KdSink)};
    g_autoptr(GVariant) params = NULL;
    g_autoptr(GError) error = NULL;
    KdControlLink link = {.target = &kd_fake_target};
    KdEndpoint endpoint;
    GVariantDict dict;
    int fds[2];

    *fixture = (Fixture){.debugger = -1};
    g_assert_true(kd_loop_start(&error));
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "name", "t", (guint64)1);
    g_variant_dict_insert(&dict, "size", "t", (guint64)(gsize)size);
    params = g_variant_ref_sink(g_variant_dict_end(&dict));
    fixture->device = kd_fake_get(1);
    kd_endpoint_init(&fixture->line);
    kd_fake_target.open_async(NULL, params, NULL, &sink, NULL, on_opened, fixture);
    kd_test_wait(is_open, fixture);
    fixture->route = kd_route_new(&funcs, fixture);
    link.object = fixture->link;
    link.offered = kd_control_find_offered(&kd_fake_target, fixture->line.facts);
    fixture->queue = kd_control_queue_new(fixture->route, &link, on_answer, fixture);
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_LINE, &fixture->line, &error));
    kd_test_pair(fds);
    fixture->debugger = fds[0];
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_PEER, &endpoint, &error));
}

static void
on_idle(void *user)
{
    ((Fixture *)user)->is_idle = TRUE;
}

static gboolean
is_idle(void *user)
{
    return ((Fixture *)user)->is_idle;
}

static void
tear_down(Fixture *fixture, gconstpointer size)
{
    (void)size;
    if (kd_control_queue_stop(fixture->queue, on_idle, fixture)) {
        kd_test_wait(is_idle, fixture);
    }
    kd_route_free(fixture->route);
    kd_fake_target.close_async(fixture->link, on_closed, fixture);
    kd_test_wait(is_closed, fixture);
    kd_control_queue_free(fixture->queue);
    g_object_unref(fixture->link);
    close(fixture->debugger);
    kd_test_settle();
    kd_fake_forget_all();
    kd_loop_stop();
}

/* Until the route has heard it. */
static void
say(Fixture *fixture, const char *text)
{
    g_assert_cmpint(write(fixture->debugger, text, strlen(text)), ==, (gssize)strlen(text));
    kd_test_settle();
}

static void
ask(Fixture *fixture, uint16_t op, gboolean is_urgent)
{
    g_autoptr(GError) error = NULL;
    KdControl control = {
        .id = ++fixture->id,
        .op = op,
        .is_urgent = is_urgent,
        .at = kd_route_get_heard(fixture->route),
    };

    g_assert_true(kd_control_queue_add(fixture->queue, &control, &error));
    g_assert_no_error(error);
}

static void
expect_story(Fixture *fixture, const char *expected)
{
    g_autofree char *story = NULL;

    kd_test_settle();
    story = kd_fake_build_story(fixture->device);
    g_assert_cmpstr(story, ==, expected);
}

static void
test_place(Fixture *fixture, gconstpointer size)
{
    (void)size;
    kd_fake_long_breaks(fixture->device);
    say(fixture, "before");
    ask(fixture, KD_CONTROL_BREAK, FALSE);
    say(fixture, "behind");
    kd_test_wait(has_break, fixture);
    kd_test_settle();
    expect_story(fixture, "before<break>");
    g_assert_cmpuint(kd_fake_get_stat(fixture->device)->in_break, ==, 0);
    kd_fake_end_break(fixture->device);
    kd_test_wait(has_answer, fixture);
    g_assert_cmpuint(fixture->last.code, ==, 0);
    expect_story(fixture, "before<break>behind");
}

static void
test_stuck(Fixture *fixture, gconstpointer size)
{
    (void)size;
    kd_fake_stop(fixture->device);
    say(fixture, "0123456789");
    ask(fixture, KD_CONTROL_BREAK, FALSE);
    say(fixture, "behind");
    g_assert_cmpuint(kd_fake_get_stat(fixture->device)->controls, ==, 0);
    g_assert_cmpuint(kd_route_get_heard(fixture->route), ==, 10);
    kd_fake_go(fixture->device);
    kd_test_wait(has_answer, fixture);
    expect_story(fixture, "0123456789<break>behind");
}

/* Each is told, and bytes pass again as soon as the line takes them: nothing is left behind. */
static void
test_given_up(Fixture *fixture, gconstpointer size)
{
    (void)size;
    kd_fake_stop(fixture->device);
    say(fixture, "0123456789");
    ask(fixture, KD_CONTROL_BREAK, FALSE);
    ask(fixture, KD_CONTROL_BAUD, FALSE);
    kd_test_wait(has_answer, fixture);
    g_assert_cmpuint(fixture->n_answers, ==, 2);
    g_assert_cmpuint(fixture->last.code, ==, KD_ERROR_FAILED + 1);
    say(fixture, "behind");
    kd_fake_go(fixture->device);
    expect_story(fixture, "0123456789behind");
}

static void
test_urgent(Fixture *fixture, gconstpointer size)
{
    (void)size;
    kd_fake_stop(fixture->device);
    kd_fake_long_breaks(fixture->device);
    say(fixture, "0123456789");
    ask(fixture, KD_CONTROL_BREAK, TRUE);
    say(fixture, "behind");
    kd_test_wait(has_break, fixture);
    kd_fake_go(fixture->device);
    expect_story(fixture, "<break>");
    kd_fake_end_break(fixture->device);
    kd_test_wait(has_answer, fixture);
    g_assert_cmpuint(fixture->last.value, ==, 10);
    expect_story(fixture, "<break>behind");
    ask(fixture, KD_CONTROL_STATUS, FALSE);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_answers, ==, 2);
}

static void
test_end_behind(Fixture *fixture, gconstpointer size)
{
    (void)size;
    kd_fake_long_breaks(fixture->device);
    ask(fixture, KD_CONTROL_BREAK, FALSE);
    say(fixture, "last");
    g_assert_cmpint(shutdown(fixture->debugger, SHUT_WR), ==, 0);
    kd_test_wait(has_break, fixture);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_PEER], ==, 0);
    kd_fake_end_break(fixture->device);
    kd_test_wait(has_answer, fixture);
    expect_story(fixture, "<break>last");
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_PEER], ==, 1);
}

static void
test_too_many(Fixture *fixture, gconstpointer size)
{
    g_autoptr(GError) error = NULL;
    KdControl control = {.op = KD_CONTROL_BREAK};

    (void)size;
    kd_fake_stop(fixture->device);
    say(fixture, "0123456789");
    for (guint i = 0; i < KD_MAX_CONTROLS; i++) {
        ask(fixture, KD_CONTROL_BREAK, FALSE);
    }
    g_assert_false(kd_control_queue_add(fixture->queue, &control, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
}

static void
test_not_offered(Fixture *fixture, gconstpointer size)
{
    (void)size;
    ask(fixture, 9, FALSE);
    g_assert_cmpuint(fixture->n_answers, ==, 1);
    g_assert_cmpuint(fixture->last.code, ==, KD_ERROR_NOT_SUPPORTED + 1);
}

static void
add(const char *path, void (*fn)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, (gconstpointer)4, set_up, fn, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/control-queue/raw/break-in-order-keeps-its-place", test_place);
    add("/control-queue/raw/break-in-order-waits-for-a-stuck-line", test_stuck);
    add("/control-queue/raw/line-that-takes-nothing-is-told-after-5-s", test_given_up);
    add("/control-queue/raw/urgent-break-drops-and-holds", test_urgent);
    add("/control-queue/raw/end-behind-a-break-is-told-after-it", test_end_behind);
    add("/control-queue/raw/more-than-16-are-refused", test_too_many);
    add("/control-queue/raw/not-offered-is-answered-at-once", test_not_offered);
    return g_test_run();
}

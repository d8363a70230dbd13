/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links that stay open, and others that want their device. */
#include "kd-fake.h"
#include "kd-link.h"
#include "kd-test-peer.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- a target whose devices can be seen: `locks` as, what it collides on ---- */

typedef struct {
    guint n_opens;
    guint n_closes;
    guint n_open;       /* opened, and not yet closed */
    int last_fd;        /* of the last opening */
    guint n_opens_busy; /* openings that found the descriptor of the link before still open */
} Devices;

static Devices devices;

static char **
dev_build_lock_names(const KdHost *host, GVariant *params)
{
    char **names = NULL;

    (void)host;
    g_assert_true(g_variant_lookup(params, "locks", "^as", &names));
    return names;
}

static void
dev_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
               GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    (void)params;
    (void)session;
    (void)sink;
    devices.n_opens++;
    devices.n_opens_busy += devices.last_fd >= 0 && fcntl(devices.last_fd, F_GETFD) >= 0 ? 1 : 0;
    g_task_return_boolean(task, TRUE);
}

static GObject *
dev_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    int fds[2];

    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return NULL;
    }
    kd_test_pair(fds);
    close(fds[0]);
    devices.n_open++;
    devices.last_fd = fds[1];
    kd_endpoint_take_fd(endpoint, fds[1], KD_ENDPOINT_KEEP, NULL);
    return g_object_new(G_TYPE_OBJECT, NULL);
}

static void
dev_close_async(GObject *link, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);

    g_task_return_boolean(task, TRUE);
}

static void
dev_close_finish(GObject *link, GAsyncResult *result)
{
    (void)link;
    devices.n_open--;
    devices.n_closes++;
    g_assert_true(g_task_propagate_boolean(G_TASK(result), NULL));
}

static const KdTarget dev_target = {
    .struct_size = sizeof(KdTarget),
    .scheme = "dev",
    .build_lock_names = dev_build_lock_names,
    .open_async = dev_open_async,
    .open_finish = dev_open_finish,
    .close_async = dev_close_async,
    .close_finish = dev_close_finish,
};

/* ---- claims ---- */

typedef struct {
    KdLinkTable *table;
    guint n_done;
    guint n_links; /* when the last one was released */
    KdEndpoint endpoint;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    devices = (Devices){.last_fd = -1};
    g_assert_true(kd_loop_start(&error));
    fixture->table = kd_link_table_new(NULL);
    kd_endpoint_init(&fixture->endpoint);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    kd_link_table_free(fixture->table);
    kd_test_settle();
    g_assert_cmpuint(devices.n_open, ==, 0);
    kd_fake_forget_all();
    kd_loop_stop();
}

static KdLink *
claim(Fixture *fixture, const KdTarget *target, const char *params)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) parsed =
        g_variant_ref_sink(g_variant_new_parsed(params)); /* a constant of the test */
    KdLink *link = kd_link_table_claim(fixture->table, target, parsed, "dev", "somebody", &error);

    g_assert_no_error(error);
    return link;
}

static void
on_open(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Fixture *fixture = user_data;
    g_autoptr(GError) error = NULL;

    (void)source;
    g_assert_true(kd_link_open_finish(result, &fixture->endpoint, &error));
    fixture->n_done++;
}

static void
on_released(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Fixture *fixture = user_data;

    (void)source;
    (void)result;
    fixture->n_done++;
    fixture->n_links = kd_link_table_get_n_links(fixture->table);
}

static void
on_event(KdLink *link, uint32_t event, GVariant *arg, void *user)
{
    (void)link;
    (void)event;
    (void)arg;
    (void)user;
}

static gboolean
is_done(void *user)
{
    return ((Fixture *)user)->n_done > 0;
}

static void
await(Fixture *fixture)
{
    kd_test_wait(is_done, fixture);
    fixture->n_done = 0;
}

static void
open_link(Fixture *fixture, KdLink *link)
{
    kd_link_open_async(link, g_variant_new("a{sv}", NULL), on_event, NULL, NULL, on_open, fixture);
    await(fixture);
}

static void
release(Fixture *fixture, KdLink *link)
{
    kd_link_release_async(link, &fixture->endpoint, on_released, fixture);
    await(fixture);
}

static void
leave_open(Fixture *fixture, const char *params)
{
    KdLink *link = claim(fixture, &dev_target, params);

    open_link(fixture, link);
    release(fixture, link);
}

/* ---- */

static void
test_waits_for_the_descriptor(Fixture *fixture, gconstpointer data)
{
    KdLink *link;

    (void)data;
    leave_open(fixture, "{'locks': <['a']>, 'baud': <1>}");
    link = claim(fixture, &dev_target, "{'locks': <['a']>, 'baud': <2>}");
    open_link(fixture, link);
    g_assert_cmpuint(devices.n_opens, ==, 2);
    g_assert_cmpuint(devices.n_opens_busy, ==, 0);
    release(fixture, link);
}

static void
test_waits_for_all(Fixture *fixture, gconstpointer data)
{
    KdLink *link;

    (void)data;
    leave_open(fixture, "{'locks': <['a']>}");
    leave_open(fixture, "{'locks': <['b']>}");
    g_assert_cmpuint(devices.n_open, ==, 2);
    link = claim(fixture, &dev_target, "{'locks': <['a', 'b']>}");
    open_link(fixture, link);
    g_assert_cmpuint(devices.n_open, ==, 1);
    release(fixture, link);
}

/* Two that want different parts of what one link has. */
static void
test_two_wait(Fixture *fixture, gconstpointer data)
{
    KdEndpoint first;
    KdLink *links[2];

    (void)data;
    leave_open(fixture, "{'locks': <['a', 'b']>}");
    links[0] = claim(fixture, &dev_target, "{'locks': <['a']>}");
    links[1] = claim(fixture, &dev_target, "{'locks': <['b']>}");
    open_link(fixture, links[0]);
    first = fixture->endpoint;
    open_link(fixture, links[1]);
    g_assert_cmpuint(devices.n_closes, ==, 1);
    release(fixture, links[1]);
    fixture->endpoint = first;
    release(fixture, links[0]);
}

static void
test_released_is_free(Fixture *fixture, gconstpointer data)
{
    KdLink *link = claim(fixture, &dev_target, "{'locks': <['a']>}");

    (void)data;
    open_link(fixture, link);
    fixture->endpoint.flags = 0;
    release(fixture, link);
    g_assert_cmpuint(fixture->n_links, ==, 0);
}

static void
test_lost_is_not_given(Fixture *fixture, gconstpointer data)
{
    static const char *params = "{'name': <uint64 7>, 'keep': <true>}";
    KdFakeDevice *device = kd_fake_get(7);
    KdLink *link = claim(fixture, &kd_fake_target, params);

    (void)data;
    open_link(fixture, link);
    release(fixture, link);
    kd_fake_lose(device);
    kd_fake_back(device);
    link = claim(fixture, &kd_fake_target, params); /* before anything else could happen */
    open_link(fixture, link);
    g_assert_cmpuint(kd_fake_get_stat(device)->opens, ==, 2);
    fixture->endpoint.flags = 0;
    release(fixture, link);
}

/* Some devices are but numbers, and a client can go through all of them. */
static void
test_idle_are_bounded(Fixture *fixture, gconstpointer data)
{
    (void)data;
    for (guint i = 0; i < 300; i++) {
        g_autofree char *params = g_strdup_printf("{'locks': <['%u']>}", i);

        leave_open(fixture, params);
    }
    kd_test_settle();
    g_assert_cmpuint(devices.n_open, <=, 128);
    g_assert_cmpuint(kd_link_table_get_n_links(fixture->table), ==, devices.n_open);
    leave_open(fixture, "{'locks': <['299']>}"); /* the last ones are kept */
    g_assert_cmpuint(devices.n_opens, ==, 300);
    leave_open(fixture, "{'locks': <['0']>}");
    g_assert_cmpuint(devices.n_opens, ==, 301);
}

static void
add(const char *path, void (*fn)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/link/table/opens-after-the-old-descriptor-is-closed", test_waits_for_the_descriptor);
    add("/link/table/waits-for-every-link-in-the-way", test_waits_for_all);
    add("/link/table/several-wait-for-one", test_two_wait);
    add("/link/table/what-was-released-is-free", test_released_is_free);
    add("/link/table/what-is-lost-is-not-given-again", test_lost_is_not_given);
    add("/link/table/idle-ones-are-bounded", test_idle_are_bounded);
    return g_test_run();
}

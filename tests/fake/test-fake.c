/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fakes keep what tests of other rooms take for granted. */
#include "kd-fake.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>

#include <errno.h>
#include <string.h>

typedef struct {
    KdFakeDevice *device;
    KdSink sink;
    KdEndpoint endpoint;
    GObject *link;
    GAsyncResult *result;
    GString *events;
} Fixture;

static void
on_done(GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer user)
{
    Fixture *f = user;
    g_assert_null(f->result);
    f->result = g_object_ref(result);
}

static GAsyncResult *
await(Fixture *f)
{
    while (f->result == NULL)
        g_main_context_iteration(NULL, TRUE);
    return g_steal_pointer(&f->result);
}

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    Fixture *f = user;
    if (arg != NULL)
        g_variant_unref(g_variant_ref_sink(arg));
    g_string_append_printf(f->events, "%u;", event);
}

static void
set_up(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    f->device = kd_fake_get(1);
    f->events = g_string_new(NULL);
    f->sink = (KdSink){.struct_size = sizeof(KdSink), .event = on_event, .user = f};
}

static gboolean
open_link(Fixture *f, const char *params, GError **error)
{
    g_autoptr(GVariant) parsed = g_variant_parse(G_VARIANT_TYPE_VARDICT, params, NULL, NULL, NULL);
    g_assert_nonnull(parsed);
    f->endpoint = (KdEndpoint){.struct_size = sizeof(KdEndpoint), .fd = -1};
    kd_fake_target.open_async(NULL, parsed, NULL, &f->sink, NULL, on_done, f);
    g_autoptr(GAsyncResult) result = await(f);
    GObject *link = kd_fake_target.open_finish(result, &f->endpoint, error);
    if (link == NULL)
        return FALSE;
    g_clear_pointer(&f->endpoint.facts, g_variant_unref);
    f->link = link;
    return TRUE;
}

static void
close_link(Fixture *f)
{
    kd_fake_target.close_async(f->link, on_done, f);
    g_autoptr(GAsyncResult) result = await(f);
    kd_fake_target.close_finish(f->link, result);
    g_clear_object(&f->link);
    if (f->endpoint.stream != NULL)
        f->endpoint.ops->destroy(f->endpoint.stream);
    f->endpoint.stream = NULL;
}

static void
tear_down(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    if (f->link != NULL)
        close_link(f);
    g_string_free(f->events, TRUE);
    kd_fake_forget_all();
}

static gssize
write_all(Fixture *f, const char *text)
{
    return f->endpoint.ops->write(f->endpoint.stream, text, strlen(text));
}

static void
await_counter(const guint64 *counter, guint64 least)
{
    while (*counter < least)
        g_main_context_iteration(NULL, TRUE);
}

static void
test_stopped_device_lets_bytes_pile_up(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_true(open_link(f, "{'name': <uint64 1>, 'size': <uint64 4>}", NULL));
    kd_fake_stop(f->device);
    g_assert_cmpint(write_all(f, "abcdef"), ==, 4);
    g_assert_cmpint(write_all(f, "ef"), ==, -EAGAIN);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(kd_fake_get_pending(f->device), ==, 4);
    kd_fake_go(f->device);
    await_counter(&kd_fake_get_stat(f->device)->in, 4);
    g_autoptr(GBytes) received = kd_fake_take_received(f->device);
    g_autoptr(GBytes) expected = g_bytes_new_static("abcd", 4);
    g_assert_true(g_bytes_equal(received, expected));
}

static void
test_break_waits_for_the_bytes_before_it(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    GVariant *out = NULL;
    g_assert_true(open_link(f, "{'name': <uint64 1>}", NULL));
    kd_fake_stop(f->device);
    g_assert_cmpint(write_all(f, "abc"), ==, 3);
    kd_fake_target.control_async(f->link, KD_CONTROL_BREAK, g_variant_new_uint32(0), NULL, on_done,
                                 f);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_null(f->result);
    kd_fake_go(f->device);
    g_autoptr(GAsyncResult) result = await(f);
    g_assert_true(kd_fake_target.control_finish(f->link, result, &out, NULL));
    g_assert_cmpuint(g_variant_get_uint64(out), ==, 0);
    g_assert_cmpuint(kd_fake_get_stat(f->device)->break_at, ==, 3);
    g_variant_unref(out);
}

static void
test_urgent_break_drops_and_counts(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    GVariant *out = NULL;
    g_assert_true(open_link(f, "{'name': <uint64 1>}", NULL));
    kd_fake_stop(f->device);
    g_assert_cmpint(write_all(f, "abc"), ==, 3);
    kd_fake_target.control_async(f->link, KD_CONTROL_BREAK, g_variant_new_uint32(1), NULL, on_done,
                                 f);
    g_autoptr(GAsyncResult) result = await(f);
    g_assert_true(kd_fake_target.control_finish(f->link, result, &out, NULL));
    g_assert_cmpuint(g_variant_get_uint64(out), ==, 3);
    g_assert_cmpstr(kd_fake_get_controls(f->device)[0], ==, "break 1");
    g_variant_unref(out);
}

static void
test_lost_device_comes_back_by_reopening(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    char byte = 0;
    g_assert_true(open_link(f, "{'name': <uint64 1>}", NULL));
    kd_fake_lose(f->device);
    g_assert_cmpint(f->endpoint.ops->read(f->endpoint.stream, &byte, 1), ==, -EIO);
    kd_fake_target.reopen_async(f->link, NULL, on_done, f);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_null(f->result);
    kd_fake_back(f->device);
    g_autoptr(GAsyncResult) result = await(f);
    KdEndpoint old = f->endpoint;
    g_assert_true(kd_fake_target.reopen_finish(f->link, result, &f->endpoint, NULL));
    g_clear_pointer(&f->endpoint.facts, g_variant_unref);
    old.ops->destroy(old.stream);
    kd_fake_say(f->device, "x", 1);
    await_counter(&kd_fake_get_stat(f->device)->out, 1);
    g_assert_cmpint(f->endpoint.ops->read(f->endpoint.stream, &byte, 1), ==, 1);
    g_assert_cmpstr(f->events->str, ==, "1;");
}

static void
test_failing_open_gives_the_text(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    kd_fake_fail_open(f->device, "no such luck");
    g_assert_false(open_link(f, "{'name': <uint64 1>}", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_FAILED);
    g_assert_cmpstr(error->message, ==, "fake:name=1: no such luck");
    g_assert_true(open_link(f, "{'name': <uint64 1>}", NULL));
}

static void
test_flood_follows_the_pattern_both_ways(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t chunk[1000];
    guint64 at = 0;
    g_assert_true(open_link(f, "{'name': <uint64 1>, 'size': <uint64 777>}", NULL));
    kd_fake_flood(f->device, 100000);
    while (at < 100000) {
        gssize n = f->endpoint.ops->read(f->endpoint.stream, chunk, sizeof chunk);
        if (n == -EAGAIN) {
            g_main_context_iteration(NULL, TRUE);
            continue;
        }
        g_assert_cmpint(n, >, 0);
        for (gssize i = 0; i < n; i++)
            g_assert_cmpuint(chunk[i], ==, kd_fake_get_pattern(at + (guint64)i));
        /* and back again */
        g_assert_cmpint(f->endpoint.ops->write(f->endpoint.stream, chunk, (size_t)n), ==, n);
        at += (guint64)n;
        await_counter(&kd_fake_get_stat(f->device)->in, at);
    }
    g_assert_cmpuint(kd_fake_get_stat(f->device)->in_matching, ==, 100000);
}

static void
test_slow_writes_are_short(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_true(open_link(f, "{'name': <uint64 1>}", NULL));
    kd_fake_set_slow(f->device, 1, 0);
    g_assert_cmpint(write_all(f, "abc"), ==, 1);
}

static void
on_steered(GObject *source, GAsyncResult *result, gpointer user)
{
    *(char **)user =
        g_data_input_stream_read_line_finish(G_DATA_INPUT_STREAM(source), result, NULL, NULL);
}

static char *
steer_by_socket(GSocketConnection *connection, GDataInputStream *lines, const char *order)
{
    char *answer = NULL;
    GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
    g_assert_true(g_output_stream_write_all(out, order, strlen(order), NULL, NULL, NULL));
    g_data_input_stream_read_line_async(lines, G_PRIORITY_DEFAULT, NULL, on_steered, &answer);
    while (answer == NULL)
        g_main_context_iteration(NULL, TRUE);
    return answer;
}

static void
test_socket_takes_orders(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_autofree char *folder = g_dir_make_tmp("kd-fake-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "steer", NULL);
    g_autofree char *params =
        g_strdup_printf("{'name': <uint64 1>, 'steer': <'%s'>, 'echo': <true>}", path);
    g_assert_true(open_link(f, params, NULL));

    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL);
    g_assert_nonnull(connection);
    g_autoptr(GDataInputStream) lines =
        g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(connection)));

    g_autofree char *ok = steer_by_socket(connection, lines, "say a\\x00b\n");
    g_assert_cmpstr(ok, ==, "ok");
    char bytes[8];
    await_counter(&kd_fake_get_stat(f->device)->out, 3);
    g_assert_cmpint(f->endpoint.ops->read(f->endpoint.stream, bytes, sizeof bytes), ==, 3);
    g_assert_cmpmem(bytes, 3, "a\0b", 3);

    g_assert_cmpint(write_all(f, "hey\n"), ==, 4);
    g_autofree char *waited = steer_by_socket(connection, lines, "wait in 4\n");
    g_assert_cmpstr(waited, ==, "ok");
    g_autofree char *got = steer_by_socket(connection, lines, "got\n");
    g_assert_cmpstr(got, ==, "got hey\\x0a");
    g_autofree char *unknown = steer_by_socket(connection, lines, "dance\n");
    g_assert_cmpstr(unknown, ==, "error no such order: dance");
    g_unlink(path);
    g_rmdir(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/fake/device/lets-bytes-pile-up-while-stopped", test_stopped_device_lets_bytes_pile_up);
    ADD("/fake/device/floods-a-pattern-and-knows-it-again",
        test_flood_follows_the_pattern_both_ways);
    ADD("/fake/device/makes-writes-short-when-told", test_slow_writes_are_short);
    ADD("/fake/control/break-waits-for-the-bytes-before-it",
        test_break_waits_for_the_bytes_before_it);
    ADD("/fake/control/urgent-break-drops-and-counts", test_urgent_break_drops_and_counts);
    ADD("/fake/link/lost-device-comes-back-by-reopening", test_lost_device_comes_back_by_reopening);
    ADD("/fake/link/failing-open-gives-the-text-once", test_failing_open_gives_the_text);
    ADD("/fake/steer/socket-takes-orders-and-answers", test_socket_takes_orders);
#undef ADD
    return g_test_run();
}

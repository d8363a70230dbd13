/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The com target on sockets: those of VMs, and serial ports over TCP. */
#include "kd-serial-stage.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
test_pipe(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    const char *dialect = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = kd_serial_build_pipe(place->path, "");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    int vm = kd_serial_accept(listener);
    kd_serial_check_bytes(vm, session.endpoint.fd);
    kd_serial_check_bytes(session.endpoint.fd, vm);
    g_assert_cmpuint(session.endpoint.flags, ==, 0); /* no half-close: VMs hang up on it */
    g_assert_true(g_variant_lookup(session.endpoint.facts, "dialect", "&s", &dialect));
    g_assert_cmpstr(dialect, ==, "bytes");
    g_assert_cmpint(fcntl(session.endpoint.fd, F_GETFL) & O_NONBLOCK, !=, 0);
    kd_serial_end(&session);
    close(vm);
    close(listener);
}

static void
test_drain(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'drain': <true>");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, NULL));
    g_assert_cmpuint(session.endpoint.flags, ==, KD_ENDPOINT_DRAIN);
    kd_serial_end(&session);
    close(listener);
}

static void
test_missing(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = kd_serial_build_pipe(place->path, "");
    (void)unused;
    g_assert_false(kd_serial_open(&session, text, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_assert_true(g_str_has_prefix(error->message, "com: "));
    g_assert_nonnull(strstr(error->message, place->path));
    g_assert_cmpuint(session.n_notes, ==, 0);
    kd_serial_end(&session);
}

static void
test_plain_file(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autoptr(GError) error = NULL;
    g_autofree char *pipe_text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    g_autofree char *line_text = g_strdup_printf("{'port': <'%s'>}", place->path);
    (void)unused;
    g_assert_true(g_file_set_contents(place->path, "x", 1, NULL));
    g_assert_false(kd_serial_open(&session, pipe_text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_true(g_str_has_suffix(error->message, "is neither a socket nor a terminal"));
    g_clear_error(&error);
    g_assert_false(kd_serial_open(&session, line_text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_true(g_str_has_suffix(error->message, "is not a terminal"));
}

static void
test_cancel_open(KdSerialPlace *place, gconstpointer unused)
{
    g_autofree char *text = kd_serial_build_pipe(place->path, "");
    int listener = kd_serial_place_listen(place);
    guint before = kd_test_count_fds();
    (void)unused;
    /* Before, in the same turn, one turn later, and when the result is there unasked for */
    for (guint moment = 0; moment < 4; moment++) {
        KdSerialSession session;
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        if (moment == 0)
            g_cancellable_cancel(cancellable);
        kd_serial_start(&session, cancellable, text);
        if (moment == 2)
            g_main_context_iteration(NULL, FALSE);
        if (moment < 3)
            g_cancellable_cancel(cancellable);
        GAsyncResult *result = kd_test_wait(&session.done);
        g_cancellable_cancel(cancellable);
        g_assert_null(kd_serial_com->open_finish(result, &session.endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_assert_cmpint(session.endpoint.fd, ==, -1);
        g_object_unref(result);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    close(listener);
}

static void
test_no_leak(KdSerialPlace *place, gconstpointer unused)
{
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    int listener = kd_serial_place_listen(place);
    guint before = kd_test_count_fds();
    (void)unused;
    for (guint round = 0; round < 300; round++) {
        KdSerialSession session;
        g_autoptr(GError) error = NULL;
        g_assert_true(kd_serial_open(&session, text, &error));
        g_assert_no_error(error);
        close(kd_serial_accept(listener));
        kd_serial_end(&session);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    close(listener);
}

static void
test_control_other(KdSerialPlace *place, gconstpointer unused)
{
    static const uint32_t ops[] = {KD_CONTROL_BREAK,  KD_CONTROL_BAUD,  KD_CONTROL_PURGE,
                                   KD_CONTROL_STATUS, KD_CONTROL_LINES, KD_CONTROL_DRAIN};
    KdSerialSession session;
    uint32_t controls = 1;
    g_autofree char *text = kd_serial_build_pipe(place->path, "");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, NULL));
    g_assert_true(g_variant_lookup(session.endpoint.facts, "controls", "u", &controls));
    g_assert_cmpuint(controls, ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_autoptr(GError) error = NULL;
        GVariant *arg = ops[i] == KD_CONTROL_LINES ? g_variant_new("(uu)", 0u, 0u)
                        : i < 2                    ? g_variant_new_uint32(9600)
                                                   : NULL;
        g_assert_null(kd_serial_control(&session, ops[i], arg, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    }
    kd_serial_end(&session);
    close(listener);
}

static void
test_wait_at_start(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    g_autofree char *expected = g_strdup_printf("waiting for %s", place->path);
    (void)unused;
    kd_serial_start(&session, NULL, text);
    kd_test_wait_until(kd_serial_has_note, &session);
    g_assert_cmpstr(session.note, ==, expected);
    g_assert_null(session.done.result);
    /* First a socket that nobody listens on any more, as a VM that died leaves it. */
    close(kd_serial_place_listen(place));
    for (guint i = 0; i < 3; i++)
        g_main_context_iteration(NULL, TRUE);
    g_assert_null(session.done.result);
    g_unlink(place->path);
    int listener = kd_serial_place_listen(place);
    g_assert_true(kd_serial_finish(&session, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(session.n_notes, ==, 1);
    kd_serial_end(&session);
    close(listener);
}

static void
test_reopen(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    int vm = kd_serial_accept(listener);
    close(vm);
    close(listener);
    g_unlink(place->path);
    kd_serial_drop_endpoint(&session);
    kd_serial_com->reopen_async(session.link, NULL, kd_test_on_done, &session.done);
    for (guint i = 0; i < 3; i++)
        g_main_context_iteration(NULL, TRUE);
    g_assert_null(session.done.result);
    listener = kd_serial_place_listen(place);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
    g_assert_true(kd_serial_com->reopen_finish(session.link, result, &session.endpoint, &error));
    g_assert_no_error(error);
    vm = kd_serial_accept(listener);
    kd_serial_check_bytes(vm, session.endpoint.fd);
    g_assert_cmpuint(session.n_notes, ==, 0); /* the host says `target lost` itself */
    kd_serial_end(&session);
    close(vm);
    close(listener);
}

static void
test_quick_loss(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, NULL));
    kd_serial_drop_endpoint(&session);
    gint64 before_us = g_get_monotonic_time();
    g_assert_true(kd_serial_reopen(&session, NULL, NULL));
    g_assert_cmpint(g_get_monotonic_time() - before_us, >=, 45 * 1000);
    kd_serial_end(&session);
    close(listener);
}

static void
test_no_reconnect(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = kd_serial_build_pipe(place->path, "");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, NULL));
    kd_serial_drop_endpoint(&session);
    g_assert_false(kd_serial_reopen(&session, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    kd_serial_end(&session);
    close(listener);
}

static void
test_cancel_reopen(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, NULL));
    kd_serial_drop_endpoint(&session);
    close(listener);
    g_unlink(place->path);
    guint before = kd_test_count_fds();
    for (guint turns = 0; turns < 3; turns++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        kd_serial_com->reopen_async(session.link, cancellable, kd_test_on_done, &session.done);
        for (guint i = 0; i < turns; i++)
            g_main_context_iteration(NULL, TRUE);
        g_cancellable_cancel(cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
        g_assert_false(
            kd_serial_com->reopen_finish(session.link, result, &session.endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    kd_serial_end(&session);
}

static void
test_close_while_waiting(KdSerialPlace *place, gconstpointer unused)
{
    KdSerialSession session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = kd_serial_build_pipe(place->path, ", 'reconnect': <true>");
    KdTestDone reopened = {0};
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_true(kd_serial_open(&session, text, NULL));
    kd_serial_drop_endpoint(&session);
    close(listener);
    kd_serial_com->reopen_async(session.link, NULL, kd_test_on_done, &reopened);
    kd_serial_com->close_async(session.link, kd_test_on_done, &session.done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&reopened);
    g_assert_false(kd_serial_com->reopen_finish(session.link, result, &session.endpoint, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_autoptr(GAsyncResult) closed = kd_test_wait(&session.done);
    kd_serial_com->close_finish(session.link, closed);
    g_clear_object(&session.link);
    kd_serial_end(&session);
}

static void
test_ip(void)
{
    KdSerialSession session;
    uint16_t port = 0;
    g_autoptr(GError) error = NULL;
    int listener = kd_test_listen(AF_INET, 0, &port);
    g_autofree char *text = g_strdup_printf("{'port': <'127.0.0.1'>, 'ipport': <uint64 %u>}", port);
    guint before = kd_test_host_get_n_dial_checks();
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(kd_test_host_get_n_dial_checks(), ==, before + 1);
    int peer = kd_serial_accept(listener);
    kd_serial_check_bytes(peer, session.endpoint.fd);
    kd_serial_end(&session);
    close(peer);
    kd_test_host_deny_addresses(TRUE);
    g_assert_false(kd_serial_open(&session, text, &error));
    kd_test_host_deny_addresses(FALSE);
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    close(listener);
}

static void
test_policy(void)
{
    static const char *const cases[] = {
        "{'port': <'/denied/vm'>, 'pipe': <true>, 'reconnect': <true>}",
        "{'port': <'/denied/tty'>, 'baud': <uint64 9600>, 'reconnect': <true>}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdSerialSession session;
        g_autoptr(GError) error = NULL;
        g_assert_false(kd_serial_open(&session, cases[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
        g_assert_cmpuint(session.n_notes, ==, 0);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn)                                                            \
    g_test_add("/serial/" name, KdSerialPlace, NULL, kd_serial_place_set_up, fn, \
               kd_serial_place_tear_down)
    ADD("pipe/bytes-pass-both-ways", test_pipe);
    ADD("pipe/drain-is-told", test_drain);
    ADD("pipe/missing-socket-is-named", test_missing);
    ADD("pipe/plain-file-is-refused", test_plain_file);
    ADD("pipe/cancelled-opening-leaves-nothing", test_cancel_open);
    ADD("pipe/many-sessions-keep-no-descriptor", test_no_leak);
    ADD("pipe/socket-has-no-controls", test_control_other);
    ADD("reconnect/waits-at-the-start-and-says-so-once", test_wait_at_start);
    ADD("reconnect/reopens-when-the-socket-is-back", test_reopen);
    ADD("reconnect/does-not-spin-on-a-vm-that-hangs-up", test_quick_loss);
    ADD("reconnect/without-it-a-loss-is-final", test_no_reconnect);
    ADD("reconnect/cancel-ends-waiting", test_cancel_reopen);
    ADD("reconnect/close-ends-waiting", test_close_while_waiting);
    g_test_add_func("/serial/ip/rules-are-asked-and-bytes-pass", test_ip);
    g_test_add_func("/serial/policy/refusal-is-not-waited-out", test_policy);
    return g_test_run();
}

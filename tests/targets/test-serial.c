/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The com target as a host sees it: pseudo-terminals, UNIX sockets and TCP on loopback. */
#include "kd-test-host.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const KdTarget *com;

/* One link and what it has told */
typedef struct {
    KdSink sink;
    KdTestDone done;
    GObject *link;
    KdEndpoint endpoint;
    guint n_notes;
    char *note;
} Session;

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    Session *session = user;
    g_assert_cmpuint(event, ==, KD_EVENT_NOTE);
    g_autoptr(GVariant) text = g_variant_ref_sink(arg);
    session->n_notes++;
    g_free(session->note);
    session->note = g_variant_dup_string(text, NULL);
}

static gboolean
has_note(gpointer user_data)
{
    return ((Session *)user_data)->n_notes > 0;
}

static void
session_start(Session *session, GCancellable *cancellable, const char *text)
{
    g_autoptr(GVariant) params = kd_test_params("%s", text);
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    *session = (Session){.sink = {.struct_size = sizeof(KdSink), .event = on_event},
                         .endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1}};
    session->sink.user = session;
    com->open_async(kd_test_host_get(), params, who, &session->sink, cancellable, kd_test_on_done,
                    &session->done);
    g_assert_null(session->done.result);
}

static gboolean
session_finish(Session *session, GError **error)
{
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    session->link = com->open_finish(result, &session->endpoint, error);
    return session->link != NULL;
}

static gboolean
session_open(Session *session, const char *text, GError **error)
{
    session_start(session, NULL, text);
    return session_finish(session, error);
}

static gboolean
session_reopen(Session *session, GCancellable *cancellable, GError **error)
{
    com->reopen_async(session->link, cancellable, kd_test_on_done, &session->done);
    g_assert_null(session->done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    return com->reopen_finish(session->link, result, &session->endpoint, error);
}

static void
session_drop_endpoint(Session *session)
{
    if (session->endpoint.fd >= 0)
        close(session->endpoint.fd);
    session->endpoint.fd = -1;
    g_clear_pointer(&session->endpoint.facts, g_variant_unref);
}

static void
session_end(Session *session)
{
    if (session->link != NULL) {
        com->close_async(session->link, kd_test_on_done, &session->done);
        g_assert_null(session->done.result);
        g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
        com->close_finish(session->link, result);
    }
    session_drop_endpoint(session);
    g_clear_object(&session->link);
    g_clear_pointer(&session->note, g_free);
}

/* A folder with the path of a VM's socket in it */
typedef struct {
    char *folder;
    char *path;
} Place;

static void
place_set_up(Place *place, gconstpointer unused)
{
    (void)unused;
    place->folder = g_dir_make_tmp("kd-serial-XXXXXX", NULL);
    place->path = g_build_filename(place->folder, "vm.sock", NULL);
}

static void
place_tear_down(Place *place, gconstpointer unused)
{
    (void)unused;
    g_unlink(place->path);
    g_rmdir(place->folder);
    g_free(place->path);
    g_free(place->folder);
}

static int
place_listen(const Place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, place->path, sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

static int
accept_one(int listener)
{
    kd_test_wait_readable(listener);
    int fd = accept(listener, NULL, NULL);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void
check_bytes(int from, int to)
{
    static const char sent[] = "0000\0\xff\r\n\x03";
    char got[sizeof(sent)] = {0};
    size_t have = 0;
    g_assert_cmpint(write(from, sent, sizeof(sent)), ==, sizeof(sent));
    while (have < sizeof(sent)) {
        kd_test_wait_readable(to);
        ssize_t n = read(to, got + have, sizeof(got) - have);
        g_assert_cmpint(n, >, 0);
        have += (size_t)n;
    }
    g_assert_cmpmem(got, sizeof(got), sent, sizeof(sent));
}

static char *
build_pipe(const char *path, const char *more)
{
    return g_strdup_printf("{'port': <'%s'>, 'pipe': <true>%s}", path, more);
}

static void
test_pipe(Place *place, gconstpointer unused)
{
    Session session;
    const char *dialect = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, "");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, &error));
    g_assert_no_error(error);
    int vm = accept_one(listener);
    check_bytes(vm, session.endpoint.fd);
    check_bytes(session.endpoint.fd, vm);
    g_assert_cmpuint(session.endpoint.flags, ==, 0); /* no half-close: VMs hang up on it */
    g_assert_true(g_variant_lookup(session.endpoint.facts, "dialect", "&s", &dialect));
    g_assert_cmpstr(dialect, ==, "bytes");
    g_assert_cmpint(fcntl(session.endpoint.fd, F_GETFL) & O_NONBLOCK, !=, 0);
    session_end(&session);
    close(vm);
    close(listener);
}

static void
test_drain(Place *place, gconstpointer unused)
{
    Session session;
    g_autofree char *text = build_pipe(place->path, ", 'drain': <true>");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, NULL));
    g_assert_cmpuint(session.endpoint.flags, ==, KD_ENDPOINT_DRAIN);
    session_end(&session);
    close(listener);
}

static void
test_missing(Place *place, gconstpointer unused)
{
    Session session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, "");
    (void)unused;
    g_assert_false(session_open(&session, text, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_assert_true(g_str_has_prefix(error->message, "com: "));
    g_assert_nonnull(strstr(error->message, place->path));
    g_assert_cmpuint(session.n_notes, ==, 0);
    session_end(&session);
}

static void
test_plain_file(Place *place, gconstpointer unused)
{
    Session session;
    g_autoptr(GError) error = NULL;
    g_autofree char *pipe_text = build_pipe(place->path, ", 'reconnect': <true>");
    g_autofree char *line_text = g_strdup_printf("{'port': <'%s'>}", place->path);
    (void)unused;
    g_assert_true(g_file_set_contents(place->path, "x", 1, NULL));
    g_assert_false(session_open(&session, pipe_text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_true(g_str_has_suffix(error->message, "is neither a socket nor a terminal"));
    g_clear_error(&error);
    g_assert_false(session_open(&session, line_text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_true(g_str_has_suffix(error->message, "is not a terminal"));
}

static void
test_wait_at_start(Place *place, gconstpointer unused)
{
    Session session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, ", 'reconnect': <true>");
    g_autofree char *expected = g_strdup_printf("waiting for %s", place->path);
    (void)unused;
    session_start(&session, NULL, text);
    kd_test_wait_until(has_note, &session);
    g_assert_cmpstr(session.note, ==, expected);
    g_assert_null(session.done.result);
    /* First a socket that nobody listens on any more, as a VM that died leaves it. */
    close(place_listen(place));
    for (guint i = 0; i < 3; i++)
        g_main_context_iteration(NULL, TRUE);
    g_assert_null(session.done.result);
    g_unlink(place->path);
    int listener = place_listen(place);
    g_assert_true(session_finish(&session, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(session.n_notes, ==, 1);
    session_end(&session);
    close(listener);
}

static void
test_reopen(Place *place, gconstpointer unused)
{
    Session session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, ", 'reconnect': <true>");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, &error));
    g_assert_no_error(error);
    int vm = accept_one(listener);
    close(vm);
    close(listener);
    g_unlink(place->path);
    session_drop_endpoint(&session);
    com->reopen_async(session.link, NULL, kd_test_on_done, &session.done);
    for (guint i = 0; i < 3; i++)
        g_main_context_iteration(NULL, TRUE);
    g_assert_null(session.done.result);
    listener = place_listen(place);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
    g_assert_true(com->reopen_finish(session.link, result, &session.endpoint, &error));
    g_assert_no_error(error);
    vm = accept_one(listener);
    check_bytes(vm, session.endpoint.fd);
    g_assert_cmpuint(session.n_notes, ==, 0); /* the host says `target lost` itself */
    session_end(&session);
    close(vm);
    close(listener);
}

static void
test_quick_loss(Place *place, gconstpointer unused)
{
    Session session;
    g_autofree char *text = build_pipe(place->path, ", 'reconnect': <true>");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, NULL));
    session_drop_endpoint(&session);
    gint64 before_us = g_get_monotonic_time();
    g_assert_true(session_reopen(&session, NULL, NULL));
    g_assert_cmpint(g_get_monotonic_time() - before_us, >=, 45 * 1000);
    session_end(&session);
    close(listener);
}

static void
test_no_reconnect(Place *place, gconstpointer unused)
{
    Session session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, "");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, NULL));
    session_drop_endpoint(&session);
    g_assert_false(session_reopen(&session, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    session_end(&session);
    close(listener);
}

static void
test_cancel_reopen(Place *place, gconstpointer unused)
{
    Session session;
    g_autofree char *text = build_pipe(place->path, ", 'reconnect': <true>");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, NULL));
    session_drop_endpoint(&session);
    close(listener);
    g_unlink(place->path);
    guint before = kd_test_count_fds();
    for (guint turns = 0; turns < 3; turns++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        com->reopen_async(session.link, cancellable, kd_test_on_done, &session.done);
        for (guint i = 0; i < turns; i++)
            g_main_context_iteration(NULL, TRUE);
        g_cancellable_cancel(cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
        g_assert_false(com->reopen_finish(session.link, result, &session.endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    session_end(&session);
}

static void
test_close_while_waiting(Place *place, gconstpointer unused)
{
    Session session;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, ", 'reconnect': <true>");
    KdTestDone reopened = {0};
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, NULL));
    session_drop_endpoint(&session);
    close(listener);
    com->reopen_async(session.link, NULL, kd_test_on_done, &reopened);
    com->close_async(session.link, kd_test_on_done, &session.done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&reopened);
    g_assert_false(com->reopen_finish(session.link, result, &session.endpoint, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_autoptr(GAsyncResult) closed = kd_test_wait(&session.done);
    com->close_finish(session.link, closed);
    g_clear_object(&session.link);
    session_end(&session);
}

static void
test_cancel_open(Place *place, gconstpointer unused)
{
    g_autofree char *text = build_pipe(place->path, "");
    int listener = place_listen(place);
    guint before = kd_test_count_fds();
    (void)unused;
    /* Before, in the same turn, one turn later, and when the result is there unasked for */
    for (guint moment = 0; moment < 4; moment++) {
        Session session;
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        if (moment == 0)
            g_cancellable_cancel(cancellable);
        session_start(&session, cancellable, text);
        if (moment == 2)
            g_main_context_iteration(NULL, FALSE);
        if (moment < 3)
            g_cancellable_cancel(cancellable);
        GAsyncResult *result = kd_test_wait(&session.done);
        g_cancellable_cancel(cancellable);
        g_assert_null(com->open_finish(result, &session.endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_assert_cmpint(session.endpoint.fd, ==, -1);
        g_object_unref(result);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    close(listener);
}

static void
test_no_leak(Place *place, gconstpointer unused)
{
    g_autofree char *text = build_pipe(place->path, ", 'reconnect': <true>");
    int listener = place_listen(place);
    guint before = kd_test_count_fds();
    (void)unused;
    for (guint round = 0; round < 300; round++) {
        Session session;
        g_autoptr(GError) error = NULL;
        g_assert_true(session_open(&session, text, &error));
        g_assert_no_error(error);
        close(accept_one(listener));
        session_end(&session);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    close(listener);
}

/* ---- terminals ------------------------------------------------------------------------------- */

static int
open_pty(char **path)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(master, >=, 0);
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    *path = g_strdup(ptsname(master));
    return master;
}

/* A pty has one termios for both ends. */
static struct termios2
get_termios(int master)
{
    struct termios2 settings = {0};
    g_assert_cmpint(ioctl(master, TCGETS2, &settings), ==, 0);
    return settings;
}

static void
test_line(void)
{
    Session session;
    uint32_t baud = 0;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = open_pty(&path);
    struct termios2 before = get_termios(master);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 57600>}", path);
    g_assert_true(session_open(&session, text, &error));
    g_assert_no_error(error);
    struct termios2 now = get_termios(master);
    g_assert_cmpuint(now.c_ospeed, ==, 57600);
    g_assert_cmpuint(now.c_ispeed, ==, 57600);
    g_assert_cmpuint(now.c_lflag, ==, 0);
    g_assert_cmpuint(now.c_oflag, ==, 0);
    g_assert_cmpuint(now.c_cflag & (CLOCAL | CREAD | CSIZE | HUPCL), ==, CLOCAL | CREAD | CS8);
    g_assert_true(g_variant_lookup(session.endpoint.facts, "baud", "u", &baud));
    g_assert_cmpuint(baud, ==, 57600);
    check_bytes(master, session.endpoint.fd);
    check_bytes(session.endpoint.fd, master);
    session_end(&session);
    struct termios2 after = get_termios(master);
    g_assert_cmpmem(&after, sizeof(after), &before, sizeof(before));
    close(master);
}

static gboolean
control_baud(Session *session, uint32_t baud, uint32_t *got, GError **error)
{
    g_autoptr(GVariant) arg = g_variant_ref_sink(g_variant_new_uint32(baud));
    g_autoptr(GVariant) out = NULL;
    com->control_async(session->link, KD_CONTROL_BAUD, arg, NULL, kd_test_on_done, &session->done);
    g_assert_null(session->done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    if (!com->control_finish(session->link, result, &out, error))
        return FALSE;
    *got = g_variant_get_uint32(out);
    return TRUE;
}

static void
test_control_baud(void)
{
    Session session;
    uint32_t got = 0;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 9600>}", path);
    g_assert_true(session_open(&session, text, NULL));
    /* No speed of the classic list */
    g_assert_true(control_baud(&session, 1234567, &got, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(got, ==, 1234567);
    g_assert_cmpuint(get_termios(master).c_ospeed, ==, 1234567);
    g_assert_false(control_baud(&session, 7, &got, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    session_end(&session);
    close(master);
}

static void
test_control_other(Place *place, gconstpointer unused)
{
    Session session;
    uint32_t got = 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = build_pipe(place->path, "");
    int listener = place_listen(place);
    (void)unused;
    g_assert_true(session_open(&session, text, NULL));
    g_assert_false(control_baud(&session, 9600, &got, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_clear_error(&error);
    com->control_async(session.link, KD_CONTROL_PURGE, NULL, NULL, kd_test_on_done, &session.done);
    g_assert_null(session.done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
    g_assert_false(com->control_finish(session.link, result, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    session_end(&session);
    close(listener);
}

static void
test_busy(void)
{
    Session first;
    Session second;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 9600>}", path);
    g_assert_true(session_open(&first, text, NULL));
    g_assert_false(session_open(&second, text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    /* The one that was refused has changed nothing. */
    g_assert_cmpuint(get_termios(master).c_ospeed, ==, 9600);
    /* Closing frees the line, though the endpoint is the host's and open still. */
    int endpoint_fd = first.endpoint.fd;
    first.endpoint.fd = -1;
    session_end(&first);
    g_assert_true(session_open(&second, text, &error));
    g_assert_no_error(error);
    session_end(&second);
    close(endpoint_fd);
    close(master);
}

static void
test_pipe_terminal(void)
{
    Session session;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = open_pty(&path);
    guint32 before = get_termios(master).c_ospeed;
    g_autofree char *text = build_pipe(path, "");
    g_assert_true(session_open(&session, text, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(get_termios(master).c_ospeed, ==, before);
    check_bytes(master, session.endpoint.fd);
    session_end(&session);
    close(master);
}

static void
test_line_comes_back(Place *place, gconstpointer unused)
{
    /* An adapter by its stable name: pulled out, and back as another device */
    Session session;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf(
        "{'port': <'%s'>, 'baud': <uint64 38400>, 'reconnect': <true>}", place->path);
    int master = open_pty(&first);
    (void)unused;
    g_assert_cmpint(symlink(first, place->path), ==, 0);
    g_assert_true(session_open(&session, text, &error));
    g_assert_no_error(error);
    close(master);
    g_unlink(place->path);
    session_drop_endpoint(&session);
    com->reopen_async(session.link, NULL, kd_test_on_done, &session.done);
    g_main_context_iteration(NULL, TRUE);
    master = open_pty(&second);
    g_assert_cmpint(symlink(second, place->path), ==, 0);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
    g_assert_true(com->reopen_finish(session.link, result, &session.endpoint, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(get_termios(master).c_ospeed, ==, 38400);
    check_bytes(master, session.endpoint.fd);
    session_end(&session);
    close(master);
}

/* ---- TCP, rules, names ----------------------------------------------------------------------- */

static void
test_ip(void)
{
    Session session;
    uint16_t port = 0;
    g_autoptr(GError) error = NULL;
    int listener = kd_test_listen(AF_INET, 0, &port);
    g_autofree char *text = g_strdup_printf("{'port': <'127.0.0.1'>, 'ipport': <uint64 %u>}", port);
    guint before = kd_test_host_get_n_dial_checks();
    g_assert_true(session_open(&session, text, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(kd_test_host_get_n_dial_checks(), ==, before + 1);
    int peer = accept_one(listener);
    check_bytes(peer, session.endpoint.fd);
    session_end(&session);
    close(peer);
    kd_test_host_deny_addresses(TRUE);
    g_assert_false(session_open(&session, text, &error));
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
        Session session;
        g_autoptr(GError) error = NULL;
        g_assert_false(session_open(&session, cases[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
        g_assert_cmpuint(session.n_notes, ==, 0);
    }
}

static char *
get_lock_name(const char *text)
{
    g_autoptr(GVariant) params = kd_test_params("%s", text);
    char **names = com->build_lock_names(kd_test_host_get(), params);
    g_assert_cmpuint(g_strv_length(names), >=, 1);
    char *name = g_strdup(names[0]);
    g_strfreev(names);
    return name;
}

static void
check_same_lock(const char *one, const char *other, const char *prefix)
{
    g_autofree char *first = get_lock_name(one);
    g_autofree char *second = get_lock_name(other);
    g_assert_cmpstr(first, ==, second);
    g_assert_true(g_str_has_prefix(first, prefix));
}

static void
test_locks(Place *place, gconstpointer unused)
{
    g_autofree char *tty = NULL;
    int master = open_pty(&tty);
    g_autofree char *by_name = g_build_filename(place->folder, "by-id", NULL);
    g_autofree char *folder = g_build_filename(place->folder, "link", NULL);
    g_autofree char *linked = g_build_filename(folder, "vm.sock", NULL);
    g_autofree char *dotted = g_strdup_printf("%s/../link/./vm.sock", folder);
    (void)unused;
    g_assert_cmpint(symlink(tty, by_name), ==, 0);
    g_assert_cmpint(symlink(place->folder, folder), ==, 0);
    g_autofree char *line = g_strdup_printf("{'port': <'%s'>}", tty);
    g_autofree char *line_link = g_strdup_printf("{'port': <'%s'>}", by_name);
    g_autofree char *line_pipe = build_pipe(tty, "");
    check_same_lock(line, line_link, "dev:");
    check_same_lock(line, line_pipe, "dev:");
    g_autofree char *real = build_pipe(place->path, "");
    g_autofree char *through_link = build_pipe(linked, "");
    g_autofree char *through_dots = build_pipe(dotted, "");
    /* While the socket is missing, and when it is there */
    check_same_lock(real, through_link, "unix:/");
    g_autofree char *missing = get_lock_name(real);
    int listener = place_listen(place);
    check_same_lock(real, through_link, "unix:/");
    check_same_lock(real, through_dots, "unix:/");
    g_autofree char *present = get_lock_name(real);
    g_assert_cmpstr(missing, ==, present);
    check_same_lock("{'port': <'VM.example'>, 'ipport': <uint64 5000>}",
                    "{'port': <'vm.Example'>, 'ipport': <uint64 5000>}", "tcp:vm.example:5000");
    static const char *const ourselves[] = {"localhost", "LOCALHOST.", "127.0.0.1",
                                            "::1",       "[::1]",      "::ffff:127.0.0.1"};
    for (size_t i = 0; i < G_N_ELEMENTS(ourselves); i++) {
        g_autofree char *text =
            g_strdup_printf("{'port': <'%s'>, 'ipport': <uint64 5000>}", ourselves[i]);
        check_same_lock(text, "{'port': <'localhost'>, 'ipport': <uint64 5000>}", "tcp:");
    }
    check_same_lock("{'port': <'::ffff:192.0.2.1'>, 'ipport': <uint64 5000>}",
                    "{'port': <'192.0.2.1'>, 'ipport': <uint64 5000>}", "tcp:192.0.2.1:");
    check_same_lock("{'port': <'[2001:DB8:0::1]'>, 'ipport': <uint64 5000>}",
                    "{'port': <'2001:db8::1'>, 'ipport': <uint64 5000>}", "tcp:2001:db8::1:");
    check_same_lock("{'port': <'com2'>}", "{'port': <'/dev/ttyS1'>}", "");
    check_same_lock("{'port': <'COM2'>}", "{'port': <'ttyS1'>}", "");
    g_unlink(by_name);
    g_unlink(folder);
    close(listener);
    close(master);
}

/* Two hard links are one socket. */
static void
test_lock_of_hard_link(Place *place, gconstpointer unused)
{
    g_autofree char *other = g_build_filename(place->folder, "other.sock", NULL);
    int listener = place_listen(place);
    (void)unused;
    g_assert_no_errno(link(place->path, other));
    g_autofree char *one_text = build_pipe(place->path, "");
    g_autofree char *other_text = build_pipe(other, "");
    g_autoptr(GVariant) one = kd_test_params("%s", one_text);
    g_autoptr(GVariant) two = kd_test_params("%s", other_text);
    g_auto(GStrv) names = com->build_lock_names(kd_test_host_get(), one);
    g_auto(GStrv) others = com->build_lock_names(kd_test_host_get(), two);
    g_assert_cmpstr(names[0], !=, others[0]);
    g_assert_true(g_str_has_prefix(names[1], "file:"));
    g_assert_cmpstr(names[1], ==, others[1]);
    g_unlink(other);
    close(listener);
}

static void
test_check(void)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } cases[] = {
        {"{'port': <'2'>}", KD_ERROR_PARAM_INVALID, "com: port=2: write port=com2"},
        {"{'port': <'com0'>}", KD_ERROR_PARAM_INVALID, "com: port=com0: com1 to com256 are known"},
        {"{'port': <'lpt1'>}", KD_ERROR_PARAM_INVALID,
         "com: port=lpt1: neither com1 and so on nor the path of a line"},
        {"{'port': <'/dev/ttyS0'>, 'ipport': <uint64 5000>}", KD_ERROR_PARAM_INVALID,
         "com: port=/dev/ttyS0: with ipport the name or the address of a host"},
    };
    static const char *const good[] = {
        "{'port': <'com2'>}",
        "{'port': <'/dev/ttyUSB0'>, 'baud': <uint64 57600>, 'resets': <uint64 0>}",
        "{'port': <'ttyUSB0'>}",
        "{'port': <'\\\\\\\\.\\\\com12'>}",
        "{'port': <'/run/vm'>, 'pipe': <true>, 'reconnect': <true>}",
        "{'port': <'::1'>, 'ipport': <uint64 5000>}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GVariant) params = kd_test_params("%s", cases[i].text);
        g_autoptr(GError) error = NULL;
        g_assert_false(com->check(params, &error));
        g_assert_error(error, KD_ERROR, cases[i].code);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GVariant) params = kd_test_params("%s", good[i]);
        g_autoptr(GError) error = NULL;
        g_assert_true(com->check(params, &error));
        g_assert_no_error(error);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        com = kd_test_load_plugin("kdsrv-target-com.so")->targets[0];
#define ADD(name, fn) g_test_add("/serial/" name, Place, NULL, place_set_up, fn, place_tear_down)
    ADD("pipe/bytes-pass-both-ways", test_pipe);
    ADD("pipe/drain-is-told", test_drain);
    ADD("pipe/missing-socket-is-named", test_missing);
    ADD("pipe/plain-file-is-refused", test_plain_file);
    ADD("pipe/cancelled-opening-leaves-nothing", test_cancel_open);
    ADD("pipe/many-sessions-keep-no-descriptor", test_no_leak);
    ADD("pipe/other-controls-are-refused", test_control_other);
    g_test_add_func("/serial/pipe/terminal-keeps-its-speed", test_pipe_terminal);
    ADD("reconnect/waits-at-the-start-and-says-so-once", test_wait_at_start);
    ADD("reconnect/reopens-when-the-socket-is-back", test_reopen);
    ADD("reconnect/does-not-spin-on-a-vm-that-hangs-up", test_quick_loss);
    ADD("reconnect/without-it-a-loss-is-final", test_no_reconnect);
    ADD("reconnect/cancel-ends-waiting", test_cancel_reopen);
    ADD("reconnect/close-ends-waiting", test_close_while_waiting);
    ADD("reconnect/line-comes-back-as-another-device", test_line_comes_back);
    g_test_add_func("/serial/line/speed-is-set-and-settings-restored", test_line);
    g_test_add_func("/serial/line/speed-changes-by-control", test_control_baud);
    g_test_add_func("/serial/line/second-opening-is-refused", test_busy);
    g_test_add_func("/serial/ip/rules-are-asked-and-bytes-pass", test_ip);
    g_test_add_func("/serial/policy/refusal-is-not-waited-out", test_policy);
    ADD("lock/two-spellings-give-one-name", test_locks);
    ADD("lock/two-hard-links-share-a-name", test_lock_of_hard_link);
    g_test_add_func("/serial/check/wrong-keys-are-named", test_check);
    return g_test_run();
}

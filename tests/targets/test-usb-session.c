/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The usb module with the link layer in it, between a debugger and a simulated target; the devices
 * are umockdev's. The debugger has a thread of its own, the module is on the main one. */
#include "kd-debugger-script.h"
#include "kd-test-host.h"
#include "kd-usb-target.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const KdTarget *usb;

/* ---- a session: the module's stream, and a socket to the debugger's thread ---------------------
 */

typedef struct {
    KdUsbMock *mock; /* (nullable): the case is skipped */
    KdSink sink;
    KdTestDone done;
    GObject *link;
    KdEndpoint endpoint;
    GString *events;
    /* between stream and socket */
    int fd;
    GSource *watch;
    GSource *pump;
    uint8_t bytes[65536]; /* from the stream, that the socket has not taken */
    size_t len_bytes;
    /* the debugger's thread */
    GMutex lock;
    GCond cond;
    int debugger_fd;
    gboolean is_over;
} Session;

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    static const char *const names[] = {"", "lost", "back", "resync"};
    Session *session = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    if (event == KD_EVENT_NOTE) {
        g_test_message("note: %s", g_variant_get_string(owned, NULL));
        return;
    }
    g_assert_cmpuint(event, <=, KD_EVENT_RESYNC);
    g_test_message("%s", names[event]);
    g_string_append_printf(session->events, "%s ", names[event]);
}

static gboolean
on_pump(gpointer user)
{
    Session *session = user;
    KdStream *stream = session->endpoint.stream;
    const KdStreamOps *ops = session->endpoint.ops;
    uint8_t bytes[4096];
    g_source_set_ready_time(session->pump, -1);
    while (session->fd >= 0) {
        if (session->len_bytes == 0) {
            gssize n = ops->read(stream, session->bytes, sizeof session->bytes);
            g_assert_cmpint(n, !=, 0);
            session->len_bytes = n > 0 ? (size_t)n : 0;
        }
        if (session->len_bytes == 0)
            break;
        ssize_t n = send(session->fd, session->bytes, session->len_bytes, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        session->len_bytes -= (size_t)n;
        memmove(session->bytes, session->bytes + n, session->len_bytes);
    }
    while (session->fd >= 0) {
        ssize_t n = recv(session->fd, bytes, sizeof bytes, MSG_PEEK);
        gssize taken = n > 0 ? ops->write(stream, bytes, (size_t)n) : 0;
        if (taken <= 0)
            break;
        (void)recv(session->fd, bytes, (size_t)taken, 0);
    }
    return G_SOURCE_CONTINUE;
}

static void
on_ready(void *user, uint32_t ready)
{
    Session *session = user;
    (void)ready;
    g_source_set_ready_time(session->pump, 0);
}

static gboolean
on_socket(int fd, GIOCondition condition, gpointer user)
{
    (void)fd, (void)condition;
    (void)on_pump(user);
    return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_pump(GSource *source, GSourceFunc fn, gpointer user)
{
    (void)source;
    return fn(user);
}

static void
detach(Session *session)
{
    if (session->fd < 0)
        return;
    session->endpoint.ops->set_ready(session->endpoint.stream, NULL, NULL);
    g_source_destroy(session->watch);
    g_clear_pointer(&session->watch, g_source_unref);
    close(session->fd);
    session->fd = -1;
    session->len_bytes = 0;
}

/* Another debugger takes the session up, as the host lets it. */
static gboolean
on_attach(gpointer user)
{
    Session *session = user;
    int fds[2];
    detach(session);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(fcntl(fds[0], F_SETFL, O_NONBLOCK), ==, 0);
    session->fd = fds[0];
    session->watch = g_unix_fd_source_new(fds[0], G_IO_IN);
    g_source_set_callback(session->watch, G_SOURCE_FUNC(on_socket), session, NULL);
    g_source_attach(session->watch, NULL);
    session->endpoint.ops->set_ready(session->endpoint.stream, on_ready, session);
    g_source_set_ready_time(session->pump, 0);
    g_mutex_lock(&session->lock);
    session->debugger_fd = fds[1];
    g_cond_broadcast(&session->cond);
    g_mutex_unlock(&session->lock);
    return G_SOURCE_REMOVE;
}

static void
session_open(Session *session, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_test_params("{'targetname': <'%s'>}", name);
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    session->sink = (KdSink){.struct_size = sizeof(KdSink), .event = on_event, .user = session};
    session->endpoint = (KdEndpoint){.struct_size = sizeof(KdEndpoint), .fd = -1};
    usb->open_async(kd_test_host_get(), params, who, &session->sink, NULL, kd_test_on_done,
                    &session->done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    session->link = usb->open_finish(result, &session->endpoint, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(session->endpoint.flags & KD_ENDPOINT_KEEP, !=, 0);
}

static void
session_close(Session *session)
{
    detach(session);
    usb->close_async(session->link, kd_test_on_done, &session->done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    usb->close_finish(session->link, result);
    session->endpoint.ops->destroy(session->endpoint.stream);
    g_clear_pointer(&session->endpoint.facts, g_variant_unref);
    g_clear_object(&session->link);
}

static void
session_init(Session *session)
{
    static GSourceFuncs funcs = {.dispatch = dispatch_pump};
    session->events = g_string_new(NULL);
    session->fd = -1;
    session->debugger_fd = -1;
    session->pump = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(session->pump, on_pump, session, NULL);
    g_source_attach(session->pump, NULL);
    g_mutex_init(&session->lock);
    g_cond_init(&session->cond);
}

static void
set_up(Session *session, gconstpointer unused)
{
    (void)unused;
    session->mock = kd_usb_mock_new();
    session_init(session);
}

static void
session_clear(Session *session)
{
    g_source_destroy(session->pump);
    g_source_unref(session->pump);
    g_string_free(session->events, TRUE);
    g_mutex_clear(&session->lock);
    g_cond_clear(&session->cond);
}

static void
tear_down(Session *session, gconstpointer unused)
{
    (void)unused;
    session_clear(session);
    kd_usb_mock_free(session->mock);
}

/* ---- in the debugger's thread ---------------------------------------------------------------- */

static KdDebugger *
open_debugger(void *user, GError **error)
{
    Session *session = user;
    (void)error;
    g_main_context_invoke(NULL, on_attach, session);
    g_mutex_lock(&session->lock);
    while (session->debugger_fd < 0)
        g_cond_wait(&session->cond, &session->lock);
    int fd = session->debugger_fd;
    session->debugger_fd = -1;
    g_mutex_unlock(&session->lock);
    return kd_debugger_new(fd, fd);
}

typedef struct {
    Session *session;
    KdUsbTarget *target;
    gpointer (*fn)(gpointer user);
    KdDebuggerScript script;
} Job;

static gboolean
on_over(gpointer user)
{
    ((Session *)user)->is_over = TRUE;
    return G_SOURCE_REMOVE;
}

static gpointer
run_script(gpointer user)
{
    Job *job = user;
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = kd_debugger_script_get_expected(&job->script);
    g_autofree char *transcript =
        kd_debugger_script_run(&job->script, open_debugger, job->session, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(transcript, ==, expected);
    return NULL;
}

static void
must_order(KdDebugger *debugger, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) transcript = g_string_new(NULL);
    gboolean is_done = kd_debugger_script_order(debugger, line, transcript, &error);
    g_assert_no_error(error);
    g_assert_true(is_done);
}

static gpointer
run_thread(gpointer user)
{
    Job *job = user;
    gpointer result = job->fn(job);
    g_main_context_invoke(NULL, on_over, job->session);
    return result;
}

/* Turns the loop while the debugger works; there is no end to wait for but its own. */
static void
run(Job *job)
{
    GThread *thread = g_thread_new("debugger", run_thread, job);
    while (!job->session->is_over)
        g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void
run_case(Session *session, const KdUsbTargetOptions *options, size_t read_bytes)
{
    if (session->mock == NULL)
        return;
    g_autoptr(KdUsbTarget) target = kd_usb_target_new(session->mock, options);
    Job job = {.session = session,
               .target = target,
               .fn = run_script,
               .script = {.read_bytes = read_bytes}};
    session_open(session, "kdsim");
    run(&job);
    session_close(session);
}

static void
test_script(Session *session, gconstpointer unused)
{
    static const KdUsbTargetOptions options = {.sim = {.name = "KDSIM"}};
    (void)unused;
    run_case(session, &options, 1024 * 1024);
    g_assert_cmpstr(session->events->str, ==, "");
}

static void
test_script_replugged(Session *session, gconstpointer unused)
{
    static const KdUsbTargetOptions options = {
        .sim = {.name = "KDSIM", .boot_ms = 200, .is_name_late = TRUE}, .is_replugged = TRUE};
    (void)unused;
    run_case(session, &options, 65536);
    if (session->mock != NULL)
        g_assert_cmpstr(session->events->str, ==, "lost back resync ");
}

static void
test_script_lossy(Session *session, gconstpointer unused)
{
    static const KdUsbTargetOptions options = {
        .sim = {.name = "KDSIM",
                .seed = 5,
                .faults = {.loss = 0.02, .duplicate = 0.05, .corrupt = 0.01}},
        .chaos_percent = 4};
    (void)unused;
    run_case(session, &options, 65536);
}

static gpointer
unplug_and_replug(gpointer user)
{
    Job *job = user;
    g_autoptr(KdDebugger) debugger = open_debugger(job->session, NULL);
    must_order(debugger, "attach");
    must_order(debugger, "read pattern 65536");
    for (guint i = 0; i < 3; i++) {
        kd_usb_target_unplug(job->target);
        kd_usb_target_plug(job->target);
        must_order(debugger, "read pattern 65536");
    }
    must_order(debugger, "continue");
    must_order(debugger, "break");
    must_order(debugger, "read pattern 4096");
    return NULL;
}

static void
test_replug(Session *session, gconstpointer unused)
{
    static const KdUsbTargetOptions options = {.sim = {.name = "KDSIM"}};
    (void)unused;
    if (session->mock == NULL)
        return;
    g_autoptr(KdUsbTarget) target = kd_usb_target_new(session->mock, &options);
    Job job = {.session = session, .target = target, .fn = unplug_and_replug};
    session_open(session, "KDSIM");
    run(&job);
    session_close(session);
    g_assert_cmpuint(kd_usb_target_get_n_plugged(target), ==, 4);
    g_assert_cmpstr(session->events->str, ==, "lost back lost back lost back ");
}

static gpointer
use_one(gpointer user)
{
    Job *job = user;
    g_autoptr(KdDebugger) debugger = open_debugger(job->session, NULL);
    must_order(debugger, "attach");
    must_order(debugger, "version");
    must_order(debugger, "read pattern 20000");
    return NULL;
}

static void
test_two(Session *session, gconstpointer unused)
{
    static const KdUsbTargetOptions options[] = {{.sim = {.name = "ONE"}},
                                                 {.sim = {.name = "TWO"}}};
    Session other = {0};
    (void)unused;
    if (session->mock == NULL)
        return;
    g_autoptr(KdUsbTarget) one = kd_usb_target_new(session->mock, &options[0]);
    g_autoptr(KdUsbTarget) two = kd_usb_target_new(session->mock, &options[1]);
    Job first = {.session = session, .target = one, .fn = use_one};
    Job second = {.session = &other, .target = two, .fn = use_one};
    session_init(&other);
    session_open(session, "ONE");
    session_open(&other, "TWO");
    GThread *thread = g_thread_new("debugger", run_thread, &second);
    run(&first);
    while (!other.is_over)
        g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
    session_close(&other);
    session_close(session);
    session_clear(&other);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        usb = kd_test_load_plugin("kdsrv-target-usb.so")->targets[0];
    g_test_add("/usb/session/is-the-same-as-on-any-link", Session, NULL, set_up, test_script,
               tear_down);
    g_test_add("/usb/session/outlives-a-restart-of-the-target", Session, NULL, set_up,
               test_script_replugged, tear_down);
    g_test_add("/usb/session/is-right-on-a-bad-cable", Session, NULL, set_up, test_script_lossy,
               tear_down);
    g_test_add("/usb/session/outlives-an-unplug", Session, NULL, set_up, test_replug, tear_down);
    g_test_add("/usb/session/two-targets-at-once", Session, NULL, set_up, test_two, tear_down);
    return g_test_run();
}

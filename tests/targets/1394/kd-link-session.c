/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger at a link of a module, in one process: the module on the main thread, the debugger on
 * one of its own. */
#include "kd-link-session.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What was read on one side and not written to the other yet */
typedef struct {
    uint8_t bytes[8192];
    size_t len;
} Parcel;

struct KdLinkSession {
    const KdTarget *target;
    KdSink sink;
    KdTestDone done;
    GObject *link;
    KdEndpoint endpoint;
    GString *events;
    Parcel to_debugger;
    Parcel to_target;
    int fd; /* of the socket to the debugger; -1: there is none */
    guint fd_source;
    guint turn_source;
    /* with the debugger's thread */
    GMutex lock;
    GCond cond;
    int debugger_fd; /* for the debugger that is about to come; -1: not yet */
    KdLinkSessionFunc fn;
    void *user;
    gboolean is_over;
};

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    KdLinkSession *session = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    if (event == KD_EVENT_NOTE) {
        g_test_message("note: %s", g_variant_get_string(owned, NULL));
        return;
    }
    const char *name = event == KD_EVENT_LOST     ? "lost "
                       : event == KD_EVENT_BACK   ? "back "
                       : event == KD_EVENT_RESYNC ? "resync "
                                                  : "unknown ";
    g_test_message("event: %s", name);
    g_string_append(session->events, name);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void
drop_front(Parcel *parcel, size_t n)
{
    parcel->len -= n;
    memmove(parcel->bytes, parcel->bytes + n, parcel->len);
}

static gboolean
move_to_debugger(KdLinkSession *session)
{
    Parcel *parcel = &session->to_debugger;
    if (parcel->len == 0) {
        gssize n = session->endpoint.ops->read(session->endpoint.stream, parcel->bytes,
                                               sizeof parcel->bytes);
        g_assert_true(n > 0 || n == -EAGAIN);
        parcel->len = n > 0 ? (size_t)n : 0;
    }
    ssize_t sent =
        parcel->len > 0 ? send(session->fd, parcel->bytes, parcel->len, MSG_NOSIGNAL) : 0;
    if (sent > 0)
        drop_front(parcel, (size_t)sent);
    return sent > 0;
}

static gboolean
move_to_target(KdLinkSession *session)
{
    Parcel *parcel = &session->to_target;
    if (parcel->len == 0) {
        ssize_t n = recv(session->fd, parcel->bytes, sizeof parcel->bytes, 0);
        parcel->len = n > 0 ? (size_t)n : 0;
    }
    gssize taken = parcel->len > 0 ? session->endpoint.ops->write(session->endpoint.stream,
                                                                  parcel->bytes, parcel->len)
                                   : 0;
    g_assert_true(taken >= 0 || taken == -EAGAIN);
    if (taken > 0)
        drop_front(parcel, (size_t)taken);
    return taken > 0;
}

static void
move_all(KdLinkSession *session)
{
    while (session->fd >= 0 && (move_to_debugger(session) || move_to_target(session)))
        continue;
}

static gboolean
on_turn(gpointer user)
{
    KdLinkSession *session = user;
    session->turn_source = 0;
    move_all(session);
    return G_SOURCE_REMOVE;
}

/* The host only takes note in here. */
static void
on_ready(void *user, uint32_t ready)
{
    KdLinkSession *session = user;
    (void)ready;
    if (session->turn_source == 0)
        session->turn_source = g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, session, NULL);
}

static gboolean
on_socket(int fd, GIOCondition condition, gpointer user)
{
    char byte;
    KdLinkSession *session = user;
    (void)condition;
    move_all(session);
    if (recv(fd, &byte, 1, MSG_PEEK) == 0) {
        session->fd_source = 0;
        return G_SOURCE_REMOVE; /* the debugger has gone; the next one makes a new socket */
    }
    return G_SOURCE_CONTINUE;
}

/* ---- debuggers come and go ------------------------------------------------------------------- */

static void
let_go(KdLinkSession *session)
{
    if (session->fd < 0)
        return;
    session->endpoint.ops->set_ready(session->endpoint.stream, NULL, NULL);
    if (session->fd_source != 0)
        g_source_remove(session->fd_source);
    if (session->turn_source != 0)
        g_source_remove(session->turn_source);
    session->fd_source = 0;
    session->turn_source = 0;
    close(session->fd);
    session->fd = -1;
    session->to_debugger.len = 0;
    session->to_target.len = 0;
}

static gboolean
on_attach(gpointer user)
{
    KdLinkSession *session = user;
    int fds[2];
    let_go(session);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(fcntl(fds[0], F_SETFL, O_NONBLOCK), ==, 0);
    session->fd = fds[0];
    session->fd_source = g_unix_fd_add(fds[0], G_IO_IN, on_socket, session);
    session->endpoint.ops->set_ready(session->endpoint.stream, on_ready, session);
    g_mutex_lock(&session->lock);
    session->debugger_fd = fds[1];
    g_cond_signal(&session->cond);
    g_mutex_unlock(&session->lock);
    return G_SOURCE_REMOVE;
}

/**
 * kd_link_session_attach:
 * @session: a #KdLinkSession, whose last debugger has gone
 *
 * Lets a debugger take up the link. Called in the debugger's thread; a #KdDebuggerOpenFunc.
 *
 * Returns: (transfer full)
 */
KdDebugger *
kd_link_session_attach(void *user, GError **error)
{
    KdLinkSession *session = user;
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

/**
 * kd_link_session_order:
 *
 * Has a debugger do what a line says; it must succeed.
 */
void
kd_link_session_order(KdDebugger *debugger, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) transcript = g_string_new(NULL);
    gboolean is_done = kd_debugger_script_order(debugger, line, transcript, &error);
    g_assert_no_error(error);
    g_assert_true(is_done);
}

static gboolean
on_over(gpointer user)
{
    ((KdLinkSession *)user)->is_over = TRUE;
    return G_SOURCE_REMOVE;
}

static gpointer
run_thread(gpointer user)
{
    KdLinkSession *session = user;
    session->fn(session, session->user);
    g_main_context_invoke(NULL, on_over, session);
    return NULL;
}

/**
 * kd_link_session_run:
 * @fn: called in a thread
 *
 * Turns the main context until @fn has ended.
 */
void
kd_link_session_run(KdLinkSession *session, KdLinkSessionFunc fn, void *user)
{
    session->fn = fn;
    session->user = user;
    session->is_over = FALSE;
    GThread *thread = g_thread_new("debugger", run_thread, session);
    while (!session->is_over)
        g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
    let_go(session);
}

/* ---- the link -------------------------------------------------------------------------------- */

/**
 * kd_link_session_open:
 * @params: in GVariant's text form
 *
 * Opens a link.
 *
 * Returns: (transfer full)
 */
KdLinkSession *
kd_link_session_open(const KdTarget *target, const char *params)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) parsed = kd_test_params("%s", params);
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    KdLinkSession *session = g_new0(KdLinkSession, 1);
    session->target = target;
    session->sink = (KdSink){.struct_size = sizeof(KdSink), .event = on_event, .user = session};
    session->endpoint = (KdEndpoint){.struct_size = sizeof(KdEndpoint), .fd = -1};
    session->events = g_string_new(NULL);
    session->fd = -1;
    session->debugger_fd = -1;
    g_mutex_init(&session->lock);
    g_cond_init(&session->cond);
    target->open_async(kd_test_host_get(), parsed, who, &session->sink, NULL, kd_test_on_done,
                       &session->done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    session->link = target->open_finish(result, &session->endpoint, &error);
    g_assert_no_error(error);
    return session;
}

/**
 * kd_link_session_close:
 * @session: (transfer full)
 */
void
kd_link_session_close(KdLinkSession *session)
{
    let_go(session);
    session->target->close_async(session->link, kd_test_on_done, &session->done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    session->target->close_finish(session->link, result);
    session->endpoint.ops->destroy(session->endpoint.stream);
    g_variant_unref(session->endpoint.facts);
    g_object_unref(session->link);
    g_string_free(session->events, TRUE);
    g_mutex_clear(&session->lock);
    g_cond_clear(&session->cond);
    g_free(session);
}

/**
 * kd_link_session_get_events:
 *
 * Returns: (transfer none): `lost`, `back` and `resync` in their order, each with a space behind it
 */
const char *
kd_link_session_get_events(const KdLinkSession *session)
{
    return session->events->str;
}

/**
 * kd_link_session_get_status:
 *
 * Returns: (transfer full): what %KD_CONTROL_STATUS says
 */
GVariant *
kd_link_session_get_status(KdLinkSession *session)
{
    GVariant *status = NULL;
    g_autoptr(GError) error = NULL;
    session->target->control_async(session->link, KD_CONTROL_STATUS, NULL, NULL, kd_test_on_done,
                                   &session->done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    (void)session->target->control_finish(session->link, result, &status, &error);
    g_assert_no_error(error);
    return status;
}

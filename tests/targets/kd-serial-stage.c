/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The com target as a host uses it, for tests: one link, the places it leads to, the far ends. */
#include "kd-serial-stage.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const KdTarget *kd_serial_com;

/**
 * kd_serial_load:
 *
 * Loads the module, unless the program was only asked for its cases.
 */
void
kd_serial_load(void)
{
    if (g_getenv("KD_PLUGINDIR") != NULL)
        kd_serial_com = kd_test_load_plugin("kdsrv-target-com.so")->targets[0];
}

/* ---- one link -------------------------------------------------------------------------------- */

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    KdSerialSession *session = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    if (session->events == NULL)
        session->events = g_string_new(NULL);
    switch (event) {
    case KD_EVENT_LOST:
        g_string_append(session->events, "lost ");
        break;
    case KD_EVENT_BACK:
        g_string_append(session->events, "back ");
        break;
    case KD_EVENT_LINES:
        g_string_append_printf(session->events, "lines 0x%x ", g_variant_get_uint32(owned));
        break;
    default:
        g_assert_cmpuint(event, ==, KD_EVENT_NOTE);
        g_string_append(session->events, "note ");
        session->n_notes++;
        g_free(session->note);
        session->note = g_variant_dup_string(owned, NULL);
        for (const char *at = session->note; *at != '\0'; at++)
            g_assert_false(g_ascii_iscntrl(*at));
        g_test_message("note: %s", session->note);
    }
}

/**
 * kd_serial_get_events:
 *
 * Returns: (transfer none): `note`, `lines 0x40`, `lost` and `back` in their order, each with a
 *    space behind it
 */
const char *
kd_serial_get_events(const KdSerialSession *session)
{
    return session->events != NULL ? session->events->str : "";
}

/**
 * kd_serial_has_note:
 * @session: a #KdSerialSession
 *
 * Returns: whether it has told one
 */
gboolean
kd_serial_has_note(gpointer session)
{
    return ((KdSerialSession *)session)->n_notes > 0;
}

/**
 * kd_serial_start:
 * @session: (out caller-allocates)
 * @text: the parameters in GVariant's text form
 *
 * Starts to open a link.
 */
void
kd_serial_start(KdSerialSession *session, GCancellable *cancellable, const char *text)
{
    g_autoptr(GVariant) params = kd_test_params("%s", text);
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    *session = (KdSerialSession){.sink = {.struct_size = sizeof(KdSink), .event = on_event},
                                 .endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1}};
    session->sink.user = session;
    kd_serial_com->open_async(kd_test_host_get(), params, who, &session->sink, cancellable,
                              kd_test_on_done, &session->done);
    g_assert_null(session->done.result);
}

/**
 * kd_serial_finish:
 *
 * Waits for kd_serial_start().
 *
 * Returns: whether the link is open
 */
gboolean
kd_serial_finish(KdSerialSession *session, GError **error)
{
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    session->link = kd_serial_com->open_finish(result, &session->endpoint, error);
    return session->link != NULL;
}

/**
 * kd_serial_open:
 *
 * Opens a link; kd_serial_end() ends the session in any case.
 */
gboolean
kd_serial_open(KdSerialSession *session, const char *text, GError **error)
{
    kd_serial_start(session, NULL, text);
    return kd_serial_finish(session, error);
}

/**
 * kd_serial_start_reopen:
 *
 * Closes the endpoint, and starts to open it anew, as a host does when it has ended.
 */
void
kd_serial_start_reopen(KdSerialSession *session, GCancellable *cancellable)
{
    kd_serial_drop_endpoint(session);
    kd_serial_com->reopen_async(session->link, cancellable, kd_test_on_done, &session->done);
    g_assert_null(session->done.result);
}

/**
 * kd_serial_finish_reopen:
 *
 * Waits for kd_serial_start_reopen().
 */
gboolean
kd_serial_finish_reopen(KdSerialSession *session, GError **error)
{
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    return kd_serial_com->reopen_finish(session->link, result, &session->endpoint, error);
}

/**
 * kd_serial_reopen:
 *
 * Both of them.
 */
gboolean
kd_serial_reopen(KdSerialSession *session, GCancellable *cancellable, GError **error)
{
    kd_serial_start_reopen(session, cancellable);
    return kd_serial_finish_reopen(session, error);
}

/**
 * kd_serial_start_control:
 * @arg: (nullable): sunk if floating
 *
 * Starts a control operation.
 */
void
kd_serial_start_control(KdSerialSession *session, uint32_t op, GVariant *arg,
                        GCancellable *cancellable)
{
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    kd_serial_com->control_async(session->link, op, owned, cancellable, kd_test_on_done,
                                 &session->controlled);
    g_assert_null(session->controlled.result);
}

/**
 * kd_serial_finish_control:
 *
 * Waits for kd_serial_start_control().
 *
 * Returns: (transfer full) (nullable): the result; of an operation without one `()`
 */
GVariant *
kd_serial_finish_control(KdSerialSession *session, GError **error)
{
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->controlled);
    GVariant *out = NULL;
    if (!kd_serial_com->control_finish(session->link, result, &out, error)) {
        g_assert_null(out);
        return NULL;
    }
    return out != NULL ? out : g_variant_ref_sink(g_variant_new("()"));
}

/**
 * kd_serial_control:
 *
 * Both of them.
 */
GVariant *
kd_serial_control(KdSerialSession *session, uint32_t op, GVariant *arg, GError **error)
{
    kd_serial_start_control(session, op, arg, NULL);
    return kd_serial_finish_control(session, error);
}

/**
 * kd_serial_drop_endpoint:
 *
 * Closes the endpoint, if there is one.
 */
void
kd_serial_drop_endpoint(KdSerialSession *session)
{
    if (session->endpoint.fd >= 0)
        close(session->endpoint.fd);
    session->endpoint.fd = -1;
    g_clear_pointer(&session->endpoint.facts, g_variant_unref);
}

/**
 * kd_serial_end:
 *
 * Closes the link, if there is one, and frees all.
 */
void
kd_serial_end(KdSerialSession *session)
{
    if (session->link != NULL) {
        kd_serial_com->close_async(session->link, kd_test_on_done, &session->done);
        g_assert_null(session->done.result);
        g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
        kd_serial_com->close_finish(session->link, result);
    }
    kd_serial_drop_endpoint(session);
    g_clear_object(&session->link);
    g_clear_pointer(&session->note, g_free);
    if (session->events != NULL)
        g_string_free(g_steal_pointer(&session->events), TRUE);
}

/* ---- places and far ends --------------------------------------------------------------------- */

/**
 * kd_serial_place_set_up:
 *
 * Makes the folder.
 */
void
kd_serial_place_set_up(KdSerialPlace *place, gconstpointer unused)
{
    (void)unused;
    place->folder = g_dir_make_tmp("kd-serial-XXXXXX", NULL);
    place->path = g_build_filename(place->folder, "vm.sock", NULL);
}

/**
 * kd_serial_place_tear_down:
 *
 * Removes it, and what is at the path.
 */
void
kd_serial_place_tear_down(KdSerialPlace *place, gconstpointer unused)
{
    (void)unused;
    g_unlink(place->path);
    g_rmdir(place->folder);
    g_free(place->path);
    g_free(place->folder);
}

/**
 * kd_serial_place_listen:
 *
 * Returns: (transfer full): a listening socket at the path
 */
int
kd_serial_place_listen(const KdSerialPlace *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, place->path, sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

/**
 * kd_serial_build_pipe:
 * @more: further keys, with a comma before each
 *
 * Returns: (transfer full): the parameters of a VM's socket
 */
char *
kd_serial_build_pipe(const char *path, const char *more)
{
    return g_strdup_printf("{'port': <'%s'>, 'pipe': <true>%s}", path, more);
}

/**
 * kd_serial_accept:
 *
 * Returns: (transfer full): the next connection
 */
int
kd_serial_accept(int listener)
{
    kd_test_wait_readable(listener);
    int fd = accept(listener, NULL, NULL);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/**
 * kd_serial_open_pty:
 * @path: (out): of its slave
 *
 * Returns: (transfer full): the master of a new pseudo-terminal
 */
int
kd_serial_open_pty(char **path)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(master, >=, 0);
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    *path = g_strdup(ptsname(master));
    return master;
}

/**
 * kd_serial_get_termios:
 *
 * Returns: the settings of a pseudo-terminal, which has one set for both ends
 */
struct termios2
kd_serial_get_termios(int master)
{
    struct termios2 settings = {0};
    g_assert_cmpint(ioctl(master, TCGETS2, &settings), ==, 0);
    return settings;
}

/**
 * kd_serial_check_bytes:
 *
 * Passes bytes of all kinds and compares what arrives.
 */
void
kd_serial_check_bytes(int from, int to)
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

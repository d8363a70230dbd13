/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One order a line, one line of answer each; `wait` answers when a counter has got there. */
#include "kd-sim-control.h"

#include <glib-unix.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_LINE_BYTES 4096u

struct KdSimControl {
    KdSimTarget *target;
    GMainLoop *loop;
    char *path;
    int fd;
    guint source_id;
    GPtrArray *peers;
};

typedef struct {
    KdSimControl *control;
    int fd;
    guint in_id;
    GString *in;
    char *counter; /* (nullable): `wait` goes on when this one ... */
    guint64 least; /* ... is at least this */
} Peer;

static const struct {
    const char *order;
    void (*fn)(KdSimMachine *machine, gint64 now_us);
} plain_orders[] = {
    {"exception", kd_sim_machine_raise},      {"load-symbols", kd_sim_machine_load_symbols},
    {"getstring", kd_sim_machine_get_string}, {"fileio", kd_sim_machine_create_file},
    {"reboot", kd_sim_machine_reboot},
};

static char *
set_faults(KdSimTarget *target, const char *text)
{
    g_autoptr(GError) error = NULL;
    KdSimFaults *faults = kd_sim_target_get_faults(target);
    KdSimFaultPlan plan = *kd_sim_faults_get_plan(faults);
    gboolean is_stream = kd_sim_target_get_options(target)->dialect == KD_SIM_DIALECT_SERIAL;
    if (!kd_sim_fault_plan_parse(text, is_stream, &plan, &error))
        return g_strconcat("error ", error->message, NULL);
    kd_sim_faults_set(faults, &plan);
    return g_strdup("ok");
}

/**
 * kd_sim_control_order:
 * @line: `print 3`, `exception`, `faults loss=5`, `stat`, ...; README.md of the fakes has them all
 *
 * Does what one line says; `wait` and `quit` need a socket.
 *
 * Returns: (transfer full): the answer: `ok`, `stat ...`, or `error ...`
 */
char *
kd_sim_control_order(KdSimTarget *target, const char *line, gint64 now_us)
{
    KdSimMachine *machine = kd_sim_target_get_machine(target);
    g_auto(GStrv) words = g_strsplit(line, " ", 2);
    const char *order = words[0] != NULL ? words[0] : "";
    const char *rest = words[0] != NULL && words[1] != NULL ? words[1] : "";
    guint64 count = 0;
    /* a turn of the clock tells the parts what time it is */
    kd_sim_target_tick(target, now_us);
    if (strcmp(order, "stat") == 0)
        return kd_sim_target_build_stat(target);
    if (strcmp(order, "string") == 0)
        return g_strconcat("ok ", kd_sim_machine_get_string_read(machine), NULL);
    if (strcmp(order, "faults") == 0)
        return set_faults(target, rest);
    if (strcmp(order, "print") == 0 &&
        g_ascii_string_to_unsigned(rest, 10, 0, 10000000, &count, NULL)) {
        kd_sim_machine_print(machine, (uint32_t)count, now_us);
        return g_strdup("ok");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(plain_orders); i++) {
        if (strcmp(order, plain_orders[i].order) == 0) {
            plain_orders[i].fn(machine, now_us);
            return g_strdup("ok");
        }
    }
    return g_strconcat("error no such order: ", line, NULL);
}

static void
peer_free(gpointer user)
{
    Peer *peer = user;
    g_clear_handle_id(&peer->in_id, g_source_remove);
    close(peer->fd);
    g_string_free(peer->in, TRUE);
    g_free(peer->counter);
    g_free(peer);
}

/* A line is short, and who gives orders reads the answers. */
static void
peer_answer(Peer *peer, const char *text)
{
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    (void)!send(peer->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
peer_start_wait(Peer *peer, const char *rest)
{
    g_auto(GStrv) words = g_strsplit(rest, " ", 2);
    uint64_t value = 0;
    if (words[0] == NULL || words[1] == NULL ||
        !kd_sim_target_find_counter(peer->control->target, words[0], &value) ||
        !g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXUINT64, &peer->least, NULL)) {
        peer_answer(peer, "error wait wants the name of a counter and a number");
        return;
    }
    peer->counter = g_strdup(words[0]);
}

static gboolean
peer_is_waiting(Peer *peer)
{
    uint64_t value = 0;
    if (peer->counter == NULL)
        return FALSE;
    (void)kd_sim_target_find_counter(peer->control->target, peer->counter, &value);
    if (value < peer->least)
        return TRUE;
    g_clear_pointer(&peer->counter, g_free);
    peer_answer(peer, "ok");
    return FALSE;
}

static void
peer_run(Peer *peer)
{
    char *newline = NULL;
    while (!peer_is_waiting(peer) && (newline = strchr(peer->in->str, '\n')) != NULL) {
        g_autofree char *line = g_strndup(peer->in->str, (gsize)(newline - peer->in->str));
        g_string_erase(peer->in, 0, newline - peer->in->str + 1);
        if (g_str_has_prefix(line, "wait ")) {
            peer_start_wait(peer, line + strlen("wait "));
        } else if (strcmp(line, "quit") == 0) {
            peer_answer(peer, "ok");
            g_main_loop_quit(peer->control->loop);
        } else {
            g_autofree char *answer =
                kd_sim_control_order(peer->control->target, line, g_get_monotonic_time());
            peer_answer(peer, answer);
        }
    }
}

static gboolean
on_peer_readable(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Peer *peer = user;
    char chunk[1024];
    ssize_t n = recv(fd, chunk, sizeof chunk, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0 || peer->in->len + (size_t)n > MAX_LINE_BYTES) {
        peer->in_id = 0;
        g_ptr_array_remove(peer->control->peers, peer);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(peer->in, chunk, n);
    peer_run(peer);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_connected(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    KdSimControl *control = user;
    int peer_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer_fd < 0)
        return G_SOURCE_CONTINUE;
    Peer *peer = g_new0(Peer, 1);
    peer->control = control;
    peer->fd = peer_fd;
    peer->in = g_string_new(NULL);
    peer->in_id = g_unix_fd_add(peer_fd, G_IO_IN, on_peer_readable, peer);
    g_ptr_array_add(control->peers, peer);
    return G_SOURCE_CONTINUE;
}

/**
 * kd_sim_control_new:
 * @path: of a socket, which is made
 * @loop: borrowed; what `quit` ends
 *
 * Takes orders from now on; kd_sim_control_settle() answers those who wait.
 */
KdSimControl *
kd_sim_control_new(KdSimTarget *target, const char *path, GMainLoop *loop, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    gboolean is_short =
        g_strlcpy(address.sun_path, path, sizeof address.sun_path) < sizeof address.sun_path;
    if (is_short && lstat(path, &found) == 0 && S_ISSOCK(found.st_mode))
        (void)unlink(path);
    errno = ENAMETOOLONG;
    int fd = is_short ? socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 8) != 0) {
        int saved = errno;
        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(saved), "--control %s: %s", path,
                    g_strerror(saved));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    KdSimControl *control = g_new0(KdSimControl, 1);
    control->target = target;
    control->loop = loop;
    control->path = g_strdup(path);
    control->fd = fd;
    control->peers = g_ptr_array_new_with_free_func(peer_free);
    control->source_id = g_unix_fd_add(fd, G_IO_IN, on_connected, control);
    return control;
}

/**
 * kd_sim_control_free:
 *
 * Closes the socket and what is connected to it, and removes the file.
 */
void
kd_sim_control_free(KdSimControl *control)
{
    g_source_remove(control->source_id);
    g_ptr_array_unref(control->peers);
    close(control->fd);
    (void)unlink(control->path);
    g_free(control->path);
    g_free(control);
}

/**
 * kd_sim_control_settle:
 *
 * Answers those who wait for a counter that has got there.
 */
void
kd_sim_control_settle(KdSimControl *control)
{
    for (guint i = 0; i < control->peers->len; i++) {
        Peer *peer = g_ptr_array_index(control->peers, i);
        if (peer->counter != NULL)
            peer_run(peer);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pipe of another machine: the user's ssh runs `kd --pipe-bridge` there.
 *
 * ssh has one end of a socket pair for stdin and stdout, the host has the other. We keep ssh's end
 * open, too: it tells when the host has closed its own, and it is closed when ssh has ended, which
 * the host then reads as the end. */
#include "npipe-ssh.h"

#include <kdsrv-support/kd-source.h>

#include <glib-unix.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the far side says on stderr once it is connected; bytes of the pipe tell the same. */
#define READY_LINE "kd: pipe-bridge: ready"

/* For people who are asked for passwords and host keys */
#define LIMIT_MS 120000u
/* For what was written last, then for ssh to end by itself */
#define GRACE_MS 2000u

#define MAX_LINE_BYTES 512u

/**
 * Ssh:
 * @task: (nullable): until the far side is connected
 * @fd: the host's end until then, -1 = it has it
 * @keeper_fd: ssh's end
 * @error_fd: ssh's stderr
 * @first_watch: (nullable): waits for bytes of the pipe
 * @timer: (nullable): limit of the start, later of the end
 * @hangup: (nullable): waits for the host to close its end
 * @line: of stderr, so far
 * @last_line: (nullable): the last one that is no READY_LINE
 * @is_stopping: we have told it to end
 *
 * One process; lives until that has ended.
 */
typedef struct {
    const KdHost *host;
    GTask *task;
    GSubprocess *process;
    char *remote;
    char *pipe;
    int fd;
    int keeper_fd;
    int error_fd;
    KdWatch *error_watch;
    KdWatch *first_watch;
    GSource *timer;
    GSource *cancel;
    GSource *hangup;
    GString *line;
    char *last_line;
    gboolean is_stopping;
} Ssh;

static void
drop_watch(const Ssh *ssh, KdWatch **watch)
{
    if (*watch != NULL) {
        ssh->host->watch_remove(g_steal_pointer(watch));
    }
}

static void
drop_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void
ssh_free(Ssh *ssh)
{
    drop_watch(ssh, &ssh->error_watch);
    drop_watch(ssh, &ssh->first_watch);
    kd_source_clear(&ssh->timer);
    kd_source_clear(&ssh->cancel);
    kd_source_clear(&ssh->hangup);
    drop_fd(&ssh->fd);
    drop_fd(&ssh->keeper_fd);
    drop_fd(&ssh->error_fd);
    g_clear_object(&ssh->process);
    g_string_free(ssh->line, TRUE);
    g_free(ssh->last_line);
    g_free(ssh->remote);
    g_free(ssh->pipe);
    g_free(ssh);
}

/* ---- the end ---- */

static gboolean
on_still_there(gpointer user_data)
{
    Ssh *ssh = user_data;
    kd_source_clear(&ssh->timer);
    g_subprocess_force_exit(ssh->process);
    return G_SOURCE_REMOVE;
}

static void
stop_now(Ssh *ssh)
{
    ssh->is_stopping = TRUE;
    g_subprocess_send_signal(ssh->process, SIGTERM);
    kd_source_start_timer(&ssh->timer, GRACE_MS, on_still_there, ssh);
}

static gboolean
on_grace_over(gpointer user_data)
{
    stop_now(user_data);
    return G_SOURCE_REMOVE;
}

/* The host has closed its end, maybe right after its last word: ssh ends when it has brought that
 * over, unless the way is blocked. */
static gboolean
on_host_gone(gint fd, GIOCondition condition, gpointer user_data)
{
    Ssh *ssh = user_data;
    (void)fd;
    (void)condition;
    kd_source_clear(&ssh->hangup);
    drop_fd(&ssh->keeper_fd);
    ssh->is_stopping = TRUE;
    kd_source_start_timer(&ssh->timer, GRACE_MS, on_grace_over, ssh);
    return G_SOURCE_REMOVE;
}

/* ---- the answer ---- */

static GTask *
take_task(Ssh *ssh)
{
    drop_watch(ssh, &ssh->first_watch);
    kd_source_clear(&ssh->timer);
    kd_source_clear(&ssh->cancel);
    return g_steal_pointer(&ssh->task);
}

static void
close_result(gpointer result)
{
    close(GPOINTER_TO_INT(result) - 1);
}

static void
return_fd(Ssh *ssh)
{
    g_autoptr(GTask) task = take_task(ssh);
    int fd = ssh->fd;
    ssh->fd = -1;
    ssh->hangup = g_unix_fd_source_new(ssh->keeper_fd, G_IO_HUP);
    g_source_set_callback(ssh->hangup, G_SOURCE_FUNC(on_host_gone), ssh, NULL);
    g_source_attach(ssh->hangup, g_main_context_get_thread_default());
    /* One more than it is, so that 0 does not look like no result. */
    g_task_return_pointer(task, GINT_TO_POINTER(fd + 1), close_result);
}

static void
return_error(Ssh *ssh, GError *error)
{
    g_autoptr(GTask) task = take_task(ssh);
    drop_fd(&ssh->fd);
    drop_fd(&ssh->keeper_fd);
    g_task_return_error(task, error);
}

static gboolean
on_limit(gpointer user_data)
{
    Ssh *ssh = user_data;
    return_error(ssh, g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                  NPIPE_SCHEME ": ssh has not reached the pipe %s of %s in %u s",
                                  ssh->pipe, ssh->remote, LIMIT_MS / 1000));
    stop_now(ssh);
    return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    Ssh *ssh = user_data;
    (void)cancellable;
    return_error(ssh, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "dialling cancelled"));
    stop_now(ssh);
    return G_SOURCE_REMOVE;
}

/* ---- what ssh and the far side say ---- */

static void
take_line(Ssh *ssh)
{
    g_autofree char *line = g_utf8_make_valid(ssh->line->str, (gssize)ssh->line->len);
    g_string_truncate(ssh->line, 0);
    g_strstrip(line);
    if (strcmp(line, READY_LINE) == 0) {
        if (ssh->task != NULL) {
            return_fd(ssh);
        }
    } else if (*line != '\0') {
        g_free(ssh->last_line);
        ssh->last_line = g_steal_pointer(&line);
    }
}

static void
take_text(Ssh *ssh, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            take_line(ssh);
        } else if (ssh->line->len < MAX_LINE_BYTES) {
            g_string_append_c(ssh->line, g_ascii_iscntrl(text[i]) ? ' ' : text[i]);
        }
    }
}

/* Returns: whether more may come */
static gboolean
read_stderr(Ssh *ssh)
{
    char text[4096];
    ssize_t n = read(ssh->error_fd, text, sizeof(text));
    if (n > 0) {
        take_text(ssh, text, (size_t)n);
        return TRUE;
    }
    return n < 0 && errno == EINTR;
}

static void
on_stderr(void *user, uint32_t ready)
{
    Ssh *ssh = user;
    (void)ready;
    if (!read_stderr(ssh) && errno != EAGAIN) {
        drop_watch(ssh, &ssh->error_watch);
    }
}

/* A far side that says nothing on stderr is connected all the same when the pipe says something. */
static void
on_first_bytes(void *user, uint32_t ready)
{
    Ssh *ssh = user;
    char byte;
    ssize_t n = recv(ssh->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    (void)ready;
    if (n > 0) {
        return_fd(ssh);
    } else if (n == 0 || errno != EAGAIN) {
        drop_watch(ssh, &ssh->first_watch);
    }
}

static char *
build_outcome(const Ssh *ssh)
{
    const char *separator = ssh->last_line != NULL ? ": " : "";
    const char *line = ssh->last_line != NULL ? ssh->last_line : "";
    if (g_subprocess_get_if_signaled(ssh->process)) {
        return g_strdup_printf("ssh was ended by signal %d%s%s",
                               g_subprocess_get_term_sig(ssh->process), separator, line);
    }
    return g_strdup_printf("ssh has ended with status %d%s%s",
                           g_subprocess_get_exit_status(ssh->process), separator, line);
}

static void
on_exited(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Ssh *ssh = user_data;
    (void)g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
    while (read_stderr(ssh)) {
    }
    if (ssh->line->len > 0) {
        take_line(ssh);
    }
    g_autofree char *outcome = build_outcome(ssh);
    if (ssh->task != NULL) {
        return_error(ssh, g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED,
                                      NPIPE_SCHEME ": cannot reach the pipe %s of %s: %s",
                                      ssh->pipe, ssh->remote, outcome));
    } else if (!ssh->is_stopping && !g_subprocess_get_successful(ssh->process)) {
        g_message(NPIPE_SCHEME ": %s: %s", ssh->remote, outcome);
    }
    ssh_free(ssh);
}

/* ---- the start ---- */

/* CTRL+C at a terminal is meant for the debugger, and would reach ssh as well; ssh leaves a signal
 * alone that it finds ignored. */
static void
ignore_interrupt(gpointer user_data)
{
    (void)user_data;
    (void)signal(SIGINT, SIG_IGN);
}

static GSubprocess *
spawn(const char *program, const char *remote, const char *pipe, int fd, int error_fd,
      GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autofree char *quoted = g_shell_quote(pipe);
    g_autofree char *command = g_strconcat("kd --pipe-bridge=", quoted, NULL);
    g_autofree char *bare = NULL;
    size_t len = strlen(remote);
    /* An address in brackets is nothing to ssh. */
    if (len > 2 && remote[0] == '[' && remote[len - 1] == ']') {
        bare = g_strndup(remote + 1, len - 2);
    } else {
        bare = g_strdup(remote);
    }
    /* Forwardings that the user has for logins would be in the way of those; and a way that is
     * blocked is given up, also after we have gone. */
    const char *const argv[] = {
        program, "-T",    "-o", "ClearAllForwardings=yes", "-o", "ServerAliveInterval=15", "--",
        bare,    command, NULL,
    };
    g_subprocess_launcher_set_child_setup(launcher, ignore_interrupt, NULL, NULL);
    g_subprocess_launcher_take_stdin_fd(launcher, fcntl(fd, F_DUPFD_CLOEXEC, 0));
    g_subprocess_launcher_take_stdout_fd(launcher, fcntl(fd, F_DUPFD_CLOEXEC, 0));
    g_subprocess_launcher_take_stderr_fd(launcher, error_fd);
    return g_subprocess_launcher_spawnv(launcher, argv, error);
}

static gboolean
start(Ssh *ssh, const char *program, GError **error)
{
    int ends[2];
    int errors[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(errno), "socketpair: %s",
                    g_strerror(errno));
        return FALSE;
    }
    ssh->fd = ends[0];
    ssh->keeper_fd = ends[1];
    if (!g_unix_set_fd_nonblocking(ssh->fd, TRUE, error) ||
        !g_unix_open_pipe(errors, FD_CLOEXEC, error)) {
        return FALSE;
    }
    ssh->error_fd = errors[0];
    ssh->process = spawn(program, ssh->remote, ssh->pipe, ends[1], errors[1], error);
    if (ssh->process == NULL || !g_unix_set_fd_nonblocking(ssh->error_fd, TRUE, error)) {
        return FALSE;
    }
    ssh->error_watch = ssh->host->watch_add(ssh->host, ssh->error_fd, KD_READY_IN, on_stderr, ssh);
    ssh->first_watch = ssh->host->watch_add(ssh->host, ssh->fd, KD_READY_IN, on_first_bytes, ssh);
    if (ssh->error_watch == NULL || ssh->first_watch == NULL) {
        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(errno), "epoll: %s",
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static void
await(Ssh *ssh, GCancellable *cancellable)
{
    kd_source_start_timer(&ssh->timer, LIMIT_MS, on_limit, ssh);
    if (cancellable != NULL) {
        ssh->cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(ssh->cancel, G_SOURCE_FUNC(on_cancelled), ssh, NULL);
        g_source_attach(ssh->cancel, g_main_context_get_thread_default());
    }
    g_subprocess_wait_async(ssh->process, NULL, on_exited, ssh);
}

/**
 * npipe_ssh_check_host:
 * @name: of a machine
 * @error: %KD_ERROR_PARAM_INVALID
 *
 * Returns: whether ssh takes it for a machine's name and for nothing else
 */
gboolean
npipe_ssh_check_host(const char *name, GError **error)
{
    const char *fault = NULL;
    if (*name == '\0') {
        fault = "the name is empty";
    } else if (*name == '-') {
        fault = "a machine's name does not start with a dash";
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (g_ascii_iscntrl(*c) || strchr("'\"`$\\;&|<>()", *c) != NULL) {
            fault = "a machine's name has no quotation marks and no signs of a shell";
        }
    }
    if (fault != NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, NPIPE_SCHEME ": server=: %s", fault);
    }
    return fault == NULL;
}

/**
 * npipe_ssh_dial_async:
 * @remote: machine, as the user's ssh knows it
 * @pipe: name of a pipe there
 *
 * Starts ssh with a bridge to the pipe on the far side, and waits until that is connected, 120 s at
 * most. Passwords and host keys are between ssh and its user. When the descriptor is closed, ssh
 * ends, by force if need be.
 */
void
npipe_ssh_dial_async(const KdHost *host, const char *remote, const char *pipe,
                     GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_autofree char *program = g_find_program_in_path("ssh");
    g_autoptr(GError) error = NULL;
    g_task_set_source_tag(task, npipe_ssh_dial_async);
    if (program == NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                                NPIPE_SCHEME ": %s is another machine, whose pipes are reached "
                                             "with ssh: ssh is not installed",
                                remote);
        return;
    }
    Ssh *ssh = g_new0(Ssh, 1);
    ssh->host = host;
    ssh->remote = g_strdup(remote);
    ssh->pipe = g_strdup(pipe);
    ssh->line = g_string_new(NULL);
    ssh->fd = -1;
    ssh->keeper_fd = -1;
    ssh->error_fd = -1;
    if (start(ssh, program, &error)) {
        ssh->task = g_steal_pointer(&task);
        await(ssh, cancellable);
        return;
    }
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_FAILED,
                            NPIPE_SCHEME ": cannot start ssh: %s", error->message);
    if (ssh->process != NULL) {
        g_subprocess_force_exit(ssh->process);
    }
    ssh_free(ssh);
}

/**
 * npipe_ssh_dial_finish:
 *
 * Ends a dial. Errors that a caller branches on: %KD_ERROR_NOT_SUPPORTED: there is no ssh.
 *
 * Returns: (transfer full): a connected socket, non-blocking and close-on-exec, or -1
 */
int
npipe_ssh_dial_finish(GAsyncResult *result, GError **error)
{
    gpointer value = g_task_propagate_pointer(G_TASK(result), error);
    return value != NULL ? GPOINTER_TO_INT(value) - 1 : -1;
}

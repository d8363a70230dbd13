/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program under test: started with pipes, its lines awaited, its exit status collected. */
#include "kd-e2e-program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_STREAMS 2

/**
 * KdE2eProgram:
 * @name: for messages
 * @pid_fd: readable once it has ended
 * @in: its stdin, -1 = closed
 * @out: its stdout and stderr, -1 = ended
 * @text: what it has said on each
 * @seen: how much of that was awaited already
 * @status: as a shell has it, once it has ended
 */
struct KdE2eProgram {
    char *name;
    pid_t pid;
    int pid_fd;
    int in;
    int out[N_STREAMS];
    GString *text[N_STREAMS];
    gsize seen[N_STREAMS];
    gboolean has_ended;
    int status;
};

/* ---- starting ---- */

/* Other files under names that exist, seen by this process alone. */
static gboolean
mount_all(const char *const *mounts)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return FALSE;
    }
    for (; mounts[0] != NULL; mounts += 2) {
        if (mount(mounts[0], mounts[1], NULL, MS_BIND, NULL) != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

/* In the child: only what may be called between fork() and exec(). */
static void
become(const char *const *argv, char **environment, const KdE2eSetup *setup, const int *fds,
       pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setsid(); /* without the terminal of whoever runs the tests: nobody can be asked */
    if (getppid() != parent) {
        _exit(126); /* the test has died meanwhile */
    }
    if (setup->terminal != NULL && open(setup->terminal, O_RDWR | O_CLOEXEC) < 0) {
        _exit(126); /* the first that the leader of a session opens becomes its own */
    }
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(fds[fd], fd) < 0) {
            _exit(126);
        }
    }
    if (setup->n_files != 0) {
        struct rlimit limit = {.rlim_cur = setup->n_files, .rlim_max = setup->n_files};

        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (setup->mounts != NULL && !mount_all(setup->mounts)) {
        _exit(126);
    }
    (void)signal(SIGPIPE, SIG_DFL);
    (void)execvpe(argv[0], (char *const *)argv, environment);
    _exit(127);
}

static char **
build_environment(const KdE2eSetup *setup)
{
    char **environment = g_get_environ();

    for (int i = 0; setup->environment != NULL && setup->environment[i] != NULL; i++) {
        g_auto(GStrv) pair = g_strsplit(setup->environment[i], "=", 2);

        environment = g_environ_setenv(environment, pair[0], pair[1], TRUE);
    }
    return environment;
}

static void
make_pipe(int *ends)
{
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
}

/**
 * kd_e2e_program_new:
 * @argv: a path, or a name to be found in PATH, and arguments
 * @setup: (nullable): what is out of the ordinary
 *
 * Starts a program; it dies with the test. Must be called from the test's main thread.
 *
 * Returns: (transfer full): the program
 */
KdE2eProgram *
kd_e2e_program_new(const char *const *argv, const KdE2eSetup *setup)
{
    static const KdE2eSetup ordinary;
    KdE2eProgram *program = g_new0(KdE2eProgram, 1);
    g_auto(GStrv) environment = build_environment(setup != NULL ? setup : &ordinary);
    pid_t parent = getpid();
    int pipes[3][2];

    setup = setup != NULL ? setup : &ordinary;
    program->name = g_path_get_basename(argv[0]);
    for (int i = 0; i < 3; i++) {
        make_pipe(pipes[i]);
    }
    if (setup->stdin_path != NULL) {
        close(pipes[0][0]);
        pipes[0][0] = open(setup->stdin_path, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(pipes[0][0], >=, 0);
    }
    program->pid = fork();
    g_assert_cmpint(program->pid, >=, 0);
    if (program->pid == 0) {
        const int fds[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};

        become(argv, environment, setup, fds, parent);
    }
    program->pid_fd = (int)syscall(SYS_pidfd_open, program->pid, 0);
    g_assert_cmpint(program->pid_fd, >=, 0);
    close(pipes[0][0]);
    program->in = pipes[0][1];
    for (int i = 0; i < N_STREAMS; i++) {
        close(pipes[i + 1][1]);
        program->out[i] = pipes[i + 1][0];
        (void)fcntl(program->out[i], F_SETFL, O_NONBLOCK);
        program->text[i] = g_string_new(NULL);
    }
    if (setup->stdin_path != NULL) {
        kd_e2e_program_close_stdin(program);
    }
    return program;
}

/**
 * kd_e2e_program_free:
 * @program: (nullable): a program
 *
 * Kills it if it still runs.
 */
void
kd_e2e_program_free(KdE2eProgram *program)
{
    if (program == NULL) {
        return;
    }
    if (!program->has_ended) {
        (void)kill(program->pid, SIGKILL);
        (void)waitpid(program->pid, NULL, 0);
    }
    kd_e2e_program_close_stdin(program);
    for (int i = 0; i < N_STREAMS; i++) {
        if (program->out[i] >= 0) {
            close(program->out[i]);
        }
        g_string_free(program->text[i], TRUE);
    }
    close(program->pid_fd);
    g_free(program->name);
    g_free(program);
}

/* ---- what it says ---- */

static void
read_stream(KdE2eProgram *program, int stream)
{
    char buf[4096];
    ssize_t n;

    while (program->out[stream] >= 0 && (n = read(program->out[stream], buf, sizeof buf)) != -1) {
        if (n == 0) {
            close(program->out[stream]);
            program->out[stream] = -1;
            return;
        }
        g_string_append_len(program->text[stream], buf, n);
    }
}

/* Waits until something has happened; FALSE: nothing has until the deadline. */
static gboolean
poll_once(KdE2eProgram *program, gint64 deadline_us)
{
    struct pollfd fds[N_STREAMS + 1] = {
        {.fd = program->out[0], .events = POLLIN},
        {.fd = program->out[1], .events = POLLIN},
        {.fd = program->has_ended ? -1 : program->pid_fd, .events = POLLIN},
    };
    gint64 left_ms = (deadline_us - g_get_monotonic_time()) / 1000;
    int n = poll(fds, G_N_ELEMENTS(fds), (int)MAX(left_ms, 0));

    if (n == 0 || (n < 0 && errno != EINTR)) {
        return FALSE;
    }
    if (!program->has_ended && fds[N_STREAMS].revents != 0) {
        int status = 0;

        g_assert_cmpint(waitpid(program->pid, &status, 0), ==, program->pid);
        program->has_ended = TRUE;
        program->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    for (int i = 0; i < N_STREAMS; i++) {
        read_stream(program, i);
    }
    return TRUE;
}

static gint64
get_deadline_us(void)
{
    return g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
}

static void
print_all(const KdE2eProgram *program)
{
    g_test_message("%s said on stdout:\n%s", program->name, program->text[KD_E2E_STDOUT]->str);
    g_test_message("%s said on stderr:\n%s", program->name, program->text[KD_E2E_STDERR]->str);
}

/* The rest of the first line from @seen on that holds @text, once the line is whole. */
static char *
find_line(KdE2eProgram *program, KdE2eStream stream, const char *text)
{
    GString *all = program->text[stream];
    const char *at = strstr(all->str + program->seen[stream], text);
    const char *start = at;
    const char *end = at != NULL ? strchr(at, '\n') : NULL;

    if (at == NULL || (end == NULL && program->out[stream] >= 0)) {
        return NULL;
    }
    while (start > all->str && start[-1] != '\n') {
        start--;
    }
    end = end != NULL ? end : at + strlen(at);
    program->seen[stream] = (gsize)(end - all->str);
    return g_strndup(start, (gsize)(end - start));
}

/**
 * kd_e2e_program_await:
 * @text: part of a line
 *
 * Waits for a line, behind those that were awaited before. It is a failure if it does not come.
 *
 * Returns: (transfer full): the line
 */
char *
kd_e2e_program_await(KdE2eProgram *program, KdE2eStream stream, const char *text)
{
    gint64 deadline_us = get_deadline_us();

    for (;;) {
        char *line = find_line(program, stream, text);

        if (line != NULL) {
            return line;
        }
        if (program->out[stream] < 0 || !poll_once(program, deadline_us)) {
            print_all(program);
            g_error("%s has not said: %s", program->name, text);
        }
    }
}

/**
 * kd_e2e_program_get_text:
 *
 * Returns: (transfer none): all that it has said so far
 */
const char *
kd_e2e_program_get_text(KdE2eProgram *program, KdE2eStream stream)
{
    read_stream(program, (int)stream);
    return program->text[stream]->str;
}

/* ---- what it is told ---- */

/**
 * kd_e2e_program_say:
 *
 * Writes to its stdin.
 */
void
kd_e2e_program_say(KdE2eProgram *program, const char *text)
{
    for (gsize left = strlen(text); left > 0;) {
        ssize_t n = write(program->in, text, left);

        if (n < 0) {
            print_all(program);
            g_error("%s: stdin: %s", program->name, g_strerror(errno));
        }
        text += n;
        left -= (gsize)n;
    }
}

/**
 * kd_e2e_program_close_stdin:
 *
 * Ends its stdin.
 */
void
kd_e2e_program_close_stdin(KdE2eProgram *program)
{
    if (program->in >= 0) {
        close(program->in);
        program->in = -1;
    }
}

/**
 * kd_e2e_program_signal:
 * @number: SIGTERM, ...
 *
 * Sends a signal.
 */
void
kd_e2e_program_signal(KdE2eProgram *program, int number)
{
    g_assert_false(program->has_ended);
    g_assert_cmpint(kill(program->pid, number), ==, 0);
}

/* ---- how it is, and how it ends ---- */

/**
 * kd_e2e_program_get_pid:
 *
 * Returns: its process id
 */
pid_t
kd_e2e_program_get_pid(const KdE2eProgram *program)
{
    return program->pid;
}

/**
 * kd_e2e_program_is_running:
 *
 * Returns: whether it has not ended yet
 */
gboolean
kd_e2e_program_is_running(KdE2eProgram *program)
{
    struct pollfd fd = {.fd = program->pid_fd, .events = POLLIN};

    return !program->has_ended && poll(&fd, 1, 0) == 0;
}

/**
 * kd_e2e_program_wait:
 *
 * Waits for its end. It is a failure if it does not come.
 *
 * Returns: its exit status; 128 + N for the end by signal N
 */
int
kd_e2e_program_wait(KdE2eProgram *program)
{
    gint64 deadline_us = get_deadline_us();

    while (!program->has_ended) {
        if (!poll_once(program, deadline_us)) {
            print_all(program);
            g_error("%s does not end", program->name);
        }
    }
    return program->status;
}

/**
 * kd_e2e_program_get_memory_kib:
 *
 * Returns: how much memory it occupies
 */
guint64
kd_e2e_program_get_memory_kib(const KdE2eProgram *program)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)program->pid);
    g_autofree char *text = NULL;
    const char *at;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    at = strstr(text, "VmRSS:");
    g_assert_nonnull(at);
    return g_ascii_strtoull(at + strlen("VmRSS:"), NULL, 10);
}

/**
 * kd_e2e_program_get_cpu_us:
 *
 * Returns: how long it has computed
 */
guint64
kd_e2e_program_get_cpu_us(const KdE2eProgram *program)
{
    struct timespec spent = {0};
    clockid_t clock;

    g_assert_cmpint(clock_getcpuclockid(program->pid, &clock), ==, 0);
    g_assert_cmpint(clock_gettime(clock, &spent), ==, 0);
    return (guint64)spent.tv_sec * G_USEC_PER_SEC + (guint64)spent.tv_nsec / 1000;
}

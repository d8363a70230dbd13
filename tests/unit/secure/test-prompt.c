/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions at a terminal: a child process has a pseudo terminal, and the test is its user. */
#include "kd-prompt.h"
#include "kd-secret.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define QUESTION   "What is it? "
#define ANSWERED   100 /* before the answer, in what a child reports; else the error's code */
#define MOST_MS    10000
#define SCREEN_LEN 4096

typedef struct {
    gboolean is_secret;
    gboolean is_background; /* asks from a process group that the terminal does not know */
    gboolean has_no_terminal;
    gboolean is_withdrawn; /* by SIGUSR1 */
    gboolean is_slow;      /* says nothing until it is let go once more */
} Plan;

/* The child, and what the user sees of it. */
typedef struct {
    pid_t pid;
    int terminal;
    int go;     /* a byte lets it ask */
    int report; /* what it has heard */
    char screen[SCREEN_LEN];
    size_t len;
} Asked;

/* ---- in the child ---- */

typedef struct {
    GMainLoop *loop;
    GCancellable *cancellable;
    int report;
} Asking;

static void
on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
    Asking *asking = data;
    g_autoptr(GError) error = NULL;
    char *answer = kd_prompt_finish(result, &error);
    char code = answer != NULL ? ANSWERED : (char)error->code;

    (void)source;
    g_assert_true(answer != NULL || error->domain == G_IO_ERROR);
    g_assert_cmpint(write(asking->report, &code, 1), ==, 1);
    if (answer != NULL) {
        size_t len = strlen(answer);

        g_assert_cmpint(write(asking->report, answer, len), ==, (gssize)len);
    }
    kd_secret_free_text(answer);
    g_main_loop_quit(asking->loop);
}

static gboolean
on_withdraw(gpointer data)
{
    Asking *asking = data;
    struct termios now;
    int terminal;

    g_cancellable_cancel(asking->cancellable);
    terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(tcgetattr(terminal, &now), ==, 0);
    g_assert_true((now.c_lflag & ECHO) != 0); /* before the main context turns again */
    (void)close(terminal);
    return G_SOURCE_CONTINUE;
}

static void
ask(const Plan *plan, int go, int report)
{
    Asking asking = {
        .loop = g_main_loop_new(NULL, FALSE), .cancellable = g_cancellable_new(), .report = report};
    char byte;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (plan->is_background) {
        g_assert_cmpint(setpgid(0, 0), ==, 0);
    }
    if (plan->is_withdrawn) {
        g_unix_signal_add(SIGUSR1, on_withdraw, &asking);
    }
    g_assert_cmpint(read(go, &byte, 1), ==, 1);
    g_assert_true(kd_prompt_is_possible() == (!plan->is_background && !plan->has_no_terminal));
    kd_prompt_async(QUESTION, plan->is_secret, asking.cancellable, on_answer, &asking);
    if (plan->is_slow) {
        g_assert_cmpint(write(report, "", 1), ==, 1);
        g_assert_cmpint(read(go, &byte, 1), ==, 1);
    }
    g_main_loop_run(asking.loop);
    g_main_loop_unref(asking.loop);
    g_object_unref(asking.cancellable);
}

/* ---- the user ---- */

static void
start(Asked *asked, const Plan *plan)
{
    int go[2];
    int report[2];

    *asked = (Asked){.terminal = -1};
    g_assert_true(g_unix_open_pipe(go, FD_CLOEXEC, NULL));
    g_assert_true(g_unix_open_pipe(report, FD_CLOEXEC, NULL));
    asked->pid = forkpty(&asked->terminal, NULL, NULL, NULL);
    g_assert_cmpint(asked->pid, >=, 0);
    if (asked->pid == 0) {
        if (plan->has_no_terminal) {
            /* a leader of a session can't begin another */
            pid_t pid = fork();

            if (pid != 0) {
                (void)waitpid(pid, NULL, 0);
                _exit(0);
            }
            g_assert_cmpint(setsid(), >, 0);
        } else if (plan->is_background) {
            pid_t pid = fork();

            if (pid != 0) {
                (void)waitpid(pid, NULL, 0);
                _exit(0);
            }
        }
        (void)close(asked->terminal);
        (void)close(go[1]);
        (void)close(report[0]);
        ask(plan, go[0], report[1]);
        _exit(0);
    }
    (void)close(go[0]);
    (void)close(report[1]);
    asked->go = go[1];
    asked->report = report[0];
}

static void
let_go(const Asked *asked)
{
    g_assert_cmpint(write(asked->go, "", 1), ==, 1);
}

static void
type(const Asked *asked, const char *text)
{
    g_assert_cmpint(write(asked->terminal, text, strlen(text)), ==, (gssize)strlen(text));
}

/* Until it is on the screen. */
static void
see(Asked *asked, const char *text)
{
    while (strstr(asked->screen, text) == NULL) {
        struct pollfd fd = {.fd = asked->terminal, .events = POLLIN};
        ssize_t n;

        g_assert_cmpint(poll(&fd, 1, MOST_MS), ==, 1);
        n = read(asked->terminal, asked->screen + asked->len, SCREEN_LEN - 1 - asked->len);
        g_assert_cmpint(n, >, 0);
        asked->len += (size_t)n;
    }
}

static gboolean
has_echo(const Asked *asked)
{
    struct termios now;

    g_assert_cmpint(tcgetattr(asked->terminal, &now), ==, 0);
    return (now.c_lflag & ECHO) != 0;
}

/* (transfer full): the answer that was heard, with its code in front */
static char *
hear(const Asked *asked)
{
    GString *heard = g_string_new(NULL);
    char bytes[256];

    for (;;) {
        struct pollfd fd = {.fd = asked->report, .events = POLLIN};
        ssize_t n;

        g_assert_cmpint(poll(&fd, 1, MOST_MS), ==, 1);
        n = read(asked->report, bytes, sizeof bytes);
        if (n <= 0) {
            return g_string_free(heard, FALSE);
        }
        g_string_append_len(heard, bytes, n);
    }
}

static void
finish(Asked *asked)
{
    int status = 0;

    g_assert_cmpint(waitpid(asked->pid, &status, 0), ==, asked->pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    (void)close(asked->terminal);
    (void)close(asked->go);
    (void)close(asked->report);
}

static void
expect_answer(Asked *asked, const char *answer)
{
    g_autofree char *heard = hear(asked);

    g_assert_cmpint(heard[0], ==, ANSWERED);
    g_assert_cmpstr(heard + 1, ==, answer);
    g_assert_true(has_echo(asked));
    finish(asked);
}

static void
expect_error(Asked *asked, GIOErrorEnum code)
{
    g_autofree char *heard = hear(asked);

    g_assert_cmpint(heard[0], ==, code);
    g_assert_true(has_echo(asked));
    finish(asked);
}

/* ---- the cases ---- */

static void
test_secret_is_not_shown(void)
{
    const Plan plan = {.is_secret = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    g_assert_false(has_echo(&asked));
    type(&asked, "swordfish\r");
    see(&asked, "\n");
    g_assert_null(strstr(asked.screen, "swordfish"));
    expect_answer(&asked, "swordfish");
}

static void
test_answer_is_shown(void)
{
    const Plan plan = {0};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, "nobody\177\177\177\177\177\177yes\r");
    see(&asked, "yes\r\n");
    expect_answer(&asked, "yes");
}

static void
test_typed_ahead_is_no_answer(void)
{
    const Plan plan = {0};
    Asked asked;

    start(&asked, &plan);
    type(&asked, "yes\r");
    see(&asked, "yes\r\n");
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, "no\r");
    expect_answer(&asked, "no");
}

/* The terminal is ours already, but nothing is to be read on it. */
static void
test_typed_blindly_is_no_answer(void)
{
    const Plan plan = {.is_slow = TRUE};
    Asked asked;
    char byte;

    start(&asked, &plan);
    let_go(&asked);
    g_assert_cmpint(read(asked.report, &byte, 1), ==, 1);
    type(&asked, "yes\r");
    see(&asked, "yes\r\n");
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, "no\r");
    expect_answer(&asked, "no");
}

static void
test_withdrawn_restores(void)
{
    const Plan plan = {.is_secret = TRUE, .is_withdrawn = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    g_assert_cmpint(kill(asked.pid, SIGUSR1), ==, 0);
    expect_error(&asked, G_IO_ERROR_CANCELLED);
}

static void
test_interrupt_restores(void)
{
    const Plan plan = {.is_secret = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, "half\003");
    expect_error(&asked, G_IO_ERROR_CANCELLED);
}

static void
test_terminate_restores(void)
{
    const Plan plan = {.is_secret = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    g_assert_cmpint(kill(asked.pid, SIGTERM), ==, 0);
    expect_error(&asked, G_IO_ERROR_CANCELLED);
}

/* They would leave it stopped or dead, without echo. */
static void
test_keys_of_job_control_are_text(void)
{
    const Plan plan = {.is_secret = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, "a\032b\034\r");
    expect_answer(&asked, "a\032b\034");
}

static void
test_end_of_file_is_no_answer(void)
{
    const Plan plan = {.is_secret = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, "\004");
    expect_error(&asked, G_IO_ERROR_CLOSED);
}

static void
test_longest(void)
{
    const Plan plan = {.is_secret = TRUE};
    g_autofree char *most = g_strnfill(KD_PROMPT_MAX_BYTES, 'x');
    g_autofree char *most_line = g_strconcat(most, "\r", NULL);
    g_autofree char *more_line = g_strconcat(most, "x\r", NULL);
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, most_line);
    expect_answer(&asked, most);
    start(&asked, &plan);
    let_go(&asked);
    see(&asked, QUESTION);
    type(&asked, more_line);
    expect_error(&asked, G_IO_ERROR_INVALID_ARGUMENT);
}

static void
test_no_terminal(void)
{
    const Plan plan = {.has_no_terminal = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    expect_error(&asked, G_IO_ERROR_NOT_SUPPORTED);
}

static void
test_background(void)
{
    const Plan plan = {.is_background = TRUE};
    Asked asked;

    start(&asked, &plan);
    let_go(&asked);
    expect_error(&asked, G_IO_ERROR_NOT_SUPPORTED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secure/prompt/a-secret-is-not-shown", test_secret_is_not_shown);
    g_test_add_func("/secure/prompt/another-answer-is-shown-and-can-be-edited",
                    test_answer_is_shown);
    g_test_add_func("/secure/prompt/what-was-typed-ahead-is-no-answer",
                    test_typed_ahead_is_no_answer);
    g_test_add_func("/secure/prompt/what-was-typed-before-the-question-is-no-answer",
                    test_typed_blindly_is_no_answer);
    g_test_add_func("/secure/prompt/restores-the-terminal-at-once-when-withdrawn",
                    test_withdrawn_restores);
    g_test_add_func("/secure/prompt/restores-the-terminal-on-ctrl-c", test_interrupt_restores);
    g_test_add_func("/secure/prompt/restores-the-terminal-on-sigterm", test_terminate_restores);
    g_test_add_func("/secure/prompt/takes-keys-of-job-control-for-text",
                    test_keys_of_job_control_are_text);
    g_test_add_func("/secure/prompt/takes-an-end-of-file-for-no-answer",
                    test_end_of_file_is_no_answer);
    g_test_add_func("/secure/prompt/takes-1024-bytes-and-no-more", test_longest);
    g_test_add_func("/secure/prompt/is-impossible-without-a-terminal", test_no_terminal);
    g_test_add_func("/secure/prompt/is-impossible-in-the-background", test_background);
    return g_test_run();
}

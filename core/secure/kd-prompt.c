/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the person at the terminal (/dev/tty), without blocking the loop. */
#include "kd-prompt.h"

#include "kd-secret.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define TERMINAL "/dev/tty"

/* Each would end the program, and leave the terminal as it is while a question stands. */
static const int END_SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};

/**
 * KdPrompt:
 * @task: what the answer goes to
 * @fd: the terminal, opened anew, so that it does not block and nobody else's does
 * @before: its settings, to be restored
 * @question: not said yet from @n_said on
 * @line: of the answer so far, and the byte behind the longest
 * @source_id: waits for room for the question, then for the answer; 0 = none
 * @signal_ids: 0 = left to its owner
 * @cancel_id: 0 = not to be cancelled
 */
typedef struct {
    GTask *task;
    int fd;
    struct termios before;
    gboolean is_secret;
    char *question;
    size_t n_said;
    char line[KD_PROMPT_MAX_BYTES + 1];
    size_t line_len;
    guint source_id;
    guint signal_ids[G_N_ELEMENTS(END_SIGNALS)];
    gulong cancel_id;
} KdPrompt;

/* A second question would take the changed settings for those to be restored. */
static gboolean is_asking;

/* ---- the terminal ---- */

/* In the background, reading would stop the whole process. */
static int
open_terminal(GError **error)
{
    int fd = open(TERMINAL, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0 && tcgetpgrp(fd) == getpgrp()) {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                        fd < 0 ? "there is no terminal" : "the terminal is not ours to read");
    return -1;
}

/* Also from the background, where the terminal would stop the process for it. */
static gboolean
set_terminal(int fd, const struct termios *settings)
{
    sigset_t ours;
    sigset_t before;
    gboolean is_set;

    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGTTOU);
    (void)pthread_sigmask(SIG_BLOCK, &ours, &before);
    is_set = tcsetattr(fd, TCSANOW, settings) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_set;
}

/* Whatever a debugger has made of it: whole lines. What was typed ahead is no answer. The keys that
 * stop the process, or ask for a core, would leave the terminal without echo. */
static gboolean
take_terminal(KdPrompt *prompt, GError **error)
{
    struct termios settings;
    int code;

    if (tcgetattr(prompt->fd, &prompt->before) == 0) {
        settings = prompt->before;
        settings.c_iflag |= ICRNL;
        settings.c_oflag |= OPOST | ONLCR;
        settings.c_lflag |= ICANON | ISIG | ECHO | ECHOE | ECHOK;
        settings.c_cc[VQUIT] = _POSIX_VDISABLE;
        settings.c_cc[VSUSP] = _POSIX_VDISABLE;
        if (prompt->is_secret) {
            settings.c_lflag &= ~(tcflag_t)ECHO;
            settings.c_lflag |= ECHONL;
        }
        if (set_terminal(prompt->fd, &settings)) {
            (void)tcflush(prompt->fd, TCIFLUSH);
            return TRUE;
        }
    }
    code = errno;
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), "can't set the terminal: %s",
                g_strerror(code));
    return FALSE;
}

/* ---- the end ---- */

static void
free_prompt(KdPrompt *prompt)
{
    if (prompt->fd >= 0) {
        (void)close(prompt->fd);
    }
    kd_secret_wipe(prompt->line, sizeof prompt->line);
    g_free(prompt->question);
    g_free(prompt);
}

/* Gives the terminal back, and ends the task. */
static void
end_prompt(KdPrompt *prompt, GError *error)
{
    g_autoptr(GTask) task = prompt->task;
    GCancellable *cancellable = g_task_get_cancellable(task);

    (void)set_terminal(prompt->fd, &prompt->before);
    is_asking = FALSE;
    g_clear_handle_id(&prompt->source_id, g_source_remove);
    for (size_t i = 0; i < G_N_ELEMENTS(END_SIGNALS); i++) {
        g_clear_handle_id(&prompt->signal_ids[i], g_source_remove);
    }
    if (prompt->cancel_id != 0) {
        g_signal_handler_disconnect(cancellable, prompt->cancel_id);
    }
    if (error != NULL) {
        g_task_return_error(task, error);
    } else {
        g_task_return_pointer(task, g_strndup(prompt->line, prompt->line_len),
                              (GDestroyNotify)kd_secret_free_text);
    }
    free_prompt(prompt);
}

/* The line that the question stands on is left. */
static void
break_off(KdPrompt *prompt, GIOErrorEnum code, const char *text)
{
    if (write(prompt->fd, "\n", 1) < 0) {
        /* then it goes on in this line */
    }
    (void)tcflush(prompt->fd, TCIFLUSH);
    end_prompt(prompt, g_error_new_literal(G_IO_ERROR, (gint)code, text));
}

/* At once, not when the main context turns: it may do so no more. */
static void
on_cancelled(GCancellable *cancellable, gpointer data)
{
    (void)cancellable;
    break_off(data, G_IO_ERROR_CANCELLED, "the question was withdrawn");
}

static gboolean
on_end_signal(gpointer data)
{
    break_off(data, G_IO_ERROR_CANCELLED, "interrupted");
    return G_SOURCE_CONTINUE; /* it is removed already */
}

/* ---- question and answer ---- */

/* TRUE: there is more to come. */
static gboolean
take_answer(KdPrompt *prompt)
{
    char *end;
    ssize_t n =
        read(prompt->fd, prompt->line + prompt->line_len, sizeof prompt->line - prompt->line_len);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return TRUE;
    }
    if (n <= 0) {
        break_off(prompt, G_IO_ERROR_CLOSED, "there was no answer");
        return FALSE;
    }
    prompt->line_len += (size_t)n;
    end = memchr(prompt->line, '\n', prompt->line_len);
    if (end != NULL) {
        prompt->line_len = (size_t)(end - prompt->line);
        end_prompt(prompt, NULL);
        return FALSE;
    }
    if (prompt->line_len == sizeof prompt->line) {
        break_off(prompt, G_IO_ERROR_INVALID_ARGUMENT, "the answer is too long");
        return FALSE;
    }
    return TRUE;
}

static gboolean
on_answer(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)take_answer(data); /* its end removes this source */
    return G_SOURCE_CONTINUE;
}

/* A terminal that was stopped (CTRL+S) takes nothing for a while. */
static gboolean
on_room(gint fd, GIOCondition condition, gpointer data)
{
    KdPrompt *prompt = data;
    const char *rest = prompt->question + prompt->n_said;
    ssize_t n;

    (void)condition;
    if (prompt->n_said == 0) {
        (void)tcflush(fd, TCIFLUSH); /* whoever typed meanwhile has not seen what it would answer */
    }
    n = write(fd, rest, strlen(rest));
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        break_off(prompt, G_IO_ERROR_CLOSED, "the terminal has gone");
        return G_SOURCE_CONTINUE;
    }
    prompt->n_said += n > 0 ? (size_t)n : 0;
    if (prompt->question[prompt->n_said] == '\0') {
        prompt->source_id = g_unix_fd_add(fd, G_IO_IN, on_answer, prompt);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* What nohup ignores stays ignored. */
static void
catch_signals(KdPrompt *prompt)
{
    for (size_t i = 0; i < G_N_ELEMENTS(END_SIGNALS); i++) {
        struct sigaction action;

        if (sigaction(END_SIGNALS[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            prompt->signal_ids[i] = g_unix_signal_add(END_SIGNALS[i], on_end_signal, prompt);
        }
    }
}

/**
 * kd_prompt_is_possible:
 *
 * Returns: whether there is a terminal, and somebody at it who talks to this process
 */
gboolean
kd_prompt_is_possible(void)
{
    int fd = open_terminal(NULL);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/**
 * kd_prompt_async:
 * @question: shown as it is; may have several lines
 * @is_secret: the answer is not shown
 * @cancellable: (nullable): ends it; the terminal is as before when g_cancellable_cancel() returns
 * @callback: called when there is an answer
 * @user_data: for @callback
 *
 * Shows a question and waits for one line. SIGINT, SIGTERM and SIGHUP end it, too, with
 * %G_IO_ERROR_CANCELLED; who else has a source for them is told as well.
 */
void
kd_prompt_async(const char *question, gboolean is_secret, GCancellable *cancellable,
                GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_autoptr(GError) error = NULL;
    KdPrompt *prompt;

    g_task_set_source_tag(task, kd_prompt_async);
    g_task_set_check_cancellable(task, FALSE);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (is_asking) {
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_BUSY, "another question stands");
        return;
    }
    prompt = g_new0(KdPrompt, 1);
    prompt->question = g_strdup(question);
    prompt->is_secret = is_secret;
    prompt->fd = open_terminal(&error);
    if (prompt->fd < 0 || !take_terminal(prompt, &error)) {
        free_prompt(prompt);
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    is_asking = TRUE;
    prompt->task = g_steal_pointer(&task);
    catch_signals(prompt);
    prompt->source_id = g_unix_fd_add(prompt->fd, G_IO_OUT, on_room, prompt);
    if (cancellable != NULL) {
        prompt->cancel_id =
            g_signal_connect(cancellable, "cancelled", G_CALLBACK(on_cancelled), prompt);
    }
}

/**
 * kd_prompt_finish:
 * @result: given to the callback
 * @error: %G_IO_ERROR_NOT_SUPPORTED: there is no terminal; %G_IO_ERROR_CLOSED: it has gone, or an
 * end of file was typed; %G_IO_ERROR_CANCELLED: withdrawn or interrupted
 *
 * Returns: (transfer full) (nullable): the answer, at most %KD_PROMPT_MAX_BYTES, to be freed with
 * kd_secret_free_text()
 */
char *
kd_prompt_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

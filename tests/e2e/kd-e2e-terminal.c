/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal with somebody at it, for programs that ask. */
#include "kd-e2e-terminal.h"

#include "kd-e2e-pty.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/**
 * kd_e2e_terminal_set_up:
 * @terminal: any bytes
 * @setup: (nullable): what else the program shall have
 *
 * Opens a terminal.
 */
void
kd_e2e_terminal_set_up(KdE2eTerminal *terminal, const KdE2eSetup *setup)
{
    *terminal = (KdE2eTerminal){.setup = setup != NULL ? *setup : (KdE2eSetup){0}};
    terminal->screen = g_string_new(NULL);
    terminal->fd = kd_e2e_pty_new(&terminal->name);
    terminal->line = open(terminal->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(terminal->line, >=, 0);
    terminal->setup.terminal = terminal->name;
}

/**
 * kd_e2e_terminal_clear:
 *
 * Hangs up.
 */
void
kd_e2e_terminal_clear(KdE2eTerminal *terminal)
{
    if (terminal->screen != NULL) {
        close(terminal->line);
        close(terminal->fd);
        g_string_free(terminal->screen, TRUE);
        g_free(terminal->name);
        *terminal = (KdE2eTerminal){0};
    }
}

/* FALSE: nothing has come. */
static gboolean
read_some(KdE2eTerminal *terminal, int timeout_ms)
{
    struct pollfd fd = {.fd = terminal->fd, .events = POLLIN};
    char bytes[1024];
    ssize_t n;

    if (poll(&fd, 1, timeout_ms) != 1) {
        return FALSE;
    }
    n = read(terminal->fd, bytes, sizeof bytes);
    g_string_append_len(terminal->screen, bytes, MAX(n, 0));
    return n > 0;
}

/**
 * kd_e2e_terminal_await:
 * @text: that must appear behind what was awaited before
 *
 * Waits until it is on the screen.
 */
void
kd_e2e_terminal_await(KdE2eTerminal *terminal, const char *text)
{
    const char *at;

    while ((at = strstr(terminal->screen->str + terminal->seen, text)) == NULL) {
        if (!read_some(terminal, KD_E2E_DEADLINE_S * 1000)) {
            g_error("`%s` is not on the screen: %s", text, terminal->screen->str);
        }
    }
    terminal->seen = (gsize)(at - terminal->screen->str) + strlen(text);
}

/**
 * kd_e2e_terminal_type:
 * @text: `\r` is the key that ends a line
 *
 * Types.
 */
void
kd_e2e_terminal_type(const KdE2eTerminal *terminal, const char *text)
{
    g_assert_cmpint(write(terminal->fd, text, strlen(text)), ==, (gssize)strlen(text));
}

/**
 * kd_e2e_terminal_read_rest:
 *
 * Reads what is there yet; for when the program has ended.
 */
void
kd_e2e_terminal_read_rest(KdE2eTerminal *terminal)
{
    while (read_some(terminal, 0)) {
    }
}

/**
 * kd_e2e_terminal_has_echo:
 *
 * Returns: whether what is typed is seen
 */
gboolean
kd_e2e_terminal_has_echo(const KdE2eTerminal *terminal)
{
    struct termios now;

    g_assert_cmpint(tcgetattr(terminal->fd, &now), ==, 0);
    return (now.c_lflag & ECHO) != 0;
}

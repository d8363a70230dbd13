/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the commands of kdsrv write what they have to say: one line, program first, on stderr. */
#include "kd-log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "kdsrv";
static gboolean wants_info;
static guint n_dropped;

/* Nothing from outside reaches a terminal raw: control characters become dots. */
static void
print_line(const char *text)
{
    g_autofree char *line = g_utf8_make_valid(text, -1);

    for (char *c = line; *c != '\0'; c = g_utf8_next_char(c)) {
        gunichar u = g_utf8_get_char(c);

        if (u < 0x20 || u == 0x7f) {
            *c = '.';
        } else if (u >= 0x80 && u < 0xa0) {
            memset(c, '.', 2);
        }
    }
    fprintf(stderr, "%s: %s\n", program_name, line);
}

/* A pipe that is full and a terminal that was stopped would stop all sessions with it. */
static gboolean
has_room(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&out, 1, 0) != 0;
}

static void
log_line(const char *text)
{
    if (!has_room()) {
        n_dropped++;
        return;
    }
    if (n_dropped > 0) {
        g_autofree char *gap =
            g_strdup_printf("%u lines are missing here: nobody read them", n_dropped);

        n_dropped = 0;
        print_line(gap);
        log_line(text);
        return;
    }
    print_line(text);
}

static GLogWriterOutput
on_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
    const char *message = NULL;
    const char *domain = "";

    (void)user_data;
    for (gsize i = 0; i < n_fields; i++) {
        if (g_str_equal(fields[i].key, "MESSAGE")) {
            message = fields[i].value;
        } else if (g_str_equal(fields[i].key, "GLIB_DOMAIN")) {
            domain = fields[i].value;
        }
    }
    if ((level & G_LOG_LEVEL_DEBUG) != 0 || message == NULL ||
        ((level & G_LOG_LEVEL_INFO) != 0 && (!wants_info || !g_str_has_prefix(domain, "kdsrv")))) {
        return G_LOG_WRITER_HANDLED;
    }
    log_line(message);
    return G_LOG_WRITER_HANDLED;
}

/**
 * kd_log_start:
 * @program: static: first word of every line
 * @is_verbose: whether one line is written for each session as well
 *
 * Lets everything that is logged go to stderr, as far as that takes it at once.
 */
void
kd_log_start(const char *program, gboolean is_verbose)
{
    static gboolean is_set;

    program_name = program;
    wants_info = is_verbose;
    if (!is_set) {
        is_set = TRUE;
        g_log_set_writer_func(on_log, NULL, NULL);
    }
}

/**
 * kd_log_error:
 * @error: what and why
 *
 * Writes an error in one line.
 */
void
kd_log_error(const GError *error)
{
    print_line(error->message);
}

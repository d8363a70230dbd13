/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kd says to its user: single lines on stderr. */
#include "kd-notice.h"

#include "kd-text.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define MOST_NOTICE_BYTES 4096u
#define MOST_WAIT_MS      1000

/* stderr may share its file with a stdin that --stdio has made non-blocking. */
static void
write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, len);

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

            if (poll(&fd, 1, MOST_WAIT_MS) <= 0) {
                return;
            }
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

/**
 * kd_notice_build:
 * @text: from anywhere
 *
 * Returns: (transfer full): `kd: TEXT` and a line end; nothing in it can steer a terminal
 */
char *
kd_notice_build(const char *text)
{
    g_autofree char *clean =
        kd_text_dup_printable((const uint8_t *)text, strlen(text), MOST_NOTICE_BYTES);

    return g_strconcat("kd: ", clean, "\n", NULL);
}

/**
 * kd_notice_print:
 * @format: as for printf()
 * @...: its arguments
 *
 * Prints one line on stderr, with the program's name in front.
 */
void
kd_notice_print(const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    line = kd_notice_build(text);
    write_all(line, strlen(line));
}

/**
 * kd_notice_print_event:
 * @event: KD_EVENT_*
 * @text: (nullable): of a note
 *
 * Tells the user what happened to the target; events that are no news for a person are left out.
 */
void
kd_notice_print_event(uint32_t event, const char *text)
{
    switch (event) {
    case KD_EVENT_LOST:
        kd_notice_print("target lost");
        break;
    case KD_EVENT_BACK:
        kd_notice_print("target back");
        break;
    case KD_EVENT_RESYNC:
        kd_notice_print("target restarted");
        break;
    case KD_EVENT_NOTE:
        kd_notice_print("target: %s", text != NULL ? text : "");
        break;
    default:
        break;
    }
}

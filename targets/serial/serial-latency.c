/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a driver may keep received bytes back, lowered while a line is open. */
#include "serial-latency.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Milliseconds; FTDI's chips wait for 16 until a packet is full, and 1 is the least they know. */
#define TIMER_TEXT "1\n"

static gboolean
has_flag(int fd, struct serial_struct *settings)
{
    return ioctl(fd, TIOCGSERIAL, settings) == 0 && (settings->flags & ASYNC_LOW_LATENCY) != 0;
}

/* The one flag of the struct, beside the speed's, that needs no privilege. A driver that does not
 * know it drops it silently. */
static gboolean
set_flag(int fd, gboolean is_low)
{
    struct serial_struct settings = {0};
    struct serial_struct got = {0};
    if (ioctl(fd, TIOCGSERIAL, &settings) != 0) {
        return FALSE;
    }
    if (is_low) {
        settings.flags |= (int)ASYNC_LOW_LATENCY;
    } else {
        settings.flags &= ~(int)ASYNC_LOW_LATENCY;
    }
    return ioctl(fd, TIOCSSERIAL, &settings) == 0 && has_flag(fd, &got) == is_low;
}

static gboolean
write_timer(const char *path, const char *text)
{
    size_t len = strlen(text);
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return FALSE;
    }
    gboolean is_written = write(fd, text, len) == (ssize_t)len;
    close(fd);
    return is_written;
}

static void
lower_timer(SerialLatency *latency, dev_t device)
{
    g_autofree char *text = NULL;
    g_autofree char *path =
        g_strdup_printf("/sys/dev/char/%u:%u/device/latency_timer", major(device), minor(device));
    if (g_file_get_contents(path, &text, NULL, NULL) && strcmp(text, TIMER_TEXT) != 0 &&
        write_timer(path, TIMER_TEXT)) {
        latency->timer_path = g_steal_pointer(&path);
        latency->timer_text = g_steal_pointer(&text);
    }
}

/**
 * serial_latency_lower:
 * @latency: zeroed
 * @fd: the open terminal
 * @device: its number
 *
 * Makes the driver hand on what arrives at once, by its flag or by the adapter's timer; where
 * neither is there, nothing happens.
 */
void
serial_latency_lower(SerialLatency *latency, int fd, dev_t device)
{
    struct serial_struct settings = {0};
    if (has_flag(fd, &settings)) {
        return;
    }
    latency->has_set_flag = set_flag(fd, TRUE);
    if (!latency->has_set_flag) {
        lower_timer(latency, device);
    }
}

/**
 * serial_latency_restore:
 * @latency: left as if nothing had been lowered
 * @fd: the open terminal
 *
 * Undoes serial_latency_lower().
 */
void
serial_latency_restore(SerialLatency *latency, int fd)
{
    if (latency->has_set_flag) {
        (void)set_flag(fd, FALSE);
    }
    if (latency->timer_path != NULL) {
        (void)write_timer(latency->timer_path, latency->timer_text);
    }
    latency->has_set_flag = FALSE;
    g_clear_pointer(&latency->timer_path, g_free);
    g_clear_pointer(&latency->timer_text, g_free);
}

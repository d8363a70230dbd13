/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One BREAK on a line: the spacing state for a while, between bytes. tcsendbreak() and TCSBRKP
 * would sleep for as long as it lasts. */
#include "serial-break.h"

#include "serial-sending.h"

#include <kdsrv-support/kd-source.h>

#include <kdsrv/kd-plugin.h>

/* As long as tcsendbreak() makes it, at least (POSIX: 0.25 to 0.5 s); longer than one byte at any
 * speed from 50 baud on, which is what receivers know a BREAK by. */
#define BREAK_MS 250u
/* The mark after it, beside the time of one byte: a receiver needs it to find the next start bit.
 */
#define MARK_MS  10u
#define AGAIN_MS 1u

struct SerialBreak {
    SerialLine *line;
    SerialBreakFunc fn;
    gpointer user_data;
    SerialSending *sending; /* (nullable) */
    GSource *timer;         /* (nullable) */
    gboolean is_urgent;
    uint64_t dropped_bytes;
};

static void start_timer(SerialBreak *self, uint32_t wait_ms, GSourceFunc fn);

static gboolean
on_mark_over(gpointer user_data)
{
    SerialBreak *self = user_data;
    g_clear_pointer(&self->timer, g_source_unref);
    self->fn(self->dropped_bytes, NULL, self->user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_break_over(gpointer user_data)
{
    SerialBreak *self = user_data;
    GError *error = NULL;
    g_clear_pointer(&self->timer, g_source_unref);
    if (!serial_line_stop_break(self->line, &error)) {
        self->fn(self->dropped_bytes, error, self->user_data);
        return G_SOURCE_REMOVE;
    }
    start_timer(self, MARK_MS + serial_line_get_char_us(self->line) / 1000, on_mark_over);
    return G_SOURCE_REMOVE;
}

static gboolean
on_break_due(gpointer user_data)
{
    SerialBreak *self = user_data;
    GError *error = NULL;
    g_clear_pointer(&self->timer, g_source_unref);
    if (serial_line_start_break(self->line, &error)) {
        start_timer(self, BREAK_MS, on_break_over);
    } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        g_clear_error(&error);
        start_timer(self, AGAIN_MS, on_break_due);
    } else {
        self->fn(self->dropped_bytes, error, self->user_data);
    }
    return G_SOURCE_REMOVE;
}

static void
start_timer(SerialBreak *self, uint32_t wait_ms, GSourceFunc fn)
{
    kd_source_start_timer(&self->timer, wait_ms, fn, self);
}

static void
on_sent(uint32_t unsent_bytes, gpointer user_data)
{
    SerialBreak *self = user_data;
    uint32_t limit_ms = serial_sending_get_limit_ms(self->sending);
    g_clear_pointer(&self->sending, serial_sending_free);
    if (unsent_bytes > 0) {
        self->fn(self->dropped_bytes,
                 g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                             "%s takes nothing: %u bytes were still unsent after %u.%u s, so there "
                             "was no BREAK%s",
                             serial_line_get_name(self->line), unsent_bytes, limit_ms / 1000,
                             limit_ms % 1000 / 100,
                             self->is_urgent ? "" : " (an urgent one drops them)"),
                 self->user_data);
        return;
    }
    (void)on_break_due(self);
}

/**
 * serial_break_new:
 * @line: outlives it
 * @is_urgent: drops first what the driver has not sent; else that goes out before
 *
 * Starts a BREAK. Also before an urgent one is waited for what the hardware has, and for what the
 * drivers of USB adapters keep when told to drop it: the kernel would wait for that itself, and us
 * with it.
 *
 * Returns: (transfer full): freeing it ends the BREAK
 */
SerialBreak *
serial_break_new(SerialLine *line, gboolean is_urgent, SerialBreakFunc fn, gpointer user_data)
{
    SerialBreak *self = g_new0(SerialBreak, 1);
    self->line = line;
    self->fn = fn;
    self->user_data = user_data;
    self->is_urgent = is_urgent;
    if (is_urgent) {
        self->dropped_bytes = serial_line_drop_unsent(line);
    }
    self->sending = serial_sending_new(line, 0, on_sent, self);
    return self;
}

/**
 * serial_break_free:
 * @self: (transfer full) (nullable)
 *
 * Lets the line go back to its mark, however far the BREAK has come; the function is not called any
 * more.
 */
void
serial_break_free(SerialBreak *self)
{
    if (self == NULL) {
        return;
    }
    kd_source_clear(&self->timer);
    serial_sending_free(self->sending);
    (void)serial_line_stop_break(self->line, NULL);
    g_free(self);
}

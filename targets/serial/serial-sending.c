/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting, without blocking, until a line has sent what it has taken. The kernel does not report
 * that, so it is looked at by a timer. */
#include "serial-sending.h"

#include <kdsrv-support/kd-source.h>

/* How often: soon enough to be no delay beside the bytes themselves */
#define TICK_FIRST_MS 1u
#define TICK_LAST_MS  20u
/* What may still lie in an adapter whose driver does not say so: a packet of full-speed USB. The
 * kernel, asked for a BREAK, waits for those adapters that can be asked (tty_wait_until_sent). */
#define SETTLE_CHARS 64u
/* Beyond the time that the bytes take twice over: a line that does nothing for so long is stuck */
#define LIMIT_MS 1000u

struct SerialSending {
    const SerialLine *line;
    SerialSendingFunc fn;
    gpointer user_data;
    GSource *timer; /* (nullable) */
    uint32_t limit_ms;
    gint64 deadline_us;
    gint64 empty_us; /* since when the driver has nothing; 0: it still has */
};

static void start_timer(SerialSending *sending, uint32_t wait_ms);

static uint32_t
get_chars_ms(const SerialLine *line, uint32_t n_chars)
{
    return (uint32_t)((uint64_t)n_chars * serial_line_get_char_us(line) / 1000);
}

/* Returns: whether the hardware has nothing, the driver neither */
static gboolean
has_settled(SerialSending *sending, uint32_t *wait_ms)
{
    gboolean is_sent = FALSE;
    gint64 now_us = g_get_monotonic_time();
    *wait_ms = TICK_FIRST_MS;
    if (serial_line_is_pty(sending->line)) {
        return TRUE;
    }
    if (serial_line_has_uart_sent(sending->line, &is_sent)) {
        return is_sent;
    }
    if (sending->empty_us == 0) {
        sending->empty_us = now_us;
    }
    gint64 left_us =
        sending->empty_us - now_us + (gint64)SETTLE_CHARS * serial_line_get_char_us(sending->line);
    *wait_ms = (uint32_t)(MAX(left_us, 0) / 1000) + 1;
    return left_us <= 0;
}

static gboolean
on_tick(gpointer user_data)
{
    SerialSending *sending = user_data;
    uint32_t wait_ms = 0;
    uint32_t unsent = serial_line_count_unsent(sending->line);
    gboolean is_late = g_get_monotonic_time() >= sending->deadline_us;
    g_clear_pointer(&sending->timer, g_source_unref);
    if (unsent > 0) {
        sending->empty_us = 0;
        wait_ms = CLAMP(get_chars_ms(sending->line, unsent) / 2, TICK_FIRST_MS, TICK_LAST_MS);
    } else if (has_settled(sending, &wait_ms) || is_late) {
        sending->fn(0, sending->user_data);
        return G_SOURCE_REMOVE;
    }
    if (is_late) {
        sending->fn(unsent, sending->user_data);
    } else {
        start_timer(sending, wait_ms);
    }
    return G_SOURCE_REMOVE;
}

static void
start_timer(SerialSending *sending, uint32_t wait_ms)
{
    kd_source_start_timer(&sending->timer, wait_ms, on_tick, sending);
}

/**
 * serial_sending_new:
 * @line: outlives it
 * @limit_ms: how long at most; 0: twice as long as the bytes take at the line's speed, and a second
 *
 * Starts to wait until the driver and the hardware have nothing left to send.
 *
 * Returns: (transfer full): freeing it ends the waiting
 */
SerialSending *
serial_sending_new(const SerialLine *line, uint32_t limit_ms, SerialSendingFunc fn,
                   gpointer user_data)
{
    SerialSending *sending = g_new0(SerialSending, 1);
    sending->line = line;
    sending->fn = fn;
    sending->user_data = user_data;
    sending->limit_ms = limit_ms;
    if (limit_ms == 0) {
        uint32_t n_chars = serial_line_count_unsent(line) + SETTLE_CHARS;
        sending->limit_ms = LIMIT_MS + 2 * get_chars_ms(line, n_chars);
    }
    sending->deadline_us = g_get_monotonic_time() + (gint64)sending->limit_ms * 1000;
    start_timer(sending, 0);
    return sending;
}

/**
 * serial_sending_get_limit_ms:
 *
 * Returns: how long is waited at most
 */
uint32_t
serial_sending_get_limit_ms(const SerialSending *sending)
{
    return sending->limit_ms;
}

/**
 * serial_sending_free:
 * @sending: (transfer full) (nullable)
 *
 * Ends the waiting; the function is not called any more.
 */
void
serial_sending_free(SerialSending *sending)
{
    if (sending == NULL) {
        return;
    }
    kd_source_clear(&sending->timer);
    g_free(sending);
}

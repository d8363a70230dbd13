/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal device as eight clean bits at any speed. */
#pragma once

#include <glib.h>

#include <stdint.h>
#include <sys/types.h>

typedef struct SerialLine SerialLine;
typedef struct SerialSettings SerialSettings; /* freed by g_free() */

/**
 * SerialCounts:
 *
 * What a driver counts (TIOCGICOUNT, linux/serial.h): bytes, and what went wrong with received
 * ones; each wraps at 2^32.
 */
typedef struct {
    uint32_t rx;
    uint32_t tx;
    uint32_t frame;
    uint32_t overrun;
    uint32_t parity;
    uint32_t brk;
    uint32_t buf_overrun;
} SerialCounts;

SerialLine *serial_line_open(int path_fd, const char *name, uint32_t baud, GError **error);
void serial_line_free(SerialLine *line);
SerialSettings *serial_line_dup_saved(const SerialLine *line);
void serial_line_set_saved(SerialLine *line, const SerialSettings *saved);
int serial_line_dup_fd(const SerialLine *line, GError **error);
const char *serial_line_get_name(const SerialLine *line);
dev_t serial_line_get_device(const SerialLine *line);
gboolean serial_line_is_pty(const SerialLine *line);
uint32_t serial_line_get_baud(const SerialLine *line);
gboolean serial_line_set_baud(SerialLine *line, uint32_t baud,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
uint32_t serial_line_get_char_us(const SerialLine *line);
uint32_t serial_line_count_unsent(const SerialLine *line);
gboolean serial_line_has_uart_sent(const SerialLine *line, gboolean *is_sent);
uint64_t serial_line_drop_unsent(SerialLine *line);
uint64_t serial_line_purge(SerialLine *line);
gboolean serial_line_get_modem(const SerialLine *line, uint32_t *lines,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean serial_line_set_modem(SerialLine *line, uint32_t mask, uint32_t value,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean serial_line_start_break(SerialLine *line, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean serial_line_stop_break(SerialLine *line, GError **error);
gboolean serial_line_read_counts(const SerialLine *line, SerialCounts *counts);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialLine, serial_line_free)

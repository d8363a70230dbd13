/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal device as eight clean bits at any speed. */
#pragma once

#include <glib.h>

#include <stdint.h>

typedef struct SerialLine SerialLine;

SerialLine *serial_line_open(int path_fd, const char *name, uint32_t baud, GError **error);
void serial_line_free(SerialLine *line);
int serial_line_dup_fd(const SerialLine *line, GError **error);
uint32_t serial_line_get_baud(const SerialLine *line);
gboolean serial_line_set_baud(SerialLine *line, uint32_t baud,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean serial_line_is_sent(const SerialLine *line);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialLine, serial_line_free)

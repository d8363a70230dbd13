/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kd says to its user: single lines on stderr. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

char *kd_notice_build(const char *text);
void kd_notice_print(const char *format, ...) G_GNUC_PRINTF(1, 2);
void kd_notice_print_event(uint32_t event, const char *text);

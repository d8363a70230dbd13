/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BREAKs that a person or a debugger asks for while a session goes on. */
#pragma once

#include "kd-connection.h"

typedef struct KdBreaks KdBreaks;

/**
 * KdBreaksFunc:
 * @text: `break sent, 12 bytes dropped`
 * @error: (nullable): why it was not; @text is %NULL then
 *
 * Takes what became of a BREAK.
 */
typedef void (*KdBreaksFunc)(const char *text, const GError *error, void *user);

KdBreaks *kd_breaks_new(gboolean is_kgdb);
void kd_breaks_free(KdBreaks *breaks);
void kd_breaks_set_connection(KdBreaks *breaks, KdConnection *connection);
gboolean kd_breaks_wrap(KdBreaks *breaks, KdEndpoint *debugger,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_breaks_send(KdBreaks *breaks, gboolean is_urgent, KdBreaksFunc fn, void *user);
void kd_breaks_take_signal(KdBreaks *breaks, gboolean is_urgent);

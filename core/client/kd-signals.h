/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The signals by which a person asks for a BREAK. */
#pragma once

#include <gio/gio.h>

/**
 * KdSignalsFunc:
 * @is_urgent: SIGUSR2
 *
 * Takes a request, from the main context. Signals that come faster than it turns are one request.
 */
typedef void (*KdSignalsFunc)(gboolean is_urgent, void *user);

void kd_signals_ignore(void);
gboolean kd_signals_start(KdSignalsFunc fn, void *user, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_signals_stop(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the person at the terminal (/dev/tty), without blocking the loop. */
#pragma once

#include <gio/gio.h>

#define KD_PROMPT_MAX_BYTES 1024u /* in an answer */

gboolean kd_prompt_is_possible(void);
void kd_prompt_async(const char *question, gboolean is_secret, GCancellable *cancellable,
                     GAsyncReadyCallback callback, gpointer user_data);
char *kd_prompt_finish(GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

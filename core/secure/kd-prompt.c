/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the person at the terminal (/dev/tty), without blocking the loop. */
#include "kd-prompt.h"

/**
 * kd_prompt_is_possible:
 *
 * Returns: whether there is a terminal
 */
gboolean
kd_prompt_is_possible(void)
{
    return FALSE;
}

/**
 * kd_prompt_async:
 * @question: shown as it is
 * @is_secret: the answer is not shown
 * @cancellable: (nullable): ends it
 * @callback: called when there is an answer
 * @user_data: for @callback
 *
 * Shows a question and waits for one line.
 */
void
kd_prompt_async(const char *question, gboolean is_secret, GCancellable *cancellable,
                GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)question;
    (void)is_secret;
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "there is no terminal");
}

/**
 * kd_prompt_finish:
 * @result: given to the callback
 * @error: %G_IO_ERROR_NOT_SUPPORTED: there is no terminal
 *
 * Returns: (transfer full) (nullable): the answer, to be freed with kd_secret_free_text()
 */
char *
kd_prompt_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

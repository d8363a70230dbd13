/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One try to open what a com string names, whatever that is just now. */
#pragma once

#include "serial-adapter.h"
#include "serial-line.h"
#include "serial-plan.h"

/**
 * SerialOpened:
 * @fd: non-blocking
 * @line: (nullable): only of a terminal
 *
 * What an opening gives.
 */
typedef struct {
    int fd;
    SerialLine *line;
} SerialOpened;

void serial_opening_async(const KdHost *host, const SerialPlan *plan, const SerialAdapter *adapter,
                          GCancellable *cancellable, GAsyncReadyCallback callback,
                          gpointer user_data);
SerialOpened *serial_opening_finish(GAsyncResult *result, GError **error);
void serial_opened_free(SerialOpened *opened);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialOpened, serial_opened_free)

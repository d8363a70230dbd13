/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which USB adapter a serial device belongs to: its name may be another one's tomorrow. */
#pragma once

#include <glib.h>

#include <sys/types.h>

typedef struct SerialAdapter SerialAdapter;

SerialAdapter *serial_adapter_find(dev_t device);
void serial_adapter_free(SerialAdapter *adapter);
gboolean serial_adapter_is_same(const SerialAdapter *adapter, const SerialAdapter *other);
const char *serial_adapter_get_name(const SerialAdapter *adapter);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialAdapter, serial_adapter_free)

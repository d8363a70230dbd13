/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How often a target's mailboxes are looked at. */
#pragma once

#include <glib.h>

gint64 fw_pace_get_wait_us(gint64 quiet_us, gboolean is_awaited);

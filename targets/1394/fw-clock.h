/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One timer that is set again and again. */
#pragma once

#include <glib.h>

GSource *fw_clock_new(GSourceFunc fn, gpointer user_data);

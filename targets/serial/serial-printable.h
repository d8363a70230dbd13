/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text of other programs and of devices, fit for one line of a message. */
#pragma once

#include <glib.h>

char *serial_build_printable(const char *text);

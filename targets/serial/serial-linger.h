/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closing a terminal without waiting for it. */
#pragma once

#include <glib.h>

void serial_linger_close(int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network of our own: loopback, and nothing else. */
#pragma once

#include <glib.h>

gboolean bench_net_isolate(void);
char *bench_net_dup_congestion(void);

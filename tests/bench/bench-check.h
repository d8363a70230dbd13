/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The figures that kdsrv has to show, and whether it does. */
#pragma once

#include "bench-report.h"

gboolean bench_check_wants(BenchMode mode, BenchPeer peer);
gboolean bench_check_print(const BenchReport *report, char **modes, FILE *out);

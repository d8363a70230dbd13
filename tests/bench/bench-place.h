/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processor runs what, and with which priority. */
#pragma once

#include <stdbool.h>

typedef enum {
    BENCH_PLACE_ONE = 0,  /* all on one processor, real time: total work, hardly any noise       */
    BENCH_PLACE_TWO = 1,  /* the relay on a processor of its own, all real time                  */
    BENCH_PLACE_FREE = 2, /* as the scheduler likes                                              */
} BenchPlace;

void bench_place_init(void);
void bench_place_harness(BenchPlace place);
void bench_place_relay(BenchPlace place);
void bench_place_background(void);
bool bench_place_can_be_realtime(void);
int bench_place_get_processors(void);
const char *bench_place_get_name(BenchPlace place);

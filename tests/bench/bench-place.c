/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processor runs what, and with which priority. */
#include "bench-place.h"

#include <sched.h>

#define MEASURED_PRIORITY   2
#define BACKGROUND_PRIORITY 1

static cpu_set_t allowed;
static int first_cpu;
static int second_cpu;
static bool is_realtime;

static bool
take_policy(int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};

    return sched_setscheduler(0, policy, &param) == 0;
}

static void
pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/**
 * bench_place_init:
 *
 * Finds the processors that may be used, and whether real-time priority is to be had.
 */
void
bench_place_init(void)
{
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    first_cpu = second_cpu = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) {
            continue;
        }
        if (first_cpu < 0) {
            first_cpu = cpu;
        } else if (second_cpu < 0) {
            second_cpu = cpu;
        }
    }
    is_realtime = take_policy(SCHED_RR, MEASURED_PRIORITY);
    take_policy(SCHED_OTHER, 0);
}

/**
 * bench_place_harness:
 *
 * Places the calling thread, and what it starts from now on, as clients and targets are.
 */
void
bench_place_harness(BenchPlace place)
{
    if (place == BENCH_PLACE_FREE) {
        sched_setaffinity(0, sizeof allowed, &allowed);
        take_policy(SCHED_OTHER, 0);
        return;
    }
    pin(first_cpu);
    take_policy(SCHED_RR, MEASURED_PRIORITY);
}

/**
 * bench_place_relay:
 *
 * Places the calling process as a relay is; on a machine with one processor two are one.
 */
void
bench_place_relay(BenchPlace place)
{
    bench_place_harness(place);
    if (place == BENCH_PLACE_TWO && second_cpu >= 0) {
        pin(second_cpu);
    }
}

/**
 * bench_place_background:
 *
 * Lets the measured threads go before the calling one, which still goes before other programs.
 */
void
bench_place_background(void)
{
    if (sched_getscheduler(0) == SCHED_RR) {
        take_policy(SCHED_RR, BACKGROUND_PRIORITY);
    }
}

/**
 * bench_place_can_be_realtime:
 *
 * Returns: whether the kernel lets us have SCHED_RR.
 */
bool
bench_place_can_be_realtime(void)
{
    return is_realtime;
}

/**
 * bench_place_get_processors:
 *
 * Returns: how many processors may be used.
 */
int
bench_place_get_processors(void)
{
    return CPU_COUNT(&allowed);
}

/**
 * bench_place_get_name:
 *
 * Returns: the word of --place.
 */
const char *
bench_place_get_name(BenchPlace place)
{
    static const char *const names[] = {"one", "two", "free"};

    return names[place];
}

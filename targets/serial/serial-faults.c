/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling when received bytes were damaged or lost, as far as the driver counts that. */
#include "serial-faults.h"

#include "serial-events.h"

#include <kdsrv-support/kd-source.h>

/* One look, so at most one note */
#define PERIOD_MS 1000u

struct SerialFaults {
    const SerialLine *line;
    const KdSink *sink;
    GSource *timer; /* (nullable): none once the device has gone */
    SerialCounts told;
};

static void
add_fault(GString *text, uint32_t n, const char *name)
{
    if (n > 0) {
        g_string_append_printf(text, "%s%u %s%s", text->len > 0 ? ", " : "", n, name,
                               n == 1 ? "" : "s");
    }
}

/* Differences are right across the counters' wrap too. */
static void
tell(const SerialFaults *faults, const SerialCounts *told, const SerialCounts *now)
{
    uint32_t n_wrong = now->frame - told->frame + (now->parity - told->parity);
    g_autoptr(GString) text = g_string_new(NULL);
    add_fault(text, now->frame - told->frame, "framing error");
    add_fault(text, now->parity - told->parity, "parity error");
    add_fault(text, now->overrun - told->overrun, "overrun");
    add_fault(text, now->buf_overrun - told->buf_overrun, "buffer overrun");
    if (text->len > 0) {
        serial_events_note(faults->sink, "%s: %s: %s", serial_line_get_name(faults->line),
                           text->str,
                           n_wrong > 0 ? "bytes came in damaged, is the speed right?"
                                       : "bytes that came in were lost");
    }
}

static gboolean
on_tick(gpointer user_data)
{
    SerialFaults *faults = user_data;
    SerialCounts now;
    if (!serial_line_read_counts(faults->line, &now)) {
        g_clear_pointer(&faults->timer, g_source_unref);
        return G_SOURCE_REMOVE;
    }
    SerialCounts told = faults->told;
    faults->told = now;
    tell(faults, &told, &now); /* who may close the link: the last that is done here */
    return G_SOURCE_CONTINUE;
}

/**
 * serial_faults_new:
 * @line: outlives it
 * @sink: told at most one note in a second, none while nothing is wrong
 *
 * Starts to watch the driver's counters.
 *
 * Returns: (transfer full) (nullable): %NULL: the driver has none
 */
SerialFaults *
serial_faults_new(const SerialLine *line, const KdSink *sink)
{
    SerialCounts counts;
    if (!serial_line_read_counts(line, &counts)) {
        return NULL;
    }
    SerialFaults *faults = g_new0(SerialFaults, 1);
    faults->line = line;
    faults->sink = sink;
    faults->told = counts;
    kd_source_start_timer(&faults->timer, PERIOD_MS, on_tick, faults);
    return faults;
}

/**
 * serial_faults_free:
 * @faults: (transfer full) (nullable)
 *
 * Ends watching.
 */
void
serial_faults_free(SerialFaults *faults)
{
    if (faults == NULL) {
        return;
    }
    kd_source_clear(&faults->timer);
    g_free(faults);
}

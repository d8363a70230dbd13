/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching the carrier of a line behind a modem. The kernel's way to wait for it, TIOCMIWAIT,
 * sleeps, and can't be polled. */
#include "serial-carrier.h"

#include "serial-events.h"

#include <kdsrv-support/kd-source.h>

#include <sys/ioctl.h>

/* A modem itself takes several hundred milliseconds to tell a lost carrier from a dropout (its
 * register S10: 1.4 s), and each look is a transfer on the bus of a USB adapter. */
#define PERIOD_MS 100u

struct SerialCarrier {
    const SerialLine *line;
    const KdSink *sink;
    GSource *timer; /* (nullable): none once the device has gone */
    gboolean is_first;
    gboolean is_there;
    gboolean is_lost; /* and that was told */
};

/* Whoever is told may close the link, and the carrier is freed then. */
static void
take_change(SerialCarrier *carrier, uint32_t lines)
{
    const KdSink *sink = carrier->sink;
    gboolean is_there = carrier->is_there;
    gboolean was_lost = carrier->is_lost;
    carrier->is_lost = !is_there;
    serial_events_tell(sink, KD_EVENT_LINES, g_variant_new_uint32(lines));
    if (!is_there) {
        serial_events_tell(sink, KD_EVENT_LOST, NULL);
    } else if (was_lost) {
        serial_events_tell(sink, KD_EVENT_BACK, NULL);
    }
}

static gboolean
on_tick(gpointer user_data)
{
    SerialCarrier *carrier = user_data;
    gboolean was_first = carrier->is_first;
    gboolean was_there = carrier->is_there;
    uint32_t lines = 0;
    if (!serial_line_get_modem(carrier->line, &lines, NULL)) {
        g_clear_pointer(&carrier->timer, g_source_unref);
        return G_SOURCE_REMOVE;
    }
    gboolean is_there = (lines & TIOCM_CAR) != 0;
    carrier->is_first = FALSE;
    carrier->is_there = is_there;
    if (was_first && !is_there) {
        serial_events_note(carrier->sink, "waiting for the carrier of %s",
                           serial_line_get_name(carrier->line));
    } else if (!was_first && is_there != was_there) {
        take_change(carrier, lines);
    }
    return G_SOURCE_CONTINUE;
}

/**
 * serial_carrier_new:
 * @line: has modem lines; outlives it
 * @sink: told when the carrier goes and comes
 *
 * Starts to watch. Without a carrier at the first look, a moment after opening has raised DTR, that
 * is a note: bytes pass, because the modem has still to be told whom to call.
 *
 * Returns: (transfer full)
 */
SerialCarrier *
serial_carrier_new(const SerialLine *line, const KdSink *sink)
{
    SerialCarrier *carrier = g_new0(SerialCarrier, 1);
    carrier->line = line;
    carrier->sink = sink;
    carrier->is_first = TRUE;
    kd_source_start_timer(&carrier->timer, PERIOD_MS, on_tick, carrier);
    return carrier;
}

/**
 * serial_carrier_free:
 * @carrier: (transfer full) (nullable)
 *
 * Ends watching.
 */
void
serial_carrier_free(SerialCarrier *carrier)
{
    if (carrier == NULL) {
        return;
    }
    kd_source_clear(&carrier->timer);
    g_free(carrier);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a link tells its host. */
#include "serial-events.h"

/**
 * serial_events_tell:
 * @sink: (nullable)
 * @arg: (nullable): sunk if floating
 *
 * Tells one event.
 */
void
serial_events_tell(const KdSink *sink, uint32_t event, GVariant *arg)
{
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    if (sink != NULL && sink->event != NULL) {
        sink->event(sink->user, event, owned);
    }
}

/**
 * serial_events_note:
 * @sink: (nullable)
 *
 * Tells one sentence. Names of programs may stand in it, and those may be called anything: control
 * characters become question marks.
 */
void
serial_events_note(const KdSink *sink, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    for (char *at = valid; *at != '\0'; at++) {
        if (g_ascii_iscntrl(*at)) {
            *at = '?';
        }
    }
    serial_events_tell(sink, KD_EVENT_NOTE, g_variant_new_string(valid));
}

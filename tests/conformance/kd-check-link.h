/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open target link, with the sink of a session. */
#pragma once

#include "kd-check.h"

/**
 * KdCheckLink:
 * @sink: counts events and lets none come after the close
 * @end: the endpoint
 * @object: (nullable): the plugin's
 *
 * Zeroed at first; lives in its case.
 */
typedef struct {
    const KdTarget *target;
    KdCheckPeer *peer;
    GVariant *params;
    GVariant *session;
    KdSink sink;
    KdCheckEnd end;
    GObject *object;
    gboolean is_closed;
    guint n_events;
} KdCheckLink;

void kd_check_link_prepare(KdCheckLink *link, const KdCheckSubject *subject, KdCheckPeer *peer);
void kd_check_link_start_open(KdCheckLink *link, KdCheckCall *call);
gboolean kd_check_link_finish_open(KdCheckLink *link, KdCheckCall *call, GError **error);
void kd_check_link_open(KdCheckLink *link, const KdCheckSubject *subject, KdCheckPeer *peer);
gint64 kd_check_link_close(KdCheckLink *link);
void kd_check_link_clear(KdCheckLink *link);
void kd_check_link_echo(KdCheckLink *link, guint64 total, size_t chunk);
void kd_check_link_start_reopen(KdCheckLink *link, KdCheckCall *call);
gboolean kd_check_link_finish_reopen(KdCheckLink *link, KdCheckCall *call, KdCheckEnd *end,
                                     GError **error);
GVariant *kd_check_link_build_arg(uint32_t op);
void kd_check_link_start_control(KdCheckLink *link, KdCheckCall *call, uint32_t op);
gboolean kd_check_link_finish_control(KdCheckLink *link, KdCheckCall *call, uint32_t op,
                                      GError **error);

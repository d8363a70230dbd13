/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target link with a life of its own: sessions claim and release it, its kind says what then. */
#pragma once

#include "kd-end.h"

typedef struct KdLink KdLink;
typedef struct KdLinkTable KdLinkTable;

/**
 * KdLinkEventFunc:
 *
 * Takes an event of a claimed link: KD_EVENT_*, with @arg as #KdSink has it, borrowed.
 */
typedef void (*KdLinkEventFunc)(KdLink *link, uint32_t event, GVariant *arg, void *user);

KdLinkTable *kd_link_table_new(const KdHost *host);
void kd_link_table_free(KdLinkTable *table);
KdLink *kd_link_table_claim(KdLinkTable *table, const KdTarget *target, GVariant *params,
                            const char *name, const char *holder,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_link_table_has(const KdLinkTable *table, const KdTarget *target, GVariant *params,
                           const char **holder);
guint kd_link_table_get_n_links(const KdLinkTable *table);
void kd_link_table_close_idle(KdLinkTable *table);

const KdTarget *kd_link_get_target(const KdLink *link);
const char *kd_link_get_name(const KdLink *link);
void kd_link_open_async(KdLink *link, GVariant *session, KdLinkEventFunc on_event, void *user,
                        GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data);
gboolean kd_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
GObject *kd_link_get_object(const KdLink *link);
void kd_link_release_async(KdLink *link, KdEndpoint *endpoint, GAsyncReadyCallback callback,
                           gpointer user_data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdLinkTable, kd_link_table_free)

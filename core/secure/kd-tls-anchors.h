/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom we let vouch for others' certificates: read once, asked often; for this room only. */
#pragma once

#include <gio/gio.h>
#include <gnutls/x509.h>

typedef struct KdTlsAnchors KdTlsAnchors;

KdTlsAnchors *kd_tls_anchors_new(gboolean has_system);
void kd_tls_anchors_free(KdTlsAnchors *anchors);
gboolean kd_tls_anchors_add_path(KdTlsAnchors *anchors, const char *path, guint *n_added,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tls_anchors_allow_name(const KdTlsAnchors *anchors, const gnutls_x509_crt_t *chain,
                                   guint n_chain, const char *name);
guint kd_tls_anchors_verify(KdTlsAnchors *anchors, gnutls_x509_crt_t *chain, guint n_chain,
                            const char *purpose);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTlsAnchors, kd_tls_anchors_free)

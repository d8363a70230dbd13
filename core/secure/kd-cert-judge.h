/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the certificate of the other side will do; for this room only. */
#pragma once

#include "kd-tls-anchors.h"
#include "kd-tls-handshake.h"

#include <gnutls/gnutls.h>

/**
 * KdCertJudge:
 * @role: ours: a client judges a server, a server its clients
 * @pin: (nullable): thumbprint that it must have, 40 or 64 digits; then nobody need vouch for it
 * @pin_key: (nullable): parameter that says so, for messages
 * @name: (nullable): that it must carry instead of the host's; nobody is asked about a pin
 * @hosts: (nullable): names of the server's host, any of them will do
 * @place: (nullable): of the server in the file of known servers
 * @anchors: (nullable): who may vouch for it
 *
 * What is asked of the other side.
 */
typedef struct {
    KdTlsRole role;
    char *pin;
    char *pin_key;
    char *name;
    char **hosts;
    char *place;
    KdTlsAnchors *anchors;
} KdCertJudge;

void kd_cert_judge_clear(KdCertJudge *judge);
gboolean kd_cert_judge_try(const KdCertJudge *judge, const gnutls_datum_t *shown, guint n_shown,
                           KdTlsPeer *peer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real handshake between two configurations, both ends in this process, on plain GnuTLS. */
#pragma once

#include "kd-tls-config-private.h"

/**
 * KdMeeting:
 * @server: what the server has found out about the client
 * @client: what the client has found out about the server
 * @server_error: (nullable): why the server has judged against it
 * @client_error: (nullable): why the client has
 * @client_text: (nullable): what GnuTLS says why the client's end has failed
 * @is_met: both ends have ended the handshake, and a byte has passed each way
 * @version: (nullable): that was agreed on
 * @cipher: (nullable): that was, too
 *
 * How a handshake ended.
 */
typedef struct {
    KdTlsPeer server;
    KdTlsPeer client;
    GError *server_error;
    GError *client_error;
    const char *client_text;
    gboolean is_met;
    char *version;
    char *cipher;
} KdMeeting;

GVariant *kd_meeting_new_params(const char *first_key, ...) G_GNUC_NULL_TERMINATED;
void kd_meeting_hold(KdMeeting *meeting, KdTlsConfig *server, KdTlsConfig *client);
void kd_meeting_clear(KdMeeting *meeting);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KdMeeting, kd_meeting_clear)

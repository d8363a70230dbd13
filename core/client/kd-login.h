/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's half of the conversation from the preamble to OPENED, or to LISTED. */
#pragma once

#include "kd-message.h"
#include "kd-password.h"
#include "kd-route.h"

/**
 * KdLogin:
 * @trans: (unowned) (nullable): the link's string; %NULL: all links are listed instead
 * @password: (unowned) (nullable): the server must prove that it knows it, too
 * @binding: (unowned) (nullable): tls-exporter, 32 bytes; %NULL: not over TLS
 * @wants_password: the server wants one, and there is no @password; the error says so, too
 * @is_authenticated: the server knows us, or does not want to
 * @is_lost: the target was lost and is not back yet
 * @opened: (nullable): what the server says about the link
 * @listed: (nullable): what the server could open
 * @close: (nullable): what the server said last
 */
typedef struct {
    const char *trans;
    KdPassword *password;
    GBytes *binding;
    gboolean wants_password;
    gboolean is_authenticated;
    gboolean is_lost;
    KdOpened *opened;
    KdListed *listed;
    KdClose *close;
} KdLogin;

void kd_login_clear(KdLogin *login);
void kd_login_start(KdRoute *route);
gboolean kd_login_take_preamble(KdRoute *route, uint16_t major, uint16_t minor,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_login_take_frame(KdLogin *login, KdRoute *route, const KdFrameHeader *header,
                             const uint8_t *payload, GError **error) G_GNUC_WARN_UNUSED_RESULT;

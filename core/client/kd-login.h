/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's half of the conversation from the preamble to OPENED, or to LISTED. */
#pragma once

#include "kd-message.h"
#include "kd-password.h"
#include "kd-route.h"
#include "kd-scram.h"
#include "kd-transcript.h"

/**
 * KdLogin:
 * @trans: (unowned) (nullable): the link's string; %NULL: all links are listed instead
 * @password: (unowned) (nullable): the server must ask for it, and prove that it knows it, too
 * @binding: (unowned) (nullable): tls-exporter, 32 bytes; %NULL: not over TLS
 * @wants_password: what has failed is that the server asks for a password, and there is none
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
    /*< private >*/
    KdTranscript *transcript;
    KdScram *scram;
    gboolean has_asked;
} KdLogin;

void kd_login_clear(KdLogin *login);
void kd_login_start(KdLogin *login, KdRoute *route);
gboolean kd_login_take_preamble(KdLogin *login, KdRoute *route, uint16_t major, uint16_t minor,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_login_take_frame(KdLogin *login, KdRoute *route, const KdFrameHeader *header,
                             const uint8_t *payload, GError **error) G_GNUC_WARN_UNUSED_RESULT;

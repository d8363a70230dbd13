/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a transport string says about a server: how to reach it, and what it must prove. */
#pragma once

#include "kd-door.h"
#include "kd-registry.h"

/**
 * KdDialUp:
 * @host: given to the transport
 * @transport: of the string
 * @params: a{sv} with the host's keys, but for the password
 * @door: (nullable): what guards it; %NULL before kd_dial_up_make_door()
 * @password: (nullable): of the string, or typed
 * @name: the string as typed, without its secrets
 * @is_waited_for: clicon: the server dials us
 * @is_password_typed: the user was asked for @password
 *
 * Kept for as long as the process may dial, with what the user was asked.
 */
typedef struct {
    const KdHost *host;
    const KdTransport *transport;
    GVariant *params;
    KdDoor *door;
    KdPassword *password;
    char *name;
    gboolean is_waited_for;
    gboolean is_password_typed;
} KdDialUp;

KdDialUp *kd_dial_up_new(const KdRegistry *registry, const char *server,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_dial_up_free(KdDialUp *dial_up);
gboolean kd_dial_up_make_door(KdDialUp *dial_up, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_dial_up_take_password(KdDialUp *dial_up, const char *text,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_dial_up_forget_password(KdDialUp *dial_up);
char *kd_dial_up_build_name(const KdRegistry *registry, const char *server);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdDialUp, kd_dial_up_free)

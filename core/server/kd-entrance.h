/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One `-t`: a transport with its keys, what guards it, and what listens or dials there. */
#pragma once

#include "kd-caller.h"
#include "kd-door.h"
#include "kd-listener.h"
#include "kd-registry.h"

/**
 * KdEntrance:
 * @owner: the server
 * @host: given to the transport
 * @transport: of the string
 * @params: a{sv}, with the host's keys; the password is a star
 * @is_clicon: it dials its one client
 * @is_serving: the client that was dialled has answered, and has not gone yet
 * @is_certain: clients must show a certificate
 * @password: (nullable): that the string names itself
 * @door: (nullable): for those who come from now on; %NULL: none was made yet
 * @next_door: (nullable): made, and not in use yet
 * @listener: (nullable): closed, or a caller is there
 * @caller: (nullable): closed, or a listener is there
 */
typedef struct {
    gpointer owner;
    const KdHost *host;
    const KdTransport *transport;
    GVariant *params;
    gboolean is_clicon;
    gboolean is_serving;
    gboolean is_certain;
    KdPassword *password;
    KdDoor *door;
    KdDoor *next_door;
    KdListener *listener;
    KdCaller *caller;
} KdEntrance;

KdEntrance *kd_entrance_new(const KdRegistry *registry, const char *text, gpointer owner,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_entrance_free(KdEntrance *entrance);
gboolean kd_entrance_has_secret(const KdEntrance *entrance);
gboolean kd_entrance_make_door(KdEntrance *entrance, KdPassword *fallback,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_entrance_take_door(KdEntrance *entrance, gboolean is_wanted);
gboolean kd_entrance_is_guarded(const KdEntrance *entrance);
char *kd_entrance_build_name(const KdEntrance *entrance);
void kd_entrance_warn(const KdEntrance *entrance);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdEntrance, kd_entrance_free)

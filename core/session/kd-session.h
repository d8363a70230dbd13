/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One client from its first byte to the last: preamble, hello, authentication, link, bytes, close.
 */
#pragma once

#include "kd-door.h"
#include "kd-inventory.h"
#include "kd-link.h"
#include "kd-message.h"
#include "kd-params.h"
#include "kd-registry.h"

typedef struct KdSession KdSession;

/**
 * KdSessionFuncs:
 * @authenticated: the client no longer counts as a stranger
 * @refused: the client has tried to authenticate and failed; @ended follows
 * @ended: everything is closed; the session frees itself afterwards
 *
 * What the owner of sessions is told.
 */
typedef struct {
    void (*authenticated)(KdSession *session, void *user);
    void (*refused)(KdSession *session, void *user);
    void (*ended)(KdSession *session, void *user);
} KdSessionFuncs;

/**
 * KdSessionScope:
 * @registry: where target kinds are found
 * @links: who holds what
 * @inventory: what there is to hold
 * @source: what strings of clients leave out
 *
 * What all sessions of a server share; lives longer than they.
 */
typedef struct {
    const KdRegistry *registry;
    KdLinkTable *links;
    KdInventory *inventory;
    KdParamsSource source;
} KdSessionScope;

KdSession *kd_session_new(const KdSessionScope *scope, uint64_t id, const char *peer, KdDoor *door,
                          KdEndpoint *endpoint, const KdSessionFuncs *funcs, void *user,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_session_close(KdSession *session, KdCloseCode code, const char *text);
void kd_session_drop(KdSession *session, const char *text);
gboolean kd_session_has_ended_well(const KdSession *session, const char **text);

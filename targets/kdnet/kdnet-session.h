/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's side of KDNET: who is answered, which key holds, whether the target is there. No I/O;
 * time is given. */
#pragma once

#include "kdnet-address.h"
#include "kdnet-key.h"

#define KDNET_VERSION_MIN 2u
#define KDNET_VERSION_MAX 5u
#define KDNET_ASKED_MAX   8u /* addresses of a target that is asked for its offer */

typedef enum {
    KDNET_CHANGE_HERE = 1,    /* the target is there, for the first time or again */
    KDNET_CHANGE_GONE = 2,    /* nothing authentic has come for 10 s */
    KDNET_CHANGE_RESTART = 3, /* the target has a new data channel: its side starts over */
} KdnetChange;

typedef enum {
    KDNET_NOTICE_OTHER_KEY = 1,     /* what looks like an offer does not fit the key */
    KDNET_NOTICE_OTHER_VERSION = 2, /* a target with our key speaks a version that we do not */
    KDNET_NOTICE_OTHER_SOURCE = 3,  /* a target with our key, but not the one that was named */
} KdnetNotice;

/**
 * KdnetSessionFuncs:
 * @send: puts one datagram on its way; %FALSE: there is no room for it now
 * @receive: takes one KD packet of the target, without duplicates of the same datagram
 * @changed: the target has come, gone, or started over
 * @notice: (nullable): something people may want to know; each at most once until the target comes
 *
 * Where a session puts what it has to say. They may call kdnet_session_send(), and nothing else.
 */
typedef struct {
    gboolean (*send)(const uint8_t *datagram, size_t len_bytes, const KdnetAddress *to, void *user);
    void (*receive)(const uint8_t *packet, size_t len_bytes, void *user);
    void (*changed)(KdnetChange change, void *user);
    void (*notice)(KdnetNotice notice, const KdnetAddress *from, void *user);
} KdnetSessionFuncs;

/**
 * KdnetStatus:
 * @is_here: there is a session with a target
 * @version: of its datagrams; 0: not known
 * @peer: where they come from
 * @n_received: datagrams, of all kinds
 * @n_malformed: of them, those that no target sends
 * @n_elsewhere: of them, those from somewhere else than the target
 * @n_forged: of them, those that do not fit the keys
 * @n_old: of them, authentic ones that came before, or too late
 * @n_sent: KD packets for the target
 * @n_answered: offers of targets that were answered
 *
 * For people.
 */
typedef struct {
    gboolean is_here;
    uint8_t version;
    KdnetAddress peer;
    uint64_t n_received;
    uint64_t n_malformed;
    uint64_t n_elsewhere;
    uint64_t n_forged;
    uint64_t n_old;
    uint64_t n_sent;
    uint64_t n_answered;
} KdnetStatus;

typedef struct KdnetSession KdnetSession;

KdnetSession *kdnet_session_new(const KdnetKey *key, const KdnetSessionFuncs *funcs, void *user);
void kdnet_session_free(KdnetSession *session);
void kdnet_session_ask(KdnetSession *session, const KdnetAddress *addresses, size_t n,
                       gint64 now_us);
void kdnet_session_receive(KdnetSession *session, const uint8_t *datagram, size_t len_bytes,
                           const KdnetAddress *from, gint64 now_us);
gboolean kdnet_session_send(KdnetSession *session, const uint8_t *packet, size_t len_bytes);
gint64 kdnet_session_get_deadline_us(const KdnetSession *session);
void kdnet_session_tick(KdnetSession *session, gint64 now_us);
void kdnet_session_get_status(const KdnetSession *session, KdnetStatus *status);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdnetSession, kdnet_session_free)

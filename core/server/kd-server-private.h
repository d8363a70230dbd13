/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server is made of, for the files that it is made of. */
#pragma once

#include "kd-entrance.h"
#include "kd-heap.h"
#include "kd-penalties.h"
#include "kd-server.h"
#include "kd-session.h"
#include "kd-strangers.h"
#include "kd-tick.h"

struct KdServer {
    const KdRegistry *registry;
    KdSessionScope scope;
    GPtrArray *entrances; /* (element-type KdEntrance) */
    KdPassword *password; /* (nullable): of entrances that name none */
    guint n_started;
    GCancellable *starting; /* NULL: kd_server_start_async() is not under way */
    GHashTable *sessions;   /* (element-type KdSession) */
    KdStrangers *strangers;
    KdPenalties *penalties;
    KdHeap heap;
    uint64_t last_id;
    KdTick stopping;
    guint n_stopping_ticks;
    gboolean is_stopping;
    guint check_id;
    KdServerFunc on_stopped;
    void *user;
    KdServerDoneFunc on_done;
    void *done_user;
};

void kd_server_wake(KdServer *server);
KdSession *kd_server_begin_session(KdServer *server, const char *peer, KdDoor *door,
                                   KdEndpoint *endpoint, const KdSessionFuncs *funcs, void *user,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_server_forget_session(KdServer *server, KdSession *session);

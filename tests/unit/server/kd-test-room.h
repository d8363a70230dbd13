/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server with its clients in a test's own process. */
#pragma once

#include "kd-server.h"
#include "kd-test-stage.h"

/* Transports that a room knows besides `fake`:
 *   `sock`    listens on 127.0.0.1: `port=0` is any port, kd_room_get_port() says which
 *   `broken`  fails to accept
 *   `call`    dials: `clicon=x`; kd_room_set_refusals() says who answers */

/**
 * KdRoom:
 * @server: not started yet
 * @n_stopped: times that it said so
 */
typedef struct {
    KdReach *reach;
    const KdHost *host;
    KdRegistry *registry;
    KdServer *server;
    guint n_stopped;
    gboolean is_started;
    guint heart_id;
} KdRoom;

void kd_room_init(KdRoom *room);
void kd_room_clear(KdRoom *room);
gboolean kd_room_start(KdRoom *room, const char *texts, GError **error);
void kd_room_stop(KdRoom *room);
guint kd_room_get_port(void);
void kd_room_connect(KdTestClient *client, guint source);
void kd_room_connect_fake(KdTestClient *client, guint name);
void kd_room_set_refusals(guint n_refusals, const GError *refusal);
guint kd_room_get_n_calls(void);
void kd_room_await_call(KdTestClient *client);
void kd_room_log_in(KdTestClient *client);
void kd_room_open(KdTestClient *client, const char *trans);

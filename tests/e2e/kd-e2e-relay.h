/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody on the way between a client and a server: listens, writes down, changes bytes. */
#pragma once

#include "kd-e2e-socket.h"

typedef enum {
    KD_E2E_TO_SERVER = 0,
    KD_E2E_TO_CLIENT = 1,
} KdE2eWay;

typedef struct KdE2eRelay KdE2eRelay;

int kd_e2e_listen(guint *port);
KdE2eRelay *kd_e2e_relay_new(int listener, int server);
KdE2eRelay *kd_e2e_relay_new_changing(int listener, int server, KdE2eWay way, gsize offset);
GByteArray *kd_e2e_relay_finish(KdE2eRelay *relay, KdE2eWay way);
void kd_e2e_relay_free(KdE2eRelay *relay);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eRelay, kd_e2e_relay_free)

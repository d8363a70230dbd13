/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A listener and one connection to it. */
#pragma once

#include "kd-check.h"

/**
 * KdCheckPair:
 * @client: dialled
 * @server: accepted
 *
 * Zeroed at first; lives in its case.
 */
typedef struct {
    const KdTransport *transport;
    KdCheckPeer *peer;
    KdListening listening;
    KdCheckEnd client;
    KdCheckEnd server;
} KdCheckPair;

void kd_check_pair_listen(KdCheckPair *pair, const KdCheckSubject *subject);
void kd_check_pair_take_listening(KdCheckPair *pair);
GVariant *kd_check_pair_build_client_params(KdCheckPair *pair);
gboolean kd_check_pair_accept_fd(KdCheckPair *pair);
void kd_check_pair_accept(KdCheckPair *pair);
void kd_check_pair_connect(KdCheckPair *pair);
void kd_check_pair_open(KdCheckPair *pair, const KdCheckSubject *subject);
void kd_check_pair_close(KdCheckPair *pair);

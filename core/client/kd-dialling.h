/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a transport string to a connection with the server, asking the user where that is needed. */
#pragma once

#include "kd-dial-up.h"

typedef struct KdDialling KdDialling;

/**
 * KdDiallingFunc:
 * @endpoint: (nullable): nothing was said on it, inside TLS where there is any; taken by leaving it
 *    empty; %NULL on error
 * @binding: (nullable): tls-exporter (RFC 9266); %NULL: without TLS
 * @error: (nullable): why there is no connection, naming the server or the transport
 *
 * Told once; never before kd_dialling_new() has returned. The dialling is freed by its owner, here
 * or later.
 */
typedef void (*KdDiallingFunc)(KdEndpoint *endpoint, GBytes *binding, const GError *error,
                               void *user);

KdDialling *kd_dialling_new(KdDialUp *dial_up, KdDiallingFunc func, void *user);
KdDialling *kd_dialling_new_with_password(KdDialUp *dial_up, KdDiallingFunc func, void *user);
void kd_dialling_free(KdDialling *dialling);

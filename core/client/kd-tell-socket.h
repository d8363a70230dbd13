/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket on which a running kd is told what to do, by its own user. */
#pragma once

#include <gio/gio.h>

typedef struct KdTellSocket KdTellSocket;
typedef struct KdTellClient KdTellClient;

/**
 * KdTellFunc:
 * @client: (transfer full): who asks; given back by kd_tell_client_answer(), once
 * @line: the request, without its line end
 *
 * Takes a request.
 */
typedef void (*KdTellFunc)(KdTellClient *client, const char *line, void *user);

KdTellSocket *kd_tell_socket_new(KdTellFunc fn, void *user);
void kd_tell_socket_free(KdTellSocket *tell_socket);
void kd_tell_client_answer(KdTellClient *client, int status, const char *text);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders for pipes that hide the machine's own, and calls of a transport for pipes. */
#pragma once

#include "kd-test-host.h"

/**
 * KdTestPipes:
 * @home: a temporary folder
 * @folder: where the pipes of this user will be; made when they are
 *
 * A fixture: all other pipes are out of sight.
 */
typedef struct {
    char *home;
    char *folder;
} KdTestPipes;

void kd_test_pipes_set_up(KdTestPipes *pipes, gconstpointer unused);
void kd_test_pipes_tear_down(KdTestPipes *pipes, gconstpointer unused);
void kd_test_pipes_make_folder(const KdTestPipes *pipes);
char *kd_test_pipes_build_path(const KdTestPipes *pipes, const char *name);
gboolean kd_test_pipes_listen(const KdTransport *transport, const char *name,
                              KdListening *listening, GError **error);
void kd_test_pipes_unlisten(const KdTransport *transport, KdListening *listening);
gboolean kd_test_pipes_connect(const KdTransport *transport, const char *server, const char *name,
                               KdEndpoint *endpoint, GError **error);
void kd_test_pipes_close(KdEndpoint *endpoint);
gboolean kd_test_pipes_is_reached(const KdTransport *transport, const char *name);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The com target as a host uses it, for tests: one link, the places it leads to, the far ends. */
#pragma once

#include "kd-test-host.h"

#include <asm/termbits.h>

extern const KdTarget *kd_serial_com;

/* One link and what it has told */
typedef struct {
    KdSink sink;
    KdTestDone done;
    KdTestDone controlled;
    GObject *link;
    KdEndpoint endpoint;
    guint n_notes;
    char *note;      /* the last one */
    GString *events; /* (nullable): see kd_serial_get_events() */
} KdSerialSession;

/* A folder with the path of a VM's socket, or of a link to a terminal, in it */
typedef struct {
    char *folder;
    char *path;
} KdSerialPlace;

void kd_serial_load(void);

void kd_serial_start(KdSerialSession *session, GCancellable *cancellable, const char *text);
gboolean kd_serial_finish(KdSerialSession *session, GError **error);
gboolean kd_serial_open(KdSerialSession *session, const char *text, GError **error);
void kd_serial_start_reopen(KdSerialSession *session, GCancellable *cancellable);
gboolean kd_serial_finish_reopen(KdSerialSession *session, GError **error);
gboolean kd_serial_reopen(KdSerialSession *session, GCancellable *cancellable, GError **error);
void kd_serial_start_control(KdSerialSession *session, uint32_t op, GVariant *arg,
                             GCancellable *cancellable);
GVariant *kd_serial_finish_control(KdSerialSession *session, GError **error);
GVariant *kd_serial_control(KdSerialSession *session, uint32_t op, GVariant *arg, GError **error);
void kd_serial_drop_endpoint(KdSerialSession *session);
void kd_serial_end(KdSerialSession *session);
const char *kd_serial_get_events(const KdSerialSession *session);
gboolean kd_serial_has_note(gpointer session);

void kd_serial_place_set_up(KdSerialPlace *place, gconstpointer unused);
void kd_serial_place_tear_down(KdSerialPlace *place, gconstpointer unused);
int kd_serial_place_listen(const KdSerialPlace *place);
char *kd_serial_build_pipe(const char *path, const char *more);
int kd_serial_accept(int listener);
int kd_serial_open_pty(char **path);
struct termios2 kd_serial_get_termios(int master);
void kd_serial_check_bytes(int from, int to);

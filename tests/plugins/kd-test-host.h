/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host table for tests of single plugins, and what such tests do again and again. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Milliseconds after which a wait has failed; generous, for loaded machines and sanitizers */
#define KD_TEST_LIMIT_MS 20000u

/* What the host's rules say no to: paths and names that start with this */
#define KD_TEST_DENIED_PREFIX "/denied"
#define KD_TEST_DENIED_HOST   "denied"

const KdHost *kd_test_host_get(void);
guint kd_test_host_get_n_dial_checks(void);
void kd_test_host_deny_addresses(gboolean is_denied);

const KdPlugin *kd_test_load_plugin(const char *file);
GVariant *kd_test_params(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* One asynchronous result */
typedef struct {
    GAsyncResult *result;
} KdTestDone;

void kd_test_on_done(GObject *source, GAsyncResult *result, gpointer done);
GAsyncResult *kd_test_wait(KdTestDone *done);
void kd_test_wait_until(gboolean (*is_met)(gpointer user_data), gpointer user_data);
void kd_test_turn(void);
guint kd_test_count_fds(void);
void kd_test_wait_readable(int fd);
int kd_test_listen(int family, uint16_t port, uint16_t *bound);
uint16_t kd_test_hold_ports(int *fds, guint n);
gboolean kd_test_has_ipv6(void);

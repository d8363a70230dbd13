/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server of plain GnuTLS in a thread: says one word to whom it lets in. */
#pragma once

#include <glib.h>

#define KD_TEST_TLS_WORD "hello\n"

typedef struct KdTestTlsServer KdTestTlsServer;

KdTestTlsServer *kd_test_tls_server_new(void);
void kd_test_tls_server_free(KdTestTlsServer *server);
void kd_test_tls_server_pause(KdTestTlsServer *server);
void kd_test_tls_server_resume(KdTestTlsServer *server);
void kd_test_tls_server_change_certificate(KdTestTlsServer *server);
guint kd_test_tls_server_get_port(const KdTestTlsServer *server);
const char *kd_test_tls_server_get_sha256(const KdTestTlsServer *server);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and certificates for one test, made by certtool when they are needed. */
#pragma once

#include "kd-e2e-stage.h"

/* What most certificates of servers say, in certtool's words */
#define KD_E2E_CERT_SERVER \
    "cn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\ntls_www_server\nsigning_key\n"
#define KD_E2E_CERT_CA     "cn = \"a test's authority\"\nca\ncert_signing_key\n"
#define KD_E2E_CERT_CLIENT "cn = tester\ntls_www_client\nsigning_key\n"

gboolean kd_e2e_certs_are_missing(void);
void kd_e2e_certs_make(const char *folder, const char *name, const char *issuer, const char *lines);
char *kd_e2e_certs_build_path(const char *folder, const char *name, const char *suffix);
char *kd_e2e_certs_get_sha256(const char *folder, const char *name);
char *kd_e2e_certs_make_store(const KdE2eStage *stage);

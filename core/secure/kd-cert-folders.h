/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where certificates, keys and anchors of a user and of the machine lie. */
#pragma once

#include "kd-cert-store.h"

char *kd_cert_folders_build_certs(KdCertStore store);
char *kd_cert_folders_build_keys(KdCertStore store);
char *kd_cert_folders_build_anchors(KdCertStore store);
char *kd_cert_folders_build_client_anchors(void);
void kd_cert_folders_move_machine_for_test(const char *folder);

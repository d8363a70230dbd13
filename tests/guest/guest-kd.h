/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases of test-guest-kd. */
#pragma once

#include "kd-e2e-debug.h"
#include "kd-guest.h"

/* How much the script reads: all of it, but not where each instruction costs ten */
#define GUEST_KD_SCRIPT_BYTES (KD_E2E_IS_SANITIZED ? 65536u : 1024u * 1024)

void guest_kd_expect_memory(KdDebugger *debugger, gsize len_bytes);
char *guest_kd_list(const KdGuest *guest);
void guest_kd_add_usb(void);
void guest_kd_add_1394(void);

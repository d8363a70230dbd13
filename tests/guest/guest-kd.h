/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases of test-guest-kd. */
#pragma once

#include "kd-e2e-debug.h"
#include "kd-guest.h"

void guest_kd_expect_memory(KdDebugger *debugger, gsize len_bytes);
void guest_kd_add_usb(void);
void guest_kd_add_1394(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases of test-guest-serial, and what they share. */
#pragma once

#include "kd-guest.h"

void guest_serial_add_bytes(void);
void guest_serial_add_control(void);
void guest_serial_add_plug(void);
void guest_serial_add_rival(void);

guint guest_serial_get_baud(const KdGuest *guest);

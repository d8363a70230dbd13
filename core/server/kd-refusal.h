/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one thing that is said to a client that gets no session. */
#pragma once

#include "kd-door.h"
#include "kd-message.h"

void kd_refusal_send(KdEndpoint *endpoint, const KdDoor *door, KdCloseCode code,
                     uint32_t retry_after_s, const char *text);

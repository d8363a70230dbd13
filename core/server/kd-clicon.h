/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one client that a server with clicon= has dialled. */
#pragma once

#include "kd-caller.h"

void kd_clicon_take(KdCaller *caller, KdEndpoint *endpoint, const char *peer, const GError *error,
                    void *user);

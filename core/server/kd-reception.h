/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who come by a listener: who may come in, and what it costs to fail at the door. */
#pragma once

#include "kd-listener.h"

void kd_reception_take(KdListener *listener, KdEndpoint *endpoint, const char *peer,
                       const char *source, void *user);

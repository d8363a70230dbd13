/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KdEndpoint that holds nothing, and one that holds nothing any more. */
#pragma once

#include <kdsrv/kd-plugin.h>

void kd_endpoint_init(KdEndpoint *endpoint);
void kd_endpoint_clear(KdEndpoint *endpoint);

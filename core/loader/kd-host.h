/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host table that plugins are given. */
#pragma once

#include "kd-reach.h"

#include <kdsrv/kd-plugin.h>

const KdHost *kd_host_new(const KdReach *reach);
void kd_host_free(const KdHost *host);

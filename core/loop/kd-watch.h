/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Level-triggered watches of plugins' own descriptors: what KdHost.watch_add gives out. */
#pragma once

#include <kdsrv/kd-plugin.h>

KdWatch *kd_watch_add(const KdHost *host, int fd, uint32_t ready, KdReadyFunc fn, void *user);
void kd_watch_set(KdWatch *watch, uint32_t ready);
void kd_watch_remove(KdWatch *watch);

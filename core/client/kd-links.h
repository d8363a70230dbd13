/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd --list links: asks a server, or the plugins of this machine, what could be opened. */
#pragma once

#include "kd-client.h"

int kd_links_run(const KdClientOptions *options, const KdRegistry *registry);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin and stdout as a pipe of this machine: what ssh runs on the far side. */
#pragma once

#include "kd-registry.h"

int kd_pipe_bridge_run(const char *name, const KdRegistry *registry);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes that nobody needs any more, until their requests have ended. */
#pragma once

#include <kdsrv/kd-plugin.h>

void fw_closing_start(const KdHost *host, int fd, guint n_unanswered);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection over a server: dial, log in, open, move bytes, end. */
#pragma once

#include "kd-connection.h"

KdConnection *kd_remote_new(void);

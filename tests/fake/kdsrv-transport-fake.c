/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake transport as a module. */
#include "kd-fake.h"

static const KdTransport *const transports[] = {&kd_fake_transport, NULL};

KD_PLUGIN_DEFINE(.name = "fake-transport", .version = "0", .license = "LGPL-2.1-or-later",
                 .transports = transports);

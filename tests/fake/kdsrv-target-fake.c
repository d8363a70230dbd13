/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake target link as a module. */
#include "kd-fake.h"

static const KdTarget *const targets[] = {&kd_fake_target, NULL};

KD_PLUGIN_DEFINE(.name = "fake-target", .version = "0", .license = "LGPL-2.1-or-later",
                 .targets = targets);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both fakes as one plugin for a test's own process. */
#include "kd-fake.h"

static const KdTransport *const transports[] = {&kd_fake_transport, NULL};
static const KdTarget *const targets[] = {&kd_fake_target, NULL};

const KdPlugin kd_fake_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "fake",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = transports,
    .targets = targets,
};

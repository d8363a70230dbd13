/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the net target. */
#pragma once

#include "kdnet-plan.h"

static const KdParamSpec kdnet_params[] = {
    {.key = "port",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_REQUIRED,
     .min = KDNET_PORT_LOW,
     .max = 65535,
     .placeholder = "N",
     .help = "UDP port of the target's set-up, 49152 to 65535 or 5364"},
    {.key = "key",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_SECRET,
     .group = 1, /* and no max_len: that would make a password of it, in which no dot may stand */
     .placeholder = "W.X.Y.Z",
     .help = "key of the target's set-up"},
    {.key = "key-file",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_EXTENSION,
     .group = 1,
     .max_len = 1024,
     .placeholder = "NAME",
     .help = "file with the key in a folder keys of the server's, for clients that don't know it"},
    {.key = "target",
     .type = KD_PARAM_HOST,
     .placeholder = "HOST",
     .help = "asks this target for a connection; :: and 0.0.0.0 wait for one on IPv6 or IPv4 only"},
    {0},
};

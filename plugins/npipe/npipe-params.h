/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of npipe, and of spipe; those of passwords and TLS are the host's. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Flags of the keys that the documented form of npipe has, and that of spipe has not */
#ifndef NPIPE_ALONE
#define NPIPE_ALONE 0u
#endif

/* The server's name may have codes in it, a client gives the name that came of them. */
static const KdParamSpec npipe_params[] = {
    {.key = "server",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT,
     .placeholder = "HOST",
     .help = "machine of the server: . is this one, others are reached with ssh"},
    {.key = "pipe",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_SERVER,
     .placeholder = "N",
     .help = "name to listen under; %x or %d: first the process, then the thread"},
    {.key = "pipe",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT,
     .placeholder = "N",
     .help = "name of the pipe, as the server has told it"},
    {.key = "hidden",
     .type = KD_PARAM_FLAG,
     .flags = KD_PARAM_SERVER,
     .help = "keeps the server out of listings; it stays reachable"},
    {.key = "IcfEnable",
     .type = KD_PARAM_FLAG,
     .flags = NPIPE_ALONE | KD_PARAM_SERVER,
     .help = "accepted: a pipe needs nothing of this machine's firewall"},
    {0},
};

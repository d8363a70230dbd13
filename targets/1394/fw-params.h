/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the 1394 target. */
#pragma once

#include <kdsrv/kd-plugin.h>

#define FW_CHANNEL_MAX 62u

static const char *const fw_symlinks[] G_GNUC_UNUSED = {"channel", "instance", NULL};

/* symlink= chooses by which name a Windows host opens its driver. There is no such driver here: the
 * target is the one whose debug block has the channel, with either word. */
static const KdParamSpec fw_params[] G_GNUC_UNUSED = {
    {.key = "channel",
     .type = KD_PARAM_UINT,
     .max = FW_CHANNEL_MAX,
     .default_value = "0",
     .placeholder = "N",
     .help = "channel of the target, as it was set up there",
     .environment = "_NT_DEBUG_1394_CHANNEL"},
    {.key = "symlink",
     .type = KD_PARAM_CHOICE,
     .flags = KD_PARAM_IGNORED,
     .choices = fw_symlinks,
     .help = "name of a Windows host's driver; here the target is found by its channel in any case",
     .environment = "_NT_DEBUG_1394_SYMLINK"},
    {0},
};

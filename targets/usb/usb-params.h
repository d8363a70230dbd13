/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the usb and usb2 targets. */
#pragma once

#include "usb-name.h"

#include <kdsrv/kd-plugin.h>

static const KdParamSpec usb_params[] = {
    {.key = "targetname",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .max_len = USB_NAME_MAX_BYTES,
     .placeholder = "NAME",
     .help = "the name that the target was given when its debugging was set up, in any case"},
    {0},
};

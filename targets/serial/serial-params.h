/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the com target. */
#pragma once

#include <kdsrv/kd-plugin.h>

#define SERIAL_BAUD_MIN 50u
#define SERIAL_BAUD_MAX 50000000u /* the fastest USB adapters do 12 to 50 Mbit/s */

static const char *const serial_line_states[] = {"on", "off", NULL};

/* What port= means depends on its neighbours, a device, a path or a host: so it is a string here
 * and serial-plan.c looks closer. */
static const KdParamSpec serial_params[] = {
    {.key = "port",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .max_len = 1024,
     .placeholder = "NAME",
     .help = "com2 or the path of a line; with pipe a VM's socket; with ipport a host",
     .environment = "_NT_DEBUG_PORT"},
    {.key = "baud",
     .type = KD_PARAM_UINT,
     .min = SERIAL_BAUD_MIN,
     .max = SERIAL_BAUD_MAX,
     .default_value = "115200",
     .placeholder = "B",
     .help = "speed of the line",
     .environment = "_NT_DEBUG_BAUD_RATE"},
    {.key = "pipe",
     .type = KD_PARAM_FLAG,
     .group = 1,
     .help = "port= is the socket or the terminal of a virtual machine"},
    {.key = "ipport",
     .type = KD_PARAM_UINT,
     .group = 1,
     .min = 1,
     .max = 65535,
     .placeholder = "PORT",
     .help = "port= is a host that offers a serial port on this TCP port"},
    {.key = "resets",
     .type = KD_PARAM_UINT,
     .max = UINT32_MAX,
     .placeholder = "0",
     .help = "how many reset packets the debugger sends; for the debugger's side"},
    {.key = "reconnect",
     .type = KD_PARAM_FLAG,
     .help =
         "waits for what port= names, and opens it anew when it was lost, as serial devices are "
         "in any case"},
    {.key = "modem", .type = KD_PARAM_FLAG, .help = "watches the carrier of a serial line"},
    {.key = "drain",
     .type = KD_PARAM_FLAG,
     .flags = KD_PARAM_EXTENSION,
     .help = "keeps the link open after the last session and drops what arrives"},
    {.key = "dtr",
     .type = KD_PARAM_CHOICE,
     .flags = KD_PARAM_EXTENSION,
     .choices = serial_line_states,
     .help = "sets DTR of a serial line; left out: as opening leaves it, which raises it"},
    {.key = "rts",
     .type = KD_PARAM_CHOICE,
     .flags = KD_PARAM_EXTENSION,
     .choices = serial_line_states,
     .help = "sets RTS of a serial line; left out: as opening leaves it, which raises it"},
    {0},
};

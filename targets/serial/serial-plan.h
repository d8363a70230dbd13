/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the keys of a com string ask for. */
#pragma once

#include <kdsrv/kd-plugin.h>

typedef enum {
    SERIAL_LINE = 1, /* a terminal device, with a speed            */
    SERIAL_PIPE = 2, /* a VM's UNIX socket, or its terminal        */
    SERIAL_IP = 3,   /* a serial port that somebody offers by TCP  */
} SerialKind;

/**
 * SerialPlan:
 * @name: path, or host with SERIAL_IP; also what messages call it
 * @baud: 0: none
 * @ip_port: 0: none
 * @is_waited_for: `reconnect`
 * @is_drained: `drain`
 * @has_modem: `modem`: the carrier is watched; only of a %SERIAL_LINE
 * @has_resets: whether `resets=` was given
 * @resets: reset packets that the debugger shall send; for the debugger's side
 * @lines_mask: `dtr=`, `rts=`: which of TIOCM_DTR and TIOCM_RTS are set when opening
 * @lines_value: those of them that are raised; the others are dropped
 */
typedef struct {
    SerialKind kind;
    char *name;
    uint32_t baud;
    uint16_t ip_port;
    gboolean is_waited_for;
    gboolean is_drained;
    gboolean has_modem;
    gboolean has_resets;
    uint32_t resets;
    uint32_t lines_mask;
    uint32_t lines_value;
} SerialPlan;

SerialPlan *serial_plan_new(GVariant *params, GError **error);
void serial_plan_free(SerialPlan *plan);
char **serial_plan_build_targets_folders(void);
char *serial_plan_build_targets_folder(void);
char **serial_plan_build_lock_names(const SerialPlan *plan, const KdHost *host);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialPlan, serial_plan_free)

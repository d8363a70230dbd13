/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The 1394 target: Windows debug targets on FireWire cables. */
#include "fw-link.h"
#include "fw-list.h"
#include "fw-params.h"
#include "kd-link-port.h"

static char **
fw_build_lock_names(const KdHost *host, GVariant *params)
{
    guint64 channel = 0;
    char **names = g_new0(char *, 2);
    (void)host;
    g_variant_lookup(params, "channel", "t", &channel);
    names[0] = g_strdup_printf("1394:%u", (unsigned)channel);
    return names;
}

static const KdTarget fw_target = {
    .struct_size = sizeof(KdTarget),
    .caps = KD_LINK_PORT_CONTROLS,
    .scheme = "1394",
    .summary = "Windows kernels on FireWire cables",
    .params = fw_params,
    .build_lock_names = fw_build_lock_names,
    .enumerate_async = fw_list_async,
    .enumerate_finish = fw_list_finish,
    .open_async = fw_link_open_async,
    .open_finish = fw_link_open_finish,
    .control_async = fw_link_control_async,
    .control_finish = fw_link_control_finish,
    .close_async = fw_link_close_async,
    .close_finish = fw_link_close_finish,
};

static const KdTarget *const fw_targets[] = {&fw_target, NULL};

KD_PLUGIN_DEFINE(.name = "1394", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .targets = fw_targets);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The usb and usb2 targets: Windows on a USB debug cable. */
#include "kd-link-port.h"
#include "usb-link.h"
#include "usb-list.h"
#include "usb-params.h"

static const char *
get_name(GVariant *params)
{
    const char *name = "";
    (void)g_variant_lookup(params, "targetname", "&s", &name);
    return name;
}

static gboolean
usb_check(GVariant *params, GError **error)
{
    return usb_name_check(get_name(params), error);
}

static char **
usb_build_lock_names(const KdHost *host, GVariant *params)
{
    char **names = g_new0(char *, 2);
    (void)host;
    names[0] = usb_name_build_lock(get_name(params));
    return names;
}

/* What a device is decides the device: the two schemes differ in what people call the cable. So
 * only the first one lists. */
#define USB_TARGET                                                                        \
    .struct_size = sizeof(KdTarget), .caps = KD_LINK_PORT_CONTROLS, .params = usb_params, \
    .check = usb_check, .build_lock_names = usb_build_lock_names,                         \
    .open_async = usb_link_open_async, .open_finish = usb_link_open_finish,               \
    .control_async = usb_link_control_async, .control_finish = usb_link_control_finish,   \
    .close_async = usb_link_close_async, .close_finish = usb_link_close_finish

static const KdTarget usb_target = {
    USB_TARGET,
    .scheme = "usb",
    .summary = "Windows targets on USB debug cables",
    .enumerate_async = usb_list_async,
    .enumerate_finish = usb_list_finish,
};

static const KdTarget usb2_target = {
    USB_TARGET,
    .scheme = "usb2",
    .summary = "the same, as USB 2.0 cables are written",
};

static const KdTarget *const usb_targets[] = {&usb_target, &usb2_target, NULL};

KD_PLUGIN_DEFINE(.name = "usb", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .targets = usb_targets);

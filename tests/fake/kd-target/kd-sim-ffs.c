/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usb:FOLDER: the target is a USB device of this machine. usb:FOLDER,GADGET: and it is off its bus
 * while it boots. */
#include "kd-sim-carrier.h"
#include "kd-sim-gadget.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/**
 * Cable:
 * @path: (nullable): where a controller is named for the device to be bound to
 * @controller: (nullable): the one that it was bound to, while it is off
 */
typedef struct {
    GSource source;
    KdSimTarget *target;
    KdSimGadget *gadget;
    char *path;
    char *controller;
} Cable;

/* ---- on and off the bus ---- */

/* In one write, as configfs wants it. */
static void
bind_to(const Cable *cable, const char *controller)
{
    int fd = open(cable->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, controller, strlen(controller)) < 0)
        g_warning("%s cannot be written to", cable->path);
    if (fd >= 0)
        close(fd);
}

static gboolean
cable_prepare(GSource *source, gint *wait_ms)
{
    Cable *cable = (Cable *)source;
    gboolean is_off = kd_sim_machine_is_booting(kd_sim_target_get_machine(cable->target));
    *wait_ms = -1;
    if (is_off && cable->controller == NULL &&
        g_file_get_contents(cable->path, &cable->controller, NULL, NULL)) {
        bind_to(cable, "\n");
    } else if (!is_off && cable->controller != NULL) {
        bind_to(cable, cable->controller);
        g_clear_pointer(&cable->controller, g_free);
    }
    return FALSE;
}

static void
cable_finalize(GSource *source)
{
    Cable *cable = (Cable *)source;
    g_free(cable->path);
    g_free(cable->controller);
}

/* Looked at each time before the loop waits */
static Cable *
make_cable(KdSimTarget *target, const char *gadget_folder)
{
    static GSourceFuncs funcs = {.prepare = cable_prepare, .finalize = cable_finalize};
    Cable *cable = (Cable *)g_source_new(&funcs, sizeof(Cable));
    cable->target = target;
    if (gadget_folder != NULL) {
        cable->path = g_build_filename(gadget_folder, "UDC", NULL);
        g_source_attach(&cable->source, NULL);
    }
    return cable;
}

/* ---- the carrier ---- */

static void
on_received(const uint8_t *bytes, size_t len_bytes, void *user)
{
    kd_sim_target_receive(user, bytes, len_bytes, NULL, g_get_monotonic_time());
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to G_GNUC_UNUSED, void *user)
{
    return kd_sim_gadget_send(user, bytes, len_bytes);
}

static void *
open_gadget(KdSimTarget *target, const char *where, GError **error)
{
    g_auto(GStrv) folders = g_strsplit(where, ",", 2);
    KdSimGadget *gadget = kd_sim_gadget_new(folders[0], on_received, target, error);
    if (gadget == NULL)
        return NULL;
    kd_sim_target_set_send(target, on_send, gadget);
    Cable *cable = make_cable(target, folders[1]);
    cable->gadget = gadget;
    return cable;
}

static void
close_gadget(KdSimTarget *target, void *carrier)
{
    Cable *cable = carrier;
    kd_sim_target_set_send(target, NULL, NULL);
    kd_sim_gadget_free(cable->gadget);
    g_source_destroy(&cable->source);
    g_source_unref(&cable->source);
}

const KdSimCarrier kd_sim_usb_carrier = {
    .kind = "usb",
    .dialect = KD_SIM_DIALECT_USB,
    .open = open_gadget,
    .close = close_gadget,
};

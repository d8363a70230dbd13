/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One USB device that may be a target: its place, its name, and who has it. */
#include "usb-unit.h"

#include "usb-bootstrap.h"
#include "usb-name.h"
#include "usb-sysfs.h"

#include <string.h>

#define RETRY_FIRST_MS 500u
#define RETRY_LAST_MS  8000u
#define N_PORTS        7  /* hubs behind hubs, USB 3.2 3.1 */
#define N_SILENT       3u /* questions without an answer, after which it is said */

struct UsbUnit {
    grefcount ref_count;
    UsbContext *context;
    libusb_device *device;
    UsbKind kind;
    UsbInterface interface;
    char *place;
    char *label;
    UsbUnitState state;
    char *name; /* (nullable): what it said last */
    UsbPipe *pipe;
    UsbBootstrap *bootstrap;
    GError *error; /* (nullable): of the last try to open it */
    guint retry_ms;
    gint64 retry_us;
    gboolean is_gone;
    UsbUnitFunc changed; /* (nullable) */
    void *user;
    void (*closed)(gpointer user); /* (nullable) */
    gpointer closed_user;
};

/* ---- what it is ------------------------------------------------------------------------------ */

/* `1-2.3`, as the kernel calls it: the bus, and the port of each hub */
static char *
build_place(libusb_device *device)
{
    uint8_t ports[N_PORTS];
    int n_ports = libusb_get_port_numbers(device, ports, N_PORTS);
    GString *place = g_string_new(NULL);
    g_string_append_printf(place, "%u", libusb_get_bus_number(device));
    for (int i = 0; i < n_ports; i++) {
        g_string_append_printf(place, "%c%u", i == 0 ? '-' : '.', ports[i]);
    }
    return g_string_free(place, FALSE);
}

/* In the configuration that is in force or not: to ask which one that is would mean to wait for the
 * device, and targets have only one. */
static gboolean
find_interface(libusb_device *device, uint8_t n_configs, UsbKind kind, UsbInterface *found)
{
    gboolean is_found = FALSE;
    for (uint8_t i = 0; i < n_configs && !is_found; i++) {
        struct libusb_config_descriptor *config = NULL;
        if (libusb_get_config_descriptor(device, i, &config) == LIBUSB_SUCCESS) {
            is_found = usb_match_find_interface(config, kind, found);
            libusb_free_config_descriptor(config);
        }
    }
    return is_found;
}

/**
 * usb_unit_new:
 * @changed: called when the unit has told its name, has failed, or was closed
 *
 * Looks at a device's descriptors, which the kernel has read when it was plugged in.
 *
 * Returns: (transfer full) (nullable): %NULL: it is neither a target nor Linux's debug device
 */
UsbUnit *
usb_unit_new(UsbContext *context, libusb_device *device, UsbUnitFunc changed, void *user)
{
    struct libusb_device_descriptor descriptor = {0};
    UsbInterface interface = {0};
    if (libusb_get_device_descriptor(device, &descriptor) != LIBUSB_SUCCESS) {
        return NULL;
    }
    UsbKind kind = usb_match_get_kind(descriptor.idVendor, descriptor.idProduct);
    if (kind != USB_KIND_LINUX &&
        !find_interface(device, descriptor.bNumConfigurations, kind, &interface)) {
        return NULL;
    }
    UsbUnit *unit = g_new0(UsbUnit, 1);
    g_ref_count_init(&unit->ref_count);
    unit->context = usb_context_ref(context);
    unit->device = libusb_ref_device(device);
    unit->kind = kind;
    unit->interface = interface;
    unit->place = build_place(device);
    unit->label = g_strdup_printf("USB device %s (%04x:%04x)", unit->place, descriptor.idVendor,
                                  descriptor.idProduct);
    unit->changed = changed;
    unit->user = user;
    return unit;
}

/**
 * usb_unit_rebind:
 * @context: of now
 * @device: the same one, as @context knows it
 *
 * Lets go of a former context, unless the device is open.
 */
void
usb_unit_rebind(UsbUnit *unit, UsbContext *context, libusb_device *device)
{
    if (unit->state != USB_UNIT_IDLE || unit->context == context) {
        return;
    }
    libusb_unref_device(unit->device);
    usb_context_unref(unit->context);
    unit->device = libusb_ref_device(device);
    unit->context = usb_context_ref(context);
}

/**
 * usb_unit_ref:
 *
 * Returns: (transfer full): the same
 */
UsbUnit *
usb_unit_ref(UsbUnit *unit)
{
    g_ref_count_inc(&unit->ref_count);
    return unit;
}

/**
 * usb_unit_unref:
 * @unit: (transfer full) (nullable): with its last reference, given back
 */
void
usb_unit_unref(UsbUnit *unit)
{
    if (unit == NULL || !g_ref_count_dec(&unit->ref_count)) {
        return;
    }
    g_warn_if_fail(unit->pipe == NULL);
    libusb_unref_device(unit->device);
    usb_context_unref(unit->context);
    g_clear_pointer(&unit->bootstrap, usb_bootstrap_free);
    g_clear_error(&unit->error);
    g_free(unit->place);
    g_free(unit->label);
    g_free(unit->name);
    g_free(unit);
}

/**
 * usb_unit_forget:
 *
 * Tells nobody of changes any more.
 */
void
usb_unit_forget(UsbUnit *unit)
{
    unit->changed = NULL;
}

/**
 * usb_unit_get_state:
 *
 * Returns: what is done with it
 */
UsbUnitState
usb_unit_get_state(const UsbUnit *unit)
{
    return unit->state;
}

/**
 * usb_unit_get_kind:
 *
 * Returns: what its ids say
 */
UsbKind
usb_unit_get_kind(const UsbUnit *unit)
{
    return unit->kind;
}

/**
 * usb_unit_get_number:
 *
 * Returns: bus and address, which are another unit's only when this one has gone
 */
uint32_t
usb_unit_get_number(const UsbUnit *unit)
{
    return ((uint32_t)libusb_get_bus_number(unit->device) << 8) |
           libusb_get_device_address(unit->device);
}

/**
 * usb_unit_get_place:
 *
 * Returns: `1-2.3`, its folder in sysfs
 */
const char *
usb_unit_get_place(const UsbUnit *unit)
{
    return unit->place;
}

/**
 * usb_unit_get_label:
 *
 * Returns: for people
 */
const char *
usb_unit_get_label(const UsbUnit *unit)
{
    return unit->label;
}

/**
 * usb_unit_get_name:
 *
 * Returns: (nullable): that the target has told, now or earlier
 */
const char *
usb_unit_get_name(const UsbUnit *unit)
{
    return unit->name;
}

/**
 * usb_unit_get_interface:
 *
 * Returns: (transfer none): where KD is spoken
 */
const UsbInterface *
usb_unit_get_interface(const UsbUnit *unit)
{
    return &unit->interface;
}

/**
 * usb_unit_get_speed_mbit:
 *
 * Returns: of the bus, 0: not known
 */
int
usb_unit_get_speed_mbit(const UsbUnit *unit)
{
    switch (libusb_get_device_speed(unit->device)) {
    case LIBUSB_SPEED_FULL:
        return 12;
    case LIBUSB_SPEED_HIGH:
        return 480;
    case LIBUSB_SPEED_SUPER:
        return 5000;
    case LIBUSB_SPEED_SUPER_PLUS:
        return 10000;
    default:
        return 0;
    }
}

/**
 * usb_unit_get_error:
 *
 * Returns: (nullable): why it could not be opened
 */
const GError *
usb_unit_get_error(const UsbUnit *unit)
{
    return unit->error;
}

/**
 * usb_unit_is_silent:
 *
 * Returns: whether it has not told its name for some seconds
 */
gboolean
usb_unit_is_silent(const UsbUnit *unit)
{
    return unit->state == USB_UNIT_ASKING && unit->bootstrap != NULL &&
           usb_bootstrap_get_n_asked(unit->bootstrap) > N_SILENT;
}

/**
 * usb_unit_set_gone:
 *
 * Notes that it has left its bus.
 */
void
usb_unit_set_gone(UsbUnit *unit)
{
    unit->is_gone = TRUE;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void
notify(UsbUnit *unit)
{
    if (unit->changed != NULL) {
        unit->changed(unit, unit->user);
    }
}

/* What fails is tried again, ever less often. */
static void
retry_later(UsbUnit *unit)
{
    unit->retry_ms = CLAMP(unit->retry_ms * 2, RETRY_FIRST_MS, RETRY_LAST_MS);
    unit->retry_us = g_get_monotonic_time() + (gint64)unit->retry_ms * 1000;
}

static void
ask(UsbUnit *unit, gint64 now_us)
{
    if (usb_bootstrap_is_due(unit->bootstrap, now_us)) {
        (void)usb_pipe_send(unit->pipe, (const uint8_t *)USB_NAME_QUESTION,
                            strlen(USB_NAME_QUESTION));
        usb_bootstrap_asked(unit->bootstrap, now_us);
    }
}

static void
on_received(const uint8_t *bytes, size_t len_bytes, void *user)
{
    UsbUnit *unit = user;
    if (!usb_bootstrap_take(unit->bootstrap, bytes, len_bytes)) {
        return;
    }
    g_free(unit->name);
    unit->name = g_strdup(usb_bootstrap_get_name(unit->bootstrap));
    unit->state = USB_UNIT_NAMED;
    unit->retry_ms = 0;
    notify(unit);
}

static void
on_sent(void *user)
{
    (void)user;
}

static void
on_ended(UsbEnd why, void *user)
{
    g_autoptr(UsbUnit) unit = usb_unit_ref(user);
    g_clear_error(&unit->error);
    if (why == USB_END_GONE) {
        unit->error = g_error_new(G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s has gone", unit->label);
    } else {
        unit->error = g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "%s: nothing passes", unit->label);
    }
    usb_unit_give_back(unit, TRUE, NULL, NULL);
    notify(unit);
}

static const UsbPipeFuncs asking_funcs = {
    .received = on_received,
    .sent = on_sent,
    .ended = on_ended,
};

/**
 * usb_unit_get_deadline_us:
 *
 * Returns: when usb_unit_tick() is due, or when it may be asked again
 */
gint64
usb_unit_get_deadline_us(const UsbUnit *unit)
{
    if (unit->state == USB_UNIT_ASKING) {
        return usb_bootstrap_get_deadline_us(unit->bootstrap);
    }
    return unit->state == USB_UNIT_IDLE && unit->kind != USB_KIND_LINUX ? unit->retry_us
                                                                        : G_MAXINT64;
}

/**
 * usb_unit_may_be_asked:
 *
 * Returns: whether usb_unit_ask() may be called: it is ours to open, and not too soon after a
 *    failure
 */
gboolean
usb_unit_may_be_asked(const UsbUnit *unit, gint64 now_us)
{
    return unit->state == USB_UNIT_IDLE && unit->kind != USB_KIND_LINUX && !unit->is_gone &&
           now_us >= unit->retry_us;
}

/**
 * usb_unit_forgive:
 *
 * Forgets that it could not be opened: it may be tried at once.
 */
void
usb_unit_forgive(UsbUnit *unit)
{
    g_clear_error(&unit->error);
    unit->retry_ms = 0;
    unit->retry_us = 0;
}

/* A driver of the kernel is left where it is, but named. */
static void
look_for_driver(UsbUnit *unit)
{
    if (!g_error_matches(unit->error, KD_ERROR, KD_ERROR_BUSY)) {
        return;
    }
    g_autofree char *driver = usb_sysfs_find_driver(unit->place, unit->interface.number);
    if (driver != NULL && strcmp(driver, "usbfs") != 0) {
        g_clear_error(&unit->error);
        unit->error =
            g_error_new(KD_ERROR, KD_ERROR_BUSY,
                        "it is in the hands of the kernel's driver %s: unbind that", driver);
    }
}

/**
 * usb_unit_ask:
 *
 * Opens the device and asks for its name; if that fails, usb_unit_get_error() says why. Not from
 * within libusb.
 */
void
usb_unit_ask(UsbUnit *unit, gint64 now_us)
{
    g_clear_error(&unit->error);
    unit->pipe = usb_pipe_open(unit->context, unit->device, &unit->interface, &asking_funcs, unit,
                               &unit->error);
    if (unit->pipe == NULL) {
        look_for_driver(unit);
        g_prefix_error(&unit->error, "%s: ", unit->label);
        retry_later(unit);
        return;
    }
    unit->state = USB_UNIT_ASKING;
    unit->bootstrap = usb_bootstrap_new(now_us);
    ask(unit, now_us);
}

/**
 * usb_unit_tick:
 *
 * Asks again when it is time.
 */
void
usb_unit_tick(UsbUnit *unit, gint64 now_us)
{
    if (unit->state == USB_UNIT_ASKING) {
        ask(unit, now_us);
    }
}

/* ---- giving it out --------------------------------------------------------------------------- */

/**
 * usb_unit_take:
 * @unit: %USB_UNIT_NAMED
 * @funcs: told from now on
 * @packets: (out) (transfer full) (element-type GBytes): what the target has sent already
 *
 * Returns: (transfer none): the pipe; usb_unit_give_back() closes it
 */
UsbPipe *
usb_unit_take(UsbUnit *unit, const UsbPipeFuncs *funcs, void *user, GPtrArray **packets)
{
    g_return_val_if_fail(unit->state == USB_UNIT_NAMED, NULL);
    unit->state = USB_UNIT_TAKEN;
    *packets = usb_bootstrap_steal_packets(unit->bootstrap);
    g_clear_pointer(&unit->bootstrap, usb_bootstrap_free);
    usb_pipe_set_funcs(unit->pipe, funcs, user);
    return unit->pipe;
}

static void
on_closed(gpointer user)
{
    g_autoptr(UsbUnit) unit = user;
    void (*closed)(gpointer user) = unit->closed;
    unit->closed = NULL;
    unit->state = USB_UNIT_IDLE;
    if (closed != NULL) {
        closed(unit->closed_user);
    }
    notify(unit);
}

/**
 * usb_unit_give_back:
 * @unit: one that is open
 * @has_failed: whether to wait before it is opened again
 * @closed: (nullable): called when it is closed, at once or soon
 *
 * Closes the device; for others it is free then.
 */
void
usb_unit_give_back(UsbUnit *unit, gboolean has_failed, void (*closed)(gpointer user), gpointer user)
{
    g_return_if_fail(unit->pipe != NULL);
    unit->state = USB_UNIT_CLOSING;
    unit->closed = closed;
    unit->closed_user = user;
    g_clear_pointer(&unit->bootstrap, usb_bootstrap_free);
    if (has_failed) {
        retry_later(unit);
    }
    usb_pipe_close(g_steal_pointer(&unit->pipe), on_closed, usb_unit_ref(unit));
}

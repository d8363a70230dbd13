/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The targets on this machine's USB, and who looks for which of them. One for the process: a device
 * is asked for its name once, whoever wants to know it. It stays, and rests while nobody uses it.
 */
#include "usb-bus.h"

#include "usb-name.h"

#include <kdsrv-support/kd-source.h>

/* Where no udevd tells of devices they are looked for so often, while somebody waits. */
#define RESCAN_MS 1000u

struct UsbBus {
    guint n_users;
    const KdHost *host;
    UsbContext *context;
    GPtrArray *units;   /* UsbUnit: that are plugged in */
    GPtrArray *seekers; /* UsbSeeker */
    gint64 rescan_us;
    GSource *timer; /* (nullable): the next deadline of anything */
    gboolean is_working;
    gboolean has_work; /* that came up meanwhile */
};

struct UsbSeeker {
    UsbBus *bus;
    char *name; /* (nullable): each */
    const UsbSeekerFuncs *funcs;
    void *user;
};

static UsbBus *the_bus;

static void queue_work(UsbBus *bus);

/* ---- what is plugged in ---------------------------------------------------------------------- */

static void
on_context_changed(void *user)
{
    queue_work(user);
}

static void
on_unit_changed(UsbUnit *unit, void *user)
{
    (void)unit;
    queue_work(user);
}

static UsbUnit *
find_unit(const UsbBus *bus, uint32_t number)
{
    for (guint i = 0; i < bus->units->len; i++) {
        if (usb_unit_get_number(bus->units->pdata[i]) == number) {
            return bus->units->pdata[i];
        }
    }
    return NULL;
}

/* Whoever has it keeps it until libusb tells that nothing passes any more. One of which that was
 * told stays until it is not listed any more: else it would be new, and asked at once, again and
 * again. */
static void
drop_unit(UsbBus *bus, UsbUnit *unit)
{
    UsbUnitState state = usb_unit_get_state(unit);
    usb_unit_set_gone(unit);
    usb_unit_forget(unit);
    if (state == USB_UNIT_ASKING || state == USB_UNIT_NAMED) {
        usb_unit_give_back(unit, FALSE, NULL, NULL);
    }
    g_ptr_array_remove(bus->units, unit);
}

/* libusb lists what came last first. */
static int
compare_units(gconstpointer a, gconstpointer b)
{
    uint32_t first = usb_unit_get_number(*(const UsbUnit *const *)a);
    uint32_t second = usb_unit_get_number(*(const UsbUnit *const *)b);
    return first < second ? -1 : first > second;
}

static gboolean
is_listed(libusb_device **devices, ssize_t n_devices, const UsbUnit *unit)
{
    for (ssize_t i = 0; i < n_devices; i++) {
        uint32_t number = ((uint32_t)libusb_get_bus_number(devices[i]) << 8) |
                          libusb_get_device_address(devices[i]);
        if (number == usb_unit_get_number(unit)) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
scan(UsbBus *bus)
{
    libusb_device **devices = NULL;
    ssize_t n_devices = libusb_get_device_list(usb_context_get(bus->context), &devices);
    for (guint i = bus->units->len; i > 0; i--) {
        UsbUnit *unit = bus->units->pdata[i - 1];
        if (!is_listed(devices, n_devices, unit)) {
            drop_unit(bus, unit);
        }
    }
    for (ssize_t i = 0; i < n_devices; i++) {
        uint32_t number = ((uint32_t)libusb_get_bus_number(devices[i]) << 8) |
                          libusb_get_device_address(devices[i]);
        UsbUnit *unit = find_unit(bus, number);
        if (unit != NULL) {
            usb_unit_rebind(unit, bus->context, devices[i]);
            continue;
        }
        unit = usb_unit_new(bus->context, devices[i], on_unit_changed, bus);
        if (unit != NULL) {
            g_ptr_array_add(bus->units, unit);
        }
    }
    g_ptr_array_sort(bus->units, compare_units);
    if (devices != NULL) {
        libusb_free_device_list(devices, 1);
    }
}

/* Without udevd a context never learns of new devices: a new one does. Devices that are open keep
 * theirs. */
static void
rescan(UsbBus *bus, gint64 now_us)
{
    UsbContext *context = usb_context_new(bus->host, on_context_changed, bus, NULL);
    bus->rescan_us = now_us + RESCAN_MS * G_GINT64_CONSTANT(1000);
    if (context == NULL) {
        return;
    }
    usb_context_forget(bus->context);
    usb_context_unref(bus->context);
    bus->context = context;
}

/* ---- who gets what --------------------------------------------------------------------------- */

static UsbSeeker *
find_seeker(const UsbBus *bus, const UsbUnit *unit)
{
    const char *name = usb_unit_get_name(unit);
    for (guint i = 0; i < bus->seekers->len; i++) {
        UsbSeeker *seeker = bus->seekers->pdata[i];
        if (seeker->name != NULL && name != NULL && usb_name_is_same(seeker->name, name)) {
            return seeker;
        }
    }
    return NULL;
}

/* Whether somebody wants it, or may want it once its name is known. */
static gboolean
is_wanted(const UsbBus *bus, const UsbUnit *unit)
{
    return find_seeker(bus, unit) != NULL ||
           (usb_unit_get_name(unit) == NULL && bus->seekers->len > 0);
}

static void
give_out(UsbBus *bus, UsbUnit *unit)
{
    UsbSeeker *seeker = find_seeker(bus, unit);
    if (seeker == NULL) {
        usb_unit_give_back(unit, FALSE, NULL, NULL);
        return;
    }
    const UsbSeekerFuncs *funcs = seeker->funcs;
    void *user = seeker->user;
    usb_seeker_free(seeker);
    funcs->found(unit, user);
}

static void
work_on(UsbBus *bus, UsbUnit *unit, gint64 now_us)
{
    switch (usb_unit_get_state(unit)) {
    case USB_UNIT_IDLE:
        if (is_wanted(bus, unit) && usb_unit_may_be_asked(unit, now_us)) {
            usb_unit_ask(unit, now_us);
        }
        break;
    case USB_UNIT_ASKING:
        /* An earlier name may have been another one's. */
        if (bus->seekers->len == 0) {
            usb_unit_give_back(unit, FALSE, NULL, NULL);
        } else {
            usb_unit_tick(unit, now_us);
        }
        break;
    case USB_UNIT_NAMED:
        give_out(bus, unit);
        break;
    case USB_UNIT_TAKEN:
    case USB_UNIT_CLOSING:
    default:
        break;
    }
}

static void
tell_seekers(UsbBus *bus)
{
    g_autoptr(GPtrArray) seekers = g_ptr_array_copy(bus->seekers, NULL, NULL);
    for (guint i = 0; i < seekers->len; i++) {
        UsbSeeker *seeker = seekers->pdata[i];
        if (g_ptr_array_find(bus->seekers, seeker, NULL) && seeker->funcs->changed != NULL) {
            seeker->funcs->changed(seeker->user);
        }
    }
}

static gpointer
on_ref_unit(gconstpointer unit, gpointer unused)
{
    (void)unused;
    return usb_unit_ref((UsbUnit *)unit);
}

static void
work_on_all(UsbBus *bus, gint64 now_us)
{
    g_autoptr(GPtrArray) units = g_ptr_array_copy(bus->units, on_ref_unit, NULL);
    for (guint i = 0; i < units->len; i++) {
        /* One that is given out may end another one. */
        if (g_ptr_array_find(bus->units, units->pdata[i], NULL)) {
            work_on(bus, units->pdata[i], now_us);
        }
    }
}

/* ---- the clock ------------------------------------------------------------------------------- */

static gboolean
on_timer(gpointer user_data)
{
    UsbBus *bus = user_data;
    kd_source_clear(&bus->timer);
    usb_bus_work(bus);
    return G_SOURCE_REMOVE;
}

static void
start_timer(UsbBus *bus)
{
    gint64 now_us = g_get_monotonic_time();
    gint64 deadline_us = usb_context_has_hotplug(bus->context) ? G_MAXINT64 : bus->rescan_us;
    kd_source_clear(&bus->timer);
    if (bus->has_work) {
        queue_work(bus);
        return;
    }
    if (bus->seekers->len == 0) {
        return;
    }
    for (guint i = 0; i < bus->units->len; i++) {
        const UsbUnit *unit = bus->units->pdata[i];
        if (usb_unit_get_state(unit) == USB_UNIT_ASKING || is_wanted(bus, unit)) {
            deadline_us = MIN(deadline_us, usb_unit_get_deadline_us(unit));
        }
    }
    if (deadline_us != G_MAXINT64) {
        gint64 wait_ms = CLAMP((deadline_us - now_us) / 1000 + 1, 1, 60000);
        kd_source_start_timer(&bus->timer, (uint32_t)wait_ms, on_timer, bus);
    }
}

static void
queue_work(UsbBus *bus)
{
    bus->has_work = TRUE;
    kd_source_start_timer(&bus->timer, 0, on_timer, bus);
}

static gboolean
is_any_open(const UsbBus *bus)
{
    for (guint i = 0; i < bus->units->len; i++) {
        if (usb_unit_get_state(bus->units->pdata[i]) != USB_UNIT_IDLE) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * usb_bus_work:
 *
 * Does what is due: looks for devices, asks them for their names, gives them out. Otherwise called
 * by the bus itself; not from within libusb.
 */
void
usb_bus_work(UsbBus *bus)
{
    gint64 now_us = g_get_monotonic_time();
    if (bus->is_working || usb_context_is_turning()) {
        queue_work(bus);
        return;
    }
    bus->is_working = TRUE;
    bus->has_work = FALSE;
    if (bus->seekers->len > 0 && !usb_context_has_hotplug(bus->context) &&
        now_us >= bus->rescan_us) {
        rescan(bus, now_us);
    }
    scan(bus);
    work_on_all(bus, now_us);
    tell_seekers(bus);
    bus->is_working = FALSE;
    start_timer(bus);
    if (bus->n_users == 0 && !is_any_open(bus)) {
        usb_context_rest(bus->context);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
on_unref_unit(gpointer unit)
{
    usb_unit_unref(unit);
}

static UsbBus *
bus_new(const KdHost *host, GError **error)
{
    UsbBus *bus = g_new0(UsbBus, 1);
    bus->context = usb_context_new(host, on_context_changed, bus, error);
    if (bus->context == NULL) {
        g_free(bus);
        return NULL;
    }
    bus->host = host;
    bus->units = g_ptr_array_new_with_free_func(on_unref_unit);
    bus->seekers = g_ptr_array_new();
    bus->rescan_us = g_get_monotonic_time() + RESCAN_MS * G_GINT64_CONSTANT(1000);
    return bus;
}

/**
 * usb_bus_acquire:
 * @host: its loop
 *
 * Begins a use: whoever comes new finds nothing that was given up.
 *
 * Returns: (transfer full) (nullable): the one of this process; usb_bus_release() ends its use
 */
UsbBus *
usb_bus_acquire(const KdHost *host, GError **error)
{
    if (the_bus == NULL) {
        the_bus = bus_new(host, error);
    } else if (the_bus->n_users == 0) {
        if (!usb_context_wake(the_bus->context, error)) {
            return NULL;
        }
        the_bus->rescan_us = 0;
    }
    if (the_bus == NULL) {
        return NULL;
    }
    the_bus->n_users++;
    for (guint i = 0; i < the_bus->units->len; i++) {
        usb_unit_forgive(the_bus->units->pdata[i]);
    }
    return the_bus;
}

/**
 * usb_bus_release:
 * @bus: (transfer full): all seekers of this user are gone, and all units given back
 *
 * Lets it rest after the last user. What devices have told of themselves stays known.
 */
void
usb_bus_release(UsbBus *bus)
{
    if (--bus->n_users == 0) {
        usb_bus_work(bus);
    }
}

/**
 * usb_bus_get_units:
 *
 * Returns: (transfer none) (element-type UsbUnit): what was found when it was last looked for
 */
const GPtrArray *
usb_bus_get_units(const UsbBus *bus)
{
    return bus->units;
}

/**
 * usb_bus_seek:
 * @name: (nullable): of the target, in any case; %NULL: nothing is found, but all are asked
 * @funcs: live as long as the seeker
 *
 * Looks for a target from now on, until it is found or the seeker is freed.
 *
 * Returns: (transfer full)
 */
UsbSeeker *
usb_bus_seek(UsbBus *bus, const char *name, const UsbSeekerFuncs *funcs, void *user)
{
    UsbSeeker *seeker = g_new0(UsbSeeker, 1);
    seeker->bus = bus;
    seeker->name = g_strdup(name);
    seeker->funcs = funcs;
    seeker->user = user;
    g_ptr_array_add(bus->seekers, seeker);
    queue_work(bus);
    return seeker;
}

/**
 * usb_seeker_free:
 * @seeker: (transfer full) (nullable)
 *
 * Ends a search.
 */
void
usb_seeker_free(UsbSeeker *seeker)
{
    if (seeker == NULL) {
        return;
    }
    g_ptr_array_remove(seeker->bus->seekers, seeker);
    queue_work(seeker->bus);
    g_free(seeker->name);
    g_free(seeker);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The serial ports that the kernel knows, and what they call themselves. Without a running udevd
 * only the links are missing. */
#include "serial-udev.h"

#include "serial-printable.h"

#include <libudev.h>
#include <string.h>

typedef struct udev Udev;
typedef struct udev_enumerate UdevEnumerate;
typedef struct udev_device UdevDevice;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Udev, udev_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UdevEnumerate, udev_enumerate_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UdevDevice, udev_device_unref)

/**
 * serial_port_free:
 * @port: (transfer full) (nullable)
 */
void
serial_port_free(SerialPort *port)
{
    if (port == NULL) {
        return;
    }
    g_free(port->node);
    g_free(port->name);
    g_ptr_array_unref(port->aliases);
    g_free(port);
}

static gboolean
has_value(UdevDevice *device, const char *attribute, const char *value)
{
    const char *found = udev_device_get_sysattr_value(device, attribute);
    return found != NULL && strcmp(found, value) == 0;
}

/* The driver of PC ports makes more of them than there are: those have no type (PORT_UNKNOWN of
 * linux/serial_core.h), or are set up for nowhere. TIOCGSERIAL would tell, but needs opening. */
static gboolean
is_empty_place(UdevDevice *device)
{
    return g_str_has_prefix(udev_device_get_sysname(device), "ttyS") &&
           (has_value(device, "type", "0") ||
            (has_value(device, "port", "0x0") && has_value(device, "iomem_base", "0x0")));
}

/* Virtual consoles, ptys and the like hang on nothing; only a port has hardware. */
static gboolean
is_serial_port(UdevDevice *device)
{
    return udev_device_get_devnode(device) != NULL && udev_device_get_devnum(device) != 0 &&
           strstr(udev_device_get_syspath(device), "/devices/virtual/") == NULL &&
           !is_empty_place(device);
}

static void
append_word(GString *name, const char *word)
{
    if (word != NULL && *word != '\0') {
        g_string_append_printf(name, "%s%s", name->len > 0 ? " " : "", word);
    }
}

/* What the adapter says about itself, which may be anything */
static char *
build_name(UdevDevice *device)
{
    g_autoptr(GString) name = g_string_new(NULL);
    UdevDevice *usb = udev_device_get_parent_with_subsystem_devtype(device, "usb", "usb_device");
    if (usb != NULL) {
        append_word(name, udev_device_get_sysattr_value(usb, "manufacturer"));
        append_word(name, udev_device_get_sysattr_value(usb, "product"));
        append_word(name, udev_device_get_sysattr_value(usb, "serial"));
    } else {
        append_word(name, udev_device_get_property_value(device, "ID_MODEL_FROM_DATABASE"));
    }
    g_autofree char *printable = serial_build_printable(name->str);
    return printable[0] != '\0'
               ? g_steal_pointer(&printable)
               : g_strdup_printf("serial port %s", udev_device_get_sysname(device));
}

static SerialPort *
build_port(UdevDevice *device)
{
    SerialPort *port = g_new0(SerialPort, 1);
    const char *devlinks = udev_device_get_property_value(device, "DEVLINKS");
    port->node = g_strdup(udev_device_get_devnode(device));
    port->name = build_name(device);
    port->number = udev_device_get_devnum(device);
    port->aliases = g_ptr_array_new_with_free_func(g_free);
    /* udev leaves no blank in a link's name */
    g_auto(GStrv) links = g_strsplit(devlinks != NULL ? devlinks : "", " ", -1);
    for (char **link = links; *link != NULL; link++) {
        if (**link != '\0') {
            g_ptr_array_add(port->aliases, g_strdup(*link));
        }
    }
    return port;
}

static int
compare_ports(gconstpointer a, gconstpointer b)
{
    return strverscmp((*(const SerialPort *const *)a)->node, (*(const SerialPort *const *)b)->node);
}

/* An adapter with four ports has one name. */
static void
tell_apart(GPtrArray *ports)
{
    g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) shared = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (guint i = 0; i < ports->len; i++) {
        SerialPort *port = ports->pdata[i];
        SerialPort *other = g_hash_table_lookup(first, port->name);
        if (other == NULL) {
            g_hash_table_insert(first, port->name, port);
        } else {
            g_hash_table_add(shared, other);
            g_hash_table_add(shared, port);
        }
    }
    g_hash_table_remove_all(first); /* its keys change now */
    for (guint i = 0; i < ports->len; i++) {
        SerialPort *port = ports->pdata[i];
        if (g_hash_table_contains(shared, port)) {
            g_autofree char *base = g_path_get_basename(port->node);
            g_autofree char *before = g_steal_pointer(&port->name);
            port->name = g_strdup_printf("%s (%s)", before, base);
        }
    }
}

/**
 * serial_udev_find_ports:
 * @ports: (element-type SerialPort): what is found is added, sorted
 * @cancellable: (nullable): ends the search early
 *
 * Finds the serial ports that have hardware behind them; opens none. Blocks: call it in a thread.
 */
void
serial_udev_find_ports(GPtrArray *ports, GCancellable *cancellable)
{
    g_autoptr(Udev) udev = udev_new();
    g_autoptr(UdevEnumerate) enumerate = udev != NULL ? udev_enumerate_new(udev) : NULL;
    if (enumerate == NULL || udev_enumerate_add_match_subsystem(enumerate, "tty") < 0 ||
        udev_enumerate_scan_devices(enumerate) < 0) {
        return;
    }
    for (struct udev_list_entry *entry = udev_enumerate_get_list_entry(enumerate); entry != NULL;
         entry = udev_list_entry_get_next(entry)) {
        g_autoptr(UdevDevice) device =
            udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));
        if (g_cancellable_is_cancelled(cancellable)) {
            return;
        }
        if (device != NULL && is_serial_port(device)) {
            g_ptr_array_add(ports, build_port(device));
        }
    }
    g_ptr_array_sort(ports, compare_ports);
    tell_apart(ports);
}

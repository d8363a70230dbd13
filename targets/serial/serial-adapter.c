/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which USB adapter a serial device belongs to: its name may be another one's tomorrow. */
#include "serial-adapter.h"

#include "serial-printable.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define SYSFS "/sys/"
/* Between a terminal and its USB device lie the port and the interface; more than a few folders up
 * there are only hubs. */
#define MAX_FOLDERS 8u

struct SerialAdapter {
    char *port; /* of an adapter with several: usb-serial's number, and the interface's */
    char *interface;
    char *vendor;
    char *product;
    char *serial; /* (nullable): cheap ones have none */
    char *name;
};

/* Returns: (transfer full) (nullable): one line of text that the kernel, or the device, gave */
static char *
read_attribute(const char *folder, const char *name)
{
    char *text = NULL;
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return NULL;
    }
    char *printable = serial_build_printable(text);
    g_free(text);
    return printable;
}

static void
read_once(char **value, const char *folder, const char *name)
{
    if (*value == NULL) {
        *value = read_attribute(folder, name);
    }
}

/* Takes what this folder of sysfs says. Returns: whether it is the adapter's own */
static gboolean
read_folder(SerialAdapter *adapter, const char *folder)
{
    read_once(&adapter->port, folder, "port_number");
    read_once(&adapter->interface, folder, "bInterfaceNumber");
    adapter->vendor = read_attribute(folder, "idVendor");
    adapter->product = read_attribute(folder, "idProduct");
    if (adapter->vendor == NULL || adapter->product == NULL) {
        g_clear_pointer(&adapter->vendor, g_free);
        g_clear_pointer(&adapter->product, g_free);
        return FALSE;
    }
    adapter->serial = read_attribute(folder, "serial");
    return TRUE;
}

/* With the port where it is not the first of several */
static char *
build_name(const SerialAdapter *adapter)
{
    GString *name = g_string_new(NULL);
    g_string_printf(name, "%s:%s", adapter->vendor, adapter->product);
    if (adapter->serial != NULL) {
        g_string_append_printf(name, " %s", adapter->serial);
    }
    if (adapter->interface != NULL && strcmp(adapter->interface, "00") != 0) {
        g_string_append_printf(name, " if%s", adapter->interface);
    }
    if (adapter->port != NULL && strcmp(adapter->port, "0") != 0) {
        g_string_append_printf(name, " port%s", adapter->port);
    }
    return g_string_free(name, FALSE);
}

/**
 * serial_adapter_find:
 * @device: number of a terminal
 *
 * Walks up in sysfs from the terminal to a USB device.
 *
 * Returns: (transfer full) (nullable): %NULL: it is on no USB device
 */
SerialAdapter *
serial_adapter_find(dev_t device)
{
    g_autofree char *link =
        g_strdup_printf(SYSFS "dev/char/%u:%u/device", major(device), minor(device));
    char *folder = realpath(link, NULL);
    g_autoptr(SerialAdapter) adapter = g_new0(SerialAdapter, 1);
    gboolean is_found = FALSE;
    for (guint i = 0; folder != NULL && !is_found && i < MAX_FOLDERS; i++) {
        char *end = strrchr(folder, '/');
        if (!g_str_has_prefix(folder, SYSFS) || end == NULL) {
            break;
        }
        is_found = read_folder(adapter, folder);
        *end = '\0';
    }
    free(folder);
    if (!is_found) {
        return NULL;
    }
    adapter->name = build_name(adapter);
    return g_steal_pointer(&adapter);
}

/**
 * serial_adapter_free:
 * @adapter: (transfer full) (nullable)
 *
 * Frees it.
 */
void
serial_adapter_free(SerialAdapter *adapter)
{
    if (adapter == NULL) {
        return;
    }
    g_free(adapter->port);
    g_free(adapter->interface);
    g_free(adapter->vendor);
    g_free(adapter->product);
    g_free(adapter->serial);
    g_free(adapter->name);
    g_free(adapter);
}

/**
 * serial_adapter_is_same:
 * @other: (nullable)
 *
 * Returns: whether both are the same port of the same adapter, as far as can be told: two without a
 *    serial number are alike
 */
gboolean
serial_adapter_is_same(const SerialAdapter *adapter, const SerialAdapter *other)
{
    return other != NULL && g_strcmp0(adapter->port, other->port) == 0 &&
           g_strcmp0(adapter->interface, other->interface) == 0 &&
           strcmp(adapter->vendor, other->vendor) == 0 &&
           strcmp(adapter->product, other->product) == 0 &&
           g_strcmp0(adapter->serial, other->serial) == 0;
}

/**
 * serial_adapter_get_name:
 *
 * Returns: (transfer none): `0403:6011 FT4X7Q2B if02`: vendor, product, its serial number if it
 *    has one, and which of its ports; no control characters
 */
const char *
serial_adapter_get_name(const SerialAdapter *adapter)
{
    return adapter->name;
}

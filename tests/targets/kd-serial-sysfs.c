/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sysfs of the test's own, with one USB adapter in it: in a mount namespace, in the place of the
 * kernel's and with its layout (Documentation/ABI/testing/sysfs-bus-usb). */
#include "kd-serial-sysfs.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define USB_DEVICE "/sys/devices/usb1/1-1"

/* The folder of the interface, and the terminal's `device` in it */
static char *interface_folder;
static char *port_folder;

/**
 * kd_serial_sysfs_enter:
 *
 * Puts an empty folder in the place of sysfs, for this process alone.
 *
 * Returns: whether that is allowed here
 */
gboolean
kd_serial_sysfs_enter(void)
{
    static gboolean is_in;
    if (!is_in) {
        is_in = unshare(CLONE_NEWNS) == 0 &&
                mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                mount("none", "/sys", "tmpfs", 0, NULL) == 0;
    }
    return is_in;
}

/**
 * kd_serial_sysfs_write:
 * @attribute: relative to the USB device, to its `interface/`, or to its `port/`
 *
 * Writes an attribute.
 */
void
kd_serial_sysfs_write(const char *attribute, const char *text)
{
    g_autofree char *path = kd_serial_sysfs_build_path(attribute);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, line, -1, &error);
    g_assert_no_error(error);
}

/**
 * kd_serial_sysfs_build_path:
 *
 * Returns: (transfer full): where an attribute is
 */
char *
kd_serial_sysfs_build_path(const char *attribute)
{
    if (g_str_has_prefix(attribute, "interface/"))
        return g_build_filename(interface_folder, strchr(attribute, '/'), NULL);
    if (g_str_has_prefix(attribute, "port/"))
        return g_build_filename(port_folder, strchr(attribute, '/'), NULL);
    return g_build_filename(USB_DEVICE, attribute, NULL);
}

/**
 * kd_serial_sysfs_read:
 *
 * Returns: (transfer full): an attribute
 */
char *
kd_serial_sysfs_read(const char *attribute)
{
    char *text = NULL;
    g_autofree char *path = kd_serial_sysfs_build_path(attribute);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return g_strstrip(text);
}

/**
 * kd_serial_sysfs_plug:
 * @serial: (nullable)
 * @interface: number of the interface, `00`
 *
 * Puts the adapter in, behind the device that the driver's terminal is.
 */
void
kd_serial_sysfs_plug(const char *vendor, const char *product, const char *serial,
                     const char *interface)
{
    g_autofree char *device =
        g_strdup_printf("/sys/dev/char/%u:%u", KD_SERIAL_DEVICE_MAJOR, KD_SERIAL_DEVICE_MINOR);
    g_autofree char *link = g_build_filename(device, "device", NULL);
    interface_folder = g_strdup_printf(USB_DEVICE "/1-1:1.%s", interface);
    port_folder = g_build_filename(interface_folder, "ttyUSB7", NULL);
    g_assert_no_errno(g_mkdir_with_parents(port_folder, 0755));
    g_assert_no_errno(g_mkdir_with_parents(device, 0755));
    g_assert_no_errno(symlink(port_folder, link));
    kd_serial_sysfs_write("idVendor", vendor);
    kd_serial_sysfs_write("idProduct", product);
    kd_serial_sysfs_write("interface/bInterfaceNumber", interface);
    if (serial != NULL)
        kd_serial_sysfs_write("serial", serial);
}

static void
remove_all(const char *path)
{
    const char *name;
    GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        remove_all(inner);
    }
    g_clear_pointer(&dir, g_dir_close);
    (void)g_remove(path);
}

/**
 * kd_serial_sysfs_unplug:
 *
 * Takes the adapter out, if there is one.
 */
void
kd_serial_sysfs_unplug(void)
{
    remove_all("/sys/devices");
    remove_all("/sys/dev");
    g_clear_pointer(&interface_folder, g_free);
    g_clear_pointer(&port_folder, g_free);
}

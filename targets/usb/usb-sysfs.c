/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel's files tell of a USB device, without asking the device. */
#include "usb-sysfs.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DEVICES        "/sys/bus/usb/devices"
#define TEXT_MAX_BYTES 100u
#define N_ENTRIES      256u /* of one folder that are looked at */

static char *
find_terminal_in(const char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    char *found = NULL;
    const char *name = NULL;
    while (dir != NULL && found == NULL && (name = g_dir_read_name(dir)) != NULL) {
        const char *number = g_str_has_prefix(name, "ttyUSB") ? name + strlen("ttyUSB") : "";
        if (*number != '\0' && strspn(number, "0123456789") == strlen(number)) {
            found = g_strconcat("/dev/", name, NULL);
        }
    }
    g_clear_pointer(&dir, g_dir_close);
    return found;
}

/**
 * usb_sysfs_find_terminal:
 * @place: `1-2`, the device
 *
 * Returns: (transfer full) (nullable): `/dev/ttyUSB0`, if the kernel has made a terminal of it.
 *    Reads folders only
 */
char *
usb_sysfs_find_terminal(const char *place)
{
    g_autofree char *device = g_build_filename(DEVICES, place, NULL);
    g_autofree char *prefix = g_strconcat(place, ":", NULL);
    GDir *dir = g_dir_open(device, 0, NULL);
    char *found = NULL;
    const char *name = NULL;
    for (guint i = 0; dir != NULL && found == NULL && i < N_ENTRIES; i++) {
        name = g_dir_read_name(dir);
        if (name == NULL) {
            break;
        }
        if (g_str_has_prefix(name, prefix)) {
            g_autofree char *interface = g_build_filename(device, name, NULL);
            found = find_terminal_in(interface);
        }
    }
    g_clear_pointer(&dir, g_dir_close);
    return found;
}

/* A text that somebody else chose, for one line: what is not plain ASCII becomes `?`. */
static void
append_printable(GString *title, const char *text)
{
    for (const char *at = text; *at != '\0' && title->len < TEXT_MAX_BYTES; at++) {
        g_string_append_c(title, g_ascii_isprint(*at) ? *at : '?');
    }
}

/**
 * usb_sysfs_find_driver:
 * @place: `1-2`, the device
 * @interface: its number
 *
 * Returns: (transfer full) (nullable): the driver that has the interface: `usbfs` for a program.
 *    Looks in the first configuration, and reads a link only
 */
char *
usb_sysfs_find_driver(const char *place, uint8_t interface)
{
    g_autofree char *path = g_strdup_printf(DEVICES "/%s/%s:1.%u/driver", place, place, interface);
    g_autofree char *target = g_file_read_link(path, NULL);
    g_autofree char *name = target != NULL ? g_path_get_basename(target) : NULL;
    if (name == NULL) {
        return NULL;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    append_printable(text, name);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
append_attribute(GString *title, const char *place, const char *attribute)
{
    char text[TEXT_MAX_BYTES + 1];
    g_autofree char *path = g_build_filename(DEVICES, place, attribute, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return;
    }
    text[n] = '\0';
    g_strstrip(text);
    if (text[0] != '\0') {
        g_string_append(title, title->len > 0 ? " " : "");
        append_printable(title, text);
    }
}

/**
 * usb_sysfs_build_title:
 * @place: `1-2`, the device
 *
 * Reads what the device calls itself, as the kernel has kept it. Waits while somebody else deals
 * with the device: call it in a thread.
 *
 * Returns: (transfer full): one printable line, maybe empty
 */
char *
usb_sysfs_build_title(const char *place)
{
    g_autoptr(GString) title = g_string_new(NULL);
    append_attribute(title, place, "manufacturer");
    append_attribute(title, place, "product");
    return g_string_free(g_steal_pointer(&title), FALSE);
}

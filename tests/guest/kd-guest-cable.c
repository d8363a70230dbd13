/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The FireWire cable of tests/guest/dummyfw, and the nodes at its ends. */
#include "kd-guest-cable.h"

#include "kd-e2e-program.h"
#include "kd-e2e-socket.h"
#include "kd-guest.h"

#include <fcntl.h>
#include <linux/firewire-cdev.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICES "/sys/bus/firewire/devices"
#define CABLE   "/sys/module/dummyfw/parameters/cable"

/* What dummyfw gives its cards: 0x0200000000000001 and so on */
#define DEBUGGER_GUID "0x0200000000000001"
#define TARGET_GUID   "0x0200000000000002"

/* In the root directory of a debug target's ROM: the key 1D, the version 2 */
#define DEBUG_ENTRY 0x1d000002u

/**
 * kd_guest_cable_is_missing:
 *
 * Loads dummyfw; where there is none, the test is skipped, and the reason said.
 *
 * Returns: whether it is so
 */
gboolean
kd_guest_cable_is_missing(void)
{
    const char *const argv[] = {"modprobe", "dummyfw", NULL};
    g_autoptr(KdE2eProgram) modprobe = NULL;
    g_autofree char *path = g_build_filename(g_getenv("KD_GUEST_MODULES"), "dummyfw", NULL);
    g_autofree char *reason = NULL;

    if (!g_file_get_contents(path, &reason, NULL, NULL)) {
        g_test_skip(
            "no FireWire: the guest was prepared without (sh tests/guest/guest.sh prepare)");
        return TRUE;
    }
    if (g_str_has_prefix(reason, "no ")) {
        g_test_skip(g_strchomp(reason));
        return TRUE;
    }
    modprobe = kd_e2e_program_new(argv, NULL);
    g_assert_cmpint(kd_e2e_program_wait(modprobe), ==, 0);
    kd_guest_cable_plug(TRUE);
    return FALSE;
}

static gboolean
has_text(const char *name, const char *attribute, const char *text)
{
    g_autofree char *path = g_build_filename(DEVICES, name, attribute, NULL);
    g_autofree char *found = NULL;

    return g_file_get_contents(path, &found, NULL, NULL) && strcmp(g_strchomp(found), text) == 0;
}

static char *
find_node(KdGuestCableNode node)
{
    g_autoptr(GDir) folder = g_dir_open(DEVICES, 0, NULL);
    const char *guid = node == KD_GUEST_CABLE_DEBUGGER ? DEBUGGER_GUID : TARGET_GUID;
    const char *is_local = node == KD_GUEST_CABLE_SEEN ? "0" : "1";
    const char *name;

    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (has_text(name, "guid", guid) && has_text(name, "is_local", is_local)) {
            char *path = g_build_filename("/dev", name, NULL);

            if (g_file_test(path, G_FILE_TEST_EXISTS)) {
                return path;
            }
            g_free(path);
        }
    }
    return NULL;
}

/**
 * kd_guest_cable_await_node:
 *
 * Returns: (transfer full): its device file, as soon as there is one
 */
char *
kd_guest_cable_await_node(KdGuestCableNode node)
{
    int events = inotify_init1(IN_CLOEXEC);
    char *path;
    char buf[4096];

    g_assert_cmpint(inotify_add_watch(events, "/dev", IN_CREATE | IN_ATTRIB), >=, 0);
    while ((path = find_node(node)) == NULL) {
        g_assert_true(kd_e2e_is_readable(events, KD_E2E_DEADLINE_S * 1000));
        g_assert_cmpint(read(events, buf, sizeof buf), >, 0);
    }
    close(events);
    return path;
}

static gboolean
has_entry(int fd, uint32_t entry)
{
    uint32_t rom[256] = {0};
    struct fw_cdev_get_info info = {.version = 4, .rom = (uintptr_t)rom, .rom_length = sizeof rom};

    g_assert_cmpint(ioctl(fd, FW_CDEV_IOC_GET_INFO, &info), ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(rom); i++) {
        if (rom[i] == entry) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_guest_cable_await_entries:
 *
 * Waits until the kernel has read what the target has added to its configuration ROM.
 */
void
kd_guest_cable_await_entries(void)
{
    g_autofree char *path = kd_guest_cable_await_node(KD_GUEST_CABLE_SEEN);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char event[4096];

    g_assert_cmpint(fd, >=, 0);
    while (!has_entry(fd, DEBUG_ENTRY)) {
        g_assert_true(kd_e2e_is_readable(fd, KD_E2E_DEADLINE_S * 1000));
        g_assert_cmpint(read(fd, event, sizeof event), >, 0);
    }
    close(fd);
}

/**
 * kd_guest_cable_plug:
 * @is_in: else it is pulled out
 *
 * Plugs the cable in or pulls it out; the nodes come and go two seconds later, as firewire-core has
 * it.
 */
void
kd_guest_cable_plug(gboolean is_in)
{
    const char *text = is_in ? "Y" : "N";
    int fd = open(CABLE, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, 1), ==, 1);
    close(fd);
}

/**
 * kd_guest_cable_reset:
 * @by: whose card asks for it
 *
 * Has the bus reset soon, within two seconds: what is under way then is lost.
 *
 * Returns: (transfer full): a descriptor that becomes readable when it has been reset
 */
int
kd_guest_cable_reset(KdGuestCableNode by)
{
    struct fw_cdev_get_info info = {.version = 4};
    struct fw_cdev_initiate_bus_reset reset = {.type = FW_CDEV_SHORT_RESET};
    g_autofree char *path = kd_guest_cable_await_node(by);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ioctl(fd, FW_CDEV_IOC_GET_INFO, &info), ==, 0);
    g_assert_cmpint(ioctl(fd, FW_CDEV_IOC_INITIATE_BUS_RESET, &reset), ==, 0);
    return fd;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* USB devices that the guest is itself: a gadget at one end of dummy_hcd, its host at the other. */
#include "kd-guest-gadget.h"

#include "kd-guest.h"
#include "kd-sim-usb.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <termios.h>
#include <unistd.h>

#define CONFIGFS "/sys/kernel/config"
#define GADGETS  KD_GUEST_GADGETS

/* Linux's debug capability of xHCI, as a tty */
#define LINUX_VENDOR  0x1d6bu
#define LINUX_PRODUCT 0x0010u

/* ---- modules ---- */

/**
 * kd_guest_load:
 * @module: the first word for modprobe, and so on, up to %NULL
 *
 * Loads what the guest's kernel has as modules; what is there already stays as it is.
 */
void
kd_guest_load(const char *module, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(KdE2eProgram) program = NULL;
    va_list more;

    g_ptr_array_add(argv, (gpointer) "modprobe");
    va_start(more, module);
    for (; module != NULL; module = va_arg(more, const char *)) {
        g_ptr_array_add(argv, (gpointer)module);
    }
    va_end(more);
    g_ptr_array_add(argv, NULL);
    program = kd_e2e_program_new((const char *const *)argv->pdata, NULL);
    g_assert_cmpint(kd_e2e_program_wait(program), ==, 0);
}

/* ---- files ---- */

static char *
build_path(const KdGuestGadget *gadget, const char *name)
{
    return g_build_filename(GADGETS, gadget->name, name, NULL);
}

static void
make_folder(const KdGuestGadget *gadget, const char *name)
{
    g_autofree char *path = build_path(gadget, name);

    g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
}

/* configfs wants one write, and no file that is new. */
static gboolean
write_file(const KdGuestGadget *gadget, const char *name, const char *text)
{
    g_autofree char *path = build_path(gadget, name);
    FILE *file = g_fopen(path, "we");
    gboolean is_written;

    g_assert_nonnull(file);
    is_written = fputs(text, file) >= 0;
    return fclose(file) == 0 && is_written;
}

static void
set_number(const KdGuestGadget *gadget, const char *name, guint number)
{
    g_autofree char *text = g_strdup_printf("0x%04x", number);

    g_assert_true(write_file(gadget, name, text));
}

static void
set_text(const KdGuestGadget *gadget, const char *name, const char *text)
{
    g_assert_true(write_file(gadget, name, text));
}

/* ---- devices ---- */

static void
load_stack(void)
{
    static gboolean is_loaded;
    g_autofree char *ports = g_strdup_printf("num=%u", KD_GUEST_GADGET_PORTS);

    if (is_loaded) {
        return;
    }
    kd_guest_load("-a", "configfs", "libcomposite", "usb_f_fs", NULL);
    kd_guest_load("dummy_hcd", "is_super_speed=1", ports, NULL);
    if (mount("configfs", CONFIGFS, "configfs", 0, NULL) != 0) {
        g_assert_cmpint(errno, ==, EBUSY);
    }
    is_loaded = TRUE;
}

static KdGuestGadget *
make_device(guint port, guint vendor, guint product, const char *function)
{
    static guint n_made;
    KdGuestGadget *gadget = g_new0(KdGuestGadget, 1);
    g_autofree char *functions = g_strconcat("functions/", function, NULL);
    g_autofree char *from = NULL;
    g_autofree char *link = NULL;

    g_assert_cmpuint(port, <, KD_GUEST_GADGET_PORTS);
    load_stack();
    gadget->name = g_strdup_printf("kd%d-%u", getpid(), ++n_made);
    gadget->port = port;
    make_folder(gadget, "strings/0x409");
    set_number(gadget, "idVendor", vendor);
    set_number(gadget, "idProduct", product);
    make_folder(gadget, "configs/c.1");
    make_folder(gadget, functions);
    from = build_path(gadget, functions);
    link = build_path(gadget, "configs/c.1/function");
    g_assert_cmpint(symlink(from, link), ==, 0);
    return gadget;
}

/**
 * kd_guest_gadget_new:
 * @port: of dummy_hcd
 * @serial: number of the device
 *
 * Makes a target's debug cable, which needs a kd-target before it can be plugged in. At port 0 it
 * is one of USB 3, at the others of USB 2, which has shorter packets.
 *
 * Returns: (transfer full): the device
 */
KdGuestGadget *
kd_guest_gadget_new(guint port, const char *serial)
{
    g_autofree char *instance = g_strdup_printf("kd%d-%u", getpid(), port);
    g_autofree char *function = g_strconcat("ffs.", instance, NULL);
    KdGuestGadget *gadget = make_device(port, KD_SIM_USB_VENDOR, KD_SIM_USB_PRODUCT, function);

    set_text(gadget, "strings/0x409/manufacturer", KD_SIM_USB_MANUFACTURER);
    set_text(gadget, "strings/0x409/product", KD_SIM_USB_MODEL);
    set_text(gadget, "strings/0x409/serialnumber", serial);
    set_text(gadget, "max_speed", port == 0 ? "super-speed" : "high-speed");
    gadget->folder = g_build_filename("/run", instance, NULL);
    g_assert_cmpint(g_mkdir(gadget->folder, 0700), ==, 0);
    g_assert_cmpint(mount(instance, gadget->folder, "functionfs", 0, NULL), ==, 0);
    return gadget;
}

/**
 * kd_guest_gadget_new_tty:
 * @port: of dummy_hcd
 *
 * Makes the debug device of a Linux target, for which the host's kernel has a driver.
 *
 * Returns: (transfer full): the device
 */
KdGuestGadget *
kd_guest_gadget_new_tty(guint port)
{
    KdGuestGadget *gadget;

    load_stack();
    kd_guest_load("-a", "usb_f_serial", "usb_debug", NULL);
    gadget = make_device(port, LINUX_VENDOR, LINUX_PRODUCT, "gser.0");
    set_text(gadget, "strings/0x409/manufacturer", "Linux Foundation");
    set_text(gadget, "strings/0x409/product", "Linux USB Debug Target");
    set_text(gadget, "strings/0x409/serialnumber", "0001");
    return gadget;
}

static void
remove_file(const KdGuestGadget *gadget, const char *name)
{
    g_autofree char *path = build_path(gadget, name);

    (void)g_remove(path);
}

/**
 * kd_guest_gadget_free:
 * @gadget: (nullable): a device
 *
 * Pulls it out and forgets it. Its kd-target has ended, or is about to.
 */
void
kd_guest_gadget_free(KdGuestGadget *gadget)
{
    g_autofree char *functions = NULL;
    g_autoptr(GDir) folder = NULL;
    const char *name;

    if (gadget == NULL) {
        return;
    }
    (void)write_file(gadget, "UDC", "\n");
    if (gadget->folder != NULL) {
        (void)umount2(gadget->folder, MNT_DETACH);
        (void)g_rmdir(gadget->folder);
    }
    remove_file(gadget, "configs/c.1/function");
    functions = build_path(gadget, "functions");
    folder = g_dir_open(functions, 0, NULL);
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *function = g_build_filename("functions", name, NULL);

        remove_file(gadget, function);
    }
    remove_file(gadget, "configs/c.1");
    remove_file(gadget, "strings/0x409");
    remove_file(gadget, "");
    g_free(gadget->folder);
    g_free(gadget->name);
    g_free(gadget);
}

/**
 * kd_guest_gadget_build_link:
 *
 * Returns: (transfer full): what kd-target has for --link; a reboot takes it off the bus
 */
char *
kd_guest_gadget_build_link(const KdGuestGadget *gadget)
{
    return g_strconcat("usb:", gadget->folder, "," GADGETS "/", gadget->name, NULL);
}

/**
 * kd_guest_gadget_plug:
 *
 * Plugs the device in. The host takes a moment to see it.
 */
void
kd_guest_gadget_plug(const KdGuestGadget *gadget)
{
    g_autofree char *controller = g_strdup_printf("dummy_udc.%u", gadget->port);

    set_text(gadget, "UDC", controller);
}

/**
 * kd_guest_gadget_await:
 *
 * Waits until the host has configured the device.
 */
void
kd_guest_gadget_await(const KdGuestGadget *gadget)
{
    g_autofree char *path = g_strdup_printf("/sys/class/udc/dummy_udc.%u/state", gadget->port);
    struct pollfd poll_fd = {.fd = open(path, O_RDONLY | O_CLOEXEC), .events = POLLPRI};
    char state[32] = "";

    g_assert_cmpint(poll_fd.fd, >=, 0);
    while (pread(poll_fd.fd, state, sizeof state - 1, 0) >= 0 &&
           !g_str_has_prefix(state, "configured")) {
        g_assert_cmpint(poll(&poll_fd, 1, KD_E2E_DEADLINE_S * 1000), ==, 1);
        memset(state, 0, sizeof state);
    }
    close(poll_fd.fd);
}

/**
 * kd_guest_gadget_open_tty:
 *
 * Returns: (transfer full): the far end of a Linux target's debug device, raw
 */
int
kd_guest_gadget_open_tty(void)
{
    struct termios raw;
    int fd = open("/dev/ttyGS0", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(tcgetattr(fd, &raw), ==, 0);
    cfmakeraw(&raw);
    g_assert_cmpint(tcsetattr(fd, TCSANOW, &raw), ==, 0);
    return fd;
}

/**
 * kd_guest_gadget_unplug:
 *
 * Pulls the device out, whatever is under way.
 */
void
kd_guest_gadget_unplug(const KdGuestGadget *gadget)
{
    set_text(gadget, "UDC", "\n");
}

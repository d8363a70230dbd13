/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a test in the guest stands on: QEMU's monitor, far ends of wires, adapters to plug in. */
#include "kd-guest.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTS_FOLDER "/dev/virtio-ports"
#define TRACE_PATH   "/run/out/trace"
#define BY_ID_FOLDER "/dev/serial/by-id"

/* ---- the fixture ---- */

static void
pull_gadgets(void)
{
    g_autoptr(GDir) folder = g_dir_open(KD_GUEST_GADGETS, 0, NULL);
    const char *name;

    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *path = g_build_filename(KD_GUEST_GADGETS, name, "UDC", NULL);
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd >= 0) {
            (void)!write(fd, "\n", 1); /* an error, if it is not plugged in */
            close(fd);
        }
    }
}

/* A test that has failed leaves its adapters where they are. */
static void
pull_all(KdGuest *guest)
{
    pull_gadgets();
    kd_guest_unplug(guest, "usb1");
    kd_guest_unplug(guest, "usb2");
    kd_guest_await_path("/dev/ttyUSB0", FALSE);
    kd_guest_await_path("/dev/ttyUSB1", FALSE);
}

static void
set_up(KdGuest *guest, gconstpointer test)
{
    struct stat info;

    (void)test;
    guest->is_there = g_file_test(PORTS_FOLDER "/monitor", G_FILE_TEST_EXISTS);
    if (!guest->is_there) {
        return;
    }
    kd_e2e_stage_set_up(&guest->stage, NULL);
    guest->heard = g_string_new(NULL);
    guest->monitor = kd_guest_open_wire("monitor");
    /* Refused for all but the first test: this is one long conversation. */
    (void)kd_guest_ask(guest, "qmp_capabilities", "{}");
    pull_all(guest);
    g_assert_cmpint(stat(TRACE_PATH, &info), ==, 0);
    guest->trace_from = (gsize)info.st_size;
}

typedef struct {
    KdGuestTest fn;
    const char *scheme; /* (nullable): of the target that it needs */
} Case;

static gboolean
is_missing(const char *scheme)
{
    g_autofree char *module = g_strdup_printf("kdsrv-target-%s.so", scheme);
    g_autofree char *path = g_build_filename(g_getenv("KD_PLUGINDIR"), module, NULL);

    return !g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
run_test(KdGuest *guest, gconstpointer test)
{
    const Case *one = test;

    if (!guest->is_there) {
        g_test_skip("this is not the guest");
    } else if (one->scheme != NULL && is_missing(one->scheme)) {
        g_test_skip("the target is not built");
    } else {
        one->fn(guest);
    }
}

static void
tear_down(KdGuest *guest, gconstpointer test)
{
    (void)test;
    if (guest->is_there) {
        pull_all(guest);
        close(guest->monitor);
        g_string_free(guest->heard, TRUE);
        g_free(guest->last_gone);
        kd_e2e_stage_tear_down(&guest->stage, NULL);
    }
}

/**
 * kd_guest_add:
 *
 * Adds a test case that is skipped outside of the guest.
 */
void
kd_guest_add(const char *path, KdGuestTest test)
{
    kd_guest_add_for(path, NULL, test);
}

/**
 * kd_guest_add_for:
 * @scheme: (nullable): of a target that may have been left out of the build
 *
 * Adds a test case that is also skipped where that target is missing.
 */
void
kd_guest_add_for(const char *path, const char *scheme, KdGuestTest test)
{
    Case *kept = g_new(Case, 1); /* until the program ends */

    *kept = (Case){.fn = test, .scheme = scheme};
    g_test_add(path, KdGuest, kept, set_up, run_test, tear_down);
}

/* ---- files ---- */

/**
 * kd_guest_read_file:
 * @format: of the path
 *
 * Returns: (transfer full): what is in the file, without the line end
 */
char *
kd_guest_read_file(const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    char *text = NULL;
    va_list args;

    va_start(args, format);
    path = g_strdup_vprintf(format, args);
    va_end(args);
    (void)g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return g_strchomp(text);
}

/**
 * kd_guest_await_path:
 * @path: in a folder that is there
 *
 * Waits until there is such a file, or none any more.
 */
void
kd_guest_await_path(const char *path, gboolean is_there)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int events = inotify_init1(IN_CLOEXEC);
    char buf[4096];

    g_assert_cmpint(inotify_add_watch(events, folder, IN_CREATE | IN_DELETE | IN_MOVE), >=, 0);
    while ((access(path, F_OK) == 0) != is_there) {
        g_assert_true(kd_e2e_is_readable(events, KD_E2E_DEADLINE_S * 1000));
        g_assert_cmpint(read(events, buf, sizeof buf), >, 0);
    }
    close(events);
}

/* ---- QEMU ---- */

/**
 * kd_guest_open_wire:
 * @name: as in the file of devices
 *
 * QEMU's USB adapter waits until the wire takes what it has, and all of QEMU with it, for ever
 * where both ends are QEMU's: of what an adapter sends no more than 8 KiB may be unread. (Of a
 * 16550 any amount; towards both as well.)
 *
 * Returns: (transfer full): the far end of a wire
 */
int
kd_guest_open_wire(const char *name)
{
    g_autofree char *path = g_build_filename(PORTS_FOLDER, name, NULL);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static char *
read_line(KdGuest *guest)
{
    char *end;
    char buf[4096];

    while ((end = strchr(guest->heard->str, '\n')) == NULL) {
        gsize n = kd_e2e_read_some(guest->monitor, buf, sizeof buf);

        g_assert_cmpuint(n, >, 0);
        g_string_append_len(guest->heard, buf, (gssize)n);
    }
    char *line = g_strndup(guest->heard->str, (gsize)(end - guest->heard->str));

    g_string_erase(guest->heard, 0, end + 1 - guest->heard->str);
    if (strstr(line, "\"DEVICE_DELETED\"") != NULL) {
        g_free(guest->last_gone);
        guest->last_gone = g_strdup(line);
    }
    return line;
}

/**
 * kd_guest_ask:
 * @command: of the monitor
 * @format: of its arguments, as JSON
 *
 * Returns: whether it was done; if not, why not is in the log
 */
gboolean
kd_guest_ask(KdGuest *guest, const char *command, const char *format, ...)
{
    g_autofree char *arguments = NULL;
    g_autofree char *id = g_strdup_printf("\"%d-%u\"", getpid(), ++guest->n_asked);
    g_autofree char *line = NULL;
    va_list args;

    va_start(args, format);
    arguments = g_strdup_vprintf(format, args);
    va_end(args);
    line = g_strdup_printf("{\"execute\": \"%s\", \"id\": %s, \"arguments\": %s}\n", command, id,
                           arguments);
    kd_e2e_write(guest->monitor, line, strlen(line));
    for (;;) {
        g_autofree char *answer = read_line(guest);

        if (strstr(answer, id) != NULL) {
            if (strstr(answer, "\"error\"") != NULL) {
                g_test_message("%s", answer);
                return FALSE;
            }
            return TRUE;
        }
    }
}

/**
 * kd_guest_trace:
 * @event: of `qemu-system-x86_64 -trace help`
 *
 * Has QEMU write down what happens on that side of a device which no driver can see.
 */
void
kd_guest_trace(KdGuest *guest, const char *event, gboolean is_on)
{
    g_assert_true(kd_guest_ask(guest, "trace-event-set-state", "{\"name\": \"%s\", \"enable\": %s}",
                               event, is_on ? "true" : "false"));
}

/**
 * kd_guest_read_trace:
 * @event: name of an event, or what its line has
 *
 * What the driver has waited for is there already.
 *
 * Returns: (transfer full): all lines of it since the test began
 */
char *
kd_guest_read_trace(const KdGuest *guest, const char *event)
{
    g_autofree char *all = kd_guest_read_file("%s", TRACE_PATH);
    g_auto(GStrv) lines = g_strsplit(all + guest->trace_from, "\n", -1);
    GString *found = g_string_new(NULL);

    for (guint i = 0; lines[i] != NULL; i++) {
        if (strstr(lines[i], event) != NULL) {
            g_string_append_printf(found, "%s\n", lines[i]);
        }
    }
    return g_string_free(found, FALSE);
}

/* ---- USB adapters ---- */

/**
 * kd_guest_build_by_id:
 * @serial: number of an adapter
 *
 * Returns: (transfer full): the link that udev makes for it
 */
char *
kd_guest_build_by_id(const char *serial)
{
    return g_strdup_printf(BY_ID_FOLDER "/usb-QEMU_QEMU_USB_SERIAL_%s-if00-port0", serial);
}

/* Where udev does not run, root makes the link, as it may anywhere. */
static void
await_link(const char *link)
{
    g_autofree char *udevadm = g_find_program_in_path("udevadm");

    if (udevadm != NULL && access("/run/udev/control", F_OK) == 0) {
        const char *const argv[] = {udevadm, "wait", "--timeout=30", link, NULL};
        g_autoptr(KdE2eProgram) wait = kd_e2e_program_new(argv, NULL);

        g_assert_cmpint(kd_e2e_program_wait(wait), ==, 0);
    } else if (access(link, F_OK) != 0) {
        g_assert_cmpint(g_mkdir_with_parents(BY_ID_FOLDER, 0755), ==, 0);
        kd_guest_await_path("/dev/ttyUSB0", TRUE);
        g_assert_cmpint(symlink("../../ttyUSB0", link), ==, 0);
    }
}

/**
 * kd_guest_plug:
 * @wire: where the adapter's line ends
 * @serial: its number
 *
 * Plugs a USB adapter in and waits until it has its link.
 */
void
kd_guest_plug(KdGuest *guest, const char *wire, const char *serial)
{
    g_autofree char *link = kd_guest_build_by_id(serial);

    g_assert_true(kd_guest_ask(guest, "device_add",
                               "{\"driver\": \"usb-serial\", \"bus\": \"xhci.0\", \"id\": \"%s\", "
                               "\"chardev\": \"%s\", \"serial\": \"%s\"}",
                               wire, wire, serial));
    await_link(link);
}

/**
 * kd_guest_unplug:
 * @wire: where the adapter's line ends
 *
 * Pulls a USB adapter out, whether it is in use or not. When it is not there, nothing happens.
 */
void
kd_guest_unplug(KdGuest *guest, const char *wire)
{
    g_autofree char *gone = g_strdup_printf("\"device\": \"%s\"", wire);

    if (!kd_guest_ask(guest, "device_del", "{\"id\": \"%s\"}", wire)) {
        return;
    }
    while (guest->last_gone == NULL || strstr(guest->last_gone, gone) == NULL) {
        g_free(read_line(guest));
    }
    g_clear_pointer(&guest->last_gone, g_free);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A USB adapter that is pulled out and comes back: a pseudo-terminal whose driver, and whose place
 * in sysfs, are fakes. */
#include "kd-serial-sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* An adapter, known by a name that leads to it, as udev makes them */
typedef struct {
    KdSerialPlace place;
    KdSerialSession session;
    int master;
} Adapter;

/* Plugs a new terminal in under the name. */
static void
plug(Adapter *adapter)
{
    g_autofree char *path = NULL;
    KdSerialDriver before = kd_serial_driver;
    adapter->master = kd_serial_open_pty(&path);
    kd_serial_driver_attach(path);
    before.terminal = kd_serial_driver.terminal;
    before.error = 0;
    kd_serial_driver = before;
    g_assert_no_errno(symlink(path, adapter->place.path));
}

static void
unplug(Adapter *adapter)
{
    g_unlink(adapter->place.path);
    close(adapter->master);
    adapter->master = -1;
    kd_serial_driver.error = EIO;
}

static void
set_up(Adapter *adapter, gconstpointer unused)
{
    kd_serial_place_set_up(&adapter->place, unused);
    kd_serial_driver = (KdSerialDriver){.is_device = TRUE};
    plug(adapter);
}

static void
tear_down(Adapter *adapter, gconstpointer unused)
{
    kd_serial_end(&adapter->session);
    if (adapter->master >= 0)
        close(adapter->master);
    kd_serial_place_tear_down(&adapter->place, unused);
}

static void
open_adapter(Adapter *adapter, const char *keys)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>%s}", adapter->place.path, keys);
    gboolean is_open = kd_serial_open(&adapter->session, text, &error);
    g_assert_no_error(error);
    g_assert_true(is_open);
}

static void
check_note(const Adapter *adapter, const char *format)
{
    g_autofree char *expected = g_strdup_printf("%s %s", adapter->place.path, format);
    g_assert_cmpuint(adapter->session.n_notes, ==, 1);
    g_assert_cmpstr(adapter->session.note, ==, expected);
}

static void
finish_reopen(Adapter *adapter)
{
    g_autoptr(GError) error = NULL;
    gboolean is_open = kd_serial_finish_reopen(&adapter->session, &error);
    g_assert_no_error(error);
    g_assert_true(is_open);
    kd_serial_check_bytes(adapter->master, adapter->session.endpoint.fd);
}

/* ---- pulled out ------------------------------------------------------------------------------ */

static void
test_comes_back(Adapter *adapter, gconstpointer unused)
{
    (void)unused;
    open_adapter(adapter, ", 'baud': <uint64 9600>");
    g_autoptr(GVariant) out =
        kd_serial_control(&adapter->session, KD_CONTROL_BAUD, g_variant_new_uint32(38400), NULL);
    g_assert_nonnull(out);
    unplug(adapter);
    kd_serial_start_reopen(&adapter->session, NULL);
    kd_test_wait_until(kd_serial_has_note, &adapter->session);
    check_note(adapter, "was unplugged: waiting for it");
    plug(adapter);
    finish_reopen(adapter);
    g_assert_cmpuint(adapter->session.n_notes, ==, 1);
    /* the speed that was set in between */
    g_assert_cmpuint(kd_serial_get_termios(adapter->master).c_ospeed, ==, 38400);
}

static gboolean
has_refused(gpointer n_refusals)
{
    return kd_serial_driver.n_refusals >= *(const guint *)n_refusals;
}

/* A node that udev has not given its group yet, a driver that is not ready: waited out, silently if
 * it does not take long */
static void
test_transient(Adapter *adapter, gconstpointer unused)
{
    static const int errors[] = {EIO, ENXIO, ENODEV, EACCES, EPERM};
    (void)unused;
    open_adapter(adapter, "");
    kd_serial_driver.open_error = EACCES;
    kd_serial_start_reopen(&adapter->session, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(errors); i++) {
        guint wanted = kd_serial_driver.n_refusals + 1;
        kd_serial_driver.open_error = errors[i];
        kd_test_wait_until(has_refused, &wanted);
        g_assert_null(adapter->session.done.result);
    }
    kd_serial_driver.open_error = 0;
    finish_reopen(adapter);
    g_assert_null(strstr(kd_serial_get_events(&adapter->session), "lost"));
}

/* What stays forbidden is told after a while. */
static void
test_forbidden(Adapter *adapter, gconstpointer unused)
{
    (void)unused;
    open_adapter(adapter, "");
    kd_serial_driver.open_error = EACCES;
    kd_serial_start_reopen(&adapter->session, NULL);
    kd_test_wait_until(kd_serial_has_note, &adapter->session);
    g_autofree char *expected =
        g_strdup_printf("cannot open %s: Permission denied: trying on", adapter->place.path);
    g_assert_cmpstr(adapter->session.note, ==, expected);
    kd_serial_driver.open_error = 0;
    finish_reopen(adapter);
    g_assert_cmpuint(adapter->session.n_notes, ==, 1);
}

/* As ModemManager does with whatever is plugged in */
static void
test_grabbed(Adapter *adapter, gconstpointer unused)
{
    (void)unused;
    open_adapter(adapter, "");
    unplug(adapter);
    plug(adapter);
    int fd = open(adapter->place.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    kd_serial_start_reopen(&adapter->session, NULL);
    g_assert_no_errno(flock(fd, LOCK_EX | LOCK_NB));
    kd_test_wait_until(kd_serial_has_note, &adapter->session);
    check_note(adapter, "is in use by another program: waiting for that to end");
    close(fd);
    finish_reopen(adapter);
}

/* A device is awaited; what the string asks for and the device can't do is not. */
static void
test_final(Adapter *adapter, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    (void)unused;
    kd_serial_driver.has_modem = TRUE;
    open_adapter(adapter, ", 'dtr': <'off'>");
    kd_serial_driver.has_modem = FALSE;
    g_assert_false(kd_serial_reopen(&adapter->session, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
}

/* Only one that was there: at the start a missing device is a mistake, or reconnect's. */
static void
test_missing(Adapter *adapter, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>}", adapter->place.path);
    (void)unused;
    unplug(adapter);
    g_assert_false(kd_serial_open(&adapter->session, text, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static void
test_cancel(Adapter *adapter, gconstpointer unused)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    (void)unused;
    open_adapter(adapter, "");
    unplug(adapter);
    kd_serial_start_reopen(&adapter->session, cancellable);
    kd_test_wait_until(kd_serial_has_note, &adapter->session);
    g_cancellable_cancel(cancellable);
    g_assert_false(kd_serial_finish_reopen(&adapter->session, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* A device that hangs up as soon as it is opened, a hundred times a second if it could: it is tried
 * less and less often, and little is said. */
static void
test_flap(Adapter *adapter, gconstpointer unused)
{
    gint64 began_us = g_get_monotonic_time();
    guint n_opens = 0;
    (void)unused;
    open_adapter(adapter, "");
    while (g_get_monotonic_time() - began_us < 1400000) {
        unplug(adapter);
        kd_serial_start_reopen(&adapter->session, NULL);
        plug(adapter);
        finish_reopen(adapter);
        n_opens++;
    }
    /* after 50, 150, 350, 750, 1550 ms */
    g_assert_cmpuint(n_opens, <=, 5);
    g_assert_cmpuint(adapter->session.n_notes, ==, 0);
}

/* The kernel gives the device that is back the settings of its number, which are ours. */
static void
test_settings(Adapter *adapter, gconstpointer unused)
{
    struct termios2 before = kd_serial_get_termios(adapter->master);
    (void)unused;
    g_assert_cmphex(before.c_lflag & ECHO, ==, ECHO);
    open_adapter(adapter, "");
    struct termios2 ours = kd_serial_get_termios(adapter->master);
    g_assert_cmphex(ours.c_lflag & ECHO, ==, 0);
    unplug(adapter);
    kd_serial_start_reopen(&adapter->session, NULL);
    plug(adapter);
    g_assert_no_errno(ioctl(adapter->master, TCSETS2, &ours));
    finish_reopen(adapter);
    kd_serial_end(&adapter->session);
    struct termios2 after = kd_serial_get_termios(adapter->master);
    g_assert_cmphex(after.c_lflag, ==, before.c_lflag);
    g_assert_cmphex(after.c_iflag, ==, before.c_iflag);
    g_assert_cmpuint(after.c_ospeed, ==, before.c_ospeed);
}

/* ---- which one it is ------------------------------------------------------------------------- */

static gboolean
enter(void)
{
    if (kd_serial_sysfs_enter())
        return TRUE;
    g_test_skip("a folder can't be put in the place of /sys here");
    return FALSE;
}

static void
test_same_adapter(Adapter *adapter, gconstpointer unused)
{
    (void)unused;
    if (!enter())
        return;
    kd_serial_sysfs_plug("0403", "6001", "A5XK3RJT", "00");
    open_adapter(adapter, "");
    unplug(adapter);
    kd_serial_sysfs_unplug();
    kd_serial_start_reopen(&adapter->session, NULL);
    kd_test_wait_until(kd_serial_has_note, &adapter->session);
    kd_serial_sysfs_plug("0403", "6001", "A5XK3RJT", "00");
    plug(adapter);
    finish_reopen(adapter);
    g_assert_cmpuint(adapter->session.n_notes, ==, 1);
    g_autoptr(GVariant) out = kd_serial_control(&adapter->session, KD_CONTROL_STATUS, NULL, NULL);
    const char *name = NULL;
    g_assert_true(g_variant_lookup(out, "adapter", "&s", &name));
    g_assert_cmpstr(name, ==, "0403:6001 A5XK3RJT");
    kd_serial_sysfs_unplug();
}

static void
test_other_adapter(Adapter *adapter, gconstpointer unused)
{
    static const struct {
        const char *vendor;
        const char *product;
        const char *serial;
        const char *interface;
        const char *name;
    } others[] = {
        {"0403", "6001", "B6YL4SKU", "00", "0403:6001 B6YL4SKU"},
        {"1a86", "7523", NULL, "00", "1a86:7523"},
        {"0403", "6001", "A5XK3RJT", "01", "0403:6001 A5XK3RJT if01"}, /* its other port */
        /* what would steer a terminal: CSI in eight bits, and a change of direction */
        {"0403", "6001", "A\302\233B\342\200\256C", "00", "0403:6001 A?B?C"},
    };
    (void)unused;
    if (!enter())
        return;
    kd_serial_sysfs_plug("0403", "6001", "A5XK3RJT", "00");
    open_adapter(adapter, "");
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *expected = g_strdup_printf("is another device now (%s instead of "
                                                    "0403:6001 A5XK3RJT): waiting for the former",
                                                    others[i].name);
        unplug(adapter);
        kd_serial_sysfs_unplug();
        kd_serial_sysfs_plug(others[i].vendor, others[i].product, others[i].serial,
                             others[i].interface);
        plug(adapter);
        adapter->session.n_notes = 0;
        guint n_opens = kd_serial_driver.n_opens;
        kd_serial_start_reopen(&adapter->session, NULL);
        kd_test_wait_until(kd_serial_has_note, &adapter->session);
        check_note(adapter, expected);
        g_assert_cmpuint(kd_serial_driver.n_opens, ==, n_opens); /* its DTR was left alone */
        kd_serial_sysfs_unplug();
        kd_serial_sysfs_plug("0403", "6001", "A5XK3RJT", "00");
        finish_reopen(adapter);
        g_assert_cmpuint(adapter->session.n_notes, ==, 1);
    }
    kd_serial_sysfs_unplug();
}

/* ---- latency --------------------------------------------------------------------------------- */

static void
test_flag(Adapter *adapter, gconstpointer unused)
{
    (void)unused;
    kd_serial_driver.has_settings = TRUE;
    kd_serial_driver.has_low_latency = TRUE;
    kd_serial_driver.flags = (int)ASYNC_SKIP_TEST;
    open_adapter(adapter, "");
    g_assert_cmphex(kd_serial_driver.flags, ==, (int)(ASYNC_SKIP_TEST | ASYNC_LOW_LATENCY));
    kd_serial_end(&adapter->session);
    g_assert_cmphex(kd_serial_driver.flags, ==, (int)ASYNC_SKIP_TEST);
    /* What somebody else has set stays. */
    kd_serial_driver.flags = (int)ASYNC_LOW_LATENCY;
    open_adapter(adapter, "");
    kd_serial_end(&adapter->session);
    g_assert_cmphex(kd_serial_driver.flags, ==, (int)ASYNC_LOW_LATENCY);
}

static void
test_timer(Adapter *adapter, gconstpointer unused)
{
    (void)unused;
    if (!enter())
        return;
    kd_serial_driver.has_settings = TRUE; /* but drops the flag */
    kd_serial_sysfs_plug("0403", "6001", "A5XK3RJT", "00");
    kd_serial_sysfs_write("port/latency_timer", "16");
    open_adapter(adapter, "");
    g_autofree char *lowered = kd_serial_sysfs_read("port/latency_timer");
    kd_serial_end(&adapter->session);
    g_autofree char *restored = kd_serial_sysfs_read("port/latency_timer");
    kd_serial_sysfs_unplug();
    g_assert_cmpstr(lowered, ==, "1");
    g_assert_cmpstr(restored, ==, "16");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn) g_test_add("/serial/device/" name, Adapter, NULL, set_up, fn, tear_down)
    ADD("unplugged/comes-back-with-its-speed", test_comes_back);
    ADD("unplugged/not-ready-is-waited-out", test_transient);
    ADD("unplugged/forbidden-is-told-after-a-while", test_forbidden);
    ADD("unplugged/taken-by-another-is-waited-out", test_grabbed);
    ADD("unplugged/unable-is-final", test_final);
    ADD("unplugged/missing-at-the-start-is-an-error", test_missing);
    ADD("unplugged/cancel-ends-waiting", test_cancel);
    ADD("unplugged/flapping-is-tried-less-and-less", test_flap);
    ADD("unplugged/first-settings-are-restored", test_settings);
    ADD("adapter/same-one-is-taken", test_same_adapter);
    ADD("adapter/other-one-is-left-alone", test_other_adapter);
    ADD("latency/flag-is-set-and-put-back", test_flag);
    ADD("latency/timer-is-lowered-and-put-back", test_timer);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The usb target without the link layer, on devices that umockdev lends: finding the right one, and
 * carrying packets while all that can go wrong does. */
#include "kd-test-host.h"
#include "kd-usb-mock.h"
#include "kd-usb-port.h"
#include "usb-link.h"
#include "usb-list.h"
#include "usb-params.h"

#include <glib/gstdio.h>

#include <errno.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

/* 4 bytes of payload, the id of a target that counts anew, and the sum */
#define STATE_CHANGE                             \
    "0000\x07\0\x04\0\0\x08\x80\x80\x9a\x01\0\0" \
    "data"
#define STATE_BYTES 20

/* ---- a machine, and links on it -------------------------------------------------------------- */

typedef struct {
    KdUsbMock *mock; /* (nullable): the case is skipped */
} Stage;

typedef struct {
    KdSink sink;
    KdTestDone done;
    GObject *link; /* (nullable) */
    KdEndpoint endpoint;
} Link;

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    (void)user, (void)event, (void)arg;
    g_assert_not_reached(); /* all events are the port's */
}

static void
stage_set_up(Stage *stage, gconstpointer unused)
{
    (void)unused;
    stage->mock = kd_usb_mock_new();
    kd_usb_port_start();
}

static void
stage_tear_down(Stage *stage, gconstpointer unused)
{
    (void)unused;
    kd_usb_port_stop();
    kd_usb_mock_free(stage->mock);
}

static gboolean
link_open(Link *link, const char *name, GError **error)
{
    g_autoptr(GVariant) params = kd_test_params("{'targetname': <'%s'>}", name);
    g_autoptr(GVariant) session = kd_test_params("{'id': <uint64 1>}");
    *link = (Link){.sink = {.struct_size = sizeof(KdSink), .event = on_event},
                   .endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1}};
    usb_link_open_async(kd_test_host_get(), params, session, &link->sink, NULL, kd_test_on_done,
                        &link->done);
    g_assert_null(link->done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&link->done);
    link->link = usb_link_open_finish(result, &link->endpoint, error);
    g_assert_true((link->link == NULL) == (error != NULL && *error != NULL));
    return link->link != NULL;
}

static void
link_must_open(Link *link, const char *name)
{
    g_autoptr(GError) error = NULL;
    (void)link_open(link, name, &error);
    g_assert_no_error(error);
}

static void
link_close(Link *link)
{
    usb_link_close_async(link->link, kd_test_on_done, &link->done);
    g_assert_null(link->done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&link->done);
    usb_link_close_finish(link->link, result);
    g_clear_object(&link->link);
    g_clear_pointer(&link->endpoint.facts, g_variant_unref);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static gboolean
has_events(const char *expected)
{
    return strcmp(kd_usb_port.events->str, expected) == 0;
}

static gboolean
are_events_there(gpointer expected)
{
    return has_events(expected);
}

static void
wait_events(const char *expected)
{
    kd_test_wait_until(are_events_there, (gpointer)expected);
}

static gboolean
has_packets(gpointer n)
{
    return kd_usb_port.packets->len >= GPOINTER_TO_UINT(n);
}

static void
assert_packet(guint index, const void *bytes, size_t len_bytes)
{
    kd_test_wait_until(has_packets, GUINT_TO_POINTER(index + 1));
    gsize size = 0;
    const void *got = g_bytes_get_data(kd_usb_port.packets->pdata[index], &size);
    g_assert_cmpmem(got, (int)size, bytes, (int)len_bytes);
}

static gboolean
has_note(const char *text)
{
    return strstr(kd_usb_port.notes->str, text) != NULL;
}

static gboolean
is_note_there(gpointer text)
{
    return has_note(text);
}

typedef struct {
    KdUsbDevice *device;
    GBytes *bytes;
} Written;

static gboolean
has_written(gpointer user)
{
    Written *written = user;
    written->bytes = kd_usb_device_pop_written(written->device);
    return written->bytes != NULL;
}

static void
assert_written(KdUsbDevice *device, const void *bytes, size_t len_bytes)
{
    Written written = {.device = device};
    kd_test_wait_until(has_written, &written);
    g_autoptr(GBytes) owned = written.bytes;
    gsize size = 0;
    const void *got = g_bytes_get_data(owned, &size);
    g_assert_cmpmem(got, (int)size, bytes, (int)len_bytes);
}

static gboolean
is_free(gpointer device)
{
    return !kd_usb_device_is_claimed(device);
}

static gboolean
was_asked(gpointer device)
{
    KdUsbCounts counts;
    kd_usb_device_get_counts(device, &counts);
    return counts.n_questions > 0;
}

static void
assert_unharmed(KdUsbDevice *device)
{
    KdUsbCounts counts;
    kd_usb_device_get_counts(device, &counts);
    g_assert_cmpuint(counts.n_forbidden, ==, 0);
}

/* A packet of KD of so many bytes in all */
static void
fill(uint8_t *bytes, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    memcpy(bytes, "0000\x02\0", 6);
    bytes[6] = (uint8_t)(len_bytes - 16);
    bytes[7] = (uint8_t)((len_bytes - 16) >> 8);
}

static const KdUsbDeviceSpec lab1 = {.name = "LAB1"};

static void
open_one(Stage *stage, Link *link, const KdUsbDeviceSpec *spec, KdUsbDevice **device)
{
    *device = kd_usb_mock_plug(stage->mock, spec);
    link_must_open(link, "LAB1");
    wait_events("present ");
}

/* ---- finding --------------------------------------------------------------------------------- */

static void
test_found(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    link_must_open(&link, "Lab1");
    wait_events("present ");
    g_assert_true(kd_usb_device_is_claimed(device));
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
    g_assert_false(kd_usb_device_is_claimed(device));
    assert_unharmed(device);
}

static void
test_waits(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    link_must_open(&link, "LAB1");
    g_assert_true(has_note("waiting for the target LAB1"));
    g_assert_true(has_events(""));
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    wait_events("present ");
    link_close(&link);
    assert_unharmed(device);
}

/* As without udevd: no message comes, and it is there all the same. */
static void
test_untold(Stage *stage, gconstpointer unused)
{
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    if (access("/run/udev/control", F_OK) == 0) {
        g_test_skip("udevd runs here and would have told");
        return;
    }
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &lab1);
    g_autofree char *folder = kd_usb_mock_build_path(stage->mock, "/sys/bus/usb/devices");
    g_autofree char *path = g_build_filename(folder, kd_usb_device_get_place(device), NULL);
    g_autofree char *hidden = kd_usb_mock_build_path(stage->mock, "/hidden");
    g_assert_cmpint(g_rename(path, hidden), ==, 0);
    link_must_open(&link, "LAB1");
    g_assert_true(has_note("waiting for the target LAB1"));
    g_assert_cmpint(g_rename(hidden, path), ==, 0);
    wait_events("present ");
    link_close(&link);
}

static void
test_packets_first(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = NULL};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    link_must_open(&link, "LAB1");
    kd_test_wait_until(was_asked, device);
    kd_usb_device_send(device, STATE_CHANGE "more", STATE_BYTES + 4);
    g_assert_true(has_events(""));
    kd_usb_device_send(device, "NAME=LAB1\0", 11);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    wait_events("present ");
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    assert_packet(1, STATE_CHANGE "more", STATE_BYTES + 4);
    assert_packet(2, STATE_CHANGE, STATE_BYTES);
    /* a late answer to a question that was asked again is no packet */
    kd_usb_device_send(device, "NAME=LAB1\0", 11);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(3, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
}

static void
test_asked_again(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    kd_usb_device_fail(device, KD_USB_FAULT_DEAF, 1, 0);
    link_must_open(&link, "LAB1");
    wait_events("present ");
    link_close(&link);
    assert_unharmed(device);
}

static void
test_right_one(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec specs[] = {{.name = "LAB1"}, {.name = "LAB2"}, {.name = "LAB12"}};
    KdUsbDevice *devices[3];
    Link one;
    Link two;
    (void)unused;
    if (stage->mock == NULL)
        return;
    for (guint i = 0; i < 3; i++)
        devices[i] = kd_usb_mock_plug(stage->mock, &specs[i]);
    link_must_open(&one, "lab2");
    wait_events("present ");
    kd_test_wait_until(is_free, devices[0]);
    kd_test_wait_until(is_free, devices[2]);
    g_assert_true(kd_usb_device_is_claimed(devices[1]));
    link_must_open(&two, "lab1");
    wait_events("present present ");
    g_assert_true(kd_usb_device_is_claimed(devices[0]));
    g_assert_true(kd_usb_device_is_claimed(devices[1]));
    kd_usb_device_send(devices[0], STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    link_close(&two);
    link_close(&one);
    for (guint i = 0; i < 3; i++)
        g_assert_false(kd_usb_device_is_claimed(devices[i]));
}

static void
test_given_up(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = NULL};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    link_must_open(&link, "LAB1");
    kd_test_wait_until(was_asked, device);
    link_close(&link);
    kd_test_wait_until(is_free, device);
}

static void
test_silent(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = NULL};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    link_must_open(&link, "LAB1");
    kd_usb_device_send(device, "NAME=\x1b[2Jx\0", 11); /* no name either */
    kd_test_wait_until(is_note_there, (gpointer) "does not tell its name");
    kd_usb_device_send(device, "NAME=LAB1\0", 11);
    wait_events("present ");
    link_close(&link);
}

/* ---- not ours -------------------------------------------------------------------------------- */

static void
assert_refused(const char *name, GQuark domain, int code, const char *text)
{
    g_autoptr(GError) error = NULL;
    Link link;
    g_assert_false(link_open(&link, name, &error));
    g_test_message("%s", error->message);
    g_assert_error(error, domain, code);
    g_assert_nonnull(strstr(error->message, text));
    kd_test_turn();
}

static void
test_linux(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {
        .vendor = 0x1d6b, .product = 0x0010, .class_code = 0xDC0201, .terminal = "ttyUSB7"};
    static const KdUsbDeviceSpec key = {.vendor = 0x0525, .product = 0x127a};
    KdUsbCounts counts;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    assert_refused("LAB1", KD_ERROR, KD_ERROR_NOT_SUPPORTED, "use com:port=/dev/ttyUSB7");
    KdUsbDevice *other = kd_usb_mock_plug(stage->mock, &key);
    assert_refused("LAB1", KD_ERROR, KD_ERROR_NOT_SUPPORTED, "use com:port=/dev/ttyUSB7");
    kd_usb_device_unplug(device);
    assert_refused("LAB1", KD_ERROR, KD_ERROR_NOT_SUPPORTED, "use com:port=/dev/ttyUSBn");
    kd_usb_device_get_counts(device, &counts);
    g_assert_cmpuint(counts.n_ioctls, ==, 0);
    kd_usb_device_get_counts(other, &counts);
    g_assert_cmpuint(counts.n_ioctls, ==, 0);
}

static void
test_linux_beside(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec terminal = {.vendor = 0x1d6b, .product = 0x0010};
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    (void)kd_usb_mock_plug(stage->mock, &terminal);
    (void)kd_usb_mock_plug(stage->mock, &spec);
    link_must_open(&link, "LAB1");
    wait_events("present ");
    link_close(&link);
}

/* The node is root's; what umockdev needs beside it is everybody's. */
static void
be_nobody(Stage *stage, KdUsbDevice *device)
{
    g_autofree char *root = kd_usb_mock_build_path(stage->mock, "/");
    g_autofree char *sockets = kd_usb_mock_build_path(stage->mock, "/ioctl");
    g_autofree char *socket = g_strconcat(sockets, kd_usb_device_get_node(device), NULL);
    g_assert_cmpint(g_chmod(root, 0777), ==, 0);
    g_assert_cmpint(g_chmod(socket, 0777), ==, 0);
    (void)setfsuid(65534);
}

static void
test_permission(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    if (geteuid() != 0) {
        g_test_skip("only root can be somebody else for a moment");
        return;
    }
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    be_nobody(stage, device);
    assert_refused("LAB1", G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "70-kdsrv.rules");
    (void)setfsuid(0);
    link_must_open(&link, "LAB1");
    wait_events("present ");
    link_close(&link);
}

/* A device that is plugged in again appears before its permissions do. */
static void
test_permission_later(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    if (geteuid() != 0) {
        g_test_skip("only root can be somebody else for a moment");
        return;
    }
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_unplug(device);
    wait_events("present absent ");
    device = kd_usb_mock_plug(stage->mock, &lab1);
    be_nobody(stage, device);
    kd_test_wait_until(is_note_there, (gpointer) "no permission");
    (void)setfsuid(0);
    wait_events("present absent present ");
    link_close(&link);
}

static void
test_busy(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    kd_usb_device_fail(device, KD_USB_FAULT_CLAIM, 1, EBUSY);
    assert_refused("LAB1", KD_ERROR, KD_ERROR_BUSY, "in use by another program");
}

static void
test_hostile_descriptors(Stage *stage, gconstpointer unused)
{
#define DEVICE "12010003000000099534e000000101020301"
#define CONFIG              \
    DEVICE "09022000010100" \
           "80fa"
    static const char *const hostile[] = {
        /* a packet size of 0, of 2048, of 1023 */
        CONFIG "0904000002dc02ff00"
               "07058102000000"
               "07050102000400",
        CONFIG "0904000002dc02ff00"
               "07058102000800"
               "07050102000400",
        CONFIG "0904000002dc02ff00"
               "0705810200ff03"
               "07050102000400",
        /* more endpoints than there are: 3, 30, 255 */
        CONFIG "09040000ffdc02ff00"
               "07058102000400",
        CONFIG "090400001edc02ff00"
               "07058102000400",
        CONFIG "0904000003dc02ff00",
        /* cut off in an endpoint, in an interface, in a configuration, in the device */
        CONFIG "0904000002dc02ff00"
               "070581",
        CONFIG "0904000002dc",
        DEVICE "0902",
        "1201000300000009",
        /* lengths of 0 and beyond the end */
        CONFIG "0004000002dc02ff00"
               "07058102000400"
               "07050102000400",
        CONFIG "ff04000002dc02ff00"
               "07058102000400"
               "07050102000400",
        CONFIG "0904000002dc02ff00"
               "00058102000400"
               "00050102000400",
        /* the control endpoint, both in one direction, isochronous */
        CONFIG "0904000002dc02ff00"
               "07058002000400"
               "07050002000400",
        CONFIG "0904000002dc02ff00"
               "07058102000400"
               "07058202000400",
        CONFIG "0904000002dc02ff00"
               "07058101000400"
               "07050101000400",
        /* 255 configurations */
        "12010003000000099534e0000001010203ff"
        "09022000010100"
        "80fa",
    };
    static const KdUsbDeviceSpec spec = {.name = "LAB1"};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        KdUsbDeviceSpec bad = {.name = "LAB1", .descriptors = hostile[i]};
        (void)kd_usb_mock_plug(stage->mock, &bad);
    }
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &spec);
    link_must_open(&link, "LAB1");
    wait_events("present ");
    g_assert_true(kd_usb_device_is_claimed(device));
    link_close(&link);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void
test_in_sizes(Stage *stage, gconstpointer unused)
{
    static const size_t sizes[] = {16, 17, 346, 1023, 1024, 1025, 2048, 3072, 4000, 4016};
    uint8_t bytes[4096];
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_send(device, "", 0); /* is nothing */
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        fill(bytes, sizes[i]);
        kd_usb_device_send(device, bytes, sizes[i]);
        assert_packet(i, bytes, sizes[i]);
        kd_usb_device_send(device, "", 0);
    }
    kd_usb_device_send(device, "b", 1);
    assert_packet(G_N_ELEMENTS(sizes), "b", 1);
    link_close(&link);
    assert_unharmed(device);
}

static void
test_in_too_long(Stage *stage, gconstpointer unused)
{
    uint8_t bytes[20000] = {0};
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_send(device, bytes, sizeof bytes);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
}

static void
test_in_without_end(Stage *stage, gconstpointer unused)
{
    uint8_t bytes[2048];
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    fill(bytes, 1024);
    kd_usb_device_send_open(device, bytes, 1024);
    assert_packet(0, bytes, 1024); /* after a second */
    kd_usb_device_send_open(device, bytes, 1024);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(1, bytes, 1024);
    assert_packet(2, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
}

static void
test_out_sizes(Stage *stage, gconstpointer unused)
{
    static const struct {
        size_t len_bytes;
        guint n_zero;
    } cases[] = {{1, 0}, {16, 0}, {511, 0}, {512, 1}, {513, 0}, {1024, 1}, {4016, 0}, {4096, 1}};
    static const KdUsbDeviceSpec spec = {.name = "LAB1", .max_packet_bytes = 512};
    uint8_t bytes[4096];
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &spec, &device);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdUsbCounts before;
        KdUsbCounts after;
        fill(bytes, MAX(cases[i].len_bytes, 16));
        kd_usb_device_get_counts(device, &before);
        while (!kd_usb_port_send(bytes, cases[i].len_bytes))
            g_main_context_iteration(NULL, TRUE);
        assert_written(device, bytes, cases[i].len_bytes);
        kd_usb_device_get_counts(device, &after);
        g_assert_cmpuint(after.n_zero_flags - before.n_zero_flags, ==, cases[i].n_zero);
        g_assert_cmpuint(after.n_writes - before.n_writes, ==, 1);
    }
    link_close(&link);
}

static gboolean
is_ready_again(gpointer n)
{
    return kd_usb_port.n_ready > GPOINTER_TO_UINT(n);
}

static void
test_out_busy(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    while (!kd_usb_port_send("first", 5))
        g_main_context_iteration(NULL, TRUE);
    guint n_ready = kd_usb_port.n_ready;
    g_assert_false(kd_usb_port_send("second", 6));
    kd_test_wait_until(is_ready_again, GUINT_TO_POINTER(n_ready));
    g_assert_true(kd_usb_port_send("second", 6));
    assert_written(device, "first", 5);
    assert_written(device, "second", 6);
    link_close(&link);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void
test_read_errors(Stage *stage, gconstpointer unused)
{
    static const int codes[] = {-EPIPE, -EPROTO, -EILSEQ, -EOVERFLOW, -ETIME};
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        kd_usb_device_fail(device, KD_USB_FAULT_READ, 3, codes[i]);
        kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
        assert_packet(i, STATE_CHANGE, STATE_BYTES);
    }
    g_assert_true(has_events("present "));
    link_close(&link);
    assert_unharmed(device);
}

static void
test_read_errors_without_end(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    KdUsbCounts counts;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_fail(device, KD_USB_FAULT_READ, G_MAXUINT, -EPROTO);
    wait_events("present absent ");
    kd_test_wait_until(is_free, device);
    kd_usb_device_get_counts(device, &counts);
    g_assert_cmpuint(counts.n_reads, <, 40);
    g_assert_cmpuint(counts.n_ioctls, <, 400);
    g_assert_true(has_note("nothing passes to"));
    kd_usb_device_fail(device, KD_USB_FAULT_READ, 0, 0);
    wait_events("present absent present ");
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
    assert_unharmed(device);
}

static void
test_write_errors(Stage *stage, gconstpointer unused)
{
    static const KdUsbFault faults[] = {KD_USB_FAULT_WRITE, KD_USB_FAULT_SHORT_WRITE,
                                        KD_USB_FAULT_DEAF, KD_USB_FAULT_LOST_WRITE,
                                        KD_USB_FAULT_SUBMIT};
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    for (guint i = 0; i < G_N_ELEMENTS(faults); i++) {
        kd_usb_device_fail(device, faults[i], 1,
                           faults[i] == KD_USB_FAULT_SUBMIT ? ENOMEM : -EPIPE);
        /* lost; then the next one passes */
        while (!kd_usb_port_send("lost", 4))
            g_main_context_iteration(NULL, TRUE);
        while (!kd_usb_port_send("next", 4))
            g_main_context_iteration(NULL, TRUE);
        assert_written(device, "next", 4);
    }
    g_assert_true(has_events("present "));
    link_close(&link);
    assert_unharmed(device);
}

static void
test_write_errors_without_end(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_fail(device, KD_USB_FAULT_WRITE, 10, -EPROTO);
    while (has_events("present ")) {
        (void)kd_usb_port_send("lost", 4);
        g_main_context_iteration(NULL, TRUE);
    }
    wait_events("present absent present ");
    link_close(&link);
}

static void
test_lost_read(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_fail(device, KD_USB_FAULT_LOST_READ, 1, 0);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
}

static void
test_empty_flood(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    KdUsbCounts before;
    KdUsbCounts after;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_get_counts(device, &before);
    for (guint i = 0; i < 100; i++)
        kd_usb_device_send(device, "", 0);
    gint64 begun_us = g_get_monotonic_time();
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    kd_usb_device_get_counts(device, &after);
    g_assert_cmpint(g_get_monotonic_time() - begun_us, >=, 84 * 10000);
    g_assert_cmpuint(after.n_reads - before.n_reads, <=, 110);
    link_close(&link);
}

static gboolean
on_second(gpointer is_over)
{
    *(gboolean *)is_over = TRUE;
    return G_SOURCE_REMOVE;
}

static gboolean
is_set(gpointer flag)
{
    return *(gboolean *)flag;
}

static void
test_stuck(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    KdUsbCounts before;
    KdUsbCounts after;
    gboolean is_over = FALSE;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_fail(device, KD_USB_FAULT_STUCK, 1, 0);
    kd_usb_device_get_counts(device, &before);
    (void)g_timeout_add(1000, on_second, &is_over);
    kd_test_wait_until(is_set, &is_over);
    kd_usb_device_get_counts(device, &after);
    g_assert_cmpuint(after.n_ioctls - before.n_ioctls, <, 400);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    link_close(&link);
}

/* It can be opened, and then it is said to be gone, again and again. */
static void
test_gone_but_there(Stage *stage, gconstpointer unused)
{
    gboolean is_over = FALSE;
    KdUsbCounts counts;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &lab1);
    kd_usb_device_fail(device, KD_USB_FAULT_SUBMIT, G_MAXUINT, ENODEV);
    link_must_open(&link, "LAB1");
    (void)g_timeout_add(1000, on_second, &is_over);
    kd_test_wait_until(is_set, &is_over);
    kd_usb_device_get_counts(device, &counts);
    g_assert_cmpuint(counts.n_claims, <, 5);
    kd_usb_device_fail(device, KD_USB_FAULT_SUBMIT, 0, 0);
    wait_events("present ");
    link_close(&link);
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void
test_replug(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_unplug(device);
    wait_events("present absent ");
    g_assert_true(kd_usb_port_send("into the void", 13));
    device = kd_usb_mock_plug(stage->mock, &lab1);
    kd_usb_device_send(device, STATE_CHANGE, STATE_BYTES);
    wait_events("present absent present restarted ");
    assert_packet(0, STATE_CHANGE, STATE_BYTES);
    while (!kd_usb_port_send("hello", 5))
        g_main_context_iteration(NULL, TRUE);
    assert_written(device, "hello", 5);
    link_close(&link);
    assert_unharmed(device);
}

static void
test_flapping(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    gint64 begun_us = g_get_monotonic_time();
    open_one(stage, &link, &lab1, &device);
    for (guint i = 0; i < 3; i++) {
        g_string_truncate(kd_usb_port.events, 0);
        kd_usb_device_unplug(device);
        wait_events("absent ");
        device = kd_usb_mock_plug(stage->mock, &lab1);
        wait_events("absent present ");
    }
    g_assert_cmpint(g_get_monotonic_time() - begun_us, >=, 3 * 1000000);
    link_close(&link);
}

static void
test_other_one(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec other = {.name = "LAB2"};
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_unplug(device);
    wait_events("present absent ");
    device = kd_usb_mock_plug(stage->mock, &other);
    kd_test_wait_until(was_asked, device);
    kd_test_wait_until(is_free, device);
    (void)kd_usb_mock_plug(stage->mock, &lab1);
    wait_events("present absent present ");
    link_close(&link);
}

static void
test_gone_in_mid_question(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec mute = {.name = NULL};
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &mute);
    link_must_open(&link, "LAB1");
    kd_test_wait_until(was_asked, device);
    kd_usb_device_unplug(device);
    (void)kd_usb_mock_plug(stage->mock, &lab1);
    wait_events("present ");
    link_close(&link);
}

static void
test_close_while_lost(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_unplug(device);
    wait_events("present absent ");
    link_close(&link);
    g_assert_true(has_events("present absent "));
}

static void
test_close_under_way(Stage *stage, gconstpointer unused)
{
    KdUsbDevice *device = NULL;
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    open_one(stage, &link, &lab1, &device);
    kd_usb_device_fail(device, KD_USB_FAULT_DEAF, 1, 0);
    while (!kd_usb_port_send("nobody takes it", 15))
        g_main_context_iteration(NULL, TRUE);
    gint64 begun_us = g_get_monotonic_time();
    link_close(&link);
    g_assert_cmpint(g_get_monotonic_time() - begun_us, <, 2000000);
    g_assert_false(kd_usb_device_is_claimed(device));
}

/* Called off in the turn in which it was begun, and when it has been done */
static void
test_open_cancelled(Stage *stage, gconstpointer unused)
{
    g_autoptr(GVariant) params = kd_test_params("{'targetname': <'LAB1'>}");
    g_autoptr(GVariant) session = kd_test_params("{'id': <uint64 1>}");
    const KdSink sink = {.struct_size = sizeof(KdSink), .event = on_event};
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &lab1);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdEndpoint endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1};
        KdTestDone done = {0};
        if (i == 0)
            g_cancellable_cancel(cancellable);
        usb_link_open_async(kd_test_host_get(), params, session, &sink, cancellable,
                            kd_test_on_done, &done);
        if (i == 1)
            g_cancellable_cancel(cancellable);
        GAsyncResult *result = kd_test_wait(&done);
        if (i == 2)
            g_cancellable_cancel(cancellable);
        g_assert_null(usb_link_open_finish(result, &endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_object_unref(result);
        kd_test_wait_until(is_free, device);
    }
    Link link;
    link_must_open(&link, "LAB1"); /* nothing of them is in its way */
    kd_test_wait_until(was_asked, device);
    link_close(&link);
}

static gboolean
on_look_again(gpointer unused)
{
    (void)unused;
    return G_SOURCE_CONTINUE;
}

static gboolean
are_fds_closed(gpointer n_fds)
{
    return kd_test_count_fds() <= GPOINTER_TO_UINT(n_fds);
}

/* umockdev closes its ends in a thread of its own. */
static void
wait_fds(guint n_fds)
{
    guint again = g_timeout_add(10, on_look_again, NULL);
    kd_test_wait_until(are_fds_closed, GUINT_TO_POINTER(n_fds));
    g_source_remove(again);
}

static void
test_flat(Stage *stage, gconstpointer unused)
{
    guint n_fds = 0;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &lab1);
    for (guint i = 0; i < 30; i++) {
        Link link;
        link_must_open(&link, "LAB1");
        if (i % 2 == 0) {
            g_string_truncate(kd_usb_port.events, 0);
            wait_events("present ");
        }
        link_close(&link);
        kd_test_wait_until(is_free, device);
        if (i == 0) {
            kd_test_turn();
            n_fds = kd_test_count_fds(); /* libusb rests now */
        }
    }
    wait_fds(n_fds);
}

/* ---- listing --------------------------------------------------------------------------------- */

static GVariant *
list(GCancellable *cancellable, GError **error)
{
    KdTestDone done = {0};
    g_autoptr(GVariant) filter = g_variant_ref_sink(g_variant_new_parsed("@a{sv} {}"));
    usb_list_async(kd_test_host_get(), filter, cancellable, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    return usb_list_finish(result, error);
}

static void
assert_listed(const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) targets = list(NULL, &error);
    g_assert_no_error(error);
    g_assert_true(g_variant_is_of_type(targets, G_VARIANT_TYPE("aa{sv}")));
    g_autofree char *text = g_variant_print(targets, FALSE);
    g_test_message("%s", text);
    g_autoptr(GString) all = g_string_new(NULL);
    for (gsize i = 0; i < g_variant_n_children(targets); i++) {
        g_autoptr(GVariant) target = g_variant_get_child_value(targets, i);
        const char *trans = NULL;
        const char *name = NULL;
        gboolean is_busy = FALSE;
        g_assert_true(g_variant_lookup(target, "trans", "&s", &trans));
        g_assert_true(g_variant_lookup(target, "name", "&s", &name));
        g_assert_true(g_variant_lookup(target, "busy", "b", &is_busy));
        for (const char *at = name; *at != '\0'; at++)
            g_assert_true(g_ascii_isprint(*at));
        g_assert_nonnull(strstr(name, "Nobody Cable ?[2J"));
        g_string_append_printf(all, "%s%s ", trans, is_busy ? "!" : "");
    }
    g_assert_cmpstr(all->str, ==, expected);
}

static void
test_list(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec specs[] = {
        {.name = "LAB1"},
        {.name = "LAB2"},
        {.name = NULL}, /* cannot be written as a string */
        {.vendor = 0x1d6b, .product = 0x0010, .name = "LINUX"},
        {.vendor = 0x1234, .class_code = 0xDC02FF, .name = "OTHER"},
    };
    KdUsbDevice *devices[G_N_ELEMENTS(specs)];
    Link link;
    (void)unused;
    if (stage->mock == NULL)
        return;
    assert_listed("");
    for (guint i = 0; i < G_N_ELEMENTS(specs); i++)
        devices[i] = kd_usb_mock_plug(stage->mock, &specs[i]);
    assert_listed("usb:targetname=LAB1 usb:targetname=LAB2 usb:targetname=OTHER ");
    for (guint i = 0; i < G_N_ELEMENTS(specs); i++)
        kd_test_wait_until(is_free, devices[i]);
    link_must_open(&link, "LAB2");
    wait_events("present ");
    assert_listed("usb:targetname=LAB1 usb:targetname=LAB2! usb:targetname=OTHER ");
    g_assert_true(kd_usb_device_is_claimed(devices[1]));
    link_close(&link);
}

static gboolean
on_cancel(gpointer cancellable)
{
    g_cancellable_cancel(cancellable);
    return G_SOURCE_REMOVE;
}

static void
test_list_cancelled(Stage *stage, gconstpointer unused)
{
    static const KdUsbDeviceSpec mute = {.name = NULL};
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    (void)unused;
    if (stage->mock == NULL)
        return;
    KdUsbDevice *device = kd_usb_mock_plug(stage->mock, &mute);
    (void)g_idle_add(on_cancel, cancellable);
    g_assert_null(list(cancellable, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    kd_test_wait_until(is_free, device);
}

static void
add(const char *path, void (*fn)(Stage *stage, gconstpointer unused))
{
    g_test_add(path, Stage, NULL, stage_set_up, fn, stage_tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/usb/find/takes-the-one-that-tells-the-name", test_found);
    add("/usb/find/waits-for-one-that-is-plugged-in-later", test_waits);
    add("/usb/find/looks-again-where-nobody-tells", test_untold);
    add("/usb/find/keeps-packets-that-come-before-the-name", test_packets_first);
    add("/usb/find/asks-again-when-nothing-comes", test_asked_again);
    add("/usb/find/releases-those-with-other-names", test_right_one);
    add("/usb/find/lets-go-when-the-search-is-given-up", test_given_up);
    add("/usb/find/tells-of-one-that-does-not-tell-its-name", test_silent);
    add("/usb/refuse/linux-debug-devices-are-terminals", test_linux);
    add("/usb/refuse/linux-debug-devices-do-no-harm-beside-a-target", test_linux_beside);
    add("/usb/refuse/no-permission-names-the-udev-rule", test_permission);
    add("/usb/refuse/permission-that-comes-later-is-waited-for", test_permission_later);
    add("/usb/refuse/what-another-program-has", test_busy);
    add("/usb/refuse/descriptors-that-lie", test_hostile_descriptors);
    add("/usb/in/one-transfer-is-one-packet", test_in_sizes);
    add("/usb/in/what-is-too-long-is-dropped", test_in_too_long);
    add("/usb/in/a-forgotten-end-costs-a-second", test_in_without_end);
    add("/usb/out/a-full-last-packet-gets-an-empty-one", test_out_sizes);
    add("/usb/out/one-at-a-time", test_out_busy);
    add("/usb/fault/reads-that-fail-are-tried-again", test_read_errors);
    add("/usb/fault/reads-that-fail-for-good-open-it-anew", test_read_errors_without_end);
    add("/usb/fault/a-write-that-fails-costs-one-packet", test_write_errors);
    add("/usb/fault/writes-that-fail-for-good-open-it-anew", test_write_errors_without_end);
    add("/usb/fault/a-lost-read-is-called-back", test_lost_read);
    add("/usb/fault/empty-transfers-without-end-make-no-spin", test_empty_flood);
    add("/usb/fault/a-node-that-is-always-ready-makes-no-spin", test_stuck);
    add("/usb/fault/gone-and-there-all-the-same-makes-no-spin", test_gone_but_there);
    add("/usb/plug/the-link-outlives-an-unplug", test_replug);
    add("/usb/plug/a-flapping-cable-is-looked-at-once-a-second", test_flapping);
    add("/usb/plug/another-target-in-its-place-is-none", test_other_one);
    add("/usb/plug/gone-while-it-is-asked", test_gone_in_mid_question);
    add("/usb/close/works-while-the-target-is-lost", test_close_while_lost);
    add("/usb/close/calls-back-what-is-under-way", test_close_under_way);
    add("/usb/close/leaves-no-descriptor", test_flat);
    add("/usb/close/opening-can-be-called-off", test_open_cancelled);
    add("/usb/list/asks-each-target-for-its-name", test_list);
    add("/usb/list/can-be-cancelled", test_list_cancelled);
    return g_test_run();
}

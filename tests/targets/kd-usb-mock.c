/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A usbfs of which nothing is there. Its requests come in umockdev's thread, what a test wants in
 * the test's: one lock for each device. */
#include "kd-usb-mock.h"

#include <glib/gstdio.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <umockdev.h>
#include <unistd.h>

#define HUB  "/devices/pci0000:00/0000:00:14.0/usb1"
#define PAGE 4096

struct KdUsbMock {
    UMockdevTestbed *testbed;
    char *root;
    GMutex lock;
    GPtrArray *devices; /* KdUsbDevice */
    guint n_plugged;
};

/* One request block of the kernel's */
typedef struct {
    UMockdevIoctlData *urb;
    UMockdevIoctlData *buffer; /* (nullable) */
    size_t got_bytes;
    gboolean is_lost;
} Urb;

/* One bulk IN transfer */
typedef struct {
    GBytes *bytes;
    size_t done_bytes;
    gboolean is_open; /* its last packet is full, and no empty one follows */
} Transfer;

struct KdUsbDevice {
    KdUsbMock *mock;
    char *place;
    char *syspath;
    char *node;
    uint16_t max_packet_bytes;
    char *name; /* (nullable) */
    UMockdevIoctlBase *handler;
    int fifo;
    GMutex lock;
    /* under it */
    int is_ready;
    gboolean is_gone;
    gboolean is_claimed;
    GQueue reads;     /* Urb: that wait for bytes */
    GQueue writes;    /* Urb: that nobody takes */
    GQueue done;      /* Urb: to be reaped */
    GQueue transfers; /* Transfer */
    GQueue written;   /* GBytes */
    KdUsbWritten on_written;
    void *user;
    KdUsbCounts counts;
    guint chaos_percent;
    GRand *rand; /* (nullable) */
    guint faults[KD_USB_N_FAULTS];
    int codes[KD_USB_N_FAULTS];
};

/* ---- request blocks -------------------------------------------------------------------------- */

static struct usbdevfs_urb *
get_urb(const Urb *urb)
{
    return (struct usbdevfs_urb *)(void *)urb->urb->data;
}

static void
urb_free(Urb *urb)
{
    g_object_unref(urb->urb);
    g_clear_object(&urb->buffer);
    g_free(urb);
}

static void
transfer_free(Transfer *transfer)
{
    g_bytes_unref(transfer->bytes);
    g_free(transfer);
}

/* A usbfs node can be written to while there is something to reap. umockdev's is a file, which
 * always can: a FIFO takes its place, full or drained. */
static void
set_ready(KdUsbDevice *device, gboolean is_ready)
{
    char page[PAGE] = {0};
    is_ready = is_ready || device->faults[KD_USB_FAULT_STUCK] > 0;
    if (device->is_ready == (int)is_ready)
        return;
    device->is_ready = is_ready;
    if (is_ready) {
        while (read(device->fifo, page, sizeof page) > 0)
            continue;
    } else {
        while (write(device->fifo, page, sizeof page) > 0)
            continue;
    }
}

static void
complete(KdUsbDevice *device, Urb *urb, int status)
{
    get_urb(urb)->status = status;
    get_urb(urb)->actual_length = (int)urb->got_bytes;
    g_queue_push_tail(&device->done, urb);
    set_ready(device, TRUE);
    g_main_context_wakeup(NULL);
}

static gboolean
take_fault(KdUsbDevice *device, KdUsbFault fault)
{
    if (device->faults[fault] == 0)
        return FALSE;
    device->faults[fault]--;
    return TRUE;
}

static gboolean
is_hit(KdUsbDevice *device)
{
    return device->chaos_percent > 0 &&
           (guint)g_rand_int_range(device->rand, 0, 100) < device->chaos_percent;
}

/* ---- to the host ----------------------------------------------------------------------------- */

/* What a host controller does: a packet that is shorter than the endpoint's ends the read. */
static void
fill_read(KdUsbDevice *device, Urb *urb)
{
    size_t room_bytes = (size_t)get_urb(urb)->buffer_length;
    while (device->transfers.length > 0) {
        Transfer *transfer = device->transfers.head->data;
        gsize size = 0;
        const uint8_t *bytes = g_bytes_get_data(transfer->bytes, &size);
        size_t n_bytes = MIN(size - transfer->done_bytes, room_bytes - urb->got_bytes);
        if (n_bytes > 0)
            memcpy(urb->buffer->data + urb->got_bytes, bytes + transfer->done_bytes, n_bytes);
        urb->got_bytes += n_bytes;
        transfer->done_bytes += n_bytes;
        gboolean is_over = transfer->done_bytes == size;
        gboolean is_open = transfer->is_open;
        /* A read that is just filled hears of the end by the next one. */
        if (is_over && !is_open && urb->got_bytes == room_bytes &&
            size % device->max_packet_bytes == 0 && size > 0)
            is_over = FALSE;
        if (is_over)
            transfer_free(g_queue_pop_head(&device->transfers));
        if ((is_over && !is_open) || urb->got_bytes == room_bytes) {
            complete(device, g_queue_pop_head(&device->reads), 0);
            return;
        }
        if (!is_over)
            return;
    }
}

/* Something goes wrong with a transfer: it is lost, or half of it comes, or it comes the next time.
 */
static void
spoil_read(KdUsbDevice *device)
{
    static const int codes[] = {-EPROTO, -EILSEQ, -EPIPE};
    gint32 kind = g_rand_int_range(device->rand, 0, (gint32)G_N_ELEMENTS(codes));
    Urb *urb = g_queue_pop_head(&device->reads);
    if (kind != 2) {
        Transfer *transfer = g_queue_pop_head(&device->transfers);
        gsize size = 0;
        const uint8_t *bytes = g_bytes_get_data(transfer->bytes, &size);
        urb->got_bytes = kind == 1 ? MIN(size / 2, (size_t)get_urb(urb)->buffer_length) : 0;
        if (urb->got_bytes > 0)
            memcpy(urb->buffer->data, bytes, urb->got_bytes);
        transfer_free(transfer);
    }
    complete(device, urb, codes[kind]);
}

static void
pump(KdUsbDevice *device)
{
    while (device->reads.length > 0) {
        Urb *urb = device->reads.head->data;
        guint n_before = device->reads.length;
        if (!urb->is_lost && take_fault(device, KD_USB_FAULT_LOST_READ))
            urb->is_lost = TRUE;
        if (urb->is_lost)
            return;
        if (take_fault(device, KD_USB_FAULT_READ)) {
            complete(device, g_queue_pop_head(&device->reads), device->codes[KD_USB_FAULT_READ]);
            continue;
        }
        if (device->transfers.length > 0 && is_hit(device)) {
            spoil_read(device);
            continue;
        }
        fill_read(device, urb);
        if (device->reads.length == n_before)
            return;
    }
}

static void
push_transfer(KdUsbDevice *device, const void *bytes, size_t len_bytes, gboolean is_open)
{
    Transfer *transfer = g_new0(Transfer, 1);
    transfer->bytes = g_bytes_new(bytes, len_bytes);
    transfer->is_open = is_open;
    g_queue_push_tail(&device->transfers, transfer);
    pump(device);
}

/* ---- from the host --------------------------------------------------------------------------- */

static void
answer_question(KdUsbDevice *device)
{
    device->counts.n_questions++;
    if (device->name != NULL) {
        g_autofree char *answer = g_strdup_printf("NAME=%s%c", device->name, 0);
        push_transfer(device, answer, strlen("NAME=") + strlen(device->name) + 2, FALSE);
    }
}

/* Returns: (nullable) (transfer full): bytes for the test's own function, without the lock */
static GBytes *
take_write(KdUsbDevice *device, Urb *urb)
{
    size_t len_bytes = (size_t)get_urb(urb)->buffer_length;
    const uint8_t *bytes = urb->buffer != NULL ? urb->buffer->data : NULL;
    GBytes *result = NULL;
    if (take_fault(device, KD_USB_FAULT_LOST_WRITE) || take_fault(device, KD_USB_FAULT_DEAF)) {
        g_queue_push_tail(&device->writes, urb);
        return NULL;
    }
    if (take_fault(device, KD_USB_FAULT_WRITE)) {
        complete(device, urb, device->codes[KD_USB_FAULT_WRITE]);
        return NULL;
    }
    if (take_fault(device, KD_USB_FAULT_SHORT_WRITE)) {
        urb->got_bytes = len_bytes / 2;
        complete(device, urb, 0);
        return NULL;
    }
    urb->got_bytes = len_bytes;
    if (is_hit(device)) {
        /* not heard; heard, but the host does not know */
        gboolean is_heard = g_rand_boolean(device->rand);
        result = is_heard ? g_bytes_new(bytes, len_bytes) : NULL;
        urb->got_bytes = is_heard ? len_bytes : 0;
        complete(device, urb, -EPROTO);
        return result;
    }
    if (len_bytes == 5 && memcmp(bytes, "NAME?", 5) == 0 &&
        (device->name != NULL || device->on_written == NULL)) {
        complete(device, urb, 0);
        answer_question(device);
        return NULL;
    }
    result = g_bytes_new(bytes, len_bytes);
    g_queue_push_tail(&device->written, g_bytes_ref(result));
    complete(device, urb, 0);
    return result;
}

/* ---- usbfs ----------------------------------------------------------------------------------- */

static void
answer(UMockdevIoctlClient *client, int error)
{
    umockdev_ioctl_client_complete(client, error == 0 ? 0 : -1, error);
}

static void
submit(KdUsbDevice *device, UMockdevIoctlClient *client)
{
    UMockdevIoctlData *arg = umockdev_ioctl_client_get_arg(client);
    g_autoptr(GBytes) written = NULL;
    if (device->is_gone || take_fault(device, KD_USB_FAULT_SUBMIT)) {
        answer(client, device->is_gone ? ENODEV : device->codes[KD_USB_FAULT_SUBMIT]);
        return;
    }
    Urb *urb = g_new0(Urb, 1);
    urb->urb = g_object_ref(umockdev_ioctl_data_resolve(arg, 0, sizeof(struct usbdevfs_urb), NULL));
    UMockdevIoctlData *buffer = umockdev_ioctl_data_resolve(
        urb->urb, offsetof(struct usbdevfs_urb, buffer), (gsize)get_urb(urb)->buffer_length, NULL);
    urb->buffer = buffer != NULL ? g_object_ref(buffer) : NULL;
    answer(client, 0);
    g_assert_cmpint(get_urb(urb)->type, ==, USBDEVFS_URB_TYPE_BULK);
    if ((get_urb(urb)->endpoint & 0x80) != 0) {
        device->counts.n_reads++;
        g_queue_push_tail(&device->reads, urb);
        pump(device);
        return;
    }
    device->counts.n_writes++;
    if ((get_urb(urb)->flags & USBDEVFS_URB_ZERO_PACKET) != 0)
        device->counts.n_zero_flags++;
    written = take_write(device, urb);
    if (written != NULL && device->on_written != NULL) {
        gsize len_bytes = 0;
        const uint8_t *bytes = g_bytes_get_data(written, &len_bytes);
        KdUsbWritten fn = device->on_written;
        g_mutex_unlock(&device->lock);
        fn(device, bytes, len_bytes, device->user);
        g_mutex_lock(&device->lock);
    }
}

static gboolean
discard_from(KdUsbDevice *device, GQueue *queue, gulong address)
{
    for (GList *at = queue->head; at != NULL; at = at->next) {
        Urb *urb = at->data;
        if (urb->urb->client_addr == address) {
            g_queue_delete_link(queue, at);
            complete(device, urb, -ENOENT);
            return TRUE;
        }
    }
    return FALSE;
}

static void
discard(KdUsbDevice *device, UMockdevIoctlClient *client)
{
    gulong address = *(gulong *)(void *)umockdev_ioctl_client_get_arg(client)->data;
    gboolean is_found = discard_from(device, &device->reads, address) ||
                        discard_from(device, &device->writes, address);
    answer(client, is_found ? 0 : EINVAL);
}

static void
reap(KdUsbDevice *device, UMockdevIoctlClient *client)
{
    Urb *urb = g_queue_pop_head(&device->done);
    if (urb == NULL) {
        set_ready(device, FALSE);
        answer(client, EAGAIN);
        return;
    }
    UMockdevIoctlData *arg =
        umockdev_ioctl_data_resolve(umockdev_ioctl_client_get_arg(client), 0, sizeof(void *), NULL);
    if (device->done.length == 0)
        set_ready(device, FALSE);
    umockdev_ioctl_data_set_ptr(arg, 0, urb->urb);
    answer(client, 0);
    urb_free(urb);
}

static void
claim(KdUsbDevice *device, UMockdevIoctlClient *client)
{
    device->counts.n_claims++;
    if (device->is_gone || device->is_claimed || take_fault(device, KD_USB_FAULT_CLAIM)) {
        int code = device->is_claimed ? EBUSY : device->codes[KD_USB_FAULT_CLAIM];
        answer(client, device->is_gone ? ENODEV : code);
        return;
    }
    device->is_claimed = TRUE;
    answer(client, 0);
}

static void
get_capabilities(UMockdevIoctlClient *client)
{
    UMockdevIoctlData *arg = umockdev_ioctl_data_resolve(umockdev_ioctl_client_get_arg(client), 0,
                                                         sizeof(guint32), NULL);
    *(guint32 *)(void *)arg->data = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_BULK_CONTINUATION |
                                    USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                    USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
    answer(client, 0);
}

static void
release(KdUsbDevice *device, UMockdevIoctlClient *client)
{
    device->counts.n_releases++;
    device->is_claimed = FALSE;
    answer(client, device->is_gone ? ENODEV : 0);
    g_main_context_wakeup(NULL);
}

static gboolean
on_ioctl(UMockdevIoctlBase *handler, UMockdevIoctlClient *client, gpointer user_data)
{
    KdUsbDevice *device = user_data;
    (void)handler;
    g_mutex_lock(&device->lock);
    device->counts.n_ioctls++;
    switch (umockdev_ioctl_client_get_request(client)) {
    case USBDEVFS_GET_CAPABILITIES:
        get_capabilities(client);
        break;
    case USBDEVFS_CLAIMINTERFACE:
        claim(device, client);
        break;
    case USBDEVFS_RELEASEINTERFACE:
        release(device, client);
        break;
    case USBDEVFS_SUBMITURB:
        submit(device, client);
        break;
    case USBDEVFS_DISCARDURB:
        discard(device, client);
        break;
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
        reap(device, client);
        break;
    case USBDEVFS_CLEAR_HALT:
    case USBDEVFS_RESET:
    case USBDEVFS_RESETEP:
    case USBDEVFS_SETCONFIGURATION:
    case USBDEVFS_SETINTERFACE:
    case USBDEVFS_CONTROL:
    default:
        device->counts.n_forbidden++;
        answer(client, ENOTTY);
        break;
    }
    g_mutex_unlock(&device->lock);
    return TRUE;
}

/* ---- sysfs ----------------------------------------------------------------------------------- */

static void
add(KdUsbMock *mock, const char *text)
{
    g_autoptr(GError) error = NULL;
    umockdev_testbed_add_from_string(mock->testbed, text, &error);
    g_assert_no_error(error);
}

/* Little-endian, as in a descriptor */
static void
append_u16(GString *hex, uint32_t value)
{
    g_string_append_printf(hex, "%02x%02x", value & 0xFFu, (value >> 8) & 0xFFu);
}

static char *
build_descriptors(const KdUsbDeviceSpec *spec, uint16_t vendor, uint16_t product)
{
    uint32_t code = spec->class_code != 0 ? spec->class_code : 0xDC02FFu;
    uint16_t max_packet_bytes = spec->max_packet_bytes != 0 ? spec->max_packet_bytes : 1024;
    GString *hex = g_string_new("1201000300000009");
    append_u16(hex, vendor);
    append_u16(hex, product);
    g_string_append(hex, "0001"
                         "01020301"); /* version, three strings, one configuration */
    g_string_append(hex, "09022000"
                         "010100"
                         "80fa");
    g_string_append_printf(hex, "0904000002%06x00", code);
    g_string_append(hex, "07058102");
    append_u16(hex, max_packet_bytes);
    g_string_append(hex, "00"
                         "07050102");
    append_u16(hex, max_packet_bytes);
    g_string_append(hex, "00");
    return g_string_free(hex, FALSE);
}

static void
add_device(KdUsbDevice *device, const KdUsbDeviceSpec *spec, guint address)
{
    uint16_t vendor = spec->vendor != 0 ? spec->vendor : 0x3495;
    uint16_t product = spec->product != 0 ? spec->product : 0x00e0;
    g_autofree char *sound = build_descriptors(spec, vendor, product);
    g_autofree char *text = g_strdup_printf(
        "P: " HUB "/%s\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n"
        "E: DEVNAME=/dev/bus/usb/001/%03u\nE: BUSNUM=001\nE: DEVNUM=%03u\nE: MAJOR=189\n"
        "E: MINOR=%u\nA: busnum=1\\n\nA: devnum=%u\\n\nA: speed=5000\\n\n"
        "A: manufacturer=Nobody\\n\nA: product=Cable \x1b[2J\\n\nA: bConfigurationValue=1\\n\n"
        "H: descriptors=%s\n",
        device->place, address, address, address - 1, address,
        spec->descriptors != NULL ? spec->descriptors : sound);
    add(device->mock, text);
    if (spec->terminal != NULL) {
        g_autofree char *terminal = g_strdup_printf(
            "P: " HUB "/%s/%s:1.0\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n\n"
            "P: " HUB "/%s/%s:1.0/%s\nE: SUBSYSTEM=usb-serial\n",
            device->place, device->place, device->place, device->place, spec->terminal);
        add(device->mock, terminal);
    }
}

static void
make_node(KdUsbDevice *device)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = kd_usb_mock_build_path(device->mock, device->node);
    g_autofree char *folder = g_path_get_dirname(path);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    device->fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(device->fifo, >=, 0);
    g_assert_cmpint(fcntl(device->fifo, F_SETPIPE_SZ, PAGE), ==, PAGE);
    device->is_ready = -1;
    set_ready(device, FALSE);
    device->handler = umockdev_ioctl_base_new();
    g_signal_connect(device->handler, "handle-ioctl", G_CALLBACK(on_ioctl), device);
    umockdev_testbed_attach_ioctl(device->mock->testbed, device->node, device->handler, &error);
    g_assert_no_error(error);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
on_free_device(gpointer user)
{
    KdUsbDevice *device = user;
    if (!device->is_gone)
        umockdev_testbed_detach_ioctl(device->mock->testbed, device->node, NULL);
    g_object_unref(device->handler);
    close(device->fifo);
    g_queue_clear_full(&device->reads, (GDestroyNotify)(void (*)(void))urb_free);
    g_queue_clear_full(&device->writes, (GDestroyNotify)(void (*)(void))urb_free);
    g_queue_clear_full(&device->done, (GDestroyNotify)(void (*)(void))urb_free);
    g_queue_clear_full(&device->transfers, (GDestroyNotify)(void (*)(void))transfer_free);
    g_queue_clear_full(&device->written, (GDestroyNotify)(void (*)(void))g_bytes_unref);
    g_mutex_clear(&device->lock);
    g_clear_pointer(&device->rand, g_rand_free);
    g_free(device->place);
    g_free(device->syspath);
    g_free(device->node);
    g_free(device->name);
    g_free(device);
}

/**
 * kd_usb_mock_new:
 *
 * Returns: (transfer full) (nullable): a machine with one empty USB bus, for this process; %NULL:
 *    it cannot be had, and the case is skipped
 */
KdUsbMock *
kd_usb_mock_new(void)
{
    KdUsbMock *mock = g_new0(KdUsbMock, 1);
    mock->testbed = umockdev_testbed_new();
    g_mutex_init(&mock->lock);
    mock->root = umockdev_testbed_get_root_dir(mock->testbed);
    mock->devices = g_ptr_array_new_with_free_func(on_free_device);
    g_autofree char *probe = kd_usb_mock_build_path(mock, "/sys/kd-probe");
    g_assert_true(g_file_set_contents(probe, "", 0, NULL));
    if (access("/sys/kd-probe", F_OK) != 0) {
        g_test_skip("not run with libumockdev-preload.so.0 (ctest does)");
        kd_usb_mock_free(mock);
        return NULL;
    }
    add(mock, "P: " HUB "\nN: bus/usb/001/001\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n"
              "E: DEVNAME=/dev/bus/usb/001/001\nE: BUSNUM=001\nE: DEVNUM=001\nE: MAJOR=189\n"
              "E: MINOR=0\nA: busnum=1\\n\nA: devnum=1\\n\nA: speed=5000\\n\n"
              "H: descriptors=12010003090003096b1d0300010603020101"
              "09021f0001010000e0"
              "0904000001090000000705810304000c"
              "063000000200\n");
    mock->n_plugged = 1;
    return mock;
}

/**
 * kd_usb_mock_free:
 * @mock: (transfer full) (nullable)
 *
 * Ends the machine, with all devices.
 */
void
kd_usb_mock_free(KdUsbMock *mock)
{
    if (mock == NULL)
        return;
    g_ptr_array_unref(mock->devices);
    g_mutex_clear(&mock->lock);
    g_object_unref(mock->testbed);
    g_free(mock->root);
    g_free(mock);
}

/**
 * kd_usb_mock_build_path:
 *
 * Returns: (transfer full): where a path of the machine really is
 */
char *
kd_usb_mock_build_path(const KdUsbMock *mock, const char *path)
{
    return g_build_filename(mock->root, path, NULL);
}

/**
 * kd_usb_mock_plug:
 *
 * Plugs a device in; the kernel and udev say so.
 *
 * Returns: (transfer none): lives as long as @mock
 */
KdUsbDevice *
kd_usb_mock_plug(KdUsbMock *mock, const KdUsbDeviceSpec *spec)
{
    KdUsbDevice *device = g_new0(KdUsbDevice, 1);
    g_mutex_lock(&mock->lock);
    guint address = ++mock->n_plugged;
    device->mock = mock;
    device->max_packet_bytes = spec->max_packet_bytes != 0 ? spec->max_packet_bytes : 1024;
    device->place = g_strdup_printf("1-%u", address);
    device->syspath = g_strdup_printf("/sys" HUB "/1-%u", address);
    device->node = g_strdup_printf("/dev/bus/usb/001/%03u", address);
    device->name = g_strdup(spec->name);
    g_mutex_init(&device->lock);
    g_ptr_array_add(mock->devices, device);
    /* The host may be in another thread, and hears of it at once. */
    make_node(device);
    add_device(device, spec, address);
    g_mutex_unlock(&mock->lock);
    return device;
}

/**
 * kd_usb_device_unplug:
 *
 * Pulls it out: what is under way fails, and the kernel says that it has gone.
 */
void
kd_usb_device_unplug(KdUsbDevice *device)
{
    g_mutex_lock(&device->lock);
    device->is_gone = TRUE;
    while (device->reads.length > 0)
        complete(device, g_queue_pop_head(&device->reads), -ESHUTDOWN);
    while (device->writes.length > 0)
        complete(device, g_queue_pop_head(&device->writes), -ESHUTDOWN);
    g_mutex_unlock(&device->lock);
    g_mutex_lock(&device->mock->lock);
    umockdev_testbed_uevent(device->mock->testbed, device->syspath, "remove");
    umockdev_testbed_remove_device(device->mock->testbed, device->syspath);
    g_autofree char *path = kd_usb_mock_build_path(device->mock, device->node);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_mutex_unlock(&device->mock->lock);
}

/**
 * kd_usb_device_set_written:
 *
 * Tells of all writes from now on.
 */
void
kd_usb_device_set_written(KdUsbDevice *device, KdUsbWritten written, void *user)
{
    g_mutex_lock(&device->lock);
    device->on_written = written;
    device->user = user;
    g_mutex_unlock(&device->lock);
}

/**
 * kd_usb_device_send:
 *
 * Sends a transfer to the host, with an end, be it an empty packet.
 */
void
kd_usb_device_send(KdUsbDevice *device, const void *bytes, size_t len_bytes)
{
    g_mutex_lock(&device->lock);
    push_transfer(device, bytes, len_bytes, FALSE);
    g_mutex_unlock(&device->lock);
}

/**
 * kd_usb_device_send_open:
 * @len_bytes: a multiple of the packet size
 *
 * Sends a transfer to the host and forgets to end it.
 */
void
kd_usb_device_send_open(KdUsbDevice *device, const void *bytes, size_t len_bytes)
{
    g_assert_cmpuint(len_bytes % device->max_packet_bytes, ==, 0);
    g_mutex_lock(&device->lock);
    push_transfer(device, bytes, len_bytes, TRUE);
    g_mutex_unlock(&device->lock);
}

/**
 * kd_usb_device_set_chaos:
 * @percent: of all transfers
 *
 * Lets something go wrong now and then.
 */
void
kd_usb_device_set_chaos(KdUsbDevice *device, guint percent, guint32 seed)
{
    g_mutex_lock(&device->lock);
    g_clear_pointer(&device->rand, g_rand_free);
    device->rand = g_rand_new_with_seed(seed);
    device->chaos_percent = percent;
    g_mutex_unlock(&device->lock);
}

/**
 * kd_usb_device_fail:
 * @n: how often from now on; 0: not any more
 * @code: of the error, where there is one
 *
 * Lets something go wrong.
 */
void
kd_usb_device_fail(KdUsbDevice *device, KdUsbFault fault, guint n, int code)
{
    g_mutex_lock(&device->lock);
    device->faults[fault] = n;
    device->codes[fault] = code;
    if (fault == KD_USB_FAULT_READ)
        pump(device);
    set_ready(device, device->done.length > 0);
    g_mutex_unlock(&device->lock);
}

/**
 * kd_usb_device_pop_written:
 *
 * Returns: (transfer full) (nullable): the next write that the device has taken, but NAME?
 */
GBytes *
kd_usb_device_pop_written(KdUsbDevice *device)
{
    g_mutex_lock(&device->lock);
    GBytes *bytes = g_queue_pop_head(&device->written);
    g_mutex_unlock(&device->lock);
    return bytes;
}

/**
 * kd_usb_device_is_claimed:
 *
 * Returns: whether somebody has its interface
 */
gboolean
kd_usb_device_is_claimed(KdUsbDevice *device)
{
    g_mutex_lock(&device->lock);
    gboolean is_claimed = device->is_claimed;
    g_mutex_unlock(&device->lock);
    return is_claimed;
}

/**
 * kd_usb_device_get_counts:
 * @counts: (out caller-allocates)
 */
void
kd_usb_device_get_counts(KdUsbDevice *device, KdUsbCounts *counts)
{
    g_mutex_lock(&device->lock);
    *counts = device->counts;
    g_mutex_unlock(&device->lock);
}

/**
 * kd_usb_device_get_place:
 *
 * Returns: (transfer none): `1-2`
 */
const char *
kd_usb_device_get_place(const KdUsbDevice *device)
{
    return device->place;
}

/**
 * kd_usb_device_get_node:
 *
 * Returns: (transfer none): `/dev/bus/usb/001/002`
 */
const char *
kd_usb_device_get_node(const KdUsbDevice *device)
{
    return device->node;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A USB device in user space: FunctionFS carries what kd-sim-usb.h says and hears.
 *
 * Its endpoints block, and cannot be polled. So they are used with the kernel's asynchronous I/O,
 * where each request is one transfer, and an eventfd that tells when one is over. */
#include "kd-sim-gadget.h"

#include "kd-sim-usb.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <linux/aio_abi.h>
#include <linux/usb/functionfs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An ACK and an answer, each with what ends it, and as much again */
#define SENDS 8u
/* the slot of the request that reads; the others write */
#define READ_SLOT SENDS
#define SLOTS     (SENDS + 1)

typedef struct {
    struct iocb iocb;
    gboolean is_used;
    size_t len_bytes;
    uint8_t bytes[KD_SIM_GADGET_TRANSFER_BYTES];
} Slot;

struct KdSimGadget {
    KdSimGadgetReceived received;
    void *user;
    int ep0;
    int in;
    int out;
    int over; /* eventfd */
    guint ep0_source;
    guint over_source;
    aio_context_t aio;
    gboolean is_enabled;
    size_t in_max_bytes; /* of one packet on the wire */
    guint n_sends;       /* slots in use */
    int last_send;       /* the slot of the packet that was sent last; -1: it has gone */
    Slot slots[SLOTS];
};

/* ---- what the device is ---- */

/* clang-format off */
#define INTERFACE                                                                                  \
    {                                                                                              \
        .bLength = USB_DT_INTERFACE_SIZE, .bDescriptorType = USB_DT_INTERFACE, .bNumEndpoints = 2, \
        .bInterfaceClass = KD_SIM_USB_CLASS, .bInterfaceSubClass = KD_SIM_USB_SUBCLASS,            \
        .bInterfaceProtocol = KD_SIM_USB_PROTOCOL,                                                 \
    }
#define ENDPOINT(address, max)                                                                     \
    {                                                                                              \
        .bLength = USB_DT_ENDPOINT_SIZE, .bDescriptorType = USB_DT_ENDPOINT,                       \
        .bEndpointAddress = (address), .bmAttributes = USB_ENDPOINT_XFER_BULK,                     \
        .wMaxPacketSize = GUINT16_TO_LE(max),                                                      \
    }
#define COMPANION {.bLength = USB_DT_SS_EP_COMP_SIZE, .bDescriptorType = USB_DT_SS_ENDPOINT_COMP}
/* clang-format on */

typedef struct {
    struct usb_interface_descriptor interface;
    struct usb_endpoint_descriptor_no_audio in;
    struct usb_endpoint_descriptor_no_audio out;
} __attribute__((packed)) Function;

typedef struct {
    struct usb_interface_descriptor interface;
    struct usb_endpoint_descriptor_no_audio in;
    struct usb_ss_ep_comp_descriptor in_companion;
    struct usb_endpoint_descriptor_no_audio out;
    struct usb_ss_ep_comp_descriptor out_companion;
} __attribute__((packed)) SuperFunction;

typedef struct {
    struct usb_functionfs_descs_head_v2 head;
    uint32_t n_full;
    uint32_t n_high;
    uint32_t n_super;
    Function full;
    Function high;
    SuperFunction super;
} __attribute__((packed)) Descriptors;

/* The addresses are a wish: the controller has its own, and the host is told these. */
static gboolean
write_descriptors(int ep0)
{
    const Descriptors all = {
        .head = {.magic = GUINT32_TO_LE(FUNCTIONFS_DESCRIPTORS_MAGIC_V2),
                 .flags = GUINT32_TO_LE(FUNCTIONFS_HAS_FS_DESC | FUNCTIONFS_HAS_HS_DESC |
                                        FUNCTIONFS_HAS_SS_DESC),
                 .length = GUINT32_TO_LE(sizeof all)},
        .n_full = GUINT32_TO_LE(3),
        .n_high = GUINT32_TO_LE(3),
        .n_super = GUINT32_TO_LE(5),
        .full = {INTERFACE, ENDPOINT(KD_SIM_USB_IN, 64), ENDPOINT(KD_SIM_USB_OUT, 64)},
        .high = {INTERFACE, ENDPOINT(KD_SIM_USB_IN, 512), ENDPOINT(KD_SIM_USB_OUT, 512)},
        .super = {INTERFACE, ENDPOINT(KD_SIM_USB_IN, 1024), COMPANION,
                  ENDPOINT(KD_SIM_USB_OUT, 1024), COMPANION},
    };
    const struct usb_functionfs_strings_head no_strings = {
        .magic = GUINT32_TO_LE(FUNCTIONFS_STRINGS_MAGIC),
        .length = GUINT32_TO_LE(sizeof no_strings),
    };

    return write(ep0, &all, sizeof all) == (ssize_t)sizeof all &&
           write(ep0, &no_strings, sizeof no_strings) == (ssize_t)sizeof no_strings;
}

/* ---- transfers ---- */

/* Whether the kernel has taken it: not while no host has configured the device. */
static gboolean
submit(KdSimGadget *gadget, guint slot, int fd, uint16_t opcode)
{
    Slot *used = &gadget->slots[slot];
    struct iocb *iocb = &used->iocb;

    *iocb = (struct iocb){
        .aio_data = slot,
        .aio_lio_opcode = opcode,
        .aio_fildes = (uint32_t)fd,
        .aio_buf = (uintptr_t)used->bytes,
        .aio_nbytes = used->len_bytes,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)gadget->over,
    };
    used->is_used = syscall(SYS_io_submit, gadget->aio, 1, &iocb) == 1;
    return used->is_used;
}

static void
read_next(KdSimGadget *gadget)
{
    gadget->slots[READ_SLOT].len_bytes = KD_SIM_GADGET_TRANSFER_BYTES;
    if (gadget->is_enabled && !gadget->slots[READ_SLOT].is_used &&
        !submit(gadget, READ_SLOT, gadget->out, IOCB_CMD_PREAD)) {
        g_debug("nothing can be read: %s", g_strerror(errno));
    }
}

static int
submit_send(KdSimGadget *gadget, const uint8_t *bytes, size_t len_bytes)
{
    for (guint slot = 0; slot < SENDS; slot++) {
        Slot *free_one = &gadget->slots[slot];

        if (!free_one->is_used) {
            if (len_bytes > 0) {
                memcpy(free_one->bytes, bytes, len_bytes);
            }
            free_one->len_bytes = len_bytes;
            if (!submit(gadget, slot, gadget->in, IOCB_CMD_PWRITE)) {
                return -1;
            }
            gadget->n_sends++;
            return (int)slot;
        }
    }
    return -1;
}

/* What the target repeats while nobody has read it */
static gboolean
is_under_way(const KdSimGadget *gadget, const uint8_t *bytes, size_t len_bytes)
{
    const Slot *last = gadget->last_send < 0 ? NULL : &gadget->slots[gadget->last_send];

    return last != NULL && last->len_bytes == len_bytes &&
           memcmp(last->bytes, bytes, len_bytes) == 0;
}

/**
 * kd_sim_gadget_send:
 * @len_bytes: at most %KD_SIM_GADGET_TRANSFER_BYTES
 *
 * Sends one bulk IN transfer, and ends it as its length demands. What is the same as the one
 * before, and that is not read yet, is not sent again.
 *
 * Returns: whether it is under way; not where no host is, or none that reads
 */
gboolean
kd_sim_gadget_send(KdSimGadget *gadget, const uint8_t *bytes, size_t len_bytes)
{
    int slot;

    g_return_val_if_fail(len_bytes > 0 && len_bytes <= KD_SIM_GADGET_TRANSFER_BYTES, FALSE);
    if (!gadget->is_enabled) {
        return FALSE;
    }
    if (is_under_way(gadget, bytes, len_bytes)) {
        return TRUE;
    }
    /* with room for what ends it */
    if (gadget->n_sends + 2 > SENDS) {
        return FALSE;
    }
    slot = submit_send(gadget, bytes, len_bytes);
    if (slot < 0) {
        return FALSE;
    }
    if (len_bytes % gadget->in_max_bytes == 0) {
        (void)submit_send(gadget, NULL, 0);
    }
    gadget->last_send = slot;
    return TRUE;
}

static void
take_end(KdSimGadget *gadget, const struct io_event *event)
{
    guint slot = (guint)event->data;

    gadget->slots[slot].is_used = FALSE;
    if (slot != READ_SLOT) {
        gadget->n_sends--;
        if (gadget->last_send == (int)slot) {
            gadget->last_send = -1;
        }
        return;
    }
    if (event->res > 0) {
        gadget->received(gadget->slots[READ_SLOT].bytes, (size_t)event->res, gadget->user);
    }
    /* An error is the end of the connection, and reading begins with the next one. */
    if (event->res >= 0) {
        read_next(gadget);
    }
}

static gboolean
on_over(int fd, GIOCondition condition, void *user)
{
    KdSimGadget *gadget = user;
    struct io_event events[SLOTS];
    struct timespec at_once = {0};
    uint64_t n_over;
    long n;

    (void)condition;
    if (read(fd, &n_over, sizeof n_over) < 0) {
        return G_SOURCE_CONTINUE;
    }
    n = syscall(SYS_io_getevents, gadget->aio, 0, SLOTS, events, &at_once);
    for (long i = 0; i < n; i++) {
        take_end(gadget, &events[i]);
    }
    /* one that came to an end in between */
    read_next(gadget);
    return G_SOURCE_CONTINUE;
}

/* ---- the connection ---- */

static void
learn_packet_size(KdSimGadget *gadget)
{
    struct usb_endpoint_descriptor now;

    gadget->in_max_bytes = 512;
    if (ioctl(gadget->in, FUNCTIONFS_ENDPOINT_DESC, &now) == 0) {
        gadget->in_max_bytes = GUINT16_FROM_LE(now.wMaxPacketSize) & 0x7ff;
    }
}

static void
take_event(KdSimGadget *gadget, const struct usb_functionfs_event *event)
{
    g_debug("FunctionFS: event %u", event->type);
    switch (event->type) {
    case FUNCTIONFS_ENABLE:
        gadget->is_enabled = TRUE;
        learn_packet_size(gadget);
        read_next(gadget);
        break;
    case FUNCTIONFS_DISABLE:
    case FUNCTIONFS_UNBIND:
        gadget->is_enabled = FALSE;
        break;
    case FUNCTIONFS_SETUP:
        /* There are no such requests: the wrong direction refuses one. */
        if ((event->u.setup.bRequestType & USB_DIR_IN) != 0) {
            (void)!read(gadget->ep0, NULL, 0);
        } else {
            (void)!write(gadget->ep0, NULL, 0);
        }
        break;
    default:
        break;
    }
}

static gboolean
on_event(int fd, GIOCondition condition, void *user)
{
    struct usb_functionfs_event events[4];
    ssize_t len = read(fd, events, sizeof events);

    (void)condition;
    for (ssize_t i = 0; (i + 1) * (ssize_t)sizeof events[0] <= len; i++) {
        take_event(user, &events[i]);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- set-up ---- */

static int
open_file(const char *folder, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", path,
                    g_strerror(code));
    }
    return fd;
}

static gboolean
open_all(KdSimGadget *gadget, const char *folder, GError **error)
{
    gadget->ep0 = open_file(folder, "ep0", error);
    if (gadget->ep0 < 0) {
        return FALSE;
    }
    if (!write_descriptors(gadget->ep0)) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: the descriptors: %s",
                    folder, g_strerror(code));
        return FALSE;
    }
    gadget->in = open_file(folder, "ep1", error);
    if (gadget->in < 0) {
        return FALSE;
    }
    gadget->out = open_file(folder, "ep2", error);
    if (gadget->out < 0) {
        return FALSE;
    }
    gadget->over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gadget->over < 0 || syscall(SYS_io_setup, SLOTS, &gadget->aio) < 0) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "asynchronous I/O: %s",
                    g_strerror(code));
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_sim_gadget_new:
 * @folder: where a FunctionFS is mounted that has no descriptors yet
 *
 * Makes the one function of a USB device, a debug cable's. Whoever has made the device can bind it
 * to a controller from now on, as often as wanted. Runs on the default main context.
 *
 * Returns: (transfer full) (nullable): none without such a file system there
 */
KdSimGadget *
kd_sim_gadget_new(const char *folder, KdSimGadgetReceived received, void *user, GError **error)
{
    g_autoptr(KdSimGadget) gadget = g_new0(KdSimGadget, 1);

    gadget->received = received;
    gadget->user = user;
    gadget->ep0 = gadget->in = gadget->out = gadget->over = -1;
    gadget->last_send = -1;
    if (!open_all(gadget, folder, error)) {
        return NULL;
    }
    gadget->ep0_source = g_unix_fd_add(gadget->ep0, G_IO_IN, on_event, gadget);
    gadget->over_source = g_unix_fd_add(gadget->over, G_IO_IN, on_over, gadget);
    return g_steal_pointer(&gadget);
}

/**
 * kd_sim_gadget_free:
 *
 * Ends all transfers. The host sees a device that is gone.
 */
void
kd_sim_gadget_free(KdSimGadget *gadget)
{
    const int fds[] = {gadget->in, gadget->out, gadget->ep0, gadget->over};

    g_clear_handle_id(&gadget->ep0_source, g_source_remove);
    g_clear_handle_id(&gadget->over_source, g_source_remove);
    /* waits for what it cancels */
    if (gadget->aio != 0) {
        (void)syscall(SYS_io_destroy, gadget->aio);
    }
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    g_free(gadget);
}

/**
 * kd_sim_gadget_is_enabled:
 *
 * Returns: whether a host has configured the device
 */
gboolean
kd_sim_gadget_is_enabled(const KdSimGadget *gadget)
{
    return gadget->is_enabled;
}

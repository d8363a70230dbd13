/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An open device: one read always under way, at most one write, and what to do when they fail. */
#include "usb-pipe.h"

#include "usb-framing.h"

#include <kdsrv-support/kd-source.h>

#include <string.h>
#include <unistd.h>

/* A read ends after so long, whatever it has got: a target that fills its last packet of USB and
 * forgets the empty one behind it would wait for ever. */
#define READ_MS 1000u
/* A target takes a packet in much less, if it takes any. */
#define WRITE_MS 1000u

#define BACK_OFF_FIRST_MS 10u
#define BACK_OFF_LAST_MS  1000u
#define N_FAILURES        10u /* in a row, which takes about three seconds */
#define N_EMPTY_READS     16u /* in a row, which no target needs          */
#define CLOSE_LIMIT_MS    500u

struct UsbPipe {
    UsbContext *context;
    libusb_device_handle *handle;
    UsbInterface interface;
    const UsbPipeFuncs *funcs;
    void *user;
    struct libusb_transfer *read;
    struct libusb_transfer *write;
    gboolean is_reading;
    gboolean is_writing;
    guint n_read_failures;
    guint n_write_failures;
    guint n_empty_reads;
    guint back_off_ms;
    GSource *timer;  /* (nullable): until the next read, or the limit of closing */
    GSource *ending; /* (nullable): before the end is told */
    UsbEnd end;
    gboolean is_ended;
    gboolean is_closing;
    void (*closed)(gpointer user); /* (nullable) */
    gpointer closed_user;
    UsbFraming framing;
    uint8_t read_bytes[USB_READ_BYTES];
    uint8_t write_bytes[USB_WRITE_MAX_BYTES];
};

static void start_read(UsbPipe *pipe);

/* ---- the end --------------------------------------------------------------------------------- */

static void
pipe_free(UsbPipe *pipe)
{
    if (pipe->handle != NULL) {
        libusb_close(pipe->handle);
    }
    libusb_free_transfer(pipe->read);
    libusb_free_transfer(pipe->write);
    usb_context_unref(pipe->context);
    g_free(pipe);
}

/* The requests behind releasing and closing are short ones of usbfs: the device is not asked. */
static void
finish_closing(gpointer user)
{
    UsbPipe *pipe = user;
    void (*closed)(gpointer user) = pipe->closed;
    gpointer closed_user = pipe->closed_user;
    kd_source_clear(&pipe->timer);
    kd_source_clear(&pipe->ending);
    (void)libusb_release_interface(pipe->handle, pipe->interface.number);
    pipe_free(pipe);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void
finish_if_idle(UsbPipe *pipe)
{
    if (!pipe->is_reading && !pipe->is_writing) {
        usb_context_defer(finish_closing, pipe);
    }
}

/* The kernel has not given a transfer back: closing makes it. */
static gboolean
on_close_limit(gpointer user_data)
{
    finish_closing(user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_ending(gpointer user_data)
{
    UsbPipe *pipe = user_data;
    kd_source_clear(&pipe->ending);
    pipe->funcs->ended(pipe->end, pipe->user);
    return G_SOURCE_REMOVE;
}

/* Not told from here: whoever sends a packet does not expect the end of all in the same call. */
static void
end_later(UsbPipe *pipe, UsbEnd why)
{
    if (pipe->is_ended || pipe->is_closing) {
        return;
    }
    pipe->is_ended = TRUE;
    pipe->end = why;
    kd_source_clear(&pipe->timer);
    kd_source_start_timer(&pipe->ending, 0, on_ending, pipe);
}

static gboolean
is_over(const UsbPipe *pipe)
{
    return pipe->is_ended || pipe->is_closing;
}

/* ---- reading --------------------------------------------------------------------------------- */

static gboolean
on_back_off(gpointer user_data)
{
    UsbPipe *pipe = user_data;
    kd_source_clear(&pipe->timer);
    start_read(pipe);
    return G_SOURCE_REMOVE;
}

/* Neither is a stalled endpoint cleared nor the device reset: targets do not recover from that. */
static void
read_later(UsbPipe *pipe)
{
    if (pipe->n_read_failures >= N_FAILURES) {
        end_later(pipe, USB_END_FAILED);
        return;
    }
    pipe->back_off_ms = CLAMP(pipe->back_off_ms * 2, BACK_OFF_FIRST_MS, BACK_OFF_LAST_MS);
    kd_source_start_timer(&pipe->timer, pipe->back_off_ms, on_back_off, pipe);
}

static void
start_read(UsbPipe *pipe)
{
    if (is_over(pipe) || pipe->is_reading) {
        return;
    }
    int result = libusb_submit_transfer(pipe->read);
    if (result == LIBUSB_SUCCESS) {
        pipe->is_reading = TRUE;
    } else if (result == LIBUSB_ERROR_NO_DEVICE) {
        end_later(pipe, USB_END_GONE);
    } else {
        pipe->n_read_failures++;
        read_later(pipe);
    }
}

static void
on_packet(const uint8_t *bytes, size_t len_bytes, void *user)
{
    UsbPipe *pipe = user;
    if (!is_over(pipe)) {
        pipe->funcs->received(bytes, len_bytes, pipe->user);
    }
}

static void
take_bytes(UsbPipe *pipe, size_t len_bytes, UsbRead read)
{
    usb_framing_take(&pipe->framing, pipe->read_bytes, len_bytes, read, on_packet, pipe);
    if (len_bytes > 0) {
        pipe->n_empty_reads = 0;
    }
    pipe->n_read_failures = 0;
    if (read == USB_READ_ENDED && len_bytes == 0 && ++pipe->n_empty_reads > N_EMPTY_READS) {
        pipe->back_off_ms = 0;
        read_later(pipe);
        return;
    }
    pipe->back_off_ms = 0;
    start_read(pipe);
}

static void LIBUSB_CALL
on_read(struct libusb_transfer *transfer)
{
    UsbPipe *pipe = transfer->user_data;
    size_t len_bytes = transfer->actual_length > 0 ? (size_t)transfer->actual_length : 0;
    usb_context_note_progress(pipe->context);
    pipe->is_reading = FALSE;
    if (pipe->is_closing) {
        finish_if_idle(pipe);
        return;
    }
    switch (transfer->status) {
    case LIBUSB_TRANSFER_COMPLETED:
        take_bytes(pipe, len_bytes, len_bytes < USB_READ_BYTES ? USB_READ_ENDED : USB_READ_FULL);
        break;
    case LIBUSB_TRANSFER_TIMED_OUT:
        take_bytes(pipe, len_bytes, USB_READ_QUIET);
        break;
    case LIBUSB_TRANSFER_NO_DEVICE:
        end_later(pipe, USB_END_GONE);
        break;
    case LIBUSB_TRANSFER_STALL:
    case LIBUSB_TRANSFER_OVERFLOW:
    case LIBUSB_TRANSFER_CANCELLED:
    case LIBUSB_TRANSFER_ERROR:
    default:
        /* What came before the fault belongs to a transfer whose rest is lost. */
        usb_framing_init(&pipe->framing, pipe->interface.in_packet_bytes);
        pipe->n_read_failures++;
        read_later(pipe);
        break;
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A packet that did not pass is lost: the link layer sends it again. */
static void
note_write(UsbPipe *pipe, const struct libusb_transfer *transfer)
{
    if (transfer->status == LIBUSB_TRANSFER_COMPLETED &&
        transfer->actual_length == transfer->length) {
        pipe->n_write_failures = 0;
    } else if (transfer->status == LIBUSB_TRANSFER_NO_DEVICE) {
        end_later(pipe, USB_END_GONE);
    } else if (transfer->status != LIBUSB_TRANSFER_TIMED_OUT &&
               ++pipe->n_write_failures >= N_FAILURES) {
        end_later(pipe, USB_END_FAILED);
    }
}

static void LIBUSB_CALL
on_written(struct libusb_transfer *transfer)
{
    UsbPipe *pipe = transfer->user_data;
    usb_context_note_progress(pipe->context);
    pipe->is_writing = FALSE;
    if (pipe->is_closing) {
        finish_if_idle(pipe);
        return;
    }
    note_write(pipe, transfer);
    if (!is_over(pipe)) {
        pipe->funcs->sent(pipe->user);
    }
}

/**
 * usb_pipe_send:
 * @bytes: one packet of 1 to %USB_WRITE_MAX_BYTES
 *
 * Sends a packet as one transfer; if it just fills packets of USB, with an empty one behind it. One
 * that does not pass is dropped.
 *
 * Returns: %FALSE: one is under way, and #UsbPipeFuncs.sent will follow
 */
gboolean
usb_pipe_send(UsbPipe *pipe, const uint8_t *bytes, size_t len_bytes)
{
    g_return_val_if_fail(len_bytes > 0 && len_bytes <= USB_WRITE_MAX_BYTES, TRUE);
    if (pipe->is_writing) {
        return FALSE;
    }
    if (is_over(pipe)) {
        return TRUE;
    }
    memcpy(pipe->write_bytes, bytes, len_bytes);
    pipe->write->length = (int)len_bytes;
    pipe->write->flags = len_bytes % pipe->interface.out_packet_bytes == 0
                             ? (uint8_t)LIBUSB_TRANSFER_ADD_ZERO_PACKET
                             : 0;
    int result = libusb_submit_transfer(pipe->write);
    if (result == LIBUSB_SUCCESS) {
        pipe->is_writing = TRUE;
    } else if (result == LIBUSB_ERROR_NO_DEVICE) {
        end_later(pipe, USB_END_GONE);
    } else if (++pipe->n_write_failures >= N_FAILURES) {
        end_later(pipe, USB_END_FAILED);
    }
    return TRUE;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
set_open_error(libusb_device *device, int result, GError **error)
{
    uint8_t bus = libusb_get_bus_number(device);
    uint8_t address = libusb_get_device_address(device);
    if (result == LIBUSB_ERROR_ACCESS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "no permission for /dev/bus/usb/%03u/%03u: the udev rule 70-kdsrv.rules gives "
                    "it to who sits at the machine and to the group kdsrv",
                    bus, address);
    } else if (result == LIBUSB_ERROR_BUSY) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY,
                    "/dev/bus/usb/%03u/%03u is in use by another program", bus, address);
    } else if (result == LIBUSB_ERROR_NO_DEVICE || result == LIBUSB_ERROR_NOT_FOUND) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "/dev/bus/usb/%03u/%03u has gone or has no such interface", bus, address);
    } else {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "/dev/bus/usb/%03u/%03u: %s", bus,
                    address, libusb_strerror(result));
    }
}

/* libusb would sleep for a node that is not there yet. */
static gboolean
has_node(libusb_device *device)
{
    g_autofree char *path = g_strdup_printf("/dev/bus/usb/%03u/%03u", libusb_get_bus_number(device),
                                            libusb_get_device_address(device));
    return access(path, F_OK) == 0;
}

static int
open_and_claim(UsbPipe *pipe, libusb_device *device)
{
    if (pipe->read == NULL || pipe->write == NULL) {
        return LIBUSB_ERROR_NO_MEM;
    }
    if (!has_node(device)) {
        return LIBUSB_ERROR_NO_DEVICE;
    }
    int result = libusb_open(device, &pipe->handle);
    if (result == LIBUSB_SUCCESS && usb_context_take_refusal(pipe->context)) {
        result = LIBUSB_ERROR_NO_MEM;
    }
    return result == LIBUSB_SUCCESS ? libusb_claim_interface(pipe->handle, pipe->interface.number)
                                    : result;
}

/**
 * usb_pipe_open:
 * @interface: of the device
 * @funcs: (transfer none): lives as long as the pipe, or until it is exchanged
 * @error: %G_IO_ERROR_PERMISSION_DENIED, %KD_ERROR_BUSY, %G_IO_ERROR_NOT_FOUND (it may come back)
 *
 * Opens a device and starts to read. Opening and claiming are short requests of usbfs that the
 * device does not hear of. No configuration is set and no driver driven out. Not to be called from
 * within libusb.
 *
 * Returns: (transfer full) (nullable): usb_pipe_close() ends it
 */
UsbPipe *
usb_pipe_open(UsbContext *context, libusb_device *device, const UsbInterface *interface,
              const UsbPipeFuncs *funcs, void *user, GError **error)
{
    g_return_val_if_fail(!usb_context_is_turning(), NULL);
    UsbPipe *pipe = g_new0(UsbPipe, 1);
    pipe->context = usb_context_ref(context);
    pipe->interface = *interface;
    pipe->funcs = funcs;
    pipe->user = user;
    pipe->read = libusb_alloc_transfer(0);
    pipe->write = libusb_alloc_transfer(0);
    int result = open_and_claim(pipe, device);
    if (result != LIBUSB_SUCCESS) {
        set_open_error(device, result, error);
        pipe_free(pipe);
        return NULL;
    }
    usb_framing_init(&pipe->framing, interface->in_packet_bytes);
    libusb_fill_bulk_transfer(pipe->read, pipe->handle, interface->in, pipe->read_bytes,
                              USB_READ_BYTES, on_read, pipe, READ_MS);
    libusb_fill_bulk_transfer(pipe->write, pipe->handle, interface->out, pipe->write_bytes, 0,
                              on_written, pipe, WRITE_MS);
    start_read(pipe);
    return pipe;
}

/**
 * usb_pipe_set_funcs:
 *
 * Hands the pipe to another user; what happens from now on is told to it.
 */
void
usb_pipe_set_funcs(UsbPipe *pipe, const UsbPipeFuncs *funcs, void *user)
{
    pipe->funcs = funcs;
    pipe->user = user;
}

/**
 * usb_pipe_close:
 * @pipe: (transfer full)
 * @closed: (nullable): called when the device is free, at once or soon
 *
 * Calls back what is under way, then gives the device back. Nothing is told any more but @closed.
 */
void
usb_pipe_close(UsbPipe *pipe, void (*closed)(gpointer user), gpointer user)
{
    pipe->is_closing = TRUE;
    pipe->closed = closed;
    pipe->closed_user = user;
    kd_source_clear(&pipe->ending);
    kd_source_clear(&pipe->timer);
    if (!pipe->is_reading && !pipe->is_writing) {
        usb_context_defer(finish_closing, pipe);
        return;
    }
    kd_source_start_timer(&pipe->timer, CLOSE_LIMIT_MS, on_close_limit, pipe);
    if (pipe->is_reading) {
        (void)libusb_cancel_transfer(pipe->read);
    }
    if (pipe->is_writing) {
        (void)libusb_cancel_transfer(pipe->write);
    }
}

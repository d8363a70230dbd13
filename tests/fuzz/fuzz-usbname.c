/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Anything as what a USB device sends while it is asked for its name: packets in transfers, and the
 * name among them. */
#include "kd-fuzz.h"
#include "kd-packet.h"
#include "usb-bootstrap.h"
#include "usb-framing.h"
#include "usb-name.h"

#include <string.h>

/* First byte of an input: the exponent of the packet size. Then reads: two bytes, of which 2 bits
 * are how it has ended, 13 its length; and its bytes. */
#define LENGTH_BITS 13u

typedef struct {
    UsbFraming framing;
    UsbBootstrap *bootstrap;
    size_t n_bytes_in;
    size_t n_bytes_out;
    gboolean is_named;
} Device;

static void
on_packet(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Device *device = user;
    g_autofree uint8_t *exact = g_memdup2(bytes, len_bytes);

    g_assert_cmpuint(len_bytes, >, 0);
    g_assert_cmpuint(len_bytes, <=, sizeof device->framing.bytes);
    device->n_bytes_out += len_bytes;
    if (usb_bootstrap_take(device->bootstrap, exact, len_bytes)) {
        g_assert_false(device->is_named);
        device->is_named = TRUE;
    }
}

static void
check_name(const char *name)
{
    if (name == NULL) {
        return;
    }
    g_assert_cmpuint(strlen(name), >, 0);
    g_assert_cmpuint(strlen(name), <=, USB_NAME_MAX_BYTES);
    for (const char *at = name; *at != '\0'; at++) {
        g_assert_true(g_ascii_isalnum(*at) || *at == '-' || *at == '_');
    }
}

static void
check_packets(UsbBootstrap *bootstrap)
{
    g_autoptr(GPtrArray) packets = usb_bootstrap_steal_packets(bootstrap);

    g_assert_cmpuint(packets->len, <=, 16);
    for (guint i = 0; i < packets->len; i++) {
        KdPacket packet;
        g_autoptr(GError) error = NULL;
        gsize len_bytes = 0;
        const uint8_t *bytes = g_bytes_get_data(packets->pdata[i], &len_bytes);

        g_assert_false(usb_name_is_answer(bytes, len_bytes));
        gboolean is_packet = kd_packet_parse(KD_DIALECT_USB, bytes, len_bytes, &packet, &error);
        g_assert_true(is_packet == (error == NULL));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Device device = {.bootstrap = usb_bootstrap_new(0)};

    if (size > 0) {
        usb_framing_init(&device.framing, (uint16_t)(8u << (data[0] % 8)));
    }
    for (size_t at = 1; at + 2 <= size;) {
        unsigned head = data[at] | (unsigned)data[at + 1] << 8;
        UsbRead read = (UsbRead)(1 + (head >> LENGTH_BITS) % 3);
        size_t len = MIN(head & ((1u << LENGTH_BITS) - 1), USB_READ_BYTES);

        at += 2;
        len = MIN(len, size - at);
        device.n_bytes_in += len;
        usb_framing_take(&device.framing, data + at, len, read, on_packet, &device);
        g_assert_cmpuint(device.framing.len_bytes, <=, sizeof device.framing.bytes);
        g_assert_cmpuint(device.n_bytes_out, <=, device.n_bytes_in);
        at += len;
    }
    g_assert_true(device.is_named == (usb_bootstrap_get_name(device.bootstrap) != NULL));
    check_name(usb_bootstrap_get_name(device.bootstrap));
    check_packets(device.bootstrap);
    usb_bootstrap_free(device.bootstrap);
    return 0;
}

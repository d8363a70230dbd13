/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which USB devices are targets, and where in them KD is spoken. */
#include "usb-match.h"

/* The class of diagnostic devices, its subclass for debug capabilities (xHCI 7.6), and KD's own
 * protocol, which tells it from Linux's */
#define CLASS_DIAGNOSTIC 0xDCu
#define SUBCLASS_DBC     0x02u
#define PROTOCOL_KD      0xFFu

#define PACKET_LEAST_BYTES 8u
#define PACKET_MOST_BYTES  1024u

typedef struct {
    uint16_t vendor;
    uint16_t product;
    UsbKind kind;
} Known;

static const Known known[] = {
    {0x3495, 0x00E0, USB_KIND_KD},    /* the xHCI debug capability, spoken by Windows      */
    {0x045E, 0x062D, USB_KIND_KD},    /* an older id of the same                           */
    {0x046B, 0x0980, USB_KIND_KD},    /* a cable with electronics, by AMI                  */
    {0x1D6B, 0x0010, USB_KIND_LINUX}, /* the xHCI debug capability, spoken by Linux        */
    {0x1D6B, 0x0011, USB_KIND_LINUX}, /* the same for GDB                                  */
    {0x0525, 0x127A, USB_KIND_LINUX}, /* the debug key of USB 2.0, by NetChip              */
};

/**
 * usb_match_get_kind:
 *
 * Returns: what a device with these ids is
 */
UsbKind
usb_match_get_kind(uint16_t vendor, uint16_t product)
{
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (known[i].vendor == vendor && known[i].product == product) {
            return known[i].kind;
        }
    }
    return USB_KIND_OTHER;
}

static gboolean
is_kd_class(const struct libusb_interface_descriptor *setting, UsbKind kind)
{
    gboolean is_dbc =
        setting->bInterfaceClass == CLASS_DIAGNOSTIC && setting->bInterfaceSubClass == SUBCLASS_DBC;
    if (kind == USB_KIND_KD) {
        return is_dbc || setting->bInterfaceClass == LIBUSB_CLASS_VENDOR_SPEC;
    }
    return is_dbc && setting->bInterfaceProtocol == PROTOCOL_KD;
}

/* 0: the descriptor says what no bulk endpoint can have (USB 2.0 5.8.3, USB 3.2 8.12.1.4) */
static uint16_t
get_packet_bytes(const struct libusb_endpoint_descriptor *endpoint)
{
    uint16_t bytes = endpoint->wMaxPacketSize;
    gboolean is_sane =
        bytes >= PACKET_LEAST_BYTES && bytes <= PACKET_MOST_BYTES && (bytes & (bytes - 1u)) == 0;
    return is_sane ? bytes : 0;
}

static gboolean
is_bulk(const struct libusb_endpoint_descriptor *endpoint)
{
    static const uint8_t number = LIBUSB_ENDPOINT_ADDRESS_MASK;
    uint8_t reserved = endpoint->bEndpointAddress & (uint8_t) ~(LIBUSB_ENDPOINT_IN | number);
    return (endpoint->bmAttributes & LIBUSB_TRANSFER_TYPE_MASK) == LIBUSB_TRANSFER_TYPE_BULK &&
           (endpoint->bEndpointAddress & number) != 0 && reserved == 0;
}

/* The first of each direction; a second one would be something else than KD. */
static gboolean
find_endpoints(const struct libusb_interface_descriptor *setting, UsbInterface *found)
{
    UsbInterface result = {.number = setting->bInterfaceNumber};
    for (uint8_t i = 0; setting->endpoint != NULL && i < setting->bNumEndpoints; i++) {
        const struct libusb_endpoint_descriptor *endpoint = &setting->endpoint[i];
        gboolean is_in = (endpoint->bEndpointAddress & LIBUSB_ENDPOINT_IN) != 0;
        uint16_t packet_bytes = get_packet_bytes(endpoint);
        if (!is_bulk(endpoint)) {
            continue;
        }
        if (packet_bytes == 0 || (is_in ? result.in : result.out) != 0) {
            return FALSE;
        }
        *(is_in ? &result.in : &result.out) = endpoint->bEndpointAddress;
        *(is_in ? &result.in_packet_bytes : &result.out_packet_bytes) = packet_bytes;
    }
    if (result.in == 0 || result.out == 0) {
        return FALSE;
    }
    *found = result;
    return TRUE;
}

/**
 * usb_match_find_interface:
 * @config: of a device that may tell anything
 * @kind: from the device's ids
 * @found: (out caller-allocates): set on success
 *
 * Looks for the interface of KD: in its first setting a bulk endpoint for each direction, and the
 * class DC/02/FF, or in a device that is known by its ids any protocol of that class, or none.
 *
 * Returns: whether there is one
 */
gboolean
usb_match_find_interface(const struct libusb_config_descriptor *config, UsbKind kind,
                         UsbInterface *found)
{
    if (kind == USB_KIND_LINUX || config->interface == NULL) {
        return FALSE;
    }
    for (uint8_t i = 0; i < config->bNumInterfaces; i++) {
        const struct libusb_interface *interface = &config->interface[i];
        const struct libusb_interface_descriptor *setting = interface->altsetting;
        if (setting == NULL || interface->num_altsetting < 1 || setting->bAlternateSetting != 0 ||
            !is_kd_class(setting, kind)) {
            continue;
        }
        if (find_endpoints(setting, found)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Anything as what libusb has read from a device's descriptors. */
#include "kd-fuzz.h"
#include "usb-match.h"

#include <string.h>

#define N_INTERFACES 4u
#define N_SETTINGS   2u
#define N_ENDPOINTS  8u

/* What libusb makes of descriptors, with the counts that the device tells and libusb has checked */
typedef struct {
    struct libusb_endpoint_descriptor endpoints[N_INTERFACES][N_SETTINGS][N_ENDPOINTS];
    struct libusb_interface_descriptor settings[N_INTERFACES][N_SETTINGS];
    struct libusb_interface interfaces[N_INTERFACES];
    struct libusb_config_descriptor config;
} Descriptors;

typedef struct {
    const uint8_t *bytes;
    size_t left;
} Input;

static uint8_t
take(Input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->bytes++;
}

static void
fill_setting(Input *input, struct libusb_interface_descriptor *setting,
             struct libusb_endpoint_descriptor *endpoints)
{
    uint8_t flags = take(input);

    setting->bInterfaceNumber = take(input);
    setting->bAlternateSetting = flags & 1;
    setting->bInterfaceClass = (flags & 2) != 0 ? 0xDC : take(input);
    setting->bInterfaceSubClass = (flags & 4) != 0 ? 0x02 : take(input);
    setting->bInterfaceProtocol = (flags & 8) != 0 ? 0xFF : take(input);
    setting->bNumEndpoints = take(input) % (N_ENDPOINTS + 1);
    setting->endpoint = (flags & 16) != 0 ? NULL : endpoints;
    for (unsigned i = 0; i < setting->bNumEndpoints; i++) {
        endpoints[i].bEndpointAddress = take(input);
        endpoints[i].bmAttributes = take(input);
        endpoints[i].wMaxPacketSize = take(input);
        endpoints[i].wMaxPacketSize |= (uint16_t)(take(input) << 8);
    }
}

static void
fill(Input *input, Descriptors *all)
{
    all->config.bNumInterfaces = take(input) % (N_INTERFACES + 1);
    all->config.interface = all->interfaces;
    for (unsigned i = 0; i < all->config.bNumInterfaces; i++) {
        all->interfaces[i].num_altsetting = take(input) % (N_SETTINGS + 1);
        all->interfaces[i].altsetting = all->settings[i];
        for (int k = 0; k < all->interfaces[i].num_altsetting; k++) {
            fill_setting(input, &all->settings[i][k], all->endpoints[i][k]);
        }
    }
}

static gboolean
is_sane_size(uint16_t bytes)
{
    return bytes >= 8 && bytes <= 1024 && (bytes & (bytes - 1)) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {.bytes = data, .left = size};
    Descriptors all;
    UsbInterface found = {0};

    memset(&all, 0, sizeof all);
    UsbKind kind = (UsbKind)(take(&input) % 3);
    fill(&input, &all);
    if (usb_match_find_interface(&all.config, kind, &found)) {
        g_assert_cmpint(kind, !=, USB_KIND_LINUX);
        g_assert_cmphex(found.in & 0xF0, ==, 0x80);
        g_assert_cmphex(found.out & 0xF0, ==, 0);
        g_assert_cmphex(found.in & 0x0F, !=, 0);
        g_assert_cmphex(found.out & 0x0F, !=, 0);
        g_assert_true(is_sane_size(found.in_packet_bytes));
        g_assert_true(is_sane_size(found.out_packet_bytes));
    } else {
        g_assert_cmphex(found.in, ==, 0);
    }
    return 0;
}

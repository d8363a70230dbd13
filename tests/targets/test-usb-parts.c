/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the usb target that need no device: names, asking for them, packets in transfers,
 * and what descriptors say. */
#include "usb-bootstrap.h"
#include "usb-framing.h"
#include "usb-match.h"
#include "usb-name.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

#define SECOND_US G_GINT64_CONSTANT(1000000)

/* ---- names ----------------------------------------------------------------------------------- */

static void
test_name_rules(void)
{
    static const char *const good[] = {"a", "LAB-1_x", "ABCDEFGHIJKLMNOPQRSTUVWX"};
    static const char *const bad[] = {
        "",     "ABCDEFGHIJKLMNOPQRSTUVWXY", "lab 1", "lab.1", "l\xc3\xa4 b", "lab\x01", "myDeBuG1",
        "DEBUG"};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_true(usb_name_check(good[i], &error));
        g_assert_no_error(error);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(usb_name_check(bad[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_nonnull(strstr(error->message, "targetname"));
    }
}

static void
test_name_case(void)
{
    g_autofree char *a = usb_name_build_lock("Lab1");
    g_autofree char *b = usb_name_build_lock("lAB1");
    g_assert_true(usb_name_is_same("Lab1", "LAB1"));
    g_assert_false(usb_name_is_same("Lab1", "LAB12"));
    g_assert_cmpstr(a, ==, "usb:LAB1");
    g_assert_cmpstr(a, ==, b);
}

static char *
parse(const char *text, size_t len_bytes)
{
    /* exactly as long as that: a look beyond it is seen by a sanitizer */
    g_autofree uint8_t *bytes = g_memdup2(text, len_bytes);
    return usb_name_parse_answer(bytes, len_bytes);
}

static void
test_answer_good(void)
{
    g_autofree char *plain = parse("NAME=LAB1\0", 11);
    g_autofree char *bare = parse("NAME=LAB1", 9);
    g_autofree char *padded =
        parse("NAME=A-_9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
              USB_NAME_ANSWER_MAX_BYTES);
    g_autofree char *longest = parse("NAME=ABCDEFGHIJKLMNOPQRSTUVWX\0", 31);
    g_assert_cmpstr(plain, ==, "LAB1");
    g_assert_cmpstr(bare, ==, "LAB1");
    g_assert_cmpstr(padded, ==, "A-_9");
    g_assert_cmpstr(longest, ==, "ABCDEFGHIJKLMNOPQRSTUVWX");
}

static void
test_answer_bad(void)
{
    static const struct {
        const char *text;
        size_t len_bytes;
    } bad[] = {
        {"", 0},
        {"NAM", 3},
        {"NAME?", 5},
        {"NAME=", 5},
        {"NAME=\0\0", 7},
        {"NAME=A\0B\0", 9},
        {"NAME=LAB 1\0", 12},
        {"NAME=\x1b[2J\0", 11},
        {"NAME=ABCDEFGHIJKLMNOPQRSTUVWXY\0", 32},
        {"NAME=A\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 38},
        {"0000NAME=LAB1\0", 15},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *name = parse(bad[i].text, bad[i].len_bytes);
        g_assert_null(name);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static const uint8_t state_change[20] = "0000\x07\0\x04\0\0\x08\x80\x80";
static const uint8_t answer[] = "NAME=LAB1\0";

static void
assert_packets(UsbBootstrap *bootstrap, guint n)
{
    g_autoptr(GPtrArray) packets = usb_bootstrap_steal_packets(bootstrap);
    g_assert_cmpuint(packets->len, ==, n);
    for (guint i = 0; i < n; i++) {
        gsize len_bytes = 0;
        const uint8_t *bytes = g_bytes_get_data(packets->pdata[i], &len_bytes);
        g_assert_cmpmem(bytes, (int)len_bytes, state_change, sizeof state_change);
    }
}

static void
test_answer_before_packets(void)
{
    g_autoptr(UsbBootstrap) bootstrap = usb_bootstrap_new(0);
    g_assert_true(usb_bootstrap_is_due(bootstrap, 0));
    usb_bootstrap_asked(bootstrap, 0);
    g_assert_true(usb_bootstrap_take(bootstrap, answer, sizeof answer));
    g_assert_false(usb_bootstrap_take(bootstrap, state_change, sizeof state_change));
    g_assert_cmpstr(usb_bootstrap_get_name(bootstrap), ==, "LAB1");
    g_assert_cmpint(usb_bootstrap_get_deadline_us(bootstrap), ==, G_MAXINT64);
    assert_packets(bootstrap, 1);
}

static void
test_answer_after_packets(void)
{
    g_autoptr(UsbBootstrap) bootstrap = usb_bootstrap_new(0);
    usb_bootstrap_asked(bootstrap, 0);
    g_assert_false(usb_bootstrap_take(bootstrap, state_change, sizeof state_change));
    g_assert_false(usb_bootstrap_take(bootstrap, state_change, sizeof state_change));
    g_assert_null(usb_bootstrap_get_name(bootstrap));
    g_assert_true(usb_bootstrap_take(bootstrap, answer, sizeof answer));
    assert_packets(bootstrap, 2);
}

static void
test_answer_is_awaited(void)
{
    g_autoptr(UsbBootstrap) bootstrap = usb_bootstrap_new(0);
    gint64 now_us = 0;
    guint n_asked = 0;
    for (; now_us < 60 * SECOND_US; now_us += SECOND_US / 10) {
        if (usb_bootstrap_is_due(bootstrap, now_us)) {
            usb_bootstrap_asked(bootstrap, now_us);
            n_asked++;
            g_assert_cmpint(usb_bootstrap_get_deadline_us(bootstrap), >, now_us);
        }
        if (now_us == 3 * SECOND_US) {
            g_assert_cmpuint(n_asked, ==, 4);
        }
    }
    g_assert_cmpuint(n_asked, ==, usb_bootstrap_get_n_asked(bootstrap));
    g_assert_cmpuint(n_asked, >=, 10);
    g_assert_cmpuint(n_asked, <=, 20);
    /* and then it comes twice */
    g_assert_true(usb_bootstrap_take(bootstrap, answer, sizeof answer));
    g_assert_false(usb_bootstrap_take(bootstrap, answer, sizeof answer));
    assert_packets(bootstrap, 0);
}

static void
test_answer_that_is_none(void)
{
    g_autoptr(UsbBootstrap) bootstrap = usb_bootstrap_new(0);
    g_assert_false(usb_bootstrap_take(bootstrap, (const uint8_t *)"NAME=a b", 8));
    g_assert_null(usb_bootstrap_get_name(bootstrap));
    g_assert_true(usb_bootstrap_take(bootstrap, answer, sizeof answer));
    assert_packets(bootstrap, 0);
}

static void
test_packets_are_bounded(void)
{
    g_autoptr(UsbBootstrap) bootstrap = usb_bootstrap_new(0);
    for (guint i = 0; i < 1000; i++) {
        g_assert_false(usb_bootstrap_take(bootstrap, state_change, sizeof state_change));
    }
    assert_packets(bootstrap, 16);
}

/* ---- packets in transfers -------------------------------------------------------------------- */

typedef struct {
    UsbFraming framing;
    GString *packets; /* `20 36 ` */
    uint8_t last[2 * USB_READ_BYTES];
} Frames;

static void
on_packet(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Frames *frames = user;
    g_assert_cmpuint(len_bytes, >, 0);
    g_assert_cmpuint(len_bytes, <=, sizeof frames->last);
    g_string_append_printf(frames->packets, "%zu ", len_bytes);
    memcpy(frames->last, bytes, len_bytes);
}

static void
frames_init(Frames *frames, uint16_t max_packet_bytes)
{
    usb_framing_init(&frames->framing, max_packet_bytes);
    frames->packets = g_string_new(NULL);
}

static void
frames_take(Frames *frames, const uint8_t *bytes, size_t len_bytes, UsbRead read)
{
    usb_framing_take(&frames->framing, bytes, len_bytes, read, on_packet, frames);
}

static void
frames_assert(Frames *frames, const char *expected)
{
    g_assert_cmpstr(frames->packets->str, ==, expected);
    g_string_truncate(frames->packets, 0);
}

static void
frames_clear(Frames *frames)
{
    g_string_free(frames->packets, TRUE);
}

/* A data packet of so many bytes in all */
static void
fill(uint8_t *bytes, size_t len_bytes)
{
    memset(bytes, 0x5a, len_bytes);
    memcpy(bytes, "0000\x02\0", 6);
    bytes[6] = (uint8_t)(len_bytes - 16);
    bytes[7] = (uint8_t)((len_bytes - 16) >> 8);
}

static void
test_one_transfer(void)
{
    Frames frames;
    uint8_t bytes[USB_READ_BYTES];
    frames_init(&frames, 1024);
    fill(bytes, 4016);
    frames_take(&frames, bytes, 4016, USB_READ_ENDED);
    frames_take(&frames, bytes, 300,
                USB_READ_ENDED); /* shorter than it says: for others to judge */
    frames_assert(&frames, "4016 300 ");
    frames_take(&frames, (const uint8_t *)"b", 1, USB_READ_ENDED);
    frames_assert(&frames, "1 ");
    frames_clear(&frames);
}

static void
test_empty_transfer(void)
{
    Frames frames;
    uint8_t bytes[USB_READ_BYTES];
    frames_init(&frames, 512);
    fill(bytes, 512);
    frames_take(&frames, NULL, 0, USB_READ_ENDED);
    frames_take(&frames, NULL, 0, USB_READ_QUIET);
    frames_assert(&frames, "");
    frames_take(&frames, bytes, 512, USB_READ_ENDED);
    frames_take(&frames, NULL, 0, USB_READ_ENDED);
    frames_assert(&frames, "512 ");
    frames_clear(&frames);
}

static void
test_forgotten_end(void)
{
    Frames frames;
    uint8_t bytes[USB_READ_BYTES];
    frames_init(&frames, 512);
    /* two that fill their packets of USB, and one that does not, in one read */
    fill(bytes, 1024);
    fill(bytes + 1024, 512);
    fill(bytes + 1536, 100);
    frames_take(&frames, bytes, 1636, USB_READ_ENDED);
    frames_assert(&frames, "1024 512 100 ");
    /* one, and silence */
    frames_take(&frames, bytes, 1024, USB_READ_QUIET);
    frames_assert(&frames, "1024 ");
    /* its end comes late */
    frames_take(&frames, NULL, 0, USB_READ_ENDED);
    frames_assert(&frames, "");
    frames_clear(&frames);
}

static void
test_interrupted_read(void)
{
    Frames frames;
    uint8_t bytes[USB_READ_BYTES];
    frames_init(&frames, 512);
    fill(bytes, 4016);
    frames_take(&frames, bytes, 1024, USB_READ_QUIET);
    frames_assert(&frames, "");
    frames_take(&frames, bytes + 1024, 4016 - 1024, USB_READ_ENDED);
    frames_assert(&frames, "4016 ");
    g_assert_cmpmem(frames.last, 4016, bytes, 4016);
    frames_clear(&frames);
}

static void
test_broken_off(void)
{
    Frames frames;
    uint8_t bytes[USB_READ_BYTES];
    frames_init(&frames, 512);
    fill(bytes, 4016);
    frames_take(&frames, bytes, 1024, USB_READ_QUIET);
    frames_take(&frames, NULL, 0, USB_READ_QUIET);
    frames_assert(&frames, "1024 ");
    fill(bytes, 100);
    frames_take(&frames, bytes, 100, USB_READ_ENDED);
    frames_assert(&frames, "100 ");
    frames_clear(&frames);
}

static void
test_answer_that_fills(void)
{
    Frames frames;
    frames_init(&frames, 8);
    frames_take(&frames, (const uint8_t *)"NAME=LABORA12\0\0", 16, USB_READ_QUIET);
    frames_assert(&frames, "16 ");
    frames_clear(&frames);
}

static void
test_too_long(void)
{
    Frames frames;
    uint8_t bytes[USB_READ_BYTES];
    frames_init(&frames, 1024);
    memset(bytes, 'x', sizeof bytes);
    for (guint i = 0; i < 100; i++) {
        frames_take(&frames, bytes, sizeof bytes, USB_READ_FULL);
    }
    frames_assert(&frames, "");
    frames_take(&frames, bytes, 10, USB_READ_ENDED); /* the end of it */
    frames_assert(&frames, "");
    fill(bytes, 100);
    frames_take(&frames, bytes, 100, USB_READ_ENDED);
    frames_assert(&frames, "100 ");
    frames_clear(&frames);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

typedef struct {
    struct libusb_endpoint_descriptor endpoints[3];
    struct libusb_interface_descriptor setting;
    struct libusb_interface interface;
    struct libusb_config_descriptor config;
} Descriptors;

/* The interface of a target */
static void
descriptors_init(Descriptors *all)
{
    *all = (Descriptors){
        .endpoints = {{.bEndpointAddress = 0x81, .bmAttributes = 2, .wMaxPacketSize = 1024},
                      {.bEndpointAddress = 0x01, .bmAttributes = 2, .wMaxPacketSize = 512}},
        .setting = {.bInterfaceNumber = 3,
                    .bNumEndpoints = 2,
                    .bInterfaceClass = 0xDC,
                    .bInterfaceSubClass = 2,
                    .bInterfaceProtocol = 0xFF},
        .interface = {.num_altsetting = 1},
        .config = {.bNumInterfaces = 1},
    };
    all->setting.endpoint = all->endpoints;
    all->interface.altsetting = &all->setting;
    all->config.interface = &all->interface;
}

static gboolean
is_found(const Descriptors *all, UsbKind kind)
{
    UsbInterface found = {0};
    gboolean result = usb_match_find_interface(&all->config, kind, &found);
    g_assert_true(result || found.in == 0);
    return result;
}

static void
test_match_ids(void)
{
    g_assert_cmpint(usb_match_get_kind(0x3495, 0x00e0), ==, USB_KIND_KD);
    g_assert_cmpint(usb_match_get_kind(0x045e, 0x062d), ==, USB_KIND_KD);
    g_assert_cmpint(usb_match_get_kind(0x046b, 0x0980), ==, USB_KIND_KD);
    g_assert_cmpint(usb_match_get_kind(0x1d6b, 0x0010), ==, USB_KIND_LINUX);
    g_assert_cmpint(usb_match_get_kind(0x1d6b, 0x0011), ==, USB_KIND_LINUX);
    g_assert_cmpint(usb_match_get_kind(0x0525, 0x127a), ==, USB_KIND_LINUX);
    g_assert_cmpint(usb_match_get_kind(0x1d6b, 0x0002), ==, USB_KIND_OTHER);
    g_assert_cmpint(usb_match_get_kind(0x045e, 0x0644), ==, USB_KIND_OTHER); /* KDNET's own */
}

static void
test_match_interface(void)
{
    Descriptors all;
    UsbInterface found = {0};
    descriptors_init(&all);
    g_assert_true(usb_match_find_interface(&all.config, USB_KIND_OTHER, &found));
    g_assert_cmpuint(found.number, ==, 3);
    g_assert_cmphex(found.in, ==, 0x81);
    g_assert_cmphex(found.out, ==, 0x01);
    g_assert_cmpuint(found.in_packet_bytes, ==, 1024);
    g_assert_cmpuint(found.out_packet_bytes, ==, 512);
}

static void
test_match_class(void)
{
    Descriptors all;
    descriptors_init(&all);
    all.setting.bInterfaceProtocol = 1; /* GDB's */
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    g_assert_true(is_found(&all, USB_KIND_KD));
    all.setting.bInterfaceClass = 0xFF;
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    g_assert_true(is_found(&all, USB_KIND_KD));
    all.setting.bInterfaceClass = 0x08; /* a disk */
    g_assert_false(is_found(&all, USB_KIND_KD));
    descriptors_init(&all);
    g_assert_false(is_found(&all, USB_KIND_LINUX));
}

static void
test_match_lies(void)
{
    static const uint16_t bad_sizes[] = {0, 1, 7, 48, 511, 1000, 2048, 0x1200, 0xFFFF};
    Descriptors all;
    for (size_t i = 0; i < G_N_ELEMENTS(bad_sizes); i++) {
        descriptors_init(&all);
        all.endpoints[0].wMaxPacketSize = bad_sizes[i];
        g_assert_false(is_found(&all, USB_KIND_OTHER));
    }
    descriptors_init(&all);
    all.endpoints[0].bEndpointAddress = 0x80; /* the control endpoint */
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    descriptors_init(&all);
    all.endpoints[1].bEndpointAddress = 0x71; /* reserved bits */
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    descriptors_init(&all);
    all.endpoints[1].bmAttributes = 3; /* interrupt */
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    descriptors_init(&all);
    all.setting.bNumEndpoints = 1;
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    descriptors_init(&all);
    all.setting.bNumEndpoints = 2;
    all.setting.endpoint = NULL;
    g_assert_false(is_found(&all, USB_KIND_OTHER));
    descriptors_init(&all);
    all.setting.bNumEndpoints = 3;
    all.endpoints[2] = all.endpoints[0];
    g_assert_false(is_found(&all, USB_KIND_OTHER));
}

static void
test_match_absence(void)
{
    Descriptors all;
    descriptors_init(&all);
    all.interface.num_altsetting = 0;
    g_assert_false(is_found(&all, USB_KIND_KD));
    descriptors_init(&all);
    all.interface.altsetting = NULL;
    g_assert_false(is_found(&all, USB_KIND_KD));
    descriptors_init(&all);
    all.setting.bAlternateSetting = 1;
    g_assert_false(is_found(&all, USB_KIND_KD));
    descriptors_init(&all);
    all.config.interface = NULL;
    g_assert_false(is_found(&all, USB_KIND_KD));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/usb/name/keeps-to-the-documented-rules", test_name_rules);
    g_test_add_func("/usb/name/is-the-same-in-any-case", test_name_case);
    g_test_add_func("/usb/name/is-read-from-an-answer", test_answer_good);
    g_test_add_func("/usb/name/is-not-read-from-anything-else", test_answer_bad);
    g_test_add_func("/usb/bootstrap/takes-the-answer-before-packets", test_answer_before_packets);
    g_test_add_func("/usb/bootstrap/takes-the-answer-after-packets", test_answer_after_packets);
    g_test_add_func("/usb/bootstrap/asks-again-and-slows-down", test_answer_is_awaited);
    g_test_add_func("/usb/bootstrap/drops-a-malformed-answer", test_answer_that_is_none);
    g_test_add_func("/usb/bootstrap/keeps-a-bounded-number-of-packets", test_packets_are_bounded);
    g_test_add_func("/usb/framing/takes-a-transfer-for-a-packet", test_one_transfer);
    g_test_add_func("/usb/framing/ignores-empty-transfers", test_empty_transfer);
    g_test_add_func("/usb/framing/needs-no-empty-transfer-as-an-end", test_forgotten_end);
    g_test_add_func("/usb/framing/goes-on-after-an-interrupted-read", test_interrupted_read);
    g_test_add_func("/usb/framing/gives-up-what-is-broken-off", test_broken_off);
    g_test_add_func("/usb/framing/knows-an-answer-that-fills-its-packets", test_answer_that_fills);
    g_test_add_func("/usb/framing/drops-what-is-too-long-up-to-its-end", test_too_long);
    g_test_add_func("/usb/match/tells-targets-by-their-ids", test_match_ids);
    g_test_add_func("/usb/match/takes-endpoints-from-the-descriptors", test_match_interface);
    g_test_add_func("/usb/match/wants-the-class-of-unknown-devices", test_match_class);
    g_test_add_func("/usb/match/refuses-impossible-endpoints", test_match_lies);
    g_test_add_func("/usb/match/bears-missing-parts", test_match_absence);
    return g_test_run();
}

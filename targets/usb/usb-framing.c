/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the packets are in what a bulk IN endpoint gives. */
#include "usb-framing.h"

#include "kd-packet.h"
#include "usb-name.h"

#include <string.h>

#define PAYLOAD_LEN_OFFSET 6u
#define DATA_LEADER        "0000"
#define CONTROL_LEADER     "iiii"
#define LEADER_BYTES       4u
#define ANSWER_LEAST_BYTES 8u /* NAME=, one letter, two zeros */

/**
 * usb_framing_init:
 * @framing: (out caller-allocates)
 * @max_packet_bytes: of the endpoint, not 0
 *
 * Starts at a transfer's boundary.
 */
void
usb_framing_init(UsbFraming *framing, uint16_t max_packet_bytes)
{
    g_return_if_fail(max_packet_bytes > 0);
    framing->max_packet_bytes = max_packet_bytes;
    framing->is_skipping = FALSE;
    framing->len_bytes = 0;
}

static gboolean
has_leader(const uint8_t *bytes, size_t len_bytes)
{
    return len_bytes >= LEADER_BYTES && (memcmp(bytes, DATA_LEADER, LEADER_BYTES) == 0 ||
                                         memcmp(bytes, CONTROL_LEADER, LEADER_BYTES) == 0);
}

/* What a packet's own header says; 0: there is no such thing. On USB no packet has a trailer. */
static size_t
get_packet_bytes(const uint8_t *bytes, size_t len_bytes)
{
    if (len_bytes < KD_PACKET_HEADER_BYTES || !has_leader(bytes, len_bytes)) {
        return 0;
    }
    size_t payload_bytes = bytes[PAYLOAD_LEN_OFFSET] + ((size_t)bytes[PAYLOAD_LEN_OFFSET + 1] << 8);
    if (memcmp(bytes, CONTROL_LEADER, LEADER_BYTES) == 0) {
        return KD_PACKET_HEADER_BYTES;
    }
    return payload_bytes <= KD_PACKET_PAYLOAD_MAX_BYTES ? KD_PACKET_HEADER_BYTES + payload_bytes
                                                        : 0;
}

static gboolean
is_whole_answer(const uint8_t *bytes, size_t len_bytes)
{
    return len_bytes >= ANSWER_LEAST_BYTES && bytes[len_bytes - 1] == '\0' &&
           usb_name_is_answer(bytes, len_bytes);
}

/* Where the second packet begins, if the first one just filled its packets of USB and so did not
 * end the transfer; 0: there is no second one. */
static size_t
find_second(const UsbFraming *framing, const uint8_t *bytes, size_t len_bytes)
{
    size_t first_bytes = get_packet_bytes(bytes, len_bytes);
    if (first_bytes == 0 || first_bytes >= len_bytes ||
        first_bytes % framing->max_packet_bytes != 0 ||
        !has_leader(bytes + first_bytes, len_bytes - first_bytes)) {
        return 0;
    }
    return first_bytes;
}

/* What is left after the packets that can be told apart is one by its own account, or has an end,
 * or nothing came behind it in two reads. */
static gboolean
is_whole(const uint8_t *bytes, size_t len_bytes, gboolean is_new, UsbRead read)
{
    switch (read) {
    case USB_READ_ENDED:
        return TRUE;
    case USB_READ_FULL:
        return get_packet_bytes(bytes, len_bytes) == len_bytes;
    case USB_READ_QUIET:
    default:
        return get_packet_bytes(bytes, len_bytes) == len_bytes ||
               is_whole_answer(bytes, len_bytes) || !is_new;
    }
}

static gboolean
store(UsbFraming *framing, const uint8_t *bytes, size_t len_bytes)
{
    if (len_bytes > sizeof framing->bytes - framing->len_bytes) {
        framing->is_skipping = TRUE;
        framing->len_bytes = 0;
        return FALSE;
    }
    if (len_bytes > 0) {
        memcpy(framing->bytes + framing->len_bytes, bytes, len_bytes);
        framing->len_bytes += len_bytes;
    }
    return TRUE;
}

static void
split(UsbFraming *framing, gboolean is_new, UsbRead read, UsbFramingFunc fn, void *user)
{
    size_t done_bytes = 0;
    size_t next = 0;
    while ((next = find_second(framing, framing->bytes + done_bytes,
                               framing->len_bytes - done_bytes)) > 0) {
        fn(framing->bytes + done_bytes, next, user);
        done_bytes += next;
    }
    size_t left_bytes = framing->len_bytes - done_bytes;
    if (left_bytes > 0 && is_whole(framing->bytes + done_bytes, left_bytes, is_new, read)) {
        fn(framing->bytes + done_bytes, left_bytes, user);
        left_bytes = 0;
    }
    if (left_bytes > 0 && done_bytes > 0) {
        memmove(framing->bytes, framing->bytes + done_bytes, left_bytes);
    }
    framing->len_bytes = left_bytes;
}

/**
 * usb_framing_take:
 * @bytes: (nullable): what a read has brought, not more than %USB_READ_BYTES
 * @read: how it has ended
 * @fn: called for each packet; not to touch @framing
 *
 * Finds packets. An empty transfer is none. What is too long for any packet is dropped up to its
 * end.
 */
void
usb_framing_take(UsbFraming *framing, const uint8_t *bytes, size_t len_bytes, UsbRead read,
                 UsbFramingFunc fn, void *user)
{
    if (!framing->is_skipping && store(framing, bytes, len_bytes)) {
        split(framing, len_bytes > 0, read, fn, user);
    }
    if (read != USB_READ_FULL) {
        framing->is_skipping = FALSE;
    }
}

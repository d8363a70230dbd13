/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target on FireWire: its memory and its rules (LINKS 4.1). */
#include "kd-sim-mailbox.h"

#include <string.h>

#define OUT KD_SIM_MAILBOX_SEND_ADDRESS
#define IN  KD_SIM_MAILBOX_RECEIVE_ADDRESS

typedef struct {
    KdSimMachine *machine;
    KdSimMailbox *mailbox;
    KdSimHeader header;
    uint8_t payload[KD_SIM_PAYLOAD_MAX_BYTES];
} Bus;

static void
set_up(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    const KdSimLinkOptions options = {.retry_ms = 10};
    bus->machine = kd_sim_machine_new(NULL);
    bus->mailbox = kd_sim_mailbox_new(bus->machine, &options, 42);
    kd_sim_machine_boot(bus->machine, 0);
}

static void
tear_down(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_mailbox_free(bus->mailbox);
    kd_sim_machine_free(bus->machine);
}

static uint32_t
read_quadlet(Bus *bus, uint64_t address)
{
    uint8_t bytes[4];
    g_assert_true(kd_sim_mailbox_read(bus->mailbox, address, bytes, sizeof bytes, 0));
    return kd_sim_get32(bytes);
}

static void
write_quadlet(Bus *bus, uint64_t address, uint32_t value)
{
    uint8_t bytes[4];
    kd_sim_put32(bytes, value);
    g_assert_true(kd_sim_mailbox_write(bus->mailbox, address, bytes, sizeof bytes, 0));
}

/* Takes what is in the mailbox, as a host does: the status last. */
static void
take(Bus *bus, uint16_t type)
{
    uint8_t bytes[24 + KD_SIM_PAYLOAD_MAX_BYTES];
    g_assert_cmphex(read_quadlet(bus, OUT), ==, KD_SIM_MAILBOX_PENDING);
    uint32_t length = read_quadlet(bus, OUT + 20);
    g_assert_true(kd_sim_mailbox_read(bus->mailbox, OUT, bytes, 24 + length, 0));
    g_assert_true(kd_sim_packet_parse_header(bytes + 4, &bus->header));
    g_assert_cmpuint(bus->header.type, ==, type);
    g_assert_cmpuint(bus->header.payload_bytes, ==, length);
    memcpy(bus->payload, bytes + 24, length);
    g_assert_cmpuint(kd_sim_packet_sum(bus->payload, length), ==, bus->header.checksum);
    write_quadlet(bus, OUT, 0);
}

static void
post(Bus *bus, const uint8_t *packet, size_t len_bytes)
{
    g_assert_cmphex(read_quadlet(bus, IN), ==, 0);
    g_assert_true(kd_sim_mailbox_write(bus->mailbox, IN + 8, packet, len_bytes, 0));
    write_quadlet(bus, IN + 4, (uint32_t)len_bytes);
    write_quadlet(bus, IN, KD_SIM_MAILBOX_PENDING);
}

static void
ask(Bus *bus, uint32_t api)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    uint8_t request[56] = {0};
    kd_sim_put32(request, api);
    post(bus, packet,
         kd_sim_packet_build(KD_SIM_DIALECT_1394, KD_SIM_TYPE_MANIPULATE, 7, request,
                             sizeof request, packet));
}

static void
test_directory_leads_to_the_block(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    uint32_t quadlets[KD_SIM_MAILBOX_DIRECTORY];
    kd_sim_mailbox_build_directory(bus->mailbox, quadlets);
    g_assert_cmphex(quadlets[2], ==, 0x1C0050F2);
    g_assert_cmphex(quadlets[3], ==, 0x1D000002);
    g_assert_cmphex(quadlets[4] >> 24, ==, 0x1E);
    uint64_t block = quadlets[4] & 0xFFFFFF;
    g_assert_cmphex(read_quadlet(bus, block), ==, KD_SIM_MAILBOX_TAG);
    g_assert_cmpuint(read_quadlet(bus, block + 8), ==, 42);
    g_assert_cmphex(read_quadlet(bus, block + 16), ==, OUT);
    g_assert_cmphex(read_quadlet(bus, block + 24), ==, IN);
}

static void
test_other_addresses_are_none(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t bytes[16] = {0};
    g_assert_false(kd_sim_mailbox_read(bus->mailbox, 0, bytes, 4, 0));
    g_assert_false(kd_sim_mailbox_read(bus->mailbox, OUT + 4088, bytes, 16, 0));
    g_assert_false(kd_sim_mailbox_write(bus->mailbox, G_MAXUINT64, bytes, 4, 0));
}

static void
test_taken_packet_is_acknowledged(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    take(bus, KD_SIM_TYPE_STATE_CHANGE);
    g_assert_cmpuint(kd_sim_machine_get_stat(bus->machine)->taken, ==, 1);
    g_assert_cmphex(read_quadlet(bus, OUT), ==, 0);
}

static void
test_request_is_taken_and_answered(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    take(bus, KD_SIM_TYPE_STATE_CHANGE);
    uint32_t id = bus->header.id;
    ask(bus, 0x3146);
    g_assert_cmphex(read_quadlet(bus, IN), ==, 0);
    take(bus, KD_SIM_TYPE_MANIPULATE);
    g_assert_cmphex(bus->header.id, ==, id + 1);
    g_assert_cmpuint(kd_sim_get16(bus->payload + 18), ==, KD_SIM_VERSION_MINOR);
}

static void
test_request_overtakes_a_packet_that_waits(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    ask(bus, 0x3146);
    take(bus, KD_SIM_TYPE_MANIPULATE);
    g_assert_cmpuint(kd_sim_mailbox_get_stat(bus->mailbox)->aborted, ==, 1);
}

static void
test_damaged_request_is_resent(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    uint8_t request[56] = {0x46, 0x31};
    take(bus, KD_SIM_TYPE_STATE_CHANGE);
    size_t len_bytes = kd_sim_packet_build(KD_SIM_DIALECT_1394, KD_SIM_TYPE_MANIPULATE, 0, request,
                                           sizeof request, packet);
    packet[20] ^= 1;
    post(bus, packet, len_bytes);
    take(bus, KD_SIM_TYPE_RESEND);
    g_assert_true(bus->header.is_control);
    ask(bus, 0x3146);
    take(bus, KD_SIM_TYPE_MANIPULATE);
}

static void
test_running_target_takes_break_ins_alone(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    take(bus, KD_SIM_TYPE_STATE_CHANGE);
    ask(bus, 0x3136);
    g_assert_true(kd_sim_machine_is_running(bus->machine));
    ask(bus, 0x3146);
    g_assert_cmphex(read_quadlet(bus, IN), ==, KD_SIM_MAILBOX_PENDING);
    write_quadlet(bus, IN, 0);
    post(bus, (const uint8_t *)"b", 1);
    g_assert_cmphex(read_quadlet(bus, IN), ==, 0);
    take(bus, KD_SIM_TYPE_STATE_CHANGE);
}

static void
test_print_is_given_up_in_time(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    take(bus, KD_SIM_TYPE_STATE_CHANGE);
    ask(bus, 0x3136);
    kd_sim_machine_print(bus->machine, 1, 0);
    g_assert_cmpint(kd_sim_mailbox_get_deadline_us(bus->mailbox), ==, 200000);
    kd_sim_mailbox_tick(bus->mailbox, 200000);
    g_assert_cmphex(read_quadlet(bus, OUT), ==, 0);
    g_assert_cmpuint(kd_sim_machine_get_stat(bus->machine)->gave_up, ==, 1);
}

static void
test_exception_waits_for_ever(Bus *bus, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmpint(kd_sim_mailbox_get_deadline_us(bus->mailbox), ==, -1);
    g_assert_cmphex(read_quadlet(bus, OUT), ==, KD_SIM_MAILBOX_PENDING);
}

#define ADD(name, function) g_test_add("/sim/mailbox/" name, Bus, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("directory-leads-to-the-block", test_directory_leads_to_the_block);
    ADD("other-addresses-are-none", test_other_addresses_are_none);
    ADD("taken-packet-is-acknowledged", test_taken_packet_is_acknowledged);
    ADD("request-is-taken-and-answered", test_request_is_taken_and_answered);
    ADD("request-overtakes-a-packet-that-waits", test_request_overtakes_a_packet_that_waits);
    ADD("damaged-request-is-resent", test_damaged_request_is_resent);
    ADD("running-target-takes-break-ins-alone", test_running_target_takes_break_ins_alone);
    ADD("print-is-given-up-in-time", test_print_is_given_up_in_time);
    ADD("exception-waits-for-ever", test_exception_waits_for_ever);
    return g_test_run();
}

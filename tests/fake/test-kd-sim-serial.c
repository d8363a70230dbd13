/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target at a serial line has the quirks of real ones (LINKS 1.4). */
#include "kd-sim-host.h"

#include <string.h>

#define FIRST    (KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID)
#define EVEN     KD_SIM_INITIAL_ID
#define ODD      (KD_SIM_INITIAL_ID | 1)
#define BREAK_IN 0x62

static void
set_up(KdSimHost **host, gconstpointer user G_GNUC_UNUSED)
{
    *host = kd_sim_host_new(KD_SIM_DIALECT_SERIAL, NULL);
}

static void
tear_down(KdSimHost **host, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_free(*host);
}

static void
test_first_packet_has_the_sync_bit(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    g_assert_cmpuint((*f)->header.payload_bytes, ==, 0xF0);
    g_assert_cmphex(kd_sim_get32((*f)->payload), ==, 0x3030);
    g_assert_cmphex(kd_sim_get32((*f)->payload + 32), ==, KD_SIM_CODE_BREAKPOINT);
    kd_sim_host_expect_nothing(*f);
}

static void
test_exception_is_repeated_for_ever(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    for (int i = 0; i < 60; i++) {
        kd_sim_host_pass_time(*f, KD_SIM_HOST_WAIT_US);
        kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    }
    kd_sim_host_expect_nothing(*f);
}

static void
test_reset_is_answered_and_the_packet_repeated(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    kd_sim_host_say_control(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, EVEN);
    kd_sim_host_expect_nothing(*f);
}

static void
test_reset_of_a_halted_target_repeats_its_state_change(KdSimHost **f,
                                                       gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_attach(*f);
    kd_sim_host_ask(*f, 0x3146, 0, 0);
    kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_MANIPULATE);
    kd_sim_host_say_control(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, EVEN);
}

static void
test_opening_of_a_debugger(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_say_control(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    kd_sim_host_expect(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_STATE_CHANGE);
    kd_sim_host_ask(*f, 0x3146, 0, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_MANIPULATE, ODD);
    g_assert_cmpuint(kd_sim_get16((*f)->payload + 18), ==, KD_SIM_VERSION_MINOR);
    kd_sim_host_say_control(*f, KD_SIM_TYPE_ACK, ODD);
    for (uint32_t handle = 1; handle <= KD_SIM_BREAKPOINTS; handle++) {
        kd_sim_host_ask(*f, 0x3135, handle, 0);
        kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_MANIPULATE);
        g_assert_cmphex(kd_sim_get32((*f)->payload + 8), ==, KD_SIM_STATUS_FAILURE);
    }
    kd_sim_host_expect_nothing(*f);
}

static void
test_ack_with_the_sync_bit_counts_for_nothing(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    kd_sim_host_say_control(*f, KD_SIM_TYPE_ACK, FIRST);
    kd_sim_host_pass_time(*f, KD_SIM_HOST_WAIT_US);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
}

static void
test_resend_repeats_the_packet_at_once(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    kd_sim_host_say_control(*f, KD_SIM_TYPE_RESEND, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
}

static void
test_data_instead_of_an_ack_is_resent(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t request[56] = {0x46, 0x31};
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    kd_sim_host_say_data(*f, KD_SIM_TYPE_MANIPULATE, request, sizeof request);
    kd_sim_host_expect(*f, KD_SIM_TYPE_RESEND, 0);
    kd_sim_host_expect_nothing(*f);
    /* its own packet counts as taken, so the same request is heard now */
    kd_sim_host_ask(*f, 0x3146, 0, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_MANIPULATE, ODD);
    g_assert_cmpuint(kd_sim_link_get_stat((*f)->link)->out_of_step, ==, 1);
}

static void
test_duplicate_is_acknowledged_and_dropped(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t request[56] = {0x46, 0x31};
    kd_sim_host_attach(*f);
    kd_sim_host_ask(*f, 0x3146, 0, 0);
    kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_MANIPULATE);
    (*f)->in_id ^= 1;
    kd_sim_host_say_data(*f, KD_SIM_TYPE_MANIPULATE, request, sizeof request);
    kd_sim_host_expect(*f, KD_SIM_TYPE_ACK, EVEN);
    kd_sim_host_expect_nothing(*f);
}

/* A ReadVA with one thing wrong is answered by RESEND, and a whole one after it is done. */
static void
expect_refusal(KdSimHost *host, uint8_t *packet, size_t len_bytes)
{
    kd_sim_host_attach(host);
    kd_sim_host_say(host, packet, len_bytes);
    kd_sim_host_expect(host, KD_SIM_TYPE_RESEND, 0);
    kd_sim_host_expect_nothing(host);
    kd_sim_host_ask(host, 0x3146, 0, 0);
    kd_sim_host_expect(host, KD_SIM_TYPE_MANIPULATE, ODD);
}

static size_t
build_request(uint8_t packet[static KD_SIM_PACKET_MAX_BYTES])
{
    uint8_t request[56] = {0x46, 0x31};
    return kd_sim_packet_build(KD_SIM_DIALECT_SERIAL, KD_SIM_TYPE_MANIPULATE, EVEN, request,
                               sizeof request, packet);
}

static void
test_wrong_checksum_is_resent(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    size_t len_bytes = build_request(packet);
    packet[30]++;
    expect_refusal(*f, packet, len_bytes);
}

static void
test_wrong_trailer_is_resent(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    size_t len_bytes = build_request(packet);
    packet[len_bytes - 1] = 0x55;
    expect_refusal(*f, packet, len_bytes);
}

static void
test_impossible_length_is_resent(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    size_t len_bytes = build_request(packet);
    kd_sim_put16(packet + 6, 4001);
    expect_refusal(*f, packet, len_bytes);
}

static void
test_short_payload_is_resent_after_silence(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    size_t len_bytes = build_request(packet);
    kd_sim_host_attach(*f);
    kd_sim_host_say(*f, packet, len_bytes - 20);
    kd_sim_host_expect_nothing(*f);
    kd_sim_host_pass_time(*f, KD_SIM_HOST_WAIT_US);
    kd_sim_host_expect(*f, KD_SIM_TYPE_RESEND, 0);
    kd_sim_host_ask(*f, 0x3146, 0, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_MANIPULATE, ODD);
}

static void
test_packets_are_found_byte_by_byte_among_others(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    static const char noise[] = "i00 ii000 iii \xaa";
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    size_t len_bytes = build_request(packet);
    kd_sim_host_attach(*f);
    kd_sim_host_say(*f, noise, sizeof noise);
    for (size_t i = 0; i < len_bytes; i++)
        kd_sim_host_say(*f, packet + i, 1);
    kd_sim_host_expect(*f, KD_SIM_TYPE_ACK, EVEN);
    kd_sim_host_expect(*f, KD_SIM_TYPE_MANIPULATE, ODD);
    g_assert_cmpuint(kd_sim_link_get_stat((*f)->link)->eaten, ==, sizeof noise);
}

static void
test_break_in_before_a_packet_is_no_break_in(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t bytes[1 + KD_SIM_HEADER_BYTES] = {BREAK_IN};
    (void)kd_sim_packet_build_control(KD_SIM_TYPE_RESET, 0, bytes + 1);
    kd_sim_host_attach(*f);
    kd_sim_host_say(*f, bytes, sizeof bytes);
    kd_sim_host_expect(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_attach(*f);
    kd_sim_host_pass_time(*f, KD_SIM_HOST_WAIT_US);
    g_assert_cmpuint(kd_sim_link_get_stat((*f)->link)->break_ins, ==, 0);
    kd_sim_host_continue(*f);
    kd_sim_host_expect_nothing(*f);
    g_assert_true(kd_sim_machine_is_running((*f)->machine));
}

static void
test_lone_break_in_while_halted_is_stale_after_continue(KdSimHost **f,
                                                        gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_attach(*f);
    kd_sim_host_say(*f, "b", 1);
    kd_sim_host_expect_nothing(*f);
    kd_sim_host_pass_time(*f, KD_SIM_HOST_WAIT_US);
    kd_sim_host_attach(*f);
    kd_sim_host_continue(*f);
    /* it breaks once more */
    kd_sim_host_attach(*f);
    kd_sim_host_continue(*f);
    kd_sim_host_expect_nothing(*f);
}

static void
test_running_target_hears_break_ins_alone(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t request[56] = {0x46, 0x31};
    kd_sim_host_attach(*f);
    kd_sim_host_continue(*f);
    kd_sim_host_say_data(*f, KD_SIM_TYPE_MANIPULATE, request, sizeof request);
    kd_sim_host_say_control(*f, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_pass_time(*f, 10 * KD_SIM_HOST_WAIT_US);
    kd_sim_host_expect_nothing(*f);
    g_assert_cmpuint(kd_sim_link_get_stat((*f)->link)->eaten, ==, 16 + 56 + 1 + 16);
    kd_sim_host_say(*f, "b", 1);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, ODD);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 24), ==, KD_SIM_BREAK_ADDRESS);
}

static void
test_print_is_given_up_after_twenty_tries(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_attach(*f);
    kd_sim_host_continue(*f);
    kd_sim_machine_print((*f)->machine, 3, (*f)->now_us);
    for (int i = 0; i < 20; i++) {
        kd_sim_host_expect(*f, KD_SIM_TYPE_DEBUG_IO, ODD);
        kd_sim_host_expect_nothing(*f);
        kd_sim_host_pass_time(*f, KD_SIM_HOST_WAIT_US);
    }
    kd_sim_host_expect_nothing(*f);
    const KdSimMachineStat *stat = kd_sim_machine_get_stat((*f)->machine);
    g_assert_cmpuint(stat->gave_up, ==, 1);
    g_assert_cmpuint(stat->unheard, ==, 2);
    g_assert_true(kd_sim_machine_is_running((*f)->machine));
}

static void
test_host_that_comes_back_is_welcomed(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_attach(*f);
    kd_sim_host_continue(*f);
    kd_sim_machine_print((*f)->machine, 1, (*f)->now_us);
    kd_sim_host_pass_time(*f, 20 * KD_SIM_HOST_WAIT_US);
    g_queue_clear_full(&(*f)->out, (GDestroyNotify)g_bytes_unref);
    kd_sim_host_say(*f, "b", 1);
    kd_sim_host_expect(*f, KD_SIM_TYPE_DEBUG_IO, FIRST);
    g_assert_cmpmem((*f)->payload + 16, kd_sim_get32((*f)->payload + 8), KD_SIM_REFRESH_TEXT,
                    strlen(KD_SIM_REFRESH_TEXT));
    kd_sim_host_say_control(*f, KD_SIM_TYPE_ACK, EVEN);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, ODD);
}

static void
test_reboot_begins_with_the_sync_bit_again(void)
{
    const KdSimMachineOptions options = {.boot_us = 50000};
    g_autoptr(KdSimHost) host = kd_sim_host_new(KD_SIM_DIALECT_SERIAL, &options);
    kd_sim_host_attach(host);
    kd_sim_host_ask(host, 0x313B, 0, 0);
    kd_sim_host_say_control(host, KD_SIM_TYPE_RESET, 0);
    kd_sim_host_expect_nothing(host);
    kd_sim_host_pass_time(host, 50000);
    kd_sim_host_expect(host, KD_SIM_TYPE_STATE_CHANGE, FIRST);
    g_assert_cmpuint(kd_sim_machine_get_stat(host->machine)->boots, ==, 2);
}

static void
test_busy_carrier_is_tried_again(void)
{
    const KdSimMachineOptions options = {.is_run_at_boot = TRUE};
    g_autoptr(KdSimHost) host = kd_sim_host_new(KD_SIM_DIALECT_SERIAL, &options);
    host->is_busy = TRUE;
    kd_sim_machine_raise(host->machine, host->now_us);
    host->is_busy = FALSE;
    kd_sim_host_expect_nothing(host);
    kd_sim_host_pass_time(host, KD_SIM_HOST_WAIT_US);
    kd_sim_host_expect(host, KD_SIM_TYPE_STATE_CHANGE, FIRST);
}

/* A request with a few bytes changed, any type, any length */
static size_t
build_noise(KdSimHost *host, GRand *rand, uint8_t packet[static KD_SIM_PACKET_MAX_BYTES])
{
    static const uint8_t types[] = {KD_SIM_TYPE_MANIPULATE, KD_SIM_TYPE_DEBUG_IO,
                                    KD_SIM_TYPE_FILE_IO};
    uint8_t payload[KD_SIM_PAYLOAD_MAX_BYTES];
    const size_t payload_bytes = (size_t)g_rand_int_range(rand, 0, 200);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)g_rand_int(rand);
    kd_sim_put32(payload, 0x3130 + (uint32_t)g_rand_int_range(rand, 0, 0x31));
    if (g_rand_int_range(rand, 0, 2) == 0)
        kd_sim_put64(payload + 16, KD_SIM_RAM_ADDRESS + g_rand_int(rand) % 0x500000);
    size_t len_bytes = kd_sim_packet_build(host->dialect, types[g_rand_int_range(rand, 0, 3)],
                                           host->in_id, payload, payload_bytes, packet);
    if (g_rand_int_range(rand, 0, 8) == 0)
        packet[g_rand_int_range(rand, 0, (gint32)len_bytes)] ^= 1;
    return len_bytes;
}

static void
expect_to_survive(KdSimDialect dialect)
{
    g_autoptr(KdSimHost) host = kd_sim_host_new(dialect, NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)dialect);
    for (int i = 0; i < 3000; i++) {
        uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
        size_t len_bytes = build_noise(host, rand, packet);
        kd_sim_host_say(host, packet, len_bytes);
        /* what it has sent last is taken, or it says it is */
        while (host->out.length > 1)
            g_bytes_unref(g_queue_pop_head(&host->out));
        kd_sim_host_pass_time(host, g_rand_int_range(rand, 0, 20000));
        GBytes *last = g_queue_peek_tail(&host->out);
        if (last != NULL)
            kd_sim_host_say_control(
                host, KD_SIM_TYPE_ACK,
                kd_sim_get32((const uint8_t *)g_bytes_get_data(last, NULL) + 8) & ~KD_SIM_SYNC_ID);
        host->in_id = g_rand_int_range(rand, 0, 2) == 0 ? KD_SIM_INITIAL_ID : ODD;
        kd_sim_host_say(host, "b", g_rand_int_range(rand, 0, 4) == 0);
    }
    g_assert_cmpuint(kd_sim_machine_get_stat(host->machine)->requests, >, 100);
}

static void
test_noise_breaks_nothing(void)
{
    expect_to_survive(KD_SIM_DIALECT_SERIAL);
    expect_to_survive(KD_SIM_DIALECT_USB);
}

#define ADD(name, function) \
    g_test_add("/sim/serial/" name, KdSimHost *, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("first-packet-has-the-sync-bit", test_first_packet_has_the_sync_bit);
    ADD("exception-is-repeated-for-ever", test_exception_is_repeated_for_ever);
    ADD("reset-is-answered-and-the-packet-repeated",
        test_reset_is_answered_and_the_packet_repeated);
    ADD("reset-of-a-halted-target-repeats-its-state-change",
        test_reset_of_a_halted_target_repeats_its_state_change);
    ADD("opening-of-a-debugger", test_opening_of_a_debugger);
    ADD("ack-with-the-sync-bit-counts-for-nothing", test_ack_with_the_sync_bit_counts_for_nothing);
    ADD("resend-repeats-the-packet-at-once", test_resend_repeats_the_packet_at_once);
    ADD("data-instead-of-an-ack-is-resent", test_data_instead_of_an_ack_is_resent);
    ADD("duplicate-is-acknowledged-and-dropped", test_duplicate_is_acknowledged_and_dropped);
    ADD("wrong-checksum-is-resent", test_wrong_checksum_is_resent);
    ADD("wrong-trailer-is-resent", test_wrong_trailer_is_resent);
    ADD("impossible-length-is-resent", test_impossible_length_is_resent);
    ADD("short-payload-is-resent-after-silence", test_short_payload_is_resent_after_silence);
    ADD("packets-are-found-byte-by-byte-among-others",
        test_packets_are_found_byte_by_byte_among_others);
    ADD("break-in-before-a-packet-is-no-break-in", test_break_in_before_a_packet_is_no_break_in);
    ADD("lone-break-in-while-halted-is-stale-after-continue",
        test_lone_break_in_while_halted_is_stale_after_continue);
    ADD("running-target-hears-break-ins-alone", test_running_target_hears_break_ins_alone);
    ADD("print-is-given-up-after-twenty-tries", test_print_is_given_up_after_twenty_tries);
    ADD("host-that-comes-back-is-welcomed", test_host_that_comes_back_is_welcomed);
    g_test_add_func("/sim/serial/reboot-begins-with-the-sync-bit-again",
                    test_reboot_begins_with_the_sync_bit_again);
    g_test_add_func("/sim/serial/noise-breaks-nothing", test_noise_breaks_nothing);
    g_test_add_func("/sim/serial/busy-carrier-is-tried-again", test_busy_carrier_is_tried_again);
    return g_test_run();
}

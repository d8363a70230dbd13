/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target at a USB debug cable: names and transfers (LINKS 3.2). */
#include "kd-sim-usb.h"

#include "kd-sim-host.h"

#include <string.h>

/* The bench's link is not used here but for its queue. */
typedef struct {
    KdSimHost host;
    KdSimUsb *usb;
} Cable;

static Cable *
cable_new(const char *name, gboolean is_name_late)
{
    const KdSimUsbOptions options = {.name = name, .is_name_late = is_name_late};
    Cable *cable = g_new0(Cable, 1);
    cable->host.dialect = KD_SIM_DIALECT_USB;
    g_queue_init(&cable->host.out);
    cable->host.machine = kd_sim_machine_new(NULL);
    cable->usb = kd_sim_usb_new(cable->host.machine, &options, kd_sim_host_collect, &cable->host);
    cable->host.link = kd_sim_usb_get_link(cable->usb);
    return cable;
}

static void
cable_free(Cable *cable)
{
    g_queue_clear_full(&cable->host.out, (GDestroyNotify)g_bytes_unref);
    kd_sim_usb_free(cable->usb);
    kd_sim_machine_free(cable->host.machine);
    g_free(cable);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cable, cable_free)

static void
say(Cable *cable, const char *text)
{
    kd_sim_usb_receive(cable->usb, (const uint8_t *)text, strlen(text), 0);
}

static void
expect_name(Cable *cable, const char *answer, size_t answer_bytes)
{
    g_autoptr(GBytes) sent = g_queue_pop_head(&cable->host.out);
    g_autoptr(GBytes) expected = g_bytes_new(answer, answer_bytes);
    g_assert_nonnull(sent);
    g_assert_true(g_bytes_equal(sent, expected));
}

static void
test_name_ends_with_two_nuls(void)
{
    g_autoptr(Cable) cable = cable_new("LAB-1", FALSE);
    say(cable, "NAME?");
    expect_name(cable, "NAME=LAB-1\0", 12);
    kd_sim_host_expect_nothing(&cable->host);
}

static void
test_late_name_comes_behind_a_packet(void)
{
    g_autoptr(Cable) cable = cable_new(NULL, TRUE);
    say(cable, "NAME?");
    kd_sim_host_expect_nothing(&cable->host);
    kd_sim_machine_boot(cable->host.machine, 0);
    kd_sim_host_expect(&cable->host, KD_SIM_TYPE_STATE_CHANGE, KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID);
    expect_name(cable, "NAME=KDSIM\0", 12);
}

static void
test_transfer_is_a_packet_without_trailer(void)
{
    g_autoptr(Cable) cable = cable_new(NULL, FALSE);
    kd_sim_machine_boot(cable->host.machine, 0);
    g_autoptr(GBytes) sent = g_bytes_ref(g_queue_peek_head(&cable->host.out));
    g_assert_cmpuint(g_bytes_get_size(sent), ==, KD_SIM_HEADER_BYTES + 0xF0);
}

static void
test_ack_may_have_the_sync_bit(void)
{
    g_autoptr(Cable) cable = cable_new(NULL, FALSE);
    kd_sim_machine_boot(cable->host.machine, 0);
    kd_sim_host_expect(&cable->host, KD_SIM_TYPE_STATE_CHANGE, KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID);
    kd_sim_host_say_control(&cable->host, KD_SIM_TYPE_ACK, KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID);
    g_assert_cmpuint(kd_sim_machine_get_stat(cable->host.machine)->taken, ==, 1);
}

static void
test_empty_transfer_means_nothing(void)
{
    g_autoptr(Cable) cable = cable_new(NULL, FALSE);
    kd_sim_usb_receive(cable->usb, NULL, 0, 0);
    g_assert_cmpuint(kd_sim_link_get_stat(cable->host.link)->damaged, ==, 0);
}

static void
test_break_in_is_a_transfer_of_one_byte(void)
{
    const KdSimMachineOptions options = {.is_run_at_boot = TRUE};
    g_autoptr(KdSimHost) host = kd_sim_host_new(KD_SIM_DIALECT_USB, &options);
    kd_sim_host_say(host, "b", 1);
    kd_sim_host_expect(host, KD_SIM_TYPE_STATE_CHANGE, KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID);
}

static void
test_early_break_in_is_dropped_or_kept(void)
{
    const KdSimLinkOptions options[] = {{0}, {.is_break_in_kept = TRUE}};
    for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autoptr(KdSimHost) host = kd_sim_host_new(KD_SIM_DIALECT_USB, NULL);
        kd_sim_link_free(host->link);
        host->link = kd_sim_link_new(KD_SIM_DIALECT_USB, host->machine, &options[i],
                                     kd_sim_host_collect, host);
        kd_sim_machine_reboot(host->machine, host->now_us);
        g_bytes_unref(g_queue_pop_head(&host->out));
        kd_sim_host_attach(host);
        kd_sim_host_say(host, "b", 1);
        kd_sim_host_continue(host);
        if (i == 1)
            kd_sim_host_attach(host);
        kd_sim_host_expect_nothing(host);
    }
}

static void
test_cut_transfer_is_resent(void)
{
    g_autoptr(KdSimHost) host = kd_sim_host_new(KD_SIM_DIALECT_USB, NULL);
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    uint8_t request[56] = {0x46, 0x31};
    kd_sim_host_attach(host);
    size_t len_bytes = kd_sim_packet_build(KD_SIM_DIALECT_USB, KD_SIM_TYPE_MANIPULATE,
                                           KD_SIM_INITIAL_ID, request, sizeof request, packet);
    kd_sim_host_say(host, packet, len_bytes - 1);
    kd_sim_host_expect(host, KD_SIM_TYPE_RESEND, 0);
    kd_sim_host_expect_nothing(host);
}

static void
test_repeat_to_a_running_target_is_acknowledged(void)
{
    g_autoptr(KdSimHost) host = kd_sim_host_new(KD_SIM_DIALECT_USB, NULL);
    uint8_t request[56] = {0x36, 0x31};
    kd_sim_host_attach(host);
    kd_sim_host_continue(host);
    host->in_id ^= 1;
    kd_sim_host_say_data(host, KD_SIM_TYPE_MANIPULATE, request, sizeof request);
    kd_sim_host_expect(host, KD_SIM_TYPE_ACK, host->in_id);
    host->in_id ^= 1;
    kd_sim_host_say_data(host, KD_SIM_TYPE_MANIPULATE, request, sizeof request);
    kd_sim_host_expect_nothing(host);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/usb/name-ends-with-two-nuls", test_name_ends_with_two_nuls);
    g_test_add_func("/sim/usb/late-name-comes-behind-a-packet",
                    test_late_name_comes_behind_a_packet);
    g_test_add_func("/sim/usb/transfer-is-a-packet-without-trailer",
                    test_transfer_is_a_packet_without_trailer);
    g_test_add_func("/sim/usb/ack-may-have-the-sync-bit", test_ack_may_have_the_sync_bit);
    g_test_add_func("/sim/usb/empty-transfer-means-nothing", test_empty_transfer_means_nothing);
    g_test_add_func("/sim/usb/break-in-is-a-transfer-of-one-byte",
                    test_break_in_is_a_transfer_of_one_byte);
    g_test_add_func("/sim/usb/early-break-in-is-dropped-or-kept",
                    test_early_break_in_is_dropped_or_kept);
    g_test_add_func("/sim/usb/cut-transfer-is-resent", test_cut_transfer_is_resent);
    g_test_add_func("/sim/usb/repeat-to-a-running-target-is-acknowledged",
                    test_repeat_to_a_running_target_is_acknowledged);
    return g_test_run();
}

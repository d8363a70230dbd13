/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bad way does what its plan says, as often as it says, and the same for the same seed. */
#include "kd-sim-faults.h"

#include <string.h>

#define PACKETS 20000u

typedef struct {
    KdSimFaults *faults;
    GArray *arrived; /* of guint32: the numbers in the packets */
    guint n_changed;
    KdSimPeer peer;
    size_t n_bytes;
    gboolean is_busy;
} Way;

static gboolean
on_deliver(KdSimWay way G_GNUC_UNUSED, const uint8_t *bytes, size_t len_bytes,
           const KdSimPeer *peer, void *user)
{
    Way *end = user;
    guint32 number[2] = {0, 0};
    if (end->is_busy)
        return FALSE;
    end->n_bytes += len_bytes;
    memcpy(number, bytes, MIN(len_bytes, sizeof number));
    if (number[0] != number[1])
        end->n_changed++;
    else
        g_array_append_val(end->arrived, number[0]);
    if (peer != NULL)
        end->peer = *peer;
    return TRUE;
}

static void
open_way(Way *way, const char *plan_text, gboolean is_stream)
{
    KdSimFaultPlan plan = {0};
    g_assert_true(kd_sim_fault_plan_parse(plan_text, is_stream, &plan, NULL));
    way->arrived = g_array_new(FALSE, FALSE, sizeof(guint32));
    way->faults = kd_sim_faults_new(42, is_stream, on_deliver, way);
    kd_sim_faults_set(way->faults, &plan);
}

static void
close_way(Way *way)
{
    kd_sim_faults_free(way->faults);
    g_array_unref(way->arrived);
}

static void
send_all(Way *way)
{
    for (guint32 i = 0; i < PACKETS; i++) {
        const guint32 packet[2] = {i, i};
        g_assert_true(kd_sim_faults_pass(way->faults, KD_SIM_WAY_OUT, (const uint8_t *)packet,
                                         sizeof packet, NULL, i));
    }
    kd_sim_faults_tick(way->faults, G_MAXINT64);
}

static void
test_good_way_delivers_at_once(void)
{
    Way way = {0};
    const KdSimPeer peer = {.port = 4711};
    const guint32 packet[2] = {0};
    open_way(&way, "loss=0", FALSE);
    send_all(&way);
    g_assert_cmpuint(way.arrived->len, ==, PACKETS);
    g_assert_true(kd_sim_faults_pass(way.faults, KD_SIM_WAY_IN, (const uint8_t *)packet,
                                     sizeof packet, &peer, 0));
    g_assert_cmpuint(way.peer.port, ==, 4711);
    way.is_busy = TRUE;
    g_assert_false(kd_sim_faults_pass(way.faults, KD_SIM_WAY_IN, (const uint8_t *)packet,
                                      sizeof packet, NULL, 0));
    close_way(&way);
}

static void
test_loss_is_as_frequent_as_planned(void)
{
    Way way = {0};
    open_way(&way, "loss=20", FALSE);
    send_all(&way);
    g_assert_cmpuint(way.arrived->len, ==, PACKETS - kd_sim_faults_get_stat(way.faults)->lost);
    g_assert_cmpuint(way.arrived->len, >, PACKETS * 78 / 100);
    g_assert_cmpuint(way.arrived->len, <, PACKETS * 82 / 100);
    close_way(&way);
}

static void
test_duplicates_come_twice(void)
{
    Way way = {0};
    open_way(&way, "duplicate=10", FALSE);
    send_all(&way);
    const uint64_t n = kd_sim_faults_get_stat(way.faults)->duplicated;
    g_assert_cmpuint(way.arrived->len, ==, PACKETS + n);
    g_assert_cmpuint(n, >, PACKETS * 8 / 100);
    g_assert_cmpuint(n, <, PACKETS * 12 / 100);
    close_way(&way);
}

static void
test_nobody_is_overtaken_by_more_than_planned(void)
{
    Way way = {0};
    guint n_late = 0;
    open_way(&way, "reorder=5", FALSE);
    send_all(&way);
    g_assert_cmpuint(way.arrived->len, ==, PACKETS);
    for (guint i = 0; i < PACKETS; i++) {
        guint32 number = g_array_index(way.arrived, guint32, i);
        guint n_overtakers = 0;
        for (guint k = i >= 16 ? i - 16 : 0; k < i; k++)
            n_overtakers += g_array_index(way.arrived, guint32, k) > number;
        g_assert_cmpuint(n_overtakers, <=, 5);
        n_late += n_overtakers > 0;
    }
    g_assert_cmpuint(n_late, >, PACKETS / 10);
    close_way(&way);
}

static void
test_held_packet_comes_without_others(void)
{
    Way way = {0};
    open_way(&way, "reorder=5", FALSE);
    while (way.arrived->len == kd_sim_faults_get_stat(way.faults)->passed) {
        const guint32 packet[2] = {0};
        (void)kd_sim_faults_pass(way.faults, KD_SIM_WAY_OUT, (const uint8_t *)packet, sizeof packet,
                                 NULL, 0);
    }
    gint64 deadline_us = kd_sim_faults_get_deadline_us(way.faults);
    g_assert_cmpint(deadline_us, >, 0);
    kd_sim_faults_tick(way.faults, deadline_us);
    g_assert_cmpuint(way.arrived->len, ==, kd_sim_faults_get_stat(way.faults)->passed);
    g_assert_cmpint(kd_sim_faults_get_deadline_us(way.faults), ==, -1);
    close_way(&way);
}

static void
test_corruption_changes_one_bit(void)
{
    Way way = {0};
    open_way(&way, "corrupt=10", FALSE);
    send_all(&way);
    g_assert_cmpuint(way.arrived->len + way.n_changed, ==, PACKETS);
    g_assert_cmpuint(way.n_changed, ==, kd_sim_faults_get_stat(way.faults)->corrupted);
    g_assert_cmpuint(way.n_changed, >, PACKETS * 8 / 100);
    close_way(&way);
}

static void
test_delayed_stream_keeps_its_order(void)
{
    Way way = {0};
    open_way(&way, "delay=3", TRUE);
    send_all(&way);
    g_assert_cmpuint(way.arrived->len, ==, PACKETS);
    for (guint32 i = 0; i < PACKETS; i++)
        g_assert_cmpuint(g_array_index(way.arrived, guint32, i), ==, i);
    g_assert_cmpuint(kd_sim_faults_get_stat(way.faults)->delayed, ==, PACKETS);
    close_way(&way);
}

static void
test_stream_loses_bytes(void)
{
    Way way = {0};
    open_way(&way, "loss=10", TRUE);
    send_all(&way);
    g_assert_cmpuint(way.n_bytes, ==, PACKETS * 8 - kd_sim_faults_get_stat(way.faults)->lost);
    g_assert_cmpuint(kd_sim_faults_get_stat(way.faults)->lost, >, 0);
    close_way(&way);
}

static void
test_same_seed_has_the_same_faults(void)
{
    Way ways[2] = {{0}, {0}};
    for (guint i = 0; i < 2; i++) {
        open_way(&ways[i], "loss=5,duplicate=10,reorder=5,corrupt=1", FALSE);
        send_all(&ways[i]);
    }
    g_assert_cmpmem(ways[0].arrived->data, ways[0].arrived->len * 4, ways[1].arrived->data,
                    ways[1].arrived->len * 4);
    close_way(&ways[0]);
    close_way(&ways[1]);
}

static void
test_wrong_plans_are_refused(void)
{
    static const char *const plans[] = {"loss",    "loss=",     "loss=101",
                                        "loss=-1", "reorder=x", "colour=5",
                                        "",        "loss=5,,",  "delay=99999999"};
    for (guint i = 0; i < G_N_ELEMENTS(plans); i++) {
        g_autoptr(GError) error = NULL;
        KdSimFaultPlan plan = {.loss = 0.5};
        g_assert_false(kd_sim_fault_plan_parse(plans[i], FALSE, &plan, &error));
        g_assert_nonnull(error);
        g_assert_cmpfloat(plan.loss, ==, 0.5);
    }
    KdSimFaultPlan plan = {0};
    g_assert_false(kd_sim_fault_plan_parse("duplicate=1", TRUE, &plan, NULL));
    g_assert_false(kd_sim_fault_plan_parse("reorder=1", TRUE, &plan, NULL));
    g_assert_true(kd_sim_fault_plan_parse("reorder=0", TRUE, &plan, NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/faults/good-way-delivers-at-once", test_good_way_delivers_at_once);
    g_test_add_func("/sim/faults/loss-is-as-frequent-as-planned",
                    test_loss_is_as_frequent_as_planned);
    g_test_add_func("/sim/faults/duplicates-come-twice", test_duplicates_come_twice);
    g_test_add_func("/sim/faults/nobody-is-overtaken-by-more-than-planned",
                    test_nobody_is_overtaken_by_more_than_planned);
    g_test_add_func("/sim/faults/held-packet-comes-without-others",
                    test_held_packet_comes_without_others);
    g_test_add_func("/sim/faults/corruption-changes-one-bit", test_corruption_changes_one_bit);
    g_test_add_func("/sim/faults/delayed-stream-keeps-its-order",
                    test_delayed_stream_keeps_its_order);
    g_test_add_func("/sim/faults/stream-loses-bytes", test_stream_loses_bytes);
    g_test_add_func("/sim/faults/same-seed-has-the-same-faults",
                    test_same_seed_has_the_same_faults);
    g_test_add_func("/sim/faults/wrong-plans-are-refused", test_wrong_plans_are_refused);
    return g_test_run();
}

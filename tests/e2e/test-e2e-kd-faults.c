/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KDNET on a network that loses, doubles, reorders and damages: the same script with the same
 * bytes, only slower. */
#include "kd-e2e-debug.h"

#define KEY        KD_E2E_NET_KEY
#define READ_BYTES 65536u
#define FEW_BYTES  8192u /* where each packet takes long */

/* The target misuses its own datagrams, on both ways. The reboot in the script gives it another
 * source port. @retry_ms: how long it waits for an ACK */
static void
expect_script(KdE2eStage *stage, const char *faults, const char *retry_ms, const char *seed,
              gsize read_bytes)
{
    const char *const options[] = {"--retry", retry_ms, "--seed", seed, NULL};
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net_with(stage, "box", KEY, options);
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autofree char *order = g_strconcat("faults ", faults, NULL);
    g_autofree char *stat = NULL;
    gint64 began_us = g_get_monotonic_time();

    kd_e2e_stage_start(stage, NULL);
    kd_e2e_target_order(target, order);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    kd_e2e_debug_expect_script(debug, read_bytes);
    stat = kd_e2e_target_ask(target, "stat");
    g_test_message("%s: %.1f s, %s", faults,
                   (double)(g_get_monotonic_time() - began_us) / G_USEC_PER_SEC, stat);
}

#define CASE(name, faults, retry_ms, seed, read_bytes)            \
    static void name(KdE2eStage *stage, gconstpointer no)         \
    {                                                             \
        (void)no;                                                 \
        expect_script(stage, faults, retry_ms, seed, read_bytes); \
    }

CASE(test_loss, "loss=5,duplicate=0,reorder=0,corrupt=0,delay=0", "500", "1", READ_BYTES)
CASE(test_heavy_loss, "loss=20,duplicate=0,reorder=0,corrupt=0,delay=0", "100", "1", READ_BYTES)
CASE(test_duplicates, "loss=0,duplicate=10,reorder=0,corrupt=0,delay=0", "500", "1", READ_BYTES)
CASE(test_reorder, "loss=0,duplicate=0,reorder=5,corrupt=0,delay=0", "500", "1", READ_BYTES)
CASE(test_corrupt, "loss=0,duplicate=0,reorder=0,corrupt=0.1,delay=0", "500", "1", READ_BYTES)
CASE(test_all, "loss=5,duplicate=10,reorder=5,corrupt=0.1,delay=0", "100", "1", READ_BYTES)
/* The target's own time; with these seeds packets are lost whose loss a careless repetition makes
 * good for ever: a reply and its ACK, a state change and that of the Continue before it. */
CASE(test_worst, "loss=20,duplicate=10,reorder=5,corrupt=0.1,delay=0", "1000", "4", FEW_BYTES)
CASE(test_halts, "loss=20,duplicate=0,reorder=0,corrupt=0,delay=0", "1000", "3", FEW_BYTES)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kd-faults/one-of-twenty-is-lost", test_loss);
    kd_e2e_add("/e2e/kd-faults/one-of-five-is-lost", test_heavy_loss);
    kd_e2e_add("/e2e/kd-faults/one-of-ten-comes-twice", test_duplicates);
    kd_e2e_add("/e2e/kd-faults/they-come-out-of-order", test_reorder);
    kd_e2e_add("/e2e/kd-faults/one-of-thousand-is-damaged", test_corrupt);
    kd_e2e_add("/e2e/kd-faults/all-of-it-at-once", test_all);
    kd_e2e_add("/e2e/kd-faults/all-of-it-at-once-and-much", test_worst);
    kd_e2e_add("/e2e/kd-faults/one-of-five-is-lost-by-a-slow-target", test_halts);
    return g_test_run();
}

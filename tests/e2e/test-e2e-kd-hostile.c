/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KDNET with somebody on the network who has written everything down and sends it once more:
 * nothing comes of it. */
#include "kd-e2e-canary.h"
#include "kd-e2e-debug.h"
#include "kd-e2e-net.h"

#include <gio/gio.h>

#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536u
/* A server with a sanitizer is given what it can look at */
#define N_PER_SECOND (KD_E2E_IS_SANITIZED ? 20000u : 100000u)
/* The key of the canary: its words are nobody's */
#define KEY         "kanar1env0ge.ze1s1g7.gr1ll3nf4nge.9x4q"
#define FIRST_PART  "kanar1env0ge"
#define SECOND_PART "gr1ll3nf4nge"
#define WRONG_KEY   "kanar1env0ge.ze1s1g7.gr1ll3nf4nge"

static const char *const loud[] = {"G_MESSAGES_DEBUG=all", NULL};

/* ---- a flood ---- */

/* Every datagram of both ways: data of this session and of the one before the reboot, pokes of
 * both, and the server's own words. */
static GPtrArray *
list_all(KdE2eNetRelay *relay)
{
    g_autoptr(GPtrArray) back = kd_e2e_net_relay_list(relay, KD_E2E_NET_TO_TARGET);
    GPtrArray *all = kd_e2e_net_relay_list(relay, KD_E2E_NET_TO_SERVER);

    for (guint i = 0; i < back->len; i++) {
        g_ptr_array_add(all, g_bytes_ref(back->pdata[i]));
    }
    return all;
}

static void
order(KdDebugger *debugger, const char *line)
{
    g_autoptr(GString) transcript = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    (void)kd_debugger_script_order(debugger, line, transcript, &error);
    if (error != NULL) {
        g_test_message("%s: %s", line, transcript->str);
    }
    g_assert_no_error(error);
}

/* All that a session has but a reboot; returns how long it took. */
static gint64
work(KdDebugger *debugger)
{
    static const char *const lines[] = {
        "version",
        "read pattern 65536",
        "write scratch 5000",
        "read scratch 5000",
        "context",
        "bp tick",
        "continue",
        "wait",
        "clear 1",
        "continue",
        "break",
        "read pattern 65536",
    };
    gint64 began_us = g_get_monotonic_time();

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        order(debugger, lines[i]);
    }
    return g_get_monotonic_time() - began_us;
}

/**
 * Siege:
 * @flood: (nullable): what is sent
 * @n_responses: of the server to pokes, before the flood
 *
 * A session in its second boot, and all that was said so far.
 */
typedef struct {
    guint port;
    int lock;
    KdE2eNetRelay *relay;
    KdE2eTarget *target;
    KdE2eDebug *debug;
    KdDebugger *debugger;
    KdE2eNetFlood *flood;
    guint n_responses;
    gint64 calm_us;
} Siege;

static guint
count_responses(const Siege *siege)
{
    return kd_e2e_net_relay_count(siege->relay, KD_E2E_NET_TO_TARGET, KD_E2E_NET_CONTROL);
}

static void
siege_set_up(Siege *siege, KdE2eStage *stage)
{
    g_autoptr(GPtrArray) datagrams = NULL;
    KdDebuggerStop stop;
    guint way_port = 0;

    *siege = (Siege){.lock = -1};
    siege->port = kd_e2e_target_take_net_port(&siege->lock);
    siege->relay = kd_e2e_net_relay_new(siege->port, &way_port);
    siege->target = kd_e2e_target_new_net_at(stage, "box", KD_E2E_NET_KEY, siege->port, way_port);
    kd_e2e_stage_start(stage, NULL);
    siege->debug = kd_e2e_debug_new(stage, "box", siege->target->trans);
    siege->debugger = kd_e2e_debug_attach(siege->debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    siege->calm_us = work(siege->debugger);
    order(siege->debugger, "reboot");
    order(siege->debugger, "wait");
    order(siege->debugger, "read pattern 65536");
    datagrams = list_all(siege->relay);
    siege->n_responses = count_responses(siege);
    siege->flood = kd_e2e_net_flood_new(stage, siege->port, datagrams, N_PER_SECOND);
}

/* Ends the flood: nothing came back. */
static void
siege_end(Siege *siege)
{
    KdE2eNetFloodReport report;

    kd_e2e_net_flood_stop(siege->flood, &report);
    g_test_message("%" G_GUINT64_FORMAT " datagrams in %" G_GUINT64_FORMAT " ms, %.0f a second",
                   report.n_sent, report.spent_ms,
                   (double)report.n_sent * 1000 / (double)MAX(report.spent_ms, 1));
    g_assert_cmpuint(report.n_answered, ==, 0);
    work(siege->debugger);
}

static void
siege_clear(Siege *siege)
{
    kd_debugger_free(siege->debugger);
    kd_e2e_debug_free(siege->debug);
    kd_e2e_target_free(siege->target);
    kd_e2e_net_relay_free(siege->relay);
    close(siege->lock);
}

/* The session goes on, and so does the next one. */
static void
test_flood(KdE2eStage *stage, gconstpointer unused)
{
    KdDebuggerStop stop;
    Siege siege;
    gint64 flooded_us;

    (void)unused;
    siege_set_up(&siege, stage);
    flooded_us = work(siege.debugger);
    g_clear_pointer(&siege.debugger, kd_debugger_free);
    siege.debugger = kd_e2e_debug_attach(siege.debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    flooded_us += work(siege.debugger);
    g_test_message("%.3f s for what takes %.3f s without them",
                   (double)flooded_us / 2 / G_USEC_PER_SEC, (double)siege.calm_us / G_USEC_PER_SEC);
    siege_end(&siege);
    g_assert_cmpuint(count_responses(&siege), ==, siege.n_responses);
    g_assert_cmpuint(kd_e2e_target_count(siege.target, "boots"), ==, 2);
    siege_clear(&siege);
}

/* A target that stands says nothing for seconds, while others speak for it all the time. */
static void
test_flood_in_silence(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *wait = NULL;
    Siege siege;

    (void)unused;
    siege_set_up(&siege, stage);
    wait = g_strdup_printf("wait pokes %" G_GUINT64_FORMAT,
                           kd_e2e_target_count(siege.target, "pokes") + 3);
    kd_e2e_target_order(siege.target, wait);
    order(siege.debugger, "read pattern 65536");
    siege_end(&siege);
    g_assert_cmpuint(count_responses(&siege), ==, siege.n_responses);
    siege_clear(&siege);
}

static void
test_flood_and_reboot(KdE2eStage *stage, gconstpointer unused)
{
    Siege siege;

    (void)unused;
    siege_set_up(&siege, stage);
    order(siege.debugger, "reboot");
    order(siege.debugger, "wait");
    order(siege.debugger, "check-zero scratch 5000");
    siege_end(&siege);
    g_assert_cmpuint(count_responses(&siege), >, siege.n_responses);
    g_assert_cmpuint(kd_e2e_target_count(siege.target, "boots"), ==, 3);
    siege_clear(&siege);
}

/* ---- the key ---- */

static KdE2eCanary *
new_canary(const char *part)
{
    return kd_e2e_canary_new("the key", part, strlen(part));
}

static void
expect_silent(KdE2eProgram *program, const char *name)
{
    static const char *const files[] = {"cmdline", "environ"};
    g_autoptr(KdE2eCanary) first = new_canary(FIRST_PART);
    g_autoptr(KdE2eCanary) second = new_canary(SECOND_PART);
    KdE2eCanary *both[] = {first, second};

    for (gsize i = 0; i < G_N_ELEMENTS(both); i++) {
        kd_e2e_canary_expect_not_in_text(both[i], name,
                                         kd_e2e_program_get_text(program, KD_E2E_STDOUT));
        kd_e2e_canary_expect_not_in_text(both[i], name,
                                         kd_e2e_program_get_text(program, KD_E2E_STDERR));
        for (gsize j = 0; j < G_N_ELEMENTS(files) && kd_e2e_program_is_running(program); j++) {
            g_autofree char *path =
                g_strdup_printf("/proc/%d/%s", (int)kd_e2e_program_get_pid(program), files[j]);

            kd_e2e_canary_expect_not_in_file(both[i], path);
        }
    }
}

/* What kd says to a string that cannot be opened, and where its words come out. */
static void
expect_silent_refusal(KdE2eStage *stage, const char *trans)
{
    const KdE2eSetup setup = {.environment = loud};
    g_autofree char *link = kd_e2e_stage_build_link(stage, trans);
    g_autoptr(KdE2eProgram) kd = kd_e2e_stage_run("kd", &setup, "-k", link, "--stdio", NULL);
    g_autoptr(KdE2eProgram) direct = kd_e2e_stage_run("kd", &setup, "-k", trans, "--stdio", NULL);

    g_assert_cmpint(kd_e2e_program_wait(kd), !=, 0);
    expect_silent(kd, "what kd says");
    g_assert_cmpint(kd_e2e_program_wait(direct), !=, 0);
    expect_silent(direct, "what kd says by itself");
}

static void
expect_silent_list(KdE2eStage *stage)
{
    g_autofree char *server = g_strdup_printf("tcp:server=127.0.0.1,port=%u", stage->port);
    g_autoptr(KdE2eProgram) list =
        kd_e2e_stage_run("kd", NULL, "--list", "links", "--server", server, NULL);

    g_assert_cmpint(kd_e2e_program_wait(list), ==, 0);
    expect_silent(list, "the list");
}

static void
test_canary(KdE2eStage *stage, gconstpointer unused)
{
    const KdE2eSetup setup = {.environment = loud};
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autofree char *link = NULL;
    g_autofree char *wrong = g_strdup_printf("net:port=%u,key=" WRONG_KEY, target->net_port);
    g_autofree char *unknown = g_strconcat(target->trans, ",kay=" KEY, NULL);
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    KdDebuggerStop stop;

    (void)unused;
    kd_e2e_stage_start_with(stage, &setup, "-v", NULL);
    link = kd_e2e_stage_build_link(stage, target->trans);
    debug = kd_e2e_debug_new_link(stage, "box", link, &setup);
    debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    kd_e2e_debug_expect_memory(debugger, READ_BYTES);
    expect_silent(debug->kd, "what kd says");
    expect_silent(stage->server, "what kdsrv says");
    expect_silent_refusal(stage, target->trans); /* another one has it */
    expect_silent_refusal(stage, wrong);
    expect_silent_refusal(stage, unknown);
    expect_silent_list(stage);
    g_clear_pointer(&debugger, kd_debugger_free);
    expect_silent(debug->kd, "what kd says");
    expect_silent(stage->server, "what kdsrv says");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kd-hostile/flood-is-not-answered-and-the-session-goes-on", test_flood);
    kd_e2e_add("/e2e/kd-hostile/flood-says-nothing-for-a-silent-target", test_flood_in_silence);
    kd_e2e_add("/e2e/kd-hostile/flood-does-not-hide-a-reboot", test_flood_and_reboot);
    kd_e2e_add("/e2e/kd-hostile/key-is-told-nowhere", test_canary);
    return g_test_run();
}

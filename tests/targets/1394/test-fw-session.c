/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole sessions of a debugger with a simulated target by the 1394 module; the bus is umockdev's,
 * and all that a bus can do to requests is done to them. */
#include "kd-fw-bus.h"
#include "kd-link-session.h"
#include "kd-sim-target.h"

#include <linux/firewire-constants.h>

#define CHANNEL 5u
#define GUID_HI 0x00112233u

static const KdTarget *fw;

/* What is done to requests; of a thousand */
typedef struct {
    guint fails;    /* is not carried out: busy, or no acknowledgement */
    guint lost;     /* is carried out, and the answer is lost          */
    guint shorter;  /* half an answer                                  */
    guint reset_ms; /* a bus reset each so many; 0: none              */
} Chaos;

typedef struct {
    KdFwBus *bus;
    KdSimTarget *sim;
    KdSimMailbox *mailbox;
    guint tick;
    guint resets;
    GRand *rand;
    Chaos chaos;
    guint number;          /* of its node */
    gboolean is_replugged; /* a restart takes the node away */
    gboolean was_booting;
} Place;

/* ---- the target ------------------------------------------------------------------------------ */

static gboolean
on_read(uint64_t offset, uint8_t *bytes, size_t len, void *user)
{
    const Place *place = user;
    return kd_sim_mailbox_read(place->mailbox, offset, bytes, len, g_get_monotonic_time());
}

static gboolean
on_write(uint64_t offset, const uint8_t *bytes, size_t len, void *user)
{
    const Place *place = user;
    return kd_sim_mailbox_write(place->mailbox, offset, bytes, len, g_get_monotonic_time());
}

static const KdFwMemory memory = {on_read, on_write};

static void
plug(Place *place)
{
    uint32_t rom[6 + KD_SIM_MAILBOX_DIRECTORY] = {
        0x0404F00D, 0x31333934, 0x0000A002, GUID_HI, 7, KD_SIM_MAILBOX_DIRECTORY << 16};
    kd_sim_mailbox_build_directory(place->mailbox, rom + 6);
    place->number++;
    kd_fw_bus_plug(place->bus, place->number, rom, G_N_ELEMENTS(rom), &memory, place);
}

/* Its node goes when the machine begins to boot, and comes when it has booted. */
static void
follow(Place *place)
{
    kd_fw_bus_lock(place->bus);
    gboolean is_booting = kd_sim_machine_is_booting(kd_sim_target_get_machine(place->sim));
    kd_fw_bus_unlock(place->bus);
    if (!place->is_replugged || is_booting == place->was_booting)
        return;
    place->was_booting = is_booting;
    if (is_booting)
        kd_fw_bus_unplug(place->bus, place->number);
    else
        plug(place);
}

/* It boots no further than to where its node is known to be gone. */
static gboolean
on_tick(gpointer user)
{
    Place *place = user;
    follow(place);
    gint64 now_us = g_get_monotonic_time();
    kd_fw_bus_lock(place->bus);
    gint64 deadline_us = kd_sim_target_get_deadline_us(place->sim);
    if (deadline_us >= 0 && deadline_us <= now_us)
        kd_sim_target_tick(place->sim, now_us);
    kd_fw_bus_unlock(place->bus);
    follow(place);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_reset(gpointer user)
{
    kd_fw_bus_reset(((Place *)user)->bus);
    return G_SOURCE_CONTINUE;
}

static guint
on_fate(uint32_t tcode, uint64_t offset, uint32_t len, void *user)
{
    static const guint failures[] = {RCODE_BUSY, RCODE_NO_ACK, RCODE_SEND_ERROR};
    Place *place = user;
    const Chaos *chaos = &place->chaos;
    guint at = (guint)g_rand_int_range(place->rand, 0, 1000);
    (void)tcode;
    (void)offset;
    (void)len;
    if (at < chaos->fails)
        return failures[at % G_N_ELEMENTS(failures)];
    at -= chaos->fails;
    if (at < chaos->lost)
        return KD_FW_LOSE;
    at -= MIN(at, chaos->lost);
    if (at < chaos->shorter)
        return KD_FW_SHORTEN;
    return 0;
}

static void
place_init(Place *place, KdFwBus *bus, guint channel, const Chaos *chaos)
{
    const KdSimTargetOptions options = {
        .dialect = KD_SIM_DIALECT_1394, .channel = channel, .boot_ms = 100};
    *place = (Place){.bus = bus, .number = channel * 10};
    place->sim = kd_sim_target_new(&options, NULL);
    place->mailbox = kd_sim_target_get_mailbox(place->sim);
    place->rand = g_rand_new_with_seed(1394 + channel);
    place->tick = g_timeout_add(1, on_tick, place);
    kd_sim_target_boot(place->sim, g_get_monotonic_time());
    plug(place);
    if (chaos == NULL)
        return;
    place->chaos = *chaos;
    kd_fw_bus_set_fate(bus, on_fate, place);
    if (chaos->reset_ms != 0)
        place->resets = g_timeout_add(chaos->reset_ms, on_reset, place);
}

static void
place_clear(Place *place)
{
    g_source_remove(place->tick);
    if (place->resets != 0)
        g_source_remove(place->resets);
    kd_fw_bus_set_fate(place->bus, NULL, NULL);
    kd_sim_target_free(place->sim);
    g_rand_free(place->rand);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void
run_script(KdLinkSession *session, void *user)
{
    const KdDebuggerScript script = {.read_bytes = *(const size_t *)user, .patience_ms = 20000};
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = kd_debugger_script_get_expected(&script);
    g_autofree char *transcript =
        kd_debugger_script_run(&script, kd_link_session_attach, session, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(transcript, ==, expected);
}

static char *
run_case(const Chaos *chaos, size_t read_bytes, gboolean is_replugged)
{
    Place place;
    g_autoptr(KdFwBus) bus = kd_fw_bus_new();
    place_init(&place, bus, CHANNEL, chaos);
    place.is_replugged = is_replugged;
    KdLinkSession *session = kd_link_session_open(fw, "{'channel': <uint64 5>}");
    kd_link_session_run(session, run_script, &read_bytes);
    char *events = g_strdup(kd_link_session_get_events(session));
    g_autoptr(GVariant) status = kd_link_session_get_status(session);
    g_autofree char *text = g_variant_print(status, FALSE);
    g_test_message("status: %s", text);
    kd_link_session_close(session);
    place_clear(&place);
    return events;
}

static void
test_script(void)
{
    g_autofree char *events = run_case(NULL, 1024 * 1024, FALSE);
    g_assert_cmpstr(events, ==, "resync "); /* the script's reboot */
}

static void
test_script_replugged(void)
{
    g_autofree char *events = run_case(NULL, 65536, TRUE);
    g_assert_cmpstr(events, ==, "lost resync back ");
}

static void
test_script_bad_bus(void)
{
    static const Chaos chaos = {.fails = 50, .lost = 20, .shorter = 10};
    g_autofree char *events = run_case(&chaos, 65536, FALSE);
    g_assert_cmpstr(events, ==, "resync ");
}

static void
test_script_resets(void)
{
    static const Chaos chaos = {.fails = 10, .reset_ms = 20};
    g_autofree char *events = run_case(&chaos, 65536, FALSE);
    g_assert_cmpstr(events, ==, "resync ");
}

static void
use(KdLinkSession *session, void *user)
{
    g_autoptr(KdDebugger) debugger = kd_link_session_attach(session, NULL);
    (void)user;
    kd_link_session_order(debugger, "attach");
    kd_link_session_order(debugger, "read pattern 20000");
    kd_link_session_order(debugger, "continue");
    kd_link_session_order(debugger, "break");
}

static void
go_on(KdLinkSession *session, void *user)
{
    g_autoptr(KdDebugger) debugger = kd_link_session_attach(session, NULL);
    (void)user;
    kd_link_session_order(debugger, "attach");
    kd_link_session_order(debugger, "continue");
}

static void
test_next_debugger(void)
{
    Place place;
    g_autoptr(KdFwBus) bus = kd_fw_bus_new();
    place_init(&place, bus, CHANNEL, NULL);
    KdLinkSession *session = kd_link_session_open(fw, "{'channel': <uint64 5>}");
    for (guint i = 0; i < 3; i++)
        kd_link_session_run(session, use, NULL);
    kd_link_session_run(session, go_on, NULL);
    g_assert_cmpstr(kd_link_session_get_events(session), ==, "");
    kd_link_session_close(session);
    /* and another server */
    session = kd_link_session_open(fw, "{'channel': <uint64 5>}");
    kd_link_session_run(session, use, NULL);
    kd_link_session_close(session);
    place_clear(&place);
}

static void
use_both(KdLinkSession *session, void *user)
{
    KdLinkSession *other = user;
    g_autoptr(KdDebugger) first = kd_link_session_attach(session, NULL);
    g_autoptr(KdDebugger) second = kd_link_session_attach(other, NULL);
    kd_link_session_order(first, "attach");
    kd_link_session_order(second, "attach");
    kd_link_session_order(first, "write scratch 5000");
    kd_link_session_order(second, "check-zero scratch 5000");
    kd_link_session_order(first, "read pattern 20000");
    kd_link_session_order(second, "read pattern 20000");
}

static void
test_two_targets(void)
{
    Place one;
    Place two;
    g_autoptr(KdFwBus) bus = kd_fw_bus_new();
    place_init(&one, bus, CHANNEL, NULL);
    place_init(&two, bus, CHANNEL + 1, NULL);
    KdLinkSession *first = kd_link_session_open(fw, "{'channel': <uint64 5>}");
    KdLinkSession *second = kd_link_session_open(fw, "{'channel': <uint64 6>}");
    kd_link_session_run(first, use_both, second);
    kd_link_session_close(first);
    kd_link_session_close(second);
    place_clear(&one);
    place_clear(&two);
}

static gboolean
has_printed(gpointer user)
{
    Place *place = user;
    kd_fw_bus_lock(place->bus);
    const KdSimMachineStat *stat = kd_sim_machine_get_stat(kd_sim_target_get_machine(place->sim));
    gboolean is_done = stat->acked >= 500;
    kd_fw_bus_unlock(place->bus);
    return is_done;
}

static void
test_prints_unseen(void)
{
    Place place;
    g_autoptr(KdFwBus) bus = kd_fw_bus_new();
    place_init(&place, bus, CHANNEL, NULL);
    KdLinkSession *session = kd_link_session_open(fw, "{'channel': <uint64 5>}");
    kd_link_session_run(session, go_on, NULL);
    kd_fw_bus_lock(bus);
    kd_sim_machine_print(kd_sim_target_get_machine(place.sim), 500, g_get_monotonic_time());
    kd_fw_bus_unlock(bus);
    kd_test_wait_until(has_printed, &place);
    kd_link_session_run(session, use, NULL);
    kd_link_session_close(session);
    place_clear(&place);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        fw = kd_test_load_plugin("kdsrv-target-1394.so")->targets[0];
    g_test_add_func("/1394/session/is-the-same-as-on-any-link", test_script);
    g_test_add_func("/1394/session/outlives-a-restart-that-takes-the-node-away",
                    test_script_replugged);
    g_test_add_func("/1394/session/is-right-where-requests-fail", test_script_bad_bus);
    g_test_add_func("/1394/session/is-right-under-bus-resets", test_script_resets);
    g_test_add_func("/1394/session/is-taken-up-by-the-next-debugger", test_next_debugger);
    g_test_add_func("/1394/session/two-targets-at-once", test_two_targets);
    g_test_add_func("/1394/session/lets-a-target-print-that-nobody-reads", test_prints_unseen);
    return g_test_run();
}

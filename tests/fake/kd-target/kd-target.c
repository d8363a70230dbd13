/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd-target: a simulated KD target as a program, see tests/fake/README.md. */
#include "kd-sim-carrier.h"
#include "kd-sim-clock.h"
#include "kd-sim-control.h"

#include <glib-unix.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    EXIT_RUNTIME = 1,
    EXIT_USAGE = 2,
};

static const KdSimCarrier *const carriers[] = {
    &kd_sim_unix_carrier, &kd_sim_tcp_carrier, &kd_sim_pty_carrier,
    &kd_sim_net_carrier,  &kd_sim_usb_carrier, &kd_sim_fw_carrier,
};

static struct {
    char *link;
    char *key;
    char *name;
    char *from;
    char *control;
    char *loss;
    char *duplicate;
    char *corrupt;
    int channel;
    int version;
    gint64 seed;
    int reorder;
    int delay_ms;
    int retry_ms;
    int poke_ms;
    int build;
    int boot_ms;
    gboolean is_run_at_boot;
    gboolean is_name_late;
    gboolean is_break_in_kept;
    gboolean is_debug;
} given = {.version = 5, .seed = 1, .boot_ms = 100};

static const GOptionEntry entries[] = {
    {"link", 0, 0, G_OPTION_ARG_STRING, &given.link,
     "Where the host is: unix:PATH, tcp:HOST:PORT, pty:SYMLINK, net:HOST:PORT, usb:FOLDER, "
     "fw:/dev/fwN",
     "LINK"},
    {"key", 0, 0, G_OPTION_ARG_STRING, &given.key, "Of KDNET: w.x.y.z", "KEY"},
    {"from", 0, 0, G_OPTION_ARG_STRING, &given.from,
     "Of KDNET: own address; with a port, that one is kept over boots", "ADDRESS[:PORT]"},
    {"version", 0, 0, G_OPTION_ARG_INT, &given.version, "Of KDNET: 2 to 5", "N"},
    {"poke", 0, 0, G_OPTION_ARG_INT, &given.poke_ms, "Of KDNET: between two offers", "MS"},
    {"name", 0, 0, G_OPTION_ARG_STRING, &given.name, "Of USB: the target's name", "NAME"},
    {"late-name", 0, 0, G_OPTION_ARG_NONE, &given.is_name_late,
     "Of USB: a packet comes before the first answer", NULL},
    {"channel", 0, 0, G_OPTION_ARG_INT, &given.channel, "Of 1394: 0 to 62", "N"},
    {"retry", 0, 0, G_OPTION_ARG_INT, &given.retry_ms, "How long the target waits for an ACK",
     "MS"},
    {"build", 0, 0, G_OPTION_ARG_INT, &given.build, "Of the kernel, for debuggers that know some",
     "N"},
    {"boot", 0, 0, G_OPTION_ARG_INT, &given.boot_ms, "How long a reboot takes", "MS"},
    {"keep-break-ins", 0, 0, G_OPTION_ARG_NONE, &given.is_break_in_kept,
     "One that comes while it is halted halts it again, also where lines are not serial", NULL},
    {"run", 0, 0, G_OPTION_ARG_NONE, &given.is_run_at_boot, "Do not stop after the first boot",
     NULL},
    {"seed", 0, 0, G_OPTION_ARG_INT64, &given.seed, "Of faults and nonces", "N"},
    {"loss", 0, 0, G_OPTION_ARG_STRING, &given.loss, "Of packets; of a stream: of bytes", "PCT"},
    {"duplicate", 0, 0, G_OPTION_ARG_STRING, &given.duplicate, "Of packets", "PCT"},
    {"corrupt", 0, 0, G_OPTION_ARG_STRING, &given.corrupt, "Of packets", "PCT"},
    {"reorder", 0, 0, G_OPTION_ARG_INT, &given.reorder, "Packets that may overtake one", "N"},
    {"delay", 0, 0, G_OPTION_ARG_INT, &given.delay_ms, "Of each packet", "MS"},
    {"control", 0, 0, G_OPTION_ARG_FILENAME, &given.control, "Take orders on this socket", "PATH"},
    {"debug", 0, 0, G_OPTION_ARG_NONE, &given.is_debug, "Say what goes in and out", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

static gboolean
parse_fault(KdSimFaultPlan *plan, gboolean is_stream, const char *name, const char *value,
            GError **error)
{
    if (value == NULL)
        return TRUE;
    g_autofree char *text = g_strdup_printf("%s=%s", name, value);
    return kd_sim_fault_plan_parse(text, is_stream, plan, error);
}

static gboolean
parse_faults(KdSimFaultPlan *plan, gboolean is_stream, GError **error)
{
    g_autofree char *rest = g_strdup_printf("reorder=%d,delay=%d", given.reorder, given.delay_ms);
    return parse_fault(plan, is_stream, "loss", given.loss, error) &&
           parse_fault(plan, is_stream, "duplicate", given.duplicate, error) &&
           parse_fault(plan, is_stream, "corrupt", given.corrupt, error) &&
           kd_sim_fault_plan_parse(rest, is_stream, plan, error);
}

/* Returns: (nullable): the row; @where is what stands behind the colon */
static const KdSimCarrier *
find_carrier(const char **where, GError **error)
{
    const char *colon = given.link != NULL ? strchr(given.link, ':') : NULL;
    if (colon == NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "--link is missing, as in --link unix:PATH");
        return NULL;
    }
    *where = colon + 1;
    for (size_t i = 0; i < G_N_ELEMENTS(carriers); i++) {
        size_t len = strlen(carriers[i]->kind);
        if (len == (size_t)(colon - given.link) && memcmp(given.link, carriers[i]->kind, len) == 0)
            return carriers[i];
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--link %s: no such kind of link",
                given.link);
    return NULL;
}

static gboolean
is_in_range(const char *option, int value, int min, int max, GError **error)
{
    if (value >= min && value <= max)
        return TRUE;
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--%s %d: not from %d to %d",
                option, value, min, max);
    return FALSE;
}

static KdSimTarget *
make_target(const KdSimCarrier *carrier, const char *where, GError **error)
{
    KdSimTargetOptions options = {
        .dialect = carrier->dialect,
        .key = given.key,
        .name = given.name,
        .is_name_late = given.is_name_late,
        .channel = (uint32_t)given.channel,
        .version = (uint8_t)given.version,
        .seed = (uint64_t)given.seed,
        .retry_ms = (uint32_t)given.retry_ms,
        .poke_ms = (uint32_t)given.poke_ms,
        .build = (uint16_t)given.build,
        .boot_ms = (uint32_t)given.boot_ms,
        .is_run_at_boot = given.is_run_at_boot,
        .is_traced = given.is_debug,
        .is_break_in_kept = given.is_break_in_kept,
    };
    const gboolean is_net = carrier->dialect == KD_SIM_DIALECT_NET;
    if (!is_in_range("channel", given.channel, 0, 62, error) ||
        !is_in_range("version", given.version, 2, 5, error) ||
        !is_in_range("retry", given.retry_ms, 0, 600000, error) ||
        !is_in_range("poke", given.poke_ms, 0, 600000, error) ||
        !is_in_range("build", given.build, 0, UINT16_MAX, error) ||
        !is_in_range("boot", given.boot_ms, 0, 600000, error) ||
        !parse_faults(&options.faults, carrier->dialect == KD_SIM_DIALECT_SERIAL, error))
        return NULL;
    if (is_net && given.key == NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "--key is missing, as in --key 1.2.3.4");
        return NULL;
    }
    if (is_net && (!kd_sim_peer_parse(where, &options.host, error) ||
                   (given.from != NULL && !kd_sim_peer_parse(given.from, &options.own, error))))
        return NULL;
    return kd_sim_target_new(&options, error);
}

typedef struct {
    GSource source;
    KdSimControl *control;
} Settler;

/* Each time before the loop waits: whoever waits for a counter is told in the same turn. */
static gboolean
settler_prepare(GSource *source, gint *wait_ms)
{
    *wait_ms = -1;
    kd_sim_control_settle(((Settler *)source)->control);
    return FALSE;
}

static void
add_settler(KdSimControl *control)
{
    static GSourceFuncs funcs = {.prepare = settler_prepare};
    g_autoptr(GSource) source = g_source_new(&funcs, sizeof(Settler));
    ((Settler *)source)->control = control;
    g_source_attach(source, NULL);
}

static gboolean
on_signal(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static int
run_target(KdSimTarget *target, const KdSimCarrier *carrier, const char *where, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(KdSimControl) control = NULL;
    void *link = carrier->open(target, where, error);
    if (link == NULL)
        return EXIT_RUNTIME;
    if (given.control != NULL) {
        control = kd_sim_control_new(target, given.control, loop, error);
        if (control == NULL) {
            carrier->close(target, link);
            return EXIT_RUNTIME;
        }
        add_settler(control);
    }
    g_autoptr(GSource) clock = kd_sim_clock_new(target);
    g_source_attach(clock, NULL);
    g_unix_signal_add(SIGINT, on_signal, loop);
    g_unix_signal_add(SIGTERM, on_signal, loop);
    puts("ready");
    fflush(stdout);
    kd_sim_target_boot(target, g_get_monotonic_time());
    g_main_loop_run(loop);
    g_source_destroy(clock);
    carrier->close(target, link);
    return 0;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context =
        g_option_context_new("- a KD target that is none: a small kernel for tests and demos");
    const char *where = NULL;
    const KdSimCarrier *carrier = NULL;
    g_autoptr(KdSimTarget) target = NULL;
    int status = EXIT_USAGE;

    (void)signal(SIGPIPE, SIG_IGN);
    g_option_context_add_main_entries(context, entries, NULL);
    if (g_option_context_parse(context, &argc, &argv, &error) &&
        (carrier = find_carrier(&where, &error)) != NULL &&
        (target = make_target(carrier, where, &error)) != NULL)
        status = run_target(target, carrier, where, &error);
    if (error != NULL)
        g_printerr("kd-target: %s\n", error->message);
    return status;
}

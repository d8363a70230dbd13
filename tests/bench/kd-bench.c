/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd-bench: measures kdsrv beside other relays, in one run, with every byte checked. */
#include "bench-check.h"
#include "bench-net.h"
#include "bench-pattern.h"
#include "bench-report.h"
#include "bench-samples.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_MISSED    1
#define EXIT_USAGE     2
#define EXIT_LATE      3
#define RUN_LIMIT_S    30u
#define SMOKE_SECONDS  0.04
#define SMOKE_SESSIONS 20u
#define SMOKE_FLIP_AT  5000u

static char **option_modes;
static char **option_peers;
static char **option_plugin_dirs;
static char **option_kdsrv_arguments;
static char *option_bin;
static char *option_place;
static char *option_json;
static int option_repetitions = 7;
static int option_sessions = 1000;
static double option_seconds = 0.5;
static double option_warm = 0.15;
static gboolean option_check;
static gboolean option_smoke;
static gboolean option_list;
static gboolean option_shared_network;

static const GOptionEntry entries[] = {
    {"mode", 'm', 0, G_OPTION_ARG_STRING_ARRAY, &option_modes, "Measure this only (repeatable)",
     "MODE"},
    {"peer", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &option_peers, "Let this take part (repeatable)",
     "PEER"},
    {"list", 0, 0, G_OPTION_ARG_NONE, &option_list, "List modes and their peers", NULL},
    {"repetitions", 'r', 0, G_OPTION_ARG_INT, &option_repetitions, "Of each run, at most 99", "N"},
    {"seconds", 's', 0, G_OPTION_ARG_DOUBLE, &option_seconds, "Measured in each run", "S"},
    {"warm", 0, 0, G_OPTION_ARG_DOUBLE, &option_warm, "Before that, not measured", "S"},
    {"sessions", 'n', 0, G_OPTION_ARG_INT, &option_sessions, "Quiet ones beside the busy one", "N"},
    {"place", 0, 0, G_OPTION_ARG_STRING, &option_place,
     "one: all on one processor (default); two: relay apart; free", "PLACE"},
    {"shared-network", 0, 0, G_OPTION_ARG_NONE, &option_shared_network,
     "Stay in the network namespace of the caller", NULL},
    {"json", 0, 0, G_OPTION_ARG_FILENAME, &option_json, "Write all runs there too", "FILE"},
    {"check", 0, 0, G_OPTION_ARG_NONE, &option_check,
     "Compare with the bounds; exit 1 when one is missed", NULL},
    {"smoke", 0, 0, G_OPTION_ARG_NONE, &option_smoke, "Try the harness itself, in seconds", NULL},
    {"bin", 0, 0, G_OPTION_ARG_FILENAME, &option_bin, "Folder of kdsrv and kd", "FOLDER"},
    {"plugin-dir", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &option_plugin_dirs,
     "Folder of their plugins (repeatable)", "FOLDER"},
    {"kdsrv-arg", 0, 0, G_OPTION_ARG_STRING_ARRAY, &option_kdsrv_arguments,
     "One more argument for kdsrv (repeatable)", "ARG"},
    G_OPTION_ENTRY_NULL,
};

/* ---- the limit of each run ------------------------------------------------------------------ */

static _Atomic uint64_t run_ends_ns;
static _Atomic BenchMode run_mode;
static _Atomic BenchPeer run_peer;

static gpointer
watch_time(gpointer user)
{
    (void)user;
    for (;;) {
        uint64_t end = atomic_load(&run_ends_ns);

        bench_clock_sleep_ms(500);
        if (end != 0 && bench_clock_get_ns() > end && end == atomic_load(&run_ends_ns)) {
            fprintf(stderr, "kd-bench: %s %s took too long\n", bench_mode_get_name(run_mode),
                    bench_peer_get_name(run_peer));
            bench_child_stop_all();
            _exit(EXIT_LATE);
        }
    }
    return NULL;
}

static void
limit_time(BenchMode mode, BenchPeer peer, const BenchSetting *setting)
{
    uint64_t seconds = RUN_LIMIT_S + (uint64_t)(setting->seconds + setting->warm_seconds) * 2 +
                       setting->n_sessions / 100;

    atomic_store(&run_mode, mode);
    atomic_store(&run_peer, peer);
    atomic_store(&run_ends_ns, bench_clock_get_ns() + seconds * UINT64_C(1000000000));
}

static void
run_one(BenchMode mode, BenchPeer peer, const BenchSetting *setting, BenchResult *result)
{
    limit_time(mode, peer, setting);
    bench_mode_run(mode, peer, setting, result);
    atomic_store(&run_ends_ns, 0);
}

static void
run_turns(BenchMode mode, const BenchPeer *peers, guint n, const BenchSetting *setting,
          BenchReport *report, guint repetition)
{
    BenchSetting all = *setting;
    BenchResult *results[BENCH_N_PEERS];

    for (guint i = 0; i < n; i++) {
        results[i] = bench_report_get(report, mode, peers[i], repetition);
    }
    all.seconds *= 4.0 * n;
    all.warm_seconds *= n;
    limit_time(mode, peers[0], &all);
    bench_mode_run_turns(mode, peers, n, setting, results);
    atomic_store(&run_ends_ns, 0);
}

/* ---- what takes part ------------------------------------------------------------------------ */

static gboolean
is_chosen(char **words, const char *name)
{
    return words == NULL || g_strv_contains((const char *const *)words, name);
}

static gboolean
takes_part(BenchMode mode, BenchPeer peer)
{
    if (!bench_mode_has_peer(mode, peer) || !is_chosen(option_modes, bench_mode_get_name(mode)) ||
        !is_chosen(option_peers, bench_peer_get_name(peer))) {
        return FALSE;
    }
    return !option_check || option_peers != NULL || bench_check_wants(mode, peer);
}

static gboolean
have_unknown_word(char **words, const char *(*get_name)(guint), guint n)
{
    for (guint i = 0; words != NULL && words[i] != NULL; i++) {
        guint k = 0;

        while (k < n && strcmp(words[i], get_name(k)) != 0) {
            k++;
        }
        if (k == n) {
            fprintf(stderr, "kd-bench: %s: no such mode or peer; --list has them\n", words[i]);
            return TRUE;
        }
    }
    return FALSE;
}

static const char *
get_mode_name(guint i)
{
    return bench_mode_get_name((BenchMode)i);
}

static const char *
get_peer_name(guint i)
{
    return bench_peer_get_name((BenchPeer)i);
}

static void
print_list(void)
{
    for (guint m = 0; m < BENCH_N_MODES; m++) {
        printf("%-14s", bench_mode_get_name(m));
        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            if (bench_mode_has_peer(m, p)) {
                printf(" %s", bench_peer_get_name(p));
            }
        }
        putchar('\n');
    }
}

/* ---- the runs ------------------------------------------------------------------------------- */

static guint
collect_peers(BenchMode mode, const BenchSetting *setting, BenchReport *report, BenchPeer *peers)
{
    gboolean is_traced = mode == BENCH_MODE_SYSCALLS_RR1 || mode == BENCH_MODE_SYSCALLS_RRKD;
    g_autofree char *strace = g_find_program_in_path("strace");
    guint n = 0;

    for (guint p = 0; p < BENCH_N_PEERS; p++) {
        g_autofree char *reason = NULL;

        if (!takes_part(mode, p)) {
            continue;
        }
        if (is_traced && strace == NULL) {
            bench_report_leave_out(report, mode, p, "strace is not installed");
        } else if (!bench_peer_is_present(p, setting, &reason) ||
                   (bench_mode_has_kernel(mode) && !bench_stage_has_kernel(setting, &reason))) {
            bench_report_leave_out(report, mode, p, reason);
        } else {
            peers[n++] = p;
        }
    }
    return n;
}

static void
shuffle(BenchPeer *peers, guint n)
{
    for (guint i = n; i > 1; i--) {
        guint k = (guint)g_random_int_range(0, (gint32)i);
        BenchPeer other = peers[k];

        peers[k] = peers[i - 1];
        peers[i - 1] = other;
    }
}

static void
print_progress(const char *text)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%-40s\r%s", "", text);
    }
}

/* Side by side: in each repetition every peer has its turn in every mode, in another order. */
static void
run_all(BenchReport *report, const BenchSetting *setting, guint n_repetitions)
{
    for (guint repetition = 0; repetition < n_repetitions; repetition++) {
        for (guint m = 0; m < BENCH_N_MODES; m++) {
            BenchPeer peers[BENCH_N_PEERS];
            guint n = collect_peers(m, setting, report, peers);

            shuffle(peers, n);
            if (n > 0 && bench_mode_takes_turns(m)) {
                print_progress(bench_mode_get_name(m));
                run_turns(m, peers, n, setting, report, repetition);
                continue;
            }
            for (guint i = 0; i < n; i++) {
                g_autofree char *text =
                    g_strdup_printf("%u/%u %s %s", repetition + 1, n_repetitions,
                                    bench_mode_get_name(m), bench_peer_get_name(peers[i]));

                print_progress(text);
                run_one(m, peers[i], setting, bench_report_get(report, m, peers[i], repetition));
            }
        }
    }
    print_progress("");
}

static gboolean
notices_spoiled_byte(BenchMode mode, BenchPeer peer, const BenchSetting *usual)
{
    BenchSetting setting = *usual;
    BenchResult result = {0};
    BenchResult *results[] = {&result};
    gboolean is_noticed;

    setting.flip_at = SMOKE_FLIP_AT;
    if (bench_mode_takes_turns(mode)) {
        bench_mode_run_turns(mode, &peer, 1, &setting, results);
    } else {
        run_one(mode, peer, &setting, &result);
    }
    is_noticed = result.failure != NULL && strstr(result.failure, "wrong bytes") != NULL;
    printf("%s: one bit spoiled on the way: %s\n", bench_mode_get_name(mode),
           is_noticed ? "noticed" : "NOT NOTICED");
    bench_result_clear(&result);
    return is_noticed;
}

/* Integrity of the harness only: what is fast and what is slow is no matter here. */
static int
run_smoke(BenchSetting *setting)
{
    static char *modes[] = {(char *)"rr1",
                            (char *)"rrkd",
                            (char *)"bulk-up",
                            (char *)"bulk-down",
                            (char *)"bulk-both",
                            (char *)"sessions",
                            (char *)"pty-rr1",
                            (char *)"pty-rr1k",
                            (char *)"tls-rr1",
                            (char *)"tls-kd",
                            (char *)"tls-bulk-up",
                            (char *)"tls-bulk-down",
                            (char *)"tls-handshakes",
                            (char *)"tls-memory",
                            (char *)"kdnet",
                            NULL};
    static char *peers[] = {(char *)"direct",    (char *)"relay-epoll", (char *)"relay-framed",
                            (char *)"relay-tls", (char *)"net",         NULL};
    g_autoptr(BenchReport) report = bench_report_new(1);
    gboolean is_good;

    option_modes = modes;
    option_peers = peers;
    setting->seconds = SMOKE_SECONDS;
    setting->warm_seconds = SMOKE_SECONDS / 4;
    setting->n_sessions = SMOKE_SESSIONS;
    setting->place = BENCH_PLACE_FREE;
    run_all(report, setting, 1);
    bench_report_print_table(report, stdout);
    is_good = bench_report_get_failures(report) == 0;
    is_good = notices_spoiled_byte(BENCH_MODE_BULK_UP, BENCH_PEER_EPOLL, setting) && is_good;
    is_good = notices_spoiled_byte(BENCH_MODE_RRKD, BENCH_PEER_EPOLL, setting) && is_good;
    is_good = notices_spoiled_byte(BENCH_MODE_TLS_BULK_UP, BENCH_PEER_TLS, setting) && is_good;
    return is_good ? EXIT_SUCCESS : EXIT_MISSED;
}

static int
run_measured(const BenchSetting *setting)
{
    gboolean is_isolated = !option_shared_network && bench_net_isolate();
    g_autofree char *congestion = bench_net_dup_congestion();
    guint n_repetitions = (guint)CLAMP(option_repetitions, 1, 99);
    g_autoptr(BenchReport) report = bench_report_new(n_repetitions);
    gboolean is_good;

    printf("place %s, %s, %d processors, %s network, %s, %u repetitions of %g s\n",
           bench_place_get_name(setting->place),
           bench_place_can_be_realtime() ? "real time" : "NOT real time: expect noise",
           bench_place_get_processors(), is_isolated ? "own" : "shared", congestion, n_repetitions,
           setting->seconds);
    run_all(report, setting, n_repetitions);
    bench_report_print_table(report, stdout);
    if (option_json != NULL) {
        FILE *out = fopen(option_json, "we");

        if (out == NULL) {
            fprintf(stderr, "kd-bench: %s: %s\n", option_json, g_strerror(errno));
            return EXIT_USAGE;
        }
        bench_report_print_json(report, setting, congestion, out);
        fclose(out);
    }
    is_good = bench_report_get_failures(report) == 0;
    if (option_check) {
        putchar('\n');
        is_good = bench_check_print(report, option_modes, stdout) && is_good;
    }
    return is_good ? EXIT_SUCCESS : EXIT_MISSED;
}

static gboolean
fill_setting(BenchSetting *setting)
{
    static const char *const usual_plugins[] = {KD_BENCH_PLUGINS, KD_BENCH_OWN_PLUGINS, NULL};
    int place = 0;

    setting->tools = KD_BENCH_TOOLS;
    setting->bin = option_bin != NULL ? option_bin : KD_BENCH_BIN;
    setting->plugins =
        option_plugin_dirs != NULL ? (const char *const *)option_plugin_dirs : usual_plugins;
    setting->kdsrv_arguments = option_kdsrv_arguments;
    setting->seconds = CLAMP(option_seconds, 0.01, 60);
    setting->warm_seconds = CLAMP(option_warm, 0, 60);
    setting->n_sessions = (guint)CLAMP(option_sessions, 1, (int)BENCH_MAX_SLOTS - 1);
    while (option_place != NULL && place <= BENCH_PLACE_FREE &&
           strcmp(option_place, bench_place_get_name((BenchPlace)place)) != 0) {
        place++;
    }
    setting->place = (BenchPlace)place;
    return place <= BENCH_PLACE_FREE;
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;
    BenchSetting setting = {0};

    setlocale(LC_ALL, "C");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_summary(context, "Measures kdsrv beside other relays.");
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
        fprintf(stderr, "kd-bench: %s\n", error != NULL ? error->message : "takes no arguments");
        return EXIT_USAGE;
    }
    if (option_list) {
        print_list();
        return EXIT_SUCCESS;
    }
    if (!fill_setting(&setting) || have_unknown_word(option_modes, get_mode_name, BENCH_N_MODES) ||
        have_unknown_word(option_peers, get_peer_name, BENCH_N_PEERS)) {
        return EXIT_USAGE;
    }
    if (option_check && !bench_peer_is_present(BENCH_PEER_KD_KDSRV, &setting, &reason)) {
        fprintf(stderr, "kd-bench: nothing to check: %s\n", reason);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    bench_socket_raise_limit();
    bench_pattern_init();
    bench_place_init();
    g_thread_unref(g_thread_new("watchdog", watch_time, NULL));
    return option_smoke ? run_smoke(&setting) : run_measured(&setting);
}

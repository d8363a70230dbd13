/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The figures that kdsrv has to show, and whether it does. */
#include "bench-check.h"

/* REPORTED: without a bound */
typedef enum { BELOW, AT_MOST, AT_LEAST, REPORTED } Relation;

#define NOBODY    BENCH_N_PEERS
#define THE_BEST  (BENCH_N_PEERS + 1u)
#define TWO_ADDED (BENCH_N_PEERS + 2u)

/* @base: whose ratio the figure is; NOBODY: it is the median itself; THE_BEST: of the rivals, the
 *    one with the most; TWO_ADDED: of what the two programs add to KDNET, to what two minimal
 *    relays add to TCP */
typedef struct {
    const char *text;
    BenchMode mode;
    BenchPeer peer;
    guint base;
    const char *metric;
    Relation relation;
    double bound;
} Figure;

static const BenchPeer rivals[] = {BENCH_PEER_NGINX, BENCH_PEER_HAPROXY, BENCH_PEER_STUNNEL,
                                   BENCH_PEER_SSH};

/* A fraction of a call is what the server does once a second beside. */
static const Figure figures[] = {
    {"one byte, p50 to socat's", BENCH_MODE_RR1, BENCH_PEER_KDSRV, BENCH_PEER_SOCAT, "p50_us",
     BELOW, 1},
    {"one byte, p50 to the minimal relay's", BENCH_MODE_RR1, BENCH_PEER_KDSRV, BENCH_PEER_EPOLL,
     "p50_us", AT_MOST, 1.25},
    {"KD-like, p50 to socat's", BENCH_MODE_RRKD, BENCH_PEER_KDSRV, BENCH_PEER_SOCAT, "p50_us",
     BELOW, 1},
    {"KD-like, p50 to the minimal relay's", BENCH_MODE_RRKD, BENCH_PEER_KDSRV, BENCH_PEER_EPOLL,
     "p50_us", AT_MOST, 1.25},
    {"one byte through kd, p50 to two socats'", BENCH_MODE_THROUGH_RR1, BENCH_PEER_KD_KDSRV,
     BENCH_PEER_TWO_SOCATS, "p50_us", BELOW, 1},
    {"KD-like through kd, p50 to two socats'", BENCH_MODE_THROUGH_RRKD, BENCH_PEER_KD_KDSRV,
     BENCH_PEER_TWO_SOCATS, "p50_us", BELOW, 1},
    {"one byte through a terminal, p99 to socat's", BENCH_MODE_PTY_RR1, BENCH_PEER_KDSRV,
     BENCH_PEER_SOCAT, "p99_us", AT_MOST, 1},
    {"one byte through a terminal, ser2net's p99 to ours", BENCH_MODE_PTY_RR1, BENCH_PEER_SER2NET,
     BENCH_PEER_KDSRV, "p99_us", AT_LEAST, 10},
    {"1 KiB through a terminal, p99 to socat's", BENCH_MODE_PTY_RR1K, BENCH_PEER_KDSRV,
     BENCH_PEER_SOCAT, "p99_us", REPORTED, 0},
    {"1 KiB through a terminal, ser2net's p99 to ours", BENCH_MODE_PTY_RR1K, BENCH_PEER_SER2NET,
     BENCH_PEER_KDSRV, "p99_us", REPORTED, 0},
    {"bulk up, MB/s to socat's with 64 KiB", BENCH_MODE_BULK_UP, BENCH_PEER_KDSRV,
     BENCH_PEER_SOCAT_64K, "mb_per_s", AT_LEAST, 1},
    {"bulk down, MB/s to socat's with 64 KiB", BENCH_MODE_BULK_DOWN, BENCH_PEER_KDSRV,
     BENCH_PEER_SOCAT_64K, "mb_per_s", AT_LEAST, 1},
    {"bulk both ways, MB/s to socat's with 64 KiB", BENCH_MODE_BULK_BOTH, BENCH_PEER_KDSRV,
     BENCH_PEER_SOCAT_64K, "mb_per_s", AT_LEAST, 1},
    {"system calls for one byte", BENCH_MODE_SYSCALLS_RR1, BENCH_PEER_KDSRV, NOBODY, "calls",
     AT_MOST, 6.05},
    {"system calls for a KD-like exchange", BENCH_MODE_SYSCALLS_RRKD, BENCH_PEER_KDSRV, NOBODY,
     "calls", AT_MOST, 9.05},
    {"allocations in the steady state", BENCH_MODE_ALLOCATIONS, BENCH_PEER_KDSRV, NOBODY,
     "allocations", AT_MOST, 0},
    {"KD-like p99 beside four saturating sessions, us", BENCH_MODE_FAIR, BENCH_PEER_KDSRV, NOBODY,
     "p99_us", BELOW, 5000},
    {"timer's lateness p99 beside them, us", BENCH_MODE_FAIR, BENCH_PEER_KDSRV, NOBODY,
     "timer_p99_us", BELOW, 5000},
    {"busy p99 beside the quiet ones, to the minimal relay's", BENCH_MODE_SESSIONS,
     BENCH_PEER_KDSRV, BENCH_PEER_EPOLL, "busy_p99_us", AT_MOST, 1.25},
    {"TLS, one byte, exchanges/s to the best peer's", BENCH_MODE_TLS_RR1, BENCH_PEER_KDSRV,
     THE_BEST, "per_s", AT_LEAST, 0.87},
    {"TLS, KD-like, exchanges/s to the best peer's", BENCH_MODE_TLS_KD, BENCH_PEER_KDSRV, THE_BEST,
     "per_s", AT_LEAST, 0.87},
    {"TLS, KD-like, p50 to the minimal TLS relay's", BENCH_MODE_TLS_KD, BENCH_PEER_KDSRV,
     BENCH_PEER_TLS, "p50_us", REPORTED, 0},
    {"TLS, bulk up, MB/s to the best peer's", BENCH_MODE_TLS_BULK_UP, BENCH_PEER_KDSRV, THE_BEST,
     "mb_per_s", AT_LEAST, 0.85},
    {"TLS, bulk down, MB/s to the best peer's", BENCH_MODE_TLS_BULK_DOWN, BENCH_PEER_KDSRV,
     THE_BEST, "mb_per_s", AT_LEAST, 1},
    {"TLS, handshakes/s to nginx's", BENCH_MODE_TLS_HANDSHAKES, BENCH_PEER_KDSRV, BENCH_PEER_NGINX,
     "per_s", AT_LEAST, 0.9},
    {"TLS, memory of an idle session to haproxy's", BENCH_MODE_TLS_MEMORY, BENCH_PEER_KDSRV,
     BENCH_PEER_HAPROXY, "dirty_kb", AT_MOST, 1},
    {"KDNET, p50 that kd and kdsrv add, to two relays'", BENCH_MODE_KDNET, BENCH_PEER_NET_KD_KDSRV,
     TWO_ADDED, "p50_us", AT_MOST, 1.5},
    {"KDNET, p99 beside 100,000 forged datagrams/s to without", BENCH_MODE_KDNET_FLOOD,
     BENCH_PEER_NET_KD_KDSRV, NOBODY, "p99_to_idle", AT_MOST, 2},
};

static const BenchPair both_programs = {BENCH_PEER_NET_KD_KDSRV, BENCH_PEER_NET};
static const BenchPair two_relays = {BENCH_PEER_TWO_EPOLLS, BENCH_PEER_DIRECT};

static gboolean
is_of_added(BenchPeer peer)
{
    return peer == both_programs.peer || peer == both_programs.alone || peer == two_relays.peer ||
           peer == two_relays.alone;
}

static gboolean
is_rival(BenchPeer peer)
{
    for (guint i = 0; i < G_N_ELEMENTS(rivals); i++) {
        if (rivals[i] == peer) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * bench_check_wants:
 *
 * Returns: whether a figure needs @peer in @mode.
 */
gboolean
bench_check_wants(BenchMode mode, BenchPeer peer)
{
    for (guint i = 0; i < G_N_ELEMENTS(figures); i++) {
        if (figures[i].mode == mode && (figures[i].peer == peer || figures[i].base == peer ||
                                        (figures[i].base == THE_BEST && is_rival(peer)) ||
                                        (figures[i].base == TWO_ADDED && is_of_added(peer)))) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
is_kept(const Figure *figure, double value)
{
    switch (figure->relation) {
    case BELOW:
        return value < figure->bound;
    case AT_MOST:
        return value <= figure->bound;
    case REPORTED:
        return TRUE;
    default:
        return value >= figure->bound;
    }
}

/* Why there is no value, if it is no fault of kdsrv's */
static const char *
get_excuse(const BenchReport *report, const Figure *figure)
{
    const char *reason = NULL;

    if (figure->base != NOBODY) {
        BenchPeer base = figure->base == THE_BEST    ? rivals[0]
                         : figure->base == TWO_ADDED ? two_relays.peer
                                                     : (BenchPeer)figure->base;

        reason = bench_report_get_reason(report, figure->mode, base);
    }
    return reason != NULL ? reason : bench_report_get_reason(report, figure->mode, figure->peer);
}

static gboolean
get_value(const BenchReport *report, const Figure *figure, BenchPeer base, double *value)
{
    if (figure->base == NOBODY) {
        return bench_report_get_median(report, figure->mode, figure->peer, figure->metric, value);
    }
    if (figure->base == TWO_ADDED) {
        return bench_report_get_added_ratio(report, figure->mode, &both_programs, &two_relays,
                                            figure->metric, value);
    }
    return base != NOBODY &&
           bench_report_get_ratio(report, figure->mode, figure->peer, base, figure->metric, value);
}

/* An empty cell is a missed figure, unless somebody said why it had to be empty. */
static gboolean
print_figure(const BenchReport *report, const Figure *figure, FILE *out)
{
    static const char *const relations[] = {"<", "<=", ">=", ""};
    double value = 0;
    BenchPeer base = figure->base == THE_BEST
                         ? bench_report_find_best(report, figure->mode, rivals,
                                                  G_N_ELEMENTS(rivals), figure->metric)
                         : (BenchPeer)figure->base;
    gboolean has_value = get_value(report, figure, base, &value);
    const char *excuse = has_value ? NULL : get_excuse(report, figure);
    gboolean is_good = has_value ? is_kept(figure, value) : excuse != NULL;

    fprintf(out, "%-55s ", figure->text);
    if (has_value && figure->relation == REPORTED) {
        fprintf(out, "%10.3f\n", value);
    } else if (has_value) {
        fprintf(out, "%10.3f %2s %-8g %s", value, relations[figure->relation], figure->bound,
                is_good ? "ok" : "MISSED");
        if (figure->base == THE_BEST) {
            fprintf(out, " (%s)", bench_peer_get_name(base));
        }
        fputc('\n', out);
    } else {
        fprintf(out, "%10s %2s %-8g %s%s\n", "-", relations[figure->relation], figure->bound,
                excuse != NULL ? "skipped: " : "MISSED: no such figure was measured",
                excuse != NULL ? excuse : "");
    }
    return is_good;
}

/**
 * bench_check_print:
 * @modes: (nullable): names of the modes whose figures are asked for; %NULL: of all
 *
 * Prints each figure with its bound and the verdict.
 *
 * Returns: whether none was missed.
 */
gboolean
bench_check_print(const BenchReport *report, char **modes, FILE *out)
{
    gboolean are_all_good = TRUE;

    for (guint i = 0; i < G_N_ELEMENTS(figures); i++) {
        const char *name = bench_mode_get_name(figures[i].mode);
        gboolean is_asked_for = modes == NULL || g_strv_contains((const char *const *)modes, name);

        if (is_asked_for && !print_figure(report, &figures[i], out)) {
            are_all_good = FALSE;
        }
    }
    return are_all_good;
}

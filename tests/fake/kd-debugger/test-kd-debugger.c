/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The debugger of the tests and the simulated target, on a line that they have for themselves. */
#include "kd-debugger-script.h"
#include "kd-sim-link.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536u

/**
 * Line:
 * @far: the target's end
 * @orders: a pipe: a byte is an order, its end is the end
 * @flip_every: bytes of the target, of which one is changed; 0: none
 * @drop_every: reads of the target, of which one is thrown away; 0: none
 * @n_unheard: reads of the target with data that are thrown away yet
 *
 * A simulated target in a thread of its own.
 */
typedef struct {
    GThread *thread;
    int near;
    int far;
    int orders[2];
    guint flip_every;
    guint drop_every;
    guint n_unheard;
    guint n_said;
    guint n_heard;
} Line;

static gboolean
say(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Line *line = user;
    g_autofree uint8_t *copy = g_memdup2(bytes, len_bytes);

    for (size_t i = 0; i < len_bytes; i++) {
        if (line->flip_every != 0 && ++line->n_said % line->flip_every == 0) {
            copy[i] ^= 0x10;
        }
    }
    return send(line->far, copy, len_bytes, MSG_NOSIGNAL) == (ssize_t)len_bytes;
}

static void
hear(Line *line, KdSimLink *link)
{
    uint8_t bytes[4096];
    ssize_t n = read(line->far, bytes, sizeof bytes);

    /* the leader of data: what is left of ACKs does not count */
    if (line->n_unheard > 0 && n > 0 && memmem(bytes, (size_t)n, "0000", 4) != NULL) {
        line->n_unheard--;
        return;
    }
    if (n > 0 && (line->drop_every == 0 || ++line->n_heard % line->drop_every != 0)) {
        kd_sim_link_receive(link, bytes, (size_t)n, g_get_monotonic_time());
    }
}

/* FALSE: it is over. */
static gboolean
obey(Line *line, KdSimMachine *machine)
{
    char order = 0;

    if (read(line->orders[0], &order, 1) != 1) {
        return FALSE;
    }
    switch (order) {
    case 'p':
        kd_sim_machine_print(machine, 100, g_get_monotonic_time());
        break;
    case 'd':
        line->n_unheard = 8;
        break;
    case 'r':
        kd_sim_machine_reboot(machine, g_get_monotonic_time());
        break;
    default:
        shutdown(line->far, SHUT_RDWR);
        break;
    }
    return TRUE;
}

static int
get_wait_ms(const KdSimLink *link)
{
    gint64 deadline_us = kd_sim_link_get_deadline_us(link);
    gint64 left_us = deadline_us - g_get_monotonic_time();

    if (deadline_us < 0 || left_us > G_USEC_PER_SEC) {
        return 1000;
    }
    return left_us > 0 ? (int)(left_us / 1000 + 1) : 0;
}

static gpointer
run_target(gpointer user)
{
    Line *line = user;
    g_autoptr(KdSimMachine) machine = kd_sim_machine_new(NULL);
    g_autoptr(KdSimLink) link = kd_sim_link_new(KD_SIM_DIALECT_SERIAL, machine, NULL, say, line);

    kd_sim_machine_boot(machine, g_get_monotonic_time());
    for (;;) {
        struct pollfd fds[] = {
            {.fd = line->orders[0], .events = POLLIN},
            {.fd = line->far, .events = POLLIN},
        };

        (void)poll(fds, G_N_ELEMENTS(fds), get_wait_ms(link));
        if (fds[0].revents != 0 && !obey(line, machine)) {
            return NULL;
        }
        if (fds[1].revents != 0) {
            hear(line, link);
        }
        kd_sim_link_tick(link, g_get_monotonic_time());
    }
}

static void
set_up(Line *line, gconstpointer unused)
{
    int ends[2];

    (void)unused;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    g_assert_cmpint(pipe(line->orders), ==, 0);
    line->near = ends[0];
    line->far = ends[1];
}

static KdDebugger *
start(Line *line)
{
    line->thread = g_thread_new("target", run_target, line);
    return kd_debugger_new(dup(line->near), dup(line->near));
}

static void
order(Line *line, char word)
{
    g_assert_cmpint(write(line->orders[1], &word, 1), ==, 1);
}

static void
tear_down(Line *line, gconstpointer unused)
{
    (void)unused;
    close(line->orders[1]);
    g_thread_join(line->thread);
    close(line->orders[0]);
    close(line->near);
    close(line->far);
}

static KdDebugger *
open_line(void *user, GError **error)
{
    Line *line = user;

    (void)error;
    return kd_debugger_new(dup(line->near), dup(line->near));
}

static void
expect_script(Line *line, gsize read_bytes)
{
    KdDebuggerScript script = {.read_bytes = read_bytes};
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = kd_debugger_script_get_expected(&script);
    g_autofree char *transcript = NULL;

    line->thread = g_thread_new("target", run_target, line);
    transcript = kd_debugger_script_run(&script, open_line, line, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(transcript, ==, expected);
}

static void
test_script(Line *line, gconstpointer unused)
{
    (void)unused;
    expect_script(line, 0);
}

static void
test_changed(Line *line, gconstpointer unused)
{
    (void)unused;
    line->flip_every = 9973;
    expect_script(line, READ_BYTES);
}

static void
test_lost(Line *line, gconstpointer unused)
{
    (void)unused;
    line->drop_every = 17;
    expect_script(line, READ_BYTES);
}

/* A link layer on the way gives a request up after six, and begins anew with the next. */
static void
test_lost_in_a_row(Line *line, gconstpointer unused)
{
    g_autoptr(KdDebugger) debugger = start(line);
    g_autoptr(GError) error = NULL;
    KdDebuggerCounts counts;
    KdDebuggerStop stop;
    uint8_t byte = 0;

    (void)unused;
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error));
    order(line, 'd');
    g_assert_true(kd_debugger_read(debugger, KD_SIM_PATTERN_ADDRESS, &byte, 1, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(kd_sim_facts_check(KD_SIM_PATTERN_ADDRESS, &byte, 1), ==, 1);
    kd_debugger_get_counts(debugger, &counts);
    g_assert_cmpuint(counts.n_repeats, >=, 8);
}

static void
test_counts(Line *line, gconstpointer unused)
{
    uint8_t bytes[READ_BYTES];
    g_autoptr(KdDebugger) debugger = NULL;
    g_autoptr(GError) error = NULL;
    KdDebuggerCounts counts;
    KdDebuggerStop stop;

    (void)unused;
    line->flip_every = 9973;
    debugger = start(line);
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error));
    g_assert_true(kd_debugger_read(debugger, KD_SIM_PATTERN_ADDRESS, bytes, sizeof bytes, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(kd_sim_facts_check(KD_SIM_PATTERN_ADDRESS, bytes, sizeof bytes), ==,
                     sizeof bytes);
    kd_debugger_get_counts(debugger, &counts);
    g_assert_cmpuint(counts.n_damaged, >, 0);
    g_assert_cmpuint(counts.n_syncs, >, 0);
}

static void
test_prints(Line *line, gconstpointer unused)
{
    g_autoptr(KdDebugger) debugger = start(line);
    g_autoptr(GError) error = NULL;
    KdDebuggerCounts counts;
    KdDebuggerStop stop;

    (void)unused;
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error));
    g_assert_true(kd_debugger_continue(debugger, &error));
    order(line, 'p');
    kd_debugger_get_counts(debugger, &counts);
    for (guint i = 0; i < 100 && counts.n_prints < 100; i++) {
        g_assert_true(kd_debugger_settle(debugger, 100, &error));
        kd_debugger_get_counts(debugger, &counts);
    }
    g_assert_cmpuint(counts.n_prints, ==, 100);
    g_assert_true(g_str_has_suffix(kd_debugger_get_prints(debugger), "no. 000100\n"));
    kd_debugger_clear_prints(debugger);
    g_assert_cmpstr(kd_debugger_get_prints(debugger), ==, "");
}

static void
test_restart(Line *line, gconstpointer unused)
{
    g_autoptr(KdDebugger) debugger = start(line);
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;

    (void)unused;
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error));
    g_assert_true(kd_debugger_continue(debugger, &error));
    order(line, 'r');
    g_assert_true(kd_debugger_wait(debugger, 10000, &stop, &error));
    g_assert_no_error(error);
    g_assert_true(stop.is_sync);
    g_assert_cmpuint(stop.pc, ==, KD_SIM_BREAK_ADDRESS);
}

static void
test_end(Line *line, gconstpointer unused)
{
    g_autoptr(KdDebugger) debugger = start(line);
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;

    (void)unused;
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error));
    g_assert_true(kd_debugger_continue(debugger, &error));
    order(line, 'e');
    g_assert_false(kd_debugger_wait(debugger, 10000, &stop, &error));
    g_assert_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_END);
}

static void
test_refusal(Line *line, gconstpointer unused)
{
    g_autoptr(KdDebugger) debugger = start(line);
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;
    uint8_t byte;

    (void)unused;
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error));
    g_assert_false(kd_debugger_read(debugger, 0x1234, &byte, 1, &error));
    g_assert_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_STATUS);
}

#define ADD(path, fn) g_test_add(path, Line, NULL, set_up, fn, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/kd-debugger/script-says-what-all-links-say", test_script);
    ADD("/kd-debugger/script-does-not-mind-changed-bytes", test_changed);
    ADD("/kd-debugger/script-does-not-mind-lost-packets", test_lost);
    ADD("/kd-debugger/request-outlives-eight-losses-in-a-row", test_lost_in_a_row);
    ADD("/kd-debugger/damage-and-sync-are-counted", test_counts);
    ADD("/kd-debugger/prints-are-collected", test_prints);
    ADD("/kd-debugger/restart-shows-a-stop-with-sync", test_restart);
    ADD("/kd-debugger/end-of-the-link-is-told", test_end);
    ADD("/kd-debugger/refused-request-is-told", test_refusal);
    return g_test_run();
}

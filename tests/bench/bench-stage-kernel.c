/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated kernel in the place of the target, and our debugger in that of the client. */
#include "bench-mode.h"
#include "bench-socket.h"
#include "bench-stage-private.h"

#include "kd-sim-facts.h"

#include <errno.h>
#include <string.h>

/* A key is wanted, and nobody is to be kept out */
#define KEY           "1bench.2bench.3bench.4bench"
#define PATIENCE_MS   10000u /* a target that asks again does it every 3 s                       */
#define NET_PORT_LOW  49152
#define N_PORTS_TRIED 16u
#define REPLY_BYTES   16384u

/**
 * bench_stage_has_kernel:
 * @reason: (out): why not
 *
 * Returns: whether the simulated kernel is there.
 */
gboolean
bench_stage_has_kernel(const BenchSetting *setting, char **reason)
{
    g_autofree char *program = g_build_filename(setting->bin, "kd-target", NULL);

    if (!g_file_test(program, G_FILE_TEST_IS_EXECUTABLE)) {
        *reason = g_strdup_printf("%s is not built", program);
        return FALSE;
    }
    return TRUE;
}

/* Goes with the client's and not with the relay's processor. */
static gboolean
start_program(BenchStage *stage, const char *link, GError **error)
{
    g_autofree char *program = g_build_filename(stage->setting->bin, "kd-target", NULL);
    const char *argv[] = {program, "--link", link, "--key", KEY, NULL};
    BenchPlace place = stage->plan->place == BENCH_PLACE_TWO ? BENCH_PLACE_ONE : stage->plan->place;

    if (stage->net_port == 0) {
        argv[3] = NULL;
    }
    stage->kernel = bench_child_start(argv, stage->folder, place, NULL, error);
    return stage->kernel != NULL;
}

/* One of those that a link may have */
static uint16_t
find_free_net_port(void)
{
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);

    for (guint i = 0; i < N_PORTS_TRIED; i++) {
        g_autoptr(GSocket) socket =
            g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
        uint16_t port = (uint16_t)g_random_int_range(NET_PORT_LOW, UINT16_MAX);
        g_autoptr(GSocketAddress) address = g_inet_socket_address_new(loopback, port);

        if (socket != NULL && g_socket_bind(socket, address, FALSE, NULL)) {
            return port;
        }
    }
    return NET_PORT_LOW;
}

/**
 * bench_stage_start_kernel:
 *
 * Starts the kernel where it waits for its debugger; one with KDNET looks for it, and is started
 * later.
 *
 * Returns: whether it listens, where it has to.
 */
gboolean
bench_stage_start_kernel(BenchStage *stage, GError **error)
{
    if (stage->peer == BENCH_PEER_NET) {
        return TRUE;
    }
    if (stage->peer == BENCH_PEER_NET_KD_KDSRV) {
        stage->net_port = find_free_net_port();
        return TRUE;
    }
    return start_program(stage, "tcp:127.0.0.1:0", error) &&
           bench_stage_await_entry(stage, stage->kernel, NULL, error);
}

/**
 * bench_stage_build_net_link:
 *
 * Returns: (transfer full): the link by which a server waits for the kernel.
 */
char *
bench_stage_build_net_link(BenchStage *stage)
{
    return g_strdup_printf("net:port=%u,key=" KEY, stage->net_port);
}

static KdDebugger *
dial(BenchStage *stage, GError **error)
{
    int fd = bench_socket_connect(&stage->entry);

    if (fd < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "connecting: %s", g_strerror(errno));
        return NULL;
    }
    return kd_debugger_new(fd, fd);
}

static gboolean
start_net_kernel(BenchStage *stage, GError **error)
{
    g_autofree char *link = g_strdup_printf("net:127.0.0.1:%u", stage->net_port);

    return start_program(stage, link, error);
}

/**
 * bench_stage_attach:
 *
 * Has a debugger attach to the kernel, and the kernel stop.
 *
 * Returns: (transfer full): the debugger.
 */
KdDebugger *
bench_stage_attach(BenchStage *stage, GError **error)
{
    g_autoptr(KdDebugger) debugger =
        stage->peer == BENCH_PEER_NET ? kd_debugger_new_net(0, KEY, error) : dial(stage, error);
    KdDebuggerStop stop;

    if (debugger == NULL) {
        return NULL;
    }
    if (stage->peer == BENCH_PEER_NET) {
        stage->net_port = kd_debugger_get_net_port(debugger);
    }
    if (stage->kernel == NULL && !start_net_kernel(stage, error)) {
        return NULL;
    }
    kd_debugger_set_patience_ms(debugger, PATIENCE_MS);
    if (!kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, error)) {
        g_prefix_error(error, "attaching: ");
        return NULL;
    }
    return g_steal_pointer(&debugger);
}

/**
 * bench_kernel_read:
 * @address: (inout): read from there; moved on to what is read next, 0 to begin with
 * @len_bytes: how much is read
 * @ns: (out): how long that took
 *
 * One request and its answer; the bytes are checked.
 *
 * Returns: whether all of them came, and were right.
 */
gboolean
bench_kernel_read(KdDebugger *debugger, uint64_t *address, size_t len_bytes, uint64_t *ns,
                  GError **error)
{
    uint8_t bytes[REPLY_BYTES];
    uint64_t before_ns;
    size_t n_read = 0;

    g_return_val_if_fail(len_bytes <= sizeof bytes, FALSE);
    if (*address < KD_SIM_PATTERN_ADDRESS ||
        *address + len_bytes > KD_SIM_PATTERN_ADDRESS + KD_SIM_PATTERN_BYTES) {
        *address = KD_SIM_PATTERN_ADDRESS;
    }
    before_ns = bench_clock_get_ns();
    if (!kd_debugger_read_once(debugger, *address, bytes, len_bytes, &n_read, error)) {
        return FALSE;
    }
    *ns = bench_clock_get_ns() - before_ns;
    if (n_read != len_bytes || kd_sim_facts_check(*address, bytes, n_read) != n_read) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "wrong bytes from %" G_GINT64_MODIFIER "x, or only %zu of them", *address,
                    n_read);
        return FALSE;
    }
    *address += len_bytes;
    return TRUE;
}

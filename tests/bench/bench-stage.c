/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that stands between a client and the target in one run, set up and taken down. */
#include "bench-stage-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static const char *const peer_names[BENCH_N_PEERS] = {
    "direct",     "relay-epoll", "socat",        "socat-64k", "kdsrv",        "two-epolls",
    "two-socats", "kd+kdsrv",    "relay-framed", "ser2net",   "relay-tls",    "nginx",
    "haproxy",    "stunnel",     "ssh-L",        "net",       "net-kd+kdsrv",
};

/**
 * bench_peer_get_name:
 *
 * Returns: its name in tables and options.
 */
const char *
bench_peer_get_name(BenchPeer peer)
{
    return peer_names[peer];
}

/**
 * bench_peer_is_present:
 * @reason: (out): why not
 *
 * Returns: whether all the programs of @peer are there.
 */
gboolean
bench_peer_is_present(BenchPeer peer, const BenchSetting *setting, char **reason)
{
    gboolean wants_socat =
        peer == BENCH_PEER_SOCAT || peer == BENCH_PEER_SOCAT_64K || peer == BENCH_PEER_TWO_SOCATS;
    gboolean wants_kd = peer == BENCH_PEER_KD_KDSRV || peer == BENCH_PEER_NET_KD_KDSRV;
    gboolean wants_kdsrv = peer == BENCH_PEER_KDSRV || wants_kd;
    g_autofree char *socat = g_find_program_in_path("socat");
    g_autofree char *ser2net = g_find_program_in_path("ser2net");
    g_autofree char *kdsrv = g_build_filename(setting->bin, "kdsrv", NULL);
    g_autofree char *kd = g_build_filename(setting->bin, "kd", NULL);

    *reason = NULL;
    if (wants_socat && socat == NULL) {
        *reason = g_strdup("socat is not installed");
    } else if (peer == BENCH_PEER_SER2NET && ser2net == NULL) {
        *reason = g_strdup("ser2net is not installed");
    } else if (wants_kdsrv && !g_file_test(kdsrv, G_FILE_TEST_IS_EXECUTABLE)) {
        *reason = g_strdup_printf("%s is not built", kdsrv);
    } else if (wants_kd && !g_file_test(kd, G_FILE_TEST_IS_EXECUTABLE)) {
        *reason = g_strdup_printf("%s is not built", kd);
    } else {
        return bench_stage_is_tls_present(peer, reason);
    }
    return FALSE;
}

/* ---- starting relays ------------------------------------------------------------------------ */

/**
 * bench_stage_start:
 *
 * Starts a relay; it ends with the stage.
 *
 * Returns: (transfer none): the child.
 */
BenchChild *
bench_stage_start(BenchStage *stage, const char *const *argv, GError **error)
{
    BenchChild *child = bench_child_start(
        argv, stage->folder, stage->plan->place,
        stage->plan->count != NULL ? bench_count_get_environment(stage->plan->count) : NULL, error);

    if (child != NULL) {
        g_ptr_array_add(stage->relays, child);
    }
    return child;
}

/**
 * bench_stage_await_entry:
 * @path: (nullable): where the child listens; %NULL: on a port that is to be found
 *
 * Waits until the child listens, and has clients go there.
 *
 * Returns: whether it does.
 */
gboolean
bench_stage_await_entry(BenchStage *stage, BenchChild *child, const char *path, GError **error)
{
    memset(&stage->entry, 0, sizeof stage->entry);
    if (path != NULL) {
        g_strlcpy(stage->entry.path, path, sizeof stage->entry.path);
        return bench_child_wait_socket(child, path, error);
    }
    stage->entry.port = bench_child_wait_port(child, error);
    return stage->entry.port != 0;
}

/* In front of what is there already: listens on @path, or on a TCP port where that is NULL. */
static gboolean
add_epoll(BenchStage *stage, const char *path, GError **error)
{
    g_autofree char *program = g_build_filename(stage->setting->tools, "bench-relay-epoll", NULL);
    g_autofree char *front = path != NULL ? g_strdup_printf("unix:%s", path) : g_strdup("tcp");
    g_autofree char *back = stage->entry.path[0] != '\0'
                                ? g_strdup_printf("unix:%s", stage->entry.path)
                                : g_strdup_printf("tcp:%u", stage->entry.port);
    g_autofree char *flip = g_strdup_printf("%u", stage->setting->flip_at);
    const char *argv[] = {program, front, back, flip, NULL};
    BenchChild *child = bench_stage_start(stage, argv, error);

    return child != NULL && bench_stage_await_entry(stage, child, path, error);
}

static gboolean
add_framed(BenchStage *stage, GError **error)
{
    g_autofree char *program = g_build_filename(stage->setting->tools, "bench-relay-framed", NULL);
    const char *argv[] = {program, NULL};
    BenchChild *child = bench_stage_start(stage, argv, error);

    return child != NULL && bench_stage_await_entry(stage, child, NULL, error);
}

static gboolean
add_socat(BenchStage *stage, const char *path, const char *buffer, GError **error)
{
    g_autofree char *front =
        path != NULL ? g_strdup_printf("UNIX-LISTEN:%s,fork,backlog=1024", path)
                     : g_strdup("TCP-LISTEN:0,bind=127.0.0.1,nodelay,fork,backlog=1024");
    g_autofree char *back = stage->line != NULL ? g_strdup_printf("OPEN:%s,raw,echo=0", stage->line)
                            : stage->entry.path[0] != '\0'
                                ? g_strdup_printf("UNIX-CONNECT:%s", stage->entry.path)
                                : g_strdup_printf("TCP:127.0.0.1:%u,nodelay", stage->entry.port);
    const char *argv[] = {"socat", "-b", buffer, front, back, NULL};
    BenchChild *child = bench_stage_start(stage, argv, error);

    return child != NULL && bench_stage_await_entry(stage, child, path, error);
}

/**
 * bench_stage_find_free_port:
 *
 * Returns: a port that was free a moment ago.
 */
uint16_t
bench_stage_find_free_port(void)
{
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
    g_autoptr(GSocketAddress) bound = NULL;

    if (socket == NULL || !g_socket_bind(socket, any, TRUE, NULL)) {
        return 0;
    }
    bound = g_socket_get_local_address(socket, NULL);
    return bound != NULL ? g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)) : 0;
}

/* As its manual's first example has it: with its own ideas of when to gather bytes. */
static gboolean
add_ser2net(BenchStage *stage, GError **error)
{
    g_autofree char *path = g_build_filename(stage->folder, "ser2net.yaml", NULL);
    g_autofree char *text = g_strdup_printf("connection: &line\n"
                                            "  accepter: tcp,127.0.0.1,%u\n"
                                            "  connector: serialdev,%s,115200n81,local\n",
                                            bench_stage_find_free_port(), stage->line);
    const char *argv[] = {"ser2net", "-n", "-u", "-c", path, NULL};
    BenchChild *child =
        g_file_set_contents(path, text, -1, error) ? bench_stage_start(stage, argv, error) : NULL;

    return child != NULL && bench_stage_await_entry(stage, child, NULL, error);
}

static void
add_plugin_folders(GPtrArray *argv, const BenchSetting *setting)
{
    for (guint i = 0; setting->plugins[i] != NULL; i++) {
        g_ptr_array_add(argv, g_strdup("--plugin-dir"));
        g_ptr_array_add(argv, g_strdup(setting->plugins[i]));
    }
}

/* `kdsrv: ready: tcp:Port=51002:51010 ...` */
static gboolean
parse_ready_port(const char *line, uint16_t *port)
{
    g_autofree char *folded = g_ascii_strdown(line, -1);
    const char *at = strstr(folded, "port=");
    guint64 value = at != NULL ? g_ascii_strtoull(at + 5, NULL, 10) : 0;

    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

static gboolean
add_kdsrv(BenchStage *stage, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    uint16_t low = bench_stage_find_free_port();
    uint16_t high = (uint16_t)MIN(low + 63, UINT16_MAX);
    g_autofree char *identity = NULL;
    g_autofree char *line = NULL;
    BenchChild *child;

    if (stage->plan->is_tls) {
        identity = bench_stage_write_identity(stage, error);
        if (identity == NULL) {
            return FALSE;
        }
    }
    g_ptr_array_add(argv, g_build_filename(stage->setting->bin, "kdsrv", NULL));
    add_plugin_folders(argv, stage->setting);
    g_ptr_array_add(argv, g_strdup("--allow-path"));
    g_ptr_array_add(argv, g_strdup(stage->line != NULL ? "/dev/pts" : stage->folder));
    for (guint i = 0;
         stage->setting->kdsrv_arguments != NULL && stage->setting->kdsrv_arguments[i] != NULL;
         i++) {
        g_ptr_array_add(argv, g_strdup(stage->setting->kdsrv_arguments[i]));
    }
    g_ptr_array_add(argv, g_strdup("-t"));
    /* it takes the next port of the range that is free */
    g_ptr_array_add(argv,
                    identity != NULL
                        ? g_strdup_printf("ssl:proto=tls1,certuser=%s,port=%u:%u,bind=127.0.0.1",
                                          identity, low, high)
                        : g_strdup_printf("tcp:port=%u:%u,bind=127.0.0.1", low, high));
    g_ptr_array_add(argv, NULL);
    child = bench_stage_start(stage, (const char *const *)argv->pdata, error);
    line = child != NULL ? bench_child_wait_line(child, "ready:", error) : NULL;
    if (line == NULL) {
        return FALSE;
    }
    memset(&stage->entry, 0, sizeof stage->entry);
    if (!parse_ready_port(line, &stage->entry.port)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "no port in: %s", line);
        return FALSE;
    }
    return TRUE;
}

static gboolean
add_kd(BenchStage *stage, const char *path, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *socket = bench_target_build_path(stage->folder, 0);
    g_autofree char *link = stage->plan->is_kernel ? bench_stage_build_net_link(stage)
                                                   : g_strdup_printf("com:pipe,port=%s", socket);
    BenchChild *child;

    g_ptr_array_add(argv, g_build_filename(stage->setting->bin, "kd", NULL));
    g_ptr_array_add(argv, g_strdup("-k"));
    g_ptr_array_add(argv, g_strdup_printf("kdsrv:server=@{tcp:server=127.0.0.1,port=%u},"
                                          "trans=@{%s}",
                                          stage->entry.port, link));
    g_ptr_array_add(argv, g_strdup("--listen"));
    g_ptr_array_add(argv,
                    path != NULL ? g_strdup_printf("unix:%s", path) : g_strdup("tcp:127.0.0.1:0"));
    add_plugin_folders(argv, stage->setting);
    g_ptr_array_add(argv, NULL);
    child = bench_stage_start(stage, (const char *const *)argv->pdata, error);
    return child != NULL && bench_stage_await_entry(stage, child, path, error);
}

static gboolean
add_relays(BenchStage *stage, GError **error)
{
    g_autofree char *entry = g_strdup_printf("%s/entry.sock", stage->folder);

    switch (stage->peer) {
    case BENCH_PEER_EPOLL:
        return add_epoll(stage, NULL, error);
    case BENCH_PEER_SOCAT:
        return add_socat(stage, NULL, "8192", error);
    case BENCH_PEER_SOCAT_64K:
        return add_socat(stage, NULL, "65536", error);
    case BENCH_PEER_KDSRV:
        return add_kdsrv(stage, error);
    case BENCH_PEER_TWO_EPOLLS:
        /* where TCP is what is compared with, it is TCP all the way */
        return add_epoll(stage, NULL, error) &&
               add_epoll(stage, stage->plan->is_kernel ? NULL : entry, error);
    case BENCH_PEER_TWO_SOCATS:
        return add_socat(stage, NULL, "8192", error) && add_socat(stage, entry, "8192", error);
    case BENCH_PEER_KD_KDSRV:
    case BENCH_PEER_NET_KD_KDSRV:
        return add_kdsrv(stage, error) && add_kd(stage, entry, error);
    case BENCH_PEER_FRAMED:
        return add_framed(stage, error);
    case BENCH_PEER_SER2NET:
        return add_ser2net(stage, error);
    case BENCH_PEER_DIRECT:
    case BENCH_PEER_NET:
        return TRUE;
    default:
        return bench_stage_add_tls(stage, error);
    }
}

/**
 * bench_stage_new:
 * @setting: outlives the stage
 * @plan: outlives the stage
 *
 * Starts the target and, in front of it, what @peer consists of; waits until all listen.
 *
 * Returns: (transfer full): the stage.
 */
BenchStage *
bench_stage_new(BenchPeer peer, const BenchSetting *setting, const BenchStagePlan *plan,
                GError **error)
{
    g_autoptr(BenchStage) stage = g_new0(BenchStage, 1);
    g_autofree char *back = NULL;

    stage->peer = peer;
    stage->setting = setting;
    stage->plan = plan;
    stage->relays = g_ptr_array_new();
    stage->folder = g_dir_make_tmp("kd-bench-XXXXXX", error);
    if (stage->folder == NULL) {
        return NULL;
    }
    bench_place_harness(plan->place);
    if (plan->is_kernel) {
        return bench_stage_start_kernel(stage, error) && add_relays(stage, error)
                   ? g_steal_pointer(&stage)
                   : NULL;
    }
    stage->target = bench_target_start(stage->folder, plan->n_links, plan->is_threaded,
                                       plan->is_terminal, plan->place, error);
    if (stage->target == NULL) {
        return NULL;
    }
    back = bench_target_build_path(stage->folder, 0);
    g_strlcpy(stage->entry.path, back, sizeof stage->entry.path);
    stage->line = plan->is_terminal ? g_file_read_link(back, error) : NULL;
    if ((plan->is_terminal && stage->line == NULL) || !add_relays(stage, error)) {
        return NULL;
    }
    return g_steal_pointer(&stage);
}

static void
remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
}

/**
 * bench_stage_free:
 *
 * Ends all that bench_stage_new() started and removes its files.
 */
void
bench_stage_free(BenchStage *stage)
{
    for (guint i = stage->relays->len; i-- > 0;) {
        bench_child_stop(g_ptr_array_index(stage->relays, i));
    }
    g_ptr_array_unref(stage->relays);
    g_clear_pointer(&stage->kernel, bench_child_stop);
    g_clear_pointer(&stage->target, bench_target_stop);
    if (stage->folder != NULL) {
        remove_folder(stage->folder);
    }
    g_free(stage->folder);
    g_free(stage->line);
    g_free(stage->security);
    bench_place_harness(BENCH_PLACE_FREE);
    g_free(stage);
}

/**
 * bench_stage_get_folder:
 *
 * Returns: (transfer none): a folder that lives as long as the stage.
 */
const char *
bench_stage_get_folder(const BenchStage *stage)
{
    return stage->folder;
}

/**
 * bench_stage_get_count:
 *
 * Returns: (transfer none) (nullable): what the plan has.
 */
BenchCount *
bench_stage_get_count(const BenchStage *stage)
{
    return stage->plan->count;
}

/**
 * bench_stage_get_security:
 *
 * Returns: (transfer none) (nullable): the encryption of the connections so far; %NULL: none.
 */
const char *
bench_stage_get_security(const BenchStage *stage)
{
    return stage->security;
}

/**
 * bench_stage_is_tls:
 *
 * Returns: whether the client's end speaks TLS.
 */
gboolean
bench_stage_is_tls(const BenchStage *stage)
{
    return stage->plan->is_tls && stage->peer != BENCH_PEER_SSH;
}

/**
 * bench_stage_get_entry:
 *
 * Returns: (transfer none): where clients connect to.
 */
const BenchAddress *
bench_stage_get_entry(const BenchStage *stage)
{
    return &stage->entry;
}

/**
 * bench_stage_get_target:
 *
 * Returns: (transfer none) (nullable): the far end; %NULL: it is a kernel.
 */
BenchTarget *
bench_stage_get_target(const BenchStage *stage)
{
    return stage->target;
}

/**
 * bench_stage_get_relays:
 *
 * Returns: (transfer none) (element-type BenchChild): the programs in between.
 */
GPtrArray *
bench_stage_get_relays(const BenchStage *stage)
{
    return stage->relays;
}

/**
 * bench_stage_get_cpu_ns:
 *
 * Returns: processor time that all programs in between have used.
 */
uint64_t
bench_stage_get_cpu_ns(const BenchStage *stage)
{
    uint64_t sum = 0;

    for (guint i = 0; i < stage->relays->len; i++) {
        sum += bench_child_get_cpu_ns(g_ptr_array_index(stage->relays, i));
    }
    return sum;
}

/**
 * bench_stage_has_links:
 *
 * Returns: whether the client itself opens links by name.
 */
gboolean
bench_stage_has_links(const BenchStage *stage)
{
    return stage->peer == BENCH_PEER_KDSRV || stage->peer == BENCH_PEER_FRAMED;
}

/**
 * bench_stage_dial:
 * @trans: the link, where the client is the one that speaks the session protocol
 *
 * Connects to the entry.
 *
 * Returns: (transfer full): the client's end.
 */
BenchEnd *
bench_stage_dial(BenchStage *stage, const char *trans, GError **error)
{
    BenchEnd *end;

    if (stage->line != NULL && stage->peer == BENCH_PEER_DIRECT) {
        return bench_end_open_terminal(stage->line, error);
    }
    end = bench_end_open(&stage->entry, bench_stage_is_tls(stage),
                         bench_stage_has_links(stage) ? trans : NULL, error);
    if (end != NULL && stage->security == NULL) {
        stage->security = bench_end_describe_tls(end);
    }
    return end;
}

/**
 * bench_stage_open:
 * @talk: (out caller-allocates): zeroed, where this fails
 * @order: its session is also the number of the link
 *
 * Connects through to the target and gives it its order.
 *
 * Returns: whether that went.
 */
gboolean
bench_stage_open(BenchStage *stage, BenchTalk *talk, const BenchOrder *order, GError **error)
{
    g_autofree char *path = bench_target_build_path(stage->folder, order->session);
    g_autofree char *trans = stage->line != NULL ? g_strdup_printf("com:port=%s", stage->line)
                                                 : g_strdup_printf("com:pipe,port=%s", path);

    memset(talk, 0, sizeof *talk);
    talk->slot = bench_target_get_slot(stage->target, order->session);
    talk->end = bench_stage_dial(stage, trans, error);
    if (talk->end == NULL) {
        return FALSE;
    }
    if (!bench_talk_begin(talk, order, error)) {
        bench_talk_end(talk);
        return FALSE;
    }
    return TRUE;
}

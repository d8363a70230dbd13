/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated KD target, a program of its own, and the order socket that it listens on. */
#include "kd-e2e-target.h"

#include "kd-e2e-socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Those of KDNET, and none that the kernel gives away by itself */
#define LOWEST_PORT  61000
#define HIGHEST_PORT 65535

/* ---- ports ---- */

/* An abstract socket is a lock that goes with its owner. */
static int
lock_port(guint port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *name = g_strdup_printf("kdsrv-e2e-udp-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, name, strlen(name));
    if (bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean
is_port_free(guint port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gboolean is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    close(fd);
    return is_free;
}

/**
 * kd_e2e_target_take_net_port:
 * @lock: (out): to be closed when the port is not needed any more
 *
 * Returns: a UDP port that no other test uses
 */
guint
kd_e2e_target_take_net_port(int *lock)
{
    g_autoptr(GRand) rand = g_rand_new(); /* the test program's own is seeded the same each time */

    for (guint i = 0; i < 1000; i++) {
        guint port = (guint)g_rand_int_range(rand, LOWEST_PORT, HIGHEST_PORT + 1);

        *lock = lock_port(port);
        if (*lock >= 0 && is_port_free(port)) {
            return port;
        }
        if (*lock >= 0) {
            close(*lock);
        }
    }
    g_error("no UDP port is free");
}

/* ---- the program ---- */

static KdE2eTarget *
start(const KdE2eStage *stage, const char *name, const char *link, const char *const *options)
{
    KdE2eTarget *target = g_new0(KdE2eTarget, 1);
    g_autofree char *file = g_strconcat(name, ".orders", NULL);
    g_autofree char *path = kd_e2e_stage_build_path(stage, file);
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_build_filename(g_getenv("KD_BINDIR"), "kd-target", NULL));
    g_ptr_array_add(argv, g_strdup("--link"));
    g_ptr_array_add(argv, g_strdup(link));
    g_ptr_array_add(argv, g_strdup("--name"));
    g_ptr_array_add(argv, g_strdup(name));
    g_ptr_array_add(argv, g_strdup("--control"));
    g_ptr_array_add(argv, g_strdup(path));
    for (; options != NULL && *options != NULL; options++) {
        g_ptr_array_add(argv, g_strdup(*options));
    }
    g_ptr_array_add(argv, NULL);
    target->name = g_strdup(name);
    target->port_lock = -1;
    target->program = kd_e2e_program_new((const char *const *)argv->pdata, NULL);
    g_free(kd_e2e_program_await(target->program, KD_E2E_STDOUT, "ready"));
    target->control = kd_e2e_dial_unix(path);
    return target;
}

/**
 * kd_e2e_target_new:
 * @name: letters and digits
 * @link: as kd-target wants it
 * @trans: what kd or kdsrv has to open then
 * @option: (nullable): the first of more arguments of kd-target, up to %NULL
 *
 * Starts a target and waits until its link is there. It has booted, and waits for a debugger.
 *
 * Returns: (transfer full): the target
 */
KdE2eTarget *
kd_e2e_target_new(const KdE2eStage *stage, const char *name, const char *link, const char *trans,
                  const char *option, ...)
{
    g_autoptr(GPtrArray) options = g_ptr_array_new();
    KdE2eTarget *target;
    va_list more;

    va_start(more, option);
    for (; option != NULL; option = va_arg(more, const char *)) {
        g_ptr_array_add(options, (gpointer)option);
    }
    va_end(more);
    g_ptr_array_add(options, NULL);
    target = start(stage, name, link, (const char *const *)options->pdata);
    target->trans = g_strdup(trans);
    return target;
}

/**
 * kd_e2e_target_new_pipe:
 *
 * A target with a serial line that is a UNIX socket, as a virtual machine's. The server needs
 * `--allow-path` for the stage's folder.
 *
 * Returns: (transfer full): the target
 */
KdE2eTarget *
kd_e2e_target_new_pipe(const KdE2eStage *stage, const char *name)
{
    g_autofree char *file = g_strconcat(name, ".line", NULL);
    g_autofree char *path = kd_e2e_stage_build_path(stage, file);
    g_autofree char *link = g_strconcat("unix:", path, NULL);
    g_autofree char *trans = g_strconcat("com:pipe,port=", path, NULL);

    return kd_e2e_target_new(stage, name, link, trans, NULL);
}

/**
 * kd_e2e_target_new_pty:
 *
 * A target with a serial line that is a terminal. The server needs `--allow-path=/dev/pts`.
 *
 * Returns: (transfer full): the target
 */
KdE2eTarget *
kd_e2e_target_new_pty(const KdE2eStage *stage, const char *name)
{
    g_autofree char *file = g_strconcat(name, ".tty", NULL);
    g_autofree char *path = kd_e2e_stage_build_path(stage, file);
    g_autofree char *link = g_strconcat("pty:", path, NULL);
    g_autofree char *line = NULL;
    KdE2eTarget *target = start(stage, name, link, NULL);

    line = realpath(path, NULL);
    g_assert_nonnull(line);
    target->trans = g_strconcat("com:port=", line, NULL);
    return target;
}

static KdE2eTarget *
start_net(const KdE2eStage *stage, const char *name, const char *key, guint net_port,
          guint way_port, const char *const *options)
{
    g_autofree char *link = g_strdup_printf("net:127.0.0.1:%u", way_port);
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    KdE2eTarget *target;

    g_ptr_array_add(all, (gpointer) "--key");
    g_ptr_array_add(all, (gpointer)key);
    for (; options != NULL && *options != NULL; options++) {
        g_ptr_array_add(all, (gpointer)*options);
    }
    g_ptr_array_add(all, NULL);
    target = start(stage, name, link, (const char *const *)all->pdata);
    target->trans = g_strdup_printf("net:port=%u,key=%s", net_port, key);
    target->net_port = net_port;
    return target;
}

/**
 * kd_e2e_target_new_net_at:
 * @key: w.x.y.z
 * @net_port: UDP port of the server
 * @way_port: UDP port that the target sends to: @net_port, or of somebody on the way
 *
 * A target with KDNET, on the loopback.
 *
 * Returns: (transfer full): the target
 */
KdE2eTarget *
kd_e2e_target_new_net_at(const KdE2eStage *stage, const char *name, const char *key, guint net_port,
                         guint way_port)
{
    return start_net(stage, name, key, net_port, way_port, NULL);
}

/**
 * kd_e2e_target_new_net_with:
 * @key: w.x.y.z
 * @options: (nullable): more arguments of kd-target, up to %NULL
 *
 * A target with KDNET, on a port of its own.
 *
 * Returns: (transfer full): the target
 */
KdE2eTarget *
kd_e2e_target_new_net_with(const KdE2eStage *stage, const char *name, const char *key,
                           const char *const *options)
{
    int lock = -1;
    guint port = kd_e2e_target_take_net_port(&lock);
    KdE2eTarget *target = start_net(stage, name, key, port, port, options);

    target->port_lock = lock;
    return target;
}

/**
 * kd_e2e_target_new_net:
 * @key: w.x.y.z
 *
 * A target with KDNET, on a port of its own.
 *
 * Returns: (transfer full): the target
 */
KdE2eTarget *
kd_e2e_target_new_net(const KdE2eStage *stage, const char *name, const char *key)
{
    return kd_e2e_target_new_net_with(stage, name, key, NULL);
}

/**
 * kd_e2e_target_free:
 * @target: (nullable): a target
 *
 * Kills it.
 */
void
kd_e2e_target_free(KdE2eTarget *target)
{
    if (target == NULL) {
        return;
    }
    close(target->control);
    kd_e2e_program_free(target->program);
    if (target->port_lock >= 0) {
        close(target->port_lock);
    }
    g_free(target->name);
    g_free(target->trans);
    g_free(target);
}

/* ---- orders ---- */

/**
 * kd_e2e_target_ask:
 * @order: one line
 *
 * Returns: (transfer full): the answer
 */
char *
kd_e2e_target_ask(const KdE2eTarget *target, const char *order)
{
    return kd_e2e_steer(target->control, order);
}

/**
 * kd_e2e_target_order:
 * @order: one line
 *
 * Orders something, which must be answered with ok.
 */
void
kd_e2e_target_order(const KdE2eTarget *target, const char *order)
{
    kd_e2e_order(target->control, order);
}

/**
 * kd_e2e_target_count:
 * @counter: as `stat` spells it
 *
 * Returns: one of the target's counters
 */
guint64
kd_e2e_target_count(const KdE2eTarget *target, const char *counter)
{
    return kd_e2e_count(target->control, counter);
}

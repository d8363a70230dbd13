/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an end-to-end test stands on: a folder, ports that are its own, a server, a target. */
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Below those that the kernel gives away by itself */
#define LOWEST_PORT  12000
#define HIGHEST_PORT 32000

/* ---- ports ---- */

static gboolean
is_port_free(guint port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    gboolean is_free;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    close(fd);
    return is_free;
}

/* An abstract socket is a lock that goes with its owner. */
static int
lock_ports(guint low)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *name = g_strdup_printf("kdsrv-e2e-ports-%u", low);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, name, strlen(name));
    if (bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) != 0) {
        close(fd);
        return -1;
    }
    for (guint i = 0; i < KD_E2E_N_PORTS; i++) {
        if (!is_port_free(low + i)) {
            close(fd);
            return -1;
        }
    }
    return fd;
}

static void
take_ports(KdE2eStage *stage)
{
    g_autoptr(GRand) rand = g_rand_new(); /* the test program's own is seeded the same each time */

    stage->lock_fd = -1;
    for (int i = 0; i < 1000 && stage->lock_fd < 0; i++) {
        gint32 at = g_rand_int_range(rand, LOWEST_PORT / (gint32)KD_E2E_N_PORTS,
                                     HIGHEST_PORT / (gint32)KD_E2E_N_PORTS);

        stage->low = (guint)at * KD_E2E_N_PORTS;
        stage->lock_fd = lock_ports(stage->low);
    }
    g_assert_cmpint(stage->lock_fd, >=, 0);
}

/* ---- fixture ---- */

static int
on_file(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

/* A process that does nothing until this one lets go of the pipe, by will or by abort(). */
static void
start_keeper(KdE2eStage *stage)
{
    int ends[2];
    char byte;

    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    stage->keeper = fork();
    g_assert_cmpint(stage->keeper, >=, 0);
    if (stage->keeper == 0) {
        (void)signal(SIGTERM, SIG_IGN); /* meant for the test, and sent to its whole group */
        (void)signal(SIGINT, SIG_IGN);
        close(ends[1]);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
        }
        (void)nftw(stage->folder, on_file, 8, FTW_DEPTH | FTW_PHYS);
        _exit(0);
    }
    close(ends[0]);
    stage->keeper_fd = ends[1];
}

/**
 * kd_e2e_stage_set_up:
 *
 * Makes the folder and finds ports.
 */
void
kd_e2e_stage_set_up(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *config = NULL;
    g_autoptr(GError) error = NULL;

    (void)unused;
    stage->folder = g_dir_make_tmp("kdsrv-e2e-XXXXXX", &error);
    g_assert_no_error(error);
    /* So that every kd puts its socket there, and only those of this test find it. */
    g_assert_true(g_setenv("XDG_RUNTIME_DIR", stage->folder, TRUE));
    /* Certificates and known servers of whoever runs the tests are not ours. */
    config = g_build_filename(stage->folder, "config", NULL);
    g_assert_true(g_setenv("XDG_CONFIG_HOME", config, TRUE));
    start_keeper(stage);
    take_ports(stage);
}

/**
 * kd_e2e_stage_tear_down:
 *
 * Ends the server and removes the folder.
 */
void
kd_e2e_stage_tear_down(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    if (stage->server != NULL) {
        kd_e2e_stage_stop(stage);
    }
    close(stage->lock_fd);
    close(stage->keeper_fd);
    (void)waitpid(stage->keeper, NULL, 0);
    g_free(stage->folder);
}

/**
 * kd_e2e_stage_build_path:
 *
 * Returns: (transfer full): a path in the folder
 */
char *
kd_e2e_stage_build_path(const KdE2eStage *stage, const char *name)
{
    return g_build_filename(stage->folder, name, NULL);
}

/* ---- programs ---- */

static GPtrArray *
build_argv(const char *command)
{
    const char *bin = g_getenv("KD_BINDIR");
    const char *plugins = g_getenv("KD_PLUGINDIR");
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_assert_nonnull(bin);
    g_assert_nonnull(plugins);
    g_ptr_array_add(argv, g_build_filename(bin, command, NULL));
    g_ptr_array_add(argv, g_strdup("--plugin-dir"));
    g_ptr_array_add(argv, g_strdup(plugins));
    return argv;
}

static void
add_options(GPtrArray *argv, const char *option, va_list more)
{
    for (; option != NULL; option = va_arg(more, const char *)) {
        g_ptr_array_add(argv, g_strdup(option));
    }
    g_ptr_array_add(argv, NULL);
}

/**
 * kd_e2e_stage_run:
 * @command: kd or kdsrv
 * @setup: (nullable): what is out of the ordinary
 * @option: (nullable): the first of its arguments, and so on, up to %NULL
 *
 * Starts a command with the plugins of the build tree.
 *
 * Returns: (transfer full): the program
 */
KdE2eProgram *
kd_e2e_stage_run(const char *command, const KdE2eSetup *setup, const char *option, ...)
{
    g_autoptr(GPtrArray) argv = build_argv(command);
    va_list more;

    va_start(more, option);
    add_options(argv, option, more);
    va_end(more);
    return kd_e2e_program_new((const char *const *)argv->pdata, setup);
}

static char *
await_ready(KdE2eStage *stage)
{
    char *line = kd_e2e_program_await(stage->server, KD_E2E_STDERR, "kdsrv: ready: ");
    const char *port = strstr(line, "Port=");

    stage->port = port != NULL ? (guint)g_ascii_strtoull(port + 5, NULL, 10) : 0;
    return line;
}

/**
 * kd_e2e_stage_build_listen:
 * @start: a transport with keys: `tcp:hidden`
 *
 * Returns: (transfer full): the same, with the ports of the stage to choose from
 */
char *
kd_e2e_stage_build_listen(const KdE2eStage *stage, const char *start)
{
    const char *comma = g_str_has_suffix(start, ":") ? "" : ",";

    return g_strdup_printf("%s%sport=%u:%u,bind=127.0.0.1", start, comma, stage->low,
                           stage->low + KD_E2E_N_PORTS - 1);
}

static void
start_server(KdE2eStage *stage, const KdE2eSetup *setup, const char *option, va_list more)
{
    g_autoptr(GPtrArray) argv = build_argv("kdsrv");

    g_assert_null(stage->server);
    g_ptr_array_add(argv, g_strdup("-t"));
    g_ptr_array_add(argv, kd_e2e_stage_build_listen(stage, "tcp:"));
    add_options(argv, option, more);
    stage->server = kd_e2e_program_new((const char *const *)argv->pdata, setup);
    g_free(await_ready(stage));
}

/**
 * kd_e2e_stage_start:
 * @option: (nullable): the first of more arguments, up to %NULL
 *
 * Starts the server on the loopback and waits until it is ready.
 */
void
kd_e2e_stage_start(KdE2eStage *stage, const char *option, ...)
{
    va_list more;

    va_start(more, option);
    start_server(stage, NULL, option, more);
    va_end(more);
}

/**
 * kd_e2e_stage_start_with:
 * @setup: what is out of the ordinary
 * @option: (nullable): the first of more arguments, up to %NULL
 *
 * The same, with a setup.
 */
void
kd_e2e_stage_start_with(KdE2eStage *stage, const KdE2eSetup *setup, const char *option, ...)
{
    va_list more;

    va_start(more, option);
    start_server(stage, setup, option, more);
    va_end(more);
}

/**
 * kd_e2e_stage_serve:
 * @setup: (nullable): what is out of the ordinary
 * @option: the first of the arguments, transports included, up to %NULL
 *
 * Starts the server with transports of the caller's and waits until it is ready.
 *
 * Returns: (transfer full): the line that says so
 */
char *
kd_e2e_stage_serve(KdE2eStage *stage, const KdE2eSetup *setup, const char *option, ...)
{
    g_autoptr(GPtrArray) argv = build_argv("kdsrv");
    va_list more;

    g_assert_null(stage->server);
    va_start(more, option);
    add_options(argv, option, more);
    va_end(more);
    stage->server = kd_e2e_program_new((const char *const *)argv->pdata, setup);
    return await_ready(stage);
}

/**
 * kd_e2e_stage_stop:
 *
 * Ends the server as a service manager does. It must end well whatever the test has done to it.
 */
void
kd_e2e_stage_stop(KdE2eStage *stage)
{
    g_autoptr(KdE2eProgram) server = g_steal_pointer(&stage->server);
    int status;

    if (kd_e2e_program_is_running(server)) {
        kd_e2e_program_signal(server, SIGTERM);
    }
    status = kd_e2e_program_wait(server);
    if (status != 0) {
        g_test_message("kdsrv said:\n%s", kd_e2e_program_get_text(server, KD_E2E_STDERR));
    }
    g_assert_cmpint(status, ==, 0);
}

/**
 * kd_e2e_stage_build_link:
 * @trans: what the server shall open
 *
 * Returns: (transfer full): the same as kd's -k wants it
 */
char *
kd_e2e_stage_build_link(const KdE2eStage *stage, const char *trans)
{
    return g_strdup_printf("kdsrv:server=@{tcp:server=127.0.0.1,port=%u},trans=@{%s}", stage->port,
                           trans);
}

/**
 * kd_e2e_stage_start_kd:
 * @trans: what the server shall open
 * @option: (nullable): the first of more arguments, up to %NULL
 *
 * Starts kd on a link of the server.
 *
 * Returns: (transfer full): kd
 */
KdE2eProgram *
kd_e2e_stage_start_kd(const KdE2eStage *stage, const char *trans, const char *option, ...)
{
    g_autoptr(GPtrArray) argv = build_argv("kd");
    va_list more;

    g_ptr_array_add(argv, g_strdup("-k"));
    g_ptr_array_add(argv, kd_e2e_stage_build_link(stage, trans));
    va_start(more, option);
    add_options(argv, option, more);
    va_end(more);
    return kd_e2e_program_new((const char *const *)argv->pdata, NULL);
}

/**
 * kd_e2e_is_missing:
 * @program: name
 *
 * Skips the test if this machine has no such program.
 *
 * Returns: whether it was skipped
 */
gboolean
kd_e2e_is_missing(const char *program)
{
    g_autofree char *path = g_find_program_in_path(program);

    if (path == NULL) {
        g_autofree char *reason = g_strdup_printf("this machine has no %s", program);

        g_test_skip(reason);
    }
    return path == NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One script of a KD debugger, the same over every link: what the client sees is KDCOM, whatever
 * the target speaks. */
#include "kd-e2e-certs.h"
#include "kd-e2e-debug.h"
#include "kd-e2e-socket.h"

#include <glib/gstdio.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY        KD_E2E_NET_KEY
#define READ_BYTES 65536u

/* ---- through a server ---- */

static void
test_pipe(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_pipe(stage, "vm");
    g_autoptr(KdE2eDebug) debug = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    debug = kd_e2e_debug_new(stage, "vm", target->trans);
    kd_e2e_debug_expect_script(debug, 0);
}

static void
test_terminal(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_pty(stage, "board");
    g_autoptr(KdE2eDebug) debug = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", "/dev/pts", NULL);
    debug = kd_e2e_debug_new(stage, "board", target->trans);
    kd_e2e_debug_expect_script(debug, 0);
}

/* The target is one that a break-in too many would stop once more. */
static void
test_net(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const options[] = {"--keep-break-ins", NULL};
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net_with(stage, "box", KEY, options);
    g_autoptr(KdE2eDebug) debug = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    kd_e2e_debug_expect_script(debug, 0);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target restarted"));
}

static void
test_versions(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const versions[] = {"2", "3", "4"};
    g_autoptr(GPtrArray) targets =
        g_ptr_array_new_with_free_func((GDestroyNotify)kd_e2e_target_free);

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        const char *const options[] = {"--version", versions[i], NULL};
        g_autofree char *name = g_strconcat("v", versions[i], NULL);

        g_ptr_array_add(targets, kd_e2e_target_new_net_with(stage, name, KEY, options));
    }
    kd_e2e_stage_start(stage, NULL);
    kd_e2e_debug_expect_scripts(stage, targets, READ_BYTES);
}

/* FALSE: the test is skipped. */
static gboolean
has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gboolean is_there = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0) {
        close(fd);
    }
    if (!is_there) {
        g_test_skip("this machine has no IPv6");
    }
    return is_there;
}

static void
test_ipv6(KdE2eStage *stage, gconstpointer unused)
{
    int lock = -1;
    guint port = kd_e2e_target_take_net_port(&lock);
    g_autofree char *link = g_strdup_printf("net:[::1]:%u", port);
    g_autofree char *trans = g_strdup_printf("net:port=%u,key=" KEY, port);
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;

    (void)unused;
    if (!has_ipv6()) {
        close(lock);
        return;
    }
    target = kd_e2e_target_new(stage, "box", link, trans, "--key", KEY, NULL);
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", trans);
    kd_e2e_debug_expect_script(debug, READ_BYTES);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(debug->kd, KD_E2E_STDERR), "target at [::1]:"));
    close(lock);
}

/* The key lies where the server finds it, and the client does not know it. */
static void
test_key_file(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *folder = g_build_filename(stage->folder, "config", "kdsrv", "keys", NULL);
    g_autofree char *path = g_build_filename(folder, "box", NULL);
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autoptr(KdE2eProgram) refused = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;

    (void)unused;
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, KEY "\n", -1, NULL));
    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
    kd_e2e_stage_start(stage, NULL);
    trans = g_strdup_printf("net:port=%u,key-file=box", target->net_port);
    refused = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(refused), !=, 0);
    g_assert_null(strstr(kd_e2e_program_get_text(refused, KD_E2E_STDERR), KEY));
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
    debug = kd_e2e_debug_new(stage, "box", trans);
    kd_e2e_debug_expect_script(debug, READ_BYTES);
}

static void
test_net_ssl(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autofree char *store = NULL;
    g_autofree char *listen = NULL;
    g_autofree char *sha256 = NULL;
    g_autofree char *link = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    listen = kd_e2e_stage_build_listen(stage, "ssl:certuser=lab");
    g_free(kd_e2e_stage_serve(stage, NULL, "-t", listen, NULL));
    target = kd_e2e_target_new_net(stage, "box", KEY);
    sha256 = kd_e2e_certs_get_sha256(store, "lab");
    link = g_strdup_printf("kdsrv:server=@{ssl:server=127.0.0.1,port=%u,certuser=%s},trans=@{%s}",
                           stage->port, sha256, target->trans);
    debug = kd_e2e_debug_new_link(stage, "box", link, NULL);
    kd_e2e_debug_expect_script(debug, READ_BYTES);
}

/* ---- without one ---- */

static void
test_direct(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autoptr(KdE2eDebug) debug = kd_e2e_debug_new_link(stage, "box", target->trans, NULL);

    (void)unused;
    kd_e2e_debug_expect_script(debug, READ_BYTES);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target restarted"));
}

/* The debugger as KDNET's host itself, and on the simulated line itself: what the others are
 * compared with. The host of KDNET stays when its debugger leaves, as the server does. */
static KdDebugger *
open_line(void *user, GError **error)
{
    int fd = kd_e2e_dial_unix(user);

    (void)error;
    return kd_debugger_new(fd, fd);
}

static KdDebugger *
open_net(void *user, GError **error)
{
    return kd_debugger_new_net((uint16_t)((KdE2eTarget *)user)->net_port, KEY, error);
}

static void
expect_script(KdDebuggerOpenFunc open, void *user)
{
    KdDebuggerScript script = {.read_bytes = READ_BYTES, .patience_ms = KD_E2E_DEADLINE_S * 1000};
    g_autoptr(GError) error = NULL;
    g_autofree char *transcript = kd_debugger_script_run(&script, open, user, &error);
    g_autofree char *expected = kd_debugger_script_get_expected(&script);

    g_assert_no_error(error);
    kd_e2e_debug_expect_lines(transcript, expected);
}

static void
test_bare_line(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_pipe(stage, "vm");

    (void)unused;
    expect_script(open_line, strstr(target->trans, stage->folder));
}

static void
test_bare_net(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);

    (void)unused;
    expect_script(open_net, target);
}

/* ---- handed over in other ways ---- */

/* A debugger that kd starts, with a profile as somebody would write it. */
static void
test_started(KdE2eStage *stage, gconstpointer unused)
{
    static const char profile[] = "[Debugger]\nNames=\nListen=unix\n"
                                  "Arguments=--connect;${ADDRESS}\n";
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autofree char *path = kd_e2e_stage_build_path(stage, "small.conf");
    g_autofree char *option = g_strconcat("--profile=", path, NULL);
    g_autofree char *debugger = g_build_filename(g_getenv("KD_BINDIR"), "kd-debugger", NULL);
    g_autofree char *link = NULL;
    g_autofree char *expected = kd_debugger_script_get_expected(NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    const char *said;

    (void)unused;
    g_assert_true(g_file_set_contents(path, profile, -1, NULL));
    kd_e2e_stage_start(stage, NULL);
    link = kd_e2e_stage_build_link(stage, target->trans);
    kd =
        kd_e2e_stage_run("kd", NULL, "-k", link, option, "--", debugger, "attach", "version", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    said = kd_e2e_program_get_text(kd, KD_E2E_STDOUT);
    g_assert_nonnull(strchr(said, '\n'));
    g_assert_true(g_str_has_prefix(expected, said));
}

static void
test_by_terminal(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autofree char *line = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;
    int terminal;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    kd = kd_e2e_stage_start_kd(stage, target->trans, "--pty", NULL);
    line = kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: pty /dev/");
    terminal = open(strstr(line, "/dev/"), O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(terminal, >=, 0);
    debugger = kd_debugger_new(terminal, terminal);
    (void)kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, &error);
    g_assert_no_error(error);
    kd_e2e_debug_expect_memory(debugger, READ_BYTES);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kd-links/line-without-a-server-says-what-all-say", test_bare_line);
    kd_e2e_add("/e2e/kd-links/net-without-a-server-says-what-all-say", test_bare_net);
    kd_e2e_add("/e2e/kd-links/pipe-says-what-all-say", test_pipe);
    kd_e2e_add("/e2e/kd-links/terminal-says-what-all-say", test_terminal);
    kd_e2e_add("/e2e/kd-links/net-says-what-all-say-and-a-reboot-is-told", test_net);
    kd_e2e_add("/e2e/kd-links/net-of-older-versions-says-what-all-say", test_versions);
    kd_e2e_add("/e2e/kd-links/net-over-ipv6-says-what-all-say", test_ipv6);
    kd_e2e_add("/e2e/kd-links/net-whose-key-only-the-server-has", test_key_file);
    kd_e2e_add("/e2e/kd-links/net-inside-tls-says-what-all-say", test_net_ssl);
    kd_e2e_add("/e2e/kd-links/net-of-kd-itself-says-what-all-say", test_direct);
    kd_e2e_add("/e2e/kd-links/net-reaches-a-debugger-that-kd-starts", test_started);
    kd_e2e_add("/e2e/kd-links/net-reaches-a-debugger-on-a-terminal", test_by_terminal);
    return g_test_run();
}

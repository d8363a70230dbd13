/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that dials its client: whoever is first, what passes, and who is let in. */
#include "kd-e2e-certs.h"
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TRANS "fake:name=1,echo"

/**
 * Pair:
 * @transport: of both strings: `tcp`
 * @server_keys: that only the server's string has
 * @client_keys: that only the client's string has
 * @setup: of both
 *
 * A server and the client that it dials, on the first port of the stage.
 */
typedef struct {
    KdE2eStage *stage;
    const char *transport;
    const char *server_keys;
    const char *client_keys;
    const KdE2eSetup *setup;
} Pair;

static KdE2eProgram *
start_server(const Pair *pair)
{
    g_autofree char *transport = g_strdup_printf("%s:clicon=127.0.0.1,port=%u%s", pair->transport,
                                                 pair->stage->low, pair->server_keys);
    KdE2eProgram *server = kd_e2e_stage_run("kdsrv", pair->setup, "-t", transport, NULL);

    g_free(kd_e2e_program_await(server, KD_E2E_STDERR, "kdsrv: ready: dials "));
    return server;
}

static KdE2eProgram *
start_client(const Pair *pair)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s:clicon=127.0.0.1,port=%u%s},trans=@{" TRANS "}",
                        pair->transport, pair->stage->low, pair->client_keys);

    return kd_e2e_stage_run("kd", pair->setup, "-k", link, "--stdio", NULL);
}

static void
await_waiting(KdE2eProgram *client)
{
    g_free(kd_e2e_program_await(client, KD_E2E_STDERR, "kd: waiting for 127.0.0.1 on "));
}

static void
expect_status(KdE2eProgram *program, int status)
{
    int real = kd_e2e_program_wait(program);

    g_test_message("exit %d: %s", real, kd_e2e_program_get_text(program, KD_E2E_STDERR));
    g_assert_cmpint(real, ==, status);
}

/* Both end well once the client is told to. */
static void
expect_session(KdE2eProgram *server, KdE2eProgram *client)
{
    kd_e2e_program_say(client, "there and back\n");
    g_free(kd_e2e_program_await(client, KD_E2E_STDOUT, "there and back"));
    kd_e2e_program_signal(client, SIGTERM);
    expect_status(client, 0);
    expect_status(server, 0);
}

static void
expect_either_first(const Pair *pair)
{
    g_autoptr(KdE2eProgram) early_client = start_client(pair);
    g_autoptr(KdE2eProgram) late_server = NULL;
    g_autoptr(KdE2eProgram) early_server = NULL;
    g_autoptr(KdE2eProgram) late_client = NULL;

    await_waiting(early_client);
    late_server = start_server(pair);
    expect_session(late_server, early_client);
    early_server = start_server(pair);
    g_free(kd_e2e_program_await(early_server, KD_E2E_STDERR, "waiting for the client"));
    late_client = start_client(pair);
    expect_session(early_server, late_client);
}

/* ---- cases ---- */

static void
test_tcp(KdE2eStage *stage, gconstpointer unused)
{
    const Pair pair = {stage, "tcp", "", "", NULL};

    (void)unused;
    expect_either_first(&pair);
}

static void
test_password(KdE2eStage *stage, gconstpointer unused)
{
    const Pair pair = {stage, "tcp", ",password=Sword1", ",password=Sword1", NULL};
    const Pair wrong = {stage, "tcp", ",password=Sword1", ",password=Sword2", NULL};
    g_autoptr(KdE2eProgram) client = NULL;
    g_autoptr(KdE2eProgram) server = NULL;

    (void)unused;
    expect_either_first(&pair);
    client = start_client(&wrong);
    await_waiting(client);
    server = start_server(&wrong);
    expect_status(client, 1);
    expect_status(server, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(client, KD_E2E_STDERR), "Error 0x80004005"));
}

static void
test_ssl(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *config = kd_e2e_stage_build_path(stage, "config");
    g_autofree char *home = g_strconcat("XDG_CONFIG_HOME=", config, NULL);
    const char *environment[] = {home, NULL};
    const KdE2eSetup setup = {.environment = environment};
    const Pair same = {stage, "ssl", ",certuser=host", ",certuser=host", &setup};
    const Pair other = {stage, "ssl", ",certuser=host", ",certuser=other", &setup};
    const Pair clear = {stage, "tcp", "", "", &setup};
    g_autofree char *store = NULL;
    g_autoptr(KdE2eProgram) choosy = NULL;
    g_autoptr(KdE2eProgram) refused = NULL;
    g_autoptr(KdE2eProgram) bound = NULL;
    g_autoptr(KdE2eProgram) naked = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "host", NULL, KD_E2E_CERT_SERVER);
    kd_e2e_certs_make(store, "other", NULL, KD_E2E_CERT_SERVER);
    expect_either_first(&same);
    choosy = start_client(&other);
    await_waiting(choosy);
    refused = start_server(&same);
    expect_status(choosy, 1);
    expect_status(refused, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(choosy, KD_E2E_STDERR), "certuser="));
    bound = start_client(&same);
    await_waiting(bound);
    naked = start_server(&clear);
    expect_status(bound, 1);
    expect_status(naked, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(bound, KD_E2E_STDERR), "no TLS at all"));
}

/* Listing links is a session like others. */
static void
test_list(KdE2eStage *stage, gconstpointer unused)
{
    const Pair pair = {stage, "tcp", "", "", NULL};
    g_autofree char *server_string = g_strdup_printf("tcp:clicon=127.0.0.1,port=%u", stage->low);
    g_autoptr(KdE2eProgram) client =
        kd_e2e_stage_run("kd", NULL, "--list", "links", "--server", server_string, "--json", NULL);
    g_autoptr(KdE2eProgram) server = NULL;

    (void)unused;
    await_waiting(client);
    server = start_server(&pair);
    expect_status(client, 0);
    expect_status(server, 0);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(client, KD_E2E_STDOUT), "\"links\""));
}

static void
expect_closed(guint port, const char *from)
{
    int fd = kd_e2e_dial(from, port);

    kd_e2e_expect_end(fd);
    close(fd);
}

static void
test_others_closed(KdE2eStage *stage, gconstpointer unused)
{
    const Pair pair = {stage, "tcp", "", "", NULL};
    g_autoptr(KdE2eProgram) client = start_client(&pair);
    g_autoptr(KdE2eProgram) server = NULL;

    (void)unused;
    await_waiting(client);
    expect_closed(stage->low, "127.0.0.9");
    g_free(kd_e2e_program_await(client, KD_E2E_STDERR, "not 127.0.0.1, closed"));
    expect_closed(stage->low, "127.0.0.10");
    server = start_server(&pair);
    expect_session(server, client);
}

/* F15: the client takes the first free port of its range, and says which. */
static void
test_range(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *client_keys = g_strdup_printf(":%u", stage->low + 2);
    const Pair wide = {stage, "tcp", "", client_keys, NULL};
    Pair exact = {stage, "tcp", "", "", NULL};
    g_autoptr(KdE2eProgram) first = start_client(&exact);
    g_autoptr(KdE2eProgram) second = NULL;
    g_autoptr(KdE2eProgram) server = NULL;
    g_autofree char *port = g_strdup_printf("Port=%u:%u", stage->low + 1, stage->low + 2);

    (void)unused;
    await_waiting(first); /* has the first port */
    second = start_client(&wide);
    await_waiting(second);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(second, KD_E2E_STDERR), port));
    stage->low++;
    server = start_server(&exact);
    expect_session(server, second);
    stage->low--;
    kd_e2e_program_signal(first, SIGINT);
    expect_status(first, 0);
}

/* Two clients must not take each other for a server. */
static void
test_reflection(KdE2eStage *stage, gconstpointer unused)
{
    const Pair pair = {stage, "tcp", "", "", NULL};
    g_autoptr(KdE2eProgram) waits = start_client(&pair);
    g_autoptr(KdE2eProgram) dials = NULL;
    g_autofree char *link = g_strdup_printf(
        "kdsrv:server=@{tcp:server=127.0.0.1,port=%u},trans=@{" TRANS "}", stage->low);

    (void)unused;
    await_waiting(waits);
    dials = kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
    expect_status(waits, 1);
    expect_status(dials, 1);
}

/* The server must give the exact port, and the client the server's name. */
static void
test_usage(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) server =
        kd_e2e_stage_run("kdsrv", NULL, "-t", "tcp:clicon=127.0.0.1,port=5000:5010", NULL);
    g_autoptr(KdE2eProgram) both =
        kd_e2e_stage_run("kd", NULL, "--list", "links", "--server",
                         "tcp:server=127.0.0.1,clicon=127.0.0.1,port=5000", NULL);

    (void)stage;
    (void)unused;
    expect_status(server, 2);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "port"));
    expect_status(both, 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/clicon/either-side-may-be-first", test_tcp);
    kd_e2e_add("/e2e/clicon/password-is-asked-for", test_password);
    kd_e2e_add("/e2e/clicon/inside-tls-the-server-is-who-it-should-be", test_ssl);
    kd_e2e_add("/e2e/clicon/links-can-be-listed", test_list);
    kd_e2e_add("/e2e/clicon/others-are-closed-and-waiting-goes-on", test_others_closed);
    kd_e2e_add("/e2e/clicon/client-takes-a-free-port-of-its-range", test_range);
    kd_e2e_add("/e2e/clicon/two-clients-refuse-each-other", test_reflection);
    kd_e2e_add("/e2e/clicon/ranges-are-for-clients", test_usage);
    return g_test_run();
}

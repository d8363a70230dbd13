/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passwords and keys leave a program in no form and on no way: wire, system calls, logs, arguments,
 * environments, dumps. */
#include "kd-e2e-canary.h"
#include "kd-e2e-certs.h"
#include "kd-e2e-places.h"
#include "kd-e2e-pty.h"
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HERE          "127.0.0.1"
#define PASSWORD      "Kanarie7Xq2w"
#define WRONG         "Kanarie7Xq2v"
#define LOOK_EVERY_MS 20
/* What is normalised before it is used (RFC 4013): a superscript two, an ordinal indicator */
#define LONG_PASSWORD "Stieglitz\302\262 \302\252 Zeisig, 47"
#define LONG_PREPARED "Stieglitz2 a Zeisig, 47"

static const char *const loud[] = {"G_MESSAGES_DEBUG=all", "ASAN_OPTIONS=detect_leaks=0", NULL};

static KdE2eCanary *
new_password(const char *password)
{
    return kd_e2e_canary_new("the password", password, strlen(password));
}

/* ---- a login ---- */

static GPtrArray *
build_argv(const char *const *before, const char *command, const char *const *after)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    for (; before != NULL && *before != NULL; before++) {
        g_ptr_array_add(argv, g_strdup(*before));
    }
    g_ptr_array_add(argv, g_build_filename(g_getenv("KD_BINDIR"), command, NULL));
    g_ptr_array_add(argv, g_strdup("--plugin-dir"));
    g_ptr_array_add(argv, g_strdup(g_getenv("KD_PLUGINDIR")));
    for (; *after != NULL; after++) {
        g_ptr_array_add(argv, g_strdup(*after));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/**
 * Login:
 * @before_server: (nullable): a program that starts kdsrv, and its arguments
 * @before_client: (nullable): one that starts kd
 * @server: the server's transport, without the port
 * @client: the client's, without server and port
 */
typedef struct {
    const char *const *before_server;
    const char *const *before_client;
    const char *server;
    const char *client;
} Login;

static void
serve(KdE2eStage *stage, const Login *login)
{
    const KdE2eSetup setup = {.environment = loud};
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, login->server);
    const char *const after[] = {"-v", "-t", listen, "--allow-path", "/dev/pts", NULL};
    g_autoptr(GPtrArray) argv = build_argv(login->before_server, "kdsrv", after);
    g_autofree char *ready = NULL;

    stage->server = kd_e2e_program_new((const char *const *)argv->pdata, &setup);
    ready = kd_e2e_program_await(stage->server, KD_E2E_STDERR, "kdsrv: ready: ");
    stage->port = (guint)g_ascii_strtoull(strstr(ready, "Port=") + strlen("Port="), NULL, 10);
}

static KdE2eProgram *
start_kd(KdE2eStage *stage, const Login *login, const char *trans)
{
    const KdE2eSetup setup = {.environment = loud};
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s,server=" HERE ",port=%u},trans=@{%s}", login->client,
                        stage->port, trans);
    const char *const after[] = {"-k", link, "--stdio", NULL};
    g_autoptr(GPtrArray) argv = build_argv(login->before_client, "kd", after);

    return kd_e2e_program_new((const char *const *)argv->pdata, &setup);
}

static void
expect_silent(const KdE2eCanary *canary, KdE2eProgram *program, const char *name)
{
    static const char *const files[] = {"cmdline", "environ"};

    kd_e2e_canary_expect_not_in_text(canary, name, kd_e2e_program_get_text(program, KD_E2E_STDOUT));
    kd_e2e_canary_expect_not_in_text(canary, name, kd_e2e_program_get_text(program, KD_E2E_STDERR));
    for (gsize i = 0; i < G_N_ELEMENTS(files) && kd_e2e_program_is_running(program); i++) {
        g_autofree char *path =
            g_strdup_printf("/proc/%d/%s", (int)kd_e2e_program_get_pid(program), files[i]);

        kd_e2e_canary_expect_not_in_file(canary, path);
    }
}

/* Logs in, exchanges bytes, leaves; the server goes on. */
static void
log_in(KdE2eStage *stage, const Login *login, const KdE2eCanary *canary)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int far = kd_e2e_pty_new(&name);

    trans = g_strdup_printf("com:port=%s", name);
    kd = start_kd(stage, login, trans);
    kd_e2e_program_say(kd, "to the target");
    kd_e2e_expect(far, "to the target");
    expect_silent(canary, kd, "what kd says");
    expect_silent(canary, stage->server, "what kdsrv says");
    kd_e2e_program_close_stdin(kd);
    close(far);
    (void)kd_e2e_program_wait(kd);
    expect_silent(canary, kd, "what kd says");
    expect_silent(canary, stage->server, "what kdsrv says");
}

static void
refuse(KdE2eStage *stage, const Login *login, const KdE2eCanary *canary)
{
    g_autoptr(KdE2eProgram) kd = start_kd(stage, login, "fake:name=1");

    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    expect_silent(canary, kd, "what kd says");
    expect_silent(canary, stage->server, "what kdsrv says");
}

static const Login plain = {
    .server = "tcp:password=" PASSWORD,
    .client = "tcp:password=" PASSWORD,
};

/* ---- the wire ---- */

static KdE2eProgram *
start_tcpdump(const char *path, guint port)
{
    g_autofree char *filter = g_strdup_printf("tcp port %u", port);
    const char *const argv[] = {"tcpdump", "-i",   "lo", "-U", "-w",   path,
                                "-Z",      "root", "-s", "0",  filter, NULL};
    KdE2eProgram *tcpdump = kd_e2e_program_new(argv, NULL);
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (kd_e2e_program_is_running(tcpdump) && g_get_monotonic_time() < deadline_us) {
        if (strstr(kd_e2e_program_get_text(tcpdump, KD_E2E_STDERR), "listening on") != NULL) {
            return tcpdump;
        }
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    }
    g_test_message("%s", kd_e2e_program_get_text(tcpdump, KD_E2E_STDERR));
    g_test_skip("tcpdump may not listen on lo here");
    kd_e2e_program_free(tcpdump);
    return NULL;
}

static gboolean
is_in_file(const char *path, const char *text)
{
    g_autofree char *bytes = NULL;
    gsize len = 0;

    return g_file_get_contents(path, &bytes, &len, NULL) &&
           memmem(bytes, len, text, strlen(text)) != NULL;
}

static void
await_in_file(const char *path, const char *text)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (!is_in_file(path, text)) {
        if (g_get_monotonic_time() > deadline_us) {
            g_error("%s never held %s", path, text);
        }
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    }
}

static void
test_wire(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eCanary) canary = new_password(PASSWORD);
    g_autofree char *path = kd_e2e_stage_build_path(stage, "wire.pcap");
    g_autoptr(KdE2eProgram) tcpdump = NULL;

    (void)unused;
    if (kd_e2e_is_missing("tcpdump")) {
        return;
    }
    serve(stage, &plain);
    tcpdump = start_tcpdump(path, stage->port);
    if (tcpdump == NULL) {
        return;
    }
    log_in(stage, &plain, canary);
    await_in_file(path, "SCRAM-SHA-256");
    await_in_file(path, "to the target"); /* behind all that was said of the password */
    kd_e2e_program_signal(tcpdump, SIGINT);
    g_assert_cmpint(kd_e2e_program_wait(tcpdump), ==, 0);
    kd_e2e_canary_expect_not_in_file(canary, path);
}

/* A longer one, from a file, that is another one after it was normalised. */
static void
test_wire_long(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eCanary) canary = new_password(LONG_PASSWORD);
    g_autoptr(KdE2eCanary) prepared = new_password(LONG_PREPARED);
    g_autofree char *pcap = kd_e2e_stage_build_path(stage, "wire.pcap");
    g_autofree char *path = kd_e2e_stage_build_path(stage, "password");
    g_autofree char *keys = g_strconcat("tcp:password-file=", path, NULL);
    Login login = {.server = keys, .client = keys};
    g_autoptr(KdE2eProgram) tcpdump = NULL;

    (void)unused;
    if (kd_e2e_is_missing("tcpdump")) {
        return;
    }
    g_assert_true(g_file_set_contents(path, LONG_PASSWORD "\n", -1, NULL));
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
    serve(stage, &login);
    tcpdump = start_tcpdump(pcap, stage->port);
    if (tcpdump == NULL) {
        return;
    }
    log_in(stage, &login, canary);
    await_in_file(pcap, "to the target");
    kd_e2e_canary_expect_not_in_file(canary, pcap);
    kd_e2e_canary_expect_not_in_file(prepared, pcap);
    expect_silent(prepared, stage->server, "what kdsrv says");
}

/* ---- system calls ---- */

#define WRITES "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg"

/* What both commands write and send, with a login that fails and one that does not. */
static void
check_calls(KdE2eStage *stage, const Login *login, const Login *wrong, const KdE2eCanary *canary)
{
    g_autofree char *server = kd_e2e_stage_build_path(stage, "server.strace");
    g_autofree char *client = kd_e2e_stage_build_path(stage, "client.strace");
    const char *const before_server[] = {"strace", "-D",   "-f", "-xx",  "-s", "65536",
                                         "-e",     WRITES, "-o", server, NULL};
    const char *const before_client[] = {"strace", "-D",   "-f", "-xx",  "-s", "65536",
                                         "-e",     WRITES, "-o", client, NULL};
    Login traced = *login;

    traced.before_server = before_server;
    traced.before_client = before_client;
    serve(stage, &traced);
    if (wrong != NULL) {
        refuse(stage, wrong, canary);
    }
    log_in(stage, &traced, canary);
    await_in_file(client, "+++ exited with");
    kd_e2e_stage_stop(stage);
    await_in_file(server, "+++ exited with");
    /* it was looked at: "to the" in hex */
    g_assert_true(is_in_file(client, "\\x74\\x6f\\x20\\x74\\x68\\x65"));
    g_assert_true(is_in_file(server, "\\x74\\x6f\\x20\\x74\\x68\\x65"));
    kd_e2e_canary_expect_not_in_file(canary, client);
    kd_e2e_canary_expect_not_in_file(canary, server);
}

static void
test_calls(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eCanary) canary = new_password(PASSWORD);
    const Login wrong = {.client = "tcp:password=" WRONG};

    (void)unused;
    if (!kd_e2e_is_missing("strace")) {
        check_calls(stage, &plain, &wrong, canary);
    }
}

/* ---- keys of certificates ---- */

/* Enough of a key to be sure that it is the key */
#define KEY_BYTES 24

/* The private number of a key of a curve with 256 bits: RFC 5915, ECPrivateKey. */
static KdE2eCanary *
new_key(const char *folder, const char *name)
{
    static const guint8 before[] = {0x02, 0x01, 0x01, 0x04};
    g_autofree char *path = kd_e2e_certs_build_path(folder, name, "key");
    g_autofree char *text = NULL;
    g_autofree guchar *der = NULL;
    const guint8 *at;
    char *begin;
    char *end;
    gsize len = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    begin = strstr(text, "-----BEGIN");
    g_assert_nonnull(begin);
    begin = strchr(begin, '\n');
    end = strstr(begin, "-----END");
    g_assert_nonnull(end);
    *end = '\0';
    der = g_base64_decode(begin, &len);
    at = memmem(der, len, before, sizeof before);
    g_assert_nonnull(at);
    at += sizeof before;
    /* 32 bytes, or fewer or one more where the number begins with zeros or a one */
    g_assert_cmpuint((gsize)(at - der) + 1 + at[0], <=, len);
    g_assert_cmpuint(at[0], >=, KEY_BYTES);
    return kd_e2e_canary_new("the private key", at + 1 + at[0] - KEY_BYTES, KEY_BYTES);
}

static void
test_key(KdE2eStage *stage, gconstpointer unused)
{
    static const Login login = {
        .server = "ssl:proto=tls1,certuser=lab,password=" PASSWORD,
        .client = "ssl:proto=tls1,certuser=lab,password=" PASSWORD,
    };
    g_autofree char *store = NULL;
    g_autoptr(KdE2eCanary) key = NULL;
    g_autoptr(KdE2eCanary) password = new_password(PASSWORD);
    g_autofree char *server = kd_e2e_stage_build_path(stage, "server.strace");

    (void)unused;
    if (kd_e2e_is_missing("strace") || kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    key = new_key(store, "lab");
    /* inside TLS nothing of what is said can be seen in calls */
    {
        const char *const before[] = {"strace", "-D",   "-f", "-xx",  "-s", "65536",
                                      "-e",     WRITES, "-o", server, NULL};
        Login traced = login;

        traced.before_server = before;
        serve(stage, &traced);
        log_in(stage, &traced, key);
        kd_e2e_stage_stop(stage);
        await_in_file(server, "+++ exited with");
        kd_e2e_canary_expect_not_in_file(key, server);
        kd_e2e_canary_expect_not_in_file(password, server);
    }
}

/* Where GnuTLS is told to write the keys of its sessions, it is not heard. */
static void
test_key_log(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "keys.log");
    g_autofree char *variable = g_strconcat("SSLKEYLOGFILE=", path, NULL);
    const char *const environment[] = {variable, NULL};
    const KdE2eSetup setup = {.environment = environment};
    g_autofree char *store = NULL;
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, "ssl:proto=tls1,certuser=lab");
    g_autofree char *link = NULL;
    g_autofree char *name = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int far = kd_e2e_pty_new(&name);

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    g_free(kd_e2e_stage_serve(stage, &setup, "-t", listen, "--allow-path", "/dev/pts", NULL));
    link = g_strdup_printf("kdsrv:server=@{ssl:proto=tls1,certuser=lab,server=" HERE
                           ",port=%u},trans=@{com:port=%s}",
                           stage->port, name);
    kd = kd_e2e_stage_run("kd", &setup, "-k", link, "--stdio", NULL);
    kd_e2e_program_say(kd, "in");
    kd_e2e_expect(far, "in");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    close(far);
}

/* ---- logs, and what is said of mistakes ---- */

static void
test_logs(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eCanary) canary = new_password(PASSWORD);
    g_autoptr(KdE2eCanary) wrong_one = new_password(WRONG);
    const Login wrong = {.client = "tcp:password=" WRONG};

    (void)unused;
    serve(stage, &plain);
    refuse(stage, &wrong, wrong_one);
    log_in(stage, &plain, canary);
    expect_silent(wrong_one, stage->server, "what kdsrv says");
}

static void
test_mistakes(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const servers[] = {
        "tcp:port=99999,password=" PASSWORD,
        "tcp:prot=1,password=" PASSWORD,
        "tcp:password=" PASSWORD,
        "tcp:port=1,password=" PASSWORD ",password=" PASSWORD,
        "tcp:port=1,PASSWORD=" PASSWORD "!",
        "tcp:port=1,password=" PASSWORD PASSWORD,
        "tcp:port=1,password=@{" PASSWORD "},x",
        "tcp:port=1,password=@{" PASSWORD,
        "tcp:port=1,pass" PASSWORD "word=x",
        "ssl:proto=ssl3,certuser=x,port=1,password=" PASSWORD,
        "nothing:port=1,password=" PASSWORD,
        "npipe:pipe=a b,password=" PASSWORD,
    };
    g_autoptr(KdE2eCanary) canary = new_password(PASSWORD);

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(servers); i++) {
        const KdE2eSetup setup = {.environment = loud};
        g_autofree char *link =
            g_strdup_printf("kdsrv:server=@{%s},trans=@{fake:name=1}", servers[i]);
        g_autoptr(KdE2eProgram) kdsrv = NULL;
        g_autoptr(KdE2eProgram) kd = NULL;

        if (strstr(servers[i], "pass" PASSWORD) != NULL) {
            continue; /* a key's name is not a secret */
        }
        kdsrv = kd_e2e_stage_run("kdsrv", &setup, "-t", servers[i], NULL);
        kd = kd_e2e_stage_run("kd", &setup, "-k", link, "--stdio", NULL);
        g_assert_cmpint(kd_e2e_program_wait(kdsrv), ==, 2);
        g_assert_cmpint(kd_e2e_program_wait(kd), ==, 2);
        g_test_message("%s", kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR));
        g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
        expect_silent(canary, kdsrv, "what kdsrv says of a mistake");
        expect_silent(canary, kd, "what kd says of a mistake");
    }
}

/* What others learn of a server: its ready line, with a star for the password. */
static void
test_listing(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, "tcp:password=" PASSWORD);
    g_autofree char *ready = kd_e2e_stage_serve(stage, NULL, "-t", listen, NULL);

    (void)unused;
    g_test_message("%s", ready);
    g_assert_nonnull(strstr(ready, "Password=*"));
    g_assert_null(strstr(ready, PASSWORD));
}

/* ---- children ---- */

static void
test_debugger(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eCanary) canary = new_password(PASSWORD);
    g_autofree char *profile = kd_e2e_stage_build_path(stage, "sh.conf");
    g_autofree char *script = kd_e2e_stage_build_path(stage, "script");
    g_autofree char *text = NULL;
    g_autofree char *link = NULL;
    g_autofree char *name = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int far = kd_e2e_pty_new(&name);

    (void)unused;
    text = g_strdup_printf("[Debugger]\nNames=sh\nListen=unix\nArguments=%s;${ADDRESS}\n", script);
    g_assert_true(g_file_set_contents(profile, text, -1, NULL));
    g_assert_true(g_file_set_contents(script,
                                      "tr '\\0' '\\n' </proc/self/environ\n"
                                      "tr '\\0' '\\n' </proc/$PPID/cmdline\n"
                                      "tr '\\0' '\\n' </proc/$$/cmdline\n"
                                      "echo that is all\n",
                                      -1, NULL));
    serve(stage, &plain);
    link = g_strdup_printf("kdsrv:server=@{tcp:server=" HERE ",port=%u,password=" PASSWORD
                           "},trans=@{com:port=%s}",
                           stage->port, name);
    kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--profile", profile, "--", "sh", NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "that is all"));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), "PATH="));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), "-k\n"));
    kd_e2e_canary_expect_not_in_text(canary, "what a debugger finds",
                                     kd_e2e_program_get_text(kd, KD_E2E_STDOUT));
    close(far);
}

/* In the place of ssh, which is not to know more than the name of the pipe: writes down all that it
 * is given. */
static void
test_ssh(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eCanary) canary = new_password(PASSWORD);
    g_autofree char *bin = kd_e2e_stage_build_path(stage, "bin");
    g_autofree char *ssh = g_build_filename(bin, "ssh", NULL);
    g_autofree char *seen = kd_e2e_stage_build_path(stage, "seen");
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\n{ echo \"$@\"; tr '\\0' '\\n' </proc/self/environ; "
                        "tr '\\0' '\\n' </proc/$PPID/cmdline; } >%s.new 2>&1\n"
                        "mv %s.new %s\n",
                        seen, seen, seen);
    g_autofree char *path = g_strdup_printf("PATH=%s:%s", bin, g_getenv("PATH"));
    const char *const environment[] = {path, NULL};
    const KdE2eSetup setup = {.environment = environment};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    g_assert_cmpint(mkdir(bin, 0755), ==, 0);
    g_assert_true(g_file_set_contents(ssh, script, -1, NULL));
    g_assert_cmpint(g_chmod(ssh, 0755), ==, 0);
    kd = kd_e2e_stage_run("kd", &setup, "-k",
                          "kdsrv:server=@{npipe:server=far.example,pipe=lab,password=" PASSWORD
                          "},trans=@{fake:name=1}",
                          "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    expect_silent(canary, kd, "what kd says");
    g_assert_true(is_in_file(seen, "far.example"));
    g_assert_true(is_in_file(seen, "--pipe-bridge"));
    kd_e2e_canary_expect_not_in_file(canary, seen);
}

/* ---- dumps ---- */

/* What another process of the same user may look into belongs to that user, all else to root; see
 * proc(5), /proc/PID. */
static gboolean
is_open_to_its_user(KdE2eProgram *program)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/environ", (int)kd_e2e_program_get_pid(program));
    GStatBuf status;

    g_assert_cmpint(g_stat(path, &status), ==, 0);
    return status.st_uid != 0;
}

#define NOBODY "65534"

static void
test_dumps(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const before[] = {"setpriv", "--reuid=" NOBODY, "--regid=" NOBODY,
                                         "--clear-groups", NULL};
    static const char *const control[] = {
        "setpriv", "--reuid=" NOBODY, "--regid=" NOBODY, "--clear-groups", "cat", NULL};
    Login login = plain;
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eProgram) cat = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int far = kd_e2e_pty_new(&name);

    (void)unused;
    if (geteuid() != 0 || kd_e2e_is_missing("setpriv")) {
        g_test_skip("only root can become somebody else");
        return;
    }
    g_assert_cmpint(g_chmod(stage->folder, 0755), ==, 0);
    g_assert_cmpint(g_chmod(name, 0666), ==, 0);
    login.before_server = before;
    login.before_client = before;
    cat = kd_e2e_program_new(control, NULL);
    kd_e2e_program_say(cat, "up\n");
    g_free(kd_e2e_program_await(cat, KD_E2E_STDOUT, "up"));
    g_assert_true(is_open_to_its_user(cat)); /* so much for the method */
    serve(stage, &login);
    trans = g_strdup_printf("com:port=%s", name);
    kd = start_kd(stage, &login, trans);
    kd_e2e_program_say(kd, "in");
    kd_e2e_expect(far, "in");
    g_assert_false(is_open_to_its_user(stage->server));
    g_assert_false(is_open_to_its_user(kd));
    close(far);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/secrets/password-is-not-on-the-wire", test_wire);
    kd_e2e_add("/e2e/secrets/password-of-a-file-is-not-on-the-wire", test_wire_long);
    kd_e2e_add("/e2e/secrets/password-is-in-no-system-call", test_calls);
    kd_e2e_add("/e2e/secrets/key-of-a-certificate-is-in-no-system-call", test_key);
    kd_e2e_add("/e2e/secrets/keys-of-sessions-are-not-written-down", test_key_log);
    kd_e2e_add("/e2e/secrets/password-is-in-no-log", test_logs);
    kd_e2e_add("/e2e/secrets/password-is-in-no-message-about-a-mistake", test_mistakes);
    kd_e2e_add("/e2e/secrets/password-is-listed-as-a-star", test_listing);
    kd_e2e_add("/e2e/secrets/password-is-not-told-to-the-debugger", test_debugger);
    kd_e2e_add("/e2e/secrets/password-is-not-told-to-ssh", test_ssh);
    kd_e2e_add("/e2e/secrets/nobody-can-look-into-the-commands", test_dumps);
    return g_test_run();
}

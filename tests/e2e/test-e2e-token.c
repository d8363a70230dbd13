/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key that never leaves its token serves TLS. The token is SoftHSM's, the interface the one of
 * real ones. */
#include "kd-e2e-canary.h"
#include "kd-e2e-certs.h"
#include "kd-e2e-gdb.h"
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>

#include <string.h>
#include <sys/stat.h>

#define HERE "127.0.0.1"
#define PIN  "73910482"

/**
 * Lab:
 * @conf: environment in which the token is seen
 */
typedef struct {
    char *folder;
    char *conf;
    char *sha256;
    const char *environment[4];
    KdE2eSetup setup;
} Lab;

static void
run(const Lab *lab, const char *const *argv)
{
    g_autoptr(KdE2eProgram) program = kd_e2e_program_new(argv, &lab->setup);

    if (kd_e2e_program_wait(program) != 0) {
        g_error("%s: %s", argv[0], kd_e2e_program_get_text(program, KD_E2E_STDERR));
    }
}

static void
fill_token(const Lab *lab)
{
    g_autofree char *key = g_strdup_printf("--load-privkey=%s/lab.key", lab->folder);
    g_autofree char *cert = g_strdup_printf("--load-certificate=%s/lab.crt", lab->folder);
    const char *const init[] = {"softhsm2-util",
                                "--init-token",
                                "--free",
                                "--label",
                                "kdsrv",
                                "--pin",
                                PIN,
                                "--so-pin",
                                PIN,
                                NULL};
    const char *const add_key[] = {"p11tool", "--batch", "--login",
                                   "--write", key,       "--label",
                                   "lab",     "--id=01", "pkcs11:token=kdsrv",
                                   NULL};
    const char *const add_cert[] = {"p11tool", "--batch", "--login",
                                    "--write", cert,      "--label",
                                    "lab",     "--id=01", "pkcs11:token=kdsrv",
                                    NULL};

    run(lab, init);
    run(lab, add_key);
    run(lab, add_cert);
}

/* A token with a key and its certificate, and neither in a file any more. */
static gboolean
lab_set_up(Lab *lab, KdE2eStage *stage)
{
    g_autofree char *tokens = kd_e2e_stage_build_path(stage, "tokens");
    g_autofree char *path = kd_e2e_stage_build_path(stage, "softhsm2.conf");
    g_autofree char *text =
        g_strdup_printf("directories.tokendir = %s\nobjectstore.backend = file\n", tokens);

    if (kd_e2e_certs_are_missing() || kd_e2e_is_missing("softhsm2-util") ||
        kd_e2e_is_missing("p11tool")) {
        return FALSE;
    }
    *lab = (Lab){.folder = kd_e2e_stage_build_path(stage, "made")};
    g_assert_cmpint(mkdir(tokens, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    lab->conf = g_strconcat("SOFTHSM2_CONF=", path, NULL);
    lab->environment[0] = lab->conf;
    lab->environment[1] = "GNUTLS_PIN=" PIN;
    lab->setup.environment = lab->environment;
    kd_e2e_certs_make(lab->folder, "lab", NULL, KD_E2E_CERT_SERVER);
    lab->sha256 = kd_e2e_certs_get_sha256(lab->folder, "lab");
    fill_token(lab);
    {
        g_autofree char *key = kd_e2e_certs_build_path(lab->folder, "lab", "key");

        g_assert_cmpint(g_unlink(key), ==, 0);
    }
    lab->environment[1] = "G_MESSAGES_DEBUG=all"; /* the commands don't get it so */
    return TRUE;
}

static void
lab_tear_down(Lab *lab)
{
    g_free(lab->folder);
    g_free(lab->conf);
    g_free(lab->sha256);
}

static void
debug_over(KdE2eStage *stage, const Lab *lab, const char *cert)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *start = g_strconcat("ssl:proto=tls1,certuser=", cert, NULL);
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, start);
    g_autofree char *link = NULL;
    g_autofree char *cmdline = NULL;
    KdE2eProgram *vm = kd_e2e_vm_new(path);
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eCanary) pin = kd_e2e_canary_new("the PIN", PIN, strlen(PIN));
    g_autofree char *ready = kd_e2e_stage_serve(stage, &lab->setup, "-v", "-t", listen,
                                                "--allow-path", stage->folder, NULL);
    KdE2eGdb gdb;

    link = g_strdup_printf("kdsrv:server=@{ssl:proto=tls1,certuser=%s,server=" HERE
                           ",port=%u},trans=@{com:pipe,port=%s}",
                           lab->sha256, stage->port, path);
    kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--profile", KD_GDB_PROFILE, "--", "gdb", "-q",
                          "-nx", NULL);
    kd_e2e_gdb_init(&gdb, kd);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_leave(&gdb);
    g_test_message("%s", ready);
    cmdline = g_strdup_printf("/proc/%d/cmdline", (int)kd_e2e_program_get_pid(stage->server));
    kd_e2e_canary_expect_not_in_file(pin, cmdline);
    kd_e2e_canary_expect_not_in_text(pin, "what kdsrv says",
                                     kd_e2e_program_get_text(stage->server, KD_E2E_STDERR));
    kd_e2e_program_free(vm);
}

static gboolean
are_missing(void)
{
    return kd_e2e_is_missing("gdb") || kd_e2e_is_missing("qemu-system-x86_64");
}

static void
test_value(KdE2eStage *stage, gconstpointer unused)
{
    Lab lab;

    (void)unused;
    if (!are_missing() && lab_set_up(&lab, stage)) {
        debug_over(stage, &lab, "pkcs11:token=kdsrv;object=lab?pin-value=" PIN);
        lab_tear_down(&lab);
    }
}

static void
test_source(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "pin");
    g_autofree char *uri = g_strdup_printf("pkcs11:token=kdsrv;object=lab?pin-source=%s", path);
    Lab lab;

    (void)unused;
    if (!are_missing() && lab_set_up(&lab, stage)) {
        g_assert_true(g_file_set_contents(path, PIN "\n", -1, NULL));
        g_assert_cmpint(g_chmod(path, 0600), ==, 0);
        debug_over(stage, &lab, uri);
        lab_tear_down(&lab);
    }
}

static void
test_wrong_pin(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *listen = kd_e2e_stage_build_listen(
        stage, "ssl:proto=tls1,certuser=pkcs11:token=kdsrv;object=lab?pin-value=11119999");
    g_autoptr(KdE2eProgram) kdsrv = NULL;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    kdsrv = kd_e2e_stage_run("kdsrv", &lab.setup, "-t", listen, NULL);
    g_assert_cmpint(kd_e2e_program_wait(kdsrv), ==, 1);
    g_test_message("%s", kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR), "PIN"));
    g_assert_null(strstr(kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR), "11119999"));
    lab_tear_down(&lab);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/token/key-with-its-pin-in-the-string-carries-gdb", test_value);
    kd_e2e_add("/e2e/token/key-with-its-pin-in-a-file-carries-gdb", test_source);
    kd_e2e_add("/e2e/token/wrong-pin-is-told-without-it", test_wrong_pin);
    return g_test_run();
}

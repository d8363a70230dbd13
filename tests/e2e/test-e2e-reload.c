/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGHUP: certificates and passwords of files are read anew, and whoever is there notices nothing.
 */
#include "kd-e2e-certs.h"
#include "kd-e2e-flood.h"
#include "kd-e2e-pace.h"
#include "kd-e2e-pty.h"
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"
#include "kd-e2e-traces.h"

#include <glib/gstdio.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define HERE        "127.0.0.1"
#define N_SIGNALS   200
#define BEAT_MS     5
#define LEAST_BYTES (64u * 1024)

/**
 * Lab:
 * @store: certificates of the server, `lab` the one in use
 * @password: path of the file
 * @spare: folder in which a new one is made
 */
typedef struct {
    KdE2eStage *stage;
    char *store;
    char *password;
    char *spare;
} Lab;

static void
write_password(const Lab *lab, const char *password)
{
    g_autofree char *line = g_strconcat(password, "\n", NULL);

    g_assert_true(g_file_set_contents_full(lab->password, line, -1, G_FILE_SET_CONTENTS_CONSISTENT,
                                           0600, NULL));
}

static gboolean
lab_set_up(Lab *lab, KdE2eStage *stage)
{
    g_autofree char *start = NULL;
    g_autofree char *listen = NULL;

    if (kd_e2e_certs_are_missing()) {
        return FALSE;
    }
    lab->stage = stage;
    lab->store = kd_e2e_certs_make_store(stage);
    lab->password = kd_e2e_stage_build_path(stage, "password");
    lab->spare = kd_e2e_stage_build_path(stage, "spare");
    kd_e2e_certs_make(lab->store, "lab", NULL, KD_E2E_CERT_SERVER);
    write_password(lab, "the first one");
    start = g_strconcat("ssl:proto=tls1,certuser=lab,password-file=", lab->password, NULL);
    listen = kd_e2e_stage_build_listen(stage, start);
    g_free(kd_e2e_stage_serve(stage, NULL, "-v", "-t", listen, "--allow-path", "/dev/pts", NULL));
    return TRUE;
}

static void
lab_tear_down(Lab *lab)
{
    g_free(lab->store);
    g_free(lab->password);
    g_free(lab->spare);
}

/* Puts a new pair in the place of the old one. Returns (transfer full): its thumbprint. */
static char *
renew(const Lab *lab)
{
    static const char *const suffixes[] = {"key", "crt"};

    kd_e2e_certs_make(lab->spare, "lab", NULL, KD_E2E_CERT_SERVER);
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *from = kd_e2e_certs_build_path(lab->spare, "lab", suffixes[i]);
        g_autofree char *to = kd_e2e_certs_build_path(lab->store, "lab", suffixes[i]);

        g_assert_cmpint(g_rename(from, to), ==, 0);
    }
    return kd_e2e_certs_get_sha256(lab->store, "lab");
}

static KdE2eProgram *
start_kd(const Lab *lab, const char *sha256, const char *password, const char *trans,
         const char *option, const char *value)
{
    g_autofree char *path = kd_e2e_stage_build_path(lab->stage, "password-of-kd");
    g_autofree char *line = g_strconcat(password, "\n", NULL);
    g_autofree char *link = g_strdup_printf("kdsrv:server=@{ssl:proto=tls1,certuser=%s,server=" HERE
                                            ",port=%u,password-file=%s},trans=@{%s}",
                                            sha256, lab->stage->port, path, trans);

    g_assert_true(g_file_set_contents_full(path, line, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    return kd_e2e_stage_run("kd", NULL, "-k", link, option, value, NULL);
}

/* Whether one gets in with that. */
static gboolean
is_let_in(const Lab *lab, const char *sha256, const char *password)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int far = kd_e2e_pty_new(&name);
    gboolean is_in;

    trans = g_strdup_printf("com:port=%s", name);
    kd = start_kd(lab, sha256, password, trans, "--stdio", NULL);
    kd_e2e_program_say(kd, "in");
    while (!kd_e2e_is_readable(far, BEAT_MS) && kd_e2e_program_is_running(kd)) {
    }
    is_in = kd_e2e_program_is_running(kd);
    if (is_in) {
        kd_e2e_expect(far, "in");
    } else {
        g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    }
    close(far);
    return is_in;
}

static void
reload(const Lab *lab, const char *text)
{
    kd_e2e_program_signal(lab->stage->server, SIGHUP);
    g_free(kd_e2e_program_await(lab->stage->server, KD_E2E_STDERR, text));
}

#define RELOADED "are read again"
#define KEPT     "all stays as it was"

/* ---- a session that was there before ---- */

/**
 * Live:
 * @near: raw bytes of kd's debugger
 * @far: the target
 */
typedef struct {
    KdE2eProgram *kd;
    int near;
    int far;
} Live;

static void
live_set_up(Live *live, const Lab *lab)
{
    g_autofree char *sha256 = kd_e2e_certs_get_sha256(lab->store, "lab");
    g_autofree char *path = kd_e2e_stage_build_path(lab->stage, "live");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;

    live->far = kd_e2e_pty_new(&name);
    trans = g_strdup_printf("com:port=%s", name);
    live->kd = start_kd(lab, sha256, "the first one", trans, "--listen", address);
    live->near = kd_e2e_dial_unix(path);
}

static void
live_check(const Live *live)
{
    kd_e2e_write(live->near, "ask", 3);
    kd_e2e_expect(live->far, "ask");
    kd_e2e_write(live->far, "answer", 6);
    kd_e2e_expect(live->near, "answer");
}

static void
live_tear_down(Live *live)
{
    close(live->near);
    close(live->far);
    kd_e2e_program_free(live->kd);
}

/* ---- tests ---- */

static void
test_certificate(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    Live live;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    before = kd_e2e_certs_get_sha256(lab.store, "lab");
    live_set_up(&live, &lab);
    live_check(&live);
    after = renew(&lab);
    g_assert_true(is_let_in(&lab, before, "the first one")); /* nobody has told it yet */
    reload(&lab, RELOADED);
    g_assert_true(is_let_in(&lab, after, "the first one"));
    g_assert_false(is_let_in(&lab, before, "the first one"));
    live_check(&live);
    live_tear_down(&live);
    lab_tear_down(&lab);
}

static void
test_password(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *sha256 = NULL;
    Live live;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    sha256 = kd_e2e_certs_get_sha256(lab.store, "lab");
    live_set_up(&live, &lab);
    live_check(&live);
    write_password(&lab, "the second one");
    reload(&lab, RELOADED);
    g_assert_false(is_let_in(&lab, sha256, "the first one"));
    g_assert_true(is_let_in(&lab, sha256, "the second one"));
    live_check(&live);
    live_tear_down(&live);
    lab_tear_down(&lab);
}

/* What is broken is told, and what was there goes on. */
static void
test_broken(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *sha256 = NULL;
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    Live live;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    sha256 = kd_e2e_certs_get_sha256(lab.store, "lab");
    cert = kd_e2e_certs_build_path(lab.store, "lab", "crt");
    key = kd_e2e_certs_build_path(lab.store, "lab", "key");
    live_set_up(&live, &lab);
    g_assert_true(g_file_set_contents(cert, "half of a certific", -1, NULL));
    reload(&lab, KEPT);
    g_assert_true(is_let_in(&lab, sha256, "the first one"));
    g_assert_cmpint(unlink(key), ==, 0);
    reload(&lab, KEPT);
    g_assert_true(is_let_in(&lab, sha256, "the first one"));
    g_assert_cmpint(unlink(lab.password), ==, 0);
    reload(&lab, KEPT);
    g_assert_true(is_let_in(&lab, sha256, "the first one"));
    live_check(&live);
    live_tear_down(&live);
    lab_tear_down(&lab);
}

/* Bytes both ways, all of them, while the server reads its files two hundred times. */
static void
test_often(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GByteArray) heard = g_byte_array_new();
    g_autofree char *sha256 = NULL;
    KdE2eFlood *flood;
    KdE2eTraces traces;
    guint64 written;
    Live live;
    Lab lab;
    int pace;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    sha256 = kd_e2e_certs_get_sha256(lab.store, "lab");
    live_set_up(&live, &lab);
    live_check(&live);
    kd_e2e_traces_take(&traces, stage->server);
    pace = kd_e2e_pace_new(BEAT_MS);
    flood = kd_e2e_flood_new(live.far);
    for (int i = 0; i < N_SIGNALS || heard->len < LEAST_BYTES;) {
        guint8 buf[4096];
        struct pollfd fds[] = {{.fd = live.near, .events = POLLIN}, {.fd = pace, .events = POLLIN}};

        g_assert_cmpint(poll(fds, 2, KD_E2E_DEADLINE_S * 1000), >, 0);
        if (fds[0].revents != 0) {
            gsize n = kd_e2e_read_some(live.near, buf, sizeof buf);

            g_assert_cmpuint(n, >, 0);
            g_byte_array_append(heard, buf, (guint)n);
        }
        if (fds[1].revents != 0 && i < N_SIGNALS) {
            (void)kd_e2e_pace_await(pace);
            kd_e2e_program_signal(stage->server, SIGHUP);
            i++;
        }
        if (i == N_SIGNALS / 2 && fds[1].revents != 0) {
            g_assert_true(is_let_in(&lab, sha256, "the first one"));
        }
    }
    written = kd_e2e_flood_stop(flood);
    while (heard->len < written) {
        guint8 buf[4096];
        gsize n = kd_e2e_read_some(live.near, buf, sizeof buf);

        g_assert_cmpuint(n, >, 0);
        g_byte_array_append(heard, buf, (guint)n);
    }
    g_test_message("%u bytes", heard->len);
    g_assert_cmpuint(heard->len, ==, written);
    kd_e2e_flood_expect(heard->data, heard->len);
    live_check(&live);
    g_assert_true(is_let_in(&lab, sha256, "the first one"));
    kd_e2e_traces_await_files(&traces, stage->server);
    kd_e2e_traces_expect_memory(&traces, stage->server);
    close(pace);
    live_tear_down(&live);
    lab_tear_down(&lab);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/reload/renewed-certificate-is-shown-to-new-clients", test_certificate);
    kd_e2e_add("/e2e/reload/changed-password-is-asked-of-new-clients", test_password);
    kd_e2e_add("/e2e/reload/what-is-broken-changes-nothing", test_broken);
    kd_e2e_add("/e2e/reload/two-hundred-times-lose-no-byte", test_often);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that go wrong: their line is free at once, and no other session is harmed. */
#include "kd-e2e-case.h"
#include "kd-e2e-flood.h"
#include "kd-e2e-pace.h"

#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Clients that go, one after the other */
#define CUT_MS 20
/* PROTOCOL.md, Keepalive */
#define SILENT_US       (15 * G_USEC_PER_SEC)
#define STOPPED_S       2u
#define LINE_ROOM_BYTES (128u * 1024u)
/* What a stopped kd and its pipe may hold beside */
#define KD_ROOM_BYTES (256u * 1024u)

/* ---- a client that goes without a word ---- */

typedef void (*Cut)(KdE2eClient *client);

static void
cut_by_rst(KdE2eClient *client)
{
    struct linger none = {.l_onoff = 1};

    g_assert_cmpint(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), ==, 0);
}

static void
cut_by_fin(KdE2eClient *client)
{
    (void)client;
}

/* It would read on, but has said its last byte in the middle of a frame. */
static void
cut_half(KdE2eClient *client)
{
    kd_e2e_write(client->fd, "\x10\x00\x00", 3);
    g_assert_cmpint(shutdown(client->fd, SHUT_WR), ==, 0);
    kd_e2e_expect_end(client->fd);
}

/* While its target talks: there are bytes for it at every place. */
static void
check_cut(KdE2eStage *stage, Cut cut)
{
    int pace = kd_e2e_pace_new(CUT_MS);
    KdE2eFlood *flood;
    KdE2eCase self;

    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_bystander_begin(self.bystander);
    flood = kd_e2e_flood_new(self.far);
    kd_e2e_case_open(&self);
    do {
        (void)kd_e2e_pace_await(pace);
        g_bytes_unref(kd_e2e_client_await(self.client, KD_FRAME_DATA));
        cut(self.client);
        g_clear_pointer(&self.client, kd_e2e_client_free);
        kd_e2e_case_open_when_free(&self);
    } while (!kd_e2e_bystander_has_enough(self.bystander));
    kd_e2e_bystander_expect_unharmed(self.bystander);
    (void)kd_e2e_flood_stop(flood);
    close(pace);
    kd_e2e_traces_expect_memory(&self.traces, stage->server);
    kd_e2e_case_tear_down(&self);
}

static void
test_rst(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_cut(stage, cut_by_rst);
}

static void
test_fin(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_cut(stage, cut_by_fin);
}

static void
test_half(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_cut(stage, cut_half);
}

/* ---- a client that has said its last byte ---- */

/* A line can't be told so: it goes on until it ends, and costs nothing meanwhile. */
static void
test_finished(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdClose) said = NULL;
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    kd_e2e_client_send_data(self.client, "question", 8);
    kd_e2e_client_finish(self.client);
    kd_e2e_expect(self.far, "question");
    kd_e2e_write(self.far, "answer", 6);
    kd_e2e_client_await_data(self.client, "answer");
    g_clear_pointer(&self.bystander, kd_e2e_bystander_free);
    kd_e2e_traces_expect_idle(stage->server, self.client->fd);
    kd_e2e_write(self.far, "more", 4);
    kd_e2e_client_await_data(self.client, "more");
    close(self.far);
    self.far = -1;
    said = kd_e2e_client_await_close(self.client);
    g_assert_nonnull(strstr(said->text, self.name));
    kd_e2e_case_tear_down(&self);
}

/* ---- a client that is stopped ---- */

static KdE2eProgram *
start_stopped(KdE2eCase *self)
{
    KdE2eProgram *kd = kd_e2e_stage_start_kd(self->stage, self->trans, "--stdio", NULL);

    kd_e2e_program_say(kd, "here");
    kd_e2e_expect(self->far, "here");
    kd_e2e_program_signal(kd, SIGSTOP);
    return kd;
}

static guint64
flood_while_stopped(KdE2eCase *self)
{
    KdE2eFlood *flood;
    guint64 n;

    kd_e2e_bystander_begin(self->bystander);
    flood = kd_e2e_flood_new(self->far);
    kd_e2e_bystander_await_s(self->bystander, STOPPED_S);
    kd_e2e_bystander_expect_unharmed(self->bystander);
    kd_e2e_traces_expect_memory(&self->traces, self->stage->server);
    n = kd_e2e_flood_stop(flood);
    g_test_message("%" G_GUINT64_FORMAT " bytes", n);
    g_assert_cmpuint(n, <=, KD_WINDOW_BYTES + LINE_ROOM_BYTES + KD_ROOM_BYTES);
    return n;
}

static void
test_continued(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *last = NULL;
    const char *heard;
    KdE2eCase self;
    guint64 n;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd = start_stopped(&self);
    n = flood_while_stopped(&self);
    kd_e2e_program_signal(kd, SIGCONT);
    kd_e2e_write(self.far, "the end\n", 8);
    last = kd_e2e_program_await(kd, KD_E2E_STDOUT, "the end");
    heard = kd_e2e_program_get_text(kd, KD_E2E_STDOUT);
    g_assert_cmpuint(strlen(heard), ==, n + 8);
    kd_e2e_flood_expect((const guint8 *)heard, n);
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    kd_e2e_case_tear_down(&self);
}

static void
test_killed(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd = start_stopped(&self);
    (void)flood_while_stopped(&self);
    kd_e2e_program_signal(kd, SIGKILL);
    kd_e2e_case_open_when_free(&self);
    kd_e2e_client_send_data(self.client, "next", 4);
    kd_e2e_expect(self.far, "next");
    kd_e2e_case_tear_down(&self);
}

/* A stopped machine, or a network that is gone: nothing is heard, not even an end. Takes 15 s. */
static void
test_silent(KdE2eStage *stage, gconstpointer unused)
{
    gint64 start_us = g_get_monotonic_time();
    g_autoptr(KdE2eClient) silent = NULL;
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    silent = g_steal_pointer(&self.client);
    kd_e2e_expect_end(silent->fd); /* what is asked meanwhile is not answered */
    g_assert_cmpint(g_get_monotonic_time() - start_us, >, SILENT_US - G_USEC_PER_SEC);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, SILENT_US + 3 * G_USEC_PER_SEC);
    kd_e2e_case_open_when_free(&self);
    kd_e2e_client_send_data(self.client, "next", 4);
    kd_e2e_expect(self.far, "next");
    g_clear_pointer(&silent, kd_e2e_client_free);
    kd_e2e_case_tear_down(&self);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/cut/by-rst-frees-the-line-at-once", test_rst);
    kd_e2e_add("/e2e/cut/by-fin-frees-the-line-at-once", test_fin);
    kd_e2e_add("/e2e/cut/in-one-direction-frees-the-line-at-once", test_half);
    kd_e2e_add("/e2e/cut/finished-client-hears-the-line-until-its-end", test_finished);
    kd_e2e_add("/e2e/cut/stopped-client-goes-on-where-it-was", test_continued);
    kd_e2e_add("/e2e/cut/stopped-client-that-is-killed-frees-the-line", test_killed);
    kd_e2e_add("/e2e/cut/silent-client-frees-the-line-after-15-s", test_silent);
    return g_test_run();
}

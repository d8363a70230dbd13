/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that a session needs, in a test's own process: loop, registry with fakes, links. */
#pragma once

#include "kd-fake.h"
#include "kd-reach.h"
#include "kd-session.h"
#include "kd-test-client.h"

/* Besides `fake`, a stage knows these targets:
 *   `plain`    a fake device that can't be reopened
 *   `refuse`   a fake device whose reopening is refused
 *   `denied`   may not be opened
 *   `needy`    a fake device; `name` may come from the environment, from %KD_STAGE_VARIABLE
 *   `pair`     a socket; its other end is kd_stage_take_line() */
#define KD_STAGE_VARIABLE "KD_STAGE_NAME"

/**
 * KdStage:
 * @is_stream: clients come over a plugin's stream rather than over a socket
 * @session: the newest; %NULL once it has ended
 * @n_started: sessions
 * @n_authenticated: sessions that said so
 * @n_refused: sessions that said so
 * @n_ended: sessions that said so
 * @door: (nullable): what guards the next sessions
 * @variable: (nullable): value of %KD_STAGE_VARIABLE
 */
typedef struct {
    gboolean is_stream;
    KdReach *reach;
    const KdHost *host;
    KdRegistry *registry;
    KdSessionScope scope;
    KdSession *session;
    guint n_started;
    guint n_authenticated;
    guint n_refused;
    guint n_ended;
    KdDoor *door;
    const char *variable;
    KdFakeDevice *device;
    guint heart_id;
} KdStage;

KdRegistry *kd_stage_registry_new(const KdHost *host);
void kd_stage_init(KdStage *stage, gboolean is_stream);
void kd_stage_clear(KdStage *stage);
void kd_stage_connect(KdStage *stage, KdTestClient *client);
void kd_stage_log_in(KdStage *stage, KdTestClient *client);
KdOpened *kd_stage_open(KdStage *stage, KdTestClient *client, const char *trans);
void kd_stage_await_ended(KdStage *stage);
void kd_stage_await_received(KdStage *stage, const char *bytes);
void kd_stage_settle(void);
int kd_stage_take_line(void);
guint kd_stage_count_fds(void);

/**
 * KdStageFixture:
 * @stage: set up
 * @client: zeroed; cleared afterwards if the case has used it
 * @other: the same
 *
 * What each case is given.
 */
typedef struct {
    KdStage stage;
    KdTestClient client;
    KdTestClient other;
} KdStageFixture;

typedef void (*KdStageCase)(KdStageFixture *fixture, gconstpointer user);

void kd_stage_add(const char *path, KdStageCase fn);
void kd_stage_add_once(const char *path, KdStageCase fn);

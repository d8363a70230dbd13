/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session that a fault is made for, beside one that nothing must harm. */
#include "kd-e2e-case.h"

#include "kd-e2e-pty.h"

#include <poll.h>
#include <unistd.h>

#define AGAIN_MS 5

/**
 * kd_e2e_case_set_up:
 * @self: (out caller-allocates): a case
 * @keys: of the link, each with its comma
 *
 * Starts the server, the session beside, and makes a line; nobody has opened that yet.
 */
void
kd_e2e_case_set_up(KdE2eCase *self, KdE2eStage *stage, const char *keys)
{
    self->stage = stage;
    kd_e2e_stage_start(stage, "-v", "--allow-path", "/dev/pts", "--allow-path", stage->folder,
                       NULL);
    self->bystander = kd_e2e_bystander_new(stage->port);
    self->far = kd_e2e_pty_new(&self->name);
    self->trans = g_strdup_printf("com:port=%s%s", self->name, keys);
    self->client = NULL;
    kd_e2e_traces_take(&self->traces, stage->server);
}

/**
 * kd_e2e_case_tear_down:
 *
 * Says that the fault has left nothing behind: no descriptor, and nothing to do.
 */
void
kd_e2e_case_tear_down(KdE2eCase *self)
{
    g_clear_pointer(&self->client, kd_e2e_client_free);
    kd_e2e_traces_await_files(&self->traces, self->stage->server);
    kd_e2e_bystander_free(self->bystander);
    kd_e2e_traces_expect_idle(self->stage->server, -1);
    if (self->far >= 0) {
        close(self->far);
    }
    g_free(self->name);
    g_free(self->trans);
}

/**
 * kd_e2e_case_open:
 *
 * Opens the link.
 */
void
kd_e2e_case_open(KdE2eCase *self)
{
    self->client = kd_e2e_client_new_open(self->stage->port, self->trans);
}

static gboolean
is_free(KdE2eCase *self)
{
    g_autoptr(KdE2eClient) client = kd_e2e_client_new(kd_e2e_dial(NULL, self->stage->port));
    uint8_t heard;

    kd_e2e_client_ask(client, self->trans, NULL);
    do {
        g_autoptr(GBytes) payload = NULL;

        heard = kd_e2e_client_read(client, &payload);
    } while (heard != KD_FRAME_OPENED && heard != KD_FRAME_CLOSE);
    if (heard == KD_FRAME_OPENED) {
        self->client = g_steal_pointer(&client);
    }
    return self->client != NULL;
}

/**
 * kd_e2e_case_open_when_free:
 *
 * Opens the link as soon as the server gives it away, which must be soon. Nothing tells of that.
 */
void
kd_e2e_case_open_when_free(KdE2eCase *self)
{
    gint64 start_us = g_get_monotonic_time();

    while (!is_free(self)) {
        g_assert_cmpint(g_get_monotonic_time() - start_us, <, KD_E2E_FREE_US);
        (void)poll(NULL, 0, AGAIN_MS);
    }
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, KD_E2E_FREE_US);
}

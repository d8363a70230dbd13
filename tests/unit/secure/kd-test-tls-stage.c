/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both ends of a handshake, in one loop. */
#include "kd-test-tls.h"

/**
 * kd_test_stage_init:
 * @stage: any bytes
 * @server: (transfer full): its configuration
 * @client: (transfer full): its configuration
 *
 * Starts the loop, and connects two bases.
 */
void
kd_test_stage_init(KdTestStage *stage, KdTlsConfig *server, KdTlsConfig *client)
{
    *stage = (KdTestStage){.configs = {server, client}};
    kd_test_start();
    kd_test_unix_pair(&stage->bases[0], &stage->bases[1]);
}

/**
 * kd_test_stage_begin:
 * @stage: as it was made
 *
 * Begins both handshakes.
 */
void
kd_test_stage_begin(KdTestStage *stage)
{
    kd_test_shake_begin(&stage->server, stage->configs[0], &stage->bases[0]);
    kd_test_shake_begin(&stage->client, stage->configs[1], &stage->bases[1]);
}

/**
 * kd_test_stage_clear:
 * @stage: begun, or not
 *
 * Frees what it holds, and stops the loop.
 */
void
kd_test_stage_clear(KdTestStage *stage)
{
    kd_test_shake_clear(&stage->server);
    kd_test_shake_clear(&stage->client);
    for (int i = 0; i < 2; i++) {
        if (stage->bases[i].struct_size != 0) {
            kd_endpoint_clear(&stage->bases[i]);
        }
        kd_tls_config_unref(stage->configs[i]);
    }
    kd_test_stop();
}

/**
 * kd_test_stage_run:
 * @stage: any bytes
 * @server: (transfer full): its configuration
 * @client: (transfer full): its configuration
 *
 * Has two ends shake hands.
 */
void
kd_test_stage_run(KdTestStage *stage, KdTlsConfig *server, KdTlsConfig *client)
{
    kd_test_stage_init(stage, server, client);
    kd_test_stage_begin(stage);
    kd_test_shake_wait(&stage->server);
    kd_test_shake_wait(&stage->client);
}

/**
 * kd_test_assert_says:
 * @shake: has ended
 * @text: why
 *
 * Asserts that it has failed with one sentence, told once.
 */
void
kd_test_assert_says(const KdTestShake *shake, const char *text)
{
    g_assert_error(shake->error, KD_ERROR, KD_ERROR_TLS);
    g_assert_cmpstr(shake->error->message, ==, text);
    g_assert_cmpuint(shake->n_told, ==, 1);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The KD link layer: ends a target's dialect and speaks KDCOM to the client. No I/O; time is given.
 */
#include "kd-link-layer.h"

struct KdLinkLayer {
    KdDialect dialect;
    KdLinkLayerFuncs funcs;
    void *user;
    KdLinkLayerStatus status;
};

KdLinkLayer *
kd_link_layer_new(KdDialect dialect, const KdLinkLayerFuncs *funcs, void *user)
{
    KdLinkLayer *layer = g_new0(KdLinkLayer, 1);

    layer->dialect = dialect;
    layer->funcs = *funcs;
    layer->user = user;
    return layer;
}

void
kd_link_layer_free(KdLinkLayer *layer)
{
    g_free(layer);
}

void
kd_link_layer_set_client(KdLinkLayer *layer, gboolean is_attached, gint64 now_us)
{
    (void)layer, (void)is_attached, (void)now_us;
}

void
kd_link_layer_from_client(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    (void)layer, (void)bytes, (void)len_bytes, (void)now_us;
}

void
kd_link_layer_client_ready(KdLinkLayer *layer, gint64 now_us)
{
    (void)layer, (void)now_us;
}

void
kd_link_layer_set_target(KdLinkLayer *layer, gboolean is_there, gint64 now_us)
{
    (void)layer, (void)is_there, (void)now_us;
}

gboolean
kd_link_layer_from_target(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    (void)layer, (void)bytes, (void)len_bytes, (void)now_us;
    return TRUE;
}

void
kd_link_layer_target_ready(KdLinkLayer *layer, gint64 now_us)
{
    (void)layer, (void)now_us;
}

void
kd_link_layer_target_restarted(KdLinkLayer *layer, gint64 now_us)
{
    (void)layer, (void)now_us;
}

void
kd_link_layer_break_in(KdLinkLayer *layer, gint64 now_us)
{
    (void)layer, (void)now_us;
}

void
kd_link_layer_resync(KdLinkLayer *layer, gint64 now_us)
{
    (void)layer, (void)now_us;
}

gint64
kd_link_layer_get_deadline_us(const KdLinkLayer *layer)
{
    (void)layer;
    return -1;
}

void
kd_link_layer_tick(KdLinkLayer *layer, gint64 now_us)
{
    (void)layer, (void)now_us;
}

void
kd_link_layer_get_status(const KdLinkLayer *layer, KdLinkLayerStatus *status)
{
    *status = layer->status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's side of a kdnet, usb or 1394 link: a link layer with its stream, its clock and its
 * events. A plugin adds the carrier. */
#pragma once

#include "kd-link-layer.h"

#include <kdsrv/kd-plugin.h>

typedef struct KdLinkPort KdLinkPort;

/**
 * KdLinkPortFuncs:
 * @send: takes one packet in the dialect's form for the target; %FALSE: the carrier is busy, and
 *    kd_link_port_ready() will follow
 * @attached: (nullable): a session has taken the link up, or has let go of it
 * @is_quiet: @send is as KD_READY_QUIET has it
 *
 * The carrier's side. Neither may free the port.
 */
typedef struct {
    gboolean (*send)(const uint8_t *bytes, size_t len_bytes, void *user);
    void (*attached)(gboolean is_attached, void *user);
    gboolean is_quiet;
} KdLinkPortFuncs;

/* kd_link_port_get_controls(): what every such link offers of KD_CONTROL_* */
#define KD_LINK_PORT_CONTROLS \
    ((1u << KD_CONTROL_BREAK) | (1u << KD_CONTROL_RESET) | (1u << KD_CONTROL_STATUS))

KdLinkPort *kd_link_port_new(KdDialect dialect, const KdSink *sink, const KdLinkPortFuncs *funcs,
                             void *user);
void kd_link_port_free(KdLinkPort *port);
void kd_link_port_give(KdLinkPort *port, KdEndpoint *endpoint, const char *peer);

gboolean kd_link_port_receive(KdLinkPort *port, const uint8_t *bytes, size_t len_bytes);
void kd_link_port_ready(KdLinkPort *port);
void kd_link_port_set_present(KdLinkPort *port, gboolean is_present);
void kd_link_port_restarted(KdLinkPort *port);
void kd_link_port_note(KdLinkPort *port, const char *format, ...) G_GNUC_PRINTF(2, 3);
void kd_link_port_fail(KdLinkPort *port, int error);

void kd_link_port_control(KdLinkPort *port, uint32_t op, GVariant *arg, GVariantDict *status,
                          GTask *task);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdLinkPort, kd_link_port_free)

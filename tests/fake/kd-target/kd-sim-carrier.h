/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What carries a simulated target's bytes: each is one row, which kd-target.c has a table of.
 *
 * A new one: a file with a KdSimCarrier, named here. @open makes its descriptors, calls
 * kd_sim_target_set_send() and adds sources to the default main context; from these it calls
 *
 *   kd_sim_target_receive(target, bytes, len_bytes, NULL, g_get_monotonic_time())
 *
 * with each OUT transfer (USB), or kd_sim_mailbox_read() and kd_sim_mailbox_write() of
 * kd_sim_target_get_mailbox() for each request (1394). The target's times are kept by kd-target.c.
 * Whether the machine was rebooted: kd_sim_machine_get_stat()->boots. */
#pragma once

#include "kd-sim-target.h"

/**
 * KdSimCarrier:
 * @kind: what stands before the colon of `--link`
 * @dialect: of the target
 * @open: @where is what stands behind the colon; %NULL: an error of one line is set
 * @close: ends what @open has made, and takes send away from the target
 */
typedef struct {
    const char *kind;
    KdSimDialect dialect;
    void *(*open)(KdSimTarget *target, const char *where, GError **error);
    void (*close)(KdSimTarget *target, void *carrier);
} KdSimCarrier;

extern const KdSimCarrier kd_sim_unix_carrier; /* PATH, which it listens on, one host at a time */
extern const KdSimCarrier kd_sim_tcp_carrier;  /* ADDRESS:PORT, the same; 0: any port */
extern const KdSimCarrier kd_sim_pty_carrier;  /* SYMLINK, which it makes to a terminal */
extern const KdSimCarrier kd_sim_net_carrier;  /* HOST:PORT */
extern const KdSimCarrier kd_sim_usb_carrier;  /* FOLDER[,GADGET]: see kd-sim-ffs.c */
extern const KdSimCarrier kd_sim_fw_carrier;   /* /dev/fwN: a card's own node */

gboolean kd_sim_peer_parse(const char *text, KdSimPeer *peer,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;

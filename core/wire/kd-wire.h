/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session protocol's states: which frame may come when, how long it may be, how long we wait.
 */
#pragma once

#include "kd-credit.h"
#include "kd-frame.h"
#include "kd-message.h"

typedef enum {
    KD_PHASE_PREAMBLE = 0,  /* nothing heard yet                                       */
    KD_PHASE_HELLO = 1,     /* preamble heard                                          */
    KD_PHASE_AUTH = 2,      /* both HELLOs exchanged                                   */
    KD_PHASE_READY = 3,     /* authenticated; one request may come                     */
    KD_PHASE_OPENING = 4,   /* OPEN was sent and not yet answered                      */
    KD_PHASE_STREAMING = 5, /* OPENED was sent                                         */
    KD_PHASE_CLOSED = 6,    /* CLOSE was sent or heard                                 */
} KdPhase;

typedef enum {
    KD_ACTION_REFUSE = 0,  /* not allowed now: an error                                 */
    KD_ACTION_DELIVER = 1, /* collect the payload and hand it on whole                  */
    KD_ACTION_FORWARD = 2, /* DATA: hand it on as it arrives                            */
    KD_ACTION_ANSWER = 3,  /* PING: send its payload back as PONG                       */
    KD_ACTION_SKIP = 4,    /* read over it                                              */
} KdAction;

/**
 * KdWire:
 * @role: ours
 * @phase: advanced with kd_wire_advance(), never backwards
 * @credit: of DATA
 * @max_data_bytes: longest DATA payload that we take
 * @peer_max_data_bytes: longest DATA payload that the peer takes
 * @n_preauth_frames: heard before authentication
 * @preauth_bytes: heard before authentication
 * @is_fin_heard: the peer's direction has ended
 */
typedef struct {
    KdRole role;
    KdPhase phase;
    KdCredit credit;
    uint32_t max_data_bytes;
    uint32_t peer_max_data_bytes;
    uint32_t n_preauth_frames;
    uint32_t preauth_bytes;
    gboolean is_fin_heard;
} KdWire;

void kd_wire_init(KdWire *wire, KdRole role);
void kd_wire_advance(KdWire *wire, KdPhase phase);
KdAction kd_wire_receive(KdWire *wire, const KdFrameHeader *header,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_wire_check_offset(const KdWire *wire, uint8_t type, uint64_t offset,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdCloseCode kd_wire_get_close_code(const GError *error);
guint kd_phase_get_deadline_ms(KdPhase phase);
const char *kd_phase_get_name(KdPhase phase);
KdAction kd_wire_get_action(KdRole role, KdPhase phase, uint8_t type);
uint32_t kd_wire_get_limit(const KdWire *wire, uint8_t type);

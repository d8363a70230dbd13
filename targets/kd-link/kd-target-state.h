/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a target's side, for the files that it is made of. */
#pragma once

#include "kd-dialect-rules.h"
#include "kd-seen-list.h"
#include "kd-stored-packet.h"
#include "kd-target-side.h"

/* A request that is not acknowledged is repeated so often, then dropped. */
#define REPEAT_US   (500 * G_TIME_SPAN_MILLISECOND)
#define REPEATS_MAX 5
/* One that must not be carried out twice has to wait until the target has repeated its reply some
 * times: a target takes the repetition of a request for an ACK of what it has said, and forgets
 * that. Targets repeat once a second. */
#define PATIENT_REPEAT_US (3300 * G_TIME_SPAN_MILLISECOND)

struct KdTargetSide {
    KdDialect dialect;
    const KdDialectRules *rules;
    KdTargetSend send;
    void *user;
    gboolean is_there;
    gboolean is_busy; /* the carrier takes nothing until it says so */

    uint32_t next_id;
    KdStoredPacket request;
    gboolean has_request;
    gboolean is_endless; /* the request is repeated until it is taken */
    gboolean is_due;     /* it is to be sent now */
    gboolean is_sent;    /* once at least */
    unsigned n_sendings; /* with the id that it has */
    gboolean is_cut;     /* the repetition came while the target waited for an ACK */
    gboolean
        is_id_spent; /* a request that was dropped has gone with the next id, and may have come */
    gboolean is_id_used; /* an ACK has come for the id that it had, and it is to go once more */
    gboolean is_doubled; /* and it has gone once more */
    /* without ACKs: */
    gboolean is_offered;   /* the carrier may have put it into the mailbox already */
    gboolean may_repeat;   /* the carrier took it, and the target has not said anything since */
    gboolean is_repeating; /* the target wants it again */
    gint64 sent_us;
    gint64 pause_us; /* between two repetitions */
    gint64 repeat_us;
    gint64 give_up_us;

    gboolean owes_ack;
    uint32_t ack_id;
    gboolean owes_resend;
    gint64 resend_us; /* when the last was sent; -1: never */
    gboolean owes_reset;
    gint64 reset_us; /* when the last was sent and not answered yet; -1: never */
    gboolean owes_break_in;
    unsigned n_damages; /* in a row */

    KdSeenList seen;
    uint64_t n_sent;
    uint64_t n_repeated;
};

/* kd-target-side.c */
void kd_target_side_refresh_ids(KdTargetSide *side);

/* kd-target-request.c */
gboolean kd_target_side_ask_once_more(KdTargetSide *side, gint64 now_us);

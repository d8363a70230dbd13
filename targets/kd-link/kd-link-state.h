/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a link layer, for the files that it is made of. */
#pragma once

#include "kd-break-in.h"
#include "kd-client-side.h"
#include "kd-link-layer.h"
#include "kd-packet-reader.h"
#include "kd-reply-list.h"
#include "kd-stored-packet.h"
#include "kd-target-side.h"
#include "kd-unattended.h"

/* Whose a request is */
typedef enum {
    KD_OWNER_NOBODY = 0, /* of a client that does not want it any more, if there is one at all */
    KD_OWNER_CLIENT = 1,
    KD_OWNER_LAYER = 2, /* an answer of ours */
} KdOwner;

struct KdLinkLayer {
    KdDialect dialect;
    KdLinkLayerFuncs funcs;
    void *user;
    KdTargetSide *target;
    KdClientSide *client;
    KdPacketReader *reader;

    KdTargetState state;
    gboolean is_heard;    /* something came from the target since its restart */
    gboolean is_desynced; /* it did not acknowledge a request, and nothing was heard since */
    KdStoredPacket state_change;
    KdUnattended question;
    KdBreakIn break_in;
    KdReplyList replies;

    KdOwner owner;       /* of the request that the target is to take */
    KdPacket request;    /* of the client's, without its payload */
    gboolean is_replied; /* it may be there twice, and one reply has come */
    KdOwner next_owner;
    KdPacket next_request;
    KdStoredPacket next;

    gint64 reply_us;  /* until then the reply to the client's last request should come; -1: none */
    KdPacket awaited; /* that request, without its payload, which the target's side still has */
    unsigned n_asked_again;

    uint64_t n_packets_from_target;
    uint64_t n_duplicates;
    uint64_t n_damaged;
    uint64_t n_unseen_prints;
    uint64_t n_unseen_told;
};

/* kd-link-requests.c: what the target is to get */
void kd_link_requests_hear(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us);
void kd_link_requests_abandon(KdLinkLayer *layer);
void kd_link_requests_answer(KdLinkLayer *layer, gint64 now_us);
gboolean kd_link_requests_are_resuming(const KdLinkLayer *layer);
gboolean kd_link_requests_satisfy(KdLinkLayer *layer, gint64 now_us);
void kd_link_requests_taken(KdLinkLayer *layer, gint64 now_us);
void kd_link_requests_dropped(KdLinkLayer *layer, gint64 now_us);
void kd_link_requests_ask_again(KdLinkLayer *layer, gint64 now_us);
gint64 kd_link_requests_get_deadline_us(const KdLinkLayer *layer);

/* kd-link-arrivals.c: what the target has said */
gboolean kd_link_arrivals_take(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us);
void kd_link_arrivals_trim(KdLinkLayer *layer);

/* kd-link-layer.c */
void kd_link_layer_show_state(KdLinkLayer *layer);

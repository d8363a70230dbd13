/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox protocol of a debug target on FireWire. No I/O; time is given. */
#pragma once

#include "fw-block.h"
#include "fw-request.h"

typedef struct FwMailbox FwMailbox;

/**
 * FwMailboxFuncs:
 * @request: starts a request to the node; fw_mailbox_answer() follows, but not from within.
 *    %FALSE: it could not be started
 * @receive: takes a packet of the target, header and payload; %FALSE: there is no room for it, and
 *    it is left where it is and offered again
 * @sent: fw_mailbox_send() can take the next packet: the target has taken the last one, or
 *    has left it so long that it was withdrawn
 * @found: the target is there, as the block at its place says; again after each bus reset
 * @restarted: it has begun anew: before @found, or before a packet is received
 * @lost: it does not answer any more, or is not there any more. The mailbox has no node now
 * @stale: there was a bus reset, of which nothing was heard for a while: fw_mailbox_attach() or
 *    fw_mailbox_detach() is to follow
 *
 * None may free the mailbox. All but @request may call fw_mailbox_send(), and fw_mailbox_detach().
 */
typedef struct {
    gboolean (*request)(const FwRequest *request, void *user);
    gboolean (*receive)(const uint8_t *packet, size_t len_bytes, void *user);
    void (*sent)(gboolean is_taken, void *user);
    void (*found)(const FwBlock *block, void *user);
    void (*restarted)(void *user);
    void (*lost)(const char *why, void *user);
    void (*stale)(void *user);
} FwMailboxFuncs;

/**
 * FwMailboxStatus:
 *
 * For people: what was counted since the mailbox was made.
 */
typedef struct {
    uint64_t n_requests;
    uint64_t n_failures;  /* requests that were not carried out, or had no answer                */
    uint64_t n_resets;    /* bus resets                                                          */
    uint64_t n_garbage;   /* states and lengths that mean nothing                                */
    uint64_t n_withdrawn; /* packets that the target has not taken                               */
} FwMailboxStatus;

FwMailbox *fw_mailbox_new(uint32_t channel, uint32_t mark, const FwMailboxFuncs *funcs, void *user);
void fw_mailbox_free(FwMailbox *mailbox);
void fw_mailbox_attach(FwMailbox *mailbox, uint32_t block_offset, uint32_t chunk_bytes,
                       gint64 now_us);
void fw_mailbox_break_off(FwMailbox *mailbox, gboolean is_unsure);
void fw_mailbox_detach(FwMailbox *mailbox);
void fw_mailbox_forget(FwMailbox *mailbox);
gboolean fw_mailbox_send(FwMailbox *mailbox, const uint8_t *packet, size_t len_bytes,
                         gint64 now_us);
void fw_mailbox_answer(FwMailbox *mailbox, FwOutcome outcome, const uint8_t *bytes,
                       size_t len_bytes, gint64 now_us);
gint64 fw_mailbox_get_deadline_us(const FwMailbox *mailbox);
void fw_mailbox_tick(FwMailbox *mailbox, gint64 now_us);
void fw_mailbox_get_status(const FwMailbox *mailbox, FwMailboxStatus *status);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FwMailbox, fw_mailbox_free)

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox protocol of a debug target on FireWire. No I/O; time is given. */
#include "fw-mailbox.h"

#include "fw-bytes.h"
#include "fw-ids.h"
#include "fw-inbox.h"
#include "fw-outbox.h"
#include "fw-pace.h"
#include "fw-place.h"

#define MS G_GINT64_CONSTANT(1000)

/* An answer comes sooner, or from the kernel's own clock (2 s). */
#define ANSWER_LIMIT_US (3000 * MS)
/* A target that has not answered for so long is lost. */
#define LOST_US (2500 * MS)
/* Until a request that failed is tried again, doubled each time */
#define RETRY_FIRST_US (1 * MS)
#define RETRY_LAST_US  (250 * MS)
/* The kernel tells of a bus reset at once, or, if the target has made it, after it has read the
 * target's ROM, for which it waits half a second. */
#define RESET_LIMIT_US (750 * MS)
/* Until a packet for which there was no room is offered again */
#define ROOM_WAIT_US (10 * MS)
/* A state that means nothing makes us look at the block, once in so long. */
#define GARBAGE_WAIT_US (1000 * MS)
/* A packet that could not be written for so long is given up. */
#define SEND_LIMIT_US (5000 * MS)
/* Pauses grow with each failure, and shrink slower with what succeeds between. */
#define FAIL_WEIGHT 2u
#define FAIL_MAX    16u
/* What is to be sent waits for so many packets of a target that never pauses. */
#define PATIENCE 16u

/* Of a packet's header: the leader of data, and where the id is */
#define DATA_LEADER 0x30303030u
#define ID_AT       8u

/* Whose answer is awaited */
typedef enum {
    ASKED_NOTHING = 0,
    ASKED_PLACE = 1,
    ASKED_INBOX = 2,
    ASKED_OUTBOX = 3,
} Asked;

struct FwMailbox {
    FwMailboxFuncs funcs;
    void *user;
    Asked asked;
    guint depth; /* of calls: what is asked is decided at the end of the outermost */
    uint32_t chunk_bytes;
    gboolean is_awaited; /* the target has taken something and said nothing since */
    gboolean is_polled;  /* the inbox was just seen to be empty */
    gboolean is_watched; /* since it was seen to be full the outbox was looked at */
    guint n_in_row;      /* packets that were taken while the outbox was not attended to */
    FwPlace place;
    FwInbox inbox;
    FwOutbox outbox;
    FwIds ids;
    gint64 deadline_us; /* of the answer, or until the next request; 0: none */
    gint64 active_us;   /* when something was received, sent or taken */
    gint64 failing_us;  /* since when nothing is answered; 0: it is */
    gint64 garbage_us;  /* when the block was looked at because of garbage */
    gint64 sending_us;  /* when there was a packet to send last */
    guint n_fails;      /* weighted */
    FwMailboxStatus status;
};

/**
 * fw_mailbox_new:
 * @channel: of the target
 * @mark: any number, another one each time; see fw_place_answer()
 * @funcs: copied
 *
 * Makes a mailbox without a node.
 *
 * Returns: (transfer full)
 */
FwMailbox *
fw_mailbox_new(uint32_t channel, uint32_t mark, const FwMailboxFuncs *funcs, void *user)
{
    FwMailbox *mailbox = g_new0(FwMailbox, 1);
    mailbox->place.channel = channel;
    mailbox->funcs = *funcs;
    mailbox->user = user;
    mailbox->outbox.last = mark;
    return mailbox;
}

/**
 * fw_mailbox_free:
 * @mailbox: (transfer full) (nullable)
 */
void
fw_mailbox_free(FwMailbox *mailbox)
{
    g_free(mailbox);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static void
wait_for(FwMailbox *mailbox, gint64 wait_us, gint64 now_us)
{
    mailbox->deadline_us = wait_us > 0 ? now_us + wait_us : 0;
    mailbox->is_polled = FALSE;
}

static void
pace(FwMailbox *mailbox, gint64 now_us)
{
    gboolean is_awaited = mailbox->is_awaited || mailbox->outbox.step != FW_OUTBOX_IDLE;
    wait_for(mailbox, fw_pace_get_wait_us(now_us - mailbox->active_us, is_awaited), now_us);
}

/* A target takes a request before it answers, and so it is to be told. */
static gboolean
is_answer_first(const FwMailbox *mailbox)
{
    return mailbox->inbox.step == FW_INBOX_READ && mailbox->inbox.n_read == 0 &&
           !mailbox->is_watched &&
           (mailbox->outbox.step == FW_OUTBOX_WATCH || mailbox->outbox.step == FW_OUTBOX_CHECK);
}

/* When there is no packet, or, if there always is one, just after one was taken */
static gboolean
is_turn_of_outbox(const FwMailbox *mailbox)
{
    return mailbox->outbox.step != FW_OUTBOX_IDLE &&
           (mailbox->is_polled ||
            (mailbox->inbox.step == FW_INBOX_LOOK && mailbox->n_in_row >= PATIENCE));
}

/* Whatever the target has to say is taken before it gets something new, as long as it comes to an
 * end: it counts its packet as received when it finds ours. */
static Asked
choose(const FwMailbox *mailbox)
{
    switch (mailbox->place.step) {
    case FW_PLACE_BLOCK:
    case FW_PLACE_MARK:
    case FW_PLACE_PLANT:
        return ASKED_PLACE;
    case FW_PLACE_SURE:
        return is_answer_first(mailbox) || is_turn_of_outbox(mailbox) ? ASKED_OUTBOX : ASKED_INBOX;
    case FW_PLACE_NONE:
    case FW_PLACE_STALE:
    default:
        return ASKED_NOTHING;
    }
}

static void
build_request(FwMailbox *mailbox, Asked asked, FwRequest *request)
{
    const FwBlock *block = &mailbox->place.block;
    if (asked == ASKED_PLACE) {
        fw_place_ask(&mailbox->place, &mailbox->outbox, request);
    } else if (asked == ASKED_OUTBOX) {
        fw_outbox_ask(&mailbox->outbox, block, mailbox->chunk_bytes, request);
    } else {
        fw_inbox_ask(&mailbox->inbox, block, mailbox->chunk_bytes, request);
    }
}

static void take_failure(FwMailbox *mailbox, FwOutcome outcome, gint64 now_us);

static void
ask(FwMailbox *mailbox, gint64 now_us)
{
    FwRequest request = {0};
    Asked asked = choose(mailbox);
    if (mailbox->asked != ASKED_NOTHING || mailbox->deadline_us != 0 || asked == ASKED_NOTHING) {
        return;
    }
    build_request(mailbox, asked, &request);
    mailbox->asked = asked;
    mailbox->deadline_us = now_us + ANSWER_LIMIT_US;
    mailbox->status.n_requests++;
    if (!mailbox->funcs.request(&request, mailbox->user)) {
        take_failure(mailbox, FW_NOT_DONE, now_us);
    }
}

static void
enter(FwMailbox *mailbox)
{
    mailbox->depth++;
}

static void
leave(FwMailbox *mailbox, gint64 now_us)
{
    mailbox->depth--;
    if (mailbox->depth == 0) {
        ask(mailbox, now_us);
    }
}

/* ---- where the target is --------------------------------------------------------------------- */

/* What was under way is under way no more; a write may have been carried out. */
static void
interrupt(FwMailbox *mailbox, gboolean is_unsure)
{
    if (mailbox->asked == ASKED_OUTBOX) {
        fw_outbox_fail(&mailbox->outbox, is_unsure);
    }
    fw_inbox_fail(&mailbox->inbox);
    mailbox->asked = ASKED_NOTHING;
    mailbox->deadline_us = 0;
    mailbox->is_polled = FALSE;
}

static void
restart(FwMailbox *mailbox)
{
    gboolean was_sending = mailbox->outbox.step != FW_OUTBOX_IDLE;
    mailbox->is_awaited = FALSE;
    mailbox->ids = (FwIds){0};
    fw_inbox_restart(&mailbox->inbox);
    fw_outbox_clear(&mailbox->outbox);
    mailbox->funcs.restarted(mailbox->user);
    if (was_sending) {
        mailbox->funcs.sent(FALSE, mailbox->user);
    }
}

static void
lose(FwMailbox *mailbox, const char *why)
{
    fw_mailbox_detach(mailbox);
    mailbox->funcs.lost(why, mailbox->user);
}

static void
take_place(FwMailbox *mailbox, const uint8_t *bytes, gint64 now_us)
{
    g_autoptr(GError) error = NULL;
    FwPlaceNews news = fw_place_answer(&mailbox->place, &mailbox->outbox, bytes, &error);
    if (news == FW_PLACE_GONE) {
        lose(mailbox, error->message);
        return;
    }
    if (news == FW_PLACE_RESTARTED) {
        restart(mailbox);
    }
    if (mailbox->place.step == FW_PLACE_SURE) {
        mailbox->active_us = now_us;
        mailbox->funcs.found(&mailbox->place.block, mailbox->user);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
take_empty(FwMailbox *mailbox, gint64 now_us)
{
    mailbox->is_polled = TRUE;
    if (mailbox->outbox.step == FW_OUTBOX_IDLE) {
        pace(mailbox, now_us);
    }
}

/* The memory may be another's by now. If it is the target's all the same, a state that means
 * nothing is no packet, and a packet with a length that cannot be is thrown away: the target waits
 * for that.
 */
static void
suspect(FwMailbox *mailbox, gboolean is_packet, gint64 now_us)
{
    mailbox->status.n_garbage++;
    if (mailbox->garbage_us == 0 || now_us - mailbox->garbage_us >= GARBAGE_WAIT_US) {
        mailbox->garbage_us = now_us;
        mailbox->place.step = FW_PLACE_BLOCK;
    } else if (is_packet) {
        mailbox->inbox.step = FW_INBOX_TAKE;
    } else {
        take_empty(mailbox, now_us);
    }
}

static void
receive(FwMailbox *mailbox, gint64 now_us)
{
    size_t len_bytes = 0;
    const uint8_t *packet = fw_inbox_get_packet(&mailbox->inbox, &len_bytes);
    uint32_t id = fw_bytes_get_u32(packet + ID_AT);
    if (fw_bytes_get_u32(packet) == DATA_LEADER && fw_ids_take(&mailbox->ids, id)) {
        restart(mailbox);
        (void)fw_ids_take(&mailbox->ids, id);
        /* The mark has gone, too. */
        if (mailbox->place.step == FW_PLACE_SURE) {
            mailbox->place.step = FW_PLACE_PLANT;
        }
    }
    gboolean is_received = mailbox->funcs.receive(packet, len_bytes, mailbox->user);
    fw_inbox_settle(&mailbox->inbox, is_received);
    if (!is_received) {
        mailbox->n_in_row = 0; /* it is not to be counted as received */
        wait_for(mailbox, ROOM_WAIT_US, now_us);
        return;
    }
    mailbox->is_awaited = FALSE;
    mailbox->active_us = now_us;
}

static void
take_inbox(FwMailbox *mailbox, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    mailbox->is_watched = mailbox->is_watched && mailbox->inbox.step == FW_INBOX_READ;
    switch (fw_inbox_answer(&mailbox->inbox, bytes, len_bytes)) {
    case FW_INBOX_EMPTY:
        mailbox->n_in_row = 0;
        take_empty(mailbox, now_us);
        break;
    case FW_INBOX_GARBAGE:
        suspect(mailbox, FALSE, now_us);
        break;
    case FW_INBOX_TOO_LONG:
        suspect(mailbox, TRUE, now_us);
        break;
    case FW_INBOX_PACKET:
        receive(mailbox, now_us);
        break;
    case FW_INBOX_TAKEN:
        mailbox->active_us = now_us;
        mailbox->n_in_row++;
        break;
    case FW_INBOX_MORE:
    default:
        break;
    }
}

static void
take_outbox(FwMailbox *mailbox, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    FwOutboxNews news = fw_outbox_answer(&mailbox->outbox, bytes, len_bytes, now_us);
    mailbox->is_watched = TRUE;
    mailbox->n_in_row = news == FW_OUTBOX_MORE ? mailbox->n_in_row : 0;
    switch (news) {
    case FW_OUTBOX_FULL:
        if (mailbox->inbox.step == FW_INBOX_LOOK) {
            pace(mailbox, now_us);
        }
        break;
    case FW_OUTBOX_POSTED:
        mailbox->active_us = now_us;
        break;
    case FW_OUTBOX_TAKEN:
        mailbox->active_us = now_us;
        mailbox->is_awaited = TRUE;
        mailbox->is_polled = FALSE;
        mailbox->funcs.sent(TRUE, mailbox->user);
        break;
    case FW_OUTBOX_DROPPED:
        mailbox->status.n_withdrawn++;
        mailbox->is_polled = FALSE;
        mailbox->funcs.sent(FALSE, mailbox->user);
        break;
    case FW_OUTBOX_MORE:
    default:
        break;
    }
}

static void
take_failure(FwMailbox *mailbox, FwOutcome outcome, gint64 now_us)
{
    gboolean is_given_up =
        mailbox->asked == ASKED_OUTBOX && now_us - mailbox->sending_us >= SEND_LIMIT_US;
    interrupt(mailbox, outcome == FW_UNSURE);
    mailbox->status.n_failures++;
    if (mailbox->failing_us == 0) {
        mailbox->failing_us = now_us;
    }
    if (now_us - mailbox->failing_us >= LOST_US) {
        lose(mailbox, "the target does not answer");
        return;
    }
    if (outcome == FW_STALE) {
        mailbox->place.step = FW_PLACE_STALE;
        wait_for(mailbox, RESET_LIMIT_US, now_us);
        return;
    }
    wait_for(mailbox, MIN(RETRY_FIRST_US << MIN(mailbox->n_fails, 8u), RETRY_LAST_US), now_us);
    mailbox->n_fails = MIN(mailbox->n_fails + FAIL_WEIGHT, FAIL_MAX);
    if (is_given_up) {
        fw_outbox_clear(&mailbox->outbox);
        mailbox->status.n_withdrawn++;
        mailbox->funcs.sent(FALSE, mailbox->user);
    }
}

static void
take_answer(FwMailbox *mailbox, Asked asked, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    switch (asked) {
    case ASKED_PLACE:
        take_place(mailbox, bytes, now_us);
        break;
    case ASKED_INBOX:
        take_inbox(mailbox, bytes, len_bytes, now_us);
        break;
    case ASKED_OUTBOX:
        take_outbox(mailbox, bytes, len_bytes, now_us);
        break;
    case ASKED_NOTHING:
    default:
        break;
    }
}

/**
 * fw_mailbox_answer:
 * @outcome: of the request that was asked for last
 * @bytes: what was read, as many as were asked for; anything. Of a write, or without %FW_DONE,
 *    not looked at
 * @len_bytes: that were asked for
 *
 * Takes the answer to a request.
 */
void
fw_mailbox_answer(FwMailbox *mailbox, FwOutcome outcome, const uint8_t *bytes, size_t len_bytes,
                  gint64 now_us)
{
    Asked asked = mailbox->asked;
    if (asked == ASKED_NOTHING) {
        return;
    }
    enter(mailbox);
    if (outcome != FW_DONE) {
        take_failure(mailbox, outcome, now_us);
    } else {
        mailbox->asked = ASKED_NOTHING;
        mailbox->deadline_us = 0;
        mailbox->failing_us = 0;
        mailbox->n_fails -= MIN(mailbox->n_fails, 1u);
        take_answer(mailbox, asked, bytes, len_bytes, now_us);
    }
    leave(mailbox, now_us);
}

/* ---- from outside ---------------------------------------------------------------------------- */

/**
 * fw_mailbox_break_off:
 * @is_unsure: it may have been carried out; else it was not
 *
 * Says that what was asked for will not be answered: fw_mailbox_attach() or fw_mailbox_detach() is
 * to follow.
 */
void
fw_mailbox_break_off(FwMailbox *mailbox, gboolean is_unsure)
{
    interrupt(mailbox, is_unsure);
}

/**
 * fw_mailbox_attach:
 * @block_offset: where the node's ROM says that the block is
 * @chunk_bytes: most bytes of one request
 *
 * Gives it a node, or the same one after a bus reset. The block is read before anything is written:
 * the memory may be another's by now. Answers to former requests are not to be given any more: what
 * was not answered yet and is not said to be broken off was not carried out.
 */
void
fw_mailbox_attach(FwMailbox *mailbox, uint32_t block_offset, uint32_t chunk_bytes, gint64 now_us)
{
    enter(mailbox);
    interrupt(mailbox, FALSE);
    if (mailbox->place.step != FW_PLACE_NONE) {
        mailbox->status.n_resets++;
    }
    mailbox->place.block_offset = block_offset;
    mailbox->chunk_bytes = chunk_bytes;
    mailbox->place.step = FW_PLACE_BLOCK;
    mailbox->n_fails = 0;
    leave(mailbox, now_us);
}

/**
 * fw_mailbox_detach:
 *
 * Takes the node away. What was to be sent is dropped: whether it was taken cannot be known.
 */
void
fw_mailbox_detach(FwMailbox *mailbox)
{
    interrupt(mailbox, FALSE);
    fw_outbox_clear(&mailbox->outbox);
    mailbox->place.step = FW_PLACE_NONE;
    mailbox->failing_us = 0;
    mailbox->is_awaited = FALSE;
}

/**
 * fw_mailbox_forget:
 *
 * Says that the next node is another machine, or the same one after it was seen without a debug
 * target: it will have restarted.
 */
void
fw_mailbox_forget(FwMailbox *mailbox)
{
    mailbox->place.was_gone = TRUE;
}

/**
 * fw_mailbox_send:
 * @packet: header and payload, or the byte of a break-in
 * @len_bytes: 1 to %FW_OUTBOX_PACKET_MAX_BYTES
 *
 * Sends one packet to the target.
 *
 * Returns: whether it will be sent; %FALSE: the last one has not been yet, and `sent` follows, or
 *    there is no node, and `found` does
 */
gboolean
fw_mailbox_send(FwMailbox *mailbox, const uint8_t *packet, size_t len_bytes, gint64 now_us)
{
    if (mailbox->outbox.step != FW_OUTBOX_IDLE || mailbox->place.step == FW_PLACE_NONE) {
        return FALSE;
    }
    enter(mailbox);
    mailbox->sending_us = now_us;
    fw_outbox_put(&mailbox->outbox, packet, len_bytes);
    /* Not so after a failure: the pause is for the node, then. */
    if (mailbox->place.step == FW_PLACE_SURE && mailbox->asked == ASKED_NOTHING &&
        mailbox->failing_us == 0) {
        wait_for(mailbox, 0, now_us);
    }
    leave(mailbox, now_us);
    return TRUE;
}

/**
 * fw_mailbox_get_deadline_us:
 *
 * Returns: when fw_mailbox_tick() is to be called; -1: not before something else happens
 */
gint64
fw_mailbox_get_deadline_us(const FwMailbox *mailbox)
{
    return mailbox->deadline_us != 0 ? mailbox->deadline_us : -1;
}

/**
 * fw_mailbox_tick:
 *
 * Does what is due.
 */
void
fw_mailbox_tick(FwMailbox *mailbox, gint64 now_us)
{
    if (mailbox->deadline_us == 0 || now_us < mailbox->deadline_us) {
        return;
    }
    enter(mailbox);
    mailbox->deadline_us = 0;
    if (mailbox->asked != ASKED_NOTHING) {
        take_failure(mailbox, FW_UNSURE, now_us);
    } else if (mailbox->place.step == FW_PLACE_STALE) {
        wait_for(mailbox, RESET_LIMIT_US, now_us);
        mailbox->funcs.stale(mailbox->user);
    }
    leave(mailbox, now_us);
}

/**
 * fw_mailbox_get_status:
 * @status: (out caller-allocates)
 */
void
fw_mailbox_get_status(const FwMailbox *mailbox, FwMailboxStatus *status)
{
    *status = mailbox->status;
}

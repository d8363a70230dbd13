/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer of a target, quirks and all: it sends one packet at a time and does nothing else
 * until that is acknowledged, and whoever does not wait for it has to say things twice. */
#include "kd-sim-link.h"

#include "kd-sim-reader.h"

#include <string.h>

struct KdSimLink {
    KdSimDialect dialect;
    KdSimMachine *machine;
    KdSimSend send;
    void *user;
    KdSimLinkOptions options;
    gint64 retry_us;
    KdSimLinkStat stat;

    uint32_t out_id;
    uint32_t in_id;
    uint16_t listen_type; /* 0: the machine runs, or boots */
    gboolean is_deaf;
    gboolean is_sending;
    KdSimMessage pending;
    uint32_t n_tried;
    gint64 send_deadline_us;
    KdSimReader reader; /* of a serial line */
    gint64 reader_deadline_us;
    uint8_t frame[KD_SIM_PACKET_MAX_BYTES];
};

static void
begin_ids(KdSimLink *link)
{
    const gboolean is_net = link->dialect == KD_SIM_DIALECT_NET;
    link->out_id = is_net ? 0 : KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID;
    link->in_id = is_net ? KD_SIM_NET_HOST_ID : KD_SIM_INITIAL_ID;
}

static uint32_t
get_next_id(const KdSimLink *link, uint32_t id)
{
    return link->dialect == KD_SIM_DIALECT_NET ? id + 2 : id ^ 1;
}

static uint32_t
get_last_id(const KdSimLink *link, uint32_t id)
{
    return link->dialect == KD_SIM_DIALECT_NET ? id - 2 : id ^ 1;
}

static void
send_control(KdSimLink *link, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_SIM_HEADER_BYTES];
    link->stat.acks_out += type == KD_SIM_TYPE_ACK;
    link->stat.resends_out += type == KD_SIM_TYPE_RESEND;
    if (link->options.is_traced)
        kd_sim_packet_trace("out", type, id, 0);
    (void)link->send(bytes, kd_sim_packet_build_control(type, id, bytes), link->user);
}

static void
transmit(KdSimLink *link, gint64 now_us)
{
    size_t len_bytes =
        kd_sim_packet_build(link->dialect, link->pending.type, link->out_id, link->pending.payload,
                            link->pending.payload_bytes, link->frame);
    link->send_deadline_us = now_us + link->retry_us;
    link->stat.packets_out++;
    if (link->options.is_traced)
        kd_sim_packet_trace("out", link->pending.type, link->out_id, link->pending.payload_bytes);
    (void)link->send(link->frame, len_bytes, link->user);
}

static void
retransmit(KdSimLink *link, gint64 now_us)
{
    link->stat.retransmissions++;
    transmit(link, now_us);
}

static void
on_machine_send(const KdSimMessage *message, gint64 now_us, void *user)
{
    KdSimLink *link = user;
    link->is_deaf = FALSE;
    link->is_sending = TRUE;
    link->pending = *message;
    link->n_tried = 0;
    transmit(link, now_us);
}

static void
on_machine_listen(uint16_t type, gint64 now_us G_GNUC_UNUSED, void *user)
{
    KdSimLink *link = user;
    link->is_deaf = FALSE;
    link->is_sending = FALSE;
    link->listen_type = type;
}

static void
on_machine_reset(gint64 now_us, void *user)
{
    KdSimLink *link = user;
    link->is_deaf = TRUE;
    link->is_sending = FALSE;
    link->listen_type = 0;
    link->reader_deadline_us = -1;
    kd_sim_reader_reset(&link->reader);
    begin_ids(link);
    if (link->options.reboot != NULL)
        link->options.reboot(now_us, link->user);
}

/**
 * kd_sim_link_new:
 * @dialect: not %KD_SIM_DIALECT_1394
 * @machine: borrowed; from now on this is its link
 * @options: (nullable):
 * @send: called from within receive, tick and what starts the machine
 */
KdSimLink *
kd_sim_link_new(KdSimDialect dialect, KdSimMachine *machine, const KdSimLinkOptions *options,
                KdSimSend send, void *user)
{
    static const KdSimPort port = {
        .send = on_machine_send,
        .listen = on_machine_listen,
        .reset = on_machine_reset,
    };
    g_return_val_if_fail(dialect != KD_SIM_DIALECT_1394, NULL);
    KdSimLink *link = g_new0(KdSimLink, 1);
    link->dialect = dialect;
    link->machine = machine;
    link->send = send;
    link->user = user;
    if (options != NULL)
        link->options = *options;
    if (link->options.retry_ms == 0)
        link->options.retry_ms = KD_SIM_RETRY_MS;
    link->retry_us = 1000 * (gint64)link->options.retry_ms;
    if (dialect == KD_SIM_DIALECT_SERIAL)
        link->options.is_break_in_kept = TRUE;
    link->is_deaf = TRUE;
    link->reader_deadline_us = -1;
    begin_ids(link);
    kd_sim_machine_attach(machine, &port, link);
    return link;
}

/**
 * kd_sim_link_free:
 *
 * The machine stays, and may not be given anything to do any more.
 */
void
kd_sim_link_free(KdSimLink *link)
{
    g_free(link);
}

static gboolean
is_running(const KdSimLink *link)
{
    return !link->is_sending && link->listen_type == 0;
}

/* An ACK, or what counts as one: the sync bit has done its work. */
static void
finish_sending(KdSimLink *link, gint64 now_us)
{
    link->is_sending = FALSE;
    link->out_id = get_next_id(link, link->out_id);
    if (link->dialect != KD_SIM_DIALECT_NET)
        link->out_id &= ~KD_SIM_SYNC_ID;
    kd_sim_machine_sent(link->machine, TRUE, now_us);
}

static void
give_up(KdSimLink *link, gint64 now_us)
{
    link->is_sending = FALSE;
    if (link->dialect != KD_SIM_DIALECT_NET)
        begin_ids(link);
    kd_sim_machine_sent(link->machine, FALSE, now_us);
}

/* The other side does not know where it is: it is told again what it should have. */
static void
repeat(KdSimLink *link, gint64 now_us)
{
    if (link->is_sending)
        retransmit(link, now_us);
    else
        kd_sim_machine_repeat(link->machine, now_us);
}

static gboolean
is_ack_of_pending(const KdSimLink *link, uint32_t id)
{
    /* whether hosts on USB leave the sync bit in is not known */
    if (link->dialect == KD_SIM_DIALECT_USB)
        id &= ~KD_SIM_SYNC_ID;
    uint32_t own = link->out_id;
    if (link->dialect != KD_SIM_DIALECT_NET)
        own &= ~KD_SIM_SYNC_ID;
    return link->is_sending && id == own;
}

static void
reset_ids(KdSimLink *link, uint32_t id)
{
    if (link->dialect == KD_SIM_DIALECT_NET) {
        link->in_id = id;
        send_control(link, KD_SIM_TYPE_RESET, link->out_id);
        return;
    }
    link->out_id = KD_SIM_INITIAL_ID;
    link->in_id = KD_SIM_INITIAL_ID;
    send_control(link, KD_SIM_TYPE_RESET, 0);
}

static void
on_control(KdSimLink *link, const KdSimHeader *header, gint64 now_us)
{
    switch (header->type) {
    case KD_SIM_TYPE_ACK:
        link->stat.acks_in++;
        if (is_ack_of_pending(link, header->id))
            finish_sending(link, now_us);
        break;
    case KD_SIM_TYPE_RESEND:
        link->stat.resends_in++;
        repeat(link, now_us);
        break;
    case KD_SIM_TYPE_RESET:
        link->stat.resets++;
        reset_ids(link, header->id);
        repeat(link, now_us);
        break;
    default:
        link->stat.damaged++;
    }
}

/* While it waits for an ACK a target reads no data: the host is out of step, and has to repeat. */
static void
on_untimely_data(KdSimLink *link, gint64 now_us)
{
    link->stat.out_of_step++;
    send_control(link, KD_SIM_TYPE_RESEND, 0);
    finish_sending(link, now_us);
}

static void
refuse(KdSimLink *link)
{
    link->stat.damaged++;
    send_control(link, KD_SIM_TYPE_RESEND, 0);
}

static gboolean
is_length_possible(const KdSimLink *link, const KdSimHeader *header)
{
    return header->payload_bytes >= kd_sim_packet_get_least_payload(link->listen_type) &&
           header->payload_bytes <= KD_SIM_PAYLOAD_MAX_BYTES;
}

/* Acknowledged first, and judged then. */
static void
on_data(KdSimLink *link, const KdSimHeader *header, const uint8_t *payload, gint64 now_us)
{
    if (kd_sim_packet_sum(payload, header->payload_bytes) != header->checksum) {
        refuse(link);
        return;
    }
    link->stat.packets_in++;
    send_control(link, KD_SIM_TYPE_ACK, header->id);
    if (header->id != link->in_id) {
        link->stat.duplicates++;
        return;
    }
    if (header->type != link->listen_type)
        return;
    link->in_id = get_next_id(link, link->in_id);
    kd_sim_machine_received(link->machine, header->type, payload, header->payload_bytes, now_us);
}

static void
on_break_in(KdSimLink *link, gint64 now_us)
{
    link->stat.break_ins++;
    if (link->options.is_traced)
        g_printerr("kd-target: in break-in\n");
    if (!link->options.is_break_in_kept && !kd_sim_machine_is_running(link->machine)) {
        link->stat.early++;
        return;
    }
    kd_sim_machine_break_in(link->machine, now_us);
}

static void
trace_in(const KdSimLink *link, const KdSimHeader *header)
{
    if (link->options.is_traced)
        kd_sim_packet_trace("in", header->type, header->id, header->payload_bytes);
}

/* What a running machine looks at where packets come whole: break-ins. A host that has not seen the
 * ACK of what made the machine run gets it once more. */
static void
on_packet_while_running(KdSimLink *link, const KdSimHeader *header)
{
    if (!header->is_control && header->id == get_last_id(link, link->in_id)) {
        link->stat.duplicates++;
        send_control(link, KD_SIM_TYPE_ACK, header->id);
    } else {
        link->stat.eaten++;
    }
}

static void
receive_packet(KdSimLink *link, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    KdSimHeader header;
    if (len_bytes == 1 && bytes[0] == KD_SIM_BREAK_IN) {
        on_break_in(link, now_us);
        return;
    }
    if (len_bytes < KD_SIM_HEADER_BYTES || !kd_sim_packet_parse_header(bytes, &header)) {
        link->stat.damaged++;
        return;
    }
    trace_in(link, &header);
    if (is_running(link)) {
        on_packet_while_running(link, &header);
        return;
    }
    kd_sim_machine_set_debugger(link->machine, TRUE, now_us);
    if (header.is_control)
        on_control(link, &header, now_us);
    else if (link->is_sending)
        on_untimely_data(link, now_us);
    else if (!is_length_possible(link, &header) ||
             len_bytes != KD_SIM_HEADER_BYTES + header.payload_bytes)
        refuse(link);
    else
        on_data(link, &header, bytes + KD_SIM_HEADER_BYTES, now_us);
}

/* The header of a packet on a serial line is whole. Returns: whether the payload shall be read */
static gboolean
on_header(KdSimLink *link, const KdSimHeader *header, gint64 now_us)
{
    trace_in(link, header);
    kd_sim_machine_set_debugger(link->machine, TRUE, now_us);
    if (header->is_control) {
        on_control(link, header, now_us);
        return FALSE;
    }
    if (link->is_sending) {
        on_untimely_data(link, now_us);
        return FALSE;
    }
    if (!is_length_possible(link, header)) {
        refuse(link);
        return FALSE;
    }
    return TRUE;
}

/* A running machine looks at one byte each clock tick, and keeps none but a break-in. Returns: how
 * many were read */
static size_t
poll_break_in(KdSimLink *link, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    const uint8_t *found = memchr(bytes, KD_SIM_BREAK_IN, len_bytes);
    kd_sim_reader_reset(&link->reader);
    if (found == NULL) {
        link->stat.eaten += len_bytes;
        return len_bytes;
    }
    link->stat.eaten += (size_t)(found - bytes);
    on_break_in(link, now_us);
    return (size_t)(found - bytes) + 1;
}

static void
receive_bytes(KdSimLink *link, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    size_t at = 0;
    while (at < len_bytes && !link->is_deaf) {
        if (is_running(link)) {
            at += poll_break_in(link, bytes + at, len_bytes - at, now_us);
            continue;
        }
        KdSimHeader header;
        switch (kd_sim_reader_read(&link->reader, bytes, len_bytes, &at, &header)) {
        case KD_SIM_READ_HEADER:
            if (!on_header(link, &header, now_us))
                kd_sim_reader_reset(&link->reader);
            break;
        case KD_SIM_READ_PACKET:
            on_data(link, &header, link->reader.payload, now_us);
            break;
        case KD_SIM_READ_DAMAGE:
            refuse(link);
            break;
        case KD_SIM_READ_MORE:
        default:
            break;
        }
    }
    link->stat.eaten += kd_sim_reader_take_dropped(&link->reader);
    link->reader_deadline_us =
        kd_sim_reader_is_waiting(&link->reader) ? now_us + link->retry_us : -1;
}

/**
 * kd_sim_link_receive:
 * @bytes: on a serial line whatever has arrived, else one whole packet, or one byte 0x62
 *
 * Takes what the host says; the answers are sent from within.
 */
void
kd_sim_link_receive(KdSimLink *link, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    if (link->is_deaf)
        return;
    if (link->dialect == KD_SIM_DIALECT_SERIAL)
        receive_bytes(link, bytes, len_bytes, now_us);
    else
        receive_packet(link, bytes, len_bytes, now_us);
}

/**
 * kd_sim_link_restart:
 *
 * Begins anew with another host: fresh ids, and the packet under way is sent again.
 */
void
kd_sim_link_restart(KdSimLink *link, gint64 now_us)
{
    begin_ids(link);
    link->n_tried = 0;
    if (link->is_sending)
        retransmit(link, now_us);
}

/**
 * kd_sim_link_get_deadline_us:
 *
 * Returns: when kd_sim_link_tick() has to be called, for the machine's sake too; -1: never
 */
gint64
kd_sim_link_get_deadline_us(const KdSimLink *link)
{
    gint64 deadline_us = kd_sim_machine_get_deadline_us(link->machine);
    if (link->is_sending && (deadline_us < 0 || link->send_deadline_us < deadline_us))
        deadline_us = link->send_deadline_us;
    if (link->reader_deadline_us >= 0 &&
        (deadline_us < 0 || link->reader_deadline_us < deadline_us))
        deadline_us = link->reader_deadline_us;
    return deadline_us;
}

/* Nothing has come for one wait: a 0x62 was alone, or the rest of a packet is lost. */
static void
on_silence(KdSimLink *link, gint64 now_us)
{
    link->reader_deadline_us = -1;
    switch (kd_sim_reader_end_wait(&link->reader)) {
    case KD_SIM_SILENCE_BREAK_IN:
        on_break_in(link, now_us);
        repeat(link, now_us);
        break;
    case KD_SIM_SILENCE_DAMAGE:
        refuse(link);
        break;
    case KD_SIM_SILENCE_NOTHING:
    default:
        break;
    }
}

/**
 * kd_sim_link_tick:
 *
 * Does what is due, of the machine too.
 */
void
kd_sim_link_tick(KdSimLink *link, gint64 now_us)
{
    if (link->reader_deadline_us >= 0 && now_us >= link->reader_deadline_us)
        on_silence(link, now_us);
    if (link->is_sending && now_us >= link->send_deadline_us) {
        link->n_tried++;
        if (link->pending.tries != 0 && link->n_tried >= link->pending.tries)
            give_up(link, now_us);
        else
            retransmit(link, now_us);
    }
    kd_sim_machine_tick(link->machine, now_us);
}

/**
 * kd_sim_link_get_stat:
 *
 * Returns: (transfer none):
 */
const KdSimLinkStat *
kd_sim_link_get_stat(const KdSimLink *link)
{
    return &link->stat;
}

/**
 * kd_sim_link_get_machine:
 *
 * Returns: (transfer none):
 */
KdSimMachine *
kd_sim_link_get_machine(KdSimLink *link)
{
    return link->machine;
}

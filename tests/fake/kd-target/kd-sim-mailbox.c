/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dialect of FireWire: the host reads and writes this memory; a status word in each mailbox
 * says whether it is full. The target looks at it after each access instead of polling. */
#include "kd-sim-mailbox.h"

#include <string.h>

#define TAG_CHANNEL    8u
#define TAG_PRESENT    12u
#define TAG_SEND       16u
#define TAG_RECEIVE    24u
#define SEND_HEADER    4u
#define SEND_LENGTH    20u
#define SEND_PACKET    24u
#define RECEIVE_LENGTH 4u
#define RECEIVE_PACKET 8u
#define PACKET_BYTES   4000u

struct KdSimMailbox {
    KdSimMachine *machine;
    gboolean is_traced;
    gboolean is_break_in_kept;
    gint64 retry_us;
    KdSimMailboxStat stat;
    uint8_t config[KD_SIM_MAILBOX_CONFIG_BYTES];
    uint8_t out[KD_SIM_MAILBOX_BYTES]; /* SendPacket */
    uint8_t in[KD_SIM_MAILBOX_BYTES];  /* ReceivePacket */
    uint32_t out_id;
    uint16_t listen_type;
    gboolean is_deaf;
    gboolean is_sending; /* the machine's packet; not a RESEND */
    KdSimMessage pending;
    gint64 deadline_us; /* of a packet that is not sent for ever; -1 */
};

static void
post(KdSimMailbox *mailbox, const uint8_t *packet, size_t len_bytes)
{
    const size_t payload_bytes = len_bytes - KD_SIM_HEADER_BYTES;
    memcpy(mailbox->out + SEND_HEADER, packet, KD_SIM_HEADER_BYTES);
    kd_sim_put32(mailbox->out + SEND_LENGTH, (uint32_t)payload_bytes);
    memcpy(mailbox->out + SEND_PACKET, packet + KD_SIM_HEADER_BYTES, payload_bytes);
    kd_sim_put32(mailbox->out, KD_SIM_MAILBOX_PENDING);
}

static void
post_pending(KdSimMailbox *mailbox)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    size_t len_bytes =
        kd_sim_packet_build(KD_SIM_DIALECT_1394, mailbox->pending.type, mailbox->out_id,
                            mailbox->pending.payload, mailbox->pending.payload_bytes, packet);
    mailbox->stat.packets_out++;
    if (mailbox->is_traced)
        kd_sim_packet_trace("out", mailbox->pending.type, mailbox->out_id,
                            mailbox->pending.payload_bytes);
    post(mailbox, packet, len_bytes);
}

static void
on_machine_send(const KdSimMessage *message, gint64 now_us, void *user)
{
    KdSimMailbox *mailbox = user;
    mailbox->is_deaf = FALSE;
    mailbox->is_sending = TRUE;
    mailbox->pending = *message;
    mailbox->deadline_us = message->tries > 0 ? now_us + message->tries * mailbox->retry_us : -1;
    post_pending(mailbox);
}

static void
on_machine_listen(uint16_t type, gint64 now_us G_GNUC_UNUSED, void *user)
{
    KdSimMailbox *mailbox = user;
    mailbox->is_deaf = FALSE;
    mailbox->is_sending = FALSE;
    mailbox->listen_type = type;
}

/* The firmware has cleared the memory, and the kernel has set it up again. */
static void
on_machine_reset(gint64 now_us G_GNUC_UNUSED, void *user)
{
    KdSimMailbox *mailbox = user;
    mailbox->is_deaf = TRUE;
    mailbox->is_sending = FALSE;
    mailbox->listen_type = 0;
    mailbox->deadline_us = -1;
    mailbox->out_id = KD_SIM_INITIAL_ID;
    memset(mailbox->out, 0, sizeof mailbox->out);
    memset(mailbox->in, 0, sizeof mailbox->in);
}

/**
 * kd_sim_mailbox_new:
 * @machine: borrowed; from now on this is its link
 * @options: (nullable):
 * @channel: 0 to 62
 */
KdSimMailbox *
kd_sim_mailbox_new(KdSimMachine *machine, const KdSimLinkOptions *options, uint32_t channel)
{
    static const KdSimPort port = {
        .send = on_machine_send,
        .listen = on_machine_listen,
        .reset = on_machine_reset,
    };
    KdSimMailbox *mailbox = g_new0(KdSimMailbox, 1);
    mailbox->machine = machine;
    mailbox->retry_us = 1000 * KD_SIM_RETRY_MS;
    if (options != NULL && options->retry_ms != 0)
        mailbox->retry_us = 1000 * (gint64)options->retry_ms;
    mailbox->is_break_in_kept = options != NULL && options->is_break_in_kept;
    mailbox->is_traced = options != NULL && options->is_traced;
    kd_sim_put32(mailbox->config, KD_SIM_MAILBOX_TAG);
    kd_sim_put16(mailbox->config + 4, 1);
    kd_sim_put32(mailbox->config + TAG_CHANNEL, channel);
    kd_sim_put32(mailbox->config + TAG_PRESENT, 1);
    kd_sim_put64(mailbox->config + TAG_SEND, KD_SIM_MAILBOX_SEND_ADDRESS);
    kd_sim_put64(mailbox->config + TAG_RECEIVE, KD_SIM_MAILBOX_RECEIVE_ADDRESS);
    mailbox->deadline_us = -1;
    mailbox->is_deaf = TRUE;
    mailbox->out_id = KD_SIM_INITIAL_ID;
    kd_sim_machine_attach(machine, &port, mailbox);
    return mailbox;
}

/**
 * kd_sim_mailbox_free:
 *
 * The machine stays, and may not be given anything to do any more.
 */
void
kd_sim_mailbox_free(KdSimMailbox *mailbox)
{
    g_free(mailbox);
}

static void
finish_sending(KdSimMailbox *mailbox, gint64 now_us)
{
    mailbox->is_sending = FALSE;
    mailbox->deadline_us = -1;
    mailbox->out_id++;
    kd_sim_machine_set_debugger(mailbox->machine, TRUE, now_us);
    kd_sim_machine_sent(mailbox->machine, TRUE, now_us);
}

static gboolean
is_full(const uint8_t *box)
{
    return kd_sim_get32(box) == KD_SIM_MAILBOX_PENDING;
}

/* Returns: whether a packet of the type that is listened for is in the mailbox, and sound */
static gboolean
is_sound(const KdSimMailbox *mailbox, const KdSimHeader *header, uint32_t length)
{
    const uint8_t *payload = mailbox->in + RECEIVE_PACKET + KD_SIM_HEADER_BYTES;
    return length == KD_SIM_HEADER_BYTES + header->payload_bytes && length <= PACKET_BYTES &&
           header->payload_bytes >= kd_sim_packet_get_least_payload(mailbox->listen_type) &&
           kd_sim_packet_sum(payload, header->payload_bytes) == header->checksum;
}

/* The only packet of control that a target sends here */
static void
ask_again(KdSimMailbox *mailbox)
{
    uint8_t bytes[KD_SIM_HEADER_BYTES];
    mailbox->stat.damaged++;
    post(mailbox, bytes, kd_sim_packet_build_control(KD_SIM_TYPE_RESEND, 0, bytes));
}

static void
take_packet(KdSimMailbox *mailbox, gint64 now_us)
{
    KdSimHeader header;
    const uint8_t *packet = mailbox->in + RECEIVE_PACKET;
    const uint32_t length = kd_sim_get32(mailbox->in + RECEIVE_LENGTH);
    gboolean is_packet = kd_sim_packet_parse_header(packet, &header);
    kd_sim_put32(mailbox->in, KD_SIM_STATUS_SUCCESS);
    if (mailbox->is_traced)
        kd_sim_packet_trace("in", header.type, header.id, header.payload_bytes);
    if (is_packet && header.is_control) {
        if (header.type == KD_SIM_TYPE_RESEND || header.type == KD_SIM_TYPE_RESET)
            kd_sim_machine_repeat(mailbox->machine, now_us);
        return;
    }
    if (!is_packet || !is_sound(mailbox, &header, length)) {
        ask_again(mailbox);
        return;
    }
    mailbox->stat.packets_in++;
    if (header.type == mailbox->listen_type)
        kd_sim_machine_received(mailbox->machine, header.type, packet + KD_SIM_HEADER_BYTES,
                                header.payload_bytes, now_us);
}

static void
take_break_in(KdSimMailbox *mailbox, gint64 now_us)
{
    kd_sim_put32(mailbox->in, KD_SIM_STATUS_SUCCESS);
    mailbox->stat.break_ins++;
    if (mailbox->is_traced)
        g_printerr("kd-target: in break-in\n");
    if (mailbox->is_break_in_kept || kd_sim_machine_is_running(mailbox->machine))
        kd_sim_machine_break_in(mailbox->machine, now_us);
}

/* What the target sees when it looks: whether its packet was taken, and what the host has posted. A
 * request while its own packet waits says that the host has seen that. */
static void
look(KdSimMailbox *mailbox, gint64 now_us)
{
    for (uint32_t turn = 0; turn < 4 && !mailbox->is_deaf; turn++) {
        if (mailbox->is_sending && !is_full(mailbox->out)) {
            finish_sending(mailbox, now_us);
        } else if (!is_full(mailbox->in)) {
            return;
        } else if (mailbox->in[RECEIVE_PACKET] == KD_SIM_BREAK_IN) {
            take_break_in(mailbox, now_us);
        } else if (mailbox->is_sending) {
            mailbox->stat.aborted++;
            kd_sim_put32(mailbox->out, KD_SIM_STATUS_SUCCESS);
            finish_sending(mailbox, now_us);
        } else if (mailbox->listen_type != 0 && !is_full(mailbox->out)) {
            take_packet(mailbox, now_us);
        } else {
            /* it runs, and looks for break-ins alone; or a RESEND was not taken yet */
            return;
        }
    }
}

static uint8_t *
find(KdSimMailbox *mailbox, uint64_t address, size_t len_bytes)
{
    const struct {
        uint64_t address;
        uint8_t *bytes;
        size_t len_bytes;
    } areas[] = {
        {KD_SIM_MAILBOX_CONFIG_ADDRESS, mailbox->config, sizeof mailbox->config},
        {KD_SIM_MAILBOX_SEND_ADDRESS, mailbox->out, sizeof mailbox->out},
        {KD_SIM_MAILBOX_RECEIVE_ADDRESS, mailbox->in, sizeof mailbox->in},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(areas); i++) {
        uint64_t offset = address - areas[i].address;
        if (offset < areas[i].len_bytes && len_bytes <= areas[i].len_bytes - offset)
            return areas[i].bytes + offset;
    }
    return NULL;
}

/**
 * kd_sim_mailbox_read:
 * @bytes: (out caller-allocates):
 *
 * The host reads the target's memory.
 *
 * Returns: whether there is such memory
 */
gboolean
kd_sim_mailbox_read(KdSimMailbox *mailbox, uint64_t address, uint8_t *bytes, size_t len_bytes,
                    gint64 now_us)
{
    look(mailbox, now_us);
    const uint8_t *found = find(mailbox, address, len_bytes);
    if (found == NULL)
        return FALSE;
    mailbox->stat.reads++;
    memcpy(bytes, found, len_bytes);
    return TRUE;
}

/**
 * kd_sim_mailbox_write:
 *
 * The host writes into the target's memory.
 *
 * Returns: whether there is such memory
 */
gboolean
kd_sim_mailbox_write(KdSimMailbox *mailbox, uint64_t address, const uint8_t *bytes,
                     size_t len_bytes, gint64 now_us)
{
    uint8_t *found = find(mailbox, address, len_bytes);
    if (found == NULL)
        return FALSE;
    mailbox->stat.writes++;
    memcpy(found, bytes, len_bytes);
    look(mailbox, now_us);
    return TRUE;
}

/**
 * kd_sim_mailbox_build_directory:
 * @quadlets: (out caller-allocates): in the host's byte order: key in the top byte
 *
 * The entries of the root directory by which a debugger finds the target.
 */
void
kd_sim_mailbox_build_directory(const KdSimMailbox *mailbox G_GNUC_UNUSED,
                               uint32_t quadlets[static KD_SIM_MAILBOX_DIRECTORY])
{
    quadlets[0] = 0x0C0083C0; /* what the node can */
    quadlets[1] = 0x030050F2; /* its vendor */
    quadlets[2] = 0x1C0050F2;
    quadlets[3] = 0x1D000002;
    quadlets[4] = 0x1E000000 | KD_SIM_MAILBOX_CONFIG_ADDRESS;
}

/**
 * kd_sim_mailbox_get_deadline_us:
 *
 * Returns: when kd_sim_mailbox_tick() has to be called, for the machine's sake too; -1: never
 */
gint64
kd_sim_mailbox_get_deadline_us(const KdSimMailbox *mailbox)
{
    gint64 deadline_us = kd_sim_machine_get_deadline_us(mailbox->machine);
    if (mailbox->deadline_us >= 0 && (deadline_us < 0 || mailbox->deadline_us < deadline_us))
        deadline_us = mailbox->deadline_us;
    return deadline_us;
}

/**
 * kd_sim_mailbox_tick:
 *
 * Does what is due, of the machine too.
 */
void
kd_sim_mailbox_tick(KdSimMailbox *mailbox, gint64 now_us)
{
    if (mailbox->deadline_us >= 0 && now_us >= mailbox->deadline_us) {
        mailbox->deadline_us = -1;
        mailbox->is_sending = FALSE;
        kd_sim_put32(mailbox->out, KD_SIM_STATUS_SUCCESS);
        kd_sim_machine_sent(mailbox->machine, FALSE, now_us);
    }
    kd_sim_machine_tick(mailbox->machine, now_us);
    look(mailbox, now_us);
}

/**
 * kd_sim_mailbox_get_stat:
 *
 * Returns: (transfer none):
 */
const KdSimMailboxStat *
kd_sim_mailbox_get_stat(const KdSimMailbox *mailbox)
{
    return &mailbox->stat;
}

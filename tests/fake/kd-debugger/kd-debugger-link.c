/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger's side of the packets: ids, acknowledgements, repeats. */
#include "kd-debugger-link.h"

#include "kd-debugger-bytes.h"

#define SERIAL_FIRST_ID 0x80800000u
#define NET_FIRST_ID    0x80000000u
#define NET_ID_STEP     2u
/* A packet that is not acknowledged is repeated so often: for longer than a link layer on the way
 * takes to give it up, which begins anew with the next one then */
#define REPEAT_US (500 * 1000)
#define N_REPEATS 40u
/* Answers to RESEND do not wait, so they are counted, too */
#define N_SENDS 64u

/**
 * KdDebuggerLink:
 * @next_id: of our next packet, or of the one in flight
 * @expected_id: of the target's next packet
 * @arrived: packets that came while one of ours was in flight
 * @is_reset_open: we have sent a RESET, and the next one is its answer
 * @n_restarts: RESETs that were no answers, and new keys
 */
struct KdDebuggerLink {
    KdDebuggerCarrier *carrier;
    uint32_t next_id;
    uint32_t expected_id;
    GQueue arrived;
    gboolean is_reset_open;
    uint64_t n_restarts;
    KdDebuggerCounts counts;
};

static void
begin_anew(KdDebuggerLink *link)
{
    link->next_id = link->carrier->is_serial ? SERIAL_FIRST_ID : NET_FIRST_ID;
    link->expected_id = link->carrier->is_serial ? SERIAL_FIRST_ID : 0;
}

/**
 * kd_debugger_link_new:
 * @carrier: (transfer full): what carries the packets
 *
 * Returns: (transfer full): the link
 */
KdDebuggerLink *
kd_debugger_link_new(KdDebuggerCarrier *carrier)
{
    KdDebuggerLink *link = g_new0(KdDebuggerLink, 1);

    link->carrier = carrier;
    g_queue_init(&link->arrived);
    begin_anew(link);
    return link;
}

/**
 * kd_debugger_link_free:
 * @link: (transfer full): a link
 *
 * Closes it, without a word.
 */
void
kd_debugger_link_free(KdDebuggerLink *link)
{
    link->carrier->free(link->carrier);
    g_queue_clear_full(&link->arrived, g_free);
    g_free(link);
}

/**
 * kd_debugger_link_get_carrier:
 *
 * Returns: (transfer none): what carries the packets
 */
KdDebuggerCarrier *
kd_debugger_link_get_carrier(const KdDebuggerLink *link)
{
    return link->carrier;
}

/* ---- sending ---- */

static gboolean
send_packet(KdDebuggerLink *link, const KdDebuggerPacket *packet, GError **error)
{
    link->counts.n_sent++;
    return link->carrier->send(link->carrier, packet, error);
}

static gboolean
send_control(KdDebuggerLink *link, uint16_t type, uint32_t id, GError **error)
{
    KdDebuggerPacket packet = {.is_control = TRUE, .type = type, .id = id};

    return send_packet(link, &packet, error);
}

/* On KDNET a RESET says with which id its sender goes on. */
static gboolean
send_reset(KdDebuggerLink *link, GError **error)
{
    return send_control(link, KD_DEBUGGER_RESET, link->carrier->is_serial ? 0 : link->next_id,
                        error);
}

/**
 * kd_debugger_link_reset:
 *
 * Sends a RESET; the next one from the target is its answer.
 *
 * Returns: whether it could be sent
 */
gboolean
kd_debugger_link_reset(KdDebuggerLink *link, GError **error)
{
    link->is_reset_open = TRUE;
    return send_reset(link, error);
}

/**
 * kd_debugger_link_is_reset_open:
 *
 * Returns: whether our RESET was not answered yet
 */
gboolean
kd_debugger_link_is_reset_open(const KdDebuggerLink *link)
{
    return link->is_reset_open;
}

/**
 * kd_debugger_link_break_in:
 *
 * Sends one break-in.
 *
 * Returns: whether it could be sent
 */
gboolean
kd_debugger_link_break_in(KdDebuggerLink *link, GError **error)
{
    link->counts.n_break_ins++;
    return link->carrier->send_break_in(link->carrier, error);
}

/* ---- receiving ---- */

/* RESET: both begin anew; one that we did not ask for is answered. */
static gboolean
take_reset(KdDebuggerLink *link, const KdDebuggerPacket *packet, GError **error)
{
    gboolean is_answer = link->is_reset_open;

    link->counts.n_resets++;
    link->is_reset_open = FALSE;
    if (link->carrier->is_serial) {
        begin_anew(link);
    } else {
        link->expected_id = packet->id;
    }
    if (is_answer) {
        return TRUE;
    }
    link->n_restarts++;
    return send_reset(link, error);
}

/* Whether this is the packet that comes next; sets what comes then. */
static gboolean
take_id(KdDebuggerLink *link, const KdDebuggerPacket *packet)
{
    if (!link->carrier->is_serial) {
        if ((int32_t)(packet->id - link->expected_id) < 0) {
            return FALSE;
        }
        link->expected_id = packet->id + NET_ID_STEP;
        return TRUE;
    }
    if ((packet->id & KD_DEBUGGER_SYNC_BIT) != 0) {
        link->counts.n_syncs++;
        link->next_id = SERIAL_FIRST_ID;
        link->expected_id = (packet->id ^ 1u) & ~KD_DEBUGGER_SYNC_BIT;
        return TRUE;
    }
    if (packet->id != link->expected_id) {
        return FALSE;
    }
    link->expected_id ^= 1u;
    return TRUE;
}

/* Acknowledges what came, and says whether it is new. */
static gboolean
take_data(KdDebuggerLink *link, const KdDebuggerPacket *packet, gboolean *is_new, GError **error)
{
    uint32_t sync = link->carrier->is_serial ? KD_DEBUGGER_SYNC_BIT : 0;

    if (!send_control(link, KD_DEBUGGER_ACK, packet->id & ~sync, error)) {
        return FALSE;
    }
    *is_new = take_id(link, packet);
    link->counts.n_duplicates += !*is_new;
    return TRUE;
}

/* The next packet that is news, and what has to be said to it at once. NOTHING: the deadline;
 * DAMAGE is not returned. */
static KdDebuggerHeard
receive(KdDebuggerLink *link, gint64 deadline_us, KdDebuggerPacket *packet, GError **error)
{
    for (;;) {
        KdDebuggerHeard heard = link->carrier->receive(link->carrier, deadline_us, packet, error);
        gboolean is_new = TRUE;

        if (heard == KD_DEBUGGER_HEARD_DAMAGE) {
            link->counts.n_damaged++;
            if (!send_control(link, KD_DEBUGGER_RESEND, 0, error)) {
                return KD_DEBUGGER_HEARD_ERROR;
            }
            continue;
        }
        if (heard == KD_DEBUGGER_HEARD_RESTART) {
            link->n_restarts++;
            begin_anew(link);
        }
        if (heard != KD_DEBUGGER_HEARD_PACKET) {
            return heard;
        }
        link->counts.n_received++;
        if (packet->is_control && packet->type == KD_DEBUGGER_RESET
                ? !take_reset(link, packet, error)
                : !packet->is_control && !take_data(link, packet, &is_new, error)) {
            return KD_DEBUGGER_HEARD_ERROR;
        }
        link->counts.n_resends += packet->is_control && packet->type == KD_DEBUGGER_RESEND;
        if (is_new) {
            return heard;
        }
    }
}

/**
 * kd_debugger_link_next:
 * @deadline_us: of the monotonic clock
 * @packet: filled
 *
 * Waits for the next packet of the target's that carries something.
 *
 * Returns: KD_DEBUGGER_HEARD_PACKET, _NOTHING (nobody has said anything), _RESTART or _ERROR
 */
KdDebuggerHeard
kd_debugger_link_next(KdDebuggerLink *link, gint64 deadline_us, KdDebuggerPacket *packet,
                      GError **error)
{
    g_autofree KdDebuggerPacket *arrived = g_queue_pop_head(&link->arrived);
    KdDebuggerHeard heard;

    if (arrived != NULL) {
        *packet = *arrived;
        return KD_DEBUGGER_HEARD_PACKET;
    }
    do {
        heard = receive(link, deadline_us, packet, error);
    } while (heard == KD_DEBUGGER_HEARD_PACKET && packet->is_control &&
             packet->type != KD_DEBUGGER_RESET);
    return heard;
}

/* ---- one packet of ours ---- */

/* What became of the packet in flight by what was heard */
typedef enum {
    FLIGHT_GOES_ON,
    FLIGHT_AGAIN,
    FLIGHT_LANDED,
    FLIGHT_LEFT, /* it has landed, and both sides have begun anew since */
} Flight;

/* Whether the target runs on behind this packet, and so may speak of something else. */
static gboolean
lets_go(const KdDebuggerPacket *sent)
{
    uint32_t api = kd_debugger_get32(sent->payload);

    return sent->type != KD_DEBUGGER_MANIPULATE || api == KD_DEBUGGER_API_CONTINUE ||
           api == KD_DEBUGGER_API_CONTINUE2 || api == KD_DEBUGGER_API_REBOOT;
}

static Flight
judge(KdDebuggerLink *link, const KdDebuggerPacket *sent, const KdDebuggerPacket *packet)
{
    gboolean is_sync = link->carrier->is_serial && (packet->id & KD_DEBUGGER_SYNC_BIT) != 0;

    if (packet->is_control && packet->type == KD_DEBUGGER_ACK) {
        return packet->id == sent->id ? FLIGHT_LANDED : FLIGHT_GOES_ON;
    }
    if (packet->is_control && packet->type == KD_DEBUGGER_RESEND) {
        return FLIGHT_AGAIN;
    }
    if (packet->is_control) { /* a RESET drops what is in flight */
        return lets_go(sent) ? FLIGHT_LEFT : FLIGHT_AGAIN;
    }
    g_queue_push_tail(&link->arrived, g_memdup2(packet, sizeof *packet));
    if (is_sync) {
        return lets_go(sent) ? FLIGHT_LEFT
                             : (sent->id != link->next_id ? FLIGHT_AGAIN : FLIGHT_GOES_ON);
    }
    /* Its acknowledgement was lost: only so does the target come to say this. */
    return packet->type == KD_DEBUGGER_MANIPULATE || lets_go(sent) ? FLIGHT_LANDED : FLIGHT_GOES_ON;
}

/* Listens until the packet has to be sent again or has landed. */
static KdDebuggerHeard
await_flight(KdDebuggerLink *link, const KdDebuggerPacket *sent, Flight *flight, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + REPEAT_US;
    g_autofree KdDebuggerPacket *packet = g_new(KdDebuggerPacket, 1);
    KdDebuggerHeard heard;

    do {
        heard = receive(link, deadline_us, packet, error);
        *flight = heard == KD_DEBUGGER_HEARD_PACKET ? judge(link, sent, packet) : FLIGHT_AGAIN;
    } while (heard == KD_DEBUGGER_HEARD_PACKET && *flight == FLIGHT_GOES_ON);
    return heard;
}

static void
count_on(KdDebuggerLink *link)
{
    if (link->carrier->is_serial) {
        link->next_id ^= 1u;
    } else {
        link->next_id += NET_ID_STEP;
    }
}

/**
 * kd_debugger_link_post:
 * @type: of the packet
 * @payload: (array length=len_bytes): at most 4000 bytes
 *
 * Sends one packet, as often as it takes, up to forty repeats half a second apart.
 *
 * Returns: whether it was acknowledged; else %KD_DEBUGGER_ERROR_TIMEOUT, _END or _RESTART
 */
gboolean
kd_debugger_link_post(KdDebuggerLink *link, uint16_t type, const uint8_t *payload, size_t len_bytes,
                      GError **error)
{
    g_autofree KdDebuggerPacket *packet = g_new0(KdDebuggerPacket, 1);
    guint n_silences = 0;

    packet->type = type;
    packet->payload_bytes = len_bytes;
    memcpy(packet->payload, payload, len_bytes);
    for (guint n = 0; n < N_SENDS && n_silences <= N_REPEATS; n++) {
        Flight flight = FLIGHT_AGAIN;
        KdDebuggerHeard heard;

        packet->id = link->next_id;
        link->counts.n_repeats += n > 0;
        if (!send_packet(link, packet, error)) {
            return FALSE;
        }
        heard = await_flight(link, packet, &flight, error);
        if (heard == KD_DEBUGGER_HEARD_ERROR) {
            return FALSE;
        }
        if (heard == KD_DEBUGGER_HEARD_RESTART) {
            g_set_error_literal(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_RESTART,
                                "the target has begun anew");
            return FALSE;
        }
        if (flight == FLIGHT_LEFT) {
            return TRUE;
        }
        if (flight == FLIGHT_LANDED) {
            count_on(link);
            return TRUE;
        }
        n_silences += heard == KD_DEBUGGER_HEARD_NOTHING;
    }
    g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_TIMEOUT,
                "packet %08x was not acknowledged", packet->id);
    return FALSE;
}

/**
 * kd_debugger_link_throw:
 * @type: of the packet
 * @payload: (array length=len_bytes): at most 4000 bytes
 *
 * Sends one packet once and does not wait for what becomes of it: nothing else can be sent then.
 *
 * Returns: whether it was sent
 */
gboolean
kd_debugger_link_throw(KdDebuggerLink *link, uint16_t type, const uint8_t *payload,
                       size_t len_bytes, GError **error)
{
    g_autofree KdDebuggerPacket *packet = g_new0(KdDebuggerPacket, 1);

    packet->type = type;
    packet->id = link->next_id;
    packet->payload_bytes = len_bytes;
    memcpy(packet->payload, payload, len_bytes);
    return send_packet(link, packet, error);
}

/**
 * kd_debugger_link_get_counts:
 * @counts: filled, but for the debug strings
 *
 * Says what happened so far.
 */
void
kd_debugger_link_get_counts(const KdDebuggerLink *link, KdDebuggerCounts *counts)
{
    *counts = link->counts;
}

/**
 * kd_debugger_link_get_restarts:
 *
 * Returns: how often the target has begun anew by itself
 */
uint64_t
kd_debugger_link_get_restarts(const KdDebuggerLink *link)
{
    return link->n_restarts;
}

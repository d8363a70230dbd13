/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session protocol's states: which frame may come when, how long it may be, how long we wait.
 */
#include "kd-wire.h"

#include "kd-wire-table.h"

#include <inttypes.h>
#include <string.h>

#define N_ROLES  3 /* from 1 */
#define N_PHASES (KD_PHASE_CLOSED + 1)
#define N_TYPES  (KD_FRAME_FENCE + 1)

static const uint8_t ACTIONS[N_ROLES][N_PHASES][N_TYPES] = {
#define ACTION_CELL(role, phase, frame, action) \
    [KD_ROLE_##role][KD_PHASE_##phase][KD_FRAME_##frame] = KD_ACTION_##action,
    KD_WIRE_CELLS(ACTION_CELL)
#undef ACTION_CELL
};

/* 0 for the types that this version has no layout for */
static const uint8_t IS_KNOWN[N_TYPES] = {
#define KNOWN_CELL(frame, name, least, most) [KD_FRAME_##frame] = 1,
    KD_WIRE_FRAMES(KNOWN_CELL)
#undef KNOWN_CELL
};

static const uint32_t LEAST_BYTES[N_TYPES] = {
#define LEAST_CELL(frame, name, least, most) [KD_FRAME_##frame] = (least),
    KD_WIRE_FRAMES(LEAST_CELL)
#undef LEAST_CELL
};

static const uint32_t MOST_BYTES[N_TYPES] = {
#define MOST_CELL(frame, name, least, most) [KD_FRAME_##frame] = (most),
    KD_WIRE_FRAMES(MOST_CELL)
#undef MOST_CELL
};

static gboolean
is_known(uint8_t type)
{
    return type < N_TYPES && IS_KNOWN[type] != 0;
}

static gboolean
is_preauth(const KdWire *wire)
{
    return wire->phase < KD_PHASE_READY;
}

/**
 * kd_wire_init:
 * @role: ours
 *
 * Starts a connection: nothing heard, our window and DATA limit at what we offer by default. The
 * peer's are 0, so nothing may be sent, until the caller has set them from its HELLO.
 */
void
kd_wire_init(KdWire *wire, KdRole role)
{
    *wire = (KdWire){
        .role = role,
        .phase = KD_PHASE_PREAMBLE,
        .credit.window = KD_WINDOW_BYTES,
        .max_data_bytes = KD_MAX_DATA_BYTES,
    };
}

/**
 * kd_wire_advance:
 * @phase: the same or a later one
 *
 * Goes on to @phase, because of what was heard or sent.
 */
void
kd_wire_advance(KdWire *wire, KdPhase phase)
{
    g_return_if_fail(phase >= wire->phase && phase <= KD_PHASE_CLOSED);

    wire->phase = phase;
}

/**
 * kd_wire_get_action:
 * @role: of the receiver
 * @phase: of the receiver
 * @type: of the frame
 *
 * Returns: the cell of the table; %KD_ACTION_REFUSE for every type that this version does not know
 */
KdAction
kd_wire_get_action(KdRole role, KdPhase phase, uint8_t type)
{
    if ((role != KD_ROLE_CLIENT && role != KD_ROLE_SERVER) || (unsigned)phase >= N_PHASES ||
        type >= N_TYPES) {
        return KD_ACTION_REFUSE;
    }
    return (KdAction)ACTIONS[role][phase][type];
}

/**
 * kd_wire_get_limit:
 * @type: of the frame
 *
 * Returns: the longest payload that a frame of this type may have now
 */
uint32_t
kd_wire_get_limit(const KdWire *wire, uint8_t type)
{
    uint32_t limit = KD_MAX_CONTROL_BYTES;

    if (type == KD_FRAME_DATA) {
        limit = wire->max_data_bytes;
    } else if (is_known(type)) {
        limit = MOST_BYTES[type];
    }
    return is_preauth(wire) ? MIN(limit, KD_MAX_PREAUTH_BYTES) : limit;
}

/* The table, and what to do with types that are not in it. */
static KdAction
find_action(const KdWire *wire, const KdFrameHeader *header)
{
    gboolean can_skip = wire->phase > KD_PHASE_PREAMBLE && wire->phase < KD_PHASE_CLOSED;

    if (!is_known(header->type) && (header->flags & KD_FRAME_OPTIONAL) != 0 && can_skip) {
        return KD_ACTION_SKIP;
    }
    return kd_wire_get_action(wire->role, wire->phase, header->type);
}

static gboolean
check_fields(const KdWire *wire, const KdFrameHeader *header, GError **error)
{
    const char *name = kd_frame_get_name(header->type);
    uint32_t limit = kd_wire_get_limit(wire, header->type);
    uint8_t known_flags = KD_FRAME_OPTIONAL;

    if (header->type == KD_FRAME_DATA || !is_known(header->type)) {
        known_flags |= KD_FRAME_END;
    }
    if (header->channel != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "%s frame on channel %u, expected 0", name,
                    header->channel);
        return FALSE;
    }
    if ((header->flags & ~known_flags) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "%s frame with reserved flags 0x%02x", name,
                    header->flags);
        return FALSE;
    }
    if (header->length > limit) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                    "%s frame of %" PRIu32 " bytes in state %s, limit is %" PRIu32, name,
                    header->length, kd_phase_get_name(wire->phase), limit);
        return FALSE;
    }
    if (is_known(header->type) && header->length < LEAST_BYTES[header->type]) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                    "%s frame of %" PRIu32 " bytes, at least %" PRIu32 " are needed", name,
                    header->length, LEAST_BYTES[header->type]);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_preauth(const KdWire *wire, const KdFrameHeader *header, GError **error)
{
    /* The length is within its limit here, so the sum can't overflow. */
    if (wire->n_preauth_frames >= KD_MAX_PREAUTH_FRAMES) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "more than %u frames before authentication",
                    KD_MAX_PREAUTH_FRAMES);
        return FALSE;
    }
    if (wire->preauth_bytes + KD_HEADER_BYTES + header->length > KD_MAX_PREAUTH_TOTAL) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "more than %u bytes before authentication",
                    KD_MAX_PREAUTH_TOTAL);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_wire_receive:
 * @header: of the frame that comes next; its payload has not been looked at
 *
 * Checks a header against state, limits and credit, and counts it. The state itself is advanced by
 * the caller; only the end of the peer's direction is noted here. On an error nothing is changed
 * and the connection must be closed with kd_wire_get_close_code().
 *
 * Returns: what to do with the payload, or %KD_ACTION_REFUSE with %KD_ERROR_PROTOCOL
 */
KdAction
kd_wire_receive(KdWire *wire, const KdFrameHeader *header, GError **error)
{
    KdAction action = find_action(wire, header);
    KdCredit credit = wire->credit;

    if (action == KD_ACTION_REFUSE) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                    "%s frame (type %u) is not allowed in state %s",
                    kd_frame_get_name(header->type), header->type, kd_phase_get_name(wire->phase));
        return KD_ACTION_REFUSE;
    }
    if (!check_fields(wire, header, error)) {
        return KD_ACTION_REFUSE;
    }
    if (is_preauth(wire) && !check_preauth(wire, header, error)) {
        return KD_ACTION_REFUSE;
    }
    if (wire->is_fin_heard && (header->type == KD_FRAME_DATA || header->type == KD_FRAME_FIN)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "%s frame after FIN",
                    kd_frame_get_name(header->type));
        return KD_ACTION_REFUSE;
    }
    if (!kd_credit_take_ack(&credit, header->ack, error)) {
        return KD_ACTION_REFUSE;
    }
    if (header->type == KD_FRAME_DATA && !kd_credit_receive(&credit, header->length, error)) {
        return KD_ACTION_REFUSE;
    }

    wire->credit = credit;
    if (header->type == KD_FRAME_FIN) {
        wire->is_fin_heard = TRUE;
    }
    if (is_preauth(wire)) {
        wire->n_preauth_frames++;
        wire->preauth_bytes += KD_HEADER_BYTES + header->length;
    }
    return action;
}

/**
 * kd_wire_check_offset:
 * @type: of the frame that names the offset: FIN, CONTROL or EVENT
 * @offset: DATA bytes that the peer says it had sent before this frame
 *
 * Compares @offset with what was heard. Frames of one connection come in order, so the two differ
 * only if the peer counts wrongly; called before the next header goes to kd_wire_receive().
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL if they differ
 */
gboolean
kd_wire_check_offset(const KdWire *wire, uint8_t type, uint64_t offset, GError **error)
{
    if (offset == wire->credit.received) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL,
                "%s frame at offset %" PRIu64 " after %" PRIu64 " bytes", kd_frame_get_name(type),
                offset, wire->credit.received);
    return FALSE;
}

/* Codes of CLOSE for the errors of our own domain. */
static KdCloseCode
map_kd_error(const GError *error)
{
    switch (error->code) {
    case KD_ERROR_PROTOCOL:
        return strstr(error->message, "flow violation") != NULL ? KD_CLOSE_FLOW_VIOLATION
                                                                : KD_CLOSE_PROTOCOL_ERROR;
    case KD_ERROR_PARAM_UNKNOWN:
    case KD_ERROR_PARAM_MISSING:
    case KD_ERROR_PARAM_INVALID:
        return KD_CLOSE_BAD_REQUEST;
    case KD_ERROR_NOT_SUPPORTED:
        return KD_CLOSE_NOT_SUPPORTED;
    case KD_ERROR_BUSY:
        return KD_CLOSE_BUSY;
    case KD_ERROR_AUTH:
        return KD_CLOSE_AUTH_FAILED;
    case KD_ERROR_LINK_LOST:
        return KD_CLOSE_TARGET_LOST;
    case KD_ERROR_POLICY:
        return KD_CLOSE_DENIED;
    default:
        return KD_CLOSE_INTERNAL;
    }
}

/**
 * kd_wire_get_close_code:
 * @error: why the connection ends
 *
 * Returns: the code for the CLOSE that says so; %KD_CLOSE_INTERNAL where no other fits
 */
KdCloseCode
kd_wire_get_close_code(const GError *error)
{
    if (error->domain == KD_ERROR) {
        return map_kd_error(error);
    }
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
        return KD_CLOSE_TIMEOUT;
    }
    return KD_CLOSE_INTERNAL;
}

/**
 * kd_phase_get_deadline_ms:
 *
 * How long a connection may be in a state. The states before authentication share one deadline,
 * which runs from accept on; READY's and CLOSED's run from the moment the state is entered. A link
 * may take as long as it likes to open, and a stream to say something: there keepalive finds a dead
 * peer (PING after 5 s of silence, the connection ends after 15 s).
 *
 * Returns: milliseconds, or 0 for no deadline
 */
guint
kd_phase_get_deadline_ms(KdPhase phase)
{
    switch (phase) {
#define DEADLINE_CASE(name, deadline_ms) \
    case KD_PHASE_##name:                \
        return (deadline_ms);
        KD_WIRE_PHASES(DEADLINE_CASE)
#undef DEADLINE_CASE
    default:
        return 0;
    }
}

/**
 * kd_phase_get_name:
 *
 * Returns: the state's name as PROTOCOL.md spells it
 */
const char *
kd_phase_get_name(KdPhase phase)
{
    switch (phase) {
#define NAME_CASE(name, deadline_ms) \
    case KD_PHASE_##name:            \
        return #name;
        KD_WIRE_PHASES(NAME_CASE)
#undef NAME_CASE
    default:
        return "unknown";
    }
}

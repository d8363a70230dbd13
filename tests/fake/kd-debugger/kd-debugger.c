/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small debugger of the KD protocol for tests: what it says to a target that stands, and what it
 * hears from one that runs. */
#include "kd-debugger.h"

#include "kd-debugger-bytes.h"
#include "kd-debugger-link.h"

#include <string.h>

/* Of requests (DBGKD_MANIPULATE_STATE64) and what they carry */
#define REQUEST_BYTES     56u
#define STATUS_PENDING    0x103u
#define DBG_CONTINUE      0x00010002u
#define READ_MAX_BYTES    (KD_DEBUGGER_PAYLOAD_MAX_BYTES - REQUEST_BYTES)
#define WRITE_MAX_BYTES   1024u /* what fits in a datagram; over KDCOM nobody knows of that */
#define CONTEXT_MAX_BYTES 2048u

/* Of what the target asks for */
#define PRINT            0x3230u
#define GET_STRING       0x3231u
#define DEBUG_IO_BYTES   16u
#define FILE_IO_BYTES    64u
#define NO_SUCH_FILE     0xC000000Fu
#define STATE_BYTES      188u /* up to the exception's last member */
#define PRINTS_MAX_BYTES (16u * 1024 * 1024)
#define ANSWER_TO_STRING "kd-debugger"

#define PATIENCE_MS 30000u
/* For the answer to a RESET, and for the state change behind it */
#define RESET_ANSWER_US (1 * G_USEC_PER_SEC)
#define SHOW_US         (300 * 1000)
#define N_RESETS        2u
/* Of which a target that stands hears one at least */
#define N_RESETS_STANDING 5u
#define BREAK_IN_US       (2 * G_USEC_PER_SEC)

/**
 * KdDebugger:
 * @patience_ms: for one answer
 * @stop: the last state change, as it came
 * @is_asking: in kd_debugger_attach(): a target of KDNET that appears now is asked for its state
 * change at once, because a break-in would wait in one that stands
 * @stands: an answer has come to a question that was not ours
 * @prints: what the target has printed
 * @n_prints: how often
 * @read_max_bytes: what one request may ask for
 */
struct KdDebugger {
    KdDebuggerLink *link;
    guint patience_ms;
    GByteArray *stop;
    gboolean is_asking;
    gboolean stands;
    uint16_t processor;
    uint16_t processor_level;
    GString *prints;
    uint64_t n_prints;
    size_t read_max_bytes;
};

/**
 * kd_debugger_error_quark:
 *
 * Returns: the domain of #KdDebuggerError
 */
GQuark
kd_debugger_error_quark(void)
{
    return g_quark_from_static_string("kd-debugger-error-quark");
}

static KdDebugger *
new_over(KdDebuggerCarrier *carrier)
{
    KdDebugger *debugger = g_new0(KdDebugger, 1);

    debugger->link = kd_debugger_link_new(carrier);
    debugger->patience_ms = PATIENCE_MS;
    debugger->stop = g_byte_array_new();
    debugger->prints = g_string_new(NULL);
    debugger->read_max_bytes = READ_MAX_BYTES;
    return debugger;
}

/**
 * kd_debugger_new:
 * @in: (transfer full): to read KDCOM from: a socket, a raw terminal, a pipe
 * @out: (transfer full): to write it to; may be the same
 *
 * Returns: (transfer full): a debugger that has not said anything yet
 */
KdDebugger *
kd_debugger_new(int in, int out)
{
    return new_over(kd_debugger_carrier_new_serial(in, out));
}

/**
 * kd_debugger_new_net:
 * @port: UDP; 0: any that is free
 * @key: w.x.y.z
 *
 * Listens for a target of KDNET itself, with no server between.
 *
 * Returns: (transfer full): the debugger, or %NULL: the port is in use or the key is none
 */
KdDebugger *
kd_debugger_new_net(uint16_t port, const char *key, GError **error)
{
    KdDebuggerCarrier *carrier = kd_debugger_carrier_new_net(port, key, error);

    return carrier != NULL ? new_over(carrier) : NULL;
}

/**
 * kd_debugger_free:
 * @debugger: (nullable): a debugger
 *
 * Closes its link and tells the target nothing: a target that stands stays so.
 */
void
kd_debugger_free(KdDebugger *debugger)
{
    if (debugger == NULL) {
        return;
    }
    kd_debugger_link_free(debugger->link);
    g_byte_array_unref(debugger->stop);
    g_string_free(debugger->prints, TRUE);
    g_free(debugger);
}

/**
 * kd_debugger_set_patience_ms:
 * @patience_ms: how long to wait for an answer; 10 s without this call
 *
 * Acknowledgements have their own time: 500 ms, and forty repeats.
 */
void
kd_debugger_set_patience_ms(KdDebugger *debugger, guint patience_ms)
{
    debugger->patience_ms = patience_ms;
}

/**
 * kd_debugger_get_net_port:
 *
 * Returns: the UDP port of a debugger that speaks KDNET; 0: of another one
 */
uint16_t
kd_debugger_get_net_port(const KdDebugger *debugger)
{
    KdDebuggerCarrier *carrier = kd_debugger_link_get_carrier(debugger->link);

    return carrier->is_serial ? 0 : kd_debugger_carrier_get_net_port(carrier);
}

static gint64
get_deadline_us(guint timeout_ms)
{
    return g_get_monotonic_time() + (gint64)timeout_ms * 1000;
}

/* ---- what the target says by itself ---- */

static gboolean
answer_string(KdDebugger *debugger, const KdDebuggerPacket *packet, GError **error)
{
    uint8_t answer[DEBUG_IO_BYTES + sizeof ANSWER_TO_STRING] = {0};
    size_t len = MIN(strlen(ANSWER_TO_STRING), kd_debugger_get32(packet->payload + 12));

    memcpy(answer, packet->payload, 8);
    kd_debugger_put32(answer + 8, kd_debugger_get32(packet->payload + 8));
    kd_debugger_put32(answer + 12, (uint32_t)len);
    memcpy(answer + DEBUG_IO_BYTES, ANSWER_TO_STRING, len);
    return kd_debugger_link_post(debugger->link, KD_DEBUGGER_DEBUG_IO, answer, DEBUG_IO_BYTES + len,
                                 error);
}

static gboolean
take_debug_io(KdDebugger *debugger, const KdDebuggerPacket *packet, GError **error)
{
    uint32_t api = packet->payload_bytes >= DEBUG_IO_BYTES ? kd_debugger_get32(packet->payload) : 0;
    size_t len;

    if (api == GET_STRING) {
        return answer_string(debugger, packet, error);
    }
    if (api != PRINT) {
        return TRUE;
    }
    len = MIN(kd_debugger_get32(packet->payload + 8), packet->payload_bytes - DEBUG_IO_BYTES);
    debugger->n_prints++;
    if (debugger->prints->len + len <= PRINTS_MAX_BYTES) {
        g_string_append_len(debugger->prints, (const char *)packet->payload + DEBUG_IO_BYTES,
                            (gssize)len);
    }
    return TRUE;
}

/* No file is ever lent out. */
static gboolean
answer_file(KdDebugger *debugger, const KdDebuggerPacket *packet, GError **error)
{
    uint8_t answer[FILE_IO_BYTES] = {0};

    memcpy(answer, packet->payload, MIN(packet->payload_bytes, sizeof answer));
    kd_debugger_put32(answer + 4, NO_SUCH_FILE);
    return kd_debugger_link_post(debugger->link, KD_DEBUGGER_FILE_IO, answer, sizeof answer, error);
}

static gboolean
fill_stop(KdDebugger *debugger, const KdDebuggerPacket *packet, KdDebuggerStop *stop,
          GError **error)
{
    const uint8_t *at = packet->payload;

    if (packet->payload_bytes < STATE_BYTES) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_ANSWER,
                    "a state change of %zu bytes", packet->payload_bytes);
        return FALSE;
    }
    *stop = (KdDebuggerStop){
        .kind = kd_debugger_get32(at),
        .processor = kd_debugger_get16(at + 6),
        .n_processors = kd_debugger_get32(at + 8),
        .thread = kd_debugger_get64(at + 16),
        .pc = kd_debugger_get64(at + 24),
        .is_sync = (packet->id & KD_DEBUGGER_SYNC_BIT) != 0,
    };
    if (stop->kind == KD_DEBUGGER_STOP_EXCEPTION) {
        stop->code = kd_debugger_get32(at + 32);
        stop->address = kd_debugger_get64(at + 48);
        stop->is_first_chance = kd_debugger_get32(at + 184) != 0;
    }
    debugger->processor_level = kd_debugger_get16(at + 4);
    debugger->processor = stop->processor;
    g_byte_array_set_size(debugger->stop, 0);
    g_byte_array_append(debugger->stop, packet->payload, (guint)packet->payload_bytes);
    return TRUE;
}

/* What became of waiting */
typedef enum {
    WAIT_NOTHING,
    WAIT_STOP,
    WAIT_ERROR,
} Waited;

/* Listens to what a running target says. @is_reset_enough: a RESET ends that, too, as NOTHING. */
static Waited
await_stop(KdDebugger *debugger, gint64 deadline_us, gboolean is_reset_enough, KdDebuggerStop *stop,
           GError **error)
{
    g_autofree KdDebuggerPacket *packet = g_new(KdDebuggerPacket, 1);

    for (;;) {
        switch (kd_debugger_link_next(debugger->link, deadline_us, packet, error)) {
        case KD_DEBUGGER_HEARD_ERROR:
            return WAIT_ERROR;
        case KD_DEBUGGER_HEARD_NOTHING:
            return WAIT_NOTHING;
        case KD_DEBUGGER_HEARD_PACKET:
            break;
        default:
            if (debugger->is_asking && !kd_debugger_link_reset(debugger->link, error)) {
                return WAIT_ERROR;
            }
            continue;
        }
        if (packet->is_control && is_reset_enough) {
            return WAIT_NOTHING;
        }
        if (packet->is_control) {
            continue;
        }
        debugger->stands = debugger->stands || packet->type == KD_DEBUGGER_MANIPULATE;
        if (packet->type == KD_DEBUGGER_STATE_CHANGE) {
            return fill_stop(debugger, packet, stop, error) ? WAIT_STOP : WAIT_ERROR;
        }
        if ((packet->type == KD_DEBUGGER_DEBUG_IO && !take_debug_io(debugger, packet, error)) ||
            (packet->type == KD_DEBUGGER_FILE_IO && !answer_file(debugger, packet, error))) {
            return WAIT_ERROR;
        }
    }
}

/**
 * kd_debugger_wait:
 * @timeout_ms: how long
 * @stop: filled
 *
 * Listens to a target that runs until it stops; prints are collected, questions answered.
 *
 * Returns: whether it has stopped; else %KD_DEBUGGER_ERROR_TIMEOUT, or the link has failed
 */
gboolean
kd_debugger_wait(KdDebugger *debugger, guint timeout_ms, KdDebuggerStop *stop, GError **error)
{
    Waited waited = await_stop(debugger, get_deadline_us(timeout_ms), FALSE, stop, error);

    if (waited == WAIT_NOTHING) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_TIMEOUT,
                    "the target has not stopped within %u ms", timeout_ms);
    }
    return waited == WAIT_STOP;
}

/**
 * kd_debugger_settle:
 * @quiet_ms: so long nothing must be said
 *
 * Listens until the target is quiet. A state change counts as an error: %KD_DEBUGGER_ERROR_RESTART.
 *
 * Returns: whether it was nothing but prints and questions
 */
gboolean
kd_debugger_settle(KdDebugger *debugger, guint quiet_ms, GError **error)
{
    KdDebuggerStop stop;
    uint64_t n_before;

    do {
        Waited waited;

        n_before = debugger->n_prints;
        waited = await_stop(debugger, get_deadline_us(quiet_ms), FALSE, &stop, error);
        if (waited == WAIT_STOP) {
            g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_RESTART,
                        "the target has stopped at %" G_GINT64_MODIFIER "x", stop.pc);
        }
        if (waited != WAIT_NOTHING) {
            return FALSE;
        }
    } while (debugger->n_prints != n_before);
    return TRUE;
}

/* ---- getting hold of it ---- */

/* Behind a RESET: its answer, and the state change of a target that stands, once more behind that.
 * A break-in before they have come would stop the target twice. */
static Waited
await_reset(KdDebugger *debugger, gint64 answer_us, KdDebuggerStop *stop, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + answer_us;
    Waited last = WAIT_NOTHING;

    for (;;) {
        gboolean was_open = kd_debugger_link_is_reset_open(debugger->link);
        Waited waited =
            await_stop(debugger, was_open ? deadline_us : g_get_monotonic_time() + SHOW_US,
                       was_open, stop, error);

        if (waited == WAIT_ERROR) {
            return waited;
        }
        last = waited == WAIT_STOP ? waited : last;
        if (!was_open || (waited == WAIT_NOTHING && g_get_monotonic_time() >= deadline_us)) {
            return last;
        }
    }
}

/* One RESET may get lost, and a target that runs hears none. One that stands has shown what it had
 * to say yet, which may be the answer to somebody who has gone. */
static Waited
ask_by_reset(KdDebugger *debugger, KdDebuggerStop *stop, GError **error)
{
    Waited waited = WAIT_NOTHING;

    debugger->stands = FALSE;
    for (guint i = 0, n = N_RESETS; i < n && waited == WAIT_NOTHING; i++) {
        waited = kd_debugger_link_reset(debugger->link, error)
                     ? await_reset(debugger, RESET_ANSWER_US, stop, error)
                     : WAIT_ERROR;
        if (debugger->stands) {
            n = N_RESETS_STANDING;
        } else if (!kd_debugger_link_is_reset_open(debugger->link)) {
            break;
        }
    }
    return waited;
}

static Waited
ask_by_break_in(KdDebugger *debugger, gint64 deadline_us, KdDebuggerStop *stop, GError **error)
{
    if (!kd_debugger_link_break_in(debugger->link, error)) {
        return WAIT_ERROR;
    }
    return await_stop(debugger, MIN(deadline_us, g_get_monotonic_time() + BREAK_IN_US), FALSE, stop,
                      error);
}

/* A target that stands has shown itself, but our RESET may have been lost or come later: without it
 * or a sync bit nobody knows where the other one counts. */
static gboolean
agree_on_ids(KdDebugger *debugger, KdDebuggerStop *stop, GError **error)
{
    Waited waited = WAIT_NOTHING;

    if (kd_debugger_link_is_reset_open(debugger->link)) {
        waited = await_reset(debugger, SHOW_US, stop, error);
    }
    if (waited != WAIT_ERROR && !stop->is_sync && kd_debugger_link_is_reset_open(debugger->link)) {
        waited = ask_by_reset(debugger, stop, error);
    }
    return waited != WAIT_ERROR;
}

static gboolean
fail_attach(KdDebugger *debugger, GError **error)
{
    g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_TIMEOUT,
                "the target has not stopped within %u ms", debugger->patience_ms);
    return FALSE;
}

/**
 * kd_debugger_attach:
 * @manner: how to make itself known
 * @stop: filled
 *
 * Gets hold of the target, running or not.
 *
 * Returns: whether it stands; else %KD_DEBUGGER_ERROR_TIMEOUT, or the link has failed
 */
gboolean
kd_debugger_attach(KdDebugger *debugger, KdDebuggerManner manner, KdDebuggerStop *stop,
                   GError **error)
{
    gint64 deadline_us = get_deadline_us(debugger->patience_ms);
    gboolean is_reset = manner == KD_DEBUGGER_ATTACH_ASKS;
    Waited waited = WAIT_NOTHING;

    if (manner == KD_DEBUGGER_ATTACH_LISTENS) {
        return kd_debugger_wait(debugger, debugger->patience_ms, stop, error);
    }
    debugger->is_asking = is_reset;
    while (waited == WAIT_NOTHING && g_get_monotonic_time() < deadline_us) {
        waited = is_reset ? ask_by_reset(debugger, stop, error)
                          : ask_by_break_in(debugger, deadline_us, stop, error);
        is_reset = !is_reset;
    }
    if (waited == WAIT_STOP && !agree_on_ids(debugger, stop, error)) {
        waited = WAIT_ERROR;
    }
    debugger->is_asking = FALSE;
    return waited == WAIT_NOTHING ? fail_attach(debugger, error) : waited == WAIT_STOP;
}

/**
 * kd_debugger_break_in:
 * @stop: filled
 *
 * Stops a target that runs; asks again every other second.
 *
 * Returns: whether it stands; else %KD_DEBUGGER_ERROR_TIMEOUT, or the link has failed
 */
gboolean
kd_debugger_break_in(KdDebugger *debugger, KdDebuggerStop *stop, GError **error)
{
    gint64 deadline_us = get_deadline_us(debugger->patience_ms);
    Waited waited = WAIT_NOTHING;

    while (waited == WAIT_NOTHING && g_get_monotonic_time() < deadline_us) {
        waited = ask_by_break_in(debugger, deadline_us, stop, error);
    }
    return waited == WAIT_NOTHING ? fail_attach(debugger, error) : waited == WAIT_STOP;
}

/**
 * kd_debugger_send_break_in:
 *
 * Sends one break-in and does not wait for what comes of it.
 *
 * Returns: whether it was sent
 */
gboolean
kd_debugger_send_break_in(KdDebugger *debugger, GError **error)
{
    return kd_debugger_link_break_in(debugger->link, error);
}

/**
 * kd_debugger_send_reset:
 *
 * Sends one RESET and does not wait for what comes of it.
 *
 * Returns: whether it was sent
 */
gboolean
kd_debugger_send_reset(KdDebugger *debugger, GError **error)
{
    return kd_debugger_link_reset(debugger->link, error);
}

/* ---- requests ---- */

static void
begin_request(KdDebugger *debugger, uint32_t api, uint8_t request[static REQUEST_BYTES])
{
    memset(request, 0, REQUEST_BYTES);
    kd_debugger_put32(request, api);
    kd_debugger_put16(request + 4, debugger->processor_level);
    kd_debugger_put16(request + 6, debugger->processor);
    kd_debugger_put32(request + 8, STATUS_PENDING);
}

/* A state change instead of an answer: the same one shown anew (behind a RESET of ours) is none. */
static gboolean
is_shown_anew(const KdDebugger *debugger, const KdDebuggerPacket *packet)
{
    return packet->payload_bytes == debugger->stop->len &&
           memcmp(packet->payload, debugger->stop->data, packet->payload_bytes) == 0;
}

static gboolean
fail_restart(GError **error)
{
    g_set_error_literal(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_RESTART,
                        "the target has begun anew instead of an answer");
    return FALSE;
}

static gboolean
await_answer(KdDebugger *debugger, uint32_t api, KdDebuggerPacket *packet, GError **error)
{
    gint64 deadline_us = get_deadline_us(debugger->patience_ms);
    uint64_t n_restarts = kd_debugger_link_get_restarts(debugger->link);

    for (;;) {
        KdDebuggerHeard heard = kd_debugger_link_next(debugger->link, deadline_us, packet, error);

        if (heard == KD_DEBUGGER_HEARD_ERROR) {
            return FALSE;
        }
        if (heard == KD_DEBUGGER_HEARD_NOTHING) {
            g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_TIMEOUT,
                        "request %04x was not answered within %u ms", api, debugger->patience_ms);
            return FALSE;
        }
        if (kd_debugger_link_get_restarts(debugger->link) != n_restarts ||
            (!packet->is_control && packet->type == KD_DEBUGGER_STATE_CHANGE &&
             !is_shown_anew(debugger, packet))) {
            return fail_restart(error);
        }
        if (!packet->is_control && packet->type == KD_DEBUGGER_DEBUG_IO &&
            !take_debug_io(debugger, packet, error)) {
            return FALSE;
        }
        if (!packet->is_control && packet->type == KD_DEBUGGER_MANIPULATE &&
            packet->payload_bytes >= REQUEST_BYTES && kd_debugger_get32(packet->payload) == api) {
            return TRUE;
        }
    }
}

/* Asks and waits for the answer; @answer is filled. */
static gboolean
ask(KdDebugger *debugger, const uint8_t *request, size_t len_bytes, KdDebuggerPacket *answer,
    GError **error)
{
    uint32_t api = kd_debugger_get32(request);
    uint32_t status;

    if (!kd_debugger_link_post(debugger->link, KD_DEBUGGER_MANIPULATE, request, len_bytes, error) ||
        !await_answer(debugger, api, answer, error)) {
        return FALSE;
    }
    status = kd_debugger_get32(answer->payload + 8);
    if (status != 0) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_STATUS, "request %04x: status %08x",
                    api, status);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_debugger_get_version:
 * @version: filled
 *
 * Returns: whether the target has said what it is
 */
gboolean
kd_debugger_get_version(KdDebugger *debugger, KdDebuggerVersion *version, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES];
    const uint8_t *at = answer->payload;

    begin_request(debugger, KD_DEBUGGER_API_VERSION, request);
    if (!ask(debugger, request, sizeof request, answer, error)) {
        return FALSE;
    }
    *version = (KdDebuggerVersion){
        .major = kd_debugger_get16(at + 16),
        .minor = kd_debugger_get16(at + 18),
        .protocol = at[20],
        .flags = kd_debugger_get16(at + 22),
        .machine = kd_debugger_get16(at + 24),
        .kernel_base = kd_debugger_get64(at + 32),
        .module_list = kd_debugger_get64(at + 40),
        .debugger_data = kd_debugger_get64(at + 48),
    };
    return TRUE;
}

static void
fill_read(KdDebugger *debugger, uint64_t address, size_t len_bytes,
          uint8_t request[static REQUEST_BYTES])
{
    begin_request(debugger, KD_DEBUGGER_API_READ, request);
    kd_debugger_put64(request + 16, address);
    kd_debugger_put32(request + 24, (uint32_t)len_bytes);
}

/**
 * kd_debugger_send_read:
 * @len_bytes: at most 3944
 *
 * Asks for memory and does not wait for it: for a debugger that goes away in the middle. It can do
 * nothing else afterwards.
 *
 * Returns: whether it was sent
 */
gboolean
kd_debugger_send_read(KdDebugger *debugger, uint64_t address, size_t len_bytes, GError **error)
{
    uint8_t request[REQUEST_BYTES];

    fill_read(debugger, address, len_bytes, request);
    return kd_debugger_link_throw(debugger->link, KD_DEBUGGER_MANIPULATE, request, sizeof request,
                                  error);
}

/**
 * kd_debugger_read_once:
 * @bytes: (array length=len_bytes): filled
 * @len_bytes: at most 3944
 * @n_read: how many the target has given: a link may carry fewer at once
 *
 * One request for virtual memory.
 *
 * Returns: whether it was answered with a byte at least
 */
gboolean
kd_debugger_read_once(KdDebugger *debugger, uint64_t address, void *bytes, size_t len_bytes,
                      size_t *n_read, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES];
    size_t n;

    fill_read(debugger, address, len_bytes, request);
    if (!ask(debugger, request, sizeof request, answer, error)) {
        return FALSE;
    }
    n = kd_debugger_get32(answer->payload + 28);
    if (n == 0 || n > len_bytes || n > answer->payload_bytes - REQUEST_BYTES ||
        kd_debugger_get64(answer->payload + 16) != address) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_ANSWER,
                    "%zu bytes of %" G_GINT64_MODIFIER
                    "x were asked for, %zu of %" G_GINT64_MODIFIER "x have come",
                    len_bytes, address, n, kd_debugger_get64(answer->payload + 16));
        return FALSE;
    }
    memcpy(bytes, answer->payload + REQUEST_BYTES, n);
    *n_read = n;
    return TRUE;
}

/**
 * kd_debugger_read:
 * @bytes: (array length=len_bytes): filled
 *
 * Reads virtual memory, with as many requests as that takes.
 *
 * Returns: whether all was read
 */
gboolean
kd_debugger_read(KdDebugger *debugger, uint64_t address, void *bytes, size_t len_bytes,
                 GError **error)
{
    for (size_t at = 0; at < len_bytes;) {
        size_t len = MIN(len_bytes - at, debugger->read_max_bytes);
        size_t n = 0;

        if (!kd_debugger_read_once(debugger, address + at, (uint8_t *)bytes + at, len, &n, error)) {
            return FALSE;
        }
        at += n;
    }
    return TRUE;
}

static gboolean
write_once(KdDebugger *debugger, uint64_t address, const uint8_t *bytes, size_t len_bytes,
           size_t *n_written, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES + WRITE_MAX_BYTES];

    begin_request(debugger, KD_DEBUGGER_API_WRITE, request);
    kd_debugger_put64(request + 16, address);
    kd_debugger_put32(request + 24, (uint32_t)len_bytes);
    memcpy(request + REQUEST_BYTES, bytes, len_bytes);
    if (!ask(debugger, request, REQUEST_BYTES + len_bytes, answer, error)) {
        return FALSE;
    }
    *n_written = kd_debugger_get32(answer->payload + 28);
    if (*n_written == 0 || *n_written > len_bytes) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_ANSWER,
                    "%zu bytes of %zu were written", *n_written, len_bytes);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_debugger_write:
 * @bytes: (array length=len_bytes): for the target
 *
 * Writes virtual memory, with as many requests as that takes.
 *
 * Returns: whether all was written
 */
gboolean
kd_debugger_write(KdDebugger *debugger, uint64_t address, const void *bytes, size_t len_bytes,
                  GError **error)
{
    for (size_t at = 0; at < len_bytes;) {
        size_t n = 0;

        if (!write_once(debugger, address + at, (const uint8_t *)bytes + at,
                        MIN(len_bytes - at, WRITE_MAX_BYTES), &n, error)) {
            return FALSE;
        }
        at += n;
    }
    return TRUE;
}

/**
 * kd_debugger_get_context:
 *
 * Returns: (transfer full): the registers of the processor that has stopped, as the target has them
 */
GBytes *
kd_debugger_get_context(KdDebugger *debugger, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES];

    begin_request(debugger, KD_DEBUGGER_API_GET_CONTEXT, request);
    if (!ask(debugger, request, sizeof request, answer, error)) {
        return NULL;
    }
    return g_bytes_new(answer->payload + REQUEST_BYTES, answer->payload_bytes - REQUEST_BYTES);
}

/**
 * kd_debugger_set_context:
 * @context: as kd_debugger_get_context() had it, or changed
 *
 * Returns: whether the target has taken it
 */
gboolean
kd_debugger_set_context(KdDebugger *debugger, GBytes *context, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES + CONTEXT_MAX_BYTES];
    gsize len = 0;
    const void *bytes = g_bytes_get_data(context, &len);

    if (len > CONTEXT_MAX_BYTES) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_ARGUMENT,
                    "a context of %" G_GSIZE_FORMAT " bytes", len);
        return FALSE;
    }
    begin_request(debugger, KD_DEBUGGER_API_SET_CONTEXT, request);
    kd_debugger_put32(request + 16, len >= 0x34 ? kd_debugger_get32((const uint8_t *)bytes + 0x30)
                                                : 0); /* ContextFlags of AMD64 */
    memcpy(request + REQUEST_BYTES, bytes, len);
    return ask(debugger, request, REQUEST_BYTES + len, answer, error);
}

/**
 * kd_debugger_set_breakpoint:
 * @number: filled: for kd_debugger_clear_breakpoint()
 *
 * Returns: whether the target has one there now
 */
gboolean
kd_debugger_set_breakpoint(KdDebugger *debugger, uint64_t address, uint32_t *number, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES];

    begin_request(debugger, KD_DEBUGGER_API_SET_BREAKPOINT, request);
    kd_debugger_put64(request + 16, address);
    if (!ask(debugger, request, sizeof request, answer, error)) {
        return FALSE;
    }
    *number = kd_debugger_get32(answer->payload + 24);
    return TRUE;
}

/**
 * kd_debugger_clear_breakpoint:
 * @number: of a breakpoint
 *
 * Returns: whether the target has put the instruction back
 */
gboolean
kd_debugger_clear_breakpoint(KdDebugger *debugger, uint32_t number, GError **error)
{
    g_autofree KdDebuggerPacket *answer = g_new(KdDebuggerPacket, 1);
    uint8_t request[REQUEST_BYTES];

    begin_request(debugger, KD_DEBUGGER_API_CLEAR_BREAKPOINT, request);
    kd_debugger_put32(request + 16, number);
    return ask(debugger, request, sizeof request, answer, error);
}

/**
 * kd_debugger_continue:
 *
 * Lets the target run. It acknowledges that, and does not answer.
 *
 * Returns: whether it was acknowledged
 */
gboolean
kd_debugger_continue(KdDebugger *debugger, GError **error)
{
    uint8_t request[REQUEST_BYTES];

    begin_request(debugger, KD_DEBUGGER_API_CONTINUE2, request);
    kd_debugger_put32(request + 16, DBG_CONTINUE);
    return kd_debugger_link_post(debugger->link, KD_DEBUGGER_MANIPULATE, request, sizeof request,
                                 error);
}

/**
 * kd_debugger_reboot:
 *
 * Lets the target start anew; kd_debugger_wait() tells when it has. A target that does so at once
 * cannot repeat an acknowledgement that was lost, so that one is not insisted on.
 *
 * Returns: whether it was sent
 */
gboolean
kd_debugger_reboot(KdDebugger *debugger, GError **error)
{
    uint8_t request[REQUEST_BYTES];
    g_autoptr(GError) lost = NULL;

    begin_request(debugger, KD_DEBUGGER_API_REBOOT, request);
    if (kd_debugger_link_post(debugger->link, KD_DEBUGGER_MANIPULATE, request, sizeof request,
                              &lost) ||
        g_error_matches(lost, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_TIMEOUT)) {
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&lost));
    return FALSE;
}

/* ---- what came of it ---- */

/**
 * kd_debugger_get_prints:
 *
 * Returns: (transfer none): what the target has printed, until the next call with this debugger
 */
const char *
kd_debugger_get_prints(const KdDebugger *debugger)
{
    return debugger->prints->str;
}

/**
 * kd_debugger_clear_prints:
 *
 * Forgets what the target has printed; the count stays.
 */
void
kd_debugger_clear_prints(KdDebugger *debugger)
{
    g_string_truncate(debugger->prints, 0);
}

/**
 * kd_debugger_get_counts:
 * @counts: filled
 *
 * Says what happened so far.
 */
void
kd_debugger_get_counts(const KdDebugger *debugger, KdDebuggerCounts *counts)
{
    kd_debugger_link_get_counts(debugger->link, counts);
    counts->n_prints = debugger->n_prints;
}

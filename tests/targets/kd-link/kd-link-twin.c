/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target at the far end of a bad line, small and in simulated time: a state change, requests that
 * are answered, texts, and again. */
#include "kd-link-twin.h"

#include "kd-le.h"

#include <string.h>

#define MS         G_TIME_SPAN_MILLISECOND
#define TRAVEL_US  (1 * MS)
#define REPEAT_US  (300 * MS)
#define POLL_US    (2 * MS)
#define REQUEST    KD_PACKET_STATE_MANIPULATE
#define API_READ   0x3130u
#define API_RESUME 0x3136u

/* On its way, to either side */
typedef struct {
    gint64 arrival_us;
    gboolean is_to_layer;
    guint64 number; /* of a datagram */
    GBytes *bytes;
} Travelling;

struct KdLinkTwin {
    KdDialect dialect;
    KdLinkTwinFaults faults;
    GRand *rand;
    KdLinkTwinGive give;
    KdLinkTwinReady ready;
    void *user;
    GQueue line; /* (element-type Travelling): by arrival */

    uint32_t next_id;     /* of ours */
    uint32_t expected_id; /* of the layer's */
    GQueue to_say;        /* (element-type GBytes): packets without an id; the first is pending */
    gboolean is_waiting;  /* for the ACK of the first */
    gint64 repeat_us;

    guint64 n_sent;
    guint64 heard_number; /* the highest that was heard */
    guint32 n_requests;   /* that were carried out */
    guint32 n_events;
    guint32 n_texts;
    GBytes *mailbox; /* what the layer has put there */
    gint64 poll_us;
};

/* ---- payloads ---- */

static size_t
build(uint32_t api, guint32 n, size_t len_bytes, uint8_t *payload)
{
    guint32 state = n * 2654435761u + api;

    for (size_t i = 0; i < len_bytes; i++) {
        state = state * 1664525u + 1013904223u;
        payload[i] = (uint8_t)(state >> 24);
    }
    kd_le_store32(payload, api);
    kd_le_store32(payload + 16, n);
    return len_bytes;
}

size_t
kd_link_twin_build_request(guint32 n, uint8_t *payload)
{
    return build(API_READ, n, 56, payload);
}

size_t
kd_link_twin_build_continue(guint32 n, uint8_t *payload)
{
    return build(API_RESUME, n, 56, payload);
}

size_t
kd_link_twin_build_reply(guint32 n, uint8_t *payload)
{
    uint8_t request[KD_PACKET_PAYLOAD_MAX_BYTES];
    size_t len_bytes = build(API_READ, n + 0x1000000, 56 + n * 37 % 1024, payload);

    /* address and length, as Windows repeats them */
    kd_link_twin_build_request(n, request);
    memcpy(payload + 16, request + 16, 12);
    return len_bytes;
}

size_t
kd_link_twin_build_text(guint32 n, uint8_t *payload)
{
    return build(0x3230, n, 20 + n % 5, payload);
}

size_t
kd_link_twin_build_event(guint32 n, uint8_t *payload)
{
    return build(0x3030, n, 240, payload);
}

/* ---- the line ---- */

static gint
compare(gconstpointer a, gconstpointer b, gpointer unused)
{
    gint64 difference = ((const Travelling *)a)->arrival_us - ((const Travelling *)b)->arrival_us;

    (void)unused;
    return difference <= 0 ? -1 : 1; /* of two that arrive at once the first is first */
}

static gboolean
happens(KdLinkTwin *twin, int per_thousand)
{
    return g_rand_int_range(twin->rand, 0, 1000) < per_thousand;
}

/* Payloads are damaged only: a header is protected by nothing but the carrier. Returns: (nullable)
 */
static GBytes *
damage(KdLinkTwin *twin, const uint8_t *bytes, size_t len_bytes)
{
    g_autoptr(GByteArray) copy = g_byte_array_new();

    if (!happens(twin, twin->faults.corruption))
        return g_bytes_new(bytes, len_bytes);
    if (len_bytes <= KD_PACKET_HEADER_BYTES || twin->dialect == KD_DIALECT_NET)
        return NULL; /* no such datagram would be authentic */
    g_byte_array_append(copy, bytes, (guint)len_bytes);
    copy->data[g_rand_int_range(twin->rand, KD_PACKET_HEADER_BYTES, (gint32)len_bytes)] ^= 0x10;
    return g_byte_array_free_to_bytes(g_steal_pointer(&copy));
}

static void
put(KdLinkTwin *twin, gboolean is_to_layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    guint64 number = ++twin->n_sent;
    int n = happens(twin, twin->faults.loss) ? 0 : 1 + happens(twin, twin->faults.duplicates);

    for (int i = 0; i < n; i++) {
        /* What is in a mailbox is whole. */
        GBytes *copy = twin->dialect == KD_DIALECT_1394 ? g_bytes_new(bytes, len_bytes)
                                                        : damage(twin, bytes, len_bytes);
        if (copy == NULL)
            continue;
        Travelling *travelling = g_new0(Travelling, 1);
        travelling->arrival_us = now_us + TRAVEL_US;
        if (twin->faults.reorder_ms > 0)
            travelling->arrival_us += g_rand_int_range(twin->rand, 0, twin->faults.reorder_ms) * MS;
        travelling->is_to_layer = is_to_layer;
        travelling->number = number;
        travelling->bytes = copy;
        g_queue_insert_sorted(&twin->line, travelling, compare, NULL);
    }
}

static void
put_packet(KdLinkTwin *twin, const KdPacket *packet, gint64 now_us)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];

    put(twin, TRUE, bytes, kd_packet_build(twin->dialect, packet, bytes), now_us);
}

static void
put_control(KdLinkTwin *twin, uint16_t type, uint32_t id, gint64 now_us)
{
    KdPacket packet = {.is_control = TRUE, .type = type, .id = id};

    put_packet(twin, &packet, now_us);
}

/* ---- what it says ---- */

static void
say(KdLinkTwin *twin, uint16_t type, size_t (*builder)(guint32 n, uint8_t *payload), guint32 n)
{
    uint8_t payload[KD_PACKET_PAYLOAD_MAX_BYTES + 2];

    kd_le_store16(payload, type);
    g_queue_push_tail(&twin->to_say, g_bytes_new(payload, 2 + builder(n, payload + 2)));
}

static void
say_first(KdLinkTwin *twin, gint64 now_us)
{
    size_t n = 0;
    const uint8_t *bytes = NULL;

    if (g_queue_is_empty(&twin->to_say))
        return;
    bytes = g_bytes_get_data(g_queue_peek_head(&twin->to_say), &n);
    KdPacket packet = {.type = kd_le_load16(bytes),
                       .id = twin->next_id,
                       .payload = bytes + 2,
                       .payload_bytes = n - 2};
    put_packet(twin, &packet, now_us);
    twin->is_waiting = TRUE;
    twin->repeat_us = now_us + REPEAT_US;
}

static void
end_first(KdLinkTwin *twin)
{
    g_bytes_unref(g_queue_pop_head(&twin->to_say));
    twin->is_waiting = FALSE;
    if (twin->dialect == KD_DIALECT_USB)
        twin->next_id = (twin->next_id & ~KD_PACKET_SYNC_ID) ^ 1;
    else
        twin->next_id += twin->dialect == KD_DIALECT_NET ? 2 : 1;
}

/* ---- what it hears ---- */

static void
carry_out(KdLinkTwin *twin, const KdPacket *packet)
{
    uint8_t expected[KD_PACKET_PAYLOAD_MAX_BYTES];
    gboolean is_resume = kd_le_load32(packet->payload) == API_RESUME;
    size_t n = is_resume ? kd_link_twin_build_continue(twin->n_events, expected)
                         : kd_link_twin_build_request(twin->n_requests, expected);

    /* What does no harm may come twice. */
    if (!is_resume && twin->n_requests > 0 &&
        kd_le_load32(packet->payload + 16) == twin->n_requests - 1) {
        say(twin, REQUEST, kd_link_twin_build_reply, twin->n_requests - 1);
        return;
    }
    /* Each request in order, and whole. */
    g_assert_cmpmem(packet->payload, (int)packet->payload_bytes, expected, (int)n);
    if (!is_resume) {
        say(twin, REQUEST, kd_link_twin_build_reply, twin->n_requests++);
        return;
    }
    for (guint i = 0; i < TWIN_TEXTS; i++)
        say(twin, KD_PACKET_DEBUG_IO, kd_link_twin_build_text, twin->n_texts++);
    say(twin, KD_PACKET_STATE_CHANGE64, kd_link_twin_build_event, ++twin->n_events);
}

/* What it says while it runs would be lost for good, and nobody could help that. */
static gboolean
is_waiting_for_reply(const KdLinkTwin *twin)
{
    return twin->is_waiting && twin->dialect != KD_DIALECT_1394 &&
           kd_le_load16(g_bytes_get_data(g_queue_peek_head((GQueue *)&twin->to_say), NULL)) ==
               REQUEST;
}

static void
hear_data(KdLinkTwin *twin, const KdPacket *packet, gint64 now_us)
{
    gboolean is_new = packet->id == twin->expected_id || twin->dialect == KD_DIALECT_1394;

    if (twin->faults.is_strict && is_waiting_for_reply(twin)) {
        put_control(twin, KD_PACKET_RESEND, 0, now_us);
        end_first(twin);
        return;
    }
    if (!is_new && twin->dialect == KD_DIALECT_NET && packet->id > twin->expected_id) {
        put_control(twin, KD_PACKET_RESEND, 0, now_us);
        return;
    }
    if (twin->dialect != KD_DIALECT_1394)
        put_control(twin, KD_PACKET_ACK, packet->id, now_us);
    if (!is_new)
        return;
    if (twin->dialect == KD_DIALECT_USB)
        twin->expected_id ^= 1;
    else
        twin->expected_id += 2;
    if (twin->is_waiting && twin->dialect != KD_DIALECT_1394)
        end_first(twin); /* who goes on has got it */
    carry_out(twin, packet);
}

static void
hear(KdLinkTwin *twin, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    KdPacket packet;

    g_assert_cmpuint(len_bytes, >, 1); /* nobody breaks in */
    if (!kd_packet_parse(twin->dialect, bytes, len_bytes, &packet, NULL)) {
        put_control(twin, KD_PACKET_RESEND, 0, now_us);
    } else if (!packet.is_control) {
        hear_data(twin, &packet, now_us);
    } else if (packet.type == KD_PACKET_RESEND && twin->is_waiting) {
        say_first(twin, now_us);
    } else if (packet.type == KD_PACKET_ACK && twin->is_waiting && packet.id == twin->next_id) {
        end_first(twin);
    }
    if (!twin->is_waiting)
        say_first(twin, now_us);
}

/* ---- mailboxes: no line, but what is read may be damaged ---- */

static void
poll_mailboxes(KdLinkTwin *twin, gint64 now_us)
{
    twin->poll_us = now_us + POLL_US;
    if (twin->mailbox != NULL) {
        g_autoptr(GBytes) bytes = g_steal_pointer(&twin->mailbox);
        size_t n = 0;
        const uint8_t *start = g_bytes_get_data(bytes, &n);

        hear(twin, start, n, now_us);
        twin->ready(now_us, twin->user);
    }
    if (!g_queue_is_empty(&twin->line)) {
        Travelling *first = g_queue_peek_head(&twin->line);
        size_t n = 0;
        const uint8_t *start = g_bytes_get_data(first->bytes, &n);
        g_autoptr(GBytes) read = damage(twin, start, n);

        if (read == NULL)
            return;
        start = g_bytes_get_data(read, &n);
        if (!twin->give(start, n, now_us, twin->user))
            return; /* it stays where it is */
        gboolean is_data = start[0] == '0';
        g_bytes_unref(first->bytes);
        g_free(g_queue_pop_head(&twin->line));
        if (is_data)
            end_first(twin);
    }
    if (!twin->is_waiting)
        say_first(twin, now_us);
}

/* ---- the whole ---- */

KdLinkTwin *
kd_link_twin_new(KdDialect dialect, const KdLinkTwinFaults *faults, guint32 seed,
                 KdLinkTwinGive give, KdLinkTwinReady ready, void *user)
{
    KdLinkTwin *twin = g_new0(KdLinkTwin, 1);

    twin->dialect = dialect;
    twin->faults = *faults;
    twin->rand = g_rand_new_with_seed(seed);
    twin->give = give;
    twin->ready = ready;
    twin->user = user;
    twin->next_id = dialect == KD_DIALECT_USB ? 0x80800800 : 0;
    twin->expected_id = dialect == KD_DIALECT_NET ? 0x80000000 : 0x80800000;
    say(twin, KD_PACKET_STATE_CHANGE64, kd_link_twin_build_event, 0);
    return twin;
}

static void
travelling_free(gpointer data)
{
    g_bytes_unref(((Travelling *)data)->bytes);
    g_free(data);
}

void
kd_link_twin_free(KdLinkTwin *twin)
{
    g_queue_clear_full(&twin->line, travelling_free);
    g_queue_clear_full(&twin->to_say, (GDestroyNotify)g_bytes_unref);
    g_clear_pointer(&twin->mailbox, g_bytes_unref);
    g_rand_free(twin->rand);
    g_free(twin);
}

/* What the layer sends. Returns: whether the carrier takes it */
gboolean
kd_link_twin_take(KdLinkTwin *twin, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    if (twin->dialect != KD_DIALECT_1394) {
        put(twin, FALSE, bytes, len_bytes, now_us);
        return TRUE;
    }
    if (twin->mailbox != NULL)
        return FALSE;
    twin->mailbox = damage(twin, bytes, len_bytes);
    return TRUE;
}

gint64
kd_link_twin_get_deadline_us(const KdLinkTwin *twin)
{
    const Travelling *first = g_queue_peek_head((GQueue *)&twin->line);
    gint64 repeat_us = twin->repeat_us;

    if (!twin->is_waiting)
        repeat_us = g_queue_is_empty((GQueue *)&twin->to_say) ? G_MAXINT64 : 0;

    if (twin->dialect == KD_DIALECT_1394)
        return twin->poll_us;
    return first != NULL ? MIN(first->arrival_us, repeat_us) : repeat_us;
}

void
kd_link_twin_tick(KdLinkTwin *twin, gint64 now_us)
{
    if (twin->dialect == KD_DIALECT_1394) {
        poll_mailboxes(twin, now_us);
        return;
    }
    for (Travelling *first = g_queue_peek_head(&twin->line);
         first != NULL && first->arrival_us <= now_us; first = g_queue_peek_head(&twin->line)) {
        size_t n = 0;
        const uint8_t *start = g_bytes_get_data(first->bytes, &n);

        g_queue_pop_head(&twin->line);
        if (first->is_to_layer)
            (void)twin->give(start, n, now_us, twin->user);
        else if (twin->dialect != KD_DIALECT_NET || first->number > twin->heard_number)
            hear(twin, start, n, now_us); /* no datagram twice, and none that others overtook */
        if (!first->is_to_layer)
            twin->heard_number = MAX(twin->heard_number, first->number);
        travelling_free(first);
    }
    if (!twin->is_waiting || now_us >= twin->repeat_us)
        say_first(twin, now_us);
}

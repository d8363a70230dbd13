/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer over lines that lose, double, delay and damage packets: a debugger gets every
 * reply, text and event once, in order and whole. */
#include "kd-le.h"
#include "kd-link-layer.h"
#include "kd-link-twin.h"
#include "kd-packet-reader.h"

#include <string.h>

#define ROUNDS   40u
#define REQUESTS 12u /* between two events */
#define PATIENCE (2 * G_USEC_PER_SEC)
#define REPLY_US (5 * G_USEC_PER_SEC)

typedef struct {
    KdLinkLayer *layer;
    KdLinkTwin *twin;
    KdPacketReader *reader;
    GByteArray *heard; /* what the layer has said to the debugger */
    gint64 now_us;

    /* the debugger */
    uint32_t own_id;
    uint32_t expected_id;
    guint32 n_events; /* seen */
    guint32 n_texts;
    guint32 n_replies;
    guint n_left;       /* requests until it lets the target run */
    GByteArray *asked;  /* type and payload of what it waits for an ACK of, or for a reply to */
    gboolean is_acked;  /* what it has asked */
    gboolean is_asking; /* it waits */
    gint64 repeat_us;
    guint n_asked_again; /* because there was an ACK, but no reply */
} Session;

static gboolean
on_to_target(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Session *session = user;

    return kd_link_twin_take(session->twin, bytes, len_bytes, session->now_us);
}

static gboolean
on_to_client(const uint8_t *bytes, size_t len_bytes, void *user)
{
    g_byte_array_append(((Session *)user)->heard, bytes, (guint)len_bytes);
    return TRUE;
}

static gboolean
on_give(const uint8_t *bytes, size_t len_bytes, gint64 now_us, void *user)
{
    return kd_link_layer_from_target(((Session *)user)->layer, bytes, len_bytes, now_us);
}

static void
on_ready(gint64 now_us, void *user)
{
    kd_link_layer_target_ready(((Session *)user)->layer, now_us);
}

/* ---- the debugger ---- */

static void
send_packet(Session *session, const KdPacket *packet)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];

    kd_link_layer_from_client(session->layer, bytes,
                              kd_packet_build(KD_DIALECT_SERIAL, packet, bytes), session->now_us);
}

static void
send_asked(Session *session)
{
    KdPacket packet = {.type = KD_PACKET_STATE_MANIPULATE,
                       .id = session->own_id,
                       .payload = session->asked->data,
                       .payload_bytes = session->asked->len};

    session->repeat_us = session->now_us + PATIENCE;
    send_packet(session, &packet);
}

static void
ask(Session *session)
{
    uint8_t payload[KD_PACKET_PAYLOAD_MAX_BYTES];
    size_t n = session->n_left > 0 ? kd_link_twin_build_request(session->n_replies, payload)
                                   : kd_link_twin_build_continue(session->n_events - 1, payload);

    g_byte_array_set_size(session->asked, 0);
    g_byte_array_append(session->asked, payload, (guint)n);
    session->is_asking = TRUE;
    session->is_acked = FALSE;
    send_asked(session);
}

static void
expect(const KdPacket *packet, size_t (*builder)(guint32 n, uint8_t *payload), guint32 n)
{
    uint8_t payload[KD_PACKET_PAYLOAD_MAX_BYTES];
    size_t len_bytes = builder(n, payload);

    g_assert_cmpmem(packet->payload, (int)packet->payload_bytes, payload, (int)len_bytes);
}

static void
hear_data(Session *session, const KdPacket *packet)
{
    KdPacket ack = {
        .is_control = TRUE, .type = KD_PACKET_ACK, .id = packet->id & ~KD_PACKET_SYNC_ID};

    /* The line between the two is good: nothing comes twice on it. */
    g_assert_cmphex(packet->id & ~KD_PACKET_SYNC_ID, ==, session->expected_id);
    session->expected_id ^= 1;
    send_packet(session, &ack);
    if (packet->type == KD_PACKET_STATE_CHANGE64) {
        expect(packet, kd_link_twin_build_event, session->n_events++);
        g_assert_cmpuint(session->n_texts, ==, TWIN_TEXTS * (session->n_events - 1));
        session->n_left = REQUESTS;
        ask(session);
    } else if (packet->type == KD_PACKET_DEBUG_IO) {
        expect(packet, kd_link_twin_build_text, session->n_texts++);
    } else {
        g_assert_true(session->is_acked);
        expect(packet, kd_link_twin_build_reply, session->n_replies++);
        session->n_left--;
        ask(session);
    }
}

static void
hear(Session *session)
{
    g_autoptr(GByteArray) heard = g_steal_pointer(&session->heard);
    const uint8_t *bytes = heard->data;
    size_t left = heard->len;
    KdPacket packet;
    KdRead read;

    session->heard = g_byte_array_new();
    while ((read = kd_packet_reader_next(session->reader, &bytes, &left, session->now_us,
                                         &packet)) != KD_READ_MORE) {
        g_assert_cmpint(read, ==, KD_READ_PACKET);
        if (!packet.is_control) {
            hear_data(session, &packet);
        } else {
            g_assert_cmpuint(packet.type, ==, KD_PACKET_ACK);
            g_assert_true(session->is_asking && !session->is_acked);
            g_assert_cmphex(packet.id, ==, session->own_id);
            session->own_id ^= 1;
            session->is_acked = TRUE;
            session->repeat_us = session->now_us + REPLY_US;
        }
    }
}

/* ---- the run ---- */

/* It lets the target run for as long as it likes. */
static gboolean
is_patient(const Session *session)
{
    return session->is_acked && session->n_left == 0;
}

static void
run_until_done(Session *session)
{
    gint64 end_us = session->now_us + G_TIME_SPAN_HOUR;

    while (session->n_events < ROUNDS) {
        gint64 layer_us = kd_link_layer_get_deadline_us(session->layer);
        gint64 next_us = kd_link_twin_get_deadline_us(session->twin);

        if (layer_us >= 0)
            next_us = MIN(next_us, layer_us);
        if (session->is_asking && !is_patient(session))
            next_us = MIN(next_us, session->repeat_us);
        session->now_us = MAX(session->now_us, next_us);
        g_assert_cmpint(session->now_us, <, end_us);
        kd_link_twin_tick(session->twin, session->now_us);
        kd_link_layer_tick(session->layer, session->now_us);
        if (session->is_asking && !is_patient(session) && session->now_us >= session->repeat_us) {
            session->n_asked_again += session->is_acked;
            session->is_acked = FALSE;
            send_asked(session);
        }
        while (session->heard->len > 0)
            hear(session);
    }
}

static void
run(KdDialect dialect, const KdLinkTwinFaults *faults, guint32 seed)
{
    static const KdLinkLayerFuncs funcs = {.to_target = on_to_target, .to_client = on_to_client};
    Session session = {
        .now_us = 1000000, .own_id = KD_PACKET_INITIAL_ID, .expected_id = KD_PACKET_INITIAL_ID};

    g_test_message("seed %u", seed);
    session.layer = kd_link_layer_new(dialect, &funcs, &session);
    session.twin = kd_link_twin_new(dialect, faults, seed, on_give, on_ready, &session);
    session.reader = kd_packet_reader_new(KD_DIALECT_SERIAL);
    session.heard = g_byte_array_new();
    session.asked = g_byte_array_new();
    kd_link_layer_set_client(session.layer, TRUE, session.now_us);
    kd_link_layer_set_target(session.layer, TRUE, session.now_us);
    run_until_done(&session);
    /* A target that takes a request for the ACK of its reply may do so twice in a row. */
    g_assert_cmpuint(session.n_asked_again, <=, faults->is_strict ? 3 : 0);
    g_assert_cmpuint(session.n_replies, ==, (ROUNDS - 1) * REQUESTS);
    g_assert_cmpuint(session.n_texts, ==, (ROUNDS - 1) * TWIN_TEXTS);
    kd_link_layer_free(session.layer);
    kd_link_twin_free(session.twin);
    kd_packet_reader_free(session.reader);
    g_byte_array_unref(session.heard);
    g_byte_array_unref(session.asked);
}

/* ---- cases ---- */

typedef struct {
    const char *name;
    KdDialect dialect;
    KdLinkTwinFaults faults;
} Case;

static const Case cases[] = {
    {"net/none", KD_DIALECT_NET, {0}},
    {"net/loss-5", KD_DIALECT_NET, {.loss = 50}},
    {"net/loss-20", KD_DIALECT_NET, {.loss = 200}},
    {"net/duplicates-10", KD_DIALECT_NET, {.duplicates = 100}},
    {"net/reorder", KD_DIALECT_NET, {.reorder_ms = 8, .duplicates = 100}},
    {"net/all", KD_DIALECT_NET, {50, 100, 10, 8, FALSE}},
    {"net/all-20", KD_DIALECT_NET, {200, 100, 10, 8, FALSE}},
    {"net/strict", KD_DIALECT_NET, {50, 0, 0, 0, TRUE}},
    {"net/strict-all", KD_DIALECT_NET, {50, 100, 10, 8, TRUE}},
    {"net/strict-20", KD_DIALECT_NET, {200, 100, 10, 8, TRUE}},
    {"usb/none", KD_DIALECT_USB, {0}},
    {"usb/loss-20", KD_DIALECT_USB, {.loss = 200}},
    {"usb/duplicates-10", KD_DIALECT_USB, {.duplicates = 100}},
    {"usb/all", KD_DIALECT_USB, {100, 100, 50, 0, FALSE}},
    {"usb/strict", KD_DIALECT_USB, {20, 0, 0, 0, TRUE}},
    {"1394/none", KD_DIALECT_1394, {0}},
    {"1394/corruption-5", KD_DIALECT_1394, {.corruption = 50}},
};

static void
test_case(gconstpointer data)
{
    const Case *tried = data;

    for (guint32 seed = 1; seed <= 20; seed++)
        run(tried->dialect, &tried->faults, seed);
    run(tried->dialect, &tried->faults, (guint32)g_test_rand_int());
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/kd-layer/faults/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}

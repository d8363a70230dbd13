/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real session of a Windows kernel and its debugger under the key 8.8.8.8, decrypted, and played
 * to the net target once more. The recording is somebody else's: $KD_KDNET_CAPTURE says where it
 * is, and without it these cases are skipped. */
#include "kd-net-capture.h"
#include "kd-net-stage.h"
#include "kd-packet.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define N_DATAGRAMS 955u

/* ---- what the host's random bytes are -------------------------------------------------------- */

static const uint8_t *recorded_nonce; /* (nullable) */

/* Takes the place of the library's, for the module too: the data key of the recording follows from
 * what was random in it. */
G_MODULE_EXPORT int
gnutls_rnd(gnutls_rnd_level_t level, void *bytes, size_t len)
{
    (void)level;
    if (recorded_nonce != NULL && len == KDNET_NONCE_BYTES) {
        memcpy(bytes, recorded_nonce, len);
        return 0;
    }
    return getrandom(bytes, len, 0) == (ssize_t)len ? 0 : GNUTLS_E_RANDOM_FAILED;
}

/* ---- the recording --------------------------------------------------------------------------- */

/* One datagram, decrypted */
typedef struct {
    const uint8_t *raw;
    size_t raw_bytes;
    KdnetOpened opened; /* its body is a copy */
    gboolean is_packet; /* a KD packet */
    KdPacket packet;
} Record;

typedef struct {
    KdNetCapture *capture;
    GArray *records;
    uint8_t response[KDNET_RESPONSE_BYTES];
    size_t response_at;
} Recording;

static void
clear_record(gpointer data)
{
    g_free((gpointer)((Record *)data)->opened.body);
}

static void
recording_clear(Recording *recording)
{
    g_clear_pointer(&recording->records, g_array_unref);
    g_clear_pointer(&recording->capture, kd_net_capture_free);
}

static void
take_packet(Record *record)
{
    g_autoptr(GError) error = NULL;
    if (record->opened.channel != KDNET_CHANNEL_DATA || record->opened.body_bytes == 12)
        return; /* the connection check */
    record->is_packet = kd_packet_parse(KD_DIALECT_NET, record->opened.body,
                                        record->opened.body_bytes, &record->packet, &error);
    g_assert_no_error(error);
}

/* Decrypts it all; each datagram has to be authentic, and each packet to be one. */
static gboolean
recording_load(Recording *recording)
{
    const char *path = g_getenv("KD_KDNET_CAPTURE");
    KdNetTarget target;
    g_autoptr(GError) error = NULL;
    if (path == NULL) {
        g_test_skip("KD_KDNET_CAPTURE names no recording");
        return FALSE;
    }
    *recording = (Recording){.capture = kd_net_capture_new(path, &error)};
    g_assert_no_error(error);
    recording->records = g_array_new(FALSE, TRUE, sizeof(Record));
    g_array_set_clear_func(recording->records, clear_record);
    kd_net_target_init(&target, KD_NET_KEY);
    for (guint i = 0; i < recording->capture->datagrams->len; i++) {
        Record record = {0};
        gsize len = 0;
        record.raw = g_bytes_get_data(g_ptr_array_index(recording->capture->datagrams, i), &len);
        record.raw_bytes = len;
        g_assert_cmpuint(len, >, KDNET_DATAGRAM_MIN_BYTES - 1);
        KdnetCipher *cipher = record.raw[5] == KDNET_CHANNEL_CONTROL ? target.control : target.data;
        g_assert_nonnull(cipher);
        g_assert_true(kdnet_cipher_open(cipher, record.raw, record.raw_bytes, &record.opened));
        record.opened.body = g_memdup2(record.opened.body, record.opened.body_bytes);
        if (record.opened.channel == KDNET_CHANNEL_CONTROL && record.opened.is_from_host) {
            g_assert_cmpuint(record.opened.body_bytes, ==, KDNET_RESPONSE_BYTES);
            memcpy(recording->response, record.opened.body, KDNET_RESPONSE_BYTES);
            recording->response_at = i;
            uint8_t data_key[KDNET_KEY_BYTES];
            kdnet_key_derive(&target.key, recording->response, data_key);
            kdnet_cipher_free(target.data);
            target.data = kdnet_cipher_new(data_key, target.key.hmac);
        }
        take_packet(&record);
        g_array_append_val(recording->records, record);
    }
    kd_net_target_clear(&target);
    return TRUE;
}

static void
test_decrypts(void)
{
    Recording recording;
    guint n_packets = 0;
    guint n_pokes = 0;
    if (!recording_load(&recording))
        return;
    g_assert_cmpuint(recording.records->len, ==, N_DATAGRAMS);
    for (guint i = 0; i < recording.records->len; i++) {
        const Record *record = &g_array_index(recording.records, Record, i);
        KdnetOpened opened = record->opened;
        KdnetPoke poke;
        n_packets += record->is_packet;
        n_pokes += kdnet_poke_parse(&opened, &poke);
    }
    g_assert_cmpuint(n_pokes + n_packets + 2, ==, N_DATAGRAMS); /* a response and a check */
    g_assert_cmpuint(n_packets, >, n_pokes);
    recording_clear(&recording);
}

/* What of each boot's pokes stays, and what grows, is the memory of boots' to know. */
static void
test_pokes_are_of_one_boot(void)
{
    Recording recording;
    KdnetBoots boots = {0};
    if (!recording_load(&recording))
        return;
    for (guint i = 0; i < recording.records->len; i++) {
        KdnetPoke poke;
        KdnetOpened opened = g_array_index(recording.records, Record, i).opened;
        if (kdnet_poke_parse(&opened, &poke)) {
            g_assert_nonnull(kdnet_boots_take(&boots, poke.nonce, poke.seq));
            g_assert_cmpint(poke.is_connected, ==, i > recording.response_at);
        }
    }
    g_assert_cmpuint(boots.n, ==, 1);
    recording_clear(&recording);
}

/* ---- the debugger ---------------------------------------------------------------------------- */

/* A client of the link: KDCOM, as much of it as a faithful target needs */
typedef struct {
    KdNetLink *link;
    GByteArray *pending; /* of the link, not yet a packet */
    GPtrArray *heard;    /* GBytes: type, then payload, of each data packet */
    uint32_t next_id;    /* of ours */
    gboolean is_acked;   /* our last request */
} Debugger;

static void
debugger_write(Debugger *debugger, const KdPacket *packet)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t len = kd_packet_build(KD_DIALECT_SERIAL, packet, bytes);
    KdEndpoint *endpoint = &debugger->link->endpoint;
    g_assert_cmpint(endpoint->ops->write(endpoint->stream, bytes, len), ==, len);
}

static void
debugger_take(Debugger *debugger, const KdPacket *packet)
{
    if (!packet->is_control) {
        KdPacket ack = {
            .is_control = TRUE, .type = KD_PACKET_ACK, .id = packet->id & ~KD_PACKET_SYNC_ID};
        GByteArray *whole = g_byte_array_new();
        g_byte_array_append(whole, (const guint8 *)&packet->type, sizeof packet->type);
        g_byte_array_append(whole, packet->payload, (guint)packet->payload_bytes);
        g_ptr_array_add(debugger->heard, g_byte_array_free_to_bytes(whole));
        debugger_write(debugger, &ack);
    } else if (packet->type == KD_PACKET_ACK) {
        debugger->is_acked = TRUE;
        debugger->next_id ^= 1;
    } else {
        g_assert_cmpuint(packet->type, ==, KD_PACKET_RESET);
        debugger->next_id = KD_PACKET_INITIAL_ID;
    }
}

/* The length of the packet at the start of what came, 0 if it is not whole */
static size_t
measure(const GByteArray *pending)
{
    uint16_t payload_bytes = 0;
    if (pending->len < KD_PACKET_HEADER_BYTES)
        return 0;
    memcpy(&payload_bytes, pending->data + 6, sizeof payload_bytes);
    gboolean is_data = pending->data[0] == '0';
    size_t whole =
        KD_PACKET_HEADER_BYTES + (is_data ? (size_t)GUINT16_FROM_LE(payload_bytes) + 1 : 0);
    return pending->len >= whole ? whole : 0;
}

static void
debugger_read(Debugger *debugger)
{
    uint8_t bytes[4096];
    KdEndpoint *endpoint = &debugger->link->endpoint;
    gssize n;
    while ((n = endpoint->ops->read(endpoint->stream, bytes, sizeof bytes)) > 0)
        g_byte_array_append(debugger->pending, bytes, (guint)n);
    g_assert_cmpint(n, ==, -EAGAIN);
    size_t whole;
    while ((whole = measure(debugger->pending)) > 0) {
        KdPacket packet;
        g_autoptr(GError) error = NULL;
        gboolean is_packet =
            kd_packet_parse(KD_DIALECT_SERIAL, debugger->pending->data, whole, &packet, &error);
        g_assert_no_error(error);
        g_assert_true(is_packet);
        debugger_take(debugger, &packet);
        g_byte_array_remove_range(debugger->pending, 0, (guint)whole);
    }
}

static void
debugger_ask(Debugger *debugger, const KdPacket *request)
{
    KdPacket packet = *request;
    packet.id = debugger->next_id;
    packet.checksum = kd_packet_sum(packet.payload, packet.payload_bytes);
    debugger->is_acked = FALSE;
    debugger_write(debugger, &packet);
}

/* ---- the play -------------------------------------------------------------------------------- */

typedef struct {
    Recording recording;
    KdNetLink link;
    KdNetTarget target;
    Debugger debugger;
    int fd;
    GPtrArray *asked;  /* GBytes: type, then payload, of what the link has sent to the target */
    uint32_t asked_id; /* of the last */
    size_t n_expected; /* of asked, or of heard */
} Play;

static GBytes *
build_whole(const KdPacket *packet)
{
    GByteArray *whole = g_byte_array_new();
    g_byte_array_append(whole, (const guint8 *)&packet->type, sizeof packet->type);
    g_byte_array_append(whole, packet->payload, (guint)packet->payload_bytes);
    return g_byte_array_free_to_bytes(whole);
}

/* What the link sends: repetitions have the same id. */
static void
hear_link(Play *play)
{
    while (kd_net_has(play->fd)) {
        KdNetDatagram datagram;
        KdnetOpened opened = {0};
        KdPacket packet;
        kd_net_get(play->fd, &datagram);
        g_assert_true(kd_net_target_hear(&play->target, datagram.bytes, datagram.len, &opened));
        if (!kd_packet_parse(KD_DIALECT_NET, opened.body, opened.body_bytes, &packet, NULL))
            continue; /* a break-in */
        if (!packet.is_control && (play->asked->len == 0 || packet.id != play->asked_id)) {
            g_ptr_array_add(play->asked, build_whole(&packet));
            play->asked_id = packet.id;
        }
    }
}

static gboolean
has_asked(gpointer user_data)
{
    Play *play = user_data;
    hear_link(play);
    debugger_read(&play->debugger);
    return play->asked->len >= play->n_expected;
}

static gboolean
has_heard(gpointer user_data)
{
    Play *play = user_data;
    hear_link(play);
    debugger_read(&play->debugger);
    return play->debugger.heard->len >= play->n_expected;
}

static void
put_record(Play *play, const Record *record)
{
    KdNetDatagram datagram = {.len = record->raw_bytes};
    memcpy(datagram.bytes, record->raw, record->raw_bytes);
    kd_net_put(play->fd, &datagram);
    kd_test_turn();
}

static void
expect_last(GPtrArray *list, const KdPacket *packet)
{
    g_autoptr(GBytes) expected = build_whole(packet);
    g_assert_true(g_bytes_equal(g_ptr_array_index(list, list->len - 1), expected));
}

/* The recorded offer is answered as it was, to the bit: so the key is the recorded one. */
static void
play_opening(Play *play)
{
    const Record *recorded =
        &g_array_index(play->recording.records, Record, play->recording.response_at);
    KdNetDatagram answer;
    recorded_nonce = play->recording.response + 2 + KDNET_NONCE_BYTES;
    for (size_t i = 0; i < play->recording.response_at; i++)
        put_record(play, &g_array_index(play->recording.records, Record, i));
    kd_net_get(play->fd, &answer);
    g_assert_cmpuint(answer.len, ==, recorded->raw_bytes);
    g_assert_cmpint(memcmp(answer.bytes, recorded->raw, answer.len), ==, 0);
    uint8_t data_key[KDNET_KEY_BYTES];
    kdnet_key_derive(&play->target.key, play->recording.response, data_key);
    play->target.data = kdnet_cipher_new(data_key, play->target.key.hmac);
}

/* Packets of the target's, and no repetitions of them */
static gboolean
is_new_from_target(const Record *record, uint32_t *last_id, gboolean *has_last)
{
    if (!record->is_packet || record->opened.is_from_host || record->packet.is_control ||
        (*has_last && record->packet.id == *last_id))
        return FALSE;
    *last_id = record->packet.id;
    *has_last = TRUE;
    return TRUE;
}

static void
play_rest(Play *play)
{
    uint32_t target_id = 0;
    uint32_t host_id = 0;
    gboolean has_target_id = FALSE;
    guint n_requests = 0;
    for (size_t i = play->recording.response_at + 1; i < play->recording.records->len; i++) {
        const Record *record = &g_array_index(play->recording.records, Record, i);
        if (!record->opened.is_from_host) {
            put_record(play, record);
            if (is_new_from_target(record, &target_id, &has_target_id)) {
                play->n_expected = play->debugger.heard->len + 1;
                kd_test_wait_until(has_heard, play);
                expect_last(play->debugger.heard, &record->packet);
            }
        } else if (record->is_packet && !record->packet.is_control &&
                   (n_requests == 0 || record->packet.id != host_id)) {
            host_id = record->packet.id;
            n_requests++;
            debugger_ask(&play->debugger, &record->packet);
            play->n_expected = n_requests;
            kd_test_wait_until(has_asked, play);
            expect_last(play->asked, &record->packet);
            g_assert_cmphex(play->asked_id, ==, host_id);
        }
    }
    g_assert_cmpuint(play->asked->len, ==, n_requests);
}

static guint
count_new_from_target(const Recording *recording)
{
    uint32_t last_id = 0;
    gboolean has_last = FALSE;
    guint n = 0;
    for (guint i = 0; i < recording->records->len; i++)
        n += is_new_from_target(&g_array_index(recording->records, Record, i), &last_id, &has_last);
    return n;
}

static void
on_ready(void *user, uint32_t ready)
{
    (void)user;
    (void)ready; /* what there is to read is looked at after each turn */
}

static void
test_replay(void)
{
    Play play = {0};
    if (!recording_load(&play.recording))
        return;
    kd_net_target_init(&play.target, KD_NET_KEY);
    kd_net_open(&play.link, "'key': <'" KD_NET_KEY "'>");
    play.fd = kd_net_socket(AF_INET, "127.0.0.1", &play.link);
    play.asked = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    play.debugger =
        (Debugger){.link = &play.link,
                   .pending = g_byte_array_new(),
                   .heard = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref),
                   .next_id = KD_PACKET_INITIAL_ID};
    play.link.endpoint.ops->set_ready(play.link.endpoint.stream, on_ready, NULL);
    play_opening(&play);
    play_rest(&play);
    debugger_read(&play.debugger);
    g_assert_cmpuint(play.debugger.heard->len, ==, count_new_from_target(&play.recording));
    g_test_message("%u packets of the target, %u of the debugger", play.debugger.heard->len,
                   play.asked->len);
    recorded_nonce = NULL;
    g_byte_array_unref(play.debugger.pending);
    g_ptr_array_unref(play.debugger.heard);
    g_ptr_array_unref(play.asked);
    close(play.fd);
    kd_net_close(&play.link);
    kd_net_target_clear(&play.target);
    recording_clear(&play.recording);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_net_load();
    g_test_add_func("/kdnet/capture/each-datagram-is-authentic-and-decodes", test_decrypts);
    g_test_add_func("/kdnet/capture/offers-are-of-one-boot-and-grow", test_pokes_are_of_one_boot);
    g_test_add_func("/kdnet/capture/played-again-gives-its-packets-in-order", test_replay);
    return g_test_run();
}

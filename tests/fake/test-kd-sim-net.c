/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target on KDNET: offers, sessions and numbers as in LINKS 2. */
#include "kd-sim-net.h"

#include "kdnet-cipher.h"

#include <string.h>

#define KEY     "1kanar1e.2z7q.3bl4uf1nk.9"
#define POKE_US (1000 * (gint64)KD_SIM_POKE_MS)

/* The host's side: what came last, opened */
typedef struct {
    KdSimMachine *machine;
    KdSimNet *net;
    gint64 now_us;
    GQueue out; /* of GBytes */
    KdnetKey key;
    KdnetCipher *control;
    KdnetCipher *session; /* (nullable): */
    KdSimPeer peer;
    KdSimPeer to; /* of the last datagram */
    uint64_t seq;
    uint64_t poke_seq;
    uint64_t seen_seq;
    uint8_t poke[344];
    uint8_t body[4096];
    size_t body_bytes;
    KdSimHeader header;
} Host;

static gboolean
on_send(const uint8_t *datagram, size_t len_bytes, const KdSimPeer *to, void *user)
{
    Host *host = user;
    host->to = *to;
    g_queue_push_tail(&host->out, g_bytes_new(datagram, len_bytes));
    return TRUE;
}

static void
set_up(Host *host, gconstpointer user)
{
    const KdSimMachineOptions machine = {
        .read_max_bytes = KD_SIM_NET_READ_MAX_BYTES,
        .is_run_at_boot = user != NULL,
    };
    host->peer = (KdSimPeer){.address = {[10] = 0xFF, [11] = 0xFF, 192, 168, 2, 1}, .port = 50039};
    const KdSimNetOptions options = {.key = KEY, .version = 4, .seed = 7, .host = host->peer};
    host->now_us = 1000000;
    g_queue_init(&host->out);
    host->machine = kd_sim_machine_new(&machine);
    host->net = kd_sim_net_new(host->machine, &options, on_send, host, NULL);
    g_assert_nonnull(host->net);
    g_assert_true(kdnet_key_parse(KEY, &host->key, NULL));
    host->control = kdnet_cipher_new(host->key.control, host->key.hmac);
    kd_sim_machine_boot(host->machine, host->now_us);
    kd_sim_net_tick(host->net, host->now_us);
}

static void
tear_down(Host *host, gconstpointer user G_GNUC_UNUSED)
{
    g_queue_clear_full(&host->out, (GDestroyNotify)g_bytes_unref);
    kd_sim_net_free(host->net);
    kd_sim_machine_free(host->machine);
    kdnet_cipher_free(host->control);
    g_clear_pointer(&host->session, kdnet_cipher_free);
}

static void
expect_datagram(Host *host, uint8_t channel)
{
    g_autoptr(GBytes) sent = g_queue_pop_head(&host->out);
    KdnetOpened opened;
    gsize len_bytes = 0;
    g_assert_nonnull(sent);
    const uint8_t *datagram = g_bytes_get_data(sent, &len_bytes);
    g_assert_cmpuint(datagram[5], ==, channel);
    KdnetCipher *cipher = channel == KDNET_CHANNEL_DATA ? host->session : host->control;
    g_assert_true(kdnet_cipher_open(cipher, datagram, len_bytes, &opened));
    g_assert_cmpuint(opened.version, ==, 4);
    g_assert_false(opened.is_from_host);
    host->seen_seq = opened.seq;
    host->body_bytes = opened.body_bytes;
    memcpy(host->body, opened.body, opened.body_bytes);
}

static void
expect_nothing(const Host *host)
{
    g_assert_cmpuint(host->out.length, ==, 0);
}

static void
expect_poke(Host *host)
{
    expect_datagram(host, KDNET_CHANNEL_CONTROL);
    g_assert_cmpuint(host->body_bytes, ==, sizeof host->poke);
    g_assert_cmphex(kd_sim_get16(host->body), ==, 0x0101);
    memcpy(host->poke, host->body, sizeof host->poke);
    host->poke_seq = host->seen_seq;
}

static void
expect_packet(Host *host, uint16_t type, uint32_t id)
{
    expect_datagram(host, KDNET_CHANNEL_DATA);
    g_assert_true(kd_sim_packet_parse_header(host->body, &host->header));
    g_assert_cmpuint(host->header.type, ==, type);
    g_assert_cmphex(host->header.id, ==, id);
    g_assert_cmpuint(host->body_bytes, ==, KD_SIM_HEADER_BYTES + host->header.payload_bytes);
}

static void
send_sealed(Host *host, KdnetCipher *cipher, uint8_t channel, uint64_t seq, const uint8_t *body,
            size_t body_bytes)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    size_t len_bytes = kdnet_cipher_seal(cipher, 4, channel, seq, TRUE, body, body_bytes, datagram);
    kd_sim_net_receive(host->net, datagram, len_bytes, &host->peer, host->now_us);
}

/* Answers the poke that was seen last. */
static void
respond(Host *host)
{
    uint8_t body[KDNET_RESPONSE_BYTES] = {1, 2};
    uint8_t data_key[KDNET_KEY_BYTES];
    memcpy(body + 2, host->poke + 2, 32);
    memset(body + 34, 0x5A, 32);
    kdnet_key_derive(&host->key, body, data_key);
    g_clear_pointer(&host->session, kdnet_cipher_free);
    host->session = kdnet_cipher_new(data_key, host->key.hmac);
    host->seq = 0;
    send_sealed(host, host->control, KDNET_CHANNEL_CONTROL, host->poke_seq, body, sizeof body);
}

static void
say(Host *host, const uint8_t *bytes, size_t len_bytes)
{
    send_sealed(host, host->session, KDNET_CHANNEL_DATA, ++host->seq, bytes, len_bytes);
}

static void
say_control(Host *host, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_SIM_HEADER_BYTES];
    say(host, bytes, kd_sim_packet_build_control(type, id, bytes));
}

static void
ask(Host *host, uint32_t api, uint32_t id, uint64_t address, uint32_t count)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    uint8_t request[56] = {0};
    kd_sim_put32(request, api);
    kd_sim_put64(request + 16, address);
    kd_sim_put32(request + 24, count);
    say(host, packet,
        kd_sim_packet_build(KD_SIM_DIALECT_NET, KD_SIM_TYPE_MANIPULATE, id, request, sizeof request,
                            packet));
}

static void
pass_time(Host *host, gint64 us)
{
    const gint64 end_us = host->now_us + us;
    gint64 deadline_us = -1;
    while ((deadline_us = kd_sim_net_get_deadline_us(host->net)) >= 0 && deadline_us <= end_us) {
        host->now_us = MAX(host->now_us, deadline_us);
        kd_sim_net_tick(host->net, host->now_us);
    }
    host->now_us = end_us;
}

/* Poke, response, connection check, state change, ACK */
static void
connect_host(Host *host)
{
    expect_poke(host);
    respond(host);
    expect_datagram(host, KDNET_CHANNEL_DATA);
    expect_packet(host, KD_SIM_TYPE_STATE_CHANGE, 0);
    say_control(host, KD_SIM_TYPE_ACK, 0);
}

static void
test_opening_is_that_of_a_real_capture(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    static const uint8_t check[12] = {[8] = 1, 2, 168, 192};
    expect_poke(f);
    expect_nothing(f);
    respond(f);
    expect_datagram(f, KDNET_CHANNEL_DATA);
    g_assert_cmpuint(f->seen_seq, ==, 1);
    g_assert_cmpmem(f->body, (int)f->body_bytes, check, sizeof check);
    expect_packet(f, KD_SIM_TYPE_STATE_CHANGE, 0);
    g_assert_cmpuint(f->seen_seq, ==, 2);
    /* WinDbg takes the check for a damaged packet */
    say_control(f, KD_SIM_TYPE_RESEND, 0);
    expect_packet(f, KD_SIM_TYPE_STATE_CHANGE, 0);
    g_assert_cmpuint(f->seen_seq, ==, 3);
    say_control(f, KD_SIM_TYPE_ACK, 0);
    ask(f, 0x3146, 0x80000000, 0, 0);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000000);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 2);
    say_control(f, KD_SIM_TYPE_ACK, 2);
    ask(f, 0x3130, 0x80000002, KD_SIM_PATTERN_ADDRESS, 16);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000002);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 4);
    expect_nothing(f);
}

static void
test_pokes_go_on_in_every_state(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    uint8_t first = f->poke[4];
    for (uint8_t i = 1; i <= 5; i++) {
        uint64_t seq = f->poke_seq;
        pass_time(f, POKE_US);
        expect_poke(f);
        expect_nothing(f);
        g_assert_cmpuint(f->poke_seq, ==, seq + 3);
        g_assert_cmpuint(f->poke[4], ==, (uint8_t)(first + i));
        g_assert_cmpuint(f->poke[86] << 8 | f->poke[87], ==, 50039);
        g_assert_cmpmem(f->poke + 82, 4, f->peer.address + 12, 4);
    }
}

static void
test_poke_without_a_session_is_bound_to_port_0(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    expect_poke(f);
    g_assert_cmpuint(f->poke[86] | f->poke[87], ==, 0);
    g_assert_cmpuint(f->poke[68] << 8 | f->poke[69], ==, 50039);
    for (guint i = 88; i < sizeof f->poke; i++)
        g_assert_cmpuint(f->poke[i], ==, 0);
}

static void
test_response_counts_once_and_not_for_ever(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    expect_poke(f);
    uint64_t old_seq = f->poke_seq;
    uint8_t old[sizeof f->poke];
    memcpy(old, f->poke, sizeof old);
    respond(f);
    g_queue_clear_full(&f->out, (GDestroyNotify)g_bytes_unref);
    respond(f);
    expect_nothing(f);
    g_assert_cmpuint(kd_sim_net_get_stat(f->net)->stale, ==, 1);
    say_control(f, KD_SIM_TYPE_ACK, 0);
    pass_time(f, 10 * POKE_US);
    g_queue_clear_full(&f->out, (GDestroyNotify)g_bytes_unref);
    f->poke_seq = old_seq;
    memcpy(f->poke, old, sizeof old);
    respond(f);
    expect_nothing(f);
    g_assert_cmpuint(kd_sim_net_get_stat(f->net)->sessions, ==, 1);
}

static void
test_number_that_does_not_grow_is_dropped(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    f->seq = 9;
    ask(f, 0x3146, 0x80000000, 0, 0);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000000);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 2);
    say_control(f, KD_SIM_TYPE_ACK, 2);
    g_assert_cmpuint(kd_sim_net_get_stat(f->net)->replayed, ==, 0);
    f->seq = 9;
    say_control(f, KD_SIM_TYPE_RESEND, 0);
    expect_nothing(f);
    g_assert_cmpuint(kd_sim_net_get_stat(f->net)->replayed, ==, 1);
}

static void
test_repetition_has_a_fresh_number_and_the_old_id(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    expect_poke(f);
    respond(f);
    expect_datagram(f, KDNET_CHANNEL_DATA);
    expect_packet(f, KD_SIM_TYPE_STATE_CHANGE, 0);
    pass_time(f, 1000 * KD_SIM_RETRY_MS);
    expect_packet(f, KD_SIM_TYPE_STATE_CHANGE, 0);
    g_assert_cmpuint(f->seen_seq, ==, 3);
}

static void
test_lost_reply_is_mended_as_in_the_capture(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    ask(f, 0x3132, 0x80000000, 0, 0);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000000);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 2);
    /* which the host has not got: it asks again, and again after the RESEND */
    ask(f, 0x3132, 0x80000002, 0, 0);
    expect_packet(f, KD_SIM_TYPE_RESEND, 0);
    ask(f, 0x3132, 0x80000002, 0, 0);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000002);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 4);
    g_assert_cmpuint(f->body_bytes, ==, 1304);
    /* now the ids are apart, and it says what its next one is */
    say_control(f, KD_SIM_TYPE_RESET, 0x80000004);
    expect_packet(f, KD_SIM_TYPE_RESET, 4);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 4);
    say_control(f, KD_SIM_TYPE_ACK, 4);
    ask(f, 0x3137, 0x80000004, 2, 0xD8);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000004);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 6);
}

static void
test_read_has_a_kilobyte_at_most(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    ask(f, 0x3130, 0x80000000, KD_SIM_PATTERN_ADDRESS, 4000);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000000);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 2);
    g_assert_cmpuint(kd_sim_get32(f->body + 16 + 28), ==, 1024);
    g_assert_cmpuint(kd_sim_facts_check(KD_SIM_PATTERN_ADDRESS, f->body + 16 + 56, 1024), ==, 1024);
}

static void
test_asked_target_offers_at_once(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    expect_poke(f);
    send_sealed(f, f->control, KDNET_CHANNEL_CONTROL, 1, NULL, 0);
    expect_poke(f);
    expect_nothing(f);
}

static void
test_asker_from_elsewhere_takes_over(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    f->peer.address[15] = 77;
    send_sealed(f, f->control, KDNET_CHANNEL_CONTROL, 1, NULL, 0);
    expect_poke(f);
    g_assert_cmpmem(&f->to, sizeof f->to, &f->peer, sizeof f->peer);
    g_assert_cmpuint(f->poke[86] | f->poke[87], ==, 0);
    g_assert_false(kd_sim_net_is_connected(f->net));
    respond(f);
    expect_datagram(f, KDNET_CHANNEL_DATA);
    g_assert_true(kd_sim_net_is_connected(f->net));
}

static void
test_new_session_begins_with_fresh_ids(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    ask(f, 0x3146, 0x80000000, 0, 0);
    expect_packet(f, KD_SIM_TYPE_ACK, 0x80000000);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 2);
    send_sealed(f, f->control, KDNET_CHANNEL_CONTROL, 1, NULL, 0);
    expect_poke(f);
    respond(f);
    expect_datagram(f, KDNET_CHANNEL_DATA);
    g_assert_cmpuint(f->seen_seq, ==, 1);
    expect_packet(f, KD_SIM_TYPE_MANIPULATE, 0);
}

static void
test_reboot_is_a_stranger(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    connect_host(f);
    uint8_t nonce[32];
    uint32_t boot = kd_sim_net_get_boot(f->net);
    memcpy(nonce, f->poke + 2, sizeof nonce);
    kd_sim_machine_reboot(f->machine, f->now_us);
    pass_time(f, 0);
    expect_poke(f);
    expect_nothing(f);
    g_assert_true(memcmp(nonce + 3, f->poke + 5, sizeof nonce - 3) != 0);
    g_assert_cmpuint(f->poke[86] | f->poke[87], ==, 0);
    g_assert_cmpuint(kd_sim_net_get_boot(f->net), !=, boot);
    respond(f);
    expect_datagram(f, KDNET_CHANNEL_DATA);
    expect_packet(f, KD_SIM_TYPE_STATE_CHANGE, 0);
}

static void
test_unauthentic_datagrams_are_counted_alone(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    connect_host(f);
    size_t len_bytes = kdnet_cipher_seal(f->session, 4, KDNET_CHANNEL_DATA, 99, TRUE,
                                         (const uint8_t *)"b", 1, datagram);
    datagram[len_bytes - 1] ^= 1;
    kd_sim_net_receive(f->net, datagram, len_bytes, &f->peer, f->now_us);
    kd_sim_net_receive(f->net, datagram, 3, &f->peer, f->now_us);
    expect_nothing(f);
    g_assert_cmpuint(kd_sim_net_get_stat(f->net)->unauthentic, ==, 2);
}

static void
test_running_target_halts_by_one_byte(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    expect_poke(f);
    respond(f);
    expect_datagram(f, KDNET_CHANNEL_DATA);
    expect_nothing(f);
    say(f, (const uint8_t *)"b", 1);
    expect_packet(f, KD_SIM_TYPE_STATE_CHANGE, 0);
}

static void
test_prints_without_a_session_cost_nothing(Host *f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_machine_print(f->machine, 10000, f->now_us);
    g_assert_cmpuint(kd_sim_machine_get_stat(f->machine)->unheard, ==, 10000);
    g_assert_true(kd_sim_machine_is_running(f->machine));
}

static void
test_same_seed_gives_the_same_datagrams(void)
{
    Host first = {0};
    Host second = {0};
    set_up(&first, NULL);
    set_up(&second, NULL);
    g_autoptr(GBytes) one = g_queue_pop_head(&first.out);
    g_autoptr(GBytes) other = g_queue_pop_head(&second.out);
    g_assert_true(g_bytes_equal(one, other));
    tear_down(&first, NULL);
    tear_down(&second, NULL);
}

#define ADD_TO(name, running, function) \
    g_test_add("/sim/net/" name, Host, running, set_up, function, tear_down)
#define ADD(name, function) ADD_TO(name, NULL, function)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("opening-is-that-of-a-real-capture", test_opening_is_that_of_a_real_capture);
    ADD("pokes-go-on-in-every-state", test_pokes_go_on_in_every_state);
    ADD("poke-without-a-session-is-bound-to-port-0",
        test_poke_without_a_session_is_bound_to_port_0);
    ADD("response-counts-once-and-not-for-ever", test_response_counts_once_and_not_for_ever);
    ADD("number-that-does-not-grow-is-dropped", test_number_that_does_not_grow_is_dropped);
    ADD("repetition-has-a-fresh-number-and-the-old-id",
        test_repetition_has_a_fresh_number_and_the_old_id);
    ADD("lost-reply-is-mended-as-in-the-capture", test_lost_reply_is_mended_as_in_the_capture);
    ADD("read-has-a-kilobyte-at-most", test_read_has_a_kilobyte_at_most);
    ADD("asked-target-offers-at-once", test_asked_target_offers_at_once);
    ADD("asker-from-elsewhere-takes-over", test_asker_from_elsewhere_takes_over);
    ADD("new-session-begins-with-fresh-ids", test_new_session_begins_with_fresh_ids);
    ADD("reboot-is-a-stranger", test_reboot_is_a_stranger);
    ADD("unauthentic-datagrams-are-counted-alone", test_unauthentic_datagrams_are_counted_alone);
    ADD_TO("running-target-halts-by-one-byte", "run", test_running_target_halts_by_one_byte);
    ADD_TO("prints-without-a-session-cost-nothing", "run",
           test_prints_without_a_session_cost_nothing);
    g_test_add_func("/sim/net/same-seed-gives-the-same-datagrams",
                    test_same_seed_gives_the_same_datagrams);
    return g_test_run();
}

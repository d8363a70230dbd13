/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target that offers itself every few seconds, whatever it does, and talks to the host that last
 * answered an offer. */
#include "kd-sim-net.h"

#include "kdnet-cipher.h"

#include <string.h>

#define NONCE_BYTES    32u
#define POKE_BYTES     344u
#define POKE_OWN       34u /* an address and a port each, 18 bytes */
#define POKE_HOST      52u
#define POKE_BOUND     70u
#define POKE_SEQ_STEP  3u
#define RECENT_POKES   4u
#define CHECK_BYTES    12u
#define BREAK_IN_BYTES 1u

struct KdSimNet {
    KdSimLink *link;
    KdSimMachine *machine;
    KdSimNetSend send;
    void *user;
    KdSimNetStat stat;
    KdnetKey key;
    KdnetCipher *control;
    KdnetCipher *data_channel; /* (nullable): there was no session since the boot */
    uint8_t version;
    gint64 poke_us;
    uint64_t random;
    uint32_t boot;

    KdSimPeer host; /* where offers go */
    KdSimPeer own;
    KdSimPeer bound; /* the host of the session; port 0: none */
    uint8_t nonce[NONCE_BYTES];
    uint64_t poke_seq;
    uint32_t n_answerable; /* of the last pokes, those without a response */
    gint64 poke_deadline_us;
    uint64_t seq_out;
    uint64_t seq_in; /* the highest */
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
};

static uint8_t
draw_byte(KdSimNet *net)
{
    net->random = net->random * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t)(net->random >> 56);
}

static gboolean
seal(KdSimNet *net, KdnetCipher *cipher, uint8_t channel, uint64_t seq, const uint8_t *body,
     size_t body_bytes, const KdSimPeer *to)
{
    size_t len_bytes = kdnet_cipher_seal(cipher, net->version, channel, seq, FALSE, body,
                                         body_bytes, net->datagram);
    net->stat.datagrams_out++;
    return net->send(net->datagram, len_bytes, to, net->user);
}

static gboolean
on_link_send(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdSimNet *net = user;
    if (net->data_channel == NULL)
        return FALSE;
    return seal(net, net->data_channel, KDNET_CHANNEL_DATA, ++net->seq_out, bytes, len_bytes,
                &net->bound);
}

static void
end_session(KdSimNet *net, gint64 now_us)
{
    g_clear_pointer(&net->data_channel, kdnet_cipher_free);
    net->bound = (KdSimPeer){.address = {[10] = 0xFF, [11] = 0xFF}};
    kd_sim_machine_set_debugger(net->machine, FALSE, now_us);
}

/* A boot: nothing of the session is left, and the machine is a stranger. */
static void
on_reboot(gint64 now_us, void *user)
{
    KdSimNet *net = user;
    net->boot++;
    end_session(net, now_us);
    for (size_t i = 0; i < sizeof net->nonce; i++)
        net->nonce[i] = draw_byte(net);
    net->poke_seq = 0;
    net->n_answerable = 0;
    net->poke_deadline_us = now_us;
}

/**
 * kd_sim_net_new:
 * @machine: borrowed; from now on this is its link
 * @options: read here
 * @send: takes a datagram
 *
 * Returns: (transfer full) (nullable): %NULL: the key is none
 */
KdSimNet *
kd_sim_net_new(KdSimMachine *machine, const KdSimNetOptions *options, KdSimNetSend send, void *user,
               GError **error)
{
    KdnetKey key;
    if (!kdnet_key_parse(options->key, &key, error))
        return NULL;
    KdSimNet *net = g_new0(KdSimNet, 1);
    net->key = key;
    kdnet_key_clear(&key);
    net->control = kdnet_cipher_new(net->key.control, net->key.hmac);
    net->machine = machine;
    net->send = send;
    net->user = user;
    net->version = options->version;
    net->poke_us = 1000 * (gint64)(options->poke_ms != 0 ? options->poke_ms : KD_SIM_POKE_MS);
    net->random = options->seed;
    net->host = options->host;
    net->own = options->own;
    net->poke_deadline_us = -1;
    KdSimLinkOptions link = options->link;
    link.reboot = on_reboot;
    net->link = kd_sim_link_new(KD_SIM_DIALECT_NET, machine, &link, on_link_send, net);
    return net;
}

/**
 * kd_sim_net_free:
 *
 * The machine stays, and may not be given anything to do any more.
 */
void
kd_sim_net_free(KdSimNet *net)
{
    kd_sim_link_free(net->link);
    g_clear_pointer(&net->data_channel, kdnet_cipher_free);
    kdnet_cipher_free(net->control);
    kdnet_key_clear(&net->key);
    g_free(net);
}

static void
write_peer(uint8_t *bytes, const KdSimPeer *peer)
{
    memcpy(bytes, peer->address, sizeof peer->address);
    bytes[16] = (uint8_t)(peer->port >> 8);
    bytes[17] = (uint8_t)peer->port;
}

static void
poke(KdSimNet *net, gint64 now_us)
{
    uint8_t body[POKE_BYTES] = {1, 1};
    net->poke_deadline_us = now_us + net->poke_us;
    if (net->host.port == 0)
        return;
    net->nonce[2]++;
    net->poke_seq += POKE_SEQ_STEP;
    net->n_answerable = MIN(net->n_answerable + 1, RECENT_POKES);
    memcpy(body + 2, net->nonce, sizeof net->nonce);
    write_peer(body + POKE_OWN, &net->own);
    write_peer(body + POKE_HOST, &net->host);
    write_peer(body + POKE_BOUND, &net->bound);
    net->stat.pokes++;
    (void)seal(net, net->control, KDNET_CHANNEL_CONTROL, net->poke_seq, body, sizeof body,
               &net->host);
}

/* Each poke is answered once: the response has its number and its nonce. */
static gboolean
is_response_to_recent(KdSimNet *net, const KdnetOpened *opened)
{
    uint8_t nonce[NONCE_BYTES];
    if (opened->body_bytes < KDNET_RESPONSE_BYTES || opened->body[0] != 1 || opened->body[1] != 2)
        return FALSE;
    if (opened->seq > net->poke_seq || (net->poke_seq - opened->seq) % POKE_SEQ_STEP != 0)
        return FALSE;
    uint64_t age = (net->poke_seq - opened->seq) / POKE_SEQ_STEP;
    memcpy(nonce, net->nonce, sizeof nonce);
    nonce[2] = (uint8_t)(nonce[2] - age);
    if (age >= net->n_answerable || memcmp(opened->body + 2, nonce, sizeof nonce) != 0)
        return FALSE;
    net->n_answerable = (uint32_t)age;
    return TRUE;
}

/* The first data of a session: eight zeros and the host's address, the last byte first */
static void
send_connection_check(KdSimNet *net)
{
    uint8_t body[CHECK_BYTES] = {0};
    for (size_t i = 0; i < 4; i++)
        body[8 + i] = net->bound.address[15 - i];
    (void)on_link_send(body, sizeof body, net);
}

static void
begin_session(KdSimNet *net, const uint8_t *response, const KdSimPeer *from, gint64 now_us)
{
    uint8_t data_key[KDNET_KEY_BYTES];
    kdnet_key_derive(&net->key, response, data_key);
    g_clear_pointer(&net->data_channel, kdnet_cipher_free);
    net->data_channel = kdnet_cipher_new(data_key, net->key.hmac);
    memset(data_key, 0, sizeof data_key);
    net->stat.sessions++;
    net->bound = *from;
    net->host = *from;
    net->seq_out = 0;
    net->seq_in = 0;
    send_connection_check(net);
    kd_sim_link_restart(net->link, now_us);
    kd_sim_machine_set_debugger(net->machine, TRUE, now_us);
}

/* An empty datagram asks for an offer; from somebody new it is the end of the old host. */
static void
on_asked_for_offer(KdSimNet *net, const KdSimPeer *from, gint64 now_us)
{
    net->stat.offers++;
    if (net->bound.port != 0 && memcmp(&net->bound, from, sizeof *from) != 0)
        end_session(net, now_us);
    net->host = *from;
    poke(net, now_us);
}

static void
receive_control(KdSimNet *net, const uint8_t *datagram, size_t len_bytes, const KdSimPeer *from,
                gint64 now_us)
{
    KdnetOpened opened;
    if (!kdnet_cipher_open(net->control, datagram, len_bytes, &opened) || !opened.is_from_host)
        net->stat.unauthentic++;
    else if (opened.body_bytes == 0)
        on_asked_for_offer(net, from, now_us);
    else if (is_response_to_recent(net, &opened))
        begin_session(net, opened.body, from, now_us);
    else
        net->stat.stale++;
}

static void
receive_packet(KdSimNet *net, const uint8_t *datagram, size_t len_bytes, gint64 now_us)
{
    KdnetOpened opened;
    if (net->data_channel == NULL ||
        !kdnet_cipher_open(net->data_channel, datagram, len_bytes, &opened) ||
        !opened.is_from_host) {
        net->stat.unauthentic++;
        return;
    }
    if (opened.seq <= net->seq_in) {
        net->stat.replayed++;
        return;
    }
    net->seq_in = opened.seq;
    kd_sim_link_receive(net->link, opened.body, opened.body_bytes, now_us);
}

/**
 * kd_sim_net_receive:
 * @from: a session's peer is where its response came from
 *
 * Takes a datagram; one that is not authentic is counted, and no more.
 */
void
kd_sim_net_receive(KdSimNet *net, const uint8_t *datagram, size_t len_bytes, const KdSimPeer *from,
                   gint64 now_us)
{
    net->stat.datagrams_in++;
    if (!kdnet_cipher_is_plausible(datagram, len_bytes))
        net->stat.unauthentic++;
    else if (datagram[5] == KDNET_CHANNEL_CONTROL)
        receive_control(net, datagram, len_bytes, from, now_us);
    else
        receive_packet(net, datagram, len_bytes, now_us);
}

/**
 * kd_sim_net_get_deadline_us:
 *
 * Returns: when kd_sim_net_tick() has to be called; -1: never
 */
gint64
kd_sim_net_get_deadline_us(const KdSimNet *net)
{
    gint64 deadline_us = kd_sim_link_get_deadline_us(net->link);
    if (net->poke_deadline_us >= 0 && (deadline_us < 0 || net->poke_deadline_us < deadline_us))
        deadline_us = net->poke_deadline_us;
    return deadline_us;
}

/**
 * kd_sim_net_tick:
 *
 * Does what is due, of link and machine too.
 */
void
kd_sim_net_tick(KdSimNet *net, gint64 now_us)
{
    if (net->poke_deadline_us >= 0 && now_us >= net->poke_deadline_us)
        poke(net, now_us);
    kd_sim_link_tick(net->link, now_us);
}

/**
 * kd_sim_net_is_connected:
 *
 * Returns: whether a host has answered an offer since the boot
 */
gboolean
kd_sim_net_is_connected(const KdSimNet *net)
{
    return net->data_channel != NULL;
}

/**
 * kd_sim_net_get_boot:
 *
 * Returns: a number that is another one after each boot, as the source port shall be
 */
uint32_t
kd_sim_net_get_boot(const KdSimNet *net)
{
    return net->boot;
}

/**
 * kd_sim_net_get_link:
 *
 * Returns: (transfer none):
 */
KdSimLink *
kd_sim_net_get_link(KdSimNet *net)
{
    return net->link;
}

/**
 * kd_sim_net_get_stat:
 *
 * Returns: (transfer none):
 */
const KdSimNetStat *
kd_sim_net_get_stat(const KdSimNet *net)
{
    return &net->stat;
}

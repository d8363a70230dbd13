/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KDNET as the host's side of it, for comparing: a target whose packets no server has touched. */
#include "kd-debugger-bytes.h"
#include "kd-debugger-carrier.h"
#include "kd-debugger.h"
#include "kdnet-cipher.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define POKE_BYTES        344u
#define POKE_BOUND_PORT   86u
#define NONCE_BYTES       32u
#define HOST_NONCE        34u /* in a response */
#define CONNECTION_CHECK  12u
#define RECEIVE_BUF_BYTES (1024 * 1024)

/**
 * Session:
 * @cipher: (nullable): under the data key
 * @heard_seq: the highest of the target's
 * @said_seq: our last one
 */
typedef struct {
    KdnetCipher *cipher;
    uint64_t heard_seq;
    uint64_t said_seq;
} Session;

/**
 * Net:
 * @control: under the key of the string
 * @current: that packets are sent in
 * @offered: (nullable cipher): that the target was answered with; it is current as soon as the
 *    target has said something in it
 * @response: the last one, @nonce: to which poke
 * @peer: where the target was last
 */
typedef struct {
    KdDebuggerCarrier carrier;
    int fd;
    KdnetKey key;
    KdnetCipher *control;
    Session current;
    Session offered;
    uint8_t response[KDNET_RESPONSE_BYTES];
    uint8_t nonce[NONCE_BYTES];
    uint8_t version;
    struct sockaddr_storage peer;
    socklen_t peer_bytes;
} Net;

static gboolean
fail(GError **error, const char *what)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: %s", what, g_strerror(errno));
    return FALSE;
}

static gboolean
send_datagram(Net *net, const uint8_t *datagram, size_t len_bytes, GError **error)
{
    ssize_t n = sendto(net->fd, datagram, len_bytes, 0, (const struct sockaddr *)&net->peer,
                       net->peer_bytes);

    return n >= 0 || errno == ECONNREFUSED || fail(error, "sendto");
}

/* Nobody is there yet: the packet is lost as on a cable without a far end. */
static gboolean
send_body(Net *net, const uint8_t *body, size_t len_bytes, GError **error)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];

    if (net->current.cipher == NULL) {
        return TRUE;
    }
    return send_datagram(net, datagram,
                         kdnet_cipher_seal(net->current.cipher, net->version, KDNET_CHANNEL_DATA,
                                           ++net->current.said_seq, TRUE, body, len_bytes,
                                           datagram),
                         error);
}

static gboolean
send_packet(KdDebuggerCarrier *carrier, const KdDebuggerPacket *packet, GError **error)
{
    uint8_t frame[KD_DEBUGGER_FRAME_MAX_BYTES];
    size_t len = kd_debugger_packet_build(packet, FALSE, frame);

    return send_body((Net *)carrier, frame, len, error);
}

static gboolean
send_break_in(KdDebuggerCarrier *carrier, GError **error)
{
    uint8_t byte = KD_DEBUGGER_BREAK_IN;

    return send_body((Net *)carrier, &byte, 1, error);
}

/* ---- receiving ---- */

static void
clear_session(Session *session)
{
    g_clear_pointer(&session->cipher, kdnet_cipher_free);
    session->heard_seq = 0;
    session->said_seq = 0;
}

static gboolean
offer(Net *net, const uint8_t *nonce, GError **error)
{
    uint8_t data_key[KDNET_KEY_BYTES];

    memset(net->response, 0, sizeof net->response);
    net->response[0] = 1;
    net->response[1] = 2;
    memcpy(net->nonce, nonce, NONCE_BYTES);
    memcpy(net->response + 2, nonce, NONCE_BYTES);
    if (getrandom(net->response + HOST_NONCE, NONCE_BYTES, 0) != (ssize_t)NONCE_BYTES) {
        return fail(error, "getrandom");
    }
    kdnet_key_derive(&net->key, net->response, data_key);
    clear_session(&net->offered);
    net->offered.cipher = kdnet_cipher_new(data_key, net->key.hmac);
    memset(data_key, 0, sizeof data_key);
    return TRUE;
}

/* A target that has no session is answered; the same poke once more with the same words. */
static gboolean
take_poke(Net *net, const KdnetOpened *opened, GError **error)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    const uint8_t *nonce = opened->body + 2;

    if (opened->is_from_host || opened->body_bytes < POKE_BYTES || opened->body[0] != 1 ||
        opened->body[1] != 1 ||
        (net->current.cipher != NULL && kd_debugger_get16(opened->body + POKE_BOUND_PORT) != 0)) {
        return TRUE;
    }
    if ((net->offered.cipher == NULL || memcmp(nonce, net->nonce, NONCE_BYTES) != 0) &&
        !offer(net, nonce, error)) {
        return FALSE;
    }
    net->version = opened->version;
    return send_datagram(net, datagram,
                         kdnet_cipher_seal(net->control, opened->version, KDNET_CHANNEL_CONTROL,
                                           opened->seq, TRUE, net->response, KDNET_RESPONSE_BYTES,
                                           datagram),
                         error);
}

static gboolean
open_in(Session *session, const uint8_t *datagram, size_t len_bytes, KdnetOpened *opened)
{
    return session->cipher != NULL &&
           kdnet_cipher_open(session->cipher, datagram, len_bytes, opened) &&
           opened->channel == KDNET_CHANNEL_DATA && !opened->is_from_host &&
           opened->seq > session->heard_seq;
}

static KdDebuggerHeard
take_body(Session *session, const KdnetOpened *opened, KdDebuggerPacket *packet)
{
    session->heard_seq = opened->seq;
    if (opened->body_bytes >= CONNECTION_CHECK && kd_debugger_get64(opened->body) == 0) {
        return KD_DEBUGGER_HEARD_NOTHING;
    }
    return kd_debugger_packet_parse(opened->body, opened->body_bytes, packet)
               ? KD_DEBUGGER_HEARD_PACKET
               : KD_DEBUGGER_HEARD_DAMAGE;
}

/* One datagram; NOTHING: it was none for the caller. */
static KdDebuggerHeard
take_datagram(Net *net, const uint8_t *datagram, size_t len_bytes, KdDebuggerPacket *packet,
              GError **error)
{
    KdnetOpened opened;

    if (!kdnet_cipher_is_plausible(datagram, len_bytes)) {
        return KD_DEBUGGER_HEARD_NOTHING;
    }
    if (datagram[5] == KDNET_CHANNEL_CONTROL) {
        if (!kdnet_cipher_open(net->control, datagram, len_bytes, &opened)) {
            return KD_DEBUGGER_HEARD_NOTHING;
        }
        return take_poke(net, &opened, error) ? KD_DEBUGGER_HEARD_NOTHING : KD_DEBUGGER_HEARD_ERROR;
    }
    if (open_in(&net->current, datagram, len_bytes, &opened)) {
        return take_body(&net->current, &opened, packet);
    }
    if (open_in(&net->offered, datagram, len_bytes, &opened)) {
        clear_session(&net->current);
        net->current = net->offered;
        net->offered = (Session){0};
        net->current.heard_seq = opened.seq;
        (void)take_body(&net->current, &opened, packet); /* the connection check */
        return KD_DEBUGGER_HEARD_RESTART;
    }
    return KD_DEBUGGER_HEARD_NOTHING;
}

static KdDebuggerHeard
receive(KdDebuggerCarrier *carrier, gint64 deadline_us, KdDebuggerPacket *packet, GError **error)
{
    Net *net = (Net *)carrier;
    KdDebuggerHeard heard = KD_DEBUGGER_HEARD_NOTHING;

    while (heard == KD_DEBUGGER_HEARD_NOTHING) {
        uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
        struct sockaddr_storage from;
        socklen_t from_bytes = sizeof from;
        ssize_t n;

        if (!kd_debugger_carrier_poll(net->fd, POLLIN, deadline_us)) {
            return KD_DEBUGGER_HEARD_NOTHING;
        }
        n = recvfrom(net->fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &from_bytes);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) {
            (void)fail(error, "recvfrom");
            return KD_DEBUGGER_HEARD_ERROR;
        }
        if (n > 0) {
            net->peer = from;
            net->peer_bytes = from_bytes;
            heard = take_datagram(net, datagram, (size_t)n, packet, error);
        }
    }
    return heard;
}

/* ---- making one ---- */

static void
free_net(KdDebuggerCarrier *carrier)
{
    Net *net = (Net *)carrier;

    if (net->fd >= 0) {
        close(net->fd);
    }
    clear_session(&net->current);
    clear_session(&net->offered);
    g_clear_pointer(&net->control, kdnet_cipher_free);
    kdnet_key_clear(&net->key);
    g_free(net);
}

static gboolean
bind_port(Net *net, uint16_t port, GError **error)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons(port)};
    int bytes = RECEIVE_BUF_BYTES;
    int off = 0;

    net->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (net->fd < 0) {
        return fail(error, "socket");
    }
    (void)setsockopt(net->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    (void)setsockopt(net->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return bind(net->fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
           fail(error, "bind");
}

/**
 * kd_debugger_carrier_new_net:
 * @port: UDP; 0: any that is free
 * @key: w.x.y.z
 *
 * Returns: (transfer full): the carrier, or %NULL: the port cannot be had, or the key is none
 */
KdDebuggerCarrier *
kd_debugger_carrier_new_net(uint16_t port, const char *key, GError **error)
{
    Net *net = g_new0(Net, 1);

    net->carrier.send = send_packet;
    net->carrier.send_break_in = send_break_in;
    net->carrier.receive = receive;
    net->carrier.free = free_net;
    net->fd = -1;
    if (!kdnet_key_parse(key, &net->key, error) || !bind_port(net, port, error)) {
        free_net(&net->carrier);
        return NULL;
    }
    net->control = kdnet_cipher_new(net->key.control, net->key.hmac);
    return &net->carrier;
}

/**
 * kd_debugger_carrier_get_net_port:
 * @carrier: of KDNET
 *
 * Returns: its UDP port
 */
uint16_t
kd_debugger_carrier_get_net_port(const KdDebuggerCarrier *carrier)
{
    const Net *net = (const Net *)carrier;
    struct sockaddr_in6 address = {0};
    socklen_t address_bytes = sizeof address;

    return getsockname(net->fd, (struct sockaddr *)&address, &address_bytes) == 0
               ? ntohs(address.sin6_port)
               : 0;
}

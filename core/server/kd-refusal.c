/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one thing that is said to a client that gets no session. */
#include "kd-refusal.h"

#include "kd-endpoint.h"
#include "kd-framing.h"
#include "kd-tls-handshake.h"

#include <sys/socket.h>

static void
say(const KdEndpoint *endpoint, const GByteArray *bytes)
{
    uint8_t unread[1024];

    if (endpoint->ops != NULL) {
        (void)endpoint->ops->write(endpoint->stream, bytes->data, bytes->len);
        return;
    }
    (void)send(endpoint->fd, bytes->data, bytes->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(endpoint->fd, SHUT_WR);
    /* What the client has said already must be read, or closing would reset the connection before
     * the client has read why. */
    (void)recv(endpoint->fd, unread, sizeof unread, MSG_DONTWAIT);
}

/**
 * kd_refusal_send:
 * @endpoint: on which nothing was said yet; closed and made empty
 * @door: (nullable): what guards the transport; with TLS all that is said is an alert
 * @code: why
 * @retry_after_s: when it makes sense to come again; 0 = nothing is said
 * @text: why, in one sentence
 *
 * Says why in one go and hangs up; whoever is refused costs nothing afterwards.
 */
void
kd_refusal_send(KdEndpoint *endpoint, const KdDoor *door, KdCloseCode code, uint32_t retry_after_s,
                const char *text)
{
    KdFraming *framing;
    KdClose close = {.code = code, .retry_after_s = retry_after_s, .text = (char *)text};
    g_autoptr(GBytes) payload = NULL;

    if (door != NULL && kd_door_get_tls(door) != NULL) {
        kd_tls_refuse(endpoint);
        kd_endpoint_clear(endpoint);
        return;
    }
    framing = kd_framing_new(KD_ROLE_SERVER);
    payload = kd_close_build(&close);
    kd_framing_queue_preamble(framing);
    kd_framing_queue(framing, KD_FRAME_CLOSE, g_bytes_get_data(payload, NULL),
                     g_bytes_get_size(payload));
    say(endpoint, framing->out);
    kd_framing_free(framing);
    kd_endpoint_clear(endpoint);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of the session protocol that waits for each answer, and can be told to misbehave. */
#include "kd-e2e-protocol.h"

#include <string.h>
#include <unistd.h>

/**
 * kd_e2e_client_new:
 * @fd: (transfer full): connected to the server
 *
 * Returns: (transfer full): a client that has said nothing yet
 */
KdE2eClient *
kd_e2e_client_new(int fd)
{
    KdE2eClient *client = g_new0(KdE2eClient, 1);

    client->fd = fd;
    client->heard = g_byte_array_new();
    return client;
}

/**
 * kd_e2e_client_free:
 * @client: (nullable): a client
 *
 * Hangs up.
 */
void
kd_e2e_client_free(KdE2eClient *client)
{
    if (client == NULL) {
        return;
    }
    close(client->fd);
    g_byte_array_unref(client->heard);
    g_clear_pointer(&client->opened, kd_opened_free);
    g_free(client);
}

/* ---- saying ---- */

/**
 * kd_e2e_client_send_preamble:
 * @major: of the protocol
 *
 * Says the first bytes.
 */
void
kd_e2e_client_send_preamble(KdE2eClient *client, uint16_t major)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];

    kd_preamble_store(preamble, KD_ROLE_CLIENT, major, KD_PROTOCOL_MINOR);
    kd_e2e_write(client->fd, preamble, sizeof preamble);
}

static void
send_frame(KdE2eClient *client, KdFrameType type, const void *payload, gsize len)
{
    KdFrameHeader header = {
        .type = (uint8_t)type, .length = (uint32_t)len, .ack = client->received};
    g_autofree uint8_t *bytes = g_malloc(KD_HEADER_BYTES + len);

    client->reported = client->received;
    kd_frame_header_store(bytes, &header);
    if (len > 0) {
        memcpy(bytes + KD_HEADER_BYTES, payload, len);
    }
    kd_e2e_write(client->fd, bytes, KD_HEADER_BYTES + len);
}

/**
 * kd_e2e_client_send:
 * @payload: (transfer full) (nullable): as built by kd-message.h
 *
 * Says one frame.
 */
void
kd_e2e_client_send(KdE2eClient *client, KdFrameType type, GBytes *payload)
{
    gsize len = 0;
    const void *bytes = payload != NULL ? g_bytes_get_data(payload, &len) : NULL;

    send_frame(client, type, bytes, len);
    g_clear_pointer(&payload, g_bytes_unref);
}

/**
 * kd_e2e_client_send_data:
 *
 * Says bytes for the link, in one frame; the credit is the caller's business.
 */
void
kd_e2e_client_send_data(KdE2eClient *client, const void *buf, gsize len)
{
    send_frame(client, KD_FRAME_DATA, buf, len);
    client->sent += len;
}

/**
 * kd_e2e_client_control:
 *
 * Asks for a control operation; what it says about the bytes sent is filled in.
 */
void
kd_e2e_client_control(KdE2eClient *client, const KdControl *control)
{
    KdControl own = *control;

    own.at = client->sent;
    kd_e2e_client_send(client, KD_FRAME_CONTROL, kd_control_build(&own));
}

/**
 * kd_e2e_client_finish:
 *
 * Ends the client's direction.
 */
void
kd_e2e_client_finish(KdE2eClient *client)
{
    kd_e2e_client_send(client, KD_FRAME_FIN, kd_fin_build(client->sent));
}

/* ---- hearing ---- */

static void
take_data(KdE2eClient *client, GBytes *payload)
{
    gsize len = 0;
    const void *bytes = g_bytes_get_data(payload, &len);

    g_byte_array_append(client->heard, bytes, (guint)len);
    client->received += len;
    if (client->received - client->reported >= KD_WINDOW_BYTES / 4) {
        kd_e2e_client_send(client, KD_FRAME_ACK, NULL);
    }
}

/**
 * kd_e2e_client_read:
 * @payload: (out) (transfer full): of the frame
 *
 * Reads one frame; PING is answered, bytes of the link are kept.
 *
 * Returns: its type
 */
uint8_t
kd_e2e_client_read(KdE2eClient *client, GBytes **payload)
{
    uint8_t bytes[KD_HEADER_BYTES];
    KdFrameHeader header;
    uint8_t *content;

    kd_e2e_read(client->fd, bytes, sizeof bytes);
    kd_frame_header_load(&header, bytes);
    g_assert_cmpuint(header.length, <=, KD_MAX_DATA_BYTES);
    g_assert_cmpuint(header.ack, >=, client->acked);
    g_assert_cmpuint(header.ack, <=, client->sent);
    client->acked = header.ack;
    content = g_malloc(header.length + 1);
    kd_e2e_read(client->fd, content, header.length);
    *payload = g_bytes_new_take(content, header.length);
    if (header.type == KD_FRAME_PING) {
        kd_e2e_client_send(client, KD_FRAME_PONG, g_bytes_ref(*payload));
    } else if (header.type == KD_FRAME_DATA) {
        take_data(client, *payload);
    }
    return header.type;
}

static KdClose *
parse_close(GBytes *payload)
{
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    const uint8_t *bytes = g_bytes_get_data(payload, &len);
    KdClose *said = kd_close_parse(bytes, len, &error);

    g_assert_no_error(error);
    return said;
}

/**
 * kd_e2e_client_await:
 *
 * Reads until a frame of that type comes. A CLOSE instead is a failure.
 *
 * Returns: (transfer full): its payload
 */
GBytes *
kd_e2e_client_await(KdE2eClient *client, KdFrameType type)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    for (;;) {
        g_autoptr(GBytes) payload = NULL;
        uint8_t heard = kd_e2e_client_read(client, &payload);

        if (heard == type) {
            return g_steal_pointer(&payload);
        }
        /* A session in which nothing happens is not silent: it is pinged. */
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
        if (heard == KD_FRAME_CLOSE) {
            g_autoptr(KdClose) said = parse_close(payload);

            g_error("the server has closed with %u: %s", said->code, said->text);
        }
    }
}

/**
 * kd_e2e_client_await_close:
 *
 * Returns: (transfer full): why the server has ended the session
 */
KdClose *
kd_e2e_client_await_close(KdE2eClient *client)
{
    g_autoptr(GBytes) payload = kd_e2e_client_await(client, KD_FRAME_CLOSE);

    return parse_close(payload);
}

/**
 * kd_e2e_client_await_result:
 *
 * Returns: (transfer full): the answer to a control operation
 */
KdResult *
kd_e2e_client_await_result(KdE2eClient *client)
{
    g_autoptr(GBytes) payload = kd_e2e_client_await(client, KD_FRAME_RESULT);
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    const uint8_t *bytes = g_bytes_get_data(payload, &len);
    KdResult *result = kd_result_parse(bytes, len, &error);

    g_assert_no_error(error);
    return result;
}

/**
 * kd_e2e_client_await_data:
 *
 * Waits for exactly these bytes of the link, behind those that were awaited before.
 */
void
kd_e2e_client_await_data(KdE2eClient *client, const char *text)
{
    while (client->heard->len < strlen(text)) {
        g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_DATA));
    }
    g_assert_cmpint(memcmp(client->heard->data, text, strlen(text)), ==, 0);
    g_byte_array_remove_range(client->heard, 0, (guint)strlen(text));
}

/* ---- the way in ---- */

/**
 * kd_e2e_client_log_in:
 *
 * Says who it is and is let in.
 */
void
kd_e2e_client_log_in(KdE2eClient *client)
{
    KdHello hello = {
        .window = KD_WINDOW_BYTES,
        .max_data_bytes = KD_MAX_DATA_BYTES,
        .software = (char *)"e2e",
    };
    KdAuth auth = {.mechanism = (char *)"none"};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) said = NULL;
    g_autoptr(GBytes) let_in = NULL;
    g_autoptr(KdHello) theirs = NULL;
    uint8_t preamble[KD_PREAMBLE_BYTES];
    uint16_t major = 0;
    uint16_t minor = 0;
    gsize len = 0;
    const uint8_t *bytes;

    kd_e2e_client_send_preamble(client, KD_PROTOCOL_MAJOR);
    kd_e2e_read(client->fd, preamble, sizeof preamble);
    g_assert_true(kd_preamble_load(preamble, KD_ROLE_SERVER, &major, &minor, &error));
    g_assert_cmpuint(major, ==, KD_PROTOCOL_MAJOR);
    kd_e2e_client_send(client, KD_FRAME_HELLO, kd_hello_build(&hello));
    said = kd_e2e_client_await(client, KD_FRAME_HELLO);
    bytes = g_bytes_get_data(said, &len);
    theirs = kd_hello_parse(bytes, len, &error);
    g_assert_no_error(error);
    client->window = theirs->window;
    kd_e2e_client_send(client, KD_FRAME_AUTH, kd_auth_build(&auth));
    let_in = kd_e2e_client_await(client, KD_FRAME_AUTH);
}

/**
 * kd_e2e_client_ask:
 * @identity: (nullable): who it says it is
 *
 * Logs in and asks for a link; the answer is the caller's to read.
 */
void
kd_e2e_client_ask(KdE2eClient *client, const char *trans, const char *identity)
{
    KdOpen open = {.trans = (char *)trans, .identity = (char *)identity};

    kd_e2e_client_log_in(client);
    kd_e2e_client_send(client, KD_FRAME_OPEN, kd_open_build(&open));
}

/**
 * kd_e2e_client_open:
 *
 * Logs in and gets a link.
 */
void
kd_e2e_client_open(KdE2eClient *client, const char *trans)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) payload = NULL;
    gsize len = 0;
    const uint8_t *bytes;

    kd_e2e_client_ask(client, trans, "LAB\\tester");
    payload = kd_e2e_client_await(client, KD_FRAME_OPENED);
    bytes = g_bytes_get_data(payload, &len);
    client->opened = kd_opened_parse(bytes, len, &error);
    g_assert_no_error(error);
}

/**
 * kd_e2e_client_new_open:
 * @port: of the server
 *
 * Returns: (transfer full): a client that has a link
 */
KdE2eClient *
kd_e2e_client_new_open(guint port, const char *trans)
{
    KdE2eClient *client = kd_e2e_client_new(kd_e2e_dial(NULL, port));

    kd_e2e_client_open(client, trans);
    return client;
}

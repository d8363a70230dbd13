/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of a session in a test: speaks frames by hand, over a socket or a plugin's stream. */
#include "kd-test-client.h"

#include "kd-test-peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING_BYTES (64u * 1024u)

static void
on_stream_ended(KdRingStream *ring, void *user)
{
    KdTestClient *client = user;

    (void)ring;
    client->has_ended = TRUE;
}

/* The rest that the session wrote can still be read here, as from a socket. */
static void
on_stream_gone(KdRingStream *ring, void *user)
{
    KdTestClient *client = user;

    (void)ring;
    kd_test_client_read(client);
    client->has_ended = TRUE;
    client->ring = NULL;
}

static const KdRingStreamFuncs stream_funcs = {
    .ended = on_stream_ended,
    .gone = on_stream_gone,
};

/**
 * kd_test_client_init:
 * @client: any bytes
 * @is_stream: over a plugin's stream rather than over a socket
 * @endpoint: (out caller-allocates): the session's end
 */
void
kd_test_client_init(KdTestClient *client, gboolean is_stream, KdEndpoint *endpoint)
{
    int fds[2] = {-1, -1};

    kd_endpoint_init(endpoint);
    if (!is_stream) {
        kd_test_pair(fds);
        kd_endpoint_take_fd(endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    }
    kd_test_client_init_fd(client, fds[0]);
    if (is_stream) {
        client->ring = kd_ring_stream_new(RING_BYTES, RING_BYTES, &stream_funcs, client);
        kd_ring_stream_give(client->ring, endpoint, KD_ENDPOINT_HALF_CLOSE, NULL);
    }
}

/**
 * kd_test_client_init_fd:
 * @client: any bytes
 * @fd: non-blocking, or -1; the client's from now on
 */
void
kd_test_client_init_fd(KdTestClient *client, int fd)
{
    *client = (KdTestClient){.fd = fd, .in = g_byte_array_new(), .bytes = g_byte_array_new()};
    kd_endpoint_init(&client->far);
}

static void
on_far_ready(void *user, uint32_t ready)
{
    (void)user;
    (void)ready;
}

/**
 * kd_test_client_init_far:
 * @client: any bytes
 * @endpoint: (transfer full): a plugin's stream, left empty
 */
void
kd_test_client_init_far(KdTestClient *client, KdEndpoint *endpoint)
{
    kd_test_client_init_fd(client, -1);
    client->far = *endpoint;
    kd_endpoint_init(endpoint);
    client->far.ops->set_ready(client->far.stream, on_far_ready, NULL);
}

/**
 * kd_test_client_vanish:
 * @client: a client, maybe gone already
 *
 * Ends the connection without a word.
 */
void
kd_test_client_vanish(KdTestClient *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
    kd_endpoint_clear(&client->far);
    if (client->ring != NULL) {
        kd_ring_stream_end(client->ring, ECONNRESET);
        kd_ring_stream_detach(client->ring);
        client->ring = NULL;
    }
}

/**
 * kd_test_client_clear:
 * @client: a client, or a cleared one
 *
 * Ends the connection and frees what the client holds.
 */
void
kd_test_client_clear(KdTestClient *client)
{
    if (client->in == NULL) {
        return;
    }
    kd_test_client_vanish(client);
    g_clear_pointer(&client->in, g_byte_array_unref);
    g_clear_pointer(&client->bytes, g_byte_array_unref);
}

/* Bytes taken, 0 when there is no room. What goes to nobody is taken. */
static size_t
offer(KdTestClient *client, const uint8_t *bytes, size_t len)
{
    gssize n;

    if (client->ring != NULL) {
        return kd_ring_stream_put(client->ring, bytes, len);
    }
    if (client->far.stream != NULL) {
        n = client->far.ops->write(client->far.stream, bytes, len);
        return n >= 0 ? (size_t)n : n == -EAGAIN ? 0 : len;
    }
    if (client->fd < 0) {
        return len;
    }
    n = send(client->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
        return (size_t)n;
    }
    return errno == EAGAIN ? 0 : len;
}

/**
 * kd_test_client_cork:
 * @client: a client
 *
 * Collects what is said from now on.
 */
void
kd_test_client_cork(KdTestClient *client)
{
    client->cork = g_byte_array_new();
}

/**
 * kd_test_client_uncork:
 * @client: a corked client
 *
 * Says what was collected in one write.
 */
void
kd_test_client_uncork(KdTestClient *client)
{
    g_autoptr(GByteArray) cork = g_steal_pointer(&client->cork);

    kd_test_client_say(client, cork->data, cork->len);
}

/**
 * kd_test_client_say:
 * @client: a client
 * @bytes: as they are
 * @len: of @bytes
 *
 * Sends bytes; the main context turns while there is no room.
 */
void
kd_test_client_say(KdTestClient *client, const void *bytes, size_t len)
{
    const uint8_t *next = bytes;
    gint64 end_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

    if (client->cork != NULL) {
        g_byte_array_append(client->cork, bytes, (guint)len);
        return;
    }
    while (len > 0) {
        size_t n = offer(client, next, len);

        if (n == 0) {
            g_assert_cmpint(g_get_monotonic_time(), <, end_us);
            g_main_context_iteration(NULL, FALSE);
        }
        next += n;
        len -= n;
    }
}

/**
 * kd_test_client_send:
 * @client: a client
 * @type: of the frame
 * @payload: (transfer full) (nullable): of the frame
 *
 * Sends a frame in one write.
 */
void
kd_test_client_send(KdTestClient *client, KdFrameType type, GBytes *payload)
{
    gsize len = payload != NULL ? g_bytes_get_size(payload) : 0;
    KdFrameHeader header = {.type = (uint8_t)type, .length = (uint32_t)len, .ack = client->ack};
    g_autoptr(GByteArray) frame = g_byte_array_new();
    uint8_t head[KD_HEADER_BYTES];

    kd_frame_header_store(head, &header);
    g_byte_array_append(frame, head, sizeof head);
    if (len > 0) {
        g_byte_array_append(frame, g_bytes_get_data(payload, NULL), (guint)len);
    }
    g_clear_pointer(&payload, g_bytes_unref);
    kd_test_client_say(client, frame->data, frame->len);
}

/**
 * kd_test_client_send_preamble:
 * @client: a client
 * @major: of the protocol that it speaks
 */
void
kd_test_client_send_preamble(KdTestClient *client, uint16_t major)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];

    kd_preamble_store(preamble, KD_ROLE_CLIENT, major, 7);
    kd_test_client_say(client, preamble, sizeof preamble);
}

/**
 * kd_test_client_send_hello:
 * @client: a client; takes windows of the default size, and knows all features
 */
void
kd_test_client_send_hello(KdTestClient *client)
{
    static const char *const features[] = {"of-later", KD_FEATURE_LIST, NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .features = (char **)features};

    kd_test_client_send(client, KD_FRAME_HELLO, kd_hello_build(&hello));
}

/**
 * kd_test_client_expect_listed:
 * @client: a client
 *
 * Returns: (transfer full): the next LISTED
 */
KdListed *
kd_test_client_expect_listed(KdTestClient *client)
{
    g_autoptr(GBytes) payload = kd_test_client_expect(client, KD_FRAME_LISTED);
    g_autoptr(GError) error = NULL;
    KdListed *listed =
        kd_listed_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), &error);

    g_assert_no_error(error);
    return listed;
}

/**
 * kd_test_client_send_auth:
 * @client: a client
 * @mechanism: of its choice
 */
void
kd_test_client_send_auth(KdTestClient *client, const char *mechanism)
{
    KdAuth auth = {.mechanism = (char *)mechanism};

    kd_test_client_send(client, KD_FRAME_AUTH, kd_auth_build(&auth));
}

/**
 * kd_test_client_send_open:
 * @client: a client
 * @trans: the link's string
 */
void
kd_test_client_send_open(KdTestClient *client, const char *trans)
{
    KdOpen request = {.trans = (char *)trans, .identity = (char *)"LAB\\ann"};

    kd_test_client_send(client, KD_FRAME_OPEN, kd_open_build(&request));
}

/**
 * kd_test_client_send_bytes:
 * @client: a client
 * @bytes: for the target
 * @len: of @bytes; within the window
 *
 * Sends bytes as DATA of at most %KD_MAX_DATA_BYTES each.
 */
void
kd_test_client_send_bytes(KdTestClient *client, const void *bytes, size_t len)
{
    const uint8_t *next = bytes;

    while (len > 0) {
        size_t n = MIN(len, KD_MAX_DATA_BYTES);

        client->sent += n;
        kd_test_client_send(client, KD_FRAME_DATA, g_bytes_new(next, n));
        next += n;
        len -= n;
    }
}

/**
 * kd_test_client_send_fin:
 * @client: a client; has no more DATA
 */
void
kd_test_client_send_fin(KdTestClient *client)
{
    kd_test_client_send(client, KD_FRAME_FIN, kd_fin_build(client->sent));
}

/**
 * kd_test_client_send_close:
 * @client: a client; wants to end in good order
 */
void
kd_test_client_send_close(KdTestClient *client)
{
    KdClose done = {.code = KD_CLOSE_NORMAL, .text = (char *)"done"};

    kd_test_client_send(client, KD_FRAME_CLOSE, kd_close_build(&done));
}

/**
 * kd_test_client_send_control:
 * @client: a client
 * @id: of the operation
 * @op: KD_CONTROL_*
 * @is_urgent: does not wait for the bytes before it
 */
void
kd_test_client_send_control(KdTestClient *client, uint32_t id, uint16_t op, gboolean is_urgent)
{
    KdControl control = {.id = id, .op = op, .is_urgent = is_urgent, .at = client->sent};

    kd_test_client_send(client, KD_FRAME_CONTROL, kd_control_build(&control));
}

/**
 * kd_test_client_read:
 * @client: a client
 *
 * Reads what is there, without taking it apart.
 */
void
kd_test_client_read(KdTestClient *client)
{
    uint8_t buf[16384];

    if (client->ring != NULL) {
        size_t n;

        while ((n = kd_ring_stream_take(client->ring, buf, sizeof buf)) > 0) {
            g_byte_array_append(client->in, buf, (guint)n);
        }
    } else if (client->far.stream != NULL) {
        gssize n;

        while ((n = client->far.ops->read(client->far.stream, buf, sizeof buf)) > 0) {
            g_byte_array_append(client->in, buf, (guint)n);
        }
        client->has_ended = client->has_ended || n != -EAGAIN;
    } else if (client->fd >= 0) {
        gssize n;

        while ((n = read(client->fd, buf, sizeof buf)) > 0) {
            g_byte_array_append(client->in, buf, (guint)n);
        }
        client->has_ended = client->has_ended || n == 0 || errno != EAGAIN;
    }
}

static void
take_preamble(KdTestClient *client)
{
    g_autoptr(GError) error = NULL;
    uint16_t major = 0;
    uint16_t minor = 0;

    if (client->has_preamble || client->in->len < KD_PREAMBLE_BYTES) {
        return;
    }
    g_assert_true(kd_preamble_load(client->in->data, KD_ROLE_SERVER, &major, &minor, &error));
    g_assert_no_error(error);
    g_byte_array_remove_range(client->in, 0, KD_PREAMBLE_BYTES);
    client->has_preamble = TRUE;
}

/**
 * kd_test_client_take:
 * @client: a client
 * @header: (out): of the frame
 * @payload: (out): of the frame
 *
 * Takes a frame apart. Bytes of DATA are kept, and will be acknowledged by the next frame.
 *
 * Returns: whether a whole one has come
 */
gboolean
kd_test_client_take(KdTestClient *client, KdFrameHeader *header, GBytes **payload)
{
    kd_test_client_read(client);
    take_preamble(client);
    if (!client->has_preamble || client->in->len < KD_HEADER_BYTES) {
        return FALSE;
    }
    kd_frame_header_load(header, client->in->data);
    g_assert_cmpuint(header->length, <=, KD_MAX_DATA_BYTES);
    if (client->in->len < KD_HEADER_BYTES + header->length) {
        return FALSE;
    }
    g_assert_cmpuint(header->ack, <=, client->sent);
    *payload = g_bytes_new(client->in->data + KD_HEADER_BYTES, header->length);
    g_byte_array_remove_range(client->in, 0, KD_HEADER_BYTES + header->length);
    client->n_frames++;
    if (header->type == KD_FRAME_DATA) {
        g_byte_array_append(client->bytes, g_bytes_get_data(*payload, NULL), header->length);
        client->ack += header->length;
    }
    return TRUE;
}

/* The next frame that is no DATA, ACK or PING. */
static GBytes *
await_frame(KdTestClient *client, KdFrameHeader *header)
{
    for (;;) {
        g_autoptr(GBytes) payload = NULL;

        KD_AWAIT(kd_test_client_take(client, header, &payload));
        if (header->type != KD_FRAME_DATA && header->type != KD_FRAME_ACK &&
            header->type != KD_FRAME_PING) {
            return g_steal_pointer(&payload);
        }
    }
}

/**
 * kd_test_client_expect:
 * @client: a client
 * @type: the next frame other than DATA, ACK and PING must be of this type
 *
 * Waits for a frame.
 *
 * Returns: (transfer full): its payload
 */
GBytes *
kd_test_client_expect(KdTestClient *client, KdFrameType type)
{
    KdFrameHeader header;
    GBytes *payload = await_frame(client, &header);

    if (header.type == KD_FRAME_CLOSE && type != KD_FRAME_CLOSE) {
        g_autoptr(KdClose) why =
            kd_close_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), NULL);

        g_test_message("closed: %u %s", why->code, why->text);
    }
    g_assert_cmpstr(kd_frame_get_name(header.type), ==, kd_frame_get_name((uint8_t)type));
    return payload;
}

/**
 * kd_test_client_expect_close:
 * @client: a client
 * @code: of the CLOSE
 *
 * Waits for CLOSE, and that it is the last thing the server says.
 *
 * Returns: (transfer full): what it says
 */
KdClose *
kd_test_client_expect_close(KdTestClient *client, KdCloseCode code)
{
    g_autoptr(GBytes) payload = kd_test_client_expect(client, KD_FRAME_CLOSE);
    g_autoptr(GError) error = NULL;
    KdClose *why =
        kd_close_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), &error);

    g_assert_no_error(error);
    g_test_message("closed: %u %s", why->code, why->text);
    g_assert_cmpuint(why->code, ==, code);
    KD_AWAIT((kd_test_client_read(client), client->has_ended));
    g_assert_cmpuint(client->in->len, ==, 0);
    return why;
}

/**
 * kd_test_client_expect_result:
 * @client: a client
 * @id: of the operation
 *
 * Returns: (transfer full): the next RESULT
 */
KdResult *
kd_test_client_expect_result(KdTestClient *client, uint32_t id)
{
    g_autoptr(GBytes) payload = kd_test_client_expect(client, KD_FRAME_RESULT);
    KdResult *result =
        kd_result_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), NULL);

    g_assert_nonnull(result);
    g_assert_cmpuint(result->id, ==, id);
    return result;
}

/**
 * kd_test_client_expect_event:
 * @client: a client
 * @kind: KD_EVENT_*
 *
 * Waits for an EVENT, which must stand at the place among the bytes that it names.
 */
void
kd_test_client_expect_event(KdTestClient *client, uint16_t kind)
{
    g_autoptr(GBytes) payload = kd_test_client_expect(client, KD_FRAME_EVENT);
    g_autoptr(KdEvent) event =
        kd_event_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), NULL);

    g_assert_nonnull(event);
    g_assert_cmpuint(event->kind, ==, kind);
    g_assert_cmpuint(event->at, ==, client->ack);
}

/**
 * kd_test_client_await_data:
 * @client: a client
 * @len: so many bytes in all
 *
 * Waits for bytes of the target; nothing else but ACK and PING may come.
 */
void
kd_test_client_await_data(KdTestClient *client, guint len)
{
    while (client->bytes->len < len) {
        g_autoptr(GBytes) payload = NULL;
        KdFrameHeader header;

        KD_AWAIT(kd_test_client_take(client, &header, &payload));
        g_assert_true(header.type == KD_FRAME_DATA || header.type == KD_FRAME_ACK ||
                      header.type == KD_FRAME_PING);
        if (header.type == KD_FRAME_DATA) {
            kd_test_client_send(client, KD_FRAME_ACK, NULL);
        }
    }
}

/**
 * kd_test_client_expect_bytes:
 * @client: a client
 * @bytes: all that the target has said since the last call
 */
void
kd_test_client_expect_bytes(KdTestClient *client, const char *bytes)
{
    kd_test_client_await_data(client, (guint)strlen(bytes));
    g_assert_cmpmem(client->bytes->data, client->bytes->len, bytes, (guint)strlen(bytes));
    g_byte_array_set_size(client->bytes, 0);
}

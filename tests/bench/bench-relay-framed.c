/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-relay-framed: the least that a server of the session protocol can do.
 *
 * Listens on a TCP port of the kernel's choice on 127.0.0.1, lets everybody in, and knows one link,
 * `com:pipe,port=PATH`. A thread for each session, no limits, and writes that wait: no model for a
 * product, but the limit of what framing costs, and somebody for kd-bench's client to talk to. */
#include "bench-socket.h"

#include <kd-credit.h>
#include <kd-frame.h>
#include <kd-message.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPACE_BYTES (KD_HEADER_BYTES + KD_MAX_DATA_BYTES)

typedef struct {
    int front;
    int back;
    KdCredit credit;
    uint32_t peer_max_data_bytes;
    uint8_t in[SPACE_BYTES];
    size_t at;
    size_t end;
    uint32_t payload_left;
    uint8_t out[SPACE_BYTES];
} Session;

static gboolean
write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n <= 0) {
            return FALSE;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return TRUE;
}

static gboolean
send_frame(Session *session, uint8_t type, GBytes *payload)
{
    gsize len = 0;
    const void *bytes = payload != NULL ? g_bytes_get_data(payload, &len) : NULL;
    KdFrameHeader header = {
        .type = type, .length = (uint32_t)len, .ack = kd_credit_report(&session->credit)};

    kd_frame_header_store(session->out, &header);
    if (len > 0) {
        memcpy(session->out + KD_HEADER_BYTES, bytes, len);
    }
    return write_all(session->front, session->out, KD_HEADER_BYTES + len);
}

static gboolean
fill(Session *session)
{
    ssize_t n;

    memmove(session->in, session->in + session->at, session->end - session->at);
    session->end -= session->at;
    session->at = 0;
    n = read(session->front, session->in + session->end, SPACE_BYTES - session->end);
    session->end += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static gboolean
await_bytes(Session *session, size_t len)
{
    while (session->end - session->at < len) {
        if (len > SPACE_BYTES || !fill(session)) {
            return FALSE;
        }
    }
    return TRUE;
}

static const uint8_t *
await_frame(Session *session, uint8_t type, size_t *len)
{
    KdFrameHeader header;
    const uint8_t *payload;

    if (!await_bytes(session, KD_HEADER_BYTES)) {
        return NULL;
    }
    kd_frame_header_load(&header, session->in + session->at);
    if (header.type != type || header.length > KD_MAX_PREAUTH_BYTES ||
        !await_bytes(session, KD_HEADER_BYTES + header.length)) {
        return NULL;
    }
    payload = session->in + session->at + KD_HEADER_BYTES;
    session->at += KD_HEADER_BYTES + header.length;
    *len = header.length;
    return payload;
}

static gboolean
greet(Session *session)
{
    char *no_words[] = {NULL};
    char *mechanisms[] = {(char *)"none", NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .features = no_words,
                     .mechanisms = mechanisms};
    KdAuth done = {.is_done = TRUE};
    g_autoptr(GBytes) hello_bytes = kd_hello_build(&hello);
    g_autoptr(GBytes) done_bytes = kd_auth_build(&done);
    g_autoptr(KdHello) theirs = NULL;
    uint8_t preamble[KD_PREAMBLE_BYTES];
    const uint8_t *payload;
    uint16_t version[2];
    size_t len;

    kd_preamble_store(preamble, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    if (!write_all(session->front, preamble, sizeof preamble) ||
        !send_frame(session, KD_FRAME_HELLO, hello_bytes) ||
        !await_bytes(session, KD_PREAMBLE_BYTES) ||
        !kd_preamble_load(session->in + session->at, KD_ROLE_CLIENT, &version[0], &version[1],
                          NULL)) {
        return FALSE;
    }
    session->at += KD_PREAMBLE_BYTES;
    payload = await_frame(session, KD_FRAME_HELLO, &len);
    theirs = payload != NULL ? kd_hello_parse(payload, len, NULL) : NULL;
    if (theirs == NULL) {
        return FALSE;
    }
    session->credit.window = hello.window;
    session->credit.peer_window = theirs->window;
    session->peer_max_data_bytes = MIN(theirs->max_data_bytes, KD_MAX_DATA_BYTES);
    return await_frame(session, KD_FRAME_AUTH, &len) != NULL &&
           send_frame(session, KD_FRAME_AUTH, done_bytes);
}

static gboolean
open_link(Session *session)
{
    KdOpened opened = {.session = 1,
                       .scheme = (char *)"com",
                       .dialect = (char *)"bytes",
                       .name = (char *)"com:pipe"};
    KdClose refusal = {.code = KD_CLOSE_OPEN_FAILED, .text = (char *)"no such link"};
    g_autoptr(GBytes) opened_bytes = kd_opened_build(&opened);
    g_autoptr(GBytes) refusal_bytes = kd_close_build(&refusal);
    g_autoptr(KdOpen) request = NULL;
    BenchAddress address = {.port = 0};
    size_t len;
    const uint8_t *payload = await_frame(session, KD_FRAME_OPEN, &len);
    const char *path;

    request = payload != NULL ? kd_open_parse(payload, len, NULL) : NULL;
    path = request != NULL ? strstr(request->trans, "port=") : NULL;
    if (path != NULL) {
        g_strlcpy(address.path, path + strlen("port="), sizeof address.path);
        session->back = bench_socket_connect(&address);
    }
    if (session->back < 0) {
        (void)!send_frame(session, KD_FRAME_CLOSE, refusal_bytes);
        return FALSE;
    }
    return send_frame(session, KD_FRAME_OPENED, opened_bytes);
}

static gboolean
forward_up(Session *session)
{
    if (!fill(session)) {
        return FALSE;
    }
    for (;;) {
        size_t there = session->end - session->at;
        KdFrameHeader header;

        if (session->payload_left > 0) {
            size_t len = MIN(there, session->payload_left);

            if (!write_all(session->back, session->in + session->at, len)) {
                return FALSE;
            }
            session->at += len;
            session->payload_left -= (uint32_t)len;
            session->credit.taken += len;
            there -= len;
        }
        if (session->payload_left > 0 || there < KD_HEADER_BYTES) {
            break;
        }
        kd_frame_header_load(&header, session->in + session->at);
        session->at += KD_HEADER_BYTES;
        if (!kd_credit_take_ack(&session->credit, header.ack, NULL) ||
            (header.type != KD_FRAME_DATA && header.type != KD_FRAME_ACK) ||
            !kd_credit_receive(&session->credit, header.length, NULL)) {
            return FALSE;
        }
        session->payload_left = header.length;
    }
    return !kd_credit_is_ack_due(&session->credit) || send_frame(session, KD_FRAME_ACK, NULL);
}

static gboolean
forward_down(Session *session)
{
    uint64_t room = kd_credit_get_available(&session->credit);
    KdFrameHeader header = {.type = KD_FRAME_DATA};
    ssize_t n = read(session->back, session->out + KD_HEADER_BYTES,
                     MIN(room, session->peer_max_data_bytes));

    if (n <= 0) {
        return FALSE;
    }
    header.length = (uint32_t)n;
    header.ack = kd_credit_report(&session->credit);
    session->credit.sent += (uint64_t)n;
    kd_frame_header_store(session->out, &header);
    return write_all(session->front, session->out, KD_HEADER_BYTES + (size_t)n);
}

static gpointer
run_session(gpointer user)
{
    Session *session = user;
    gboolean is_alive = greet(session) && open_link(session);

    while (is_alive) {
        gboolean has_credit = kd_credit_get_available(&session->credit) > 0;
        struct pollfd fds[2] = {{.fd = session->front, .events = POLLIN},
                                {.fd = has_credit ? session->back : -1, .events = POLLIN}};

        is_alive = poll(fds, 2, -1) > 0;
        if (is_alive && fds[0].revents != 0) {
            is_alive = forward_up(session);
        }
        if (is_alive && fds[1].revents != 0) {
            is_alive = forward_down(session);
        }
    }
    close(session->front);
    if (session->back >= 0) {
        close(session->back);
    }
    g_free(session);
    return NULL;
}

int
main(void)
{
    BenchAddress any = {.port = 0};
    int listener = bench_socket_listen(&any);

    if (listener < 0) {
        perror("bench-relay-framed");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    bench_socket_raise_limit();
    bench_socket_set_blocking(listener, true);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            Session *session = g_new0(Session, 1);

            bench_socket_set_no_delay(fd);
            session->front = fd;
            session->back = -1;
            g_thread_unref(g_thread_new("session", run_session, session));
        }
    }
}

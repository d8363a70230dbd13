/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state machine as a table: frames with their lengths, states, and which frame may come when.
 *
 * The code, the tests and the table of PROTOCOL.md are all made from these lists. */
#pragma once

/* No fixed length: the limit of %KD_MAX_CONTROL_BYTES holds */
#define KD_WIRE_ANY KD_MAX_CONTROL_BYTES

/* X(frame, name, least payload, longest payload after authentication); DATA's is set by HELLO */
#define KD_WIRE_FRAMES(X)                       \
    X(HELLO, "HELLO", 0, KD_WIRE_ANY)           \
    X(AUTH, "AUTH", 0, KD_WIRE_ANY)             \
    X(OPEN, "OPEN", 5, KD_WIRE_ANY)             \
    X(OPENED, "OPENED", 5, KD_WIRE_ANY)         \
    X(LIST, "LIST", 0, KD_WIRE_ANY)             \
    X(LISTED, "LISTED", 0, KD_MAX_LISTED_BYTES) \
    X(END_SERVER, "END-SERVER", 0, KD_WIRE_ANY) \
    X(DATA, "DATA", 0, KD_MAX_DATA_BYTES)       \
    X(FIN, "FIN", 8, 8)                         \
    X(ACK, "ACK", 0, 0)                         \
    X(CONTROL, "CONTROL", 24, 24)               \
    X(RESULT, "RESULT", 16, KD_WIRE_ANY)        \
    X(EVENT, "EVENT", 20, KD_WIRE_ANY)          \
    X(PING, "PING", 8, 8)                       \
    X(PONG, "PONG", 8, 8)                       \
    X(CLOSE, "CLOSE", 8, KD_WIRE_ANY)

/* Named so that nobody takes their numbers; no layout yet */
#define KD_WIRE_RESERVED_FRAMES(X)            \
    X(RESUME, "RESUME", 0, KD_WIRE_ANY)       \
    X(RESUMED, "RESUMED", 0, KD_WIRE_ANY)     \
    X(TAKE_OVER, "TAKE-OVER", 0, KD_WIRE_ANY) \
    X(GOAWAY, "GOAWAY", 0, KD_WIRE_ANY)       \
    X(OBSERVE, "OBSERVE", 0, KD_WIRE_ANY)     \
    X(FENCE, "FENCE", 0, KD_WIRE_ANY)

/* X(phase, deadline in ms; 0 = none) */
#define KD_WIRE_PHASES(X) \
    X(PREAMBLE, 10000)    \
    X(HELLO, 10000)       \
    X(AUTH, 10000)        \
    X(READY, 10000)       \
    X(OPENING, 0)         \
    X(STREAMING, 0)       \
    X(CLOSED, 2000)

/* X(role of the receiver, phase of the receiver, frame, action); what is not here is refused */
#define KD_WIRE_CELLS(X)                   \
    X(SERVER, HELLO, HELLO, DELIVER)       \
    X(SERVER, HELLO, CLOSE, DELIVER)       \
    X(SERVER, AUTH, AUTH, DELIVER)         \
    X(SERVER, AUTH, CLOSE, DELIVER)        \
    X(SERVER, READY, OPEN, DELIVER)        \
    X(SERVER, READY, LIST, DELIVER)        \
    X(SERVER, READY, END_SERVER, DELIVER)  \
    X(SERVER, READY, PING, ANSWER)         \
    X(SERVER, READY, PONG, DELIVER)        \
    X(SERVER, READY, CLOSE, DELIVER)       \
    X(SERVER, OPENING, ACK, DELIVER)       \
    X(SERVER, OPENING, PING, ANSWER)       \
    X(SERVER, OPENING, PONG, DELIVER)      \
    X(SERVER, OPENING, CLOSE, DELIVER)     \
    X(SERVER, STREAMING, DATA, FORWARD)    \
    X(SERVER, STREAMING, FIN, DELIVER)     \
    X(SERVER, STREAMING, ACK, DELIVER)     \
    X(SERVER, STREAMING, CONTROL, DELIVER) \
    X(SERVER, STREAMING, PING, ANSWER)     \
    X(SERVER, STREAMING, PONG, DELIVER)    \
    X(SERVER, STREAMING, CLOSE, DELIVER)   \
    X(SERVER, CLOSED, CLOSE, SKIP)         \
    X(CLIENT, HELLO, HELLO, DELIVER)       \
    X(CLIENT, HELLO, CLOSE, DELIVER)       \
    X(CLIENT, AUTH, AUTH, DELIVER)         \
    X(CLIENT, AUTH, CLOSE, DELIVER)        \
    X(CLIENT, READY, LISTED, DELIVER)      \
    X(CLIENT, READY, PING, ANSWER)         \
    X(CLIENT, READY, PONG, DELIVER)        \
    X(CLIENT, READY, CLOSE, DELIVER)       \
    X(CLIENT, OPENING, OPENED, DELIVER)    \
    X(CLIENT, OPENING, ACK, DELIVER)       \
    X(CLIENT, OPENING, EVENT, DELIVER)     \
    X(CLIENT, OPENING, PING, ANSWER)       \
    X(CLIENT, OPENING, PONG, DELIVER)      \
    X(CLIENT, OPENING, CLOSE, DELIVER)     \
    X(CLIENT, STREAMING, DATA, FORWARD)    \
    X(CLIENT, STREAMING, FIN, DELIVER)     \
    X(CLIENT, STREAMING, ACK, DELIVER)     \
    X(CLIENT, STREAMING, RESULT, DELIVER)  \
    X(CLIENT, STREAMING, EVENT, DELIVER)   \
    X(CLIENT, STREAMING, PING, ANSWER)     \
    X(CLIENT, STREAMING, PONG, DELIVER)    \
    X(CLIENT, STREAMING, CLOSE, DELIVER)   \
    X(CLIENT, CLOSED, CLOSE, SKIP)

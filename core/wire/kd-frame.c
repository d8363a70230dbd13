/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preamble and frame header of the session protocol: bytes in, numbers out; no I/O. */
#include "kd-frame.h"

#include "kd-bytes.h"
#include "kd-wire-table.h"

#include <string.h>

/* 0x89 begins nothing else that may reach our port (TLS, HTTP, SSH, KD, RSP); the line ends and the
 * 0x1a find a carrier that treats us as text. */
static const uint8_t MAGIC[] = {0x89, 0x4b, 0x44, 0x53, 0x0d, 0x0a, 0x1a, 0x0a};

/**
 * kd_preamble_store:
 * @out: %KD_PREAMBLE_BYTES
 * @role: of the sender
 * @major: of the protocol
 * @minor: of the protocol
 *
 * Writes the first bytes that a side sends. Layout: PROTOCOL.md, Preamble.
 */
void
kd_preamble_store(uint8_t *out, KdRole role, uint16_t major, uint16_t minor)
{
    memcpy(out, MAGIC, sizeof MAGIC);
    kd_u16_store(out + 8, major);
    kd_u16_store(out + 10, minor);
    out[12] = (uint8_t)role;
    out[13] = 0;
    kd_u16_store(out + 14, 0);
}

/**
 * kd_preamble_is_tls:
 * @in: the first bytes of the peer
 * @len: of @in
 *
 * Returns: whether it speaks TLS: an alert, or a handshake (RFC 8446, 5.1); %FALSE below 3 bytes
 */
gboolean
kd_preamble_is_tls(const uint8_t *in, size_t len)
{
    return len >= 3 && (in[0] == 0x15 || in[0] == 0x16) && in[1] == 3 && in[2] <= 4;
}

/**
 * kd_preamble_load:
 * @in: %KD_PREAMBLE_BYTES
 * @expected: the role that the peer must have
 * @major: (out): of the peer; whether it is ours is for the caller to compare
 * @minor: (out): of the peer
 *
 * Reads the peer's preamble. Another major is no error here, so that the caller can answer it with
 * a CLOSE of code %KD_CLOSE_VERSION.
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL for a wrong magic, a wrong role (our own preamble sent
 * back) or a reserved byte in use
 */
gboolean
kd_preamble_load(const uint8_t *in, KdRole expected, uint16_t *major, uint16_t *minor,
                 GError **error)
{
    if (memcmp(in, MAGIC, sizeof MAGIC) != 0) {
        gboolean is_text_mode = memcmp(in, MAGIC, 4) == 0;

        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            is_text_mode ? "the way to the peer alters line ends, it must carry "
                                           "all bytes unchanged"
                            : kd_preamble_is_tls(in, KD_PREAMBLE_BYTES)
                                ? "the peer speaks TLS: use the same transport on both sides"
                                : "the peer does not speak the session protocol");
        return FALSE;
    }
    if (in[12] != (uint8_t)expected) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "the peer says it is %s, expected %s",
                    in[12] == KD_ROLE_CLIENT   ? "a client"
                    : in[12] == KD_ROLE_SERVER ? "a server"
                                               : "neither client nor server",
                    expected == KD_ROLE_CLIENT ? "a client" : "a server");
        return FALSE;
    }
    if (in[13] != 0 || in[14] != 0 || in[15] != 0) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "reserved bytes of the preamble are not zero");
        return FALSE;
    }
    *major = kd_u16_load(in + 8);
    *minor = kd_u16_load(in + 10);
    return TRUE;
}

/**
 * kd_frame_header_store:
 * @out: %KD_HEADER_BYTES
 * @header: what to write
 *
 * Writes a frame header. Layout: PROTOCOL.md, Frame header.
 */
void
kd_frame_header_store(uint8_t *out, const KdFrameHeader *header)
{
    out[0] = header->type;
    out[1] = header->flags;
    kd_u16_store(out + 2, header->channel);
    kd_u32_store(out + 4, header->length);
    kd_u64_store(out + 8, header->ack);
}

/**
 * kd_frame_header_load:
 * @header: (out): what was read, unchecked
 * @in: %KD_HEADER_BYTES
 *
 * Reads a frame header; kd_wire_receive() says whether it may be there.
 */
void
kd_frame_header_load(KdFrameHeader *header, const uint8_t *in)
{
    header->type = in[0];
    header->flags = in[1];
    header->channel = kd_u16_load(in + 2);
    header->length = kd_u32_load(in + 4);
    header->ack = kd_u64_load(in + 8);
}

/**
 * kd_frame_get_name:
 * @type: #KdFrameType, or anything
 *
 * Returns: the frame's name as PROTOCOL.md spells it, or `unknown`
 */
const char *
kd_frame_get_name(uint8_t type)
{
    switch (type) {
#define NAME_CASE(frame, name, least, most) \
    case KD_FRAME_##frame:                  \
        return name;
        KD_WIRE_FRAMES(NAME_CASE)
        KD_WIRE_RESERVED_FRAMES(NAME_CASE)
#undef NAME_CASE
    default:
        return "unknown";
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Test vectors as bytes, and payloads of any type through their parser. */
#pragma once

#include "kd-message.h"

/* Exactly as long as the bytes are, so that ASan sees a read beyond. */
static inline uint8_t *
wire_dup_hex(const char *hex, size_t *len)
{
    size_t n = strlen(hex) / 2;
    uint8_t *bytes = g_malloc(MAX(n, 1));

    for (size_t i = 0; i < n; i++)
        bytes[i] =
            (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    *len = n;
    return bytes;
}

/* Parses and frees; asserts that there is either a value or an error. Types without a layout, and
 * those whose payload is any bytes, are always accepted. */
static inline gboolean
wire_parse_any(uint8_t type, const uint8_t *payload, size_t len)
{
    g_autoptr(GError) error = NULL;
    gboolean is_accepted = TRUE;
    KdControl control = {0};
    uint64_t final_offset = 0;

    switch (type) {
#define PARSE_CASE(frame, Type, noun)                                    \
    case KD_FRAME_##frame: {                                             \
        g_autoptr(Type) value = kd_##noun##_parse(payload, len, &error); \
        is_accepted = value != NULL;                                     \
        break;                                                           \
    }
        PARSE_CASE(HELLO, KdHello, hello)
        PARSE_CASE(AUTH, KdAuth, auth)
        PARSE_CASE(OPEN, KdOpen, open)
        PARSE_CASE(OPENED, KdOpened, opened)
        PARSE_CASE(LIST, KdList, list)
        PARSE_CASE(LISTED, KdListed, listed)
        PARSE_CASE(RESULT, KdResult, result)
        PARSE_CASE(EVENT, KdEvent, event)
        PARSE_CASE(CLOSE, KdClose, close)
#undef PARSE_CASE
    case KD_FRAME_CONTROL:
        is_accepted = kd_control_parse(&control, payload, len, &error);
        break;
    case KD_FRAME_FIN:
        is_accepted = kd_fin_parse(&final_offset, payload, len, &error);
        break;
    default:
        break;
    }
    g_assert_true(is_accepted == (error == NULL));
    if (error != NULL)
        g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    return is_accepted;
}

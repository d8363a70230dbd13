/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONTROL, RESULT, EVENT, FIN, CLOSE: payloads of fixed fields, maybe with a text behind them. */
#include "kd-bytes.h"
#include "kd-message.h"
#include "kd-text.h"

#include <string.h>

#define CONTROL_BYTES 24u
#define RESULT_BYTES  16u /* and a text */
#define EVENT_BYTES   20u /* and a text */
#define CLOSE_BYTES   8u  /* and a text */
#define FIN_BYTES     8u

#define CONTROL_URGENT 1u
#define N_CONTROL_OPS  32u /* as many as the mask of OPENED has bits */

static gboolean
check_length(const char *name, size_t len, size_t min, size_t max, GError **error)
{
    if (len >= min && len <= max) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "%s of %zu bytes, expected %zu to %zu", name,
                len, min, max);
    return FALSE;
}

/* Fixed fields, and @text behind them, made fit for the peer. */
static GBytes *
build_with_text(const uint8_t *fields, size_t len, const char *text, size_t max_bytes)
{
    GByteArray *out = g_byte_array_new();

    g_byte_array_append(out, fields, (guint)len);
    if (text != NULL) {
        g_autofree char *printable =
            kd_text_dup_printable((const uint8_t *)text, strlen(text), max_bytes);

        g_byte_array_append(out, (const uint8_t *)printable, (guint)strlen(printable));
    }
    return g_byte_array_free_to_bytes(out);
}

/* Text behind fixed fields; *text is NULL where there is none. */
static gboolean
load_text(char **text, const char *name, const uint8_t *bytes, size_t len, GError **error)
{
    if (!kd_text_is_printable(bytes, len)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "text of %s is not printable", name);
        return FALSE;
    }
    *text = len > 0 ? g_strndup((const char *)bytes, len) : NULL;
    return TRUE;
}

/**
 * kd_control_build:
 *
 * Returns: (transfer full): payload of CONTROL
 */
GBytes *
kd_control_build(const KdControl *control)
{
    uint8_t out[CONTROL_BYTES];

    kd_u32_store(out, control->id);
    kd_u16_store(out + 4, control->op);
    kd_u16_store(out + 6, control->is_urgent ? CONTROL_URGENT : 0);
    kd_u64_store(out + 8, control->at);
    kd_u32_store(out + 16, control->arg);
    kd_u32_store(out + 20, control->arg2);
    return g_bytes_new(out, sizeof out);
}

/**
 * kd_control_parse:
 * @control: (out): filled on success only; its op is from 1 to 31, known or not
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL for a wrong length, reserved flags, or an op that has no
 * bit in OPENED's mask
 */
gboolean
kd_control_parse(KdControl *control, const uint8_t *payload, size_t len, GError **error)
{
    uint16_t op = 0;
    uint16_t flags = 0;

    if (!check_length("CONTROL", len, CONTROL_BYTES, CONTROL_BYTES, error)) {
        return FALSE;
    }
    op = kd_u16_load(payload + 4);
    flags = kd_u16_load(payload + 6);
    if (op == 0 || op >= N_CONTROL_OPS) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "CONTROL operation %u, expected 1 to %u",
                    op, N_CONTROL_OPS - 1);
        return FALSE;
    }
    if ((flags & ~CONTROL_URGENT) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "CONTROL with reserved flags 0x%04x",
                    flags);
        return FALSE;
    }
    *control = (KdControl){
        .id = kd_u32_load(payload),
        .op = op,
        .is_urgent = (flags & CONTROL_URGENT) != 0,
        .at = kd_u64_load(payload + 8),
        .arg = kd_u32_load(payload + 16),
        .arg2 = kd_u32_load(payload + 20),
    };
    return TRUE;
}

/**
 * kd_result_build:
 * @result: its text is made printable and cut to %KD_MAX_STATUS_BYTES
 *
 * Returns: (transfer full): payload of RESULT
 */
GBytes *
kd_result_build(const KdResult *result)
{
    uint8_t out[RESULT_BYTES];

    kd_u32_store(out, result->id);
    kd_u32_store(out + 4, result->code);
    kd_u64_store(out + 8, result->value);
    return build_with_text(out, sizeof out, result->text, KD_MAX_STATUS_BYTES);
}

/**
 * kd_result_parse:
 *
 * Returns: (transfer full): what RESULT says, or %NULL with %KD_ERROR_PROTOCOL
 */
KdResult *
kd_result_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdResult) result = g_new0(KdResult, 1);

    if (!check_length("RESULT", len, RESULT_BYTES, RESULT_BYTES + KD_MAX_STATUS_BYTES, error)) {
        return NULL;
    }
    result->id = kd_u32_load(payload);
    result->code = kd_u32_load(payload + 4);
    result->value = kd_u64_load(payload + 8);
    if (!load_text(&result->text, "RESULT", payload + RESULT_BYTES, len - RESULT_BYTES, error)) {
        return NULL;
    }
    return g_steal_pointer(&result);
}

/**
 * kd_result_free:
 * @result: (nullable): as parsed
 *
 * Frees it and its text.
 */
void
kd_result_free(KdResult *result)
{
    if (result == NULL) {
        return;
    }
    g_free(result->text);
    g_free(result);
}

/**
 * kd_event_build:
 * @event: its text is made printable and cut to %KD_MAX_SENTENCE_BYTES
 *
 * Returns: (transfer full): payload of EVENT
 */
GBytes *
kd_event_build(const KdEvent *event)
{
    uint8_t out[EVENT_BYTES];

    kd_u32_store(out, event->seq);
    kd_u16_store(out + 4, event->kind);
    kd_u16_store(out + 6, 0);
    kd_u64_store(out + 8, event->at);
    kd_u32_store(out + 16, event->value);
    return build_with_text(out, sizeof out, event->text, KD_MAX_SENTENCE_BYTES);
}

/**
 * kd_event_parse:
 *
 * Reads EVENT; its kind may be one that this version does not know.
 *
 * Returns: (transfer full): or %NULL with %KD_ERROR_PROTOCOL
 */
KdEvent *
kd_event_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdEvent) event = g_new0(KdEvent, 1);

    if (!check_length("EVENT", len, EVENT_BYTES, EVENT_BYTES + KD_MAX_SENTENCE_BYTES, error)) {
        return NULL;
    }
    if (kd_u16_load(payload + 6) != 0) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "reserved bytes of EVENT are not zero");
        return NULL;
    }
    event->seq = kd_u32_load(payload);
    event->kind = kd_u16_load(payload + 4);
    event->at = kd_u64_load(payload + 8);
    event->value = kd_u32_load(payload + 16);
    if (!load_text(&event->text, "EVENT", payload + EVENT_BYTES, len - EVENT_BYTES, error)) {
        return NULL;
    }
    return g_steal_pointer(&event);
}

/**
 * kd_event_free:
 * @event: (nullable): as parsed
 *
 * Frees it and its text.
 */
void
kd_event_free(KdEvent *event)
{
    if (event == NULL) {
        return;
    }
    g_free(event->text);
    g_free(event);
}

/**
 * kd_close_build:
 * @close: its text is made printable and cut to %KD_MAX_SENTENCE_BYTES
 *
 * Returns: (transfer full): payload of CLOSE
 */
GBytes *
kd_close_build(const KdClose *close)
{
    uint8_t out[CLOSE_BYTES];

    kd_u32_store(out, close->code);
    kd_u32_store(out + 4, close->retry_after_s);
    return build_with_text(out, sizeof out, close->text, KD_MAX_SENTENCE_BYTES);
}

/**
 * kd_close_parse:
 *
 * Reads CLOSE of any major. Its text is made printable rather than refused, so that a refusal can
 * always be shown; it is never %NULL.
 *
 * Returns: (transfer full): or %NULL with %KD_ERROR_PROTOCOL if even the code is missing
 */
KdClose *
kd_close_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdClose) close = g_new0(KdClose, 1);

    if (!check_length("CLOSE", len, CLOSE_BYTES, KD_MAX_CONTROL_BYTES, error)) {
        return NULL;
    }
    close->code = kd_u32_load(payload);
    close->retry_after_s = kd_u32_load(payload + 4);
    close->text =
        kd_text_dup_printable(payload + CLOSE_BYTES, len - CLOSE_BYTES, KD_MAX_SENTENCE_BYTES);
    return g_steal_pointer(&close);
}

/**
 * kd_close_build_version_text:
 * @client_major: of the client's preamble
 * @client_minor: of the client's preamble
 * @server_major: of the server's preamble
 * @server_minor: of the server's preamble
 *
 * Returns: (transfer full): the text of a CLOSE with code %KD_CLOSE_VERSION
 */
char *
kd_close_build_version_text(uint16_t client_major, uint16_t client_minor, uint16_t server_major,
                            uint16_t server_minor)
{
    return g_strdup_printf("The client is not using same version of remoting protocol as the "
                           "server (client %u.%u, server %u.%u)",
                           client_major, client_minor, server_major, server_minor);
}

/**
 * kd_close_free:
 * @close: (nullable): as parsed
 *
 * Frees it and its text.
 */
void
kd_close_free(KdClose *close)
{
    if (close == NULL) {
        return;
    }
    g_free(close->text);
    g_free(close);
}

/**
 * kd_fin_build:
 * @final_offset: DATA bytes that we sent in all
 *
 * Returns: (transfer full): payload of FIN
 */
GBytes *
kd_fin_build(uint64_t final_offset)
{
    uint8_t out[FIN_BYTES];

    kd_u64_store(out, final_offset);
    return g_bytes_new(out, sizeof out);
}

/**
 * kd_fin_parse:
 * @final_offset: (out): to be compared with kd_wire_check_offset()
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL for a wrong length
 */
gboolean
kd_fin_parse(uint64_t *final_offset, const uint8_t *payload, size_t len, GError **error)
{
    if (!check_length("FIN", len, FIN_BYTES, FIN_BYTES, error)) {
        return FALSE;
    }
    *final_offset = kd_u64_load(payload);
    return TRUE;
}

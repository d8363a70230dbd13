/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of {u16 key, u16 length, bytes}: the payload of the frames that describe something. */
#include "kd-tlv.h"

#include "kd-bytes.h"
#include "kd-text.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

#define ENTRY_BYTES 4u /* key and length */

/**
 * kd_tlv_init:
 * @payload: outlives @tlv
 *
 * Starts reading before the first entry.
 */
void
kd_tlv_init(KdTlv *tlv, const uint8_t *payload, size_t len)
{
    *tlv = (KdTlv){.next = payload, .left = len};
}

/**
 * kd_tlv_next:
 *
 * Goes on to the next entry; call it while `left` is not 0.
 *
 * Returns: %FALSE with %KD_ERROR_PROTOCOL if the payload ends within the entry
 */
gboolean
kd_tlv_next(KdTlv *tlv, GError **error)
{
    if (tlv->left < ENTRY_BYTES || kd_u16_load(tlv->next + 2) > tlv->left - ENTRY_BYTES) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry goes beyond its frame");
        return FALSE;
    }
    tlv->key = kd_u16_load(tlv->next);
    tlv->len = kd_u16_load(tlv->next + 2);
    tlv->value = tlv->next + ENTRY_BYTES;
    tlv->next = tlv->value + tlv->len;
    tlv->left -= ENTRY_BYTES + tlv->len;
    return TRUE;
}

/* Every entry that may stand once comes through here; its key is one that we know, below 32. */
static gboolean
check_once(KdTlv *tlv, GError **error)
{
    uint32_t bit = UINT32_C(1) << (tlv->key & 31u);

    if ((tlv->seen & bit) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u stands twice", tlv->key);
        return FALSE;
    }
    tlv->seen |= bit;
    return TRUE;
}

static gboolean
check_number(KdTlv *tlv, size_t len, GError **error)
{
    if (!check_once(tlv, error)) {
        return FALSE;
    }
    if (tlv->len != len) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u has %u bytes, expected %zu",
                    tlv->key, tlv->len, len);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_text(const KdTlv *tlv, size_t max_bytes, GError **error)
{
    if (tlv->len == 0 || tlv->len > max_bytes) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u has %u bytes, expected 1 to %zu",
                    tlv->key, tlv->len, max_bytes);
        return FALSE;
    }
    if (!kd_text_is_printable(tlv->value, tlv->len)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u is not printable text", tlv->key);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_tlv_load_u8:
 *
 * Reads the current entry; %FALSE with %KD_ERROR_PROTOCOL if it is no u8 or stands twice.
 */
gboolean
kd_tlv_load_u8(KdTlv *tlv, uint8_t *value, GError **error)
{
    if (!check_number(tlv, sizeof *value, error)) {
        return FALSE;
    }
    *value = tlv->value[0];
    return TRUE;
}

/**
 * kd_tlv_load_u32:
 *
 * Reads the current entry; %FALSE with %KD_ERROR_PROTOCOL if it is no u32 or stands twice.
 */
gboolean
kd_tlv_load_u32(KdTlv *tlv, uint32_t *value, GError **error)
{
    if (!check_number(tlv, sizeof *value, error)) {
        return FALSE;
    }
    *value = kd_u32_load(tlv->value);
    return TRUE;
}

/**
 * kd_tlv_load_u64:
 *
 * Reads the current entry; %FALSE with %KD_ERROR_PROTOCOL if it is no u64 or stands twice.
 */
gboolean
kd_tlv_load_u64(KdTlv *tlv, uint64_t *value, GError **error)
{
    if (!check_number(tlv, sizeof *value, error)) {
        return FALSE;
    }
    *value = kd_u64_load(tlv->value);
    return TRUE;
}

/**
 * kd_tlv_load_boolean:
 *
 * Reads the current entry; %FALSE with %KD_ERROR_PROTOCOL if it is not one byte of 0 or 1, or
 * stands twice.
 */
gboolean
kd_tlv_load_boolean(KdTlv *tlv, gboolean *value, GError **error)
{
    if (!check_number(tlv, 1, error)) {
        return FALSE;
    }
    if (tlv->value[0] > 1) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u is neither 0 nor 1", tlv->key);
        return FALSE;
    }
    *value = tlv->value[0] != 0;
    return TRUE;
}

/**
 * kd_tlv_load_bytes:
 * @value: (out) (transfer full): a copy
 *
 * Reads the current entry; %FALSE with %KD_ERROR_PROTOCOL if it is longer than @max_bytes or stands
 * twice.
 */
gboolean
kd_tlv_load_bytes(KdTlv *tlv, size_t max_bytes, GBytes **value, GError **error)
{
    if (!check_once(tlv, error)) {
        return FALSE;
    }
    if (tlv->len > max_bytes) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u has %u bytes, at most %zu fit",
                    tlv->key, tlv->len, max_bytes);
        return FALSE;
    }
    *value = g_bytes_new(tlv->value, tlv->len);
    return TRUE;
}

/**
 * kd_tlv_load_text:
 * @value: (out) (transfer full): with a NUL at the end
 *
 * Reads the current entry; %FALSE with %KD_ERROR_PROTOCOL if it is empty, longer than @max_bytes,
 * not printable, or stands twice.
 */
gboolean
kd_tlv_load_text(KdTlv *tlv, size_t max_bytes, char **value, GError **error)
{
    if (!check_once(tlv, error) || !check_text(tlv, max_bytes, error)) {
        return FALSE;
    }
    *value = g_strndup((const char *)tlv->value, tlv->len);
    return TRUE;
}

/**
 * kd_tlv_load_word:
 * @words: (element-type utf8): grows by a copy
 * @max_words: longest @words
 *
 * Reads the current entry, of a kind that may stand more than once; %FALSE with %KD_ERROR_PROTOCOL
 * if there are more than @max_words or it is no name.
 */
gboolean
kd_tlv_load_word(KdTlv *tlv, GPtrArray *words, guint max_words, GError **error)
{
    return kd_tlv_load_one_text(tlv, words, max_words, KD_MAX_NAME_BYTES, error);
}

/**
 * kd_tlv_load_one_text:
 * @texts: (element-type utf8): grows by a copy
 * @max_texts: longest @texts
 *
 * Reads the current entry, of a kind that may stand more than once; %FALSE with %KD_ERROR_PROTOCOL
 * if there are more than @max_texts, or it is empty, longer than @max_bytes or not printable.
 */
gboolean
kd_tlv_load_one_text(const KdTlv *tlv, GPtrArray *texts, guint max_texts, size_t max_bytes,
                     GError **error)
{
    if (texts->len >= max_texts) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u stands more than %u times",
                    tlv->key, max_texts);
        return FALSE;
    }
    if (!check_text(tlv, max_bytes, error)) {
        return FALSE;
    }
    g_ptr_array_add(texts, g_strndup((const char *)tlv->value, tlv->len));
    return TRUE;
}

/**
 * kd_tlv_append:
 * @len: below 64 KiB
 *
 * Adds an entry of any bytes.
 */
void
kd_tlv_append(GByteArray *out, uint16_t key, const void *value, size_t len)
{
    uint8_t entry[ENTRY_BYTES];

    g_return_if_fail(len <= UINT16_MAX);

    kd_u16_store(entry, key);
    kd_u16_store(entry + 2, (uint16_t)len);
    g_byte_array_append(out, entry, sizeof entry);
    if (len > 0) {
        g_byte_array_append(out, value, (guint)len);
    }
}

/**
 * kd_tlv_append_u8:
 *
 * Adds an entry of one byte.
 */
void
kd_tlv_append_u8(GByteArray *out, uint16_t key, uint8_t value)
{
    kd_tlv_append(out, key, &value, 1);
}

/**
 * kd_tlv_append_u32:
 *
 * Adds an entry of four bytes.
 */
void
kd_tlv_append_u32(GByteArray *out, uint16_t key, uint32_t value)
{
    uint8_t bytes[4];

    kd_u32_store(bytes, value);
    kd_tlv_append(out, key, bytes, sizeof bytes);
}

/**
 * kd_tlv_append_u64:
 *
 * Adds an entry of eight bytes.
 */
void
kd_tlv_append_u64(GByteArray *out, uint16_t key, uint64_t value)
{
    uint8_t bytes[8];

    kd_u64_store(bytes, value);
    kd_tlv_append(out, key, bytes, sizeof bytes);
}

/**
 * kd_tlv_append_boolean:
 *
 * Adds an entry of one byte, 0 or 1.
 */
void
kd_tlv_append_boolean(GByteArray *out, uint16_t key, gboolean value)
{
    uint8_t byte = value ? 1 : 0;

    kd_tlv_append(out, key, &byte, 1);
}

/**
 * kd_tlv_append_text:
 * @text: (nullable): anything; made printable and cut to @max_bytes, so that the peer accepts it
 *
 * Adds an entry of text; none where there is no text, as a text is never empty on the wire.
 */
void
kd_tlv_append_text(GByteArray *out, uint16_t key, const char *text, size_t max_bytes)
{
    g_autofree char *printable = NULL;

    if (text == NULL || text[0] == '\0') {
        return;
    }
    printable = kd_text_dup_printable((const uint8_t *)text, strlen(text), max_bytes);
    kd_tlv_append(out, key, printable, strlen(printable));
}

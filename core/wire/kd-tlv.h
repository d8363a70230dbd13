/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of {u16 key, u16 length, bytes}: the payload of the frames that describe something. */
#pragma once

#include <glib.h>

#include <stddef.h>
#include <stdint.h>

/**
 * KdTlv:
 * @next: first byte not read yet
 * @left: bytes from there on
 * @seen: bit (1 << key) of the keys below 32 that may stand only once and have stood
 * @key: of the current entry
 * @len: of the current entry
 * @value: of the current entry, inside the payload
 */
typedef struct {
    const uint8_t *next;
    size_t left;
    uint32_t seen;
    uint16_t key;
    uint16_t len;
    const uint8_t *value;
} KdTlv;

void kd_tlv_init(KdTlv *tlv, const uint8_t *payload, size_t len);
gboolean kd_tlv_next(KdTlv *tlv, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_u8(KdTlv *tlv, uint8_t *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_u32(KdTlv *tlv, uint32_t *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_u64(KdTlv *tlv, uint64_t *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_boolean(KdTlv *tlv, gboolean *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_bytes(KdTlv *tlv, size_t max_bytes, GBytes **value,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_text(KdTlv *tlv, size_t max_bytes, char **value,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_word(KdTlv *tlv, GPtrArray *words, guint max_words,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tlv_load_one_text(const KdTlv *tlv, GPtrArray *texts, guint max_texts, size_t max_bytes,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;

void kd_tlv_append(GByteArray *out, uint16_t key, const void *value, size_t len);
void kd_tlv_append_u8(GByteArray *out, uint16_t key, uint8_t value);
void kd_tlv_append_u32(GByteArray *out, uint16_t key, uint32_t value);
void kd_tlv_append_u64(GByteArray *out, uint16_t key, uint64_t value);
void kd_tlv_append_boolean(GByteArray *out, uint16_t key, gboolean value);
void kd_tlv_append_text(GByteArray *out, uint16_t key, const char *text, size_t max_bytes);

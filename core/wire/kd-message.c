/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HELLO, AUTH, OPEN, OPENED: payloads that are lists of entries. */
#include "kd-message.h"

#include "kd-text.h"
#include "kd-tlv.h"
#include "kd-transcript.h"

#include <string.h>

/* Keys of the entries; PROTOCOL.md, Frames. Below 32, and never used again for something else. */
enum {
    HELLO_WINDOW = 1,
    HELLO_MAX_DATA_BYTES = 2,
    HELLO_FEATURE = 3,
    HELLO_MECHANISM = 4,
    HELLO_SOFTWARE = 5,
};

enum {
    AUTH_MECHANISM = 1,
    AUTH_STEP = 2,
    AUTH_IS_DONE = 3,
    AUTH_FINISHED = 4,
};

enum {
    OPEN_TRANS = 1,
    OPEN_IDENTITY = 2,
};

enum {
    OPENED_SESSION = 1,
    OPENED_SCHEME = 2,
    OPENED_DIALECT = 3,
    OPENED_CONTROLS = 4,
    OPENED_HAS_HALF_CLOSE = 5,
    OPENED_BAUD = 6,
    OPENED_NAME = 7,
    OPENED_RESETS = 8,
};

/* No payload of this file is longer, so nothing outside can make us allocate more. */
static gboolean
check_length(size_t len, GError **error)
{
    if (len <= KD_MAX_CONTROL_BYTES) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "payload of %zu bytes, limit is %u", len,
                KD_MAX_CONTROL_BYTES);
    return FALSE;
}

static gboolean
check_range(const char *name, uint32_t value, uint32_t min, uint32_t max, GError **error)
{
    if (value >= min && value <= max) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "%s of %u in HELLO, expected %u to %u", name,
                value, min, max);
    return FALSE;
}

static void
append_words(GByteArray *out, uint16_t key, char *const *words)
{
    for (guint i = 0; words != NULL && words[i] != NULL && i < KD_HELLO_MAX_WORDS; i++) {
        kd_tlv_append_text(out, key, words[i], KD_MAX_NAME_BYTES);
    }
}

static char **
steal_words(GPtrArray *words)
{
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_steal(words, NULL);
}

/**
 * kd_hello_build:
 * @hello: the lists may be %NULL
 *
 * Returns: (transfer full): payload of HELLO; it must stay within %KD_MAX_PREAUTH_BYTES
 */
GBytes *
kd_hello_build(const KdHello *hello)
{
    GByteArray *out = g_byte_array_new();

    kd_tlv_append_u32(out, HELLO_WINDOW, hello->window);
    kd_tlv_append_u32(out, HELLO_MAX_DATA_BYTES, hello->max_data_bytes);
    append_words(out, HELLO_FEATURE, hello->features);
    append_words(out, HELLO_MECHANISM, hello->mechanisms);
    kd_tlv_append_text(out, HELLO_SOFTWARE, hello->software, KD_MAX_NAME_BYTES);
    return g_byte_array_free_to_bytes(out);
}

static gboolean
load_hello_entry(KdHello *hello, KdTlv *tlv, GPtrArray *features, GPtrArray *mechanisms,
                 GError **error)
{
    switch (tlv->key) {
    case HELLO_WINDOW:
        return kd_tlv_load_u32(tlv, &hello->window, error) &&
               check_range("window", hello->window, KD_MIN_WINDOW_BYTES, KD_MAX_WINDOW_BYTES,
                           error);
    case HELLO_MAX_DATA_BYTES:
        return kd_tlv_load_u32(tlv, &hello->max_data_bytes, error) &&
               check_range("longest data", hello->max_data_bytes, KD_HELLO_MIN_DATA_BYTES,
                           KD_HELLO_MAX_DATA_BYTES, error);
    case HELLO_FEATURE:
        return kd_tlv_load_word(tlv, features, KD_HELLO_MAX_WORDS, error);
    case HELLO_MECHANISM:
        return kd_tlv_load_word(tlv, mechanisms, KD_HELLO_MAX_WORDS, error);
    case HELLO_SOFTWARE:
        return kd_tlv_load_text(tlv, KD_MAX_NAME_BYTES, &hello->software, error);
    default:
        return TRUE;
    }
}

/**
 * kd_hello_parse:
 *
 * Reads HELLO; what it leaves out has its default. The lists are never %NULL.
 *
 * Returns: (transfer full): or %NULL with %KD_ERROR_PROTOCOL
 */
KdHello *
kd_hello_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdHello) hello = g_new0(KdHello, 1);
    g_autoptr(GPtrArray) features = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) mechanisms = g_ptr_array_new_with_free_func(g_free);
    KdTlv tlv;

    if (!check_length(len, error)) {
        return NULL;
    }
    hello->window = KD_WINDOW_BYTES;
    hello->max_data_bytes = KD_MAX_DATA_BYTES;
    kd_tlv_init(&tlv, payload, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) ||
            !load_hello_entry(hello, &tlv, features, mechanisms, error)) {
            return NULL;
        }
    }
    hello->features = steal_words(features);
    hello->mechanisms = steal_words(mechanisms);
    return g_steal_pointer(&hello);
}

/**
 * kd_hello_free:
 * @hello: (nullable): as parsed
 *
 * Frees it and all it holds.
 */
void
kd_hello_free(KdHello *hello)
{
    if (hello == NULL) {
        return;
    }
    g_strfreev(hello->features);
    g_strfreev(hello->mechanisms);
    g_free(hello->software);
    g_free(hello);
}

static void
append_bytes(GByteArray *out, uint16_t key, GBytes *value)
{
    if (value != NULL) {
        size_t len = 0;
        const void *bytes = g_bytes_get_data(value, &len);

        kd_tlv_append(out, key, bytes, len);
    }
}

/**
 * kd_auth_build:
 * @auth: its step has at most %KD_AUTH_MAX_STEP_BYTES
 *
 * Returns: (transfer full): payload of AUTH
 */
GBytes *
kd_auth_build(const KdAuth *auth)
{
    GByteArray *out = g_byte_array_new();

    kd_tlv_append_text(out, AUTH_MECHANISM, auth->mechanism, KD_MAX_NAME_BYTES);
    append_bytes(out, AUTH_STEP, auth->step);
    if (auth->is_done) {
        kd_tlv_append_boolean(out, AUTH_IS_DONE, TRUE);
    }
    append_bytes(out, AUTH_FINISHED, auth->finished);
    return g_byte_array_free_to_bytes(out);
}

static gboolean
load_finished(KdTlv *tlv, GBytes **finished, GError **error)
{
    if (tlv->len != KD_FINISHED_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "entry %u has %u bytes, expected %u",
                    tlv->key, tlv->len, KD_FINISHED_BYTES);
        return FALSE;
    }
    return kd_tlv_load_bytes(tlv, KD_FINISHED_BYTES, finished, error);
}

static gboolean
load_auth_entry(KdAuth *auth, KdTlv *tlv, GError **error)
{
    switch (tlv->key) {
    case AUTH_MECHANISM:
        return kd_tlv_load_text(tlv, KD_MAX_NAME_BYTES, &auth->mechanism, error);
    case AUTH_STEP:
        return kd_tlv_load_bytes(tlv, KD_AUTH_MAX_STEP_BYTES, &auth->step, error);
    case AUTH_IS_DONE:
        return kd_tlv_load_boolean(tlv, &auth->is_done, error);
    case AUTH_FINISHED:
        return load_finished(tlv, &auth->finished, error);
    default:
        return TRUE;
    }
}

/**
 * kd_auth_parse:
 *
 * Returns: (transfer full): what AUTH says, or %NULL with %KD_ERROR_PROTOCOL
 */
KdAuth *
kd_auth_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdAuth) auth = g_new0(KdAuth, 1);
    KdTlv tlv;

    if (!check_length(len, error)) {
        return NULL;
    }
    kd_tlv_init(&tlv, payload, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) || !load_auth_entry(auth, &tlv, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&auth);
}

/**
 * kd_auth_free:
 * @auth: (nullable): as parsed
 *
 * Frees it and all it holds.
 */
void
kd_auth_free(KdAuth *auth)
{
    if (auth == NULL) {
        return;
    }
    g_free(auth->mechanism);
    g_clear_pointer(&auth->step, g_bytes_unref);
    g_clear_pointer(&auth->finished, g_bytes_unref);
    g_free(auth);
}

/**
 * kd_open_build:
 * @open: from the user
 *
 * Writes the string as it is: cut or mended it would name another link. One that is too long or not
 * printable is refused by the server, in words; no more of it is sent than that takes.
 *
 * Returns: (transfer full): payload of OPEN
 */
GBytes *
kd_open_build(const KdOpen *open)
{
    GByteArray *out = NULL;

    g_return_val_if_fail(open->trans != NULL, NULL);

    out = g_byte_array_new();
    kd_tlv_append(out, OPEN_TRANS, open->trans, strnlen(open->trans, KD_MAX_TRANS_BYTES + 1));
    kd_tlv_append_text(out, OPEN_IDENTITY, open->identity, KD_MAX_IDENTITY_BYTES);
    return g_byte_array_free_to_bytes(out);
}

static gboolean
load_open_entry(KdOpen *open, KdTlv *tlv, GError **error)
{
    switch (tlv->key) {
    case OPEN_TRANS:
        if (kd_tlv_load_text(tlv, KD_MAX_TRANS_BYTES, &open->trans, error)) {
            return TRUE;
        }
        g_prefix_error(error, "string of the link: ");
        return FALSE;
    case OPEN_IDENTITY:
        return kd_tlv_load_text(tlv, KD_MAX_IDENTITY_BYTES, &open->identity, error);
    default:
        return TRUE;
    }
}

/**
 * kd_open_parse:
 *
 * Returns: (transfer full): what OPEN asks for, or %NULL with %KD_ERROR_PROTOCOL
 */
KdOpen *
kd_open_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdOpen) open = g_new0(KdOpen, 1);
    KdTlv tlv;

    if (!check_length(len, error)) {
        return NULL;
    }
    kd_tlv_init(&tlv, payload, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) || !load_open_entry(open, &tlv, error)) {
            return NULL;
        }
    }
    if (open->trans == NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL, "OPEN names no link");
        return NULL;
    }
    return g_steal_pointer(&open);
}

/**
 * kd_open_free:
 * @open: (nullable): as parsed
 *
 * Frees it and all it holds.
 */
void
kd_open_free(KdOpen *open)
{
    if (open == NULL) {
        return;
    }
    g_free(open->trans);
    g_free(open->identity);
    g_free(open);
}

/**
 * kd_opened_build:
 * @opened: a missing dialect is `bytes`, a missing name is the scheme
 *
 * Returns: (transfer full): payload of OPENED
 */
GBytes *
kd_opened_build(const KdOpened *opened)
{
    GByteArray *out = g_byte_array_new();
    const char *dialect = opened->dialect != NULL ? opened->dialect : "bytes";
    const char *name = opened->name != NULL ? opened->name : opened->scheme;

    kd_tlv_append_u64(out, OPENED_SESSION, opened->session);
    kd_tlv_append_text(out, OPENED_SCHEME, opened->scheme, KD_MAX_NAME_BYTES);
    kd_tlv_append_text(out, OPENED_DIALECT, dialect, KD_MAX_NAME_BYTES);
    kd_tlv_append_u32(out, OPENED_CONTROLS, opened->controls);
    kd_tlv_append_boolean(out, OPENED_HAS_HALF_CLOSE, opened->has_half_close);
    kd_tlv_append_u32(out, OPENED_BAUD, opened->baud);
    kd_tlv_append_text(out, OPENED_NAME, name, KD_MAX_TRANS_BYTES);
    if (opened->has_resets) {
        kd_tlv_append_u32(out, OPENED_RESETS, opened->resets);
    }
    return g_byte_array_free_to_bytes(out);
}

static gboolean
load_opened_entry(KdOpened *opened, KdTlv *tlv, GError **error)
{
    switch (tlv->key) {
    case OPENED_SESSION:
        return kd_tlv_load_u64(tlv, &opened->session, error);
    case OPENED_SCHEME:
        return kd_tlv_load_text(tlv, KD_MAX_NAME_BYTES, &opened->scheme, error);
    case OPENED_DIALECT:
        return kd_tlv_load_text(tlv, KD_MAX_NAME_BYTES, &opened->dialect, error);
    case OPENED_CONTROLS:
        return kd_tlv_load_u32(tlv, &opened->controls, error);
    case OPENED_HAS_HALF_CLOSE:
        return kd_tlv_load_boolean(tlv, &opened->has_half_close, error);
    case OPENED_BAUD:
        return kd_tlv_load_u32(tlv, &opened->baud, error);
    case OPENED_NAME:
        return kd_tlv_load_text(tlv, KD_MAX_TRANS_BYTES, &opened->name, error);
    case OPENED_RESETS:
        opened->has_resets = TRUE;
        return kd_tlv_load_u32(tlv, &opened->resets, error);
    default:
        return TRUE;
    }
}

/**
 * kd_opened_parse:
 *
 * Reads OPENED; its texts are never %NULL.
 *
 * Returns: (transfer full): or %NULL with %KD_ERROR_PROTOCOL
 */
KdOpened *
kd_opened_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdOpened) opened = g_new0(KdOpened, 1);
    KdTlv tlv;

    if (!check_length(len, error)) {
        return NULL;
    }
    kd_tlv_init(&tlv, payload, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) || !load_opened_entry(opened, &tlv, error)) {
            return NULL;
        }
    }
    if ((tlv.seen & (1u << OPENED_SESSION)) == 0 || opened->scheme == NULL ||
        opened->dialect == NULL || opened->name == NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "OPENED does not describe the link: session, scheme, dialect or name "
                            "is missing");
        return NULL;
    }
    return g_steal_pointer(&opened);
}

/**
 * kd_opened_free:
 * @opened: (nullable): as parsed
 *
 * Frees it and all it holds.
 */
void
kd_opened_free(KdOpened *opened)
{
    if (opened == NULL) {
        return;
    }
    g_free(opened->scheme);
    g_free(opened->dialect);
    g_free(opened->name);
    g_free(opened);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LIST and LISTED: which links could be opened; a list whose entries are lists again. */
#include "kd-message.h"

#include "kd-text.h"
#include "kd-tlv.h"

#include <string.h>

/* Keys of the entries; PROTOCOL.md, Frames. Below 32, and never used again for something else. */
enum {
    LIST_SCHEME = 1,
};

enum {
    LISTED_LINK = 1,
    LISTED_HAS_MORE = 2,
};

enum {
    LINK_TRANS = 1,
    LINK_NAME = 2,
    LINK_DEVICE = 3,
    LINK_ALIAS = 4,
    LINK_USE = 5,
    LINK_HOLDER = 6,
};

#define ENTRY_BYTES    4u                 /* key and length                                  */
#define HAS_MORE_BYTES (ENTRY_BYTES + 1u) /* always kept free for it                         */

static gboolean
check_length(size_t len, size_t max_bytes, GError **error)
{
    if (len <= max_bytes) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PROTOCOL, "payload of %zu bytes, limit is %zu", len,
                max_bytes);
    return FALSE;
}

/* ---- LIST ---- */

/**
 * kd_list_build:
 * @list: what to list
 *
 * Returns: (transfer full): payload of LIST
 */
GBytes *
kd_list_build(const KdList *list)
{
    GByteArray *out = g_byte_array_new();

    kd_tlv_append_text(out, LIST_SCHEME, list->scheme, KD_MAX_NAME_BYTES);
    return g_byte_array_free_to_bytes(out);
}

/**
 * kd_list_parse:
 *
 * Returns: (transfer full): what LIST asks for, or %NULL with %KD_ERROR_PROTOCOL
 */
KdList *
kd_list_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdList) list = g_new0(KdList, 1);
    KdTlv tlv;

    if (!check_length(len, KD_MAX_CONTROL_BYTES, error)) {
        return NULL;
    }
    kd_tlv_init(&tlv, payload, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) ||
            (tlv.key == LIST_SCHEME &&
             !kd_tlv_load_text(&tlv, KD_MAX_NAME_BYTES, &list->scheme, error))) {
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

/**
 * kd_list_free:
 * @list: (nullable): as parsed
 *
 * Frees it and all it holds.
 */
void
kd_list_free(KdList *list)
{
    if (list == NULL) {
        return;
    }
    g_free(list->scheme);
    g_free(list);
}

/* ---- one link ---- */

/* (transfer full) (nullable): text for people, made fit to be shown */
static char *
dup_shown(GVariant *found, const char *key, size_t max_bytes)
{
    const char *text = NULL;

    if (!g_variant_lookup(found, key, "&s", &text) || *text == '\0') {
        return NULL;
    }
    return kd_text_dup_printable((const uint8_t *)text, strlen(text), max_bytes);
}

static gboolean
is_fit(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= KD_MAX_TRANS_BYTES && kd_text_is_printable((const uint8_t *)text, len);
}

/* A path that was mended would be another one: it is left out instead. */
static void
take_paths(KdListedLink *link, GVariant *found)
{
    g_autoptr(GStrvBuilder) fit = g_strv_builder_new();
    g_autofree const char **aliases = NULL;
    const char *device = NULL;
    guint n = 0;

    if (g_variant_lookup(found, "device", "&s", &device) && is_fit(device)) {
        link->device = g_strdup(device);
    }
    if (g_variant_lookup(found, "aliases", "^a&s", &aliases)) {
        for (guint i = 0; aliases[i] != NULL && n < KD_LISTED_MAX_ALIASES; i++) {
            if (is_fit(aliases[i])) {
                g_strv_builder_add(fit, aliases[i]);
                n++;
            }
        }
    }
    link->aliases = g_strv_builder_end(fit);
}

/**
 * kd_listed_link_new:
 * @found: a{sv}: what enumerate_finish of a target says about one link
 * @error: return location
 *
 * Takes over what a plugin says, which may be anything: what is for people is made printable and
 * cut, what names something is left out where that would be needed.
 *
 * Returns: (transfer full): the link, or %NULL with %KD_ERROR_FAILED where there is no string that
 *    could open it
 */
KdListedLink *
kd_listed_link_new(GVariant *found, GError **error)
{
    g_autoptr(KdListedLink) link = g_new0(KdListedLink, 1);
    const char *trans = NULL;
    gboolean is_busy = FALSE;

    if (!g_variant_lookup(found, "trans", "&s", &trans) || !is_fit(trans)) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED,
                    "`trans` is not a printable string of 1 to %u bytes", KD_MAX_TRANS_BYTES);
        return NULL;
    }
    link->trans = g_strdup(trans);
    link->name = dup_shown(found, "name", KD_MAX_TRANS_BYTES);
    take_paths(link, found);
    if (g_variant_lookup(found, "busy", "b", &is_busy)) {
        link->use = is_busy ? KD_LINK_USE_BUSY : KD_LINK_USE_FREE;
    }
    if (link->use != KD_LINK_USE_FREE) {
        link->holder = dup_shown(found, "holder", KD_MAX_HOLDER_BYTES);
    }
    return g_steal_pointer(&link);
}

/**
 * kd_listed_link_free:
 * @link: (nullable): a link
 *
 * Frees it and all it holds.
 */
void
kd_listed_link_free(KdListedLink *link)
{
    if (link == NULL) {
        return;
    }
    g_free(link->trans);
    g_free(link->name);
    g_free(link->device);
    g_strfreev(link->aliases);
    g_free(link->holder);
    g_free(link);
}

/* (transfer full) */
static GByteArray *
build_link(const KdListedLink *link)
{
    GByteArray *out = g_byte_array_new();

    kd_tlv_append(out, LINK_TRANS, link->trans, strlen(link->trans));
    kd_tlv_append_text(out, LINK_NAME, link->name, KD_MAX_TRANS_BYTES);
    kd_tlv_append_text(out, LINK_DEVICE, link->device, KD_MAX_TRANS_BYTES);
    for (guint i = 0; link->aliases != NULL && link->aliases[i] != NULL; i++) {
        kd_tlv_append_text(out, LINK_ALIAS, link->aliases[i], KD_MAX_TRANS_BYTES);
    }
    if (link->use != KD_LINK_USE_UNKNOWN) {
        kd_tlv_append_u8(out, LINK_USE, (uint8_t)link->use);
    }
    kd_tlv_append_text(out, LINK_HOLDER, link->holder, KD_MAX_HOLDER_BYTES);
    return out;
}

static gboolean
load_use(KdListedLink *link, KdTlv *tlv, GError **error)
{
    uint8_t use = 0;

    if (!kd_tlv_load_u8(tlv, &use, error)) {
        return FALSE;
    }
    link->use = use <= KD_LINK_USE_BUSY ? (KdLinkUse)use : KD_LINK_USE_UNKNOWN;
    return TRUE;
}

static gboolean
load_link_entry(KdListedLink *link, KdTlv *tlv, GPtrArray *aliases, GError **error)
{
    switch (tlv->key) {
    case LINK_TRANS:
        return kd_tlv_load_text(tlv, KD_MAX_TRANS_BYTES, &link->trans, error);
    case LINK_NAME:
        return kd_tlv_load_text(tlv, KD_MAX_TRANS_BYTES, &link->name, error);
    case LINK_DEVICE:
        return kd_tlv_load_text(tlv, KD_MAX_TRANS_BYTES, &link->device, error);
    case LINK_ALIAS:
        return kd_tlv_load_one_text(tlv, aliases, KD_LISTED_MAX_ALIASES, KD_MAX_TRANS_BYTES, error);
    case LINK_USE:
        return load_use(link, tlv, error);
    case LINK_HOLDER:
        return kd_tlv_load_text(tlv, KD_MAX_HOLDER_BYTES, &link->holder, error);
    default:
        return TRUE;
    }
}

/* (transfer full) (nullable) */
static KdListedLink *
parse_link(const uint8_t *bytes, size_t len, GError **error)
{
    g_autoptr(KdListedLink) link = g_new0(KdListedLink, 1);
    g_autoptr(GPtrArray) aliases = g_ptr_array_new_with_free_func(g_free);
    KdTlv tlv;

    kd_tlv_init(&tlv, bytes, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) || !load_link_entry(link, &tlv, aliases, error)) {
            return NULL;
        }
    }
    if (link->trans == NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "LISTED has a link without a string");
        return NULL;
    }
    g_ptr_array_add(aliases, NULL);
    link->aliases = (char **)g_ptr_array_steal(aliases, NULL);
    return g_steal_pointer(&link);
}

/* ---- LISTED ---- */

/**
 * kd_listed_new:
 *
 * Returns: (transfer full): a list without links
 */
KdListed *
kd_listed_new(void)
{
    KdListed *listed = g_new0(KdListed, 1);

    listed->links = g_ptr_array_new_with_free_func((GDestroyNotify)kd_listed_link_free);
    listed->n_bytes = HAS_MORE_BYTES;
    return listed;
}

/**
 * kd_listed_add:
 * @listed: a list
 * @link: (transfer full): whose trans is printable, at most %KD_MAX_TRANS_BYTES long; the
 *    caller's still if it is not taken
 *
 * Adds a link behind the others while all of them fit into one frame.
 *
 * Returns: whether it fitted; if not, @listed has more from then on
 */
gboolean
kd_listed_add(KdListed *listed, KdListedLink *link)
{
    g_autoptr(GByteArray) bytes = build_link(link);

    if (listed->n_bytes + ENTRY_BYTES + bytes->len > KD_MAX_LISTED_BYTES) {
        listed->has_more = TRUE;
        return FALSE;
    }
    listed->n_bytes += ENTRY_BYTES + bytes->len;
    g_ptr_array_add(listed->links, link);
    return TRUE;
}

/* FALSE: it did not fit */
static gboolean
add_one_found(KdListed *listed, const char *scheme, GVariant *found, KdListedLinkFunc mend,
              void *user)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdListedLink) link = kd_listed_link_new(found, &error);

    if (link == NULL) {
        g_message("%s: a link is not listed: %s", scheme, error->message);
        return TRUE;
    }
    if (mend != NULL) {
        mend(link, user);
    }
    if (!kd_listed_add(listed, link)) {
        return FALSE;
    }
    (void)g_steal_pointer(&link);
    return TRUE;
}

/**
 * kd_listed_add_found:
 * @listed: a list
 * @scheme: of the target, for the log
 * @found: aa{sv}: what enumerate_finish of the target says
 * @mend: (nullable): called for each link before it is added
 * @user: for @mend
 *
 * Adds what a target found, as far as it fits into one frame. What can't be listed is logged.
 *
 * Returns: whether all fitted; if not, @listed has more
 */
gboolean
kd_listed_add_found(KdListed *listed, const char *scheme, GVariant *found, KdListedLinkFunc mend,
                    void *user)
{
    GVariantIter iter;
    GVariant *each;

    g_variant_iter_init(&iter, found);
    while ((each = g_variant_iter_next_value(&iter)) != NULL) {
        g_autoptr(GVariant) one = each;

        if (!add_one_found(listed, scheme, one, mend, user)) {
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * kd_listed_build:
 * @listed: filled by kd_listed_add(), or parsed
 *
 * Returns: (transfer full): payload of LISTED, at most %KD_MAX_LISTED_BYTES
 */
GBytes *
kd_listed_build(const KdListed *listed)
{
    GByteArray *out = g_byte_array_new();

    for (guint i = 0; i < listed->links->len; i++) {
        g_autoptr(GByteArray) bytes = build_link(g_ptr_array_index(listed->links, i));

        kd_tlv_append(out, LISTED_LINK, bytes->data, bytes->len);
    }
    if (listed->has_more) {
        kd_tlv_append_boolean(out, LISTED_HAS_MORE, TRUE);
    }
    return g_byte_array_free_to_bytes(out);
}

static gboolean
load_listed_entry(KdListed *listed, KdTlv *tlv, GError **error)
{
    KdListedLink *link;

    if (tlv->key == LISTED_HAS_MORE) {
        return kd_tlv_load_boolean(tlv, &listed->has_more, error);
    }
    if (tlv->key != LISTED_LINK) {
        return TRUE;
    }
    link = parse_link(tlv->value, tlv->len, error);
    if (link == NULL) {
        return FALSE;
    }
    g_ptr_array_add(listed->links, link);
    return TRUE;
}

/**
 * kd_listed_parse:
 *
 * Reads LISTED. A state that this version does not know is %KD_LINK_USE_UNKNOWN.
 *
 * Returns: (transfer full): or %NULL with %KD_ERROR_PROTOCOL
 */
KdListed *
kd_listed_parse(const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdListed) listed = kd_listed_new();
    KdTlv tlv;

    if (!check_length(len, KD_MAX_LISTED_BYTES, error)) {
        return NULL;
    }
    listed->n_bytes = len;
    kd_tlv_init(&tlv, payload, len);
    while (tlv.left > 0) {
        if (!kd_tlv_next(&tlv, error) || !load_listed_entry(listed, &tlv, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&listed);
}

/**
 * kd_listed_free:
 * @listed: (nullable): a list
 *
 * Frees it with its links.
 */
void
kd_listed_free(KdListed *listed)
{
    if (listed == NULL) {
        return;
    }
    g_ptr_array_unref(listed->links);
    g_free(listed);
}

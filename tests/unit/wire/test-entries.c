/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Payloads beside the vectors: entries, bounds, texts. */
#include "kd-bytes.h"
#include "kd-text.h"
#include "wire-hex.h"

#include <string.h>

static void
append_entry(GByteArray *out, uint16_t key, const void *value, size_t len)
{
    uint8_t head[4];

    kd_u16_store(head, key);
    kd_u16_store(head + 2, (uint16_t)len);
    g_byte_array_append(out, head, sizeof head);
    g_byte_array_append(out, value, (guint)len);
}

static gboolean
accepts_entry(uint8_t type, uint16_t key, const void *value, size_t len, guint n_times)
{
    g_autoptr(GByteArray) out = g_byte_array_new();

    for (guint i = 0; i < n_times; i++)
        append_entry(out, key, value, len);
    return wire_parse_any(type, out->data, out->len);
}

static void
test_unknown_entries(void)
{
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 99, "\x1b", 1, 3));
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 0xffff, "", 0, 1));
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 0, "", 0, 1));
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 35, "abc", 3, 2)); /* 3 + 32 is not 3 */
}

static void
test_duplicates(void)
{
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 1, "\0\0\1\0", 4, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 1, "\0\0\1\0", 4, 2));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 5, "kd", 2, 2));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 1, "none", 4, 2));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 2, "", 0, 2));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 3, "\1", 1, 2));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 1, "com:", 4, 2));
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 3, "list", 4, 16));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 3, "list", 4, 17));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 4, "none", 4, 17));
}

static void
test_hello_bounds(void)
{
    static const struct {
        uint16_t key;
        uint32_t value;
        gboolean is_accepted;
    } bounds[] = {
        {1, 4095, FALSE},     {1, 4096, TRUE},
        {1, 64u << 20, TRUE}, {1, (64u << 20) + 1, FALSE},
        {1, 0, FALSE},        {1, UINT32_MAX, FALSE},
        {2, 1023, FALSE},     {2, 1024, TRUE},
        {2, 1u << 20, TRUE},  {2, (1u << 20) + 1, FALSE},
        {2, 0, FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bounds); i++) {
        uint8_t value[4];

        kd_u32_store(value, bounds[i].value);
        g_assert_true(accepts_entry(KD_FRAME_HELLO, bounds[i].key, value, 4, 1) ==
                      bounds[i].is_accepted);
    }
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 1, "\0\0\1\0\0", 5, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 1, "\0\20\0", 3, 1));
}

static void
test_hello_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdHello) hello = kd_hello_parse((const uint8_t *)"", 0, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(hello->window, ==, KD_WINDOW_BYTES);
    g_assert_cmpuint(hello->max_data_bytes, ==, KD_MAX_DATA_BYTES);
    g_assert_nonnull(hello->features);
    g_assert_nonnull(hello->mechanisms);
}

static void
test_booleans(void)
{
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 3, "\0", 1, 1));
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 3, "\1", 1, 1));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 3, "\2", 1, 1));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 3, "", 0, 1));
}

static void
test_text_caps(void)
{
    g_autofree char *text = g_strnfill(1100, 'x');

    g_assert_true(accepts_entry(KD_FRAME_HELLO, 5, text, 64, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 5, text, 65, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 5, "", 0, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 3, "a\0b", 3, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 4, "\x1b[m", 3, 1));
    g_assert_true(accepts_entry(KD_FRAME_OPEN, 1, text, 1024, 1));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 1, text, 1025, 1));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 1, "com:\n", 5, 1));
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 2, text, 896, 1));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 2, text, 897, 1));
}

static void
test_result_text(void)
{
    g_autofree char *text = g_strnfill(1100, 'x');
    g_autoptr(GBytes) built = kd_result_build(&(KdResult){.text = text});
    g_autoptr(GBytes) mended = kd_result_build(&(KdResult){.text = (char *)"a\x1b"
                                                                           "b\xff"});
    g_autoptr(GError) error = NULL;
    g_autoptr(KdResult) heard = NULL;
    size_t len = 0;
    const uint8_t *payload = g_bytes_get_data(built, &len);
    g_autofree uint8_t *bad = g_malloc0(17);

    g_assert_cmpuint(len, ==, 16 + KD_MAX_STATUS_BYTES);
    g_assert_true(wire_parse_any(KD_FRAME_RESULT, payload, len));
    payload = g_bytes_get_data(mended, &len);
    heard = kd_result_parse(payload, len, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(heard->text, ==, "a?b?");
    g_assert_false(wire_parse_any(KD_FRAME_RESULT, bad, 17)); /* a NUL */
    bad[16] = 'x';
    g_assert_true(wire_parse_any(KD_FRAME_RESULT, bad, 17));
}

static void
test_close_text(void)
{
    static const uint8_t payload[] = {2, 0, 0, 0, 0, 0, 0, 0, 'n', 'o', 0x1b, 0, 0xff, '!'};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdClose) close = kd_close_parse(payload, sizeof payload, &error);
    g_autoptr(KdClose) bare = kd_close_parse(payload, 8, &error);
    g_autoptr(KdClose) cut = NULL;
    g_autofree uint8_t *longest = g_malloc(KD_MAX_CONTROL_BYTES);

    g_assert_no_error(error);
    g_assert_cmpstr(close->text, ==,
                    "no??"
                    "?!");
    g_assert_cmpstr(bare->text, ==, "");
    memset(longest, 'x', KD_MAX_CONTROL_BYTES);
    cut = kd_close_parse(longest, KD_MAX_CONTROL_BYTES, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(cut->text), ==, KD_MAX_SENTENCE_BYTES);
}

/* ---- LISTED ---- */

/* A LISTED of one link, which has the entry @n_times beside its string. */
static gboolean
accepts_link_entry(uint16_t key, const void *value, size_t len, guint n_times)
{
    g_autoptr(GByteArray) link = g_byte_array_new();

    append_entry(link, 1, "com:", 4);
    for (guint i = 0; i < n_times; i++)
        append_entry(link, key, value, len);
    return accepts_entry(KD_FRAME_LISTED, 1, link->data, link->len, 1);
}

static void
test_listed_entries(void)
{
    g_assert_true(accepts_link_entry(99, "\x1b", 1, 3));
    g_assert_true(accepts_link_entry(5, "\1", 1, 1));
    g_assert_true(accepts_link_entry(5, "\377", 1, 1)); /* a state of later */
    g_assert_false(accepts_link_entry(5, "\1\0", 2, 1));
    g_assert_false(accepts_link_entry(5, "\1", 1, 2));
    g_assert_false(accepts_link_entry(1, "com:", 4, 1)); /* the second one */
    g_assert_false(accepts_link_entry(2, "a", 1, 2));
    g_assert_false(accepts_link_entry(3, "a", 1, 2));
    g_assert_false(accepts_link_entry(6, "a", 1, 2));
    g_assert_true(accepts_link_entry(4, "a", 1, 16));
    g_assert_false(accepts_link_entry(4, "a", 1, 17));
    g_assert_true(accepts_entry(KD_FRAME_LISTED, 2, "\1", 1, 1));
    g_assert_false(accepts_entry(KD_FRAME_LISTED, 2, "\1", 1, 2));
    g_assert_false(accepts_entry(KD_FRAME_LISTED, 2, "\2", 1, 1));
    g_assert_false(accepts_entry(KD_FRAME_LIST, 1, "com", 3, 2));
    g_assert_false(accepts_entry(KD_FRAME_LIST, 1, "co\tm", 4, 1));
}

static void
test_listed_texts(void)
{
    static const struct {
        uint16_t key;
        size_t most;
    } texts[] = {{2, 1024}, {3, 1024}, {4, 1024}, {6, 512}};
    g_autofree char *text = g_strnfill(1100, 'x');

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_assert_true(accepts_link_entry(texts[i].key, text, texts[i].most, 1));
        g_assert_false(accepts_link_entry(texts[i].key, text, texts[i].most + 1, 1));
        g_assert_false(accepts_link_entry(texts[i].key, "", 0, 1));
        g_assert_false(accepts_link_entry(texts[i].key, "a\x1b[2J", 5, 1));
        g_assert_false(accepts_link_entry(texts[i].key, "a\xc2\x9b", 3, 1));
        g_assert_false(accepts_link_entry(texts[i].key, "a\nb", 3, 1));
        g_assert_false(accepts_link_entry(texts[i].key, "\xff", 1, 1));
    }
}

/* What lies inside keeps to what lies outside of it. */
static void
test_listed_nesting(void)
{
    static const uint8_t no_string[] = {1, 0, 5, 0, 5, 0, 1, 0, 1};
    static const uint8_t empty[] = {1, 0, 0, 0};
    static const uint8_t beyond[] = {1, 0, 5, 0, 1, 0, 2, 0, 'a'};        /* inner beyond outer */
    static const uint8_t into_next[] = {1, 0, 6, 0, 1, 0, 3, 0, 'a', 'b', /* the same, with bytes */
                                        2, 0, 1, 0, 1}; /* of the next behind it */
    static const uint8_t cut_head[] = {1, 0, 8, 0, 1, 0, 1, 0, 'a', 2, 0, 1};
    static const uint8_t outer_beyond[] = {1, 0, 0xff, 0xff, 1, 0, 1, 0, 'a'};
    static const uint8_t good[] = {1, 0, 5, 0, 1, 0, 1, 0, 'a'};

    g_assert_true(wire_parse_any(KD_FRAME_LISTED, good, sizeof good));
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, no_string, sizeof no_string));
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, empty, sizeof empty));
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, beyond, sizeof beyond));
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, into_next, sizeof into_next));
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, cut_head, sizeof cut_head));
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, outer_beyond, sizeof outer_beyond));
}

/* A key that a link may have once may stand once in each of two links. */
static void
test_listed_links_apart(void)
{
    g_autoptr(GByteArray) link = g_byte_array_new();

    append_entry(link, 1, "com:", 4);
    append_entry(link, 5, "\2", 1);
    g_assert_true(accepts_entry(KD_FRAME_LISTED, 1, link->data, link->len, 2));
}

static KdListedLink *
build_long_link(void)
{
    g_autofree char *name = g_strnfill(1024, 'n');
    g_autoptr(GVariant) found = g_variant_ref_sink(
        g_variant_new_parsed("{'trans': <'com:port=com1'>, 'name': <%s>}", name));
    KdListedLink *link = kd_listed_link_new(found, NULL);

    g_assert_nonnull(link);
    return link;
}

static void
test_listed_limit(void)
{
    g_autoptr(KdListed) listed = kd_listed_new();
    g_autoptr(KdListedLink) surplus = NULL;
    g_autoptr(GBytes) built = NULL;
    g_autoptr(KdListed) heard = NULL;
    g_autofree uint8_t *longer = g_malloc0(KD_MAX_LISTED_BYTES + 1);
    size_t len = 0;
    const uint8_t *payload;

    while (surplus == NULL) {
        KdListedLink *link = build_long_link();

        if (!kd_listed_add(listed, link))
            surplus = link;
    }
    g_assert_true(listed->has_more);
    built = kd_listed_build(listed);
    payload = g_bytes_get_data(built, &len);
    g_assert_cmpuint(len, <=, KD_MAX_LISTED_BYTES);
    g_assert_cmpuint(len, >, KD_MAX_LISTED_BYTES - 1100);
    heard = kd_listed_parse(payload, len, NULL);
    g_assert_nonnull(heard);
    g_assert_cmpuint(heard->links->len, ==, listed->links->len);
    g_assert_true(heard->has_more);
    /* a single entry that is not known, of any length that fits */
    kd_u16_store(longer, 99);
    g_assert_false(wire_parse_any(KD_FRAME_LISTED, longer, KD_MAX_LISTED_BYTES + 1));
}

/* @found: a constant of the test */
static KdListedLink *
take_found(const char *found)
{
    g_autoptr(GVariant) parsed = g_variant_ref_sink(g_variant_new_parsed(found));
    g_autoptr(GError) error = NULL;
    KdListedLink *link = kd_listed_link_new(parsed, &error);

    g_assert_true((link != NULL) == (error == NULL));
    return link;
}

static void
test_found_is_made_fit(void)
{
    g_autoptr(KdListedLink) link =
        take_found("{'trans': <'com:port=com1'>, 'name': <'a\\u001b[2Jb\\u009b'>, 'holder': "
                   "<'x\\ny'>, 'device': <'/dev/\\n'>, 'aliases': <['/dev/a', '/dev/\\t', "
                   "'']>, 'busy': <true>}");
    g_autoptr(KdListedLink) odd =
        take_found("{'trans': <'fake:'>, 'name': <1>, 'busy': <'yes'>, 'aliases': <'/dev/a'>}");

    g_assert_cmpstr(link->name, ==, "a?[2Jb?");
    g_assert_cmpstr(link->holder, ==, "x?y");
    g_assert_null(link->device);
    g_assert_cmpuint(g_strv_length(link->aliases), ==, 1);
    g_assert_null(odd->name);
    g_assert_cmpint(odd->use, ==, KD_LINK_USE_UNKNOWN);
    g_assert_cmpuint(g_strv_length(odd->aliases), ==, 0);
    g_assert_null(take_found("@a{sv} {}"));
    g_assert_null(take_found("{'trans': <''>}"));
    g_assert_null(take_found("{'trans': <uint32 1>}"));
    g_assert_null(take_found("{'trans': <'com:port=\\n'>}"));
}

static void
test_found_is_cut(void)
{
    g_autofree char *text = g_strnfill(1025, 'x');
    g_autoptr(GVariant) longer = g_variant_ref_sink(g_variant_new_parsed("{'trans': <%s>}", text));
    g_autoptr(GVariant) cut = g_variant_ref_sink(g_variant_new_parsed(
        "{'trans': <'com:'>, 'name': <%s>, 'device': <%s>, 'holder': <%s>}", text, text, text));
    g_autoptr(KdListedLink) link = kd_listed_link_new(cut, NULL);

    g_assert_null(kd_listed_link_new(longer, NULL));
    g_assert_cmpuint(strlen(link->name), ==, 1024);
    g_assert_null(link->device);
    g_assert_cmpuint(strlen(link->holder), ==, 512);
}

/* Cut or mended, the string would name another link. */
static void
test_open_is_not_altered(void)
{
    g_autofree char *text = g_strnfill(5000, 'x');
    g_autoptr(GBytes) longer = kd_open_build(&(KdOpen){.trans = text});
    g_autoptr(GBytes) control = kd_open_build(&(KdOpen){.trans = (char *)"com:\x1b"});
    size_t len = 0;
    const uint8_t *payload = g_bytes_get_data(longer, &len);

    g_assert_cmpuint(len, <=, KD_MAX_CONTROL_BYTES);
    g_assert_false(wire_parse_any(KD_FRAME_OPEN, payload, len));
    payload = g_bytes_get_data(control, &len);
    g_assert_false(wire_parse_any(KD_FRAME_OPEN, payload, len));
}

static void
test_missing(void)
{
    g_assert_false(wire_parse_any(KD_FRAME_OPEN, (const uint8_t *)"", 0));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 2, "me", 2, 1));
    g_assert_false(accepts_entry(KD_FRAME_OPENED, 2, "com", 3, 1));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/message/skips-unknown-entries", test_unknown_entries);
    g_test_add_func("/wire/message/refuses-an-entry-that-stands-twice", test_duplicates);
    g_test_add_func("/wire/message/refuses-other-booleans", test_booleans);
    g_test_add_func("/wire/message/refuses-long-or-unprintable-texts", test_text_caps);
    g_test_add_func("/wire/message/needs-its-entries", test_missing);
    g_test_add_func("/wire/hello/keeps-to-its-bounds", test_hello_bounds);
    g_test_add_func("/wire/hello/has-defaults", test_hello_defaults);
    g_test_add_func("/wire/result/text-is-made-fit-when-built", test_result_text);
    g_test_add_func("/wire/close/text-is-always-readable", test_close_text);
    g_test_add_func("/wire/listed/judges-every-entry", test_listed_entries);
    g_test_add_func("/wire/listed/refuses-long-or-unprintable-texts", test_listed_texts);
    g_test_add_func("/wire/listed/inner-lists-keep-to-the-outer", test_listed_nesting);
    g_test_add_func("/wire/listed/links-do-not-mix", test_listed_links_apart);
    g_test_add_func("/wire/listed/fills-one-frame-and-says-that-there-is-more", test_listed_limit);
    g_test_add_func("/wire/listed/what-a-plugin-found-is-made-fit", test_found_is_made_fit);
    g_test_add_func("/wire/listed/what-a-plugin-found-is-cut", test_found_is_cut);
    g_test_add_func("/wire/open/string-is-never-altered", test_open_is_not_altered);
    return g_test_run();
}

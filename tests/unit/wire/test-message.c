/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Payloads against the vectors of PROTOCOL.md, in both directions. */
#include "kd-bytes.h"
#include "kd-tlv.h"
#include "wire-hex.h"
#include "wire-vectors.h"

#include <string.h>

#define HEX_OF(name, what, hex) static const char HEX_##name[] G_GNUC_UNUSED = hex;
KD_WIRE_VECTORS(HEX_OF)

static char *NO_WORDS[] = {NULL};

/* A vector taken apart. */
typedef struct {
    uint8_t *bytes;
    KdFrameHeader header;
    const uint8_t *payload;
    size_t len;
} Vector;

static void
vector_init(Vector *vector, const char *hex)
{
    size_t len = 0;

    vector->bytes = wire_dup_hex(hex, &len);
    g_assert_cmpuint(len, >=, KD_HEADER_BYTES);
    kd_frame_header_load(&vector->header, vector->bytes);
    vector->payload = vector->bytes + KD_HEADER_BYTES;
    vector->len = len - KD_HEADER_BYTES;
    g_assert_cmpuint(vector->header.length, ==, vector->len);
    g_assert_cmpuint(vector->header.channel, ==, 0);
}

static void
vector_clear(Vector *vector)
{
    g_free(vector->bytes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Vector, vector_clear)

/* @payload: (transfer full) */
static void
assert_built(const char *hex, uint8_t type, uint64_t ack, GBytes *payload)
{
    g_autoptr(GBytes) owned = payload;
    size_t expected_len = 0;
    g_autofree uint8_t *expected = wire_dup_hex(hex, &expected_len);
    size_t len = 0;
    const uint8_t *bytes = g_bytes_get_data(owned, &len);
    KdFrameHeader header = {.type = type, .length = (uint32_t)len, .ack = ack};
    uint8_t out[KD_HEADER_BYTES];

    kd_frame_header_store(out, &header);
    g_assert_cmpmem(out, sizeof out, expected, KD_HEADER_BYTES);
    g_assert_cmpmem(bytes, (int)len, expected + KD_HEADER_BYTES,
                    (int)(expected_len - KD_HEADER_BYTES));
}

static void
test_hello(void)
{
    g_auto(Vector) client = {0};
    g_auto(Vector) server = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdHello) from_client = NULL;
    g_autoptr(KdHello) from_server = NULL;
    char *features[] = {(char *)"resume", (char *)"list", NULL};
    char *mechanisms[] = {(char *)"none", NULL};

    assert_built(HEX_HELLO_CLIENT, KD_FRAME_HELLO, 0,
                 kd_hello_build(&(KdHello){.window = 262144,
                                           .max_data_bytes = 131072,
                                           .features = NO_WORDS,
                                           .software = (char *)"kd 0.1"}));
    assert_built(HEX_HELLO_SERVER, KD_FRAME_HELLO, 0,
                 kd_hello_build(&(KdHello){.window = 65536,
                                           .max_data_bytes = 16384,
                                           .features = features,
                                           .mechanisms = mechanisms}));

    vector_init(&client, HEX_HELLO_CLIENT);
    from_client = kd_hello_parse(client.payload, client.len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(from_client->window, ==, 262144);
    g_assert_cmpuint(from_client->max_data_bytes, ==, 131072);
    g_assert_cmpuint(g_strv_length(from_client->features), ==, 0);
    g_assert_cmpuint(g_strv_length(from_client->mechanisms), ==, 0);
    g_assert_cmpstr(from_client->software, ==, "kd 0.1");

    vector_init(&server, HEX_HELLO_SERVER);
    from_server = kd_hello_parse(server.payload, server.len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(from_server->window, ==, 65536);
    g_assert_cmpuint(from_server->max_data_bytes, ==, 16384);
    g_assert_true(
        g_strv_equal((const char *const *)from_server->features, (const char *const *)features));
    g_assert_true(g_strv_equal((const char *const *)from_server->mechanisms,
                               (const char *const *)mechanisms));
    g_assert_null(from_server->software);
}

static void
test_auth(void)
{
    static const uint8_t step[] = {1, 2, 0xff};
    g_auto(Vector) client = {0};
    g_auto(Vector) server = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) step_bytes = g_bytes_new_static(step, sizeof step);
    g_autoptr(KdAuth) from_client = NULL;
    g_autoptr(KdAuth) from_server = NULL;

    assert_built(HEX_AUTH_CLIENT, KD_FRAME_AUTH, 0,
                 kd_auth_build(&(KdAuth){.mechanism = (char *)"none", .step = step_bytes}));
    assert_built(HEX_AUTH_SERVER, KD_FRAME_AUTH, 0, kd_auth_build(&(KdAuth){.is_done = TRUE}));

    vector_init(&client, HEX_AUTH_CLIENT);
    from_client = kd_auth_parse(client.payload, client.len, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(from_client->mechanism, ==, "none");
    g_assert_true(g_bytes_equal(from_client->step, step_bytes));
    g_assert_false(from_client->is_done);

    vector_init(&server, HEX_AUTH_SERVER);
    from_server = kd_auth_parse(server.payload, server.len, &error);
    g_assert_no_error(error);
    g_assert_null(from_server->mechanism);
    g_assert_null(from_server->step);
    g_assert_true(from_server->is_done);
}

/* The four frames of a password, the last two with `finished`. */
static void
test_auth_finished(void)
{
    static const char *const hexes[] = {HEX_AUTH_FIRST, HEX_AUTH_CHALLENGE, HEX_AUTH_PROOF,
                                        HEX_AUTH_DONE};

    for (guint i = 0; i < G_N_ELEMENTS(hexes); i++) {
        g_auto(Vector) vector = {0};
        g_autoptr(GError) error = NULL;
        g_autoptr(KdAuth) auth = NULL;

        vector_init(&vector, hexes[i]);
        auth = kd_auth_parse(vector.payload, vector.len, &error);
        g_assert_no_error(error);
        g_assert_true((auth->mechanism != NULL) == (i == 0));
        g_assert_nonnull(auth->step);
        g_assert_true(auth->is_done == (i == 3));
        g_assert_true((auth->finished != NULL) == (i >= 2));
        assert_built(hexes[i], KD_FRAME_AUTH, 0, kd_auth_build(auth));
    }
}

static void
test_auth_finished_length(void)
{
    static const uint8_t bytes[40] = {0};

    for (uint16_t len = 0; len < 34; len++) {
        g_autoptr(GByteArray) payload = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(KdAuth) auth = NULL;

        kd_tlv_append(payload, 4, bytes, len);
        auth = kd_auth_parse(payload->data, payload->len, &error);
        g_assert_true((auth != NULL) == (len == 32));
        g_assert_true((auth == NULL) == (error != NULL));
    }
}

static void
test_open(void)
{
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdOpen) open = NULL;

    assert_built(HEX_OPEN, KD_FRAME_OPEN, 0,
                 kd_open_build(&(KdOpen){.trans = (char *)"com:port=com2,baud=115200",
                                         .identity = (char *)"HOST\\user"}));
    vector_init(&vector, HEX_OPEN);
    open = kd_open_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(open->trans, ==, "com:port=com2,baud=115200");
    g_assert_cmpstr(open->identity, ==, "HOST\\user");
}

static void
test_opened(void)
{
    const KdOpened said = {
        .session = UINT64_C(0x1122334455667788),
        .scheme = (char *)"com",
        .dialect = (char *)"kdcom",
        .controls = 1u << KD_CONTROL_BREAK | 1u << KD_CONTROL_BAUD,
        .has_half_close = TRUE,
        .baud = 115200,
        .name = (char *)"com2",
    };
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdOpened) opened = NULL;

    assert_built(HEX_OPENED, KD_FRAME_OPENED, 0, kd_opened_build(&said));
    vector_init(&vector, HEX_OPENED);
    opened = kd_opened_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_cmphex(opened->session, ==, said.session);
    g_assert_cmpstr(opened->scheme, ==, said.scheme);
    g_assert_cmpstr(opened->dialect, ==, said.dialect);
    g_assert_cmphex(opened->controls, ==, said.controls);
    g_assert_true(opened->has_half_close);
    g_assert_cmpuint(opened->baud, ==, said.baud);
    g_assert_cmpstr(opened->name, ==, said.name);
}

/* What 1.1 has added: a reader of 1.0 reads over it, and a writer of 1.0 leaves it out. */
static void
test_opened_resets(void)
{
    const KdOpened said = {.session = 2,
                           .scheme = (char *)"com",
                           .name = (char *)"com2",
                           .has_resets = TRUE,
                           .resets = 3};
    g_auto(Vector) vector = {0};
    g_auto(Vector) without = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdOpened) opened = NULL;
    g_autoptr(KdOpened) older = NULL;

    assert_built(HEX_OPENED_RESETS, KD_FRAME_OPENED, 0, kd_opened_build(&said));
    vector_init(&vector, HEX_OPENED_RESETS);
    opened = kd_opened_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_true(opened->has_resets);
    g_assert_cmpuint(opened->resets, ==, 3);
    vector_init(&without, HEX_OPENED);
    older = kd_opened_parse(without.payload, without.len, &error);
    g_assert_no_error(error);
    g_assert_false(older->has_resets);
}

static void
test_list(void)
{
    g_auto(Vector) all = {0};
    g_auto(Vector) one = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdList) of_all = NULL;
    g_autoptr(KdList) of_one = NULL;

    assert_built(HEX_LIST, KD_FRAME_LIST, 0, kd_list_build(&(KdList){0}));
    assert_built(HEX_LIST_SCHEME, KD_FRAME_LIST, 0,
                 kd_list_build(&(KdList){.scheme = (char *)"com"}));
    vector_init(&all, HEX_LIST);
    of_all = kd_list_parse(all.payload, all.len, &error);
    g_assert_no_error(error);
    g_assert_null(of_all->scheme);
    vector_init(&one, HEX_LIST_SCHEME);
    of_one = kd_list_parse(one.payload, one.len, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(of_one->scheme, ==, "com");
}

/* As an enumerate_finish says it; a constant of the test. */
static void
add_found(KdListed *listed, const char *found)
{
    g_autoptr(GVariant) parsed = g_variant_ref_sink(g_variant_new_parsed(found));
    g_autoptr(GError) error = NULL;
    KdListedLink *link = kd_listed_link_new(parsed, &error);

    g_assert_no_error(error);
    g_assert_true(kd_listed_add(listed, link));
}

static void
assert_link(const KdListed *listed, guint at, const char *trans, const char *name, KdLinkUse use,
            const char *holder)
{
    const KdListedLink *link = g_ptr_array_index(listed->links, at);

    g_assert_cmpstr(link->trans, ==, trans);
    g_assert_cmpstr(link->name, ==, name);
    g_assert_cmpint(link->use, ==, use);
    g_assert_cmpstr(link->holder, ==, holder);
}

static void
test_listed(void)
{
    static const char *const aliases[] = {"/dev/serial/by-id/usb-A", "/dev/serial/by-path/B", NULL};
    g_autoptr(KdListed) said = kd_listed_new();
    g_autoptr(KdListed) none = kd_listed_new();
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdListed) heard = NULL;
    const KdListedLink *first;

    add_found(said, "{'trans': <'com:port=ttyUSB0'>, 'name': <'FT232R USB UART'>, 'device': "
                    "<'/dev/ttyUSB0'>, 'aliases': <['/dev/serial/by-id/usb-A', "
                    "'/dev/serial/by-path/B']>, 'busy': <true>, 'holder': "
                    "<'HOST\\\\user (10.0.0.7:40312)'>}");
    add_found(said, "{'trans': <'com:port=com1'>, 'busy': <false>, 'holder': <'nobody'>}");
    add_found(said, "{'trans': <'fake:name=1'>}");
    said->has_more = TRUE;
    assert_built(HEX_LISTED, KD_FRAME_LISTED, 0, kd_listed_build(said));
    assert_built(HEX_LISTED_NONE, KD_FRAME_LISTED, 0, kd_listed_build(none));

    vector_init(&vector, HEX_LISTED);
    heard = kd_listed_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_true(heard->has_more);
    g_assert_cmpuint(heard->links->len, ==, 3);
    assert_link(heard, 0, "com:port=ttyUSB0", "FT232R USB UART", KD_LINK_USE_BUSY,
                "HOST\\user (10.0.0.7:40312)");
    first = g_ptr_array_index(heard->links, 0);
    g_assert_cmpstr(first->device, ==, "/dev/ttyUSB0");
    g_assert_true(g_strv_equal((const char *const *)first->aliases, aliases));
    assert_link(heard, 1, "com:port=com1", NULL, KD_LINK_USE_FREE, NULL);
    assert_link(heard, 2, "fake:name=1", NULL, KD_LINK_USE_UNKNOWN, NULL);
}

static void
check_control(const char *hex, uint64_t ack, const KdControl *said)
{
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    KdControl heard = {0};

    assert_built(hex, KD_FRAME_CONTROL, ack, kd_control_build(said));
    vector_init(&vector, hex);
    g_assert_true(kd_control_parse(&heard, vector.payload, vector.len, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(heard.id, ==, said->id);
    g_assert_cmpuint(heard.op, ==, said->op);
    g_assert_cmpint(heard.is_urgent, ==, said->is_urgent);
    g_assert_cmpuint(heard.at, ==, said->at);
    g_assert_cmpuint(heard.arg, ==, said->arg);
    g_assert_cmpuint(heard.arg2, ==, said->arg2);
}

static void
test_control(void)
{
    check_control(HEX_CONTROL, 0,
                  &(KdControl){.id = 7, .op = KD_CONTROL_BREAK, .is_urgent = TRUE, .at = 4096});
    check_control(
        HEX_CONTROL_LINES, 16,
        &(KdControl){
            .id = 8, .op = KD_CONTROL_LINES, .at = UINT64_C(1) << 32, .arg = 6, .arg2 = 2});
}

static void
test_control_refused(void)
{
    static const struct {
        uint8_t at;
        uint8_t value;
    } changes[] = {{4, 0}, {4, 32}, {5, 1}, {6, 2}, {7, 0x80}};

    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_auto(Vector) vector = {0};

        vector_init(&vector, HEX_CONTROL);
        vector.bytes[KD_HEADER_BYTES + changes[i].at] = changes[i].value;
        g_assert_false(wire_parse_any(KD_FRAME_CONTROL, vector.payload, vector.len));
    }
}

static void
check_result(const char *hex, const KdResult *said)
{
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdResult) heard = NULL;

    assert_built(hex, KD_FRAME_RESULT, 0, kd_result_build(said));
    vector_init(&vector, hex);
    heard = kd_result_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(heard->id, ==, said->id);
    g_assert_cmpuint(heard->code, ==, said->code);
    g_assert_cmpuint(heard->value, ==, said->value);
    g_assert_cmpstr(heard->text, ==, said->text);
}

static void
test_result(void)
{
    check_result(HEX_RESULT, &(KdResult){.id = 7, .value = 1500});
    check_result(
        HEX_RESULT_ERROR,
        &(KdResult){.id = 8, .code = KD_ERROR_NOT_SUPPORTED + 1, .text = (char *)"no lines"});
}

static void
test_event(void)
{
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdEvent) event = NULL;

    assert_built(HEX_EVENT, KD_FRAME_EVENT, 0,
                 kd_event_build(&(KdEvent){
                     .seq = 1, .kind = KD_EVENT_NOTE, .at = 9, .text = (char *)"caf\xc3\xa9"}));
    vector_init(&vector, HEX_EVENT);
    event = kd_event_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(event->seq, ==, 1);
    g_assert_cmpuint(event->kind, ==, KD_EVENT_NOTE);
    g_assert_cmpuint(event->at, ==, 9);
    g_assert_cmpuint(event->value, ==, 0);
    g_assert_cmpstr(event->text, ==, "caf\xc3\xa9");
    vector.bytes[KD_HEADER_BYTES + 7] = 1; /* reserved */
    g_assert_false(wire_parse_any(KD_FRAME_EVENT, vector.payload, vector.len));
}

static void
test_fin(void)
{
    g_auto(Vector) vector = {0};
    g_autoptr(GError) error = NULL;
    uint64_t final_offset = 0;

    assert_built(HEX_FIN, KD_FRAME_FIN, 0, kd_fin_build(UINT64_C(0x100000001)));
    vector_init(&vector, HEX_FIN);
    g_assert_true(kd_fin_parse(&final_offset, vector.payload, vector.len, &error));
    g_assert_cmphex(final_offset, ==, UINT64_C(0x100000001));
}

static void
test_close(void)
{
    g_auto(Vector) vector = {0};
    g_auto(Vector) version = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdClose) close = NULL;
    g_autoptr(KdClose) heard = NULL;
    g_autofree char *text = kd_close_build_version_text(1, 0, 2, 1);

    assert_built(HEX_CLOSE, KD_FRAME_CLOSE, 0,
                 kd_close_build(&(KdClose){
                     .code = KD_CLOSE_BUSY, .retry_after_s = 30, .text = (char *)"in use"}));
    assert_built(HEX_CLOSE_VERSION, KD_FRAME_CLOSE, 0,
                 kd_close_build(&(KdClose){.code = KD_CLOSE_VERSION, .text = text}));
    vector_init(&vector, HEX_CLOSE);
    close = kd_close_parse(vector.payload, vector.len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(close->code, ==, KD_CLOSE_BUSY);
    g_assert_cmpuint(close->retry_after_s, ==, 30);
    g_assert_cmpstr(close->text, ==, "in use");
    vector_init(&version, HEX_CLOSE_VERSION);
    heard = kd_close_parse(version.payload, version.len, &error);
    g_assert_cmpstr(heard->text, ==, text);
}

/* Frames whose payload has no parser: the header is all there is to compare. */
static void
test_bare_frames(void)
{
    static const struct {
        const char *hex;
        KdFrameHeader header;
    } bare[] = {
        {HEX_END_SERVER, {.type = KD_FRAME_END_SERVER}},
        {HEX_ACK, {.type = KD_FRAME_ACK, .ack = 65536}},
        {HEX_DATA, {.type = KD_FRAME_DATA, .flags = KD_FRAME_END, .length = 4, .ack = 72}},
        {HEX_PING, {.type = KD_FRAME_PING, .length = 8}},
        {HEX_PONG, {.type = KD_FRAME_PONG, .length = 8}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bare); i++) {
        g_auto(Vector) vector = {0};
        uint8_t out[KD_HEADER_BYTES];

        vector_init(&vector, bare[i].hex);
        kd_frame_header_store(out, &bare[i].header);
        g_assert_cmpmem(out, sizeof out, vector.bytes, KD_HEADER_BYTES);
    }
}

/* Where entries end; a payload that ends there is a shorter list, elsewhere it is a broken one. */
static gboolean
is_entry_end(const Vector *vector, size_t len)
{
    size_t at = 0;

    while (at < len)
        at += 4u + kd_u16_load(vector->payload + at + 2);
    return at == len;
}

static gboolean
is_prefix_valid(const Vector *vector, size_t len)
{
    switch (vector->header.type) {
    case KD_FRAME_HELLO:
    case KD_FRAME_AUTH:
    case KD_FRAME_LIST:
    case KD_FRAME_LISTED:
        return is_entry_end(vector, len);
    case KD_FRAME_OPEN:
        return is_entry_end(vector, len) && len > 0;
    case KD_FRAME_RESULT:
        return len >= 16;
    case KD_FRAME_EVENT:
        return len >= 20 && len != vector->len - 1; /* within the last character */
    case KD_FRAME_CLOSE:
        return len >= 8;
    case KD_FRAME_OPENED: /* all are needed but `resets` */
        return is_entry_end(vector, len) && len + 8 == vector->len && vector->payload[len] == 8;
    case KD_FRAME_CONTROL:
    case KD_FRAME_FIN:
        return FALSE;
    default:
        return TRUE;
    }
}

static void
test_prefixes(void)
{
    static const char *const all[] = {
#define ALL_OF(name, what, hex) hex,
        KD_WIRE_VECTORS(ALL_OF)
#undef ALL_OF
    };

    for (guint i = 2; i < G_N_ELEMENTS(all); i++) { /* behind the preambles */
        g_auto(Vector) vector = {0};

        vector_init(&vector, all[i]);
        g_assert_true(wire_parse_any(vector.header.type, vector.payload, vector.len));
        for (size_t len = 0; len < vector.len; len++) {
            g_autofree uint8_t *exact = g_memdup2(vector.payload, MAX(len, 1));

            g_assert_true(wire_parse_any(vector.header.type, exact, len) ==
                          is_prefix_valid(&vector, len));
        }
    }
}

static void
test_random(void)
{
    static const uint8_t types[] = {1, 2, 3, 4, 5, 6, 17, 24, 25, 26, 40};

    for (guint i = 0; i < 30000; i++) {
        size_t len = (size_t)g_test_rand_int_range(0, 80);
        g_autofree uint8_t *exact = g_malloc(MAX(len, 1));

        /* mostly small numbers, so that keys and lengths often fit */
        for (size_t n = 0; n < len; n++)
            exact[n] = (uint8_t)(g_test_rand_int_range(0, 4) == 0 ? g_test_rand_int_range(0, 256)
                                                                  : g_test_rand_int_range(0, 6));
        wire_parse_any(types[i % G_N_ELEMENTS(types)], exact, len);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/hello/equals-its-vectors", test_hello);
    g_test_add_func("/wire/auth/equals-its-vectors", test_auth);
    g_test_add_func("/wire/auth/finished-stands-in-the-last-two", test_auth_finished);
    g_test_add_func("/wire/auth/finished-has-one-length", test_auth_finished_length);
    g_test_add_func("/wire/open/equals-its-vector", test_open);
    g_test_add_func("/wire/opened/equals-its-vector", test_opened);
    g_test_add_func("/wire/opened/resets-are-known-or-not", test_opened_resets);
    g_test_add_func("/wire/list/equals-its-vectors", test_list);
    g_test_add_func("/wire/listed/equals-its-vectors", test_listed);
    g_test_add_func("/wire/control/equals-its-vectors", test_control);
    g_test_add_func("/wire/control/refuses-what-has-no-meaning", test_control_refused);
    g_test_add_func("/wire/result/equals-its-vectors", test_result);
    g_test_add_func("/wire/event/equals-its-vector", test_event);
    g_test_add_func("/wire/fin/equals-its-vector", test_fin);
    g_test_add_func("/wire/close/equals-its-vectors", test_close);
    g_test_add_func("/wire/message/bare-frames-equal-their-vectors", test_bare_frames);
    g_test_add_func("/wire/message/every-prefix-is-judged", test_prefixes);
    g_test_add_func("/wire/message/random-bytes-give-a-value-or-an-error", test_random);
    return g_test_run();
}

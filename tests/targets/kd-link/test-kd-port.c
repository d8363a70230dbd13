/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link's port: its stream, its clock, its events and orders. The test is host and carrier. */
#include "kd-le.h"
#include "kd-link-port.h"

#include <errno.h>
#include <string.h>

#define CLIENT_ID 0x80800000u
#define SYNC_ID   0x80800800u
#define NET_ID    0x80000000u

typedef struct {
    KdLinkPort *port;
    KdSink sink;
    KdEndpoint host;
    GString *events;     /* what the sink was told: L, B, R, and N with the text */
    GByteArray *carried; /* the last that was sent to the target */
    guint n_carried;
    gboolean is_busy;
    gboolean goes_while_sending;
    GString *attached; /* + and - */
} Link;

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    Link *link = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;

    if (event == KD_EVENT_NOTE)
        g_string_append_printf(link->events, "N(%s)", g_variant_get_string(owned, NULL));
    else
        g_string_append_c(link->events, " LBR"[event]);
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Link *link = user;

    if (link->is_busy)
        return FALSE;
    link->n_carried++;
    g_byte_array_set_size(link->carried, 0);
    g_byte_array_append(link->carried, bytes, (guint)len_bytes);
    if (link->goes_while_sending)
        kd_link_port_set_present(link->port, FALSE);
    return TRUE;
}

static void
on_attached(gboolean is_attached, void *user)
{
    g_string_append_c(((Link *)user)->attached, is_attached ? '+' : '-');
}

static void
on_ready(void *user, uint32_t ready)
{
    (void)user;
    (void)ready;
}

static void
set_attached(Link *link, gboolean is_attached)
{
    link->host.ops->set_ready(link->host.stream, is_attached ? on_ready : NULL, link);
}

static void
set_up(Link *link, gconstpointer unused)
{
    static const KdLinkPortFuncs funcs = {.send = on_send, .attached = on_attached};

    (void)unused;
    link->sink = (KdSink){.struct_size = sizeof link->sink, .event = on_event, .user = link};
    link->events = g_string_new(NULL);
    link->attached = g_string_new(NULL);
    link->carried = g_byte_array_new();
    link->host = (KdEndpoint){.struct_size = sizeof link->host, .fd = -1};
    link->port = kd_link_port_new(KD_DIALECT_NET, &link->sink, &funcs, link);
    kd_link_port_give(link->port, &link->host, "192.0.2.1:50000");
    set_attached(link, TRUE);
    kd_link_port_set_present(link->port, TRUE);
}

static void
tear_down(Link *link, gconstpointer unused)
{
    (void)unused;
    if (link->host.stream != NULL)
        link->host.ops->destroy(link->host.stream);
    kd_link_port_free(link->port);
    g_clear_pointer(&link->host.facts, g_variant_unref);
    g_string_free(link->events, TRUE);
    g_string_free(link->attached, TRUE);
    g_byte_array_unref(link->carried);
}

static size_t
build(KdDialect dialect, uint16_t type, uint32_t id, uint32_t api, uint8_t *bytes)
{
    uint8_t payload[56] = {0};
    KdPacket packet = {.type = type, .id = id, .payload = payload, .payload_bytes = 56};

    kd_le_store32(payload, api);
    packet.is_control = type >= KD_PACKET_ACK && type <= KD_PACKET_RESET;
    return kd_packet_build(dialect, &packet, bytes);
}

static void
client_says(Link *link, uint16_t type, uint32_t id, uint32_t api)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t n = build(KD_DIALECT_SERIAL, type, id, api, bytes);

    g_assert_cmpint(link->host.ops->write(link->host.stream, bytes, n), ==, (gssize)n);
}

static void
target_says(Link *link, uint16_t type, uint32_t id, uint32_t api)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t n = build(KD_DIALECT_NET, type, id, api, bytes);

    g_assert_true(kd_link_port_receive(link->port, bytes, n));
}

static gssize
read_bytes(Link *link, uint8_t *bytes, size_t len_bytes)
{
    return link->host.ops->read(link->host.stream, bytes, len_bytes);
}

/* One packet, which must be the next */
static void
expect(Link *link, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    gboolean is_control = type >= KD_PACKET_ACK && type <= KD_PACKET_RESET;
    gssize n = is_control ? KD_PACKET_HEADER_BYTES : KD_PACKET_HEADER_BYTES + 57;
    KdPacket packet;

    g_assert_cmpint(read_bytes(link, bytes, (size_t)n), ==, n);
    g_assert_true(kd_packet_parse(KD_DIALECT_SERIAL, bytes, (size_t)n, &packet, NULL));
    g_assert_cmpuint(packet.type, ==, type);
    g_assert_cmphex(packet.id, ==, id);
}

static void
expect_silence(Link *link)
{
    uint8_t byte;

    g_assert_cmpint(read_bytes(link, &byte, 1), ==, -EAGAIN);
}

static void
expect_carried(Link *link, uint16_t type)
{
    KdPacket packet;

    g_assert_true(
        kd_packet_parse(KD_DIALECT_NET, link->carried->data, link->carried->len, &packet, NULL));
    g_assert_cmpuint(packet.type, ==, type);
}

/* ---- cases ---- */

static void
test_endpoint(Link *link, gconstpointer unused)
{
    const char *text = NULL;
    guint32 controls = 0;

    (void)unused;
    g_assert_cmpint(link->host.fd, ==, -1);
    g_assert_cmpuint(link->host.flags, ==, KD_ENDPOINT_KEEP);
    g_assert_true(g_variant_lookup(link->host.facts, "dialect", "&s", &text));
    g_assert_cmpstr(text, ==, "kdcom");
    g_assert_true(g_variant_lookup(link->host.facts, "peer", "&s", &text));
    g_assert_cmpstr(text, ==, "192.0.2.1:50000");
    g_assert_true(g_variant_lookup(link->host.facts, "controls", "u", &controls));
    g_assert_cmpuint(controls, ==, KD_LINK_PORT_CONTROLS);
}

static void
test_exchange(Link *link, gconstpointer unused)
{
    (void)unused;
    target_says(link, KD_PACKET_STATE_CHANGE64, 0, 0x3030);
    expect_carried(link, KD_PACKET_ACK);
    expect(link, KD_PACKET_STATE_CHANGE64, SYNC_ID);
    client_says(link, KD_PACKET_ACK, CLIENT_ID, 0);
    client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3146);
    expect_carried(link, KD_PACKET_STATE_MANIPULATE);
    target_says(link, KD_PACKET_ACK, NET_ID, 0);
    expect_silence(link);
    target_says(link, KD_PACKET_STATE_MANIPULATE, 2, 0x3146);
    expect(link, KD_PACKET_ACK, CLIENT_ID);
    expect(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID ^ 1);
    expect_silence(link);
}

static void
test_clock(Link *link, gconstpointer unused)
{
    uint8_t byte;

    (void)unused;
    client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3146);
    /* nobody acknowledges it: it is repeated */
    while (link->n_carried < 2)
        g_main_context_iteration(NULL, TRUE);
    expect_carried(link, KD_PACKET_STATE_MANIPULATE);
    target_says(link, KD_PACKET_ACK, NET_ID, 0);
    /* an earlier deadline than the one that the clock was set to before */
    while (link->host.ops->read(link->host.stream, &byte, 1) == -EAGAIN)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(byte, ==, 'i');
}

static void
test_events(Link *link, gconstpointer unused)
{
    (void)unused;
    g_assert_cmpstr(link->events->str, ==, ""); /* it has come: nobody thought it had gone */
    kd_link_port_set_present(link->port, TRUE);
    kd_link_port_set_present(link->port, FALSE);
    kd_link_port_set_present(link->port, FALSE);
    kd_link_port_set_present(link->port, TRUE);
    g_assert_cmpstr(link->events->str, ==, "LB");
    kd_link_port_restarted(link->port); /* and nothing was heard before */
    g_assert_cmpstr(link->events->str, ==, "LB");
    target_says(link, KD_PACKET_STATE_CHANGE64, 0, 0x3030);
    kd_link_port_restarted(link->port);
    g_assert_cmpstr(link->events->str, ==, "LBR");
}

static void
test_note(Link *link, gconstpointer unused)
{
    (void)unused;
    kd_link_port_note(link->port, "target %s", "a\033[2J\n\xff\xc2\x9bz \xc3\xa4");
    g_assert_cmpstr(link->events->str, ==, "N(target a?[2J?\xef\xbf\xbd?z \xc3\xa4)");
}

static void
test_sessions(Link *link, gconstpointer unused)
{
    (void)unused;
    target_says(link, KD_PACKET_STATE_CHANGE64, 0, 0x3030);
    set_attached(link, FALSE);
    g_assert_cmpstr(link->attached->str, ==, "+-");
    set_attached(link, TRUE);
    g_assert_cmpstr(link->attached->str, ==, "+-+");
    expect(link, KD_PACKET_STATE_CHANGE64, SYNC_ID); /* once, although it was put for each */
    expect_silence(link);
}

static void
test_half_request(Link *link, gconstpointer unused)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t n = build(KD_DIALECT_SERIAL, 2, CLIENT_ID, 0x3146, bytes);

    (void)unused;
    g_assert_cmpint(link->host.ops->write(link->host.stream, bytes, n - 1), ==, (gssize)n - 1);
    set_attached(link, FALSE);
    set_attached(link, TRUE);
    client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3130);
    expect_carried(link, KD_PACKET_STATE_MANIPULATE);
    g_assert_cmphex(kd_le_load32(link->carried->data + 16), ==, 0x3130);
}

static void
test_full(Link *link, gconstpointer unused)
{
    guint n_read = 0;
    uint8_t bytes[KD_PACKET_HEADER_BYTES];

    (void)unused;
    client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3136);
    target_says(link, KD_PACKET_ACK, NET_ID, 0);
    for (int i = 0; i < 5000; i++) /* each is acknowledged */
        client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3136);
    while (read_bytes(link, bytes, sizeof bytes) == sizeof bytes) {
        g_assert_cmpuint(bytes[4], ==, KD_PACKET_ACK);
        n_read++;
    }
    /* 32 KiB, and one more when there was room again */
    g_assert_cmpuint(n_read, ==, 32 * 1024 / 16 + 1);
}

static void
test_goes_while_sending(Link *link, gconstpointer unused)
{
    (void)unused;
    link->goes_while_sending = TRUE;
    client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3146);
    g_assert_cmpstr(link->events->str, ==, "L");
    guint n_carried = link->n_carried;
    link->goes_while_sending = FALSE;
    kd_link_port_set_present(link->port, TRUE);
    g_assert_cmpuint(link->n_carried, ==, n_carried + 1);
}

static void
test_busy(Link *link, gconstpointer unused)
{
    (void)unused;
    link->is_busy = TRUE;
    client_says(link, KD_PACKET_STATE_MANIPULATE, CLIENT_ID, 0x3146);
    g_assert_cmpuint(link->n_carried, ==, 0);
    link->is_busy = FALSE;
    kd_link_port_ready(link->port);
    g_assert_cmpuint(link->n_carried, ==, 1);
}

static void
test_free(Link *link, gconstpointer unused)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];

    (void)unused;
    target_says(link, KD_PACKET_STATE_CHANGE64, 0, 0x3030);
    g_clear_pointer(&link->port, kd_link_port_free);
    g_assert_cmpint(link->host.ops->write(link->host.stream, "b", 1), ==, -EPIPE);
    g_assert_cmpint(read_bytes(link, bytes, sizeof bytes), ==, KD_PACKET_HEADER_BYTES + 57);
    g_assert_cmpint(read_bytes(link, bytes, sizeof bytes), ==, 0);
    set_attached(link, FALSE);
    g_assert_cmpstr(link->attached->str, ==, "+");
}

static void
test_destroyed(Link *link, gconstpointer unused)
{
    (void)unused;
    link->host.ops->destroy(g_steal_pointer(&link->host.stream));
    target_says(link, KD_PACKET_STATE_CHANGE64, 0, 0x3031);
    expect_carried(link, KD_PACKET_STATE_MANIPULATE); /* nobody listens: Continue */
    kd_link_port_fail(link->port, EIO);
}

static void
test_fail(Link *link, gconstpointer unused)
{
    uint8_t byte;

    (void)unused;
    kd_link_port_fail(link->port, ENODEV);
    g_assert_cmpint(read_bytes(link, &byte, 1), ==, -ENODEV);
}

/* ---- orders ---- */

static GVariant *
order(Link *link, uint32_t op, GVariant *arg, GError **error)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, NULL, NULL);
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    g_auto(GVariantDict) status = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&status, "generation", "u", 7u);
    kd_link_port_control(link->port, op, owned, &status, task);
    while (!g_task_get_completed(task))
        g_main_context_iteration(NULL, TRUE);
    return g_task_propagate_pointer(task, error);
}

static void
test_status(Link *link, gconstpointer unused)
{
    const char *state = NULL;
    guint32 generation = 0;
    guint64 n = 0;
    gboolean is_present = FALSE;

    (void)unused;
    target_says(link, KD_PACKET_STATE_CHANGE64, 0, 0x3030);
    g_autoptr(GVariant) status = order(link, KD_CONTROL_STATUS, NULL, NULL);
    g_assert_true(g_variant_is_of_type(status, G_VARIANT_TYPE_VARDICT));
    g_assert_true(g_variant_lookup(status, "state", "&s", &state));
    g_assert_cmpstr(state, ==, "halted");
    g_assert_true(g_variant_lookup(status, "present", "b", &is_present));
    g_assert_true(is_present);
    g_assert_true(g_variant_lookup(status, "from-target", "t", &n));
    g_assert_cmpuint(n, ==, 1);
    g_assert_true(g_variant_lookup(status, "generation", "u", &generation));
    g_assert_cmpuint(generation, ==, 7);
}

static void
test_break(Link *link, gconstpointer unused)
{
    g_autoptr(GVariant) result = order(link, KD_CONTROL_BREAK, g_variant_new_uint32(0), NULL);

    (void)unused;
    g_assert_true(g_variant_is_of_type(result, G_VARIANT_TYPE_UINT64));
    g_assert_cmpmem(link->carried->data, (int)link->carried->len, "b", 1);
}

static void
test_reset(Link *link, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    (void)unused;
    g_assert_null(order(link, KD_CONTROL_RESET, NULL, &error));
    g_assert_no_error(error);
    expect_carried(link, KD_PACKET_RESET);
    expect(link, KD_PACKET_RESET, 0);
}

static void
test_bad_orders(Link *link, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    (void)unused;
    g_assert_null(order(link, KD_CONTROL_BREAK, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_clear_error(&error);
    for (uint32_t op = 0; op < 70; op++) {
        if (op < 32 && (KD_LINK_PORT_CONTROLS & 1u << op) != 0)
            continue;
        g_assert_null(order(link, op, NULL, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
        g_clear_error(&error);
    }
    g_assert_cmpuint(link->n_carried, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/kd-port/" name, Link, NULL, set_up, fn, tear_down)
    ADD("endpoint-is-kdcom-and-is-kept", test_endpoint);
    ADD("packets-pass-in-both-directions", test_exchange);
    ADD("what-is-due-happens-by-the-clock", test_clock);
    ADD("loss-and-return-and-restart-are-told-once", test_events);
    ADD("note-is-printable", test_note);
    ADD("each-session-begins-anew", test_sessions);
    ADD("half-a-request-of-one-session-is-not-the-next-ones", test_half_request);
    ADD("what-there-is-no-room-for-waits", test_full);
    ADD("carrier-that-goes-while-it-sends-is-gone-after-that", test_goes_while_sending);
    ADD("carrier-that-is-busy-says-when-it-is-ready", test_busy);
    ADD("freed-port-leaves-the-host-its-stream", test_free);
    ADD("stream-that-the-host-destroys-has-no-client", test_destroyed);
    ADD("failure-ends-the-stream", test_fail);
    ADD("order-status-says-what-both-sides-know", test_status);
    ADD("order-break-halts-the-target", test_break);
    ADD("order-reset-goes-to-both-sides", test_reset);
    ADD("orders-it-does-not-have-are-errors", test_bad_orders);
    return g_test_run();
}

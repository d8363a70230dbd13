/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state machine: every cell of the table, limits, flags, credit. */
#include "kd-wire.h"

#include <string.h>

#define N_TYPES 256u

/* What PROTOCOL.md allows, written down once more by hand; '>' forwards, '<' answers, '~' skips,
 * everything else is delivered. */
static const struct {
    KdRole role;
    KdPhase phase;
    const char *allowed;
} STATES[] = {
    {KD_ROLE_SERVER, KD_PHASE_PREAMBLE, ""},
    {KD_ROLE_SERVER, KD_PHASE_HELLO, "HELLO CLOSE"},
    {KD_ROLE_SERVER, KD_PHASE_AUTH, "AUTH CLOSE"},
    {KD_ROLE_SERVER, KD_PHASE_READY, "OPEN LIST END-SERVER <PING PONG CLOSE"},
    {KD_ROLE_SERVER, KD_PHASE_OPENING, "ACK <PING PONG CLOSE"},
    {KD_ROLE_SERVER, KD_PHASE_STREAMING, ">DATA FIN ACK CONTROL <PING PONG CLOSE"},
    {KD_ROLE_SERVER, KD_PHASE_CLOSED, "~CLOSE"},
    {KD_ROLE_CLIENT, KD_PHASE_PREAMBLE, ""},
    {KD_ROLE_CLIENT, KD_PHASE_HELLO, "HELLO CLOSE"},
    {KD_ROLE_CLIENT, KD_PHASE_AUTH, "AUTH CLOSE"},
    {KD_ROLE_CLIENT, KD_PHASE_READY, "LISTED <PING PONG CLOSE"},
    {KD_ROLE_CLIENT, KD_PHASE_OPENING, "OPENED EVENT ACK <PING PONG CLOSE"},
    {KD_ROLE_CLIENT, KD_PHASE_STREAMING, ">DATA FIN ACK RESULT EVENT <PING PONG CLOSE"},
    {KD_ROLE_CLIENT, KD_PHASE_CLOSED, "~CLOSE"},
};

static KdAction
find_expected(const char *allowed, const char *name)
{
    g_auto(GStrv) words = g_strsplit(allowed, " ", -1);

    for (guint i = 0; words[i] != NULL; i++) {
        if (g_str_equal(words[i], name))
            return KD_ACTION_DELIVER;
        if (words[i][0] == '>' && g_str_equal(words[i] + 1, name))
            return KD_ACTION_FORWARD;
        if (words[i][0] == '<' && g_str_equal(words[i] + 1, name))
            return KD_ACTION_ANSWER;
        if (words[i][0] == '~' && g_str_equal(words[i] + 1, name))
            return KD_ACTION_SKIP;
    }
    return KD_ACTION_REFUSE;
}

/* A length that fits the type where it is fixed. */
static uint32_t
get_fit_length(uint8_t type)
{
    switch (type) {
    case KD_FRAME_ACK:
        return 0;
    case KD_FRAME_CONTROL:
        return 24;
    case KD_FRAME_RESULT:
        return 16;
    case KD_FRAME_EVENT:
        return 20;
    default:
        return 8;
    }
}

static void
start(KdWire *wire, KdRole role, KdPhase phase)
{
    kd_wire_init(wire, role);
    wire->credit.peer_window = KD_WINDOW_BYTES;
    wire->peer_max_data_bytes = KD_MAX_DATA_BYTES;
    kd_wire_advance(wire, phase);
}

static KdAction
receive(KdWire *wire, KdFrameHeader header, GError **error)
{
    KdAction action = KD_ACTION_REFUSE;
    KdWire before;

    memcpy(&before, wire, sizeof before); /* with its padding */
    action = kd_wire_receive(wire, &header, error);
    if (action == KD_ACTION_REFUSE)
        g_assert_cmpmem(wire, sizeof *wire, &before, sizeof before);
    return action;
}

static void
assert_refused(KdWire *wire, KdFrameHeader header, const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(receive(wire, header, &error), ==, KD_ACTION_REFUSE);
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(error->message, word));
}

static void
assert_accepted(KdWire *wire, KdFrameHeader header, KdAction action)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(receive(wire, header, &error), ==, action);
    g_assert_no_error(error);
}

static void
test_table(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(STATES); i++) {
        for (guint type = 0; type < N_TYPES; type++) {
            const char *name = kd_frame_get_name((uint8_t)type);
            KdAction expected = find_expected(STATES[i].allowed, name);
            KdFrameHeader header = {.type = (uint8_t)type, .length = get_fit_length((uint8_t)type)};
            KdWire wire;

            start(&wire, STATES[i].role, STATES[i].phase);
            g_assert_cmpint(kd_wire_get_action(STATES[i].role, STATES[i].phase, (uint8_t)type), ==,
                            expected);
            if (expected == KD_ACTION_REFUSE)
                assert_refused(&wire, header, "not allowed");
            else
                assert_accepted(&wire, header, expected);
        }
    }
}

static void
test_table_outside(void)
{
    g_assert_cmpint(kd_wire_get_action((KdRole)0, KD_PHASE_STREAMING, KD_FRAME_CLOSE), ==,
                    KD_ACTION_REFUSE);
    g_assert_cmpint(kd_wire_get_action((KdRole)3, KD_PHASE_STREAMING, KD_FRAME_CLOSE), ==,
                    KD_ACTION_REFUSE);
    g_assert_cmpint(kd_wire_get_action(KD_ROLE_CLIENT, (KdPhase)7, KD_FRAME_CLOSE), ==,
                    KD_ACTION_REFUSE);
}

static gboolean
is_layout_known(guint type)
{
    const char *name = kd_frame_get_name((uint8_t)type);

    return !g_str_equal(name, "unknown") && type < KD_FRAME_RESUME;
}

static void
test_optional(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(STATES); i++) {
        gboolean can_skip =
            STATES[i].phase != KD_PHASE_PREAMBLE && STATES[i].phase != KD_PHASE_CLOSED;

        for (guint type = 0; type < N_TYPES; type++) {
            KdFrameHeader header = {
                .type = (uint8_t)type, .flags = KD_FRAME_OPTIONAL, .length = 100};
            KdWire wire;

            if (is_layout_known(type))
                continue;
            start(&wire, STATES[i].role, STATES[i].phase);
            if (can_skip)
                assert_accepted(&wire, header, KD_ACTION_SKIP);
            else
                assert_refused(&wire, header, "not allowed");
        }
    }
}

/* The flag excuses a type that is not known, never one that comes at the wrong time. */
static void
test_optional_known(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    assert_refused(&wire,
                   (KdFrameHeader){.type = KD_FRAME_OPEN, .flags = KD_FRAME_OPTIONAL, .length = 8},
                   "not allowed");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_ACK, .flags = KD_FRAME_OPTIONAL},
                    KD_ACTION_DELIVER);
}

static void
test_flags(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    for (guint bit = 2; bit < 8; bit++) {
        uint8_t flags = (uint8_t)(1u << bit);

        assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .flags = flags}, "flags");
        assert_refused(&wire,
                       (KdFrameHeader){.type = 200, .flags = (uint8_t)(flags | KD_FRAME_OPTIONAL)},
                       "flags");
    }
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_ACK, .flags = KD_FRAME_END}, "flags");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .flags = KD_FRAME_END},
                    KD_ACTION_FORWARD);
}

static void
test_channel(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_CLIENT, KD_PHASE_STREAMING);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .channel = 1}, "channel");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_ACK, .channel = 0x8000}, "channel");
}

static void
test_exact_lengths(void)
{
    static const struct {
        uint8_t type;
        uint32_t len;
    } exact[] = {{KD_FRAME_FIN, 8}, {KD_FRAME_PING, 8}, {KD_FRAME_PONG, 8}, {KD_FRAME_CONTROL, 24}};
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    for (guint i = 0; i < G_N_ELEMENTS(exact); i++) {
        uint8_t type = exact[i].type;

        assert_refused(&wire, (KdFrameHeader){.type = type, .length = exact[i].len - 1}, "bytes");
        assert_refused(&wire, (KdFrameHeader){.type = type, .length = exact[i].len + 1}, "bytes");
        assert_refused(&wire, (KdFrameHeader){.type = type, .length = 0}, "bytes");
        assert_refused(&wire, (KdFrameHeader){.type = type, .length = UINT32_MAX}, "bytes");
    }
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_ACK, .length = 1}, "bytes");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_CLOSE, .length = 7}, "bytes");
}

static void
test_limits(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_HELLO);
    g_assert_cmpuint(kd_wire_get_limit(&wire, KD_FRAME_HELLO), ==, 1024);
    g_assert_cmpuint(kd_wire_get_limit(&wire, KD_FRAME_CLOSE), ==, 1024);
    g_assert_cmpuint(kd_wire_get_limit(&wire, 200), ==, 1024);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_HELLO, .length = 1025}, "limit");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_HELLO, .length = 1024},
                    KD_ACTION_DELIVER);
    kd_wire_advance(&wire, KD_PHASE_AUTH);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 1025}, "limit");
    assert_refused(&wire, (KdFrameHeader){.type = 200, .flags = KD_FRAME_OPTIONAL, .length = 1025},
                   "limit");
    kd_wire_advance(&wire, KD_PHASE_READY);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_OPEN, .length = 4097}, "limit");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_OPEN, .length = 4096},
                    KD_ACTION_DELIVER);
    kd_wire_advance(&wire, KD_PHASE_STREAMING);
    assert_refused(&wire, (KdFrameHeader){.type = 200, .flags = KD_FRAME_OPTIONAL, .length = 4097},
                   "limit");
    g_assert_cmpuint(kd_wire_get_limit(&wire, KD_FRAME_LISTED), ==, 65536);
    g_assert_cmpuint(kd_wire_get_limit(&wire, KD_FRAME_DATA), ==, KD_MAX_DATA_BYTES);
}

static void
test_data_limit(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    wire.max_data_bytes = 2000;
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = 2001}, "limit");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = UINT32_MAX}, "limit");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = 2000},
                    KD_ACTION_FORWARD);
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = 0}, KD_ACTION_FORWARD);
    g_assert_cmpuint(wire.credit.received, ==, 2000);
}

static void
test_data_credit(void)
{
    g_autoptr(GError) error = NULL;
    KdFrameHeader header = {.type = KD_FRAME_DATA, .length = 4096};
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    wire.credit.window = 4096;
    wire.credit.sent = 100;
    assert_accepted(&wire, header, KD_ACTION_FORWARD);
    header.length = 1;
    header.ack = 50; /* of a refused frame nothing counts */
    g_assert_cmpint(receive(&wire, header, &error), ==, KD_ACTION_REFUSE);
    g_assert_cmpint(kd_wire_get_close_code(error), ==, KD_CLOSE_FLOW_VIOLATION);
    g_assert_cmpuint(wire.credit.acked, ==, 0);
}

static void
test_ack(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_CLIENT, KD_PHASE_STREAMING);
    wire.credit.sent = 100;
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_ACK, .ack = 60}, KD_ACTION_DELIVER);
    g_assert_cmpuint(wire.credit.acked, ==, 60);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_ACK, .ack = 59}, "ack");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .ack = 101}, "ack");
    /* it rides in every header, even in one that is skipped */
    assert_accepted(
        &wire, (KdFrameHeader){.type = 200, .flags = KD_FRAME_OPTIONAL, .length = 9, .ack = 99},
        KD_ACTION_SKIP);
    g_assert_cmpuint(wire.credit.acked, ==, 99);
}

static void
test_ack_preauth(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_HELLO);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_HELLO, .length = 8, .ack = 1}, "ack");
}

static void
test_fin(void)
{
    g_autoptr(GError) error = NULL;
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = 10}, KD_ACTION_FORWARD);
    g_assert_false(wire.is_fin_heard);
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_FIN, .length = 8}, KD_ACTION_DELIVER);
    g_assert_true(wire.is_fin_heard);
    g_assert_cmpint(wire.phase, ==, KD_PHASE_STREAMING);
    g_assert_true(kd_wire_check_offset(&wire, KD_FRAME_FIN, 10, &error));
    g_assert_no_error(error);
    g_assert_false(kd_wire_check_offset(&wire, KD_FRAME_FIN, 11, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = 1}, "after FIN");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_DATA, .length = 0}, "after FIN");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_FIN, .length = 8}, "after FIN");
    /* only the direction has ended */
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_CONTROL, .length = 24},
                    KD_ACTION_DELIVER);
}

static void
test_preauth_frames(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_HELLO);
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_HELLO, .length = 8}, KD_ACTION_DELIVER);
    kd_wire_advance(&wire, KD_PHASE_AUTH);
    for (guint i = 1; i < KD_MAX_PREAUTH_FRAMES; i++)
        assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 8},
                        KD_ACTION_DELIVER);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 8}, "frames before");
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_CLOSE, .length = 8}, "frames before");
}

/* Skipped frames cost as well, and are counted. */
static void
test_preauth_skipped(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_CLIENT, KD_PHASE_HELLO);
    for (guint i = 0; i < KD_MAX_PREAUTH_FRAMES; i++)
        assert_accepted(&wire, (KdFrameHeader){.type = 99, .flags = KD_FRAME_OPTIONAL, .length = 0},
                        KD_ACTION_SKIP);
    assert_refused(&wire, (KdFrameHeader){.type = 99, .flags = KD_FRAME_OPTIONAL}, "frames before");
}

static void
test_preauth_total(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_AUTH);
    for (guint i = 0; i < 7; i++)
        assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 1024},
                        KD_ACTION_DELIVER);
    g_assert_cmpuint(wire.preauth_bytes, ==, 7 * 1040);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 897}, "bytes before");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 896},
                    KD_ACTION_DELIVER);
    g_assert_cmpuint(wire.preauth_bytes, ==, KD_MAX_PREAUTH_TOTAL);
}

/* OPEN may lie right behind AUTH in one read: it is judged in the state that AUTH leads to. */
static void
test_pipelined_open(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_HELLO);
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_HELLO, .length = 8}, KD_ACTION_DELIVER);
    kd_wire_advance(&wire, KD_PHASE_AUTH);
    assert_refused(&wire, (KdFrameHeader){.type = KD_FRAME_OPEN, .length = 8}, "not allowed");
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_AUTH, .length = 8}, KD_ACTION_DELIVER);
    kd_wire_advance(&wire, KD_PHASE_READY);
    assert_accepted(&wire, (KdFrameHeader){.type = KD_FRAME_OPEN, .length = 2000},
                    KD_ACTION_DELIVER);
    g_assert_cmpuint(wire.n_preauth_frames, ==, 2);
}

static void
test_init(void)
{
    KdWire wire;

    kd_wire_init(&wire, KD_ROLE_SERVER);
    g_assert_cmpint(wire.phase, ==, KD_PHASE_PREAMBLE);
    g_assert_cmpuint(wire.credit.window, ==, KD_WINDOW_BYTES);
    g_assert_cmpuint(wire.max_data_bytes, ==, KD_MAX_DATA_BYTES);
    g_assert_cmpuint(kd_credit_get_available(&wire.credit), ==, 0);
}

static void
test_never_backwards(void)
{
    KdWire wire;

    start(&wire, KD_ROLE_SERVER, KD_PHASE_STREAMING);
    g_test_expect_message("kdsrv-wire", G_LOG_LEVEL_CRITICAL, "*phase >= wire->phase*");
    kd_wire_advance(&wire, KD_PHASE_READY);
    g_test_assert_expected_messages();
    g_assert_cmpint(wire.phase, ==, KD_PHASE_STREAMING);
}

static void
test_deadlines(void)
{
    g_assert_cmpuint(kd_phase_get_deadline_ms(KD_PHASE_PREAMBLE), ==, 10000);
    g_assert_cmpuint(kd_phase_get_deadline_ms(KD_PHASE_HELLO), ==, 10000);
    g_assert_cmpuint(kd_phase_get_deadline_ms(KD_PHASE_AUTH), ==, 10000);
    g_assert_cmpuint(kd_phase_get_deadline_ms(KD_PHASE_OPENING), ==, 0);
    g_assert_cmpuint(kd_phase_get_deadline_ms(KD_PHASE_STREAMING), ==, 0);
}

static void
check_code(GQuark domain, int code, const char *message, KdCloseCode expected)
{
    g_autoptr(GError) error = g_error_new_literal(domain, code, message);

    g_assert_cmpint(kd_wire_get_close_code(error), ==, expected);
}

static void
test_close_codes(void)
{
    check_code(KD_ERROR, KD_ERROR_PROTOCOL, "wrong", KD_CLOSE_PROTOCOL_ERROR);
    check_code(KD_ERROR, KD_ERROR_PARAM_UNKNOWN, "x", KD_CLOSE_BAD_REQUEST);
    check_code(KD_ERROR, KD_ERROR_NOT_SUPPORTED, "x", KD_CLOSE_NOT_SUPPORTED);
    check_code(KD_ERROR, KD_ERROR_BUSY, "x", KD_CLOSE_BUSY);
    check_code(KD_ERROR, KD_ERROR_AUTH, "x", KD_CLOSE_AUTH_FAILED);
    check_code(KD_ERROR, KD_ERROR_LINK_LOST, "x", KD_CLOSE_TARGET_LOST);
    check_code(KD_ERROR, KD_ERROR_POLICY, "x", KD_CLOSE_DENIED);
    check_code(KD_ERROR, KD_ERROR_FAILED, "x", KD_CLOSE_INTERNAL);
    check_code(G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "x", KD_CLOSE_TIMEOUT);
    check_code(G_IO_ERROR, G_IO_ERROR_FAILED, "x", KD_CLOSE_INTERNAL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/state/every-cell-of-the-table", test_table);
    g_test_add_func("/wire/state/nothing-is-allowed-outside-the-table", test_table_outside);
    g_test_add_func("/wire/state/skips-unknown-types-flagged-optional", test_optional);
    g_test_add_func("/wire/state/optional-excuses-no-known-type", test_optional_known);
    g_test_add_func("/wire/state/refuses-reserved-flags", test_flags);
    g_test_add_func("/wire/state/refuses-other-channels", test_channel);
    g_test_add_func("/wire/state/fixed-lengths-are-exact", test_exact_lengths);
    g_test_add_func("/wire/state/limits-follow-type-and-state", test_limits);
    g_test_add_func("/wire/state/data-limit-is-ours", test_data_limit);
    g_test_add_func("/wire/state/data-beyond-credit-is-a-flow-violation", test_data_credit);
    g_test_add_func("/wire/state/takes-the-ack-of-every-header", test_ack);
    g_test_add_func("/wire/state/nothing-to-ack-before-authentication", test_ack_preauth);
    g_test_add_func("/wire/state/fin-ends-a-direction", test_fin);
    g_test_add_func("/wire/state/caps-frames-before-authentication", test_preauth_frames);
    g_test_add_func("/wire/state/caps-skipped-frames-before-authentication", test_preauth_skipped);
    g_test_add_func("/wire/state/caps-bytes-before-authentication", test_preauth_total);
    g_test_add_func("/wire/state/open-may-be-pipelined-behind-auth", test_pipelined_open);
    g_test_add_func("/wire/state/starts-without-credit-of-the-peer", test_init);
    g_test_add_func("/wire/state/never-goes-back", test_never_backwards);
    g_test_add_func("/wire/state/has-deadlines", test_deadlines);
    g_test_add_func("/wire/state/close-code-follows-from-the-error", test_close_codes);
    return g_test_run();
}

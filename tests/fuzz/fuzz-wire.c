/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A peer that sends anything: preamble, headers, states, credit and payloads, for both roles. */
#include "kd-fuzz.h"
#include "kd-message.h"
#include "kd-wire.h"

#include <string.h>

/* First byte of an input */
enum {
    INPUT_CLIENT = 0x01,  /* we are the client; else the server                              */
    INPUT_PAYLOAD = 0x02, /* the second byte is a type, the rest its payload                 */
    INPUT_LAZY = 0x04,    /* we take DATA late                                               */
    INPUT_SMALL = 0x08,   /* our window and DATA limit are the least                         */
    INPUT_LIST = 0x10,    /* a client lists before it opens                                  */
};

/* What is left of the input. */
typedef struct {
    const uint8_t *next;
    size_t left;
} Input;

/* The same as KdCredit, as PROTOCOL.md says it, in numbers that can't overflow. */
typedef struct {
    unsigned __int128 sent;
    unsigned __int128 acked;
    unsigned __int128 received;
    unsigned __int128 reported;
    unsigned __int128 window;
} Model;

typedef struct {
    KdWire wire;
    Model model;
    uint8_t options;
} Side;

static const uint8_t *
input_take(Input *input, size_t len)
{
    const uint8_t *bytes = input->next;

    if (len > input->left)
        return NULL;
    input->next += len;
    input->left -= len;
    return bytes;
}

static void
assert_value_xor_error(gboolean has_value, const GError *error)
{
    g_assert_true(has_value == (error == NULL));
    if (error != NULL) {
        g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
}

/* What was accepted can be said again, and is then understood the same way. */
#define DEFINE_CHECK(Type, noun, most_bytes)                             \
    static Type *check_##noun(const uint8_t *payload, size_t len)        \
    {                                                                    \
        g_autoptr(GError) error = NULL;                                  \
        g_autoptr(Type) value = kd_##noun##_parse(payload, len, &error); \
                                                                         \
        assert_value_xor_error(value != NULL, error);                    \
        if (value != NULL) {                                             \
            g_autoptr(GBytes) once = kd_##noun##_build(value);           \
            g_autoptr(GBytes) twice = NULL;                              \
            g_autoptr(Type) again = NULL;                                \
            size_t n = 0;                                                \
            const uint8_t *bytes = g_bytes_get_data(once, &n);           \
                                                                         \
            g_assert_cmpuint(n, <=, (most_bytes));                       \
            again = kd_##noun##_parse(bytes, n, &error);                 \
            g_assert_no_error(error);                                    \
            twice = kd_##noun##_build(again);                            \
            g_assert_true(g_bytes_equal(once, twice));                   \
        }                                                                \
        return g_steal_pointer(&value);                                  \
    }

DEFINE_CHECK(KdHello, hello, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdAuth, auth, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdOpen, open, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdOpened, opened, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdList, list, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdListed, listed, KD_MAX_LISTED_BYTES)
DEFINE_CHECK(KdResult, result, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdEvent, event, KD_MAX_CONTROL_BYTES)
DEFINE_CHECK(KdClose, close, KD_MAX_CONTROL_BYTES)

/* Fixed fields only: there is one way to say it. */
static gboolean
check_control(const uint8_t *payload, size_t len)
{
    g_autoptr(GError) error = NULL;
    KdControl control = {0};
    gboolean is_accepted = kd_control_parse(&control, payload, len, &error);

    assert_value_xor_error(is_accepted, error);
    if (is_accepted) {
        g_autoptr(GBytes) built = kd_control_build(&control);
        g_autoptr(GBytes) heard = g_bytes_new(payload, len);

        g_assert_true(g_bytes_equal(built, heard));
        g_assert_cmpuint(control.op, >=, 1);
        g_assert_cmpuint(control.op, <=, 31);
    }
    return is_accepted;
}

static gboolean
check_fin(const Side *side, const uint8_t *payload, size_t len)
{
    g_autoptr(GError) error = NULL;
    uint64_t final_offset = 0;
    gboolean is_accepted = kd_fin_parse(&final_offset, payload, len, &error);

    assert_value_xor_error(is_accepted, error);
    if (!is_accepted || side == NULL)
        return is_accepted;
    is_accepted = kd_wire_check_offset(&side->wire, KD_FRAME_FIN, final_offset, &error);
    assert_value_xor_error(is_accepted, error);
    g_assert_true(is_accepted == (final_offset == side->model.received));
    return is_accepted;
}

/* What a session does with HELLO. */
static void
take_hello(Side *side, const KdHello *hello)
{
    g_assert_cmpuint(hello->window, >=, KD_MIN_WINDOW_BYTES);
    g_assert_cmpuint(hello->window, <=, KD_MAX_WINDOW_BYTES);
    g_assert_cmpuint(hello->max_data_bytes, >=, KD_HELLO_MIN_DATA_BYTES);
    g_assert_cmpuint(hello->max_data_bytes, <=, KD_HELLO_MAX_DATA_BYTES);
    g_assert_cmpuint(g_strv_length(hello->features), <=, KD_HELLO_MAX_WORDS);
    g_assert_cmpuint(g_strv_length(hello->mechanisms), <=, KD_HELLO_MAX_WORDS);
    side->wire.credit.peer_window = hello->window;
    side->wire.peer_max_data_bytes = hello->max_data_bytes;
}

/* Where a delivered frame leads, for a peer that may do all it asks for; @side may be NULL. */
static gboolean
deliver(Side *side, uint8_t type, const uint8_t *payload, size_t len)
{
    g_autoptr(KdHello) hello = type == KD_FRAME_HELLO ? check_hello(payload, len) : NULL;
    g_autoptr(KdAuth) auth = type == KD_FRAME_AUTH ? check_auth(payload, len) : NULL;
    g_autoptr(KdOpen) open = type == KD_FRAME_OPEN ? check_open(payload, len) : NULL;
    g_autoptr(KdOpened) opened = type == KD_FRAME_OPENED ? check_opened(payload, len) : NULL;
    g_autoptr(KdList) list = type == KD_FRAME_LIST ? check_list(payload, len) : NULL;
    g_autoptr(KdListed) listed = type == KD_FRAME_LISTED ? check_listed(payload, len) : NULL;
    g_autoptr(KdResult) result = type == KD_FRAME_RESULT ? check_result(payload, len) : NULL;
    g_autoptr(KdEvent) event = type == KD_FRAME_EVENT ? check_event(payload, len) : NULL;
    g_autoptr(KdClose) close = type == KD_FRAME_CLOSE ? check_close(payload, len) : NULL;

    if (type == KD_FRAME_CONTROL)
        return check_control(payload, len);
    if (type == KD_FRAME_FIN)
        return check_fin(side, payload, len);
    if (side == NULL)
        return TRUE;
    if (hello != NULL) {
        take_hello(side, hello);
        kd_wire_advance(&side->wire, KD_PHASE_AUTH);
    } else if (auth != NULL && side->wire.role == KD_ROLE_SERVER) {
        kd_wire_advance(&side->wire, KD_PHASE_READY);
    } else if (auth != NULL && auth->is_done && (side->options & INPUT_LIST) != 0) {
        kd_wire_advance(&side->wire, KD_PHASE_READY); /* a client that lists, and then opens */
    } else if (auth != NULL && auth->is_done) {
        kd_wire_advance(&side->wire, KD_PHASE_OPENING);
    } else if (listed != NULL && !listed->has_more) {
        kd_wire_advance(&side->wire, KD_PHASE_OPENING);
    } else if (open != NULL) {
        kd_wire_advance(&side->wire, KD_PHASE_OPENING);
    } else if (opened != NULL) {
        kd_wire_advance(&side->wire, KD_PHASE_STREAMING);
    } else if (close != NULL) {
        kd_wire_advance(&side->wire, KD_PHASE_CLOSED);
    }
    return hello != NULL || auth != NULL || open != NULL || opened != NULL || list != NULL ||
           listed != NULL || result != NULL || event != NULL || close != NULL ||
           type == KD_FRAME_ACK || type == KD_FRAME_PONG || type == KD_FRAME_END_SERVER;
}

/* Takes and sends as a busy session would, in the code's account and in the model's. */
static void
go_on(Side *side)
{
    KdCredit *credit = &side->wire.credit;
    Model *model = &side->model;
    uint64_t waiting = credit->received - credit->taken;
    uint64_t available = kd_credit_get_available(credit);
    unsigned __int128 limit = model->acked + credit->peer_window;

    credit->taken += (side->options & INPUT_LAZY) != 0 ? waiting / 3 : waiting;
    if (kd_credit_is_ack_due(credit)) {
        g_assert_true(credit->taken - model->reported >= model->window / 4);
        model->reported = kd_credit_report(credit);
    }
    if (side->wire.phase != KD_PHASE_STREAMING)
        return;
    g_assert_true(limit >= model->sent && limit - model->sent == available);
    available = MIN(available, 1000);
    credit->sent += available;
    model->sent += available;
}

/* The rules of credit once more. */
static gboolean
may_come(const Side *side, const KdFrameHeader *header)
{
    const Model *model = &side->model;

    if (header->ack < model->acked || header->ack > model->sent)
        return FALSE;
    return header->type != KD_FRAME_DATA ||
           model->received + header->length <= model->reported + model->window;
}

static gboolean
is_plain_data(const Side *side, const KdFrameHeader *header)
{
    return side->wire.phase == KD_PHASE_STREAMING && !side->wire.is_fin_heard &&
           header->type == KD_FRAME_DATA && header->channel == 0 && header->flags <= 3 &&
           header->length <= side->wire.max_data_bytes;
}

static KdAction
receive(Side *side, const KdFrameHeader *header)
{
    gboolean is_plain = is_plain_data(side, header);
    g_autoptr(GError) error = NULL;
    KdAction action = KD_ACTION_REFUSE;
    KdWire before;

    memcpy(&before, &side->wire, sizeof before); /* with its padding */
    action = kd_wire_receive(&side->wire, header, &error);
    assert_value_xor_error(action != KD_ACTION_REFUSE, error);
    if (is_plain)
        g_assert_true((action == KD_ACTION_FORWARD) == may_come(side, header));
    if (action == KD_ACTION_REFUSE) {
        g_assert_true(memcmp(&before, &side->wire, sizeof before) == 0);
        g_assert_cmpint(kd_wire_get_close_code(error), >=, KD_CLOSE_PROTOCOL_ERROR);
        return action;
    }
    g_assert_true(may_come(side, header));
    g_assert_true(action == KD_ACTION_FORWARD || header->length <= KD_MAX_CONTROL_BYTES ||
                  (header->type == KD_FRAME_LISTED && header->length <= KD_MAX_LISTED_BYTES));
    g_assert_true(action != KD_ACTION_ANSWER || header->length == 8);
    side->model.acked = header->ack;
    if (action == KD_ACTION_FORWARD)
        side->model.received += header->length;
    g_assert_true(side->wire.credit.acked == side->model.acked);
    g_assert_true(side->wire.credit.received == side->model.received);
    g_assert_true(side->wire.phase == before.phase);
    return action;
}

/* One frame; FALSE = the connection ends here, or the input does. */
static gboolean
step(Side *side, Input *input)
{
    const uint8_t *bytes = input_take(input, KD_HEADER_BYTES);
    uint8_t stored[KD_HEADER_BYTES];
    KdFrameHeader header = {0};
    KdAction action = KD_ACTION_REFUSE;

    if (bytes == NULL)
        return FALSE;
    kd_frame_header_load(&header, bytes);
    kd_frame_header_store(stored, &header);
    g_assert_cmpmem(stored, KD_HEADER_BYTES, bytes, KD_HEADER_BYTES);
    action = receive(side, &header);
    if (action == KD_ACTION_REFUSE)
        return FALSE;
    if (action == KD_ACTION_FORWARD) {
        /* DATA is not collected; an input need not hold all of it */
        (void)input_take(input, MIN(header.length, input->left));
    } else {
        g_autofree uint8_t *exact = NULL;
        const uint8_t *payload = input_take(input, header.length);

        if (payload == NULL)
            return FALSE;
        exact = g_malloc(MAX(header.length, 1));
        memcpy(exact, payload, header.length);
        if (action == KD_ACTION_DELIVER && !deliver(side, header.type, exact, header.length))
            return FALSE;
    }
    go_on(side);
    /* a server that opens at once */
    if (side->wire.role == KD_ROLE_SERVER && side->wire.phase == KD_PHASE_OPENING &&
        header.type != KD_FRAME_OPEN)
        kd_wire_advance(&side->wire, KD_PHASE_STREAMING);
    return TRUE;
}

static void
run_stream(uint8_t options, Input *input)
{
    KdRole role = (options & INPUT_CLIENT) != 0 ? KD_ROLE_CLIENT : KD_ROLE_SERVER;
    KdRole peer = role == KD_ROLE_CLIENT ? KD_ROLE_SERVER : KD_ROLE_CLIENT;
    const uint8_t *bytes = input_take(input, KD_PREAMBLE_BYTES);
    g_autoptr(GError) error = NULL;
    gboolean is_accepted = FALSE;
    uint8_t stored[KD_PREAMBLE_BYTES];
    uint16_t major = 0;
    uint16_t minor = 0;
    Side side = {.options = options};

    if (bytes == NULL)
        return;
    is_accepted = kd_preamble_load(bytes, peer, &major, &minor, &error);
    assert_value_xor_error(is_accepted, error);
    if (!is_accepted)
        return;
    kd_preamble_store(stored, peer, major, minor);
    g_assert_cmpmem(stored, KD_PREAMBLE_BYTES, bytes, KD_PREAMBLE_BYTES);
    if (major != KD_PROTOCOL_MAJOR)
        return;

    kd_wire_init(&side.wire, role);
    if ((options & INPUT_SMALL) != 0) {
        side.wire.credit.window = KD_MIN_WINDOW_BYTES;
        side.wire.max_data_bytes = KD_HELLO_MIN_DATA_BYTES;
    }
    side.model.window = side.wire.credit.window;
    kd_wire_advance(&side.wire, KD_PHASE_HELLO);
    while (step(&side, input))
        continue;
}

/* A warning of GLib, or a precondition that outside bytes can reach, is a bug. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    const uint8_t *options = input_take(&input, 1);

    if (options == NULL)
        return 0;
    if ((*options & INPUT_PAYLOAD) == 0) {
        run_stream(*options, &input);
    } else if (input.left > 0) {
        uint8_t type = *input_take(&input, 1);
        g_autofree uint8_t *exact = g_malloc(MAX(input.left, 1));

        memcpy(exact, input.next, input.left);
        (void)deliver(NULL, type, exact, input.left);
    }
    return 0;
}

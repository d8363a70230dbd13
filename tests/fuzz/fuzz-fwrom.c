/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FireWire node that says anything: its ROM, its debug block, and its mailboxes while they are
 * read and written, with failures and bus resets at any time. */
#include "fw-mailbox.h"
#include "fw-outbox.h"
#include "fw-rom.h"
#include "kd-fuzz.h"

#include <string.h>

/* First byte of an input */
enum {
    INPUT_ROM = 0,   /* the rest is a ROM                                                         */
    INPUT_BLOCK = 1, /* the rest is a block                                                       */
    INPUT_MAILBOX = 2, /* the rest is what happens                                                */
    N_INPUTS = 3,
};

/* What happens next; the upper bits say more */
enum {
    STEP_ANSWER = 0, /* bytes follow; where they end there are zeros                          */
    STEP_ANSWER_WORD = 1, /* a word that means something, then zeros                              */
    STEP_FAIL = 2,
    STEP_TIME = 3,
    STEP_SEND = 4,
    STEP_ATTACH = 5,
    STEP_DETACH = 6,
    STEP_ROOM = 7, /* for packets, or none                                                        */
};

#define CHANNEL      3u
#define MARK         0x12345678u
#define BLOCK_OFFSET 0x1000u
#define SEND_AT      0x2000u
#define RECEIVE_AT   0x3000u

typedef struct {
    const uint8_t *next;
    size_t left;
} Input;

typedef struct {
    FwMailbox *mailbox;
    gint64 now_us;
    uint32_t chunk_bytes;
    gboolean is_attached;
    gboolean has_request;
    FwRequest request;
    gboolean has_block; /* a valid one was read since the last attach */
    FwBlock block;
    gboolean is_sending;
    gboolean has_room;
} Model;

static uint8_t
take_byte(Input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->next++;
}

/* ---- ROM and block --------------------------------------------------------------------------- */

static void
check_rom(const uint8_t *data, size_t size)
{
    size_t n = size / 4;
    g_autofree uint32_t *quadlets = g_new(uint32_t, n);
    g_autoptr(GError) error = NULL;
    FwRom rom = {0};

    for (size_t i = 0; i < n; i++)
        quadlets[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
                      (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
    gboolean has_rom = fw_rom_parse(quadlets, n, &rom, &error);
    g_assert_true(has_rom == (error == NULL));
    if (!has_rom)
        return;
    g_assert_cmpuint(rom.block_offset, >, 0);
    g_assert_cmpuint(rom.block_offset % 4, ==, 0);
    g_assert_cmpuint(rom.block_offset, <=, (1u << 24) - FW_BLOCK_BYTES);
    g_assert_cmpuint(rom.chunk_bytes, >=, FW_CHUNK_MIN_BYTES);
    g_assert_cmpuint(rom.chunk_bytes, <=, FW_CHUNK_MAX_BYTES);
}

static gboolean
check_block(const uint8_t *bytes, FwBlock *block)
{
    g_autoptr(GError) error = NULL;
    gboolean has_block = fw_block_parse(bytes, block, &error);

    g_assert_true(has_block == (error == NULL));
    if (error != NULL)
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    if (has_block) {
        g_assert_cmpuint(block->channel, <=, 62);
        g_assert_cmpuint(block->send_offset, <=, UINT64_C(0xFFFF00000000) - FW_BOX_BYTES);
        g_assert_cmpuint(block->receive_offset, <=, UINT64_C(0xFFFF00000000) - FW_BOX_BYTES);
    }
    return has_block;
}

/* ---- the mailbox ----------------------------------------------------------------------------- */

static gboolean
is_in_box(const FwRequest *request, uint64_t offset)
{
    return request->offset >= offset &&
           request->offset + request->len_bytes <= offset + FW_BOX_BYTES;
}

static gboolean
on_request(const FwRequest *request, void *user)
{
    Model *model = user;
    static uint8_t sink[FW_CHUNK_MAX_BYTES];

    g_assert_true(model->is_attached);
    g_assert_false(model->has_request);
    g_assert_cmpuint(request->len_bytes, >, 0);
    g_assert_cmpuint(request->len_bytes % 4, ==, 0);
    g_assert_cmpuint(request->len_bytes, <=, MAX(model->chunk_bytes, FW_BLOCK_BYTES));
    if (request->offset == BLOCK_OFFSET && request->len_bytes == FW_BLOCK_BYTES &&
        !request->is_write) {
        /* where the ROM says that it is */
    } else {
        /* Nothing else is touched before the block was seen. */
        g_assert_true(model->has_block);
        g_assert_true(is_in_box(request, model->block.send_offset) ||
                      is_in_box(request, model->block.receive_offset));
    }
    if (request->is_write)
        memcpy(sink, request->bytes, request->len_bytes); /* ASan sees what is not there */
    if (!model->has_room && request->is_write && (model->now_us & 0x40) != 0)
        return FALSE;
    model->has_request = TRUE;
    model->request = *request;
    return TRUE;
}

static gboolean
on_receive(const uint8_t *packet, size_t len_bytes, void *user)
{
    const Model *model = user;
    uint8_t copy[16 + 4000];

    g_assert_true(model->has_block);
    g_assert_cmpuint(len_bytes, >=, 16);
    g_assert_cmpuint(len_bytes, <=, sizeof copy);
    memcpy(copy, packet, len_bytes);
    return model->has_room;
}

static void
on_sent(gboolean is_taken, void *user)
{
    Model *model = user;

    (void)is_taken;
    g_assert_true(model->is_sending);
    model->is_sending = FALSE;
}

static void
on_found(const FwBlock *block, void *user)
{
    const Model *model = user;

    g_assert_true(model->has_block);
    g_assert_cmpuint(block->channel, ==, CHANNEL);
}

static void
on_restarted(void *user)
{
    const Model *model = user;

    g_assert_true(model->is_attached);
}

static void
on_lost(const char *why, void *user)
{
    Model *model = user;

    g_assert_nonnull(why);
    model->is_attached = FALSE;
    model->has_block = FALSE;
    model->is_sending = FALSE;
}

static void
on_stale(void *user)
{
    const Model *model = user;

    g_assert_true(model->is_attached);
}

static void
attach(Model *model, uint8_t more)
{
    model->has_request = FALSE;
    model->is_attached = TRUE;
    model->has_block = FALSE;
    model->chunk_bytes = FW_CHUNK_MIN_BYTES << more % 3;
    fw_mailbox_attach(model->mailbox, BLOCK_OFFSET, model->chunk_bytes, model->now_us);
}

static void
answer(Model *model, FwOutcome outcome, const uint8_t *bytes)
{
    FwRequest request = model->request;
    FwBlock block;

    model->has_request = FALSE;
    if (outcome == FW_DONE && !request.is_write && request.offset == BLOCK_OFFSET &&
        check_block(bytes, &block) && block.channel == CHANNEL) {
        model->has_block = TRUE;
        model->block = block;
    }
    /* As many bytes as were asked for, and not one more */
    g_autofree uint8_t *own =
        outcome == FW_DONE && !request.is_write ? g_memdup2(bytes, request.len_bytes) : NULL;
    fw_mailbox_answer(model->mailbox, outcome, own, request.len_bytes, model->now_us);
}

static void
answer_word(Model *model, uint8_t more)
{
    static const uint8_t good_block[FW_BLOCK_BYTES] = {
        0xBA,         0xBA, 0xBA, 0xBA, 1, 0, 0, 0, CHANNEL,        0, 0, 0, 1, 0, 0, 0, 0,
        SEND_AT >> 8, 0,    0,    0,    0, 0, 0, 0, RECEIVE_AT >> 8};
    static const uint32_t words[] = {0x103, 0, MARK, 0xDEADBEEF};
    uint8_t bytes[FW_CHUNK_MAX_BYTES] = {0};
    uint32_t word = words[more % G_N_ELEMENTS(words)];

    for (guint i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(word >> (8 * i));
    if (model->request.offset == BLOCK_OFFSET)
        memcpy(bytes, good_block, sizeof good_block);
    answer(model, FW_DONE, bytes);
}

static void
answer_bytes(Model *model, Input *input, uint8_t more)
{
    uint8_t bytes[FW_CHUNK_MAX_BYTES] = {0};
    size_t len = MIN(MIN((size_t)more * 4, model->request.len_bytes), input->left);

    memcpy(bytes, input->next, len);
    input->next += len;
    input->left -= len;
    answer(model, FW_DONE, bytes);
}

static void
send_packet(Model *model, uint8_t more, uint8_t byte)
{
    uint8_t packet[FW_OUTBOX_PACKET_MAX_BYTES];
    size_t len = more == 0 ? 1 : MIN(16 + (size_t)more * byte, sizeof packet);

    memset(packet, byte, sizeof packet);
    gboolean was_sending = model->is_sending;
    model->is_sending = TRUE;
    if (!fw_mailbox_send(model->mailbox, packet, len, model->now_us)) {
        g_assert_true(was_sending || !model->is_attached);
        model->is_sending = was_sending;
    } else {
        g_assert_false(was_sending);
    }
}

static void
step(Model *model, Input *input)
{
    uint8_t what = take_byte(input);
    uint8_t more = what >> 3;

    switch (what & 7) {
    case STEP_ANSWER:
        if (model->has_request)
            answer_bytes(model, input, more);
        break;
    case STEP_ANSWER_WORD:
        if (model->has_request)
            answer_word(model, more);
        break;
    case STEP_FAIL:
        if (model->has_request)
            answer(model, FW_NOT_DONE + more % 3, NULL);
        break;
    case STEP_TIME:
        /* to the next deadline, or a while: microseconds to half a minute */
        model->now_us = more == 0 ? MAX(fw_mailbox_get_deadline_us(model->mailbox), model->now_us)
                                  : model->now_us + (G_GINT64_CONSTANT(1) << more % 25);
        if (fw_mailbox_get_deadline_us(model->mailbox) >= 0 &&
            fw_mailbox_get_deadline_us(model->mailbox) <= model->now_us)
            model->has_request = FALSE; /* a late answer is not given any more */
        fw_mailbox_tick(model->mailbox, model->now_us);
        break;
    case STEP_SEND:
        send_packet(model, more, take_byte(input));
        break;
    case STEP_ATTACH:
        attach(model, more);
        break;
    case STEP_DETACH:
        model->has_request = FALSE;
        model->is_attached = FALSE;
        model->has_block = FALSE;
        model->is_sending = FALSE;
        fw_mailbox_detach(model->mailbox);
        if (more % 2 != 0)
            fw_mailbox_forget(model->mailbox);
        break;
    case STEP_ROOM:
    default:
        model->has_room = more % 2 == 0;
        break;
    }
    /* With a node there is always something that goes on. */
    g_assert_true(!model->is_attached || model->has_request ||
                  fw_mailbox_get_deadline_us(model->mailbox) >= 0);
}

static void
check_mailbox(const uint8_t *data, size_t size)
{
    static const FwMailboxFuncs funcs = {
        .request = on_request,
        .receive = on_receive,
        .sent = on_sent,
        .found = on_found,
        .restarted = on_restarted,
        .lost = on_lost,
        .stale = on_stale,
    };
    Input input = {data, size};
    Model model = {.now_us = 1000000, .has_room = TRUE};

    model.mailbox = fw_mailbox_new(CHANNEL, MARK, &funcs, &model);
    attach(&model, 2);
    while (input.left > 0)
        step(&model, &input);
    fw_mailbox_free(model.mailbox);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[FW_BLOCK_BYTES] = {0};
    FwBlock block;

    if (size == 0)
        return 0;
    switch (data[0] % N_INPUTS) {
    case INPUT_ROM:
        check_rom(data + 1, size - 1);
        break;
    case INPUT_BLOCK:
        memcpy(bytes, data + 1, MIN(size - 1, sizeof bytes));
        (void)check_block(bytes, &block);
        break;
    case INPUT_MAILBOX:
    default:
        check_mailbox(data + 1, size - 1);
        break;
    }
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox protocol of 1394, against a target's memory; time and the bus are the test's. */
#include "fw-mailbox.h"
#include "fw-rom.h"
#include "kd-fw-target.h"

#include <string.h>

#define CHANNEL  7u
#define MARK     0xFEEDF00Du
#define MARK_AT  (KD_FW_RECEIVE + 4004)
#define START_US (G_GINT64_CONSTANT(1000000000))
#define TURN_US  30 /* of one request */
#define SECOND   (G_GINT64_CONSTANT(1000000))

/* What becomes of a request */
typedef enum {
    FATE_DONE = 0,
    FATE_FAILS = 1,   /* is not carried out */
    FATE_LOST = 2,    /* is carried out, the answer is lost */
    FATE_NOWHERE = 3, /* is not carried out, and there is no answer */
    FATE_STALE = 4,   /* a bus reset came before it */
} Fate;

typedef struct Fixture Fixture;
struct Fixture {
    FwMailbox *mailbox;
    KdFwTarget target;
    gint64 now_us;
    gboolean has_request;
    FwRequest request;
    uint8_t written[FW_CHUNK_MAX_BYTES];
    Fate (*fate)(Fixture *f, const FwRequest *request); /* (nullable) */
    guint n_fates;
    gboolean is_target_alive; /* takes what it is sent at once */
    gboolean has_no_room;
    gboolean is_flooding; /* says something new as soon as the last was taken */
    gboolean is_refused;  /* the kernel takes no request */
    GPtrArray *received;  /* GBytes */
    GPtrArray *taken;     /* GBytes */
    guint n_requests, n_writes, n_found, n_restarted, n_lost, n_stale, n_sent, n_dropped;
    guint n_restarted_before; /* the last packet */
    char *why;
};

/* ---- the carrier ----------------------------------------------------------------------------- */

static gboolean
on_request(const FwRequest *request, void *user)
{
    Fixture *f = user;
    g_assert_false(f->has_request);
    g_assert_cmpuint(request->len_bytes, >, 0);
    g_assert_cmpuint(request->len_bytes % 4, ==, 0);
    g_assert_cmpuint(request->len_bytes, <=, FW_CHUNK_MAX_BYTES);
    g_assert_cmpint(request->is_write, ==, request->bytes != NULL);
    f->n_requests++;
    if (f->is_refused)
        return FALSE;
    f->request = *request;
    if (request->is_write) {
        f->n_writes++;
        memcpy(f->written, request->bytes, request->len_bytes);
    }
    f->has_request = TRUE;
    return TRUE;
}

static gboolean
on_receive(const uint8_t *packet, size_t len_bytes, void *user)
{
    Fixture *f = user;
    if (f->has_no_room)
        return FALSE;
    f->n_restarted_before = f->n_restarted;
    g_ptr_array_add(f->received, g_bytes_new(packet, len_bytes));
    return TRUE;
}

static void
on_sent(gboolean is_taken, void *user)
{
    Fixture *f = user;
    if (is_taken)
        f->n_sent++;
    else
        f->n_dropped++;
}

static void
on_found(const FwBlock *block, void *user)
{
    g_assert_cmpuint(block->send_offset, ==, KD_FW_SEND);
    ((Fixture *)user)->n_found++;
}

static void
on_restarted(void *user)
{
    ((Fixture *)user)->n_restarted++;
}

static void
on_lost(const char *why, void *user)
{
    Fixture *f = user;
    f->n_lost++;
    g_free(f->why);
    f->why = g_strdup(why);
}

static void
on_stale(void *user)
{
    ((Fixture *)user)->n_stale++;
}

static const FwMailboxFuncs funcs = {
    .request = on_request,
    .receive = on_receive,
    .sent = on_sent,
    .found = on_found,
    .restarted = on_restarted,
    .lost = on_lost,
    .stale = on_stale,
};

static void
set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->mailbox = fw_mailbox_new(CHANNEL, MARK, &funcs, f);
    f->now_us = START_US;
    f->received = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    f->taken = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    f->is_target_alive = TRUE;
    kd_fw_target_boot(&f->target, CHANNEL, 1);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    fw_mailbox_free(f->mailbox);
    g_ptr_array_unref(f->received);
    g_ptr_array_unref(f->taken);
    g_free(f->why);
}

static void
let_target_take(Fixture *f)
{
    GBytes *packet = f->is_target_alive ? kd_fw_target_take(&f->target) : NULL;
    if (packet != NULL)
        g_ptr_array_add(f->taken, packet);
    if (f->is_flooding && !kd_fw_target_has_sent(&f->target))
        kd_fw_target_send_text(&f->target, "flood");
}

static gboolean
carry_out(Fixture *f, uint8_t *bytes)
{
    if (f->request.is_write)
        return kd_fw_target_write(&f->target, f->request.offset, f->written, f->request.len_bytes);
    return kd_fw_target_read(&f->target, f->request.offset, bytes, f->request.len_bytes);
}

static void
serve(Fixture *f)
{
    static const FwOutcome outcomes[] = {FW_DONE, FW_NOT_DONE, FW_UNSURE, FW_UNSURE, FW_STALE};
    uint8_t bytes[FW_CHUNK_MAX_BYTES];
    Fate fate = f->fate != NULL ? f->fate(f, &f->request) : FATE_DONE;
    gboolean is_done = (fate == FATE_DONE || fate == FATE_LOST) && carry_out(f, bytes);
    uint32_t len_bytes = f->request.len_bytes;
    f->has_request = FALSE;
    f->now_us += TURN_US;
    let_target_take(f);
    if (fate == FATE_DONE && !is_done)
        fate = FATE_FAILS;
    /* Exactly as many as were asked for: ASan sees who reads more. */
    g_autofree uint8_t *own = f->request.is_write ? NULL : g_memdup2(bytes, len_bytes);
    fw_mailbox_answer(f->mailbox, outcomes[fate], own, len_bytes, f->now_us);
}

/* Until nothing happens for a while, or something does */
static void
run_until(Fixture *f, gint64 for_us, const guint *count, guint least)
{
    gint64 end_us = f->now_us + for_us;
    while (f->now_us < end_us && (count == NULL || *count < least)) {
        if (f->has_request) {
            serve(f);
            continue;
        }
        gint64 deadline_us = fw_mailbox_get_deadline_us(f->mailbox);
        f->now_us = deadline_us < 0 ? end_us : CLAMP(deadline_us, f->now_us, end_us);
        let_target_take(f);
        fw_mailbox_tick(f->mailbox, f->now_us);
    }
}

static void
run(Fixture *f, gint64 for_us)
{
    run_until(f, for_us, NULL, 0);
}

static void
attach_with(Fixture *f, uint32_t chunk_bytes)
{
    f->has_request = FALSE;
    fw_mailbox_attach(f->mailbox, (uint32_t)KD_FW_BLOCK, chunk_bytes, f->now_us);
}

static void
attach(Fixture *f)
{
    attach_with(f, FW_CHUNK_MAX_BYTES);
}

static void
start(Fixture *f)
{
    attach(f);
    run_until(f, SECOND, &f->n_found, 1);
    g_assert_cmpuint(f->n_found, ==, 1);
}

static void
assert_same(const uint8_t *bytes, size_t len, const void *wanted, size_t wanted_len)
{
    g_assert_cmpuint(len, ==, wanted_len);
    g_assert_true(len == 0 || memcmp(bytes, wanted, wanted_len) == 0);
}

static void
assert_received(Fixture *f, guint index, const char *text)
{
    g_assert_cmpuint(f->received->len, >, index);
    size_t len = 0;
    const uint8_t *bytes = g_bytes_get_data(f->received->pdata[index], &len);
    g_assert_cmpuint(len, ==, 16 + 16 + strlen(text));
    assert_same(bytes, 4, "0000", 4);
    assert_same(bytes + 32, len - 32, text, strlen(text));
}

static GBytes *
build_packet(size_t len)
{
    uint8_t *bytes = g_malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    return g_bytes_new_take(bytes, len);
}

static gboolean
send_packet(Fixture *f, GBytes *packet)
{
    size_t len = 0;
    const uint8_t *bytes = g_bytes_get_data(packet, &len);
    return fw_mailbox_send(f->mailbox, bytes, len, f->now_us);
}

/* ---- the target is found --------------------------------------------------------------------- */

static void
test_find(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    g_assert_cmpuint(f->n_requests, <=, 3);
    g_assert_cmpuint(f->n_restarted, ==, 0);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, MARK_AT), ==, MARK);
}

static void
test_find_nothing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    kd_fw_target_wipe(&f->target);
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->n_found, ==, 0);
    g_assert_cmpuint(f->n_lost, ==, 1);
    g_assert_cmpuint(f->n_writes, ==, 0);
    g_assert_cmpint(fw_mailbox_get_deadline_us(f->mailbox), ==, -1);
    f->n_lost = 0;
    kd_fw_target_boot(&f->target, CHANNEL + 1, 1);
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->n_lost, ==, 1);
    g_assert_cmpuint(f->n_writes, ==, 0);
}

static Fate
on_all_fail(Fixture *f, const FwRequest *request)
{
    (void)f;
    (void)request;
    return FATE_FAILS;
}

static void
test_find_silent(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->fate = on_all_fail;
    attach(f);
    run(f, 4 * SECOND);
    g_assert_cmpuint(f->n_lost, ==, 1);
    g_assert_cmpstr(f->why, ==, "the target does not answer");
    g_assert_cmpuint(f->n_requests, <, 30); /* with pauses that grow */
    g_assert_cmpuint(f->n_requests, >, 10);
    f->fate = NULL;
    start(f);
    g_assert_cmpuint(f->n_restarted, ==, 0);
}

static void
test_no_start(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->is_refused = TRUE;
    attach(f);
    run(f, 4 * SECOND);
    g_assert_cmpuint(f->n_lost, ==, 1);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void
test_receive(Fixture *f, gconstpointer unused)
{
    (void)unused;
    kd_fw_target_send_text(&f->target, "before anybody came");
    start(f);
    run(f, SECOND);
    assert_received(f, 0, "before anybody came");
    for (guint i = 1; i < 100; i++) {
        g_autofree char *text = g_strdup_printf("line %u", i);
        g_assert_false(kd_fw_target_has_sent(&f->target));
        kd_fw_target_send_text(&f->target, text);
        run_until(f, SECOND, &f->received->len, i + 1);
        assert_received(f, i, text);
        run(f, 10000);
    }
    g_assert_cmpuint(f->n_restarted, ==, 0);
}

static void
assert_receives(Fixture *f, size_t len)
{
    g_autoptr(GBytes) packet = build_packet(len);
    guint n = f->received->len;
    kd_fw_target_send(&f->target, 2, g_bytes_get_data(packet, NULL), len);
    run_until(f, SECOND, &f->received->len, n + 1);
    g_assert_cmpuint(f->received->len, ==, n + 1);
    size_t got_len = 0;
    const uint8_t *got = g_bytes_get_data(f->received->pdata[n], &got_len);
    assert_same(got + 16, got_len - 16, g_bytes_get_data(packet, NULL), len);
    run(f, 1000);
    g_assert_false(kd_fw_target_has_sent(&f->target));
}

static void
test_receive_sizes(Fixture *f, gconstpointer unused)
{
    static const size_t sizes[] = {4000, 0,    1,    2,    3,    4,   300,  301,
                                   2027, 2028, 2029, 3999, 4000, 100, 2048, 4000};
    static const uint32_t chunks[] = {512, 1024, 2048};
    (void)unused;
    start(f);
    for (size_t chunk = 0; chunk < G_N_ELEMENTS(chunks); chunk++) {
        attach_with(f, chunks[chunk]);
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
            assert_receives(f, sizes[i]);
    }
}

static void
test_receive_in_two(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    assert_receives(f, 4000);
    run(f, 100000);
    guint n = f->n_requests;
    g_autoptr(GBytes) packet = build_packet(4000);
    kd_fw_target_send(&f->target, 2, g_bytes_get_data(packet, NULL), 4000);
    run_until(f, SECOND, &f->received->len, 2);
    g_assert_cmpuint(f->n_requests - n, <=, 4); /* its state, it in two parts, taken */
}

static void
test_left(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    f->has_no_room = TRUE;
    kd_fw_target_send_text(&f->target, "wait");
    guint n = f->n_requests;
    run(f, SECOND);
    g_assert_true(kd_fw_target_has_sent(&f->target));
    g_assert_cmpuint(f->n_requests - n, <, 300); /* not without a pause */
    f->has_no_room = FALSE;
    run(f, 20000);
    assert_received(f, 0, "wait");
    g_assert_cmpuint(f->received->len, ==, 1);
    g_assert_false(kd_fw_target_has_sent(&f->target));
}

static void
test_idle(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    run(f, 3600 * SECOND);
    guint n = f->n_requests;
    run(f, 3600 * SECOND);
    g_assert_cmpuint(f->n_requests - n, <=, 20 * 3600 + 1);
    g_assert_cmpuint(f->n_requests - n, >, 19 * 3600);
    kd_fw_target_send_text(&f->target, "hello");
    run_until(f, 60000, &f->received->len, 1);
    assert_received(f, 0, "hello");
    /* now it is looked at more often */
    n = f->n_requests;
    run(f, 500000);
    g_assert_cmpuint(f->n_requests - n, >, 300);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void
assert_taken(Fixture *f, guint index, GBytes *packet)
{
    g_assert_cmpuint(f->taken->len, ==, index + 1);
    g_assert_true(g_bytes_equal(f->taken->pdata[index], packet));
}

static void
test_send(Fixture *f, gconstpointer unused)
{
    static const size_t sizes[] = {1, 16, 17, 72, 2044, 2045, 2048, 3996, 3997, 4000, 72};
    (void)unused;
    start(f);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GBytes) packet = build_packet(sizes[i]);
        gint64 before_us = f->now_us;
        g_assert_true(send_packet(f, packet));
        g_assert_false(send_packet(f, packet));
        run_until(f, SECOND, &f->n_sent, i + 1);
        assert_taken(f, i, packet);
        g_assert_cmpuint(f->n_sent, ==, i + 1);
        g_assert_cmpint(f->now_us - before_us, <=, 8 * TURN_US);
        run(f, 100000);
        g_assert_cmpuint(f->taken->len, ==, i + 1);
    }
    g_assert_cmpuint(f->n_dropped, ==, 0);
}

static void
test_send_from_idle(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    start(f);
    run(f, 3600 * SECOND);
    gint64 before_us = f->now_us;
    g_assert_true(send_packet(f, packet));
    run_until(f, SECOND, &f->n_sent, 1);
    g_assert_cmpint(f->now_us - before_us, <=, 8 * TURN_US);
}

/* The state is the last thing that is written, so half a packet is never taken. */
static Fate
on_half(Fixture *f, const FwRequest *request)
{
    let_target_take(f);
    return request->is_write && request->offset > KD_FW_RECEIVE + 4 && request->offset < MARK_AT &&
                   ++f->n_fates < 9
               ? FATE_FAILS
               : FATE_DONE;
}

static void
test_send_whole(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(4000);
    (void)unused;
    start(f);
    f->fate = on_half;
    g_assert_true(send_packet(f, packet));
    run_until(f, SECOND, &f->n_sent, 1);
    assert_taken(f, 0, packet);
}

static void
test_target_first(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    start(f);
    run(f, 100 * SECOND);
    kd_fw_target_send_text(&f->target, "first");
    g_assert_true(send_packet(f, packet));
    while (f->received->len == 0)
        serve(f);
    g_assert_cmpuint(f->taken->len, ==, 0);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, KD_FW_RECEIVE + 4), ==, 0);
    run_until(f, SECOND, &f->n_sent, 1);
    assert_taken(f, 0, packet);
}

/* A target that prints without a pause is to hear a break-in all the same, and to be told by and by
 * that what it says is taken. */
static void
test_flood(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(1);
    (void)unused;
    start(f);
    f->is_flooding = TRUE;
    run(f, 100000);
    for (guint i = 1; i <= 3; i++) {
        g_assert_true(send_packet(f, packet));
        run_until(f, SECOND, &f->n_sent, i);
        g_assert_cmpuint(f->n_sent, ==, i);
    }
    f->is_target_alive = FALSE;
    g_assert_true(send_packet(f, packet));
    run_until(f, 5 * SECOND, &f->n_dropped, 1);
    g_assert_cmpuint(f->n_dropped, ==, 1);
    guint n = f->received->len;
    run(f, SECOND / 10);
    g_assert_cmpuint(f->received->len, >, n + 100);
}

static void
test_busy_box(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    f->is_target_alive = FALSE;
    kd_fw_target_put_u32(&f->target, KD_FW_RECEIVE, KD_FW_FULL);
    kd_fw_target_put_u32(&f->target, KD_FW_RECEIVE + 4, 16);
    start(f);
    g_assert_true(send_packet(f, packet));
    run(f, SECOND);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, KD_FW_RECEIVE + 4), ==, 16);
    kd_fw_target_put_u32(&f->target, KD_FW_RECEIVE, 0);
    f->is_target_alive = TRUE;
    run_until(f, SECOND, &f->n_sent, 1);
    assert_taken(f, 0, packet);
}

static void
test_left_over(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    f->is_target_alive = FALSE;
    kd_fw_target_put_u32(&f->target, KD_FW_RECEIVE, KD_FW_FULL);
    start(f);
    g_assert_true(send_packet(f, packet));
    run(f, 3 * SECOND);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, KD_FW_RECEIVE + 4), ==, 0);
    run(f, SECOND);
    f->is_target_alive = TRUE;
    run_until(f, SECOND, &f->n_sent, 1);
    assert_taken(f, 0, packet);
}

static void
test_never_taken(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    g_autoptr(GBytes) other = build_packet(1);
    (void)unused;
    start(f);
    f->is_target_alive = FALSE;
    g_assert_true(send_packet(f, packet));
    run(f, 3 * SECOND);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, KD_FW_RECEIVE), ==, KD_FW_FULL);
    g_assert_false(send_packet(f, other));
    run(f, SECOND);
    g_assert_cmpuint(f->n_dropped, ==, 1);
    g_assert_cmpuint(f->n_sent, ==, 0);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, KD_FW_RECEIVE), ==, 0);
    f->is_target_alive = TRUE;
    g_assert_true(send_packet(f, other));
    run_until(f, SECOND, &f->n_sent, 1);
    assert_taken(f, 0, other);
}

static Fate
on_no_writes(Fixture *f, const FwRequest *request)
{
    (void)f;
    return request->is_write ? FATE_FAILS : FATE_DONE;
}

static void
test_no_writes(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    start(f);
    f->fate = on_no_writes;
    g_assert_true(send_packet(f, packet));
    run(f, 6 * SECOND);
    g_assert_cmpuint(f->n_dropped, ==, 1);
    g_assert_cmpuint(f->n_lost, ==, 0);
    /* What it cannot be told it has said is taken once, and not asked for without a pause. */
    kd_fw_target_send_text(&f->target, "once");
    guint n = f->n_requests;
    run(f, 10 * SECOND);
    g_assert_cmpuint(f->received->len, ==, 1);
    g_assert_cmpuint(f->n_requests - n, <, 400);
}

/* ---- answers are lost ------------------------------------------------------------------------ */

/* Which requests are hit: each in its turn, by each fate */
static uint32_t hit_at;
static Fate hit_fate;

static Fate
on_hit(Fixture *f, const FwRequest *request)
{
    (void)request;
    return f->n_fates++ == hit_at ? hit_fate : FATE_DONE;
}

/* A packet each way while one request of the exchange is hit: no packet may be lost or doubled. */
static void
test_lost_answers(Fixture *f, gconstpointer unused)
{
    static const Fate fates[] = {FATE_FAILS, FATE_LOST, FATE_STALE};
    g_autoptr(GBytes) packet = build_packet(3000);
    guint n = 0;
    (void)unused;
    start(f);
    for (guint kind = 0; kind < G_N_ELEMENTS(fates); kind++) {
        for (hit_at = 0; hit_at < 16; hit_at++) {
            g_autofree char *text = g_strdup_printf("line %u", n);
            hit_fate = fates[kind];
            f->n_fates = 0;
            f->fate = on_hit;
            kd_fw_target_send_text(&f->target, text);
            g_assert_true(send_packet(f, packet));
            run(f, 100000);
            attach(f); /* the bus reset of which a stale request tells */
            run(f, 2 * SECOND);
            g_assert_cmpuint(f->received->len, ==, n + 1);
            assert_received(f, n, text);
            assert_taken(f, n, packet);
            g_assert_cmpuint(f->n_sent, ==, n + 1);
            g_assert_false(kd_fw_target_has_sent(&f->target));
            n++;
        }
    }
    g_assert_cmpuint(f->n_restarted, ==, 0);
    g_assert_cmpuint(f->n_lost, ==, 0);
}

/* Where nobody can know, a request is rather lost than carried out twice: the debugger asks again.
 */
static void
test_lost_requests(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(3000);
    (void)unused;
    start(f);
    hit_fate = FATE_NOWHERE;
    f->fate = on_hit;
    for (hit_at = 0; hit_at < 16; hit_at++) {
        g_autofree char *text = g_strdup_printf("line %u", hit_at);
        guint n_taken = f->taken->len;
        f->n_fates = 0;
        kd_fw_target_send_text(&f->target, text);
        g_assert_true(send_packet(f, packet));
        run(f, SECOND);
        g_assert_cmpuint(f->received->len, ==, hit_at + 1);
        assert_received(f, hit_at, text);
        g_assert_cmpuint(f->taken->len, <=, n_taken + 1);
        g_assert_cmpuint(f->n_sent, ==, hit_at + 1);
    }
    g_assert_cmpuint(f->taken->len, >=, 15);
}

static void
test_no_answer(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    run(f, 10000);
    /* Neither an answer nor a bus reset: the mailbox has a clock of its own. */
    while (!f->has_request)
        run(f, 1000);
    f->has_request = FALSE;
    kd_fw_target_send_text(&f->target, "still there");
    run(f, 4 * SECOND);
    assert_received(f, 0, "still there");
}

static void
test_stale_forever(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    hit_fate = FATE_STALE;
    hit_at = 0;
    f->fate = on_hit;
    run(f, 2 * SECOND);
    g_assert_cmpuint(f->n_stale, >=, 1); /* and nothing was asked for meanwhile */
    g_assert_cmpuint(f->n_stale, <=, 3);
    guint n = f->n_requests;
    run(f, 2 * SECOND);
    g_assert_cmpuint(f->n_requests, ==, n);
    f->n_found = 0;
    start(f);
}

/* ---- bus resets and restarts ----------------------------------------------------------------- */

static void
test_reset_between_parts(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) first = build_packet(4000);
    g_autoptr(GBytes) second = build_packet(3900);
    (void)unused;
    start(f);
    kd_fw_target_send(&f->target, 2, g_bytes_get_data(first, NULL), 4000);
    for (guint i = 0; i < 10000 && (!f->has_request || f->request.offset < KD_FW_SEND + 24); i++)
        run(f, TURN_US);
    g_assert_cmphex(f->request.offset, >=, KD_FW_SEND + 24); /* the second part */
    /* The target has given up and says something else. */
    kd_fw_target_put_u32(&f->target, KD_FW_SEND, 0);
    kd_fw_target_send(&f->target, 2, g_bytes_get_data(second, NULL), 3900);
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->received->len, ==, 1);
    size_t len = 0;
    const uint8_t *bytes = g_bytes_get_data(f->received->pdata[0], &len);
    assert_same(bytes + 16, len - 16, g_bytes_get_data(second, NULL), 3900);
    g_assert_cmpuint(f->n_restarted, ==, 0);
}

/* A bus reset while there is a request: one that has not been sent is answered before, with that,
 * and one that the node has acknowledged is carried out, and never answered. */
static void
flush(Fixture *f, gboolean is_acknowledged)
{
    uint8_t bytes[FW_CHUNK_MAX_BYTES];
    if (is_acknowledged) {
        (void)carry_out(f, bytes);
        f->now_us += TURN_US;
        let_target_take(f);
        fw_mailbox_break_off(f->mailbox, TRUE);
    } else {
        f->has_request = FALSE;
        fw_mailbox_answer(f->mailbox, FW_STALE, NULL, 0, f->now_us);
    }
}

static void
test_reset_storm(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(2100);
    (void)unused;
    start(f);
    for (guint i = 0; i < 200; i++) {
        g_autofree char *text = g_strdup_printf("line %u", i);
        guint n_turns = i % 13;
        kd_fw_target_send_text(&f->target, text);
        g_assert_true(send_packet(f, packet));
        for (guint turn = 0; turn < n_turns && f->has_request; turn++)
            serve(f);
        if (f->has_request)
            flush(f, i / 13 % 2 == 0);
        attach(f);
        run(f, 20000);
        assert_received(f, i, text);
        assert_taken(f, i, packet);
        g_assert_cmpuint(f->taken->len, ==, i + 1);
    }
    g_assert_cmpuint(f->n_restarted, ==, 0);
    g_assert_cmpuint(f->n_dropped, ==, 0);
}

static void
test_no_write_before_block(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    start(f);
    run(f, 100000);
    kd_fw_target_wipe(&f->target);
    attach(f);
    guint n = f->n_writes;
    g_assert_true(send_packet(f, packet));
    run(f, 3 * SECOND);
    g_assert_cmpuint(f->n_writes, ==, n);
    g_assert_cmpuint(f->n_lost, ==, 1);
    g_assert_false(send_packet(f, packet));
    /* the same block at the same place, after the firmware has been there */
    kd_fw_target_boot(&f->target, CHANNEL, 1);
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->n_restarted, ==, 1);
    g_assert_cmpuint(f->taken->len, ==, 0);
    g_assert_true(send_packet(f, packet));
    run(f, SECOND);
    assert_taken(f, 0, packet);
}

static Fate
on_take_lost(Fixture *f, const FwRequest *request)
{
    if (!request->is_write || request->offset != KD_FW_SEND)
        return FATE_DONE;
    f->n_fates++;
    return FATE_NOWHERE;
}

static void
test_restart_unseen(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    (void)unused;
    start(f);
    f->is_target_alive = FALSE;
    g_assert_true(send_packet(f, packet));
    run(f, SECOND);
    kd_fw_target_boot(&f->target, CHANNEL, 1); /* between two bus resets */
    f->is_target_alive = TRUE;
    attach(f);
    run(f, 10000);
    g_assert_cmpuint(f->n_restarted, ==, 1);
    g_assert_cmpuint(f->n_dropped, ==, 1);
    g_assert_cmpuint(f->n_found, ==, 2);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, MARK_AT), ==, MARK);
    attach(f);
    run(f, 10000);
    g_assert_cmpuint(f->n_restarted, ==, 1);
}

/* What was taken in its former life is in the mailbox once more, to the byte. */
static void
test_restart_says_the_same(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    run(f, 10000);
    f->fate = on_take_lost;
    kd_fw_target_send_text(&f->target, "hello");
    run_until(f, SECOND, &f->n_fates, 1);
    assert_received(f, 0, "hello");
    f->fate = NULL;
    kd_fw_target_boot(&f->target, CHANNEL, 1);
    kd_fw_target_send_text(&f->target, "hello");
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->n_restarted, ==, 1);
    g_assert_cmpuint(f->received->len, ==, 2);
    assert_received(f, 1, "hello");
}

static void
test_restart_by_id(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    for (guint i = 0; i < 5; i++) {
        kd_fw_target_send_text(&f->target, "before");
        run(f, 20000);
    }
    /* nothing but the ids tells */
    f->target.next_id = KD_FW_FIRST_ID;
    kd_fw_target_send_text(&f->target, "after");
    run(f, SECOND);
    g_assert_cmpuint(f->n_restarted, ==, 1);
    assert_received(f, 5, "after");
    g_assert_cmpuint(f->n_restarted_before, ==, 1);
    kd_fw_target_send_text(&f->target, "more");
    run(f, SECOND);
    g_assert_cmpuint(f->n_restarted, ==, 1);
}

static void
test_long_packet_is_no_restart(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(4000);
    (void)unused;
    start(f);
    g_assert_true(send_packet(f, packet));
    run(f, SECOND);
    g_assert_cmphex(kd_fw_target_get_u32(&f->target, MARK_AT), !=, MARK);
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->n_found, ==, 2);
    g_assert_cmpuint(f->n_restarted, ==, 0);
}

static void
test_another_machine(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    fw_mailbox_detach(f->mailbox);
    fw_mailbox_forget(f->mailbox);
    attach(f);
    run(f, SECOND);
    g_assert_cmpuint(f->n_restarted, ==, 1);
}

/* ---- garbage --------------------------------------------------------------------------------- */

static void
test_garbage_state(Fixture *f, gconstpointer unused)
{
    g_autoptr(GBytes) packet = build_packet(72);
    FwMailboxStatus status;
    (void)unused;
    start(f);
    run(f, 100 * SECOND);
    kd_fw_target_put_u32(&f->target, KD_FW_SEND, 0xDEADBEEF);
    guint n = f->n_writes;
    run(f, 10 * SECOND);
    g_assert_cmpuint(f->n_writes, ==, n); /* nothing is written to what may be another's */
    g_assert_true(send_packet(f, packet));
    run_until(f, SECOND, &f->n_sent, 1);
    assert_taken(f, 0, packet);
    fw_mailbox_get_status(f->mailbox, &status);
    g_assert_cmpuint(status.n_garbage, >, 0);
    kd_fw_target_put_u32(&f->target, KD_FW_SEND, 0);
    kd_fw_target_send_text(&f->target, "fine");
    run(f, SECOND);
    assert_received(f, 0, "fine");
    g_assert_cmpuint(f->n_lost, ==, 0);
}

static void
test_garbage_memory(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    run(f, 100000);
    guint n = f->n_writes;
    kd_fw_target_wipe(&f->target); /* and no bus reset */
    run(f, SECOND);
    g_assert_cmpuint(f->n_lost, ==, 1);
    g_assert_cmpuint(f->n_writes, ==, n);
}

static void
test_too_long(Fixture *f, gconstpointer unused)
{
    static const uint32_t lengths[] = {4001, 4002, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    (void)unused;
    start(f);
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
        kd_fw_target_send_text(&f->target, "x");
        kd_fw_target_put_u32(&f->target, KD_FW_SEND + 20, lengths[i]);
        run(f, SECOND);
        g_assert_cmpuint(f->received->len, ==, i);
        g_assert_false(kd_fw_target_has_sent(&f->target)); /* or it would wait for ever */
        kd_fw_target_send_text(&f->target, "y");
        run(f, SECOND);
        assert_received(f, i, "y");
    }
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer unused);
    } cases[] = {
        {"/1394/mailbox/is-found-by-its-block", test_find},
        {"/1394/mailbox/is-not-written-to-without-a-block", test_find_nothing},
        {"/1394/mailbox/of-a-silent-node-is-given-up-for-lost", test_find_silent},
        {"/1394/mailbox/of-a-node-that-takes-no-request-is-given-up-for-lost", test_no_start},
        {"/1394/receiving/takes-packets-in-order", test_receive},
        {"/1394/receiving/takes-packets-of-every-size", test_receive_sizes},
        {"/1394/receiving/reads-a-long-packet-in-two-parts", test_receive_in_two},
        {"/1394/receiving/leaves-a-packet-without-room", test_left},
        {"/1394/receiving/costs-little-when-nothing-happens", test_idle},
        {"/1394/sending/is-told-when-the-target-has-taken-it", test_send},
        {"/1394/sending/does-not-wait-for-the-next-look", test_send_from_idle},
        {"/1394/sending/shows-whole-packets-only", test_send_whole},
        {"/1394/sending/lets-the-target-finish", test_target_first},
        {"/1394/sending/does-not-wait-for-a-target-that-never-pauses", test_flood},
        {"/1394/sending/waits-for-an-empty-mailbox", test_busy_box},
        {"/1394/sending/throws-out-what-another-host-has-left", test_left_over},
        {"/1394/sending/withdraws-what-is-never-taken", test_never_taken},
        {"/1394/sending/gives-up-where-nothing-can-be-written", test_no_writes},
        {"/1394/answers/that-are-lost-neither-lose-nor-double-packets", test_lost_answers},
        {"/1394/answers/to-what-was-not-done-double-no-packets", test_lost_requests},
        {"/1394/answers/that-never-come-are-not-waited-for", test_no_answer},
        {"/1394/bus-reset/is-asked-about-when-none-is-heard-of", test_stale_forever},
        {"/1394/bus-reset/between-two-parts-mixes-no-packets", test_reset_between_parts},
        {"/1394/bus-reset/at-any-time-neither-loses-nor-doubles-packets", test_reset_storm},
        {"/1394/restart/lets-nothing-be-written-to-the-old-place", test_no_write_before_block},
        {"/1394/restart/at-the-same-place-is-noticed", test_restart_unseen},
        {"/1394/restart/shows-a-packet-that-was-seen-before-it", test_restart_says_the_same},
        {"/1394/restart/is-told-before-the-first-packet", test_restart_by_id},
        {"/1394/restart/is-not-taken-from-a-long-packet", test_long_packet_is_no_restart},
        {"/1394/restart/is-what-another-machine-is", test_another_machine},
        {"/1394/garbage/as-a-state-is-no-packet", test_garbage_state},
        {"/1394/garbage/instead-of-the-block-is-a-loss", test_garbage_memory},
        {"/1394/garbage/as-a-length-is-thrown-away", test_too_long},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add(cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Credit against a model that moves single blocks between two sides. */
#include "kd-credit.h"

#include <string.h>

static void
test_starts_with_window(void)
{
    KdCredit credit = {.peer_window = 4096};

    g_assert_cmpuint(kd_credit_get_available(&credit), ==, 4096);
    credit.sent = 4000;
    g_assert_cmpuint(kd_credit_get_available(&credit), ==, 96);
    credit.sent = 4096;
    g_assert_cmpuint(kd_credit_get_available(&credit), ==, 0);
    credit.acked = 1000;
    g_assert_cmpuint(kd_credit_get_available(&credit), ==, 1000);
}

/* A peer that said a smaller window than what is on the way must not make us wrap. */
static void
test_never_negative(void)
{
    KdCredit credit = {.peer_window = 10, .sent = 100, .acked = 50};

    g_assert_cmpuint(kd_credit_get_available(&credit), ==, 0);
}

static void
test_ack_back(void)
{
    g_autoptr(GError) error = NULL;
    KdCredit credit = {.sent = 100, .acked = 50};
    const KdCredit before = credit;

    g_assert_false(kd_credit_take_ack(&credit, 49, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_assert_cmpmem(&credit, sizeof credit, &before, sizeof before);
    g_clear_error(&error);
    g_assert_true(kd_credit_take_ack(&credit, 50, &error));
    g_assert_true(kd_credit_take_ack(&credit, 100, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(credit.acked, ==, 100);
}

static void
test_ack_beyond(void)
{
    g_autoptr(GError) error = NULL;
    KdCredit credit = {.sent = 100, .acked = 50};

    g_assert_false(kd_credit_take_ack(&credit, 101, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_clear_error(&error);
    g_assert_false(kd_credit_take_ack(&credit, UINT64_MAX, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_assert_cmpuint(credit.acked, ==, 50);
}

static void
test_window_is_exact(void)
{
    g_autoptr(GError) error = NULL;
    KdCredit credit = {.window = 4096};

    g_assert_true(kd_credit_receive(&credit, 4096, &error));
    g_assert_true(kd_credit_receive(&credit, 0, &error));
    g_assert_no_error(error);
    g_assert_false(kd_credit_receive(&credit, 1, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(error->message, "flow"));
    g_assert_cmpuint(credit.received, ==, 4096);
    g_clear_error(&error);

    credit.taken = 96;
    g_assert_false(kd_credit_receive(&credit, 1, &error)); /* taken, but the peer can't know */
    g_clear_error(&error);
    g_assert_cmpuint(kd_credit_report(&credit), ==, 96);
    g_assert_true(kd_credit_receive(&credit, 96, &error));
    g_assert_no_error(error);
}

static void
test_offsets_at_the_end(void)
{
    g_autoptr(GError) error = NULL;
    KdCredit credit = {
        .received = UINT64_MAX - 10,
        .taken = UINT64_MAX - 10,
        .reported = UINT64_MAX - 10,
        .window = 4096,
    };

    g_assert_false(kd_credit_receive(&credit, 11, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_clear_error(&error);
    g_assert_true(kd_credit_receive(&credit, 10, &error));
    g_assert_no_error(error);
    g_assert_false(kd_credit_receive(&credit, UINT32_MAX, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
}

static void
test_ack_due(void)
{
    KdCredit credit = {.window = 4096};

    g_assert_false(kd_credit_is_ack_due(&credit));
    credit.taken = 1023;
    g_assert_false(kd_credit_is_ack_due(&credit));
    credit.taken = 1024;
    g_assert_true(kd_credit_is_ack_due(&credit));
    kd_credit_report(&credit);
    g_assert_false(kd_credit_is_ack_due(&credit));
    g_assert_cmpuint(credit.reported, ==, 1024);
}

/* One direction, as the model sees it: bytes on the way, in the receiver, and acks on the way. */
typedef struct {
    KdCredit sender;
    KdCredit receiver;
    uint64_t in_receiver;
    uint64_t ack_on_way;
    gboolean has_ack;
} Direction;

static void
step_send(Direction *direction, GRand *rand)
{
    g_autoptr(GError) error = NULL;
    uint64_t available = kd_credit_get_available(&direction->sender);
    uint32_t len = (uint32_t)g_rand_int_range(rand, 0, 3000);

    len = (uint32_t)MIN(len, available);
    direction->sender.sent += len;
    g_assert_true(kd_credit_receive(&direction->receiver, len, &error));
    g_assert_no_error(error);
    direction->in_receiver += len;
    /* What the sender may send is never more than the receiver would accept. */
    g_assert_cmpuint(kd_credit_get_available(&direction->sender), <=,
                     direction->receiver.reported + direction->receiver.window -
                         direction->receiver.received);
}

static void
step_take(Direction *direction, GRand *rand)
{
    uint64_t len = (uint64_t)g_rand_int_range(rand, 0, 3000);

    len = MIN(len, direction->in_receiver);
    direction->in_receiver -= len;
    direction->receiver.taken += len;
    if (kd_credit_is_ack_due(&direction->receiver) || g_rand_int_range(rand, 0, 8) == 0) {
        direction->ack_on_way = kd_credit_report(&direction->receiver);
        direction->has_ack = TRUE;
    }
}

static void
step_ack(Direction *direction)
{
    g_autoptr(GError) error = NULL;

    if (!direction->has_ack)
        return;
    g_assert_true(kd_credit_take_ack(&direction->sender, direction->ack_on_way, &error));
    g_assert_no_error(error);
    direction->has_ack = FALSE;
}

static void
test_random_walk(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());
    Direction direction = {.sender.peer_window = 8192, .receiver.window = 8192};

    for (guint i = 0; i < 20000; i++) {
        switch (g_rand_int_range(rand, 0, 3)) {
        case 0:
            step_send(&direction, rand);
            break;
        case 1:
            step_take(&direction, rand);
            break;
        default:
            step_ack(&direction);
        }
        g_assert_cmpuint(direction.sender.sent, ==, direction.receiver.received);
        g_assert_cmpuint(direction.sender.sent, ==,
                         direction.receiver.taken + direction.in_receiver);
        g_assert_cmpuint(direction.in_receiver, <=, 8192);
    }
    g_assert_cmpuint(direction.sender.sent, >, 1000000);
}

/* A receiver that only sends the acks that are due lets a sender of any appetite go on. */
static void
test_never_stalls(void)
{
    Direction direction = {.sender.peer_window = 4096, .receiver.window = 4096};

    for (guint i = 0; i < 1000; i++) {
        uint64_t available = kd_credit_get_available(&direction.sender);
        g_autoptr(GError) error = NULL;

        g_assert_cmpuint(available, >, 0);
        direction.sender.sent += available;
        g_assert_true(kd_credit_receive(&direction.receiver, (uint32_t)available, &error));
        direction.receiver.taken = direction.receiver.received;
        if (kd_credit_is_ack_due(&direction.receiver))
            g_assert_true(kd_credit_take_ack(&direction.sender,
                                             kd_credit_report(&direction.receiver), &error));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/credit/starts-with-the-window", test_starts_with_window);
    g_test_add_func("/wire/credit/is-never-negative", test_never_negative);
    g_test_add_func("/wire/credit/refuses-an-ack-that-goes-back", test_ack_back);
    g_test_add_func("/wire/credit/refuses-an-ack-beyond-what-was-sent", test_ack_beyond);
    g_test_add_func("/wire/credit/ends-exactly-at-the-window", test_window_is_exact);
    g_test_add_func("/wire/credit/does-not-overflow", test_offsets_at_the_end);
    g_test_add_func("/wire/credit/ack-is-due-at-a-quarter", test_ack_due);
    g_test_add_func("/wire/credit/agrees-with-a-model-on-random-walks", test_random_walk);
    g_test_add_func("/wire/credit/due-acks-keep-a-sender-going", test_never_stalls);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases about transports: two ends of a connection, both in this process. */
#include "kd-check-pair.h"

#include <errno.h>

static void
test_echo(const KdCheckSubject *subject)
{
    static const guint64 sizes[] = {1, 2, 1000, 65536, 1024 * 1024};
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        KdCheckFlow there = {&pair.client, &pair.server, sizes[i], 65536, 0, 0};
        KdCheckFlow back = {&pair.server, &pair.client, sizes[i], 65536, 0, 0};
        kd_check_run_flows(&there, 1);
        kd_check_run_flows(&back, 1);
    }
    kd_check_pair_close(&pair);
}

static void
test_both_at_once(const KdCheckSubject *subject)
{
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    KdCheckFlow flows[] = {
        {&pair.client, &pair.server, 1024 * 1024, 65536, 0, 0},
        {&pair.server, &pair.client, 1024 * 1024, 10000, 0, 0},
    };
    kd_check_run_flows(flows, G_N_ELEMENTS(flows));
    kd_check_pair_close(&pair);
}

static void
test_one_byte_writes(const KdCheckSubject *subject)
{
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    KdCheckFlow flows[] = {
        {&pair.client, &pair.server, 2000, 1, 0, 0},
        {&pair.server, &pair.client, 2000, 1, 0, 0},
    };
    kd_check_run_flows(flows, G_N_ELEMENTS(flows));
    kd_check_pair_close(&pair);
}

static void
test_eagain_in(const KdCheckSubject *subject)
{
    char byte = 0;
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    for (guint i = 0; i < 10; i++) {
        kd_check_settle();
        g_assert_cmpint(kd_check_end_read(&pair.server, &byte, 1), ==, -EAGAIN);
        kd_check_settle();
        g_assert_cmpuint(pair.server.ready & KD_READY_IN, ==, 0);
        g_assert_cmpint(kd_check_end_write(&pair.client, "x", 1), ==, 1);
        kd_check_end_await(&pair.server, KD_READY_IN);
        g_assert_cmpint(kd_check_end_read(&pair.server, &byte, 1), ==, 1);
    }
    kd_check_pair_close(&pair);
}

static void
test_eagain_out(const KdCheckSubject *subject)
{
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    for (guint i = 0; i < 3; i++) {
        guint64 got = 0;
        guint64 sent = kd_check_end_fill(&pair.client, 64u * 1024 * 1024);
        g_assert_cmpuint(pair.client.ready & KD_READY_OUT, ==, 0);
        while (got < sent) {
            char chunk[4096];
            gssize n = kd_check_end_read(&pair.server, chunk, sizeof chunk);
            if (n == -EAGAIN) {
                kd_check_end_await(&pair.server, KD_READY_IN);
                continue;
            }
            g_assert_cmpint(n, >, 0);
            got += (guint64)n;
        }
        kd_check_end_await(&pair.client, KD_READY_OUT);
    }
    kd_check_pair_close(&pair);
}

static void
test_spurious(const KdCheckSubject *subject)
{
    char byte = 0;
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    /* A host that has been told too much reads and writes in vain. */
    for (guint i = 0; i < 20; i++) {
        g_assert_cmpint(kd_check_end_read(&pair.client, &byte, 1), ==, -EAGAIN);
        g_assert_cmpint(kd_check_end_read(&pair.server, &byte, 1), ==, -EAGAIN);
    }
    KdCheckFlow flows[] = {
        {&pair.client, &pair.server, 1000, 10, 0, 0},
        {&pair.server, &pair.client, 1000, 10, 0, 0},
    };
    kd_check_run_flows(flows, G_N_ELEMENTS(flows));
    kd_check_pair_close(&pair);
}

static void
check_half_close(KdCheckEnd *first, KdCheckEnd *second)
{
    guint64 got = 0;
    KdCheckFlow there = {first, second, 100000, 65536, 0, 0};
    kd_check_run_flows(&there, 1);
    g_assert_cmpint(kd_check_end_write(first, "last", 4), ==, 4);
    g_assert_cmpint(kd_check_end_shutdown(first), ==, 0);
    g_assert_cmpint(kd_check_end_drain(second, &got), ==, 0);
    g_assert_cmpuint(got, ==, 4);
    g_assert_cmpint(kd_check_end_write(first, "x", 1), <, 0);
    KdCheckFlow back = {second, first, 100000, 65536, 0, 0};
    kd_check_run_flows(&back, 1);
}

static void
test_half_close(const KdCheckSubject *subject)
{
    for (guint i = 0; i < 2; i++) {
        KdCheckPair pair = {0};
        kd_check_pair_open(&pair, subject);
        /* On an accepted socket the flag is the host's to set. */
        if ((pair.client.endpoint.flags & KD_ENDPOINT_HALF_CLOSE) == 0) {
            kd_check_pair_close(&pair);
            g_test_skip("the transport has no half-close");
            return;
        }
        check_half_close(i == 0 ? &pair.client : &pair.server,
                         i == 0 ? &pair.server : &pair.client);
        kd_check_pair_close(&pair);
    }
}

static void
test_end(const KdCheckSubject *subject)
{
    guint64 got = 0;
    KdCheckPair pair = {0};
    kd_check_pair_open(&pair, subject);
    kd_check_end_close(&pair.client);
    g_assert_cmpint(kd_check_end_drain(&pair.server, &got), <=, 0);
    g_assert_cmpuint(got, ==, 0);
    kd_check_pair_close(&pair);
}

static void
test_close_with_unsent(const KdCheckSubject *subject)
{
    for (guint i = 0; i < 2; i++) {
        KdCheckPair pair = {0};
        guint64 got = 0;
        kd_check_pair_open(&pair, subject);
        KdCheckEnd *first = i == 0 ? &pair.client : &pair.server;
        KdCheckEnd *second = i == 0 ? &pair.server : &pair.client;
        guint64 sent = kd_check_end_fill(first, 64u * 1024 * 1024);
        kd_check_end_close(first);
        (void)kd_check_end_drain(second, &got);
        g_assert_cmpuint(got, <=, sent);
        kd_check_pair_close(&pair);
    }
}

static void
test_no_listener(const KdCheckSubject *subject)
{
    const KdTransport *transport = subject->transport;
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    g_autoptr(GError) error = NULL;
    KdCheckCall call = {0};
    KdCheckEnd end;
    if (peer->spare_spec == NULL) {
        g_test_skip("no string is known that leads to nobody");
        return;
    }
    g_autoptr(GVariant) params =
        kd_check_parse(transport->scheme, transport->params, KD_FORM_CLIENT, peer->spare_spec);
    kd_check_end_prepare(&end);
    kd_check_call_begin(&call, "connect_async");
    transport->connect_async(&kd_check_host, params, call.cancellable, kd_check_call_on_done,
                             &call);
    kd_check_call_returned(&call);
    kd_check_call_await(&call);
    g_assert_false(transport->connect_finish(call.result, &end.endpoint, &error));
    kd_check_error_is_sane(error);
    g_assert_cmpint(end.endpoint.fd, ==, -1);
    g_assert_null(end.endpoint.stream);
    kd_check_call_clear(&call);
}

static void
run_rounds(const KdCheckSubject *subject, guint n_rounds)
{
    KdCheckPair pair = {0};
    kd_check_pair_listen(&pair, subject);
    for (guint i = 0; i < n_rounds; i++) {
        kd_check_pair_connect(&pair);
        g_assert_cmpint(kd_check_end_write(&pair.client, "x", 1), ==, 1);
        kd_check_end_close(&pair.client);
        (void)kd_check_end_drain(&pair.server, NULL);
        kd_check_end_close(&pair.server);
    }
    kd_check_pair_close(&pair);
}

static void
run_listens(const KdCheckSubject *subject, guint n_rounds)
{
    for (guint i = 0; i < n_rounds; i++) {
        KdCheckPair pair = {0};
        kd_check_pair_listen(&pair, subject);
        kd_check_pair_close(&pair);
    }
}

static void
test_fds_flat(const KdCheckSubject *subject)
{
    run_rounds(subject, 10);
    guint n_fds = kd_check_count_fds();
    run_rounds(subject, 1000);
    run_listens(subject, 100);
    kd_check_settle();
    g_assert_cmpuint(kd_check_count_fds(), ==, n_fds);
}

static void
test_memory_flat(const KdCheckSubject *subject)
{
    if (kd_check_has_sanitizer()) {
        g_test_skip("the sanitizer's allocator does not tell");
        return;
    }
    run_rounds(subject, 200);
    run_listens(subject, 20);
    size_t before = kd_check_count_bytes();
    run_rounds(subject, 1000);
    run_listens(subject, 100);
    size_t after = kd_check_count_bytes();
    g_assert_cmpuint(after, <=, before + 32768);
}

/**
 * kd_check_add_transport_cases:
 *
 * Adds the cases for a transport that can both listen and connect.
 */
void
kd_check_add_transport_cases(const KdCheckSubject *subject)
{
    kd_check_add_case("bytes/echo-up-to-1-mib", test_echo, subject);
    kd_check_add_case("bytes/go-both-ways-at-once", test_both_at_once, subject);
    kd_check_add_case("bytes/one-byte-writes-arrive", test_one_byte_writes, subject);
    kd_check_add_case("ready/in-follows-after-eagain", test_eagain_in, subject);
    kd_check_add_case("ready/out-follows-after-eagain", test_eagain_out, subject);
    kd_check_add_case("ready/spurious-reports-do-no-harm", test_spurious, subject);
    kd_check_add_case("end/half-close-reaches-the-other-end", test_half_close, subject);
    kd_check_add_case("end/close-reaches-the-other-end", test_end, subject);
    kd_check_add_case("end/close-with-unsent-bytes-does-no-harm", test_close_with_unsent, subject);
    kd_check_add_case("connect/to-nobody-is-an-error", test_no_listener, subject);
    kd_check_add_case("flat/descriptors-after-1000-rounds", test_fds_flat, subject);
    kd_check_add_case("flat/memory-after-1000-rounds", test_memory_flat, subject);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases about transports: calls that are cancelled at every moment. */
#include "kd-check-pair.h"

#include <unistd.h>

/* A call that was cancelled has either succeeded or says that it was cancelled. */
static void
check_outcome(gboolean is_done, const GError *error, int moment)
{
    if (is_done) {
        g_assert_no_error(error);
        g_assert_cmpint(moment, !=, KD_CHECK_CANCEL_BEFORE);
        return;
    }
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    kd_check_error_is_sane(error);
}

static void
cancel_listen(const KdCheckSubject *subject, int moment)
{
    KdCheckPair pair = {.transport = subject->transport};
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    pair.peer = kd_check_peer_new(subject->adapter);
    pair.listening = (KdListening){.struct_size = sizeof(KdListening)};
    g_autoptr(GVariant) params = kd_check_parse(pair.transport->scheme, pair.transport->params,
                                                KD_FORM_SERVER, pair.peer->spec);
    kd_check_call_cancel_before(&call, moment);
    kd_check_call_begin(&call, "listen_async");
    pair.transport->listen_async(&kd_check_host, params, call.cancellable, kd_check_call_on_done,
                                 &call);
    kd_check_call_returned(&call);
    kd_check_call_cancel_after(&call, moment, TRUE);
    gboolean is_done = pair.transport->listen_finish(call.result, &pair.listening, &error);
    check_outcome(is_done, error, moment);
    kd_check_call_clear(&call);
    if (is_done) {
        kd_check_pair_close(&pair);
        return;
    }
    g_assert_cmpuint(pair.listening.n_fds, ==, 0);
    g_assert_null(pair.listening.bound);
    g_assert_null(pair.listening.listener);
    kd_check_peer_free(pair.peer);
}

/* Takes those who were connected although their call was cancelled, as a server would. */
static void
drop_waiting(KdCheckPair *pair)
{
    kd_check_settle();
    while (kd_check_pair_accept_fd(pair))
        kd_check_end_close(&pair->server);
}

static void
cancel_connect(const KdCheckSubject *subject, int moment)
{
    KdCheckPair pair = {0};
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    kd_check_pair_listen(&pair, subject);
    g_autoptr(GVariant) params = kd_check_pair_build_client_params(&pair);
    kd_check_end_prepare(&pair.client);
    kd_check_call_cancel_before(&call, moment);
    kd_check_call_begin(&call, "connect_async");
    pair.transport->connect_async(&kd_check_host, params, call.cancellable, kd_check_call_on_done,
                                  &call);
    kd_check_call_returned(&call);
    kd_check_call_cancel_after(&call, moment, TRUE);
    gboolean is_done = pair.transport->connect_finish(call.result, &pair.client.endpoint, &error);
    check_outcome(is_done, error, moment);
    kd_check_call_clear(&call);
    if (is_done) {
        kd_check_end_start(&pair.client);
    } else {
        g_assert_cmpint(pair.client.endpoint.fd, ==, -1);
        g_assert_null(pair.client.endpoint.stream);
        g_assert_null(pair.client.endpoint.facts);
    }
    drop_waiting(&pair);
    kd_check_pair_close(&pair);
}

static void
start_accept(KdCheckPair *pair, KdCheckCall *call)
{
    kd_check_call_begin(call, "accept_async");
    pair->transport->accept_async(pair->listening.listener, call->cancellable,
                                  kd_check_call_on_done, call);
    kd_check_call_returned(call);
}

static gboolean
dial(KdCheckPair *pair)
{
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_check_pair_build_client_params(pair);
    kd_check_end_prepare(&pair->client);
    kd_check_call_begin(&call, "connect_async");
    pair->transport->connect_async(&kd_check_host, params, call.cancellable, kd_check_call_on_done,
                                   &call);
    kd_check_call_returned(&call);
    kd_check_call_await(&call);
    gboolean is_done = pair->transport->connect_finish(call.result, &pair->client.endpoint, &error);
    g_assert_no_error(error);
    kd_check_call_clear(&call);
    kd_check_end_start(&pair->client);
    return is_done;
}

/* A client that is there, or not, when an accept is cancelled is accepted by the next one. */
static void
cancel_accept(const KdCheckSubject *subject, int moment, gboolean has_client)
{
    KdCheckPair pair = {0};
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    kd_check_pair_listen(&pair, subject);
    if (has_client)
        g_assert_true(dial(&pair));
    kd_check_call_cancel_before(&call, moment);
    start_accept(&pair, &call);
    kd_check_call_cancel_after(&call, moment, has_client);
    kd_check_end_prepare(&pair.server);
    gboolean is_done = pair.transport->accept_finish(pair.listening.listener, call.result,
                                                     &pair.server.endpoint, &error);
    check_outcome(is_done, error, moment);
    kd_check_call_clear(&call);
    if (is_done) {
        kd_check_end_start(&pair.server);
    } else {
        g_assert_null(pair.server.endpoint.stream);
        if (!has_client)
            g_assert_true(dial(&pair));
        kd_check_pair_accept(&pair);
    }
    KdCheckFlow flow = {&pair.client, &pair.server, 1000, 100, 0, 0};
    kd_check_run_flows(&flow, 1);
    kd_check_pair_close(&pair);
}

static void
run_moments(const KdCheckSubject *subject, void (*fn)(const KdCheckSubject *subject, int moment))
{
    fn(subject, KD_CHECK_CANCEL_FINISHED); /* the first use makes what stays, such as threads */
    kd_check_settle();
    guint n_fds = kd_check_count_fds();
    for (int moment = KD_CHECK_CANCEL_BEFORE; moment <= KD_CHECK_CANCEL_FINISHED; moment++)
        fn(subject, moment);
    kd_check_settle();
    g_assert_cmpuint(kd_check_count_fds(), ==, n_fds);
}

static void
test_listen(const KdCheckSubject *subject)
{
    run_moments(subject, cancel_listen);
}

static void
test_connect(const KdCheckSubject *subject)
{
    run_moments(subject, cancel_connect);
}

static void
cancel_idle_accept(const KdCheckSubject *subject, int moment)
{
    cancel_accept(subject, moment, FALSE);
}

static void
cancel_busy_accept(const KdCheckSubject *subject, int moment)
{
    cancel_accept(subject, moment, TRUE);
}

static gboolean
has_accept(const KdCheckSubject *subject)
{
    if (subject->transport->accept_async != NULL)
        return TRUE;
    g_test_skip("the host accepts for this transport");
    return FALSE;
}

static void
test_idle_accept(const KdCheckSubject *subject)
{
    if (has_accept(subject))
        run_moments(subject, cancel_idle_accept);
}

static void
test_busy_accept(const KdCheckSubject *subject)
{
    if (has_accept(subject))
        run_moments(subject, cancel_busy_accept);
}

/**
 * kd_check_add_transport_cancel_cases:
 *
 * Adds the cases that cancel each call of a transport.
 */
void
kd_check_add_transport_cancel_cases(const KdCheckSubject *subject)
{
    kd_check_add_case("cancel/listen-at-every-moment", test_listen, subject);
    kd_check_add_case("cancel/connect-at-every-moment", test_connect, subject);
    kd_check_add_case("cancel/accept-without-a-client-at-every-moment", test_idle_accept, subject);
    kd_check_add_case("cancel/accept-with-a-client-at-every-moment", test_busy_accept, subject);
}

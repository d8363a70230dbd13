/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A listener and one connection to it: listening, dialling and accepting as a server does it. */
#include "kd-check-pair.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * kd_check_pair_take_listening:
 *
 * Looks at what listen_finish has filled, and lets the adapter know.
 */
void
kd_check_pair_take_listening(KdCheckPair *pair)
{
    KdListening *listening = &pair->listening;
    g_assert_cmpuint(listening->n_fds, <=, KD_LISTEN_FDS);
    for (uint32_t i = 0; i < listening->n_fds; i++) {
        g_assert_true((fcntl(listening->fds[i], F_GETFL) & O_NONBLOCK) != 0);
        g_assert_true((fcntl(listening->fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    }
    if (listening->n_fds == 0) {
        g_assert_nonnull(listening->listener);
        g_assert_nonnull(pair->transport->accept_async);
    }
    if (listening->bound != NULL) {
        g_assert_true(g_variant_is_of_type(listening->bound, G_VARIANT_TYPE_VARDICT));
        g_assert_false(g_variant_is_floating(listening->bound));
    }
    if (pair->peer->adapter->bound != NULL)
        pair->peer->adapter->bound(pair->peer, listening);
}

/**
 * kd_check_pair_listen:
 *
 * Listens.
 */
void
kd_check_pair_listen(KdCheckPair *pair, const KdCheckSubject *subject)
{
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    pair->transport = subject->transport;
    pair->peer = kd_check_peer_new(subject->adapter);
    pair->listening = (KdListening){.struct_size = sizeof(KdListening)};
    g_autoptr(GVariant) params = kd_check_parse(pair->transport->scheme, pair->transport->params,
                                                KD_FORM_SERVER, pair->peer->spec);
    kd_check_call_begin(&call, "listen_async");
    pair->transport->listen_async(&kd_check_host, params, call.cancellable, kd_check_call_on_done,
                                  &call);
    kd_check_call_returned(&call);
    kd_check_call_await(&call);
    gboolean is_done = pair->transport->listen_finish(call.result, &pair->listening, &error);
    g_assert_no_error(error);
    g_assert_true(is_done);
    kd_check_call_clear(&call);
    kd_check_pair_take_listening(pair);
}

/**
 * kd_check_pair_build_client_params:
 *
 * Returns: (transfer full): what leads to the listener
 */
GVariant *
kd_check_pair_build_client_params(KdCheckPair *pair)
{
    return kd_check_parse(pair->transport->scheme, pair->transport->params, KD_FORM_CLIENT,
                          pair->peer->client_spec);
}

/**
 * kd_check_pair_accept_fd:
 *
 * Returns: whether somebody waited at one of the listening sockets, who is the server's end now
 */
gboolean
kd_check_pair_accept_fd(KdCheckPair *pair)
{
    for (uint32_t i = 0; i < pair->listening.n_fds; i++) {
        int fd = accept4(pair->listening.fds[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        kd_check_end_prepare(&pair->server);
        kd_endpoint_take_fd(&pair->server.endpoint, fd, 0, NULL);
        kd_check_end_start(&pair->server);
        return TRUE;
    }
    return FALSE;
}

static void
accept_from_plugin(KdCheckPair *pair)
{
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    kd_check_call_begin(&call, "accept_async");
    pair->transport->accept_async(pair->listening.listener, call.cancellable, kd_check_call_on_done,
                                  &call);
    kd_check_call_returned(&call);
    kd_check_call_await(&call);
    kd_check_end_prepare(&pair->server);
    gboolean is_done = pair->transport->accept_finish(pair->listening.listener, call.result,
                                                      &pair->server.endpoint, &error);
    g_assert_no_error(error);
    g_assert_true(is_done);
    kd_check_call_clear(&call);
    kd_check_end_start(&pair->server);
}

/**
 * kd_check_pair_accept:
 *
 * Accepts the one who has dialled.
 */
void
kd_check_pair_accept(KdCheckPair *pair)
{
    struct pollfd fds[KD_LISTEN_FDS];
    if (pair->listening.n_fds == 0) {
        accept_from_plugin(pair);
        return;
    }
    for (uint32_t i = 0; i < pair->listening.n_fds; i++)
        fds[i] = (struct pollfd){.fd = pair->listening.fds[i], .events = POLLIN};
    g_assert_cmpint(poll(fds, pair->listening.n_fds, 10000), >, 0);
    g_assert_true(kd_check_pair_accept_fd(pair));
}

/**
 * kd_check_pair_connect:
 *
 * Dials the listener and accepts.
 */
void
kd_check_pair_connect(KdCheckPair *pair)
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
    g_assert_true(is_done);
    kd_check_call_clear(&call);
    kd_check_end_start(&pair->client);
    kd_check_pair_accept(pair);
}

/**
 * kd_check_pair_open:
 *
 * Listens, dials and accepts.
 */
void
kd_check_pair_open(KdCheckPair *pair, const KdCheckSubject *subject)
{
    kd_check_pair_listen(pair, subject);
    kd_check_pair_connect(pair);
}

/**
 * kd_check_pair_close:
 *
 * Closes both ends and the listener, sockets before unlisten.
 */
void
kd_check_pair_close(KdCheckPair *pair)
{
    kd_check_end_close(&pair->client);
    kd_check_end_close(&pair->server);
    for (uint32_t i = 0; i < pair->listening.n_fds; i++)
        g_assert_cmpint(close(pair->listening.fds[i]), ==, 0);
    pair->listening.n_fds = 0;
    g_clear_pointer(&pair->listening.bound, g_variant_unref);
    if (pair->transport->unlisten != NULL)
        pair->transport->unlisten(pair->listening.listener);
    g_clear_object(&pair->listening.listener);
    g_clear_pointer(&pair->peer, kd_check_peer_free);
}

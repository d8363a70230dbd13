/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One try to get to a server: dialling it or being dialled by it, then TLS where there is any. */
#include "kd-attempt.h"

#include "kd-dialer.h"
#include "kd-endpoint.h"
#include "kd-waiting.h"

#define MOST_MS 10000u /* for the server to answer; it may take any time to dial us */
/* A local transport may go elsewhere through a program that asks the user, as ssh does; it has a
 * limit of its own, which comes first. */
#define LOCAL_MOST_MS 130000u

/**
 * KdAttempt:
 * @dialling: (nullable): cancels the transport, which comes back yet
 * @waiting: (nullable): for the server to dial us
 * @handshake: (nullable): of TLS
 * @most_ms: of the deadline
 * @timer_id: deadline, 0 = none
 */
struct KdAttempt {
    const KdDialUp *dial_up;
    KdAttemptFunc func;
    void *user;
    GCancellable *dialling;
    KdWaiting *waiting;
    KdTlsHandshake *handshake;
    guint most_ms;
    guint timer_id;
};

static void
stop(KdAttempt *attempt)
{
    g_clear_handle_id(&attempt->timer_id, g_source_remove);
    g_clear_pointer(&attempt->waiting, kd_waiting_free);
    g_clear_pointer(&attempt->handshake, kd_tls_handshake_free);
    if (attempt->dialling != NULL) {
        g_autoptr(GCancellable) dialling = g_steal_pointer(&attempt->dialling);

        g_cancellable_cancel(dialling);
    }
}

static gboolean
on_late(gpointer data)
{
    KdAttempt *attempt = data;
    g_autoptr(GError) error =
        g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "the server has not answered within %u s",
                    attempt->most_ms / 1000);

    attempt->timer_id = 0;
    stop(attempt);
    attempt->func(NULL, NULL, error, attempt->user);
    return G_SOURCE_REMOVE;
}

static void
start_timer(KdAttempt *attempt, guint most_ms)
{
    g_clear_handle_id(&attempt->timer_id, g_source_remove);
    attempt->most_ms = most_ms;
    attempt->timer_id = g_timeout_add(most_ms, on_late, attempt);
}

static void
on_handshaken(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    KdAttempt *attempt = user;

    g_clear_handle_id(&attempt->timer_id, g_source_remove);
    attempt->func(endpoint, peer, error, attempt->user);
}

/* There is a connection, and nothing was said on it. */
static void
take_base(KdAttempt *attempt, KdEndpoint *base)
{
    KdTlsConfig *tls = kd_door_get_tls(attempt->dial_up->door);
    g_autoptr(GError) error = NULL;

    if (tls == NULL) {
        g_clear_handle_id(&attempt->timer_id, g_source_remove);
        attempt->func(base, NULL, NULL, attempt->user);
        return;
    }
    if (attempt->timer_id == 0 || attempt->most_ms != MOST_MS) {
        start_timer(attempt, MOST_MS);
    }
    attempt->handshake = kd_tls_handshake_new(tls, base, on_handshaken, attempt, &error);
    if (attempt->handshake == NULL) {
        stop(attempt);
        attempt->func(NULL, NULL, error, attempt->user);
    }
}

static void
on_dialled(GObject *source, GAsyncResult *result, gpointer data)
{
    KdAttempt *attempt = data;
    g_autoptr(GError) error = NULL;
    gboolean is_dialled;
    KdEndpoint base;

    (void)source;
    is_dialled = kd_dialer_connect_finish(result, &base, &error);
    if (attempt->dialling != NULL) {
        g_clear_object(&attempt->dialling);
        if (is_dialled) {
            take_base(attempt, &base);
        } else {
            g_clear_handle_id(&attempt->timer_id, g_source_remove);
            attempt->func(NULL, NULL, error, attempt->user);
        }
    }
    kd_endpoint_clear(&base);
    g_rc_box_release(attempt);
}

static void
on_come(KdEndpoint *endpoint, const GError *error, void *user)
{
    KdAttempt *attempt = user;

    if (error != NULL) {
        attempt->func(NULL, NULL, error, attempt->user);
        return;
    }
    take_base(attempt, endpoint);
}

/**
 * kd_attempt_new:
 * @dial_up: with a door; outlives the try
 * @func: told how it ended
 * @user: for @func
 *
 * Begins to dial the server, or to wait for it. Dialling and TLS together may take 10 s; where the
 * transport is a local one, or the server dials, that is for TLS alone.
 *
 * Returns: (transfer full): the try
 */
KdAttempt *
kd_attempt_new(const KdDialUp *dial_up, KdAttemptFunc func, void *user)
{
    KdAttempt *attempt = g_rc_box_new0(KdAttempt);
    gboolean is_local;

    attempt->dial_up = dial_up;
    attempt->func = func;
    attempt->user = user;
    if (dial_up->is_waited_for) {
        attempt->waiting = kd_waiting_new(dial_up, on_come, attempt);
        return attempt;
    }
    is_local = (dial_up->transport->caps & KD_TRANSPORT_LOCAL) != 0;
    start_timer(attempt, is_local ? LOCAL_MOST_MS : MOST_MS);
    attempt->dialling = g_cancellable_new();
    kd_dialer_connect_async(dial_up->host, dial_up->transport, dial_up->params, attempt->dialling,
                            on_dialled, g_rc_box_acquire(attempt));
    return attempt;
}

/**
 * kd_attempt_free:
 * @attempt: (nullable): a try
 *
 * Ends it; nothing is told any more.
 */
void
kd_attempt_free(KdAttempt *attempt)
{
    if (attempt != NULL) {
        stop(attempt);
        g_rc_box_release(attempt);
    }
}

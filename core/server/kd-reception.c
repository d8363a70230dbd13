/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who come by a listener: who may come in, and what it costs to fail at the door. */
#include "kd-reception.h"

#include "kd-refusal.h"
#include "kd-server-private.h"

static void
on_authenticated(KdSession *session, void *user)
{
    KdServer *server = user;

    kd_strangers_remove(server->strangers, session);
}

static void
on_refused(KdSession *session, void *user)
{
    KdServer *server = user;
    const char *source = kd_strangers_get_source(server->strangers, session);
    gint64 now_us = g_get_monotonic_time();
    guint n_attempts;
    guint wait_s;

    if (source == NULL) {
        return;
    }
    n_attempts = kd_penalties_add(server->penalties, source, now_us);
    if (n_attempts == 0) {
        return;
    }
    wait_s = kd_penalties_get_wait_s(server->penalties, source, now_us);
    if (wait_s > 0) {
        g_message("%s: not authenticated, %u times: refused for %u s", source, n_attempts, wait_s);
    } else {
        g_message("%s: not authenticated, %u %s", source, n_attempts,
                  n_attempts == 1 ? "time" : "times");
    }
}

static void
on_ended(KdSession *session, void *user)
{
    kd_server_forget_session(user, session);
}

/* Whether there is a place for one more of that source; else it is told so. */
static gboolean
may_enter(KdServer *server, const KdDoor *door, KdEndpoint *endpoint, const char *source)
{
    guint wait_s = kd_penalties_get_wait_s(server->penalties, source, g_get_monotonic_time());
    gpointer surplus;

    if (server->is_stopping) {
        /* A listener that was there before stays until the start has ended. */
        kd_refusal_send(endpoint, door, KD_CLOSE_GOING_AWAY, 1, "the server is ending");
        return FALSE;
    }
    if (wait_s > 0) {
        /* Not the code of an attempt, which there was none of; people look for this number. */
        g_autofree char *text = g_strdup_printf(
            "Error 0x80004005: too many wrong passwords from there, try again in %u s", wait_s);

        kd_refusal_send(endpoint, door, KD_CLOSE_LIMIT, wait_s, text);
        return FALSE;
    }
    if (!kd_strangers_make_room(server->strangers, source, &surplus)) {
        kd_refusal_send(endpoint, door, KD_CLOSE_LIMIT, 1,
                        "too many connections from there wait to log in");
        return FALSE;
    }
    if (surplus != NULL) {
        kd_session_drop(surplus, "too many connections wait to log in");
    }
    return TRUE;
}

/**
 * kd_reception_take:
 * @listener: of an entrance
 * @endpoint: (transfer full): nothing was said on it; empty afterwards, or closed by the caller
 * @peer: who it is, for people
 * @source: who it is, for limits
 * @user: a #KdEntrance
 *
 * Begins a session with a client that has come, if it may come in: a #KdListenerFunc.
 */
void
kd_reception_take(KdListener *listener, KdEndpoint *endpoint, const char *peer, const char *source,
                  void *user)
{
    static const KdSessionFuncs funcs = {
        .authenticated = on_authenticated, .refused = on_refused, .ended = on_ended};
    KdEntrance *entrance = user;
    KdServer *server = entrance->owner;
    g_autoptr(GError) error = NULL;
    KdSession *session;

    (void)listener;
    if (!may_enter(server, entrance->door, endpoint, source)) {
        return;
    }
    session =
        kd_server_begin_session(server, peer, entrance->door, endpoint, &funcs, server, &error);
    if (session == NULL) {
        g_message("%s: %s", peer, error->message);
        return;
    }
    kd_strangers_add(server->strangers, source, session);
}

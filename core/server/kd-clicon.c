/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one client that a server with clicon= has dialled. */
#include "kd-clicon.h"

#include "kd-server-private.h"

static gboolean
has_open_entrance(const KdServer *server)
{
    for (guint i = 0; i < server->entrances->len; i++) {
        const KdEntrance *entrance = g_ptr_array_index(server->entrances, i);

        if (entrance->listener != NULL || entrance->caller != NULL || entrance->is_serving) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Its one client has come and gone, or never came. */
static void
close_entrance(KdEntrance *entrance, const GError *error)
{
    KdServer *server = entrance->owner;

    entrance->is_serving = FALSE;
    if (server->is_stopping) {
        kd_server_wake(server);
        return;
    }
    if (!has_open_entrance(server) && server->on_done != NULL) {
        server->on_done(server, error, server->done_user);
    } else if (error != NULL) {
        g_message("%s", error->message);
    }
}

static void
on_authenticated(KdSession *session, void *user)
{
    (void)session;
    (void)user;
}

static void
on_refused(KdSession *session, void *user)
{
    (void)session;
    (void)user;
}

static void
on_ended(KdSession *session, void *user)
{
    KdEntrance *entrance = user;
    g_autofree char *name = kd_entrance_build_name(entrance);
    g_autoptr(GError) error = NULL;
    const char *text = NULL;

    if (!kd_session_has_ended_well(session, &text)) {
        error = g_error_new(KD_ERROR, KD_ERROR_FAILED, "%s: %s", name, text);
    }
    kd_server_forget_session(entrance->owner, session);
    close_entrance(entrance, error);
}

/**
 * kd_clicon_take:
 * @caller: of an entrance; freed
 * @endpoint: (nullable): nothing was said on it; empty afterwards, or closed by the caller
 * @peer: (nullable): who it is, for people
 * @error: (nullable): nobody has answered
 * @user: a #KdEntrance
 *
 * Begins the session with the client that has answered: a #KdCallerFunc. There is one for each
 * entrance; with it the entrance ends.
 */
void
kd_clicon_take(KdCaller *caller, KdEndpoint *endpoint, const char *peer, const GError *error,
               void *user)
{
    static const KdSessionFuncs funcs = {
        .authenticated = on_authenticated, .refused = on_refused, .ended = on_ended};
    KdEntrance *entrance = user;
    KdServer *server = entrance->owner;
    g_autoptr(GError) own_error = NULL;

    entrance->caller = NULL;
    kd_caller_free(caller);
    if (error != NULL) {
        close_entrance(entrance, error);
        return;
    }
    if (kd_server_begin_session(server, peer, entrance->door, endpoint, &funcs, entrance,
                                &own_error) == NULL) {
        close_entrance(entrance, own_error);
        return;
    }
    entrance->is_serving = TRUE;
}

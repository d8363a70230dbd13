/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a transport string to a connection with the server, asking the user where that is needed. */
#include "kd-dialling.h"

#include "kd-attempt.h"
#include "kd-endpoint.h"
#include "kd-known-servers.h"
#include "kd-prompt.h"
#include "kd-secret.h"
#include "kd-trust-question.h"

/**
 * KdDialling:
 * @attempt: (nullable): under way
 * @asking: (nullable): withdraws a question, which comes back yet
 * @peer: (nullable): whose certificate the user is asked about
 * @confirmed: (nullable): thumbprint that the user has confirmed
 */
struct KdDialling {
    KdDialUp *dial_up;
    KdDiallingFunc func;
    void *user;
    KdAttempt *attempt;
    GCancellable *asking;
    KdTlsPeer *peer;
    char *confirmed;
};

static void
clear_dialling(gpointer data)
{
    KdDialling *dialling = data;

    g_clear_object(&dialling->asking);
    g_clear_pointer(&dialling->attempt, kd_attempt_free);
    g_clear_pointer(&dialling->peer, kd_tls_peer_free);
    g_free(dialling->confirmed);
}

static void
release(KdDialling *dialling)
{
    g_rc_box_release_full(dialling, clear_dialling);
}

static void
fail(KdDialling *dialling, const GError *error)
{
    dialling->func(NULL, NULL, error, dialling->user);
}

/* What was asked has come back. FALSE: nobody waits for it any more. */
static gboolean
take_answer(KdDialling *dialling)
{
    gboolean is_waited_for = !g_cancellable_is_cancelled(dialling->asking);

    g_clear_object(&dialling->asking);
    return is_waited_for;
}

static void
ask(KdDialling *dialling, const char *question, gboolean is_secret, GAsyncReadyCallback callback)
{
    dialling->asking = g_cancellable_new();
    kd_prompt_async(question, is_secret, dialling->asking, callback, g_rc_box_acquire(dialling));
}

static void try_once(KdDialling *dialling);

/* ---- is it the right server? ---- */

static const char *
get_place(const KdDialling *dialling)
{
    return kd_tls_config_get_place(kd_door_get_tls(dialling->dial_up->door));
}

static gboolean
remember_server(KdDialling *dialling, GError **error)
{
    if (!kd_known_servers_add(get_place(dialling), dialling->peer->sha256, error)) {
        return FALSE;
    }
    g_free(dialling->confirmed);
    dialling->confirmed = g_strdup(dialling->peer->sha256);
    return TRUE;
}

static void
take_trust(KdDialling *dialling, char *answer, GError *failure)
{
    g_autoptr(GError) error = failure;

    if (answer != NULL && !kd_trust_question_is_yes(answer)) {
        error = g_error_new(KD_ERROR, KD_ERROR_TLS, "%s: not trusted: yes was not the answer",
                            dialling->dial_up->name);
    } else if (answer != NULL && remember_server(dialling, &error)) {
        try_once(dialling);
        return;
    } else {
        g_prefix_error(&error, "%s: not trusted: ", dialling->dial_up->name);
    }
    fail(dialling, error);
}

static void
on_trust(GObject *source, GAsyncResult *result, gpointer data)
{
    KdDialling *dialling = data;
    GError *error = NULL;
    char *answer = kd_prompt_finish(result, &error);

    (void)source;
    if (take_answer(dialling)) {
        take_trust(dialling, answer, error);
    } else {
        g_clear_error(&error);
    }
    kd_secret_free_text(answer);
    release(dialling);
}

/* One that was confirmed just now is asked about only once. */
static gboolean
can_be_confirmed(const KdDialling *dialling, const KdTlsPeer *peer)
{
    return peer != NULL && peer->verdict == KD_TLS_UNKNOWN && peer->sha256 != NULL &&
           g_strcmp0(dialling->confirmed, peer->sha256) != 0 && kd_prompt_is_possible();
}

static void
ask_for_trust(KdDialling *dialling, const KdTlsPeer *peer)
{
    g_autofree char *question = kd_trust_question_build(get_place(dialling), peer);

    g_clear_pointer(&dialling->peer, kd_tls_peer_free);
    dialling->peer = kd_tls_peer_copy(peer);
    ask(dialling, question, FALSE, on_trust);
}

/* ---- the password ---- */

static void
take_password(KdDialling *dialling, const char *text, GError *failure)
{
    g_autoptr(GError) error = failure;

    if (text != NULL && kd_dial_up_take_password(dialling->dial_up, text, &error)) {
        try_once(dialling);
        return;
    }
    g_prefix_error(&error, "%s: password: ", dialling->dial_up->name);
    fail(dialling, error);
}

static void
on_password(GObject *source, GAsyncResult *result, gpointer data)
{
    KdDialling *dialling = data;
    GError *error = NULL;
    char *text = kd_prompt_finish(result, &error);

    (void)source;
    if (take_answer(dialling)) {
        take_password(dialling, text, error);
    } else {
        g_clear_error(&error);
    }
    kd_secret_free_text(text);
    release(dialling);
}

/* ---- trying ---- */

/* Transports name themselves. */
static void
take_error(KdDialling *dialling, const KdTlsPeer *peer, const GError *error)
{
    g_autoptr(GError) named = NULL;

    if (!g_error_matches(error, KD_ERROR, KD_ERROR_TLS)) {
        fail(dialling, error);
    } else if (can_be_confirmed(dialling, peer)) {
        ask_for_trust(dialling, peer);
    } else {
        named = g_error_copy(error);
        g_prefix_error(&named, "%s: ", dialling->dial_up->name);
        fail(dialling, named);
    }
}

static void
on_attempted(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    KdDialling *dialling = g_rc_box_acquire((KdDialling *)user);

    if (endpoint != NULL) {
        dialling->func(endpoint, peer != NULL ? peer->binding : NULL, NULL, dialling->user);
    } else {
        take_error(dialling, peer, error);
    }
    release(dialling);
}

static void
try_once(KdDialling *dialling)
{
    g_clear_pointer(&dialling->attempt, kd_attempt_free);
    dialling->attempt = kd_attempt_new(dialling->dial_up, on_attempted, dialling);
}

static KdDialling *
new_dialling(KdDialUp *dial_up, KdDiallingFunc func, void *user)
{
    KdDialling *dialling = g_rc_box_new0(KdDialling);

    dialling->dial_up = dial_up;
    dialling->func = func;
    dialling->user = user;
    return dialling;
}

/**
 * kd_dialling_new:
 * @dial_up: with a door; outlives the dialling
 * @func: told how it ended
 * @user: for @func
 *
 * Dials a server, or waits for it. Where nobody vouches for its certificate the user is asked, if
 * there is a terminal, and it is dialled again. Each try has 10 s; for an answer there is any time.
 *
 * Returns: (transfer full): the dialling
 */
KdDialling *
kd_dialling_new(KdDialUp *dial_up, KdDiallingFunc func, void *user)
{
    KdDialling *dialling = new_dialling(dial_up, func, user);

    try_once(dialling);
    return dialling;
}

/**
 * kd_dialling_new_with_password:
 * @dial_up: with a door; outlives the dialling
 * @func: told how it ended
 * @user: for @func
 *
 * The same, after the user was asked for the server's password.
 *
 * Returns: (transfer full): the dialling
 */
KdDialling *
kd_dialling_new_with_password(KdDialUp *dial_up, KdDiallingFunc func, void *user)
{
    KdDialling *dialling = new_dialling(dial_up, func, user);
    g_autofree char *question = g_strdup_printf("password of %s: ", dial_up->name);

    ask(dialling, question, TRUE, on_password);
    return dialling;
}

/**
 * kd_dialling_free:
 * @dialling: (nullable): a dialling
 *
 * Ends it; nothing is told any more. A question is withdrawn at once.
 */
void
kd_dialling_free(KdDialling *dialling)
{
    if (dialling == NULL) {
        return;
    }
    g_clear_pointer(&dialling->attempt, kd_attempt_free);
    if (dialling->asking != NULL) {
        g_cancellable_cancel(dialling->asking);
    }
    release(dialling);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's side of KDNET: who is answered, which key holds, whether the target is there. No I/O;
 * time is given. */
#include "kdnet-session.h"

#include "kdnet-channel.h"
#include "kdnet-poke.h"

#include <gnutls/crypto.h>
#include <string.h>

/* A target makes an offer (poke) 3 s after it has last said anything, in whatever state it is. */
#define OFFER_SILENCE_US (3500 * G_GINT64_CONSTANT(1000))
#define DATA_SILENCE_US  (1000 * G_GINT64_CONSTANT(1000))
#define WATCHDOG_US      (10000 * G_GINT64_CONSTANT(1000))
#define ASK_US           (500 * G_GINT64_CONSTANT(1000))
#define ANSWER_APART_US  (1000 * G_GINT64_CONSTANT(1000))
#define SWITCH_US        (2000 * G_GINT64_CONSTANT(1000))
#define HOLD_CERTAIN_US  (1000 * G_GINT64_CONSTANT(1000))
#define DOUBT_US         (10000 * G_GINT64_CONSTANT(1000))
#define SWITCHES_MAX     3u  /* to one answer: what was held up shows it again, but not for ever */
#define DEAF_OFFERS      3u  /* so many in a row, and the target has another key */
#define DEAF_OFFERS_MAX  48u /* when answering them has not helped */
#define OFFERS           8u
#define TAGS             256u
#define CHECK_BYTES      12u /* of the first packet of a data channel, which is no KD packet */
#define CHECK_ZERO_BYTES 8u

struct KdnetSession {
    KdnetSessionFuncs funcs;
    void *user;
    KdnetKey key;
    KdnetCipher *control;
    KdnetBoots boots;
    /* the data channel in force */
    KdnetChannel current;
    KdnetAddress peer;
    gboolean is_here;
    gint64 heard_us;   /* of its target's boot, anything new */
    gint64 data_us;    /* on it, anything new */
    guint deaf_offers; /* that make an answer */
    /* answers that no datagram has shown to have arrived */
    KdnetChannel offered[OFFERS];
    size_t next_offered;
    /* an offer that waits for the target to fall silent */
    KdnetPoke held;
    gboolean has_held;
    /* target= */
    KdnetAddress asked[KDNET_ASKED_MAX];
    size_t n_asked;
    gint64 ask_us;
    uint64_t ask_seq;
    guint told; /* bits: KdnetNotice */
    uint8_t tags[TAGS]
                [KDNET_TAG_BYTES]; /* of authentic offers, each in the place of its first byte */
    KdnetStatus status;
};

/**
 * kdnet_session_new:
 * @key: of the target; copied
 * @user: for @funcs
 *
 * Makes a session that waits for offers of a target.
 *
 * Returns: (transfer full) (nullable): %NULL: GnuTLS refuses one of the algorithms
 */
KdnetSession *
kdnet_session_new(const KdnetKey *key, const KdnetSessionFuncs *funcs, void *user)
{
    g_autoptr(KdnetSession) session = g_new0(KdnetSession, 1);

    session->funcs = *funcs;
    session->user = user;
    session->key = *key;
    session->deaf_offers = DEAF_OFFERS;
    session->control = kdnet_cipher_new(key->control, key->hmac);
    if (session->control == NULL) {
        return NULL;
    }
    return g_steal_pointer(&session);
}

/**
 * kdnet_session_free:
 * @session: (nullable): wiped
 *
 * Ends it; the target is told nothing, for there is no word for that.
 */
void
kdnet_session_free(KdnetSession *session)
{
    if (session == NULL) {
        return;
    }
    kdnet_cipher_free(session->control);
    kdnet_channel_clear(&session->current);
    for (size_t i = 0; i < OFFERS; i++) {
        kdnet_channel_clear(&session->offered[i]);
    }
    kdnet_key_clear(&session->key);
    g_free(session);
}

/**
 * kdnet_session_ask:
 * @addresses: of the one target that is meant
 * @n: at most %KDNET_ASKED_MAX; 0: any target with our key will do
 *
 * From now on asks a target for its offer twice a second, while there is no session, and takes
 * offers from there alone.
 */
void
kdnet_session_ask(KdnetSession *session, const KdnetAddress *addresses, size_t n, gint64 now_us)
{
    session->n_asked = MIN(n, KDNET_ASKED_MAX);
    if (session->n_asked > 0) {
        memcpy(session->asked, addresses, session->n_asked * sizeof *addresses);
    }
    session->ask_us = now_us;
}

static void
tell(KdnetSession *session, KdnetNotice notice, const KdnetAddress *from)
{
    if (!session->is_here && (session->told & 1u << notice) == 0 && session->funcs.notice != NULL) {
        session->told |= 1u << notice;
        session->funcs.notice(notice, from, session->user);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* A data channel for the answer; the one of the oldest goes. */
static gboolean
offer_channel(KdnetSession *session, const KdnetPoke *poke,
              const uint8_t response[static KDNET_RESPONSE_BYTES], gint64 now_us)
{
    KdnetChannel *channel = &session->offered[session->next_offered];
    uint8_t data_key[KDNET_KEY_BYTES];

    session->next_offered = (session->next_offered + 1) % OFFERS;
    kdnet_channel_clear(channel);
    kdnet_key_derive(&session->key, response, data_key);
    channel->cipher = kdnet_cipher_new(data_key, session->key.hmac);
    gnutls_memset(data_key, 0, sizeof data_key);
    channel->version = poke->version;
    channel->since_us = now_us;
    memcpy(channel->boot, kdnet_boots_get_id(poke->nonce), sizeof channel->boot);
    return channel->cipher != NULL;
}

/* Answers of one boot stand apart, so that they arrive in their order and both sides end up with
 * the same one. */
static void
answer(KdnetSession *session, const KdnetPoke *poke, gint64 now_us)
{
    KdnetBoot *boot = kdnet_boots_find(&session->boots, poke->nonce);
    uint8_t host_nonce[KDNET_NONCE_BYTES];
    uint8_t response[KDNET_RESPONSE_BYTES];
    KDNET_UNFILLED uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    size_t len_bytes;

    if (boot != NULL && boot->answered_us != 0 && now_us - boot->answered_us < ANSWER_APART_US) {
        return;
    }
    if (gnutls_rnd(GNUTLS_RND_KEY, host_nonce, sizeof host_nonce) != 0) {
        return;
    }
    kdnet_poke_build_response(poke, host_nonce, response);
    if (offer_channel(session, poke, response, now_us)) {
        len_bytes = kdnet_cipher_seal(session->control, poke->version, KDNET_CHANNEL_CONTROL,
                                      poke->seq, TRUE, response, sizeof response, datagram);
        if (boot != NULL) {
            boot->answered_us = now_us;
        }
        session->status.n_answered++;
        (void)session->funcs.send(datagram, len_bytes, &poke->from, session->user);
    }
    gnutls_memset(host_nonce, 0, sizeof host_nonce);
    gnutls_memset(response, 0, sizeof response);
}

static gboolean
is_of_current(const KdnetSession *session, const uint8_t *boot)
{
    return session->current.cipher != NULL &&
           memcmp(session->current.boot, boot, KDNET_BOOT_ID_BYTES) == 0;
}

/* An answer was given to this boot after the one whose channel is in force: either may hold. */
static gboolean
is_doubtful(const KdnetSession *session, const uint8_t *boot)
{
    for (size_t i = 0; i < OFFERS; i++) {
        const KdnetChannel *channel = &session->offered[i];

        if (channel->cipher != NULL && channel->since_us > session->current.since_us &&
            memcmp(channel->boot, boot, KDNET_BOOT_ID_BYTES) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* When it may be answered: the target of the channel in force, if it lives, says something before
 * that. Of its own offer only data can take back that it has no session any more. */
static gint64
get_hold_end(const KdnetSession *session, const KdnetPoke *poke)
{
    if (!session->is_here) {
        return G_MININT64;
    }
    if (is_of_current(session, kdnet_boots_get_id(poke->nonce))) {
        return session->data_us + DATA_SILENCE_US;
    }
    return session->heard_us + OFFER_SILENCE_US;
}

static void
answer_or_hold(KdnetSession *session, const KdnetPoke *poke, gint64 now_us)
{
    if (now_us >= get_hold_end(session, poke)) {
        session->has_held = FALSE;
        answer(session, poke, now_us);
    } else {
        session->held = *poke;
        session->has_held = TRUE;
    }
}

/* ---- signs of life --------------------------------------------------------------------------- */

static gboolean
is_outdated(const KdnetSession *session, const KdnetChannel *channel, gboolean is_data,
            gint64 now_us)
{
    if (!is_of_current(session, channel->boot)) {
        return TRUE;
    }
    return is_data && (channel->since_us < session->current.since_us ||
                       now_us - channel->since_us >= DOUBT_US);
}

/* The target goes on with the channel in force: it has not taken older answers, and the offer of
 * another boot was none of these days. */
static void
drop_doubts(KdnetSession *session, gboolean is_data, gint64 now_us)
{
    if (session->has_held && now_us - session->held.since_us >= HOLD_CERTAIN_US) {
        session->has_held = FALSE;
        session->status.n_old++;
    }
    for (size_t i = 0; i < OFFERS; i++) {
        KdnetChannel *channel = &session->offered[i];

        if (channel->cipher != NULL && now_us - channel->since_us >= SWITCH_US &&
            is_outdated(session, channel, is_data, now_us)) {
            kdnet_channel_clear(channel);
        }
    }
}

/* @from: NULL: newer ones have come, maybe from elsewhere */
static void
note_life(KdnetSession *session, gboolean is_data, const KdnetAddress *from, gint64 now_us)
{
    if (from != NULL) {
        session->peer = *from;
    }
    session->heard_us = now_us;
    if (is_data) {
        session->data_us = now_us;
    }
    drop_doubts(session, is_data, now_us);
    if (!session->is_here) {
        session->is_here = TRUE;
        session->told = 0;
        session->funcs.changed(KDNET_CHANGE_HERE, session->user);
    }
}

/* ---- the control channel --------------------------------------------------------------------- */

/* The target lives and says that it is connected, but takes nothing from us: it has taken an answer
 * that was given up here, or is another debugger's. Each answer that does not mend that doubles the
 * time to the next. */
static gboolean
is_deaf(KdnetSession *session)
{
    if (kdnet_channel_count_deaf(&session->current) < session->deaf_offers) {
        return FALSE;
    }
    session->deaf_offers = MIN(2 * session->deaf_offers, DEAF_OFFERS_MAX);
    return TRUE;
}

static void
take_poke(KdnetSession *session, const KdnetPoke *poke, gint64 now_us)
{
    const uint8_t *id = kdnet_boots_get_id(poke->nonce);

    if (poke->is_connected && is_of_current(session, id)) {
        if (!is_doubtful(session, id) && !is_deaf(session)) {
            session->has_held = FALSE;
            note_life(session, FALSE, &poke->from, now_us);
            return;
        }
        session->heard_us = now_us; /* it is only the key that is not certain */
    }
    answer_or_hold(session, poke, now_us);
}

static gboolean
is_asked(const KdnetSession *session, const KdnetAddress *from)
{
    for (size_t i = 0; i < session->n_asked; i++) {
        if (kdnet_address_is_same_host(&session->asked[i], from)) {
            return TRUE;
        }
    }
    return session->n_asked == 0;
}

static gboolean
open_poke(KdnetSession *session, const uint8_t *datagram, size_t len_bytes, KdnetPoke *poke)
{
    KdnetPeeked peeked = {0};
    KdnetOpened opened = {0};

    return kdnet_cipher_peek(session->control, datagram, len_bytes, &peeked) &&
           !peeked.is_from_host && kdnet_poke_has_start(peeked.start, sizeof peeked.start) &&
           kdnet_cipher_open(session->control, datagram, len_bytes, &opened) &&
           kdnet_poke_parse(&opened, poke);
}

/* An offer that comes again, bit for bit, needs no decryption to be dropped. */
static uint8_t *
find_tag(KdnetSession *session, const uint8_t *datagram, size_t len_bytes, gboolean *is_known)
{
    const uint8_t *tag = datagram + len_bytes - KDNET_TAG_BYTES;
    uint8_t *place = session->tags[tag[0]];

    *is_known = memcmp(place, tag, KDNET_TAG_BYTES) == 0;
    return place;
}

static gboolean
is_known_version(uint8_t version)
{
    return version >= KDNET_VERSION_MIN && version <= KDNET_VERSION_MAX;
}

static void
receive_control(KdnetSession *session, const uint8_t *datagram, size_t len_bytes,
                const KdnetAddress *from, gint64 now_us)
{
    KdnetPoke poke;
    gboolean is_known = FALSE;
    uint8_t *place = find_tag(session, datagram, len_bytes, &is_known);

    if (is_known) {
        session->status.n_old++;
        return;
    }
    if (!open_poke(session, datagram, len_bytes, &poke)) {
        session->status.n_forged++;
        if (is_known_version(datagram[4]) && is_asked(session, from)) {
            tell(session, KDNET_NOTICE_OTHER_KEY, from);
        }
        return;
    }
    if (!is_known_version(poke.version)) {
        session->status.n_malformed++;
        tell(session, KDNET_NOTICE_OTHER_VERSION, from);
        return;
    }
    if (!is_asked(session, from)) {
        session->status.n_elsewhere++;
        tell(session, KDNET_NOTICE_OTHER_SOURCE, from);
        return;
    }
    memcpy(place, datagram + len_bytes - KDNET_TAG_BYTES, KDNET_TAG_BYTES);
    poke.from = *from;
    poke.since_us = now_us;
    if (kdnet_boots_take(&session->boots, poke.nonce, poke.seq) != NULL) {
        take_poke(session, &poke, now_us);
    } else if (!session->is_here &&
               kdnet_boots_take_old(&session->boots, poke.nonce, poke.seq, now_us)) {
        answer(session, &poke, now_us);
    } else {
        session->status.n_old++;
    }
}

/* ---- the data channel ------------------------------------------------------------------------ */

/* A datagram has shown that the target took this answer. The former channel of the same boot stays
 * among the offered ones: what was held up on the way may have shown it. But no target goes to and
 * fro between two. */
static void
switch_to(KdnetSession *session, KdnetChannel *channel)
{
    KdnetChannel former = session->current;

    session->current = *channel;
    session->current.n_switches++;
    *channel = (KdnetChannel){0};
    if (is_of_current(session, former.boot) && former.n_switches < SWITCHES_MAX) {
        *channel = former;
    } else {
        kdnet_channel_clear(&former);
    }
    memcpy(session->boots.kept, session->current.boot, sizeof session->boots.kept);
    session->has_held = FALSE;
}

static KdnetTaken
take_data(KdnetSession *session, const uint8_t *datagram, size_t len_bytes, KdnetOpened *opened,
          gboolean *is_restart)
{
    KdnetTaken taken = kdnet_channel_take(&session->current, datagram, len_bytes, opened);

    for (size_t i = 0; i < OFFERS && taken == KDNET_TAKEN_FORGED; i++) {
        taken = kdnet_channel_take(&session->offered[i], datagram, len_bytes, opened);
        if (taken == KDNET_TAKEN) {
            *is_restart = session->current.cipher != NULL;
            switch_to(session, &session->offered[i]);
        }
    }
    return taken;
}

/* The first packet of a channel: zeros where a KD packet has its header, then the host's address */
static gboolean
is_connection_check(const KdnetOpened *opened)
{
    static const uint8_t zeros[CHECK_ZERO_BYTES];

    return opened->body_bytes == CHECK_BYTES && memcmp(opened->body, zeros, sizeof zeros) == 0;
}

static void
receive_data(KdnetSession *session, const uint8_t *datagram, size_t len_bytes,
             const KdnetAddress *from, gint64 now_us)
{
    KdnetOpened opened = {0};
    gboolean is_restart = FALSE;
    gboolean is_newest;

    switch (take_data(session, datagram, len_bytes, &opened, &is_restart)) {
    case KDNET_TAKEN:
        is_newest = opened.seq == session->current.window.highest;
        note_life(session, TRUE, is_newest ? from : NULL, now_us);
        if (is_restart) {
            session->funcs.changed(KDNET_CHANGE_RESTART, session->user);
        }
        if (!is_connection_check(&opened)) {
            session->deaf_offers = DEAF_OFFERS;
            session->funcs.receive(opened.body, opened.body_bytes, session->user);
        }
        break;
    case KDNET_TAKEN_OLD:
        session->status.n_old++;
        break;
    default:
        session->status.n_forged++;
        break;
    }
}

/**
 * kdnet_session_receive:
 * @datagram: from anybody
 * @len_bytes: of @datagram
 * @from: its sender, who may be a lie
 *
 * Takes one datagram. Nothing is answered but authentic offers, each at most once.
 */
void
kdnet_session_receive(KdnetSession *session, const uint8_t *datagram, size_t len_bytes,
                      const KdnetAddress *from, gint64 now_us)
{
    session->status.n_received++;
    if (!kdnet_cipher_is_plausible(datagram, len_bytes)) {
        session->status.n_malformed++;
    } else if (session->is_here && !kdnet_address_is_same_host(from, &session->peer)) {
        session->status.n_elsewhere++;
    } else if (datagram[5] == KDNET_CHANNEL_CONTROL) {
        receive_control(session, datagram, len_bytes, from, now_us);
    } else if (!is_asked(session, from)) {
        session->status.n_elsewhere++;
    } else {
        receive_data(session, datagram, len_bytes, from, now_us);
    }
}

/**
 * kdnet_session_send:
 * @packet: a KD packet without a trailer, or the byte of a break-in
 *
 * Sends it to where the target was heard last. A repeated packet is another datagram.
 *
 * Returns: %FALSE: the carrier has no room now
 */
gboolean
kdnet_session_send(KdnetSession *session, const uint8_t *packet, size_t len_bytes)
{
    KDNET_UNFILLED uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    size_t sealed_bytes = kdnet_channel_seal(&session->current, packet, len_bytes, datagram);

    if (sealed_bytes == 0) {
        return TRUE; /* lost, as datagrams are */
    }
    session->status.n_sent++;
    return session->funcs.send(datagram, sealed_bytes, &session->peer, session->user);
}

/* ---- time ------------------------------------------------------------------------------------ */

/**
 * kdnet_session_get_deadline_us:
 *
 * Returns: when kdnet_session_tick() is due; %G_MAXINT64: not before something has happened
 */
gint64
kdnet_session_get_deadline_us(const KdnetSession *session)
{
    gint64 deadline_us = G_MAXINT64;

    if (session->is_here) {
        deadline_us = session->heard_us + WATCHDOG_US;
    } else if (session->n_asked > 0) {
        deadline_us = session->ask_us;
    }
    if (session->has_held) {
        deadline_us = MIN(deadline_us, get_hold_end(session, &session->held));
    }
    return deadline_us;
}

/* Only a session tells the version: an offer may be one that was recorded. Until then all are tried
 * in turn. */
static void
ask(KdnetSession *session)
{
    KDNET_UNFILLED uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    uint64_t seq = ++session->ask_seq;
    uint8_t version = session->current.cipher != NULL
                          ? session->current.version
                          : (uint8_t)(KDNET_VERSION_MAX -
                                      (seq - 1) % (KDNET_VERSION_MAX - KDNET_VERSION_MIN + 1));
    size_t len_bytes = kdnet_cipher_seal(session->control, version, KDNET_CHANNEL_CONTROL, seq,
                                         TRUE, NULL, 0, datagram);

    for (size_t i = 0; i < session->n_asked; i++) {
        (void)session->funcs.send(datagram, len_bytes, &session->asked[i], session->user);
    }
}

/**
 * kdnet_session_tick:
 *
 * Does what is due: asks the target, misses it, answers an offer that was held back.
 */
void
kdnet_session_tick(KdnetSession *session, gint64 now_us)
{
    if (session->is_here && now_us >= session->heard_us + WATCHDOG_US) {
        session->is_here = FALSE;
        session->ask_us = now_us;
        memset(session->tags, 0, sizeof session->tags); /* its offers may come once more */
        session->funcs.changed(KDNET_CHANGE_GONE, session->user);
    }
    if (session->has_held && now_us >= get_hold_end(session, &session->held)) {
        session->has_held = FALSE;
        answer(session, &session->held, now_us);
    }
    if (!session->is_here && session->n_asked > 0 && now_us >= session->ask_us) {
        session->ask_us = now_us + ASK_US;
        ask(session);
    }
}

/**
 * kdnet_session_get_status:
 * @status: (out caller-allocates)
 *
 * Tells what is known and was counted.
 */
void
kdnet_session_get_status(const KdnetSession *session, KdnetStatus *status)
{
    *status = session->status;
    status->is_here = session->is_here;
    status->version = session->current.version;
    status->peer = session->peer;
}

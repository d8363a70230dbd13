/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Anybody's datagrams at a KDNET host, a target's with the right key among them. */
#include "kd-fuzz.h"
#include "kdnet-cipher.h"
#include "kdnet-poke.h"
#include "kdnet-session.h"

#include <kdsrv/kd-plugin.h>

#include <gnutls/crypto.h>
#include <string.h>

#define N_CHANNELS 4u
#define N_KEPT     16u
#define N_PACKETS  256u
#define MS_US      G_GINT64_CONSTANT(1000)

/* First byte of an input */
enum {
    INPUT_KEY = 0x01,  /* the rest is the text of a key                                     */
    INPUT_ASK = 0x02,  /* with target=                                                      */
    INPUT_FULL = 0x04, /* now and then the carrier has no room                              */
    INPUT_ANY = 0x08,  /* versions are the input's, not the target's                        */
};

/* What comes next: one byte, then what belongs to it */
enum {
    STEP_RAW = 0,     /* length, bytes                                                       */
    STEP_HEADER = 1,  /* the same behind magic, version and channel                          */
    STEP_POKE = 2,    /* boot, number, flags: an authentic offer                             */
    STEP_CONTROL = 3, /* length, body: authentic                                             */
    STEP_DATA = 4,    /* channel, number, flags, length, body: authentic                     */
    STEP_REPLAY = 5,  /* which                                                               */
    STEP_TIME = 6,    /* how long                                                            */
    STEP_FROM = 7,    /* host and port                                                       */
    STEP_SEND = 8,    /* length, packet                                                      */
    STEP_BEND = 9,    /* which, where: a replay with a bit changed                           */
    STEPS = 10,
};

/* Third byte of STEP_DATA */
enum {
    DATA_CHECK = 0x01,     /* the first packet of a channel                                  */
    DATA_FROM_HOST = 0x02, /* the wrong direction                                            */
};

/* What is left of the input */
typedef struct {
    const uint8_t *next;
    size_t left;
} Input;

typedef struct {
    uint8_t bytes[KDNET_DATAGRAM_MAX_BYTES + 8];
    size_t len;
} Datagram;

/* A target's channel, which an answer has made */
typedef struct {
    KdnetCipher *cipher;
    uint8_t version;
    uint64_t seq;
} Channel;

typedef struct {
    KdnetSession *session;
    KdnetKey key;
    KdnetCipher *control;
    Channel channels[N_CHANNELS];
    size_t next_channel;
    Datagram kept[N_KEPT];
    size_t n_kept;
    KdnetAddress from;
    gint64 now_us;
    uint8_t options;
    guint n_pokes; /* authentic, that were given; replays are none */
    guint n_answers;
    gboolean is_in_receive;
    GHashTable *said; /* texts of packets that may come, once each */
    uint64_t n_said;
    guint n_sends;
} Stage;

static uint8_t random_byte;

/* The same bytes each time, and others for each nonce */
int
gnutls_rnd(gnutls_rnd_level_t level, void *bytes, size_t len)
{
    (void)level;
    memset(bytes, ++random_byte, len);
    return 0;
}

static uint8_t
take_byte(Input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->next++;
}

static size_t
take_bytes(Input *input, uint8_t *bytes, size_t room)
{
    size_t len = (size_t)take_byte(input) << 4;
    len |= take_byte(input);
    len = MIN(MIN(len, room), input->left);
    memcpy(bytes, input->next, len);
    input->next += len;
    input->left -= len;
    return len;
}

/* ---- the session's side ---------------------------------------------------------------------- */

/* An answer is the only thing that may leave while a datagram is taken: the target keeps its key.
 */
static void
take_answer(Stage *stage, const uint8_t *datagram, size_t len)
{
    KdnetOpened opened = {0};
    uint8_t data_key[KDNET_KEY_BYTES];
    g_assert_true(kdnet_cipher_open(stage->control, datagram, len, &opened));
    g_assert_true(opened.is_from_host);
    if (opened.body_bytes == 0) {
        g_assert_false(stage->is_in_receive);
        g_assert_true((stage->options & INPUT_ASK) != 0);
        return;
    }
    g_assert_cmpuint(opened.body_bytes, ==, KDNET_RESPONSE_BYTES);
    g_assert_cmpuint(++stage->n_answers, <=, stage->n_pokes);
    Channel *channel = &stage->channels[stage->next_channel++ % N_CHANNELS];
    kdnet_cipher_free(channel->cipher);
    kdnet_key_derive(&stage->key, opened.body, data_key);
    channel->cipher = kdnet_cipher_new(data_key, stage->key.hmac);
    channel->version = opened.version;
    channel->seq = 0;
}

static gboolean
on_send(const uint8_t *datagram, size_t len, const KdnetAddress *to, void *user)
{
    Stage *stage = user;
    g_assert_cmpuint(len, >=, KDNET_DATAGRAM_MIN_BYTES);
    g_assert_cmpuint(len, <=, KDNET_DATAGRAM_MAX_BYTES);
    g_assert_cmpuint(to->port, !=, 0);
    g_assert_cmpuint(datagram[4], >=, KDNET_VERSION_MIN);
    g_assert_cmpuint(datagram[4], <=, KDNET_VERSION_MAX);
    if (datagram[5] == KDNET_CHANNEL_CONTROL)
        take_answer(stage, datagram, len);
    return (stage->options & INPUT_FULL) == 0 || ++stage->n_sends % 3 != 0;
}

/* Only what a target has said under one of our keys, and each of it once */
static void
on_receive(const uint8_t *packet, size_t len, void *user)
{
    Stage *stage = user;
    g_autoptr(GBytes) bytes = g_bytes_new(packet, len);
    g_assert_true(stage->is_in_receive);
    g_assert_true(g_hash_table_remove(stage->said, bytes));
}

static void
on_changed(KdnetChange change, void *user)
{
    Stage *stage = user;
    KdnetStatus status;
    kdnet_session_get_status(stage->session, &status);
    g_assert_cmpint(status.is_here, ==, change != KDNET_CHANGE_GONE);
    (void)kdnet_session_send(stage->session, (const uint8_t *)"b", 1);
}

static void
on_notice(KdnetNotice notice, const KdnetAddress *from, void *user)
{
    g_autofree char *text = kdnet_address_build_text(from);
    (void)user;
    g_assert_cmpuint(strlen(text), >, 0);
    g_assert_cmpuint(notice, >=, KDNET_NOTICE_OTHER_KEY);
    g_assert_cmpuint(notice, <=, KDNET_NOTICE_OTHER_SOURCE);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void
give(Stage *stage, const Datagram *datagram)
{
    g_autofree uint8_t *exact = g_memdup2(datagram->bytes, datagram->len);
    stage->is_in_receive = TRUE;
    kdnet_session_receive(stage->session, exact, datagram->len, &stage->from, stage->now_us);
    stage->is_in_receive = FALSE;
}

static void
give_and_keep(Stage *stage, const Datagram *datagram)
{
    stage->kept[stage->n_kept++ % N_KEPT] = *datagram;
    give(stage, datagram);
}

static uint8_t
choose_version(const Stage *stage, uint8_t byte)
{
    return (stage->options & INPUT_ANY) != 0 ? byte : 4;
}

static void
step_poke(Stage *stage, Input *input)
{
    uint8_t body[KDNET_POKE_BYTES] = {1, 1};
    Datagram datagram;
    uint8_t boot = take_byte(input);
    uint8_t count = take_byte(input);
    uint8_t flags = take_byte(input);
    memset(body + 2 + KDNET_NONCE_COUNT_BYTES, boot, KDNET_BOOT_ID_BYTES);
    body[2] = count;
    body[87] = flags & 1;
    stage->n_pokes++;
    datagram.len = kdnet_cipher_seal(stage->control, choose_version(stage, flags >> 1),
                                     KDNET_CHANNEL_CONTROL, count * UINT64_C(3), (flags & 2) != 0,
                                     body, (flags & 4) != 0 ? flags : sizeof body, datagram.bytes);
    give_and_keep(stage, &datagram);
}

static void
step_control(Stage *stage, Input *input)
{
    uint8_t body[512];
    Datagram datagram;
    uint8_t seq = take_byte(input);
    size_t len = take_bytes(input, body, sizeof body);
    stage->n_pokes++;
    datagram.len = kdnet_cipher_seal(stage->control, choose_version(stage, seq),
                                     KDNET_CHANNEL_CONTROL, seq, FALSE, body, len, datagram.bytes);
    give_and_keep(stage, &datagram);
}

/* No two are the same, but for those that begin a channel, which are for nobody. */
static void
step_data(Stage *stage, Input *input)
{
    uint8_t body[64 + sizeof(uint64_t)] = {0};
    Datagram datagram;
    Channel *channel = &stage->channels[take_byte(input) % N_CHANNELS];
    uint8_t ahead = take_byte(input);
    uint8_t flags = take_byte(input);
    size_t len = 12;
    if ((flags & DATA_CHECK) == 0) {
        len = take_bytes(input, body, 64);
        stage->n_said++;
        memcpy(body + len, &stage->n_said, sizeof stage->n_said);
        len += sizeof stage->n_said;
    }
    if (channel->cipher == NULL)
        return;
    channel->seq += ahead;
    datagram.len =
        kdnet_cipher_seal(channel->cipher, channel->version, KDNET_CHANNEL_DATA, channel->seq,
                          (flags & DATA_FROM_HOST) != 0, body, len, datagram.bytes);
    if ((flags & (DATA_CHECK | DATA_FROM_HOST)) == 0)
        g_hash_table_add(stage->said, g_bytes_new(body, len));
    give_and_keep(stage, &datagram);
}

static void
step_raw(Stage *stage, Input *input, gboolean has_header)
{
    Datagram datagram = {0};
    size_t head = 0;
    if (has_header) {
        memcpy(datagram.bytes, "MDBG", 4);
        datagram.bytes[4] = choose_version(stage, take_byte(input));
        datagram.bytes[5] = take_byte(input) & 1;
        head = KDNET_HEADER_BYTES;
    }
    datagram.len = head + take_bytes(input, datagram.bytes + head, sizeof datagram.bytes - head);
    give_and_keep(stage, &datagram);
}

static void
step_replay(Stage *stage, Input *input, gboolean is_bent)
{
    Datagram datagram = stage->kept[take_byte(input) % N_KEPT];
    if (is_bent && datagram.len > 0) {
        size_t at = (size_t)take_byte(input) << 8;
        at = (at | take_byte(input)) % (datagram.len * 8);
        datagram.bytes[at / 8] ^= (uint8_t)(1u << at % 8);
    }
    give(stage, &datagram);
}

static void
step_time(Stage *stage, Input *input)
{
    gint64 end_us = stage->now_us + take_byte(input) * 50 * MS_US;
    gint64 due_us;
    while ((due_us = kdnet_session_get_deadline_us(stage->session)) <= end_us) {
        stage->now_us = MAX(stage->now_us, due_us);
        kdnet_session_tick(stage->session, stage->now_us);
        g_assert_cmpint(kdnet_session_get_deadline_us(stage->session), >, stage->now_us);
    }
    stage->now_us = end_us;
}

static void
step(Stage *stage, Input *input)
{
    uint8_t packet[128];
    uint8_t what = take_byte(input) % STEPS;
    switch (what) {
    case STEP_RAW:
    case STEP_HEADER:
        step_raw(stage, input, what == STEP_HEADER);
        break;
    case STEP_POKE:
        step_poke(stage, input);
        break;
    case STEP_CONTROL:
        step_control(stage, input);
        break;
    case STEP_DATA:
        step_data(stage, input);
        break;
    case STEP_REPLAY:
    case STEP_BEND:
        step_replay(stage, input, what == STEP_BEND);
        break;
    case STEP_TIME:
        step_time(stage, input);
        break;
    case STEP_FROM:
        stage->from.ip.s6_addr[15] = take_byte(input) & 3;
        stage->from.port = (uint16_t)(50000 + take_byte(input));
        break;
    default: {
        size_t len = take_bytes(input, packet, sizeof packet);
        (void)kdnet_session_send(stage->session, packet, len);
        break;
    }
    }
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static void
try_key(const uint8_t *bytes, size_t len)
{
    static const KdnetKey zeros;
    KdnetKey key;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strndup((const char *)bytes, len);
    gboolean is_key = kdnet_key_parse(text, &key, &error);
    g_assert_true(is_key == (error == NULL));
    if (error != NULL) {
        g_assert_cmpint(memcmp(&key, &zeros, sizeof key), ==, 0);
        g_assert_cmpuint(strlen(error->message), <, 200);
        g_assert_null(strpbrk(error->message, "\r\n"));
    }
}

static void
run(Stage *stage, Input *input)
{
    static const KdnetSessionFuncs funcs = {on_send, on_receive, on_changed, on_notice};
    g_assert_true(kdnet_key_parse("8.8.8.8", &stage->key, NULL));
    stage->control = kdnet_cipher_new(stage->key.control, stage->key.hmac);
    stage->session = kdnet_session_new(&stage->key, &funcs, stage);
    stage->said =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
    stage->from.port = 50000;
    stage->now_us = 1000 * 1000 * MS_US;
    if ((stage->options & INPUT_ASK) != 0)
        kdnet_session_ask(stage->session, &stage->from, 1, stage->now_us);
    for (guint i = 0; input->left > 0 && i < N_PACKETS; i++)
        step(stage, input);
    kdnet_session_free(stage->session);
    kdnet_cipher_free(stage->control);
    for (size_t i = 0; i < N_CHANNELS; i++)
        kdnet_cipher_free(stage->channels[i].cipher);
    g_hash_table_unref(stage->said);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    uint8_t options = take_byte(&input);
    if ((options & INPUT_KEY) != 0) {
        try_key(input.next, input.left);
        return 0;
    }
    g_autofree Stage *stage = g_new0(Stage, 1);
    stage->options = options;
    random_byte = 0;
    run(stage, &input);
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both sides of SCRAM, played against each other and against sides that lie. */
#include "kd-scram.h"

#include <kdsrv/kd-plugin.h>

#include <gsasl.h>
#include <string.h>

/* Of `pencil`, with the salt and the iterations of RFC 7677, section 3 */
#define RFC_VERIFIER                                \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

typedef struct {
    KdPassword *password;
    KdScram *server;
    KdScram *client;
    GBytes *client_first;
    GBytes *server_first;
    GBytes *client_final;
    GBytes *server_final;
    gboolean is_server_done;
    gboolean is_client_done;
} Exchange;

static KdPassword *
make_password(const char *text)
{
    g_autoptr(GError) error = NULL;
    KdPassword *password = kd_password_new(text, &error);

    g_assert_no_error(error);
    return password;
}

/* Passwords, and the binding of each side; NULL: none. */
static void
exchange_init(Exchange *x, KdPassword *ours, const char *theirs, const char *our_binding,
              const char *their_binding)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) password = make_password(theirs);
    g_autoptr(GBytes) at_server = our_binding != NULL ? g_bytes_new(our_binding, 32) : NULL;
    g_autoptr(GBytes) at_client = their_binding != NULL ? g_bytes_new(their_binding, 32) : NULL;

    *x = (Exchange){.password = kd_password_ref(ours)};
    x->server = kd_scram_new_server(ours, at_server, &error);
    g_assert_no_error(error);
    x->client = kd_scram_new_client(password, at_client, &error);
    g_assert_no_error(error);
}

static void
exchange_clear(Exchange *x)
{
    kd_scram_free(x->server);
    kd_scram_free(x->client);
    kd_password_unref(x->password);
    g_clear_pointer(&x->client_first, g_bytes_unref);
    g_clear_pointer(&x->server_first, g_bytes_unref);
    g_clear_pointer(&x->client_final, g_bytes_unref);
    g_clear_pointer(&x->server_final, g_bytes_unref);
}

/* All steps until one fails; the error is that step's. */
static gboolean
run(Exchange *x, GError **error)
{
    return kd_scram_step(x->client, NULL, &x->client_first, &x->is_client_done, error) &&
           kd_scram_step(x->server, x->client_first, &x->server_first, &x->is_server_done, error) &&
           kd_scram_step(x->client, x->server_first, &x->client_final, &x->is_client_done, error) &&
           kd_scram_step(x->server, x->client_final, &x->server_final, &x->is_server_done, error) &&
           kd_scram_step(x->client, x->server_final, &x->client_final, &x->is_client_done, error);
}

/* Steps 1 to 3, all of which must succeed. */
static void
run_to_proof(Exchange *x)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(
        kd_scram_step(x->client, NULL, &x->client_first, &x->is_client_done, &error) &&
        kd_scram_step(x->server, x->client_first, &x->server_first, &x->is_server_done, &error) &&
        kd_scram_step(x->client, x->server_first, &x->client_final, &x->is_client_done, &error));
    g_assert_no_error(error);
}

static gboolean
holds(GBytes *bytes, const char *text)
{
    return g_strstr_len(g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes), text) !=
           NULL;
}

/* ---- those who know ---- */

static void
assert_succeeds(Exchange *x)
{
    g_autoptr(GError) error = NULL;
    uint8_t at_server[KD_SCRAM_KEY_BYTES] = {0};
    uint8_t at_client[KD_SCRAM_KEY_BYTES] = {1};

    run_to_proof(x);
    g_assert_false(kd_scram_get_key(x->server, at_server));
    g_assert_true(kd_scram_get_key(x->client, at_client));
    g_assert_false(x->is_client_done);
    g_assert_true(
        kd_scram_step(x->server, x->client_final, &x->server_final, &x->is_server_done, &error));
    g_assert_no_error(error);
    g_assert_true(x->is_server_done);
    g_clear_pointer(&x->client_final, g_bytes_unref);
    g_assert_true(
        kd_scram_step(x->client, x->server_final, &x->client_final, &x->is_client_done, &error));
    g_assert_no_error(error);
    g_assert_true(x->is_client_done);
    g_assert_null(x->client_final);
    g_assert_true(kd_scram_get_key(x->server, at_server));
    g_assert_cmpmem(at_server, sizeof at_server, at_client, sizeof at_client);
}

static void
test_right_password(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    Exchange x;

    exchange_init(&x, password, "Secret123", NULL, NULL);
    g_assert_cmpstr(kd_scram_get_mechanism(x.server), ==, KD_SCRAM_PLAIN);
    assert_succeeds(&x);
    g_assert_true(holds(x.client_first, "n,,n=kd,r="));
    g_assert_true(holds(x.server_first, ",i=65536"));
    exchange_clear(&x);
}

static void
test_right_binding(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    const char *binding = "0123456789abcdef0123456789abcdef";
    Exchange x;

    exchange_init(&x, password, "Secret123", binding, binding);
    g_assert_cmpstr(kd_scram_get_mechanism(x.server), ==, KD_SCRAM_BOUND);
    assert_succeeds(&x);
    g_assert_true(holds(x.client_first, "p=tls-exporter,,n=kd,r="));
    exchange_clear(&x);
}

/* What was typed in two ways is one password: U+00AA and `a` (RFC 4013, section 3). */
static void
test_normal_form(void)
{
    g_autoptr(KdPassword) password = make_password("x\xc2\xaa");
    Exchange x;

    exchange_init(&x, password, "xa", NULL, NULL);
    assert_succeeds(&x);
    exchange_clear(&x);
}

static void
test_stored_verifier(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) text = make_password("Secret123");
    char *line = kd_password_build_verifier(text, &error);
    g_autoptr(KdPassword) stored = kd_password_new_from_line(line, &error);
    Exchange x;

    g_assert_no_error(error);
    g_assert_true(kd_password_is_verifier(stored));
    exchange_init(&x, stored, "Secret123", NULL, NULL);
    assert_succeeds(&x);
    exchange_clear(&x);
    g_assert_null(kd_scram_new_client(stored, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    kd_secret_free_text(line);
}

/* What others store is what we store. */
static void
test_foreign_verifier(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) stored = kd_password_new_from_line(RFC_VERIFIER, &error);
    Exchange x;

    g_assert_no_error(error);
    exchange_init(&x, stored, "pencil", NULL, NULL);
    assert_succeeds(&x);
    exchange_clear(&x);
}

static void
test_key_is_of_one_exchange(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    uint8_t first[KD_SCRAM_KEY_BYTES];
    uint8_t second[KD_SCRAM_KEY_BYTES];
    Exchange x;

    exchange_init(&x, password, "Secret123", NULL, NULL);
    run_to_proof(&x);
    g_assert_true(kd_scram_get_key(x.client, first));
    exchange_clear(&x);
    exchange_init(&x, password, "Secret123", NULL, NULL);
    run_to_proof(&x);
    g_assert_true(kd_scram_get_key(x.client, second));
    exchange_clear(&x);
    g_assert_true(memcmp(first, second, sizeof first) != 0);
}

/* ---- those who don't ---- */

/* (transfer full): client-final, counted by hand (RFC 5802, section 3) from what was said so far */
static GBytes *
prove(const char *bare, GBytes *server_first, const char *password)
{
    g_autofree char *first =
        g_strndup(g_bytes_get_data(server_first, NULL), g_bytes_get_size(server_first));
    g_autofree char *nonce = g_strndup(first, strcspn(first, ","));
    g_autofree char *without = g_strdup_printf("c=biws,%s", nonce);
    g_autofree char *message = g_strdup_printf("%s,%s,%s", bare, first, without);
    g_autofree char *text = NULL;
    g_autofree char *proof = NULL;
    const char *salt = strstr(first, ",s=") + 3;
    g_autofree char *salt_text = g_strndup(salt, strcspn(salt, ","));
    uint8_t salt_bytes[KD_VERIFIER_MAX_SALT_BYTES];
    char keys[4][GSASL_HASH_MAX_SIZE];
    uint8_t signature[32];
    gsize len = sizeof signature;
    g_autoptr(GHmac) hmac = NULL;
    size_t salt_len = 0;

    g_assert_true(kd_verifier_decode_salt(salt_text, salt_bytes, &salt_len));
    g_assert_cmpint(gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password, 4096,
                                                      (char *)salt_bytes, salt_len, keys[0],
                                                      keys[1], keys[2], keys[3]),
                    ==, GSASL_OK);
    hmac = g_hmac_new(G_CHECKSUM_SHA256, (guchar *)keys[3], 32);
    g_hmac_update(hmac, (const guchar *)message, -1);
    g_hmac_get_digest(hmac, signature, &len);
    for (guint i = 0; i < sizeof signature; i++) {
        signature[i] ^= (uint8_t)keys[1][i];
    }
    proof = g_base64_encode(signature, sizeof signature);
    text = g_strdup_printf("%s,p=%s", without, proof);
    return g_bytes_new(text, strlen(text));
}

/* The proof of the next case is right but for the name. */
static void
test_proof_by_hand(void)
{
    g_autoptr(KdPassword) password = kd_password_new_from_line(RFC_VERIFIER, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(KdScram) server = kd_scram_new_server(password, NULL, &error);
    g_autoptr(GBytes) first = g_bytes_new_static("n,,n=kd,r=abcdefgh", 18);
    g_autoptr(GBytes) answer = NULL;
    g_autoptr(GBytes) last = NULL;
    g_autoptr(GBytes) final = NULL;
    gboolean is_done = FALSE;

    g_assert_true(kd_scram_step(server, first, &answer, &is_done, &error));
    final = prove("n=kd,r=abcdefgh", answer, "pencil");
    g_assert_true(kd_scram_step(server, final, &last, &is_done, &error));
    g_assert_no_error(error);
    g_assert_true(is_done);
}

static void
assert_fails_at_server(Exchange *x)
{
    g_autoptr(GError) error = NULL;
    uint8_t key[KD_SCRAM_KEY_BYTES];

    g_assert_false(run(x, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_false(x->is_server_done);
    g_assert_false(x->is_client_done);
    g_assert_null(x->server_final);
    g_assert_false(kd_scram_get_key(x->server, key));
}

static void
test_wrong_password(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    Exchange x;

    exchange_init(&x, password, "secret123", NULL, NULL);
    assert_fails_at_server(&x);
    exchange_clear(&x);
}

static void
test_other_binding(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    Exchange x;

    exchange_init(&x, password, "Secret123", "0123456789abcdef0123456789abcdef",
                  "0123456789abcdef0123456789abcdeF");
    assert_fails_at_server(&x);
    exchange_clear(&x);
}

static void
test_other_kind(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    Exchange x;

    exchange_init(&x, password, "Secret123", "0123456789abcdef0123456789abcdef", NULL);
    assert_fails_at_server(&x);
    exchange_clear(&x);
    exchange_init(&x, password, "Secret123", NULL, "0123456789abcdef0123456789abcdef");
    assert_fails_at_server(&x);
    exchange_clear(&x);
}

/* Until its proof it looks like any other. */
static void
test_other_user(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    g_autoptr(GError) error = NULL;
    g_autoptr(KdScram) server = kd_scram_new_server(password, NULL, &error);
    const char *text = "n,,n=root,r=abcdefgh";
    g_autoptr(GBytes) first = g_bytes_new_static(text, strlen(text));
    g_autoptr(GBytes) answer = NULL;
    gboolean is_done = TRUE;

    g_assert_true(kd_scram_step(server, first, &answer, &is_done, &error));
    g_assert_no_error(error);
    g_assert_false(is_done);
    g_assert_true(holds(answer, "r=abcdefgh"));
    g_assert_true(holds(answer, ",i=65536"));
}

/* With the right password, but under another name, which is a part of what is proved. */
static void
test_other_user_who_knows(void)
{
    g_autoptr(KdPassword) password = kd_password_new_from_line(RFC_VERIFIER, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(KdScram) server = kd_scram_new_server(password, NULL, &error);
    g_autoptr(GBytes) first = g_bytes_new_static("n,,n=root,r=abcdefgh", 20);
    g_autoptr(GBytes) answer = NULL;
    g_autoptr(GBytes) last = NULL;
    g_autoptr(GBytes) final = NULL;
    gboolean is_done = FALSE;

    g_assert_true(kd_scram_step(server, first, &answer, &is_done, &error));
    final = prove("n=root,r=abcdefgh", answer, "pencil");
    g_assert_false(kd_scram_step(server, final, &last, &is_done, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_null(last);
    g_assert_false(is_done);
}

static void
test_no_second_attempt(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    g_autoptr(GBytes) out = NULL;
    g_autoptr(GError) error = NULL;
    gboolean is_done = FALSE;
    Exchange x;

    exchange_init(&x, password, "secret123", NULL, NULL);
    assert_fails_at_server(&x);
    g_assert_false(kd_scram_step(x.server, x.client_first, &out, &is_done, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    exchange_clear(&x);
}

/* ---- servers that lie ---- */

/* What the client says to a server-first of @format, where %s is its own nonce. */
static gboolean
answer(const char *tail, GError **error)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    g_autoptr(KdScram) client = kd_scram_new_client(password, NULL, error);
    g_autoptr(GBytes) first = NULL;
    g_autoptr(GBytes) in = NULL;
    g_autoptr(GBytes) out = NULL;
    g_autofree char *said = NULL;
    g_autofree char *text = NULL;
    gboolean is_done = FALSE;
    gboolean is_taken;

    g_assert_true(kd_scram_step(client, NULL, &first, &is_done, error));
    said = g_strndup(g_bytes_get_data(first, NULL), g_bytes_get_size(first));
    text = g_strdup_printf("%sxyz%s", strstr(said, "r="), tail);
    in = g_bytes_new(text, strlen(text));
    is_taken = kd_scram_step(client, in, &out, &is_done, error);
    g_assert_false(is_done);
    g_assert_true(is_taken == (out != NULL));
    return is_taken;
}

/* 5,000,000 iterations would take seconds, fewer than 4096 make a guess cheap (RFC 7677). */
static void
test_iterations(void)
{
    static const char *const wrong[] = {"1",       "4095",       "262145",
                                        "5000000", "4294971392", "99999999999"};
    gint64 begin_us = 0;

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *tail = g_strdup_printf(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=%s", wrong[i]);

        begin_us = g_get_monotonic_time();
        g_assert_false(answer(tail, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
        g_assert_cmpint(g_get_monotonic_time() - begin_us, <, G_USEC_PER_SEC);
    }
    g_assert_true(answer(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", NULL));
    g_assert_true(answer(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=262144", NULL));
}

static void
test_salt(void)
{
    g_autofree guchar *long_salt = g_malloc0(65);
    g_autofree char *long_text = g_base64_encode(long_salt, 65);
    g_autofree char *long_tail = g_strdup_printf(",s=%s,i=4096", long_text);
    const char *wrong[] = {",s=YWJjZGVmZw==,i=4096", ",s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096",
                           ",s=W22Za!0SNY7soEsUEjb6gQ==,i=4096", ",s=,i=4096", long_tail};

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(answer(wrong[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    }
    g_assert_true(answer(",s=YWJjZGVmZ2g=,i=4096", NULL));
}

static void
test_server_without_password(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    const char *forged = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    g_autoptr(GBytes) final = g_bytes_new_static(forged, strlen(forged));
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) out = NULL;
    gboolean is_done = FALSE;
    Exchange x;

    exchange_init(&x, password, "Secret123", NULL, NULL);
    run_to_proof(&x);
    g_assert_false(kd_scram_step(x.client, final, &out, &is_done, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_false(is_done);
    exchange_clear(&x);
}

/* What a listener has seen proves nothing in another exchange. */
static void
test_replay(void)
{
    g_autoptr(KdPassword) password = make_password("Secret123");
    g_autoptr(GBytes) seen_first = NULL;
    g_autoptr(GBytes) seen_final = NULL;
    g_autoptr(GBytes) out = NULL;
    g_autoptr(GBytes) last = NULL;
    g_autoptr(GError) error = NULL;
    gboolean is_done = FALSE;
    Exchange x;

    exchange_init(&x, password, "Secret123", NULL, NULL);
    run_to_proof(&x);
    seen_first = g_bytes_ref(x.client_first);
    seen_final = g_bytes_ref(x.client_final);
    exchange_clear(&x);
    exchange_init(&x, password, "Secret123", NULL, NULL);
    g_assert_true(kd_scram_step(x.server, seen_first, &out, &is_done, &error));
    g_assert_false(kd_scram_step(x.server, seen_final, &last, &is_done, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
    exchange_clear(&x);
}

/* Every byte of every step, one bit of each at a time: nothing of it passes. */
static void
test_flipped_bits(void)
{
    g_autoptr(KdPassword) password = kd_password_new_from_line(RFC_VERIFIER, NULL);
    guint len = 1;

    for (guint at = 0; at < len; at++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        g_autoptr(GBytes) flipped = NULL;
        Exchange x;

        exchange_init(&x, password, "pencil", NULL, NULL);
        run_to_proof(&x);
        len = (guint)g_bytes_get_size(x.client_final);
        g_byte_array_append(bytes, g_bytes_get_data(x.client_final, NULL), len);
        bytes->data[at] ^= (guint8)(1u << at % 8);
        flipped = g_bytes_new(bytes->data, len);
        g_assert_false(
            kd_scram_step(x.server, flipped, &x.server_final, &x.is_server_done, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
        exchange_clear(&x);
    }
}

static void
test_bad_steps(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } firsts[] = {
        {"", 0},
        {"n,,n=kd,r=abc\0defgh", 19},
        {"n,,", 3},
        {"n", 1},
        {",,,,,,,", 7},
        {"p=tls-unique,,n=kd,r=abcdefgh", 29},
        {"p=tls-exporter,,n=kd,r=abcdefgh", 31},
        {"y,,n=kd,r=abcdefgh", 18},
        {"n,a=root,n=kd,r=abcdefgh", 24},
        {"n,,m=x,n=kd,r=abcdefgh", 22},
    };
    g_autoptr(KdPassword) password = make_password("Secret123");

    for (guint i = 0; i < G_N_ELEMENTS(firsts); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(KdScram) server = kd_scram_new_server(password, NULL, &error);
        g_autoptr(GBytes) first = g_bytes_new_static(firsts[i].bytes, firsts[i].len);
        g_autoptr(GBytes) out = NULL;
        gboolean is_done = FALSE;

        g_assert_false(kd_scram_step(server, first, &out, &is_done, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_AUTH);
        g_assert_null(out);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scram/right-password-succeeds-at-both-ends", test_right_password);
    g_test_add_func("/scram/right-binding-succeeds-at-both-ends", test_right_binding);
    g_test_add_func("/scram/password-has-one-form-however-typed", test_normal_form);
    g_test_add_func("/scram/stored-verifier-checks-but-proves-nothing", test_stored_verifier);
    g_test_add_func("/scram/verifier-of-other-software-is-understood", test_foreign_verifier);
    g_test_add_func("/scram/key-belongs-to-one-exchange", test_key_is_of_one_exchange);
    g_test_add_func("/scram/wrong-password-fails", test_wrong_password);
    g_test_add_func("/scram/man-in-the-middle-has-another-binding", test_other_binding);
    g_test_add_func("/scram/each-kind-refuses-the-other", test_other_kind);
    g_test_add_func("/scram/unknown-user-is-asked-like-any-other", test_other_user);
    g_test_add_func("/scram/unknown-user-fails-with-the-right-password", test_other_user_who_knows);
    g_test_add_func("/scram/proof-counted-by-hand-succeeds", test_proof_by_hand);
    g_test_add_func("/scram/failed-exchange-takes-nothing-more", test_no_second_attempt);
    g_test_add_func("/scram/client-limits-the-iterations", test_iterations);
    g_test_add_func("/scram/client-judges-the-salt", test_salt);
    g_test_add_func("/scram/server-must-know-the-password-too", test_server_without_password);
    g_test_add_func("/scram/recorded-proof-fails-in-another-exchange", test_replay);
    g_test_add_func("/scram/no-changed-bit-of-a-proof-passes", test_flipped_bits);
    g_test_add_func("/scram/malformed-steps-are-refused", test_bad_steps);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client that logs in to the server's own admission, with somebody in between who sees all. */
#include "kd-admission.h"
#include "kd-cert-store.h"
#include "kd-login.h"
#include "kd-loop.h"
#include "kd-outcome.h"
#include "kd-tls-handshake.h"

#include <glib-unix.h>
#include <glib/gstdio.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of `pencil`, with the salt and the iterations of RFC 7677, section 3: quick to derive */
#define RFC_VERIFIER                                \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define PASSWORD   "pencil"
#define CODE       "Error 0x80004005"
#define TRANS      "com:port=com2"
#define NO_FLIP    (-1)
#define N_PREAMBLE ((gssize)KD_PREAMBLE_BYTES)

enum {
    TO_SERVER = 0,
    TO_CLIENT = 1,
    N_WAYS = 2,
};

/**
 * Case:
 * @n_admitted: what the server's admission has told
 * @cause: (nullable): for its log
 * @start_us: before anything was said
 * @close_text: (nullable): what the client is told
 * @trans: (nullable): what the client has asked for
 * @error: (nullable): what the client gives up with
 * @wire: our ends of the two connections
 * @seen: what came, by its way
 * @flip_at: offset of the byte that is changed on its way
 * @is_mute: nothing passes any more
 */
typedef struct {
    KdRoute *server;
    KdAdmission *admission;
    guint n_admitted;
    guint n_refused;
    char *cause;
    gint64 start_us;
    gint64 failed_us;
    KdCloseCode close_code;
    char *close_text;
    char *broken;
    char *trans;
    KdRoute *client;
    KdLogin login;
    KdPassword *password;
    GError *error;
    int wire[N_WAYS];
    guint wire_id[N_WAYS];
    GByteArray *seen[N_WAYS];
    gssize flip_at[N_WAYS];
    KdTlsHandshake *handshake;
    KdTlsConfig *tls;
    GBytes *binding;
    gboolean has_other_binding;
    const char *certificate; /* (nullable): that the client shows */
} Case;

/* ---- the server ---- */

static void
on_admitted(void *user)
{
    ((Case *)user)->n_admitted++;
}

static void
on_refused(const char *cause, void *user)
{
    Case *c = user;

    c->n_refused++;
    c->cause = g_strdup(cause);
}

static void
on_failed(KdCloseCode code, const char *text, void *user)
{
    Case *c = user;
    KdClose close = {.code = code, .text = (char *)text};

    c->failed_us = g_get_monotonic_time();
    c->close_code = code;
    c->close_text = g_strdup(text);
    kd_route_send(c->server, KD_FRAME_CLOSE, kd_close_build(&close));
    kd_wire_advance(kd_route_get_wire(c->server), KD_PHASE_CLOSED);
    kd_route_stop(c->server);
}

static void
on_broken(const char *text, void *user)
{
    ((Case *)user)->broken = g_strdup(text);
}

static const KdAdmissionFuncs admission_funcs = {
    .admitted = on_admitted,
    .refused = on_refused,
    .failed = on_failed,
    .broken = on_broken,
};

static void
on_server_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    (void)route;
    kd_admission_take_preamble(((Case *)user)->admission, major, minor);
}

static void
on_server_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    Case *c = user;

    (void)route;
    if (header->type == KD_FRAME_HELLO) {
        kd_admission_take_hello(c->admission, header, payload);
    } else if (header->type == KD_FRAME_AUTH) {
        kd_admission_take_auth(c->admission, header, payload);
    } else if (header->type == KD_FRAME_OPEN) {
        g_autoptr(KdOpen) open = kd_open_parse(payload, header->length, NULL);

        c->trans = g_strdup(open->trans);
    }
}

static void
on_server_failed(KdRoute *route, const GError *error, void *user)
{
    (void)route;
    on_failed(kd_wire_get_close_code(error), error->message, user);
}

/* ---- the client ---- */

static void
give_up(Case *c, GError *error)
{
    g_assert_nonnull(error);
    if (c->error == NULL) {
        c->error = error;
    } else {
        g_error_free(error);
    }
    kd_route_stop(c->client);
}

static void
on_client_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    Case *c = user;
    GError *error = NULL;

    if (!kd_login_take_preamble(&c->login, route, major, minor, &error)) {
        give_up(c, error);
    }
}

static void
on_client_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    Case *c = user;
    GError *error = NULL;

    if (!kd_login_take_frame(&c->login, route, header, payload, &error) ||
        (c->login.close != NULL &&
         !kd_outcome_from_close(c->login.close, c->login.opened != NULL, &error))) {
        give_up(c, error);
    }
}

static void
on_client_failed(KdRoute *route, const GError *error, void *user)
{
    (void)route;
    give_up(user, g_error_copy(error));
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    (void)route;
    (void)side;
    (void)error;
    (void)user;
}

static const KdRouteFuncs server_funcs = {
    .preamble = on_server_preamble,
    .frame = on_server_frame,
    .finished = on_finished,
    .failed = on_server_failed,
};

static const KdRouteFuncs client_funcs = {
    .preamble = on_client_preamble,
    .frame = on_client_frame,
    .finished = on_finished,
    .failed = on_client_failed,
};

/* ---- in between ---- */

static gboolean
on_wire(gint fd, GIOCondition condition, gpointer user_data)
{
    Case *c = user_data;
    int way = fd == c->wire[TO_SERVER] ? TO_SERVER : TO_CLIENT;
    uint8_t bytes[4096];
    gssize n = read(fd, bytes, sizeof bytes);
    gssize at = c->flip_at[way] - (gssize)c->seen[way]->len;

    (void)condition;
    if (n <= 0) {
        c->wire_id[way] = 0;
        return G_SOURCE_REMOVE;
    }
    g_byte_array_append(c->seen[way], bytes, (guint)n);
    if (c->flip_at[way] != NO_FLIP && at >= 0 && at < n) {
        bytes[at] ^= (uint8_t)(1u << c->flip_at[way] % 8);
    }
    if (write(c->wire[N_WAYS - 1 - way], bytes, (size_t)n) != n) {
        g_test_message("one side has hung up");
    }
    return G_SOURCE_CONTINUE;
}

static void
make_pair(int *ours, KdEndpoint *endpoint)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    kd_endpoint_init(endpoint);
    kd_endpoint_take_fd(endpoint, fds[0], KD_ENDPOINT_HALF_CLOSE, NULL);
    *ours = fds[1];
}

/* ---- doors ---- */

/* (transfer full) (nullable) */
static KdPassword *
make_password(const char *text)
{
    return text != NULL ? kd_password_new_from_line(text, NULL) : NULL;
}

/* (transfer full): without TLS unless @name is that of a certificate; @ca: (nullable): file of
 * those who vouch for clients, who are asked for a certificate then */
static KdDoor *
make_door_with_ca(const char *name, const char *password, const char *ca)
{
    KdTransport transport = {.struct_size = sizeof transport,
                             .caps = name != NULL ? KD_TRANSPORT_TLS : 0,
                             .scheme = "ssl"};
    g_autoptr(KdPassword) fallback = make_password(password);
    g_autoptr(GVariant) params = NULL;
    g_autoptr(GError) error = NULL;
    GVariantDict dict;
    KdDoor *door = NULL;

    g_variant_dict_init(&dict, NULL);
    if (name != NULL) {
        g_variant_dict_insert(&dict, "certuser", "s", name);
    }
    if (ca != NULL) {
        g_variant_dict_insert(&dict, "clientcert", "s", "request");
        g_variant_dict_insert(&dict, "ca", "s", ca);
    }
    params = g_variant_ref_sink(g_variant_dict_end(&dict));
    door = kd_door_new(KD_TLS_SERVER, &transport, params, fallback, &error);
    g_assert_no_error(error);
    return door;
}

static KdDoor *
make_door(const char *name, const char *password)
{
    return make_door_with_ca(name, password, NULL);
}

/* ---- cases ---- */

static void
begin_login(Case *c, KdEndpoint *endpoint)
{
    g_autoptr(GError) error = NULL;

    c->login.password = c->password;
    c->login.binding = c->binding;
    c->client = kd_route_new_framed(KD_ROLE_CLIENT, &client_funcs, c);
    g_assert_true(kd_route_join(c->client, KD_SIDE_PEER, endpoint, &error));
    g_assert_no_error(error);
    kd_login_start(&c->login, c->client);
}

static void
on_shaken(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    static const uint8_t other[32] = {0};
    Case *c = user;

    g_assert_no_error(error);
    c->binding =
        c->has_other_binding ? g_bytes_new(other, sizeof other) : g_bytes_ref(peer->binding);
    begin_login(c, endpoint);
}

static void
case_init(Case *c)
{
    *c = (Case){.login.trans = TRANS, .flip_at = {NO_FLIP, NO_FLIP}};
    for (int way = 0; way < N_WAYS; way++) {
        c->seen[way] = g_byte_array_new();
    }
}

/* @thumbprint: (nullable): of the server's certificate */
static void
case_start(Case *c, KdDoor *door, const char *password, const char *thumbprint)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = NULL;
    GVariantDict dict;
    KdEndpoint at_server;
    KdEndpoint at_client;

    c->start_us = g_get_monotonic_time();
    make_pair(&c->wire[TO_CLIENT], &at_server);
    make_pair(&c->wire[TO_SERVER], &at_client);
    for (int way = 0; way < N_WAYS; way++) {
        c->wire_id[way] = g_unix_fd_add(c->wire[way], G_IO_IN, on_wire, c);
    }
    c->server = kd_route_new_framed(KD_ROLE_SERVER, &server_funcs, c);
    c->admission = kd_admission_new(c->server, door, &admission_funcs, c);
    g_assert_true(kd_admission_start(c->admission, &at_server, &error));
    c->password = make_password(password);
    if (thumbprint == NULL) {
        begin_login(c, &at_client);
        return;
    }
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "server", "s", "labhost");
    g_variant_dict_insert(&dict, "port", "t", (guint64)1);
    g_variant_dict_insert(&dict, "certuser", "s", thumbprint);
    if (c->certificate != NULL) {
        g_variant_dict_insert(&dict, "clientcert", "s", c->certificate);
    }
    params = g_variant_ref_sink(g_variant_dict_end(&dict));
    c->tls = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);
    g_assert_no_error(error);
    c->handshake = kd_tls_handshake_new(c->tls, &at_client, on_shaken, c, &error);
    g_assert_no_error(error);
}

static void
case_clear(Case *c)
{
    for (int way = 0; way < N_WAYS; way++) {
        g_clear_handle_id(&c->wire_id[way], g_source_remove);
        g_byte_array_unref(c->seen[way]);
        close(c->wire[way]);
    }
    kd_login_clear(&c->login);
    kd_tls_handshake_free(c->handshake);
    kd_tls_config_unref(c->tls);
    kd_route_free(c->client);
    kd_admission_free(c->admission);
    kd_route_free(c->server);
    kd_password_unref(c->password);
    g_clear_pointer(&c->binding, g_bytes_unref);
    g_clear_error(&c->error);
    g_free(c->cause);
    g_free(c->close_text);
    g_free(c->broken);
    g_free(c->trans);
}

static gboolean
is_over(const Case *c)
{
    return (c->trans != NULL && c->login.is_authenticated) || c->error != NULL || c->broken != NULL;
}

static gboolean
on_late(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

/* Until all are over, or for so long. */
static void
run(Case *cases, guint n, guint most_ms)
{
    gboolean is_late = FALSE;
    guint id = g_timeout_add(most_ms, on_late, &is_late);
    guint n_over = 0;

    while (n_over < n && !is_late) {
        g_main_context_iteration(NULL, TRUE);
        n_over = 0;
        for (guint i = 0; i < n; i++) {
            n_over += is_over(&cases[i]) ? 1 : 0;
        }
    }
    if (!is_late) {
        g_source_remove(id);
    }
}

static void
run_one(Case *c, KdDoor *door, const char *password, const char *thumbprint)
{
    case_start(c, door, password, thumbprint);
    run(c, 1, 20000);
    g_assert_true(is_over(c));
}

static void
assert_admitted(const Case *c)
{
    g_assert_no_error(c->error);
    g_assert_cmpuint(c->n_admitted, ==, 1);
    g_assert_cmpuint(c->n_refused, ==, 0);
    g_assert_true(c->login.is_authenticated);
    g_assert_cmpstr(c->trans, ==, TRANS);
}

/* By the server, which says nothing but that. */
static void
assert_refused(const Case *c, const char *cause)
{
    g_assert_error(c->error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_cmpstr(c->error->message, ==, CODE ": authentication failed");
    g_assert_cmpint(kd_outcome_get_status(c->error), ==, KD_EXIT_FAILED);
    g_assert_cmpuint(c->n_admitted, ==, 0);
    g_assert_cmpuint(c->n_refused, ==, 1);
    g_assert_false(c->login.is_authenticated);
    g_assert_null(c->trans);
    g_assert_nonnull(strstr(c->cause, cause));
    g_assert_cmpuint(c->close_code, ==, KD_CLOSE_AUTH_FAILED);
    g_assert_cmpstr(c->close_text, ==, "authentication failed");
    g_assert_cmpint(c->failed_us - c->start_us, >=, G_USEC_PER_SEC);
}

/* By the client. */
static void
assert_declined(const Case *c, const char *because)
{
    g_assert_error(c->error, KD_ERROR, KD_ERROR_AUTH);
    g_test_message("%s", c->error->message);
    g_assert_true(g_str_has_prefix(c->error->message, CODE ": "));
    g_assert_nonnull(strstr(c->error->message, because));
    g_assert_false(c->login.is_authenticated);
    g_assert_null(c->trans);
    g_assert_cmpuint(c->n_admitted, ==, 0);
}

/* ---- in clear ---- */

static void
test_right(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, "Secret123");
    Case c;

    case_init(&c);
    run_one(&c, door, "Secret123", NULL);
    assert_admitted(&c);
    case_clear(&c);
}

static void
test_nothing_asked(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, NULL);
    Case c;

    case_init(&c);
    run_one(&c, door, NULL, NULL);
    assert_admitted(&c);
    case_clear(&c);
}

static void
test_wrong(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    Case c;

    case_init(&c);
    run_one(&c, door, "Pencil", NULL);
    assert_refused(&c, "wrong password");
    g_assert_false(c.login.wants_password);
    case_clear(&c);
}

static void
test_missing(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    Case c;

    case_init(&c);
    run_one(&c, door, NULL, NULL);
    assert_declined(&c, "wants a password");
    g_assert_true(c.login.wants_password);
    case_clear(&c);
}

/* What a server keeps proves nothing. */
static void
test_verifier(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    Case c;

    case_init(&c);
    run_one(&c, door, RFC_VERIFIER, NULL);
    assert_declined(&c, "the client needs the password");
    case_clear(&c);
}

/* Somebody in between would ask for none. */
static void
test_not_asked(void)
{
    Case c;

    case_init(&c);
    run_one(&c, NULL, PASSWORD, NULL);
    assert_declined(&c, "asks for no password");
    g_assert_false(c.login.wants_password);
    case_clear(&c);
}

static gboolean
has_bytes(GByteArray *bytes, const char *text)
{
    return memmem(bytes->data, bytes->len, text, strlen(text)) != NULL;
}

static void
test_never_seen(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, "Canary0Word");
    g_autofree char *base64 = g_base64_encode((const guchar *)"Canary0Word", 11);
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "Canary0Word", -1);
    Case c;

    case_init(&c);
    run_one(&c, door, "Canary0Word", NULL);
    assert_admitted(&c);
    for (int way = 0; way < N_WAYS; way++) {
        g_assert_false(has_bytes(c.seen[way], "Canary0Word"));
        g_assert_false(has_bytes(c.seen[way], base64));
        g_assert_false(has_bytes(c.seen[way], sha256));
    }
    case_clear(&c);
}

/* One byte of the preamble or the HELLO of one side, each in a login of its own, all at once. */
static void
flip_all(int way, gssize len)
{
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    g_autofree Case *cases = g_new(Case, (gsize)len);
    guint n_refused = 0;

    for (gssize at = 0; at < len; at++) {
        case_init(&cases[at]);
        cases[at].flip_at[way] = at;
        case_start(&cases[at], door, PASSWORD, NULL);
    }
    /* Some wait for the rest of a frame that got longer: a session's deadline ends them. */
    run(cases, (guint)len, 4000);
    for (gssize at = 0; at < len; at++) {
        g_assert_cmpuint(cases[at].n_admitted, ==, 0);
        g_assert_false(cases[at].login.is_authenticated);
        g_assert_null(cases[at].trans);
        n_refused += cases[at].n_refused;
        case_clear(&cases[at]);
    }
    g_test_message("%u of %d came as far as the proof", n_refused, (int)len);
    g_assert_cmpuint(n_refused, >=, 5);
}

/* @len: of both preambles and HELLOs, for each way */
static void
measure(gssize len[N_WAYS])
{
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    Case c;

    case_init(&c);
    run_one(&c, door, PASSWORD, NULL);
    assert_admitted(&c);
    for (int way = 0; way < N_WAYS; way++) {
        KdFrameHeader hello;

        kd_frame_header_load(&hello, c.seen[way]->data + KD_PREAMBLE_BYTES);
        g_assert_cmpuint(hello.type, ==, KD_FRAME_HELLO);
        len[way] = (gssize)(KD_PREAMBLE_BYTES + KD_HEADER_BYTES + hello.length);
    }
    case_clear(&c);
}

static void
test_flipped_by_client(void)
{
    gssize len[N_WAYS];

    measure(len);
    flip_all(TO_SERVER, len[TO_SERVER]);
}

static void
test_flipped_by_server(void)
{
    gssize len[N_WAYS];

    measure(len);
    flip_all(TO_CLIENT, len[TO_CLIENT]);
}

/* The server's last AUTH: it has let the client in, who must not believe it. */
static void
test_flipped_finished(void)
{
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    gssize len = 0;
    Case c;

    case_init(&c);
    run_one(&c, door, PASSWORD, NULL);
    len = (gssize)c.seen[TO_CLIENT]->len;
    case_clear(&c);
    case_init(&c);
    c.flip_at[TO_CLIENT] = len - 1;
    run_one(&c, door, PASSWORD, NULL);
    g_assert_error(c.error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_true(g_str_has_prefix(c.error->message, CODE));
    g_assert_false(c.login.is_authenticated);
    g_assert_null(c.trans);
    case_clear(&c);
}

/* ---- over TLS ---- */

static char *folder;
static char *pin;
static char *ann_path; /* certificate of a client */

static void
make_client_certificate(void)
{
    g_autofree char *key_path = g_build_filename(folder, "kdsrv", "certs", "ann.key", NULL);
    const char *argv[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:P-256",
                          "-nodes",
                          "-days",
                          "2",
                          "-subj",
                          "/CN=ann",
                          "-addext",
                          "extendedKeyUsage=clientAuth",
                          "-keyout",
                          key_path,
                          "-out",
                          ann_path,
                          NULL};
    g_autoptr(GError) error = NULL;
    int status = 0;

    (void)g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL,
                       NULL, NULL, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(g_chmod(key_path, 0600), ==, 0);
}

/* One certificate for all cases: GLib reads the environment once. */
static void
make_certificate(void)
{
    g_autoptr(GError) error = NULL;

    if (folder != NULL) {
        return;
    }
    folder = g_dir_make_tmp("kdsrv-login-XXXXXX", NULL);
    g_assert_true(g_setenv("XDG_CONFIG_HOME", folder, TRUE));
    pin = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    ann_path = g_build_filename(folder, "kdsrv", "certs", "ann.crt", NULL);
    make_client_certificate();
}

static void
remove_all(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = NULL;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *each = g_build_filename(path, name, NULL);

        remove_all(each);
    }
    (void)g_remove(path);
}

static void
test_tls_right(void)
{
    g_autoptr(KdDoor) door = NULL;
    Case c;

    make_certificate();
    door = make_door("labhost", RFC_VERIFIER);
    case_init(&c);
    run_one(&c, door, PASSWORD, pin);
    assert_admitted(&c);
    g_assert_false(has_bytes(c.seen[TO_SERVER], "SCRAM"));
    case_clear(&c);
}

/* Who shows a certificate comes in by it, and who shows none is nobody, where that will do. */
static void
test_tls_certificate(void)
{
    static const char *const shown[] = {"ann", NULL};

    make_certificate();
    for (guint i = 0; i < G_N_ELEMENTS(shown); i++) {
        g_autoptr(KdDoor) door = make_door_with_ca("labhost", NULL, ann_path);
        g_autofree char *how = NULL;
        Case c;

        case_init(&c);
        c.certificate = shown[i];
        run_one(&c, door, NULL, pin);
        assert_admitted(&c);
        how = kd_admission_describe(c.admission);
        g_test_message("%s", how);
        g_assert_true(g_str_has_prefix(how, shown[i] != NULL ? "external, TLS" : "none, TLS"));
        g_assert_true((kd_admission_get_certificate(c.admission) != NULL) == (shown[i] != NULL));
        case_clear(&c);
    }
}

/* The password is asked for nevertheless, and is what counts. */
static void
test_tls_certificate_and_password(void)
{
    static const char *const passwords[] = {PASSWORD, "Pencil", NULL};

    make_certificate();
    for (guint i = 0; i < G_N_ELEMENTS(passwords); i++) {
        g_autoptr(KdDoor) door = make_door_with_ca("labhost", RFC_VERIFIER, ann_path);
        Case c;

        case_init(&c);
        c.certificate = "ann";
        run_one(&c, door, passwords[i], pin);
        if (i == 0) {
            assert_admitted(&c);
        } else if (i == 1) {
            assert_refused(&c, "wrong password");
        } else {
            assert_declined(&c, "wants a password");
        }
        case_clear(&c);
    }
}

static void
test_tls_nothing_asked(void)
{
    g_autoptr(KdDoor) door = NULL;
    Case c;

    make_certificate();
    door = make_door("labhost", NULL);
    case_init(&c);
    run_one(&c, door, NULL, pin);
    assert_admitted(&c);
    case_clear(&c);
}

/* What is bound is the TLS connection, which is another one behind somebody in between. */
static void
test_tls_relayed(void)
{
    g_autoptr(KdDoor) door = NULL;
    Case c;

    make_certificate();
    door = make_door("labhost", RFC_VERIFIER);
    case_init(&c);
    c.has_other_binding = TRUE;
    run_one(&c, door, PASSWORD, pin);
    assert_refused(&c, "another TLS");
    case_clear(&c);
}

static void
test_tls_wrong(void)
{
    g_autoptr(KdDoor) door = NULL;
    Case c;

    make_certificate();
    door = make_door("labhost", RFC_VERIFIER);
    case_init(&c);
    run_one(&c, door, "Pencil", pin);
    assert_refused(&c, "wrong password");
    case_clear(&c);
}

/* A client over TLS, and a server that is not: what somebody in between would look like. */
static void
test_kinds(void)
{
    static const uint8_t binding[32] = {0};
    g_autoptr(KdDoor) door = make_door(NULL, RFC_VERIFIER);
    Case c;

    case_init(&c);
    c.binding = g_bytes_new(binding, sizeof binding);
    run_one(&c, door, PASSWORD, NULL);
    assert_declined(&c, "SCRAM-SHA-256-PLUS");
    case_clear(&c);
}

/* Bytes that are no TLS, where TLS is wanted. */
static void
test_tls_missing(void)
{
    g_autoptr(KdDoor) door = NULL;
    Case c;

    make_certificate();
    door = make_door("labhost", RFC_VERIFIER);
    case_init(&c);
    run_one(&c, door, PASSWORD, NULL);
    g_assert_nonnull(c.broken);
    g_assert_true(g_str_has_prefix(c.broken, "TLS: "));
    g_assert_false(kd_admission_is_connected(c.admission));
    g_assert_cmpuint(c.n_admitted, ==, 0);
    case_clear(&c);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    g_assert_true(kd_loop_start(NULL));
    g_test_add_func("/login/right-password-opens", test_right);
    g_test_add_func("/login/server-without-password-opens", test_nothing_asked);
    g_test_add_func("/login/wrong-password-is-refused-after-a-second", test_wrong);
    g_test_add_func("/login/missing-password-is-told-apart", test_missing);
    g_test_add_func("/login/verifier-proves-nothing", test_verifier);
    g_test_add_func("/login/password-that-is-not-asked-for-is-not-left-out", test_not_asked);
    g_test_add_func("/login/password-is-never-on-the-wire", test_never_seen);
    g_test_add_func("/login/no-byte-of-the-client-hello-can-be-changed", test_flipped_by_client);
    g_test_add_func("/login/no-byte-of-the-server-hello-can-be-changed", test_flipped_by_server);
    g_test_add_func("/login/client-checks-what-the-server-has-heard", test_flipped_finished);
    g_test_add_func("/login/kinds-of-scram-do-not-mix", test_kinds);
    g_test_add_func("/login/tls/right-password-opens", test_tls_right);
    g_test_add_func("/login/tls/server-without-password-opens", test_tls_nothing_asked);
    g_test_add_func("/login/tls/certificate-opens", test_tls_certificate);
    g_test_add_func("/login/tls/certificate-is-no-password", test_tls_certificate_and_password);
    g_test_add_func("/login/tls/wrong-password-is-refused", test_tls_wrong);
    g_test_add_func("/login/tls/relayed-proof-is-refused", test_tls_relayed);
    g_test_add_func("/login/tls/bytes-in-clear-are-no-login", test_tls_missing);
    status = g_test_run();
    if (folder != NULL) {
        remove_all(folder);
    }
    return status;
}

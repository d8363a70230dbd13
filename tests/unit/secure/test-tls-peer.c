/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers that are not ours: what TLS allows them, what it does not, and programs of others. */
#include "kd-test-tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define USUAL       "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define ONLY_TLS_12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"

/* A peer of GnuTLS's own making at one end, and ours at the other. */
typedef struct {
    gnutls_session_t foreign;
    gnutls_certificate_credentials_t credentials;
    int fd;
    gboolean is_shaken;
    KdTlsConfig *config;
    KdTestShake shake;
    KdTestTalk talk;
} Scene;

static void
scene_begin(Scene *scene, KdTlsRole our_role, const char *priority, unsigned flags)
{
    gboolean is_foreign_server = our_role == KD_TLS_CLIENT;
    KdEndpoint bases[2];
    int code;

    *scene = (Scene){0};
    kd_test_start();
    kd_test_tcp_pair(&bases[0], &bases[1]);
    scene->fd = bases[1].fd;
    scene->config = our_role == KD_TLS_SERVER ? kd_test_server_new(NULL) : kd_test_client_new(NULL);
    scene->credentials = kd_test_credentials_new(is_foreign_server);
    code = gnutls_init(&scene->foreign, (is_foreign_server ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                                            GNUTLS_NONBLOCK | flags);
    g_assert_cmpint(code, ==, 0);
    code = gnutls_priority_set_direct(scene->foreign, priority, NULL);
    g_assert_cmpint(code, ==, 0);
    code = gnutls_credentials_set(scene->foreign, GNUTLS_CRD_CERTIFICATE, scene->credentials);
    g_assert_cmpint(code, ==, 0);
    gnutls_transport_set_int(scene->foreign, scene->fd);
    kd_test_shake_begin(&scene->shake, scene->config, &bases[0]);
}

static gboolean
has_shaken(void *user)
{
    Scene *scene = user;

    scene->is_shaken = scene->is_shaken || gnutls_handshake(scene->foreign) == 0;
    return scene->is_shaken && scene->shake.n_told > 0;
}

static void
scene_connect(Scene *scene, KdTlsRole our_role, const char *priority, unsigned flags)
{
    scene_begin(scene, our_role, priority, flags);
    kd_test_wait(has_shaken, scene);
    g_assert_no_error(scene->shake.error);
}

static void
scene_clear(Scene *scene)
{
    gnutls_deinit(scene->foreign);
    gnutls_certificate_free_credentials(scene->credentials);
    close(scene->fd);
    if (scene->talk.end != NULL) {
        kd_test_talk_clear(&scene->talk);
    }
    kd_test_shake_clear(&scene->shake);
    kd_tls_config_unref(scene->config);
    kd_test_stop();
}

static void
say(Scene *scene, guint64 at, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n =
            gnutls_record_send(scene->foreign, kd_test_get_pattern(2, at + done), len - done);

        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
            g_main_context_iteration(NULL, FALSE);
            continue;
        }
        g_assert_cmpint(n, >, 0);
        done += (size_t)n;
    }
}

static void
hear(Scene *scene, guint64 at, size_t len)
{
    size_t done = 0;

    while (done < len) {
        uint8_t bytes[20000];
        ssize_t n = gnutls_record_recv(scene->foreign, bytes, MIN(sizeof bytes, len - done));

        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
            g_main_context_iteration(NULL, FALSE);
            continue;
        }
        g_assert_cmpint(n, >, 0);
        g_assert_true(memcmp(bytes, kd_test_get_pattern(1, at + done), (size_t)n) == 0);
        done += (size_t)n;
    }
}

static gboolean
has_heard(void *user)
{
    return ((Scene *)user)->talk.n_got == 60000;
}

static gboolean
has_ended(void *user)
{
    return ((Scene *)user)->talk.has_ended;
}

/* ---- what is allowed ---- */

static void
update_keys(KdTlsRole our_role)
{
    Scene scene;

    scene_connect(&scene, our_role, USUAL, 0);
    scene.talk.to_send = 20000;
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    for (guint64 i = 0; i < 3; i++) {
        say(&scene, i * 20000, 20000);
        hear(&scene, i * 20000, 20000);
        g_assert_cmpint(gnutls_session_key_update(scene.foreign, GNUTLS_KU_PEER), ==, 0);
        kd_test_settle();
        scene.talk.to_send += i < 2 ? 20000 : 0;
        kd_test_talk_wake(&scene.talk);
    }
    kd_test_wait(has_heard, &scene);
    scene_clear(&scene);
}

static void
test_key_update(void)
{
    update_keys(KD_TLS_SERVER);
    update_keys(KD_TLS_CLIENT);
}

/* Nobody asked for tickets, but a server may send them with its first bytes. */
static void
test_tickets(void)
{
    gnutls_datum_t key;
    Scene scene;

    g_assert_cmpint(gnutls_session_ticket_key_generate(&key), ==, 0);
    scene_begin(&scene, KD_TLS_CLIENT, USUAL, 0);
    g_assert_cmpint(gnutls_session_ticket_enable_server(scene.foreign, &key), ==, 0);
    kd_test_wait(has_shaken, &scene);
    g_assert_no_error(scene.shake.error);
    say(&scene, 0, 60000);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    kd_test_wait(has_heard, &scene);
    scene_clear(&scene);
    gnutls_free(key.data);
}

/* What comes with the last message of a handshake is read then, and the descriptor is silent. */
static void
test_early_words(void)
{
    Scene scene;
    int code = GNUTLS_E_AGAIN;

    scene_begin(&scene, KD_TLS_SERVER, USUAL, 0);
    while (code != 0) {
        code = gnutls_handshake(scene.foreign);
        if (code == 0) {
            say(&scene, 0, 60000); /* before our loop has turned */
        }
        g_main_context_iteration(NULL, FALSE);
    }
    kd_test_shake_wait(&scene.shake);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    kd_test_wait(has_heard, &scene);
    scene_clear(&scene);
}

/* Two hundred of them keep a reader from its bytes, but not from its next turn. */
static void
test_warning(void)
{
    Scene scene;

    scene_connect(&scene, KD_TLS_SERVER, ONLY_TLS_12, 0);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    say(&scene, 0, 30000);
    for (int i = 0; i < 200; i++) {
        int code = gnutls_alert_send(scene.foreign, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);

        g_assert_cmpint(code, ==, 0);
    }
    say(&scene, 30000, 30000);
    kd_test_wait(has_heard, &scene);
    scene_clear(&scene);
}

/* ---- what is not ---- */

static void
refuse_renegotiation(KdTlsRole our_role)
{
    Scene scene;

    scene_connect(&scene, our_role, ONLY_TLS_12, 0);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    if (our_role == KD_TLS_CLIENT) {
        g_assert_cmpint(gnutls_rehandshake(scene.foreign), ==, 0);
    } else {
        (void)gnutls_handshake(scene.foreign);
    }
    kd_test_wait(has_ended, &scene);
    g_assert_cmpint(scene.talk.end_code, ==, -EPROTO);
    scene_clear(&scene);
}

static void
test_renegotiation(void)
{
    refuse_renegotiation(KD_TLS_SERVER);
    refuse_renegotiation(KD_TLS_CLIENT);
}

/* Without it a man in the middle can have one master secret on both of his sides (RFC 7627, 1). */
static void
test_no_master_secret(void)
{
    Scene scene;

    scene_begin(&scene, KD_TLS_SERVER, ONLY_TLS_12 ":%NO_SESSION_HASH", 0);
    while (scene.shake.n_told == 0) {
        (void)gnutls_handshake(scene.foreign);
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_error(scene.shake.error, KD_ERROR, KD_ERROR_TLS);
    g_assert_nonnull(strstr(scene.shake.error->message, "without an extended master secret"));
    g_assert_null(scene.shake.peer->binding);
    scene_clear(&scene);
}

static void
test_flipped_bit(void)
{
    uint8_t record[] = {0x17, 3, 3, 0, 40, [44] = 1};
    Scene scene;

    scene_connect(&scene, KD_TLS_SERVER, USUAL, 0);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    g_assert_cmpint(write(scene.fd, record, sizeof record), ==, sizeof record);
    kd_test_wait(has_ended, &scene);
    g_assert_cmpint(scene.talk.end_code, ==, -EBADMSG);
    scene_clear(&scene);
}

static void
test_huge_record(void)
{
    uint8_t record[] = {0x17, 3, 3, 0xff, 0xff, 0, 0, 0};
    Scene scene;

    scene_connect(&scene, KD_TLS_SERVER, USUAL, 0);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    g_assert_cmpint(write(scene.fd, record, sizeof record), ==, sizeof record);
    kd_test_wait(has_ended, &scene);
    g_assert_cmpint(scene.talk.end_code, ==, -EPROTO);
    scene_clear(&scene);
}

static void
test_alert_ends(void)
{
    Scene scene;

    scene_connect(&scene, KD_TLS_CLIENT, USUAL, 0);
    kd_test_talk_begin(&scene.talk, &scene.shake.endpoint, 1, 2);
    say(&scene, 0, 100);
    g_assert_cmpint(gnutls_alert_send(scene.foreign, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED), ==,
                    0);
    kd_test_wait(has_ended, &scene);
    g_assert_cmpuint(scene.talk.n_got, ==, 100);
    g_assert_cmpint(scene.talk.end_code, ==, -EACCES);
    scene_clear(&scene);
}

/* ---- programs of others ---- */

typedef struct {
    GSubprocess *program;
    GString *said;
    char bytes[512];
    gboolean has_ended;
} Program;

static void
on_said(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Program *program = user_data;
    gssize n = g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);

    if (n <= 0) {
        program->has_ended = TRUE;
        return;
    }
    g_string_append_len(program->said, program->bytes, n);
    g_input_stream_read_async(G_INPUT_STREAM(source), program->bytes, sizeof program->bytes, 0,
                              NULL, on_said, program);
}

typedef struct {
    Program program;
    KdTestTalk talk;
} Guest;

static gboolean
has_program_said(void *user)
{
    return strstr(((Guest *)user)->program.said->str, "a line from kdsrv\n") != NULL;
}

static gboolean
has_program_ended(void *user)
{
    return ((Guest *)user)->program.has_ended;
}

static int
listen_somewhere(guint *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_assert_no_errno(bind(fd, (struct sockaddr *)&address, sizeof address));
    g_assert_no_errno(listen(fd, 1));
    g_assert_no_errno(getsockname(fd, (struct sockaddr *)&address, &len));
    *port = ntohs(address.sin_port);
    return fd;
}

static gboolean
has_accepted(void *user)
{
    int *fds = user;

    fds[1] = accept4(fds[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fds[1] >= 0;
}

/* A server of ours that such a program talks to. */
static void
receive(const char *command, const char *sign_of_13)
{
    static const char greeting[] = "a line from kdsrv\n";
    g_autoptr(KdTlsConfig) config = kd_test_server_new(NULL);
    g_autofree char *line = NULL;
    g_auto(GStrv) words = NULL;
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    KdTestShake shake = {0};
    Guest guest = {.program.said = g_string_new(NULL)};
    struct iovec vec = {(void *)greeting, sizeof greeting - 1};
    KdEndpoint base;
    guint port;
    int fds[2] = {listen_somewhere(&port), -1};

    kd_test_start();
    words = g_strsplit(command, "PORT", 2);
    line = g_strdup_printf("%s%u%s", words[0], port, words[1]);
    argv = g_strsplit(line, " ", -1);
    guest.program.program =
        g_subprocess_newv((const char *const *)argv,
                          G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                              G_SUBPROCESS_FLAGS_STDERR_MERGE,
                          &error);
    g_assert_no_error(error);
    g_input_stream_read_async(g_subprocess_get_stdout_pipe(guest.program.program),
                              guest.program.bytes, sizeof guest.program.bytes, 0, NULL, on_said,
                              &guest.program);
    kd_test_wait(has_accepted, fds);
    kd_endpoint_init(&base);
    kd_endpoint_take_fd(&base, fds[1], 0, NULL);
    kd_test_shake_begin(&shake, config, &base);
    kd_test_shake_wait(&shake);
    g_assert_no_error(shake.error);
    g_assert_cmpstr(shake.peer->version, ==, "TLS1.3");
    kd_test_talk_begin(&guest.talk, &shake.endpoint, 1, 2);
    g_assert_cmpint(kd_end_write(guest.talk.end, &vec, 1), ==, (gssize)vec.iov_len);
    kd_test_wait(has_program_said, &guest);
    g_assert_nonnull(strstr(guest.program.said->str, sign_of_13));
    kd_end_shutdown_write(guest.talk.end);
    g_assert_true(
        g_output_stream_close(g_subprocess_get_stdin_pipe(guest.program.program), NULL, NULL));
    kd_test_wait(has_program_ended, &guest);
    kd_test_talk_clear(&guest.talk);
    kd_test_shake_clear(&shake);
    close(fds[0]);
    g_object_unref(guest.program.program);
    g_string_free(guest.program.said, TRUE);
    kd_test_stop();
}

static void
test_openssl(void)
{
    g_autofree char *path = g_find_program_in_path("openssl");

    if (path == NULL) {
        g_test_skip("openssl is not installed");
        return;
    }
    receive("openssl s_client -connect 127.0.0.1:PORT", "TLSv1.3");
}

static void
test_gnutls_cli(void)
{
    g_autofree char *path = g_find_program_in_path("gnutls-cli");

    if (path == NULL) {
        g_test_skip("gnutls-cli is not installed");
        return;
    }
    receive("gnutls-cli --insecure --port PORT 127.0.0.1", "TLS1.3");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add_func("/secure/tls-peer/" name, fn)
    ADD("may-update-its-keys", test_key_update);
    ADD("may-send-tickets", test_tickets);
    ADD("may-speak-with-its-last-message", test_early_words);
    ADD("may-warn", test_warning);
    ADD("may-not-renegotiate", test_renegotiation);
    ADD("must-have-an-extended-master-secret", test_no_master_secret);
    ADD("may-not-flip-a-bit", test_flipped_bit);
    ADD("may-not-send-a-huge-record", test_huge_record);
    ADD("ends-by-an-alert-behind-its-bytes", test_alert_ends);
    ADD("may-be-openssl", test_openssl);
    ADD("may-be-gnutls-cli", test_gnutls_cli);
#undef ADD
    return g_test_run();
}

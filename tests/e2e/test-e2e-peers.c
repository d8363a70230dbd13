/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS with programs of others: OpenSSL and GnuTLS against kdsrv, kd against OpenSSL. */
#include "kd-e2e-certs.h"
#include "kd-e2e-socket.h"

#include <string.h>
#include <unistd.h>

#define HERE "127.0.0.1"
/* Of both preambles, up to the end of a line */
#define MAGIC "KDS"
/* What OpenSSL needs to speak versions that nobody shall speak any more */
#define OLD_CIPHERS "ALL:@SECLEVEL=0"

static gboolean
are_missing(void)
{
    return kd_e2e_certs_are_missing() || kd_e2e_is_missing("openssl") ||
           kd_e2e_is_missing("gnutls-cli");
}

static void
expect_text(const char *said, const char *text)
{
    g_autofree char *lower = g_ascii_strdown(said, -1);
    g_autofree char *wanted = g_ascii_strdown(text, -1);

    if (strstr(lower, wanted) == NULL) {
        g_error("expected %s in: %s", text, said);
    }
}

/* ---- others dial ---- */

/* A server with a certificate of its own. Returns (transfer full): the file that vouches for it. */
static char *
serve(KdE2eStage *stage, const char *keys)
{
    g_autofree char *store = kd_e2e_certs_make_store(stage);
    g_autofree char *start = g_strconcat("ssl:certuser=lab,", keys, NULL);
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, start);

    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    g_free(kd_e2e_stage_serve(stage, NULL, "-v", "-t", listen, NULL));
    return kd_e2e_certs_build_path(store, "lab", "crt");
}

static KdE2eProgram *
start_openssl(KdE2eStage *stage, const char *ca, const char *const *more)
{
    g_autofree char *place = g_strdup_printf(HERE ":%u", stage->port);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *const first[] = {
        "openssl", "s_client", "-connect", place, "-CAfile", ca, "-verify_return_error"};

    for (gsize i = 0; i < G_N_ELEMENTS(first); i++) {
        g_ptr_array_add(argv, (char *)first[i]);
    }
    for (; *more != NULL; more++) {
        g_ptr_array_add(argv, (char *)*more);
    }
    g_ptr_array_add(argv, NULL);
    return kd_e2e_program_new((const char *const *)argv->pdata, NULL);
}

static void
expect_openssl(KdE2eStage *stage, const char *ca, const char *const *more, const char *version)
{
    g_autoptr(KdE2eProgram) openssl = start_openssl(stage, ca, more);

    /* What the server says inside, and then what OpenSSL says about it all. */
    if (strcmp(version, "TLSv1.2") == 0) {
        g_free(kd_e2e_program_await(openssl, KD_E2E_STDOUT, version));
    }
    g_free(kd_e2e_program_await(openssl, KD_E2E_STDOUT, MAGIC));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(openssl, KD_E2E_STDOUT), version));
}

static void
test_openssl(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const best[] = {NULL};
    static const char *const older[] = {"-tls1_2", NULL};
    g_autofree char *ca = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    ca = serve(stage, "proto=tls1");
    expect_openssl(stage, ca, best, "TLSv1.3");
    expect_openssl(stage, ca, older, "TLSv1.2");
}

/* F20: one version and no other. */
static void
test_pinned_versions(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const protos[] = {"proto=tls1.2", "proto=tls1.3"};
    static const char *const options[][2] = {{"-tls1_2", NULL}, {"-tls1_3", NULL}};
    static const char *const versions[] = {"TLSv1.2", "TLSv1.3"};

    (void)unused;
    if (are_missing()) {
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(protos); i++) {
        g_autofree char *ca = serve(stage, protos[i]);
        g_autoptr(KdE2eProgram) other = start_openssl(stage, ca, options[1 - i]);

        g_assert_cmpint(kd_e2e_program_wait(other), !=, 0);
        expect_openssl(stage, ca, options[i], versions[i]);
        kd_e2e_stage_stop(stage);
    }
}

static void
test_gnutls(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const priorities[] = {"NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2"};
    static const char *const versions[] = {"(TLS1.3", "(TLS1.2"};
    g_autofree char *ca = NULL;
    g_autofree char *ca_option = NULL;
    g_autofree char *port = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    ca = serve(stage, "proto=tls1");
    ca_option = g_strconcat("--x509cafile=", ca, NULL);
    port = g_strdup_printf("%u", stage->port);
    for (gsize i = 0; i < G_N_ELEMENTS(priorities); i++) {
        const char *const argv[] = {"gnutls-cli", ca_option,     "-p", port,
                                    "--priority", priorities[i], HERE, NULL};
        g_autoptr(KdE2eProgram) gnutls = kd_e2e_program_new(argv, NULL);

        g_free(kd_e2e_program_await(gnutls, KD_E2E_STDOUT, versions[i]));
        g_free(kd_e2e_program_await(gnutls, KD_E2E_STDOUT, "Handshake was completed"));
        g_free(kd_e2e_program_await(gnutls, KD_E2E_STDOUT, MAGIC));
    }
}

static void
test_old_client(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const versions[] = {"-tls1", "-tls1_1"};
    g_autofree char *ca = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    ca = serve(stage, "proto=tls1");
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        const char *const more[] = {versions[i], "-cipher", OLD_CIPHERS, NULL};
        g_autoptr(KdE2eProgram) openssl = start_openssl(stage, ca, more);
        g_autofree char *told = NULL;

        g_assert_cmpint(kd_e2e_program_wait(openssl), !=, 0);
        expect_text(kd_e2e_program_get_text(openssl, KD_E2E_STDERR), "alert protocol version");
        told = kd_e2e_program_await(stage->server, KD_E2E_STDERR,
                                    "the client speaks no TLS 1.2 or newer");
        g_test_message("%s", told);
    }
}

/* Ciphers without forward secrecy or authenticated encryption, handshakes without an extended
 * master secret, a second handshake: TLS 1.2 has them all, and nobody needs them. */
static void
test_weak(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const ciphers[] = {
        "AES128-SHA",   "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256",
        "DES-CBC3-SHA", "NULL-SHA256",       "ECDHE-ECDSA-NULL-SHA",   "ADH-AES128-GCM-SHA256",
    };
    g_autofree char *ca = NULL;
    g_autofree char *port = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    ca = serve(stage, "proto=tls1");
    port = g_strdup_printf("%u", stage->port);
    for (gsize i = 0; i < G_N_ELEMENTS(ciphers); i++) {
        g_autofree char *list = g_strconcat(ciphers[i], ":@SECLEVEL=0", NULL);
        const char *const more[] = {"-tls1_2", "-cipher", list, NULL};
        g_autoptr(KdE2eProgram) openssl = start_openssl(stage, ca, more);

        g_assert_cmpint(kd_e2e_program_wait(openssl), !=, 0);
        g_assert_null(strstr(kd_e2e_program_get_text(openssl, KD_E2E_STDOUT), MAGIC));
    }
    {
        const char *const argv[] = {"gnutls-cli", "--insecure",
                                    "-p",         port,
                                    "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH",
                                    HERE,         NULL};
        static const char *const again[] = {"-tls1_2", NULL};
        g_autoptr(KdE2eProgram) gnutls = kd_e2e_program_new(argv, NULL);
        g_autoptr(KdE2eProgram) openssl = NULL;

        g_assert_cmpint(kd_e2e_program_wait(gnutls), !=, 0);
        g_assert_null(strstr(kd_e2e_program_get_text(gnutls, KD_E2E_STDOUT), MAGIC));
        openssl = start_openssl(stage, ca, again);
        g_free(kd_e2e_program_await(openssl, KD_E2E_STDOUT, MAGIC));
        kd_e2e_program_say(openssl, "R\n"); /* asks for one */
        g_free(kd_e2e_program_await(openssl, KD_E2E_STDERR, "alert no renegotiation"));
    }
}

/* In TLS 1.2 no alert says so, but the client knows what it was asked for (RFC 5246, 7.4.6). */
static void
expect_missed(KdE2eStage *stage, const char *ca)
{
    static const char *const old[] = {"-tls1_2", NULL};
    g_autoptr(KdE2eProgram) openssl = start_openssl(stage, ca, old);
    g_autofree char *link = g_strdup_printf("kdsrv:server=@{ssl:server=" HERE ",proto=tls1.2,"
                                            "certuser=lab,ca=%s,port=%u},trans=@{fake:name=1}",
                                            ca, stage->port);
    g_autoptr(KdE2eProgram) kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);

    g_assert_cmpint(kd_e2e_program_wait(openssl), !=, 0);
    expect_text(kd_e2e_program_get_text(openssl, KD_E2E_STDERR), "alert handshake failure");
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    expect_text(kd_e2e_program_get_text(kd, KD_E2E_STDERR),
                "the server wants a certificate: name one by clientcert=");
}

/* A client that must show a certificate, and that kdsrv knows the authority of. */
static void
test_client_cert(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const none[] = {NULL};
    g_autofree char *folder = kd_e2e_stage_build_path(stage, "clients");
    g_autofree char *client_ca = NULL;
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    g_autofree char *alien = NULL;
    g_autofree char *alien_key = NULL;
    g_autofree char *keys = NULL;
    g_autofree char *ca = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    kd_e2e_certs_make(folder, "ca", NULL, KD_E2E_CERT_CA);
    kd_e2e_certs_make(folder, "me", "ca", KD_E2E_CERT_CLIENT);
    kd_e2e_certs_make(folder, "alien", NULL, KD_E2E_CERT_CLIENT);
    client_ca = kd_e2e_certs_build_path(folder, "ca", "crt");
    cert = kd_e2e_certs_build_path(folder, "me", "crt");
    key = kd_e2e_certs_build_path(folder, "me", "key");
    alien = kd_e2e_certs_build_path(folder, "alien", "crt");
    alien_key = kd_e2e_certs_build_path(folder, "alien", "key");
    keys = g_strdup_printf("proto=tls1,clientcert=require,ca=%s", client_ca);
    ca = serve(stage, keys);
    {
        const char *const mine[] = {"-cert", cert, "-key", key, NULL};
        const char *const others[] = {"-cert", alien, "-key", alien_key, NULL};
        g_autoptr(KdE2eProgram) bare = start_openssl(stage, ca, none);
        g_autoptr(KdE2eProgram) stranger = start_openssl(stage, ca, others);

        g_assert_cmpint(kd_e2e_program_wait(bare), !=, 0);
        g_assert_null(strstr(kd_e2e_program_get_text(bare, KD_E2E_STDOUT), MAGIC));
        g_assert_cmpint(kd_e2e_program_wait(stranger), !=, 0);
        g_assert_null(strstr(kd_e2e_program_get_text(stranger, KD_E2E_STDOUT), MAGIC));
        expect_openssl(stage, ca, mine, "TLSv1.3");
        expect_missed(stage, ca);
    }
}

/* ---- kd dials others ---- */

/**
 * Peer:
 * @folder: of its certificate
 * @n_ports: that were given away
 * @openssl: (nullable): its server
 * @port: where it listens
 */
typedef struct {
    KdE2eStage *stage;
    char *folder;
    guint n_ports;
    KdE2eProgram *openssl;
    guint port;
} Peer;

static void
peer_set_up(Peer *peer, KdE2eStage *stage)
{
    *peer = (Peer){.stage = stage, .folder = kd_e2e_stage_build_path(stage, "peer")};
    kd_e2e_certs_make(peer->folder, "ca", NULL, KD_E2E_CERT_CA);
    kd_e2e_certs_make(peer->folder, "rest", NULL, KD_E2E_CERT_CA);
}

static void
peer_tear_down(Peer *peer)
{
    g_clear_pointer(&peer->openssl, kd_e2e_program_free);
    g_free(peer->folder);
}

static void
peer_serve(Peer *peer, const char *name, const char *const *more)
{
    g_autofree char *cert = kd_e2e_certs_build_path(peer->folder, name, "crt");
    g_autofree char *key = kd_e2e_certs_build_path(peer->folder, name, "key");
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *place = NULL;
    const char *const first[] = {"openssl", "s_server", "-cert", cert, "-key", key, "-accept"};

    g_clear_pointer(&peer->openssl, kd_e2e_program_free);
    peer->port = peer->stage->low + peer->n_ports++;
    g_assert_cmpuint(peer->n_ports, <=, KD_E2E_N_PORTS);
    place = g_strdup_printf(HERE ":%u", peer->port);
    for (gsize i = 0; i < G_N_ELEMENTS(first); i++) {
        g_ptr_array_add(argv, (char *)first[i]);
    }
    g_ptr_array_add(argv, place);
    for (; more != NULL && *more != NULL; more++) {
        g_ptr_array_add(argv, (char *)*more);
    }
    g_ptr_array_add(argv, NULL);
    peer->openssl = kd_e2e_program_new((const char *const *)argv->pdata, NULL);
    g_free(kd_e2e_program_await(peer->openssl, KD_E2E_STDOUT, "ACCEPT"));
}

static KdE2eProgram *
dial(const Peer *peer, const char *keys)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{ssl:proto=tls1,server=" HERE ",port=%u%s},"
                        "trans=@{fake:name=1}",
                        peer->port, keys);

    return kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
}

/* Refused in one line, which says @text and @also, before a byte was said inside. */
static void
expect_refused(const Peer *peer, const char *keys, const char *text, const char *also)
{
    g_autoptr(KdE2eProgram) kd = dial(peer, keys);
    int status = kd_e2e_program_wait(kd);
    const char *said = kd_e2e_program_get_text(kd, KD_E2E_STDERR);

    g_test_message("exit %d: %s", status, said);
    g_assert_cmpint(status, ==, 1);
    expect_text(said, text);
    if (also != NULL) {
        expect_text(said, also);
    }
    g_assert_true(strchr(said, '\n') == said + strlen(said) - 1);
    g_assert_null(strstr(kd_e2e_program_get_text(peer->openssl, KD_E2E_STDOUT), MAGIC));
}

static void
expect_goes_on(const Peer *peer, const char *keys)
{
    KdE2eProgram *kd = dial(peer, keys);

    g_free(kd_e2e_program_await(peer->openssl, KD_E2E_STDOUT, MAGIC));
    kd_e2e_program_free(kd);
}

/**
 * Fault:
 * @name: of the certificate
 * @lines: of its template
 * @told: what kd must say, in any case
 * @also: (nullable): and that
 *
 * A certificate of an authority that kd trusts.
 */
typedef struct {
    const char *name;
    const char *lines;
    const char *told;
    const char *also;
} Fault;

static void
test_faults(KdE2eStage *stage, gconstpointer unused)
{
    static const Fault faults[] = {
        {"name", "cn = elsewhere\ndns_name = elsewhere.example\ntls_www_server\nsigning_key\n",
         "elsewhere.example", HERE},
        {"address", "cn = other\nip_address = 127.0.0.2\ntls_www_server\nsigning_key\n",
         "127.0.0.2", HERE},
        {"old",
         KD_E2E_CERT_SERVER "activation_date = \"2019-01-01 00:00:00\"\n"
                            "expiration_date = \"2020-01-01 00:00:00\"\n",
         "expired", "2020"},
        {"young",
         KD_E2E_CERT_SERVER "activation_date = \"2088-01-01 00:00:00\"\n"
                            "expiration_date = \"2089-01-01 00:00:00\"\n",
         "not yet valid", "2088"},
        {"client",
         "cn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\ntls_www_client\n"
         "signing_key\n",
         "not for servers", NULL},
    };
    Peer peer;
    g_autofree char *keys = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    peer_set_up(&peer, stage);
    keys = g_strdup_printf(",ca=%s/ca.crt", peer.folder);
    kd_e2e_certs_make(peer.folder, "good", "ca", KD_E2E_CERT_SERVER);
    for (gsize i = 0; i < G_N_ELEMENTS(faults); i++) {
        kd_e2e_certs_make(peer.folder, faults[i].name, "ca", faults[i].lines);
        peer_serve(&peer, faults[i].name, NULL);
        expect_refused(&peer, keys, faults[i].told, faults[i].also);
    }
    peer_serve(&peer, "good", NULL);
    expect_goes_on(&peer, keys);
    peer_tear_down(&peer);
}

static void
test_strangers(KdE2eStage *stage, gconstpointer unused)
{
    Peer peer;
    g_autofree char *wrong_ca = NULL;
    g_autofree char *thumbprint = NULL;
    g_autofree char *fix = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    peer_set_up(&peer, stage);
    wrong_ca = g_strdup_printf(",ca=%s/rest.crt", peer.folder);
    kd_e2e_certs_make(peer.folder, "good", "ca", KD_E2E_CERT_SERVER);
    kd_e2e_certs_make(peer.folder, "own", NULL, KD_E2E_CERT_SERVER);
    peer_serve(&peer, "good", NULL);
    expect_refused(&peer, "", "unknown issuer", "certuser=");
    expect_refused(&peer, wrong_ca, "unknown issuer", NULL);
    peer_serve(&peer, "own", NULL);
    thumbprint = kd_e2e_certs_get_sha256(peer.folder, "own");
    fix = g_strconcat("certuser=", thumbprint, NULL);
    expect_refused(&peer, "", "self-signed", fix);
    peer_tear_down(&peer);
}

static void
test_pins(KdE2eStage *stage, gconstpointer unused)
{
    Peer peer;
    g_autofree char *own = NULL;
    g_autofree char *other = NULL;
    g_autofree char *right = NULL;
    g_autofree char *wrong = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    peer_set_up(&peer, stage);
    kd_e2e_certs_make(peer.folder, "own", NULL, KD_E2E_CERT_SERVER);
    kd_e2e_certs_make(peer.folder, "other", NULL, KD_E2E_CERT_SERVER);
    own = kd_e2e_certs_get_sha256(peer.folder, "own");
    other = kd_e2e_certs_get_sha256(peer.folder, "other");
    right = g_strconcat(",certuser=", own, NULL);
    wrong = g_strconcat(",certuser=", other, NULL);
    peer_serve(&peer, "own", NULL);
    expect_refused(&peer, wrong, "another certificate", own);
    expect_goes_on(&peer, right);
    peer_tear_down(&peer);
}

/* A pin replaces those who vouch, not the rest. */
static void
test_pinned_faults(KdE2eStage *stage, gconstpointer unused)
{
    Peer peer;
    g_autofree char *thumbprint = NULL;
    g_autofree char *keys = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    peer_set_up(&peer, stage);
    kd_e2e_certs_make(peer.folder, "old", NULL,
                      KD_E2E_CERT_SERVER "activation_date = \"2019-01-01 00:00:00\"\n"
                                         "expiration_date = \"2020-01-01 00:00:00\"\n");
    thumbprint = kd_e2e_certs_get_sha256(peer.folder, "old");
    keys = g_strconcat(",certuser=", thumbprint, NULL);
    peer_serve(&peer, "old", NULL);
    expect_refused(&peer, keys, "expired", NULL);
    peer_tear_down(&peer);
}

static void
test_old_server(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const versions[] = {"-tls1", "-tls1_1"};
    Peer peer;
    g_autofree char *thumbprint = NULL;
    g_autofree char *keys = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    peer_set_up(&peer, stage);
    kd_e2e_certs_make(peer.folder, "own", NULL, KD_E2E_CERT_SERVER);
    thumbprint = kd_e2e_certs_get_sha256(peer.folder, "own");
    keys = g_strconcat(",certuser=", thumbprint, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        const char *const more[] = {versions[i], "-cipher", OLD_CIPHERS, NULL};

        peer_serve(&peer, "own", more);
        expect_refused(&peer, keys, "no TLS 1.2 or newer", NULL);
    }
    peer_tear_down(&peer);
}

/* Something that is no TLS at all. */
static void
test_no_tls(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *link = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    link = g_strdup_printf("kdsrv:server=@{ssl:proto=tls1,server=" HERE ",port=%u},"
                           "trans=@{fake:name=1}",
                           stage->port);
    kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    expect_text(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "TLS");
}

/* And the other way round: at once, not when the time for a handshake is over. */
static void
test_tls_unasked(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *ca = NULL;
    g_autofree char *link = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (are_missing()) {
        return;
    }
    ca = serve(stage, "proto=tls1");
    link = g_strdup_printf("kdsrv:server=@{tcp:server=" HERE ",port=%u},trans=@{fake:name=1}",
                           stage->port);
    kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    expect_text(kd_e2e_program_get_text(kd, KD_E2E_STDERR),
                "speaks TLS: use the same transport on both sides");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/peers/openssl-sees-1.3-and-1.2", test_openssl);
    kd_e2e_add("/e2e/peers/openssl-sees-the-version-that-is-pinned-alone", test_pinned_versions);
    kd_e2e_add("/e2e/peers/gnutls-cli-sees-1.3-and-1.2", test_gnutls);
    kd_e2e_add("/e2e/peers/older-versions-are-refused-and-told", test_old_client);
    kd_e2e_add("/e2e/peers/what-is-weak-in-1.2-is-refused", test_weak);
    kd_e2e_add("/e2e/peers/client-must-show-a-certificate-of-the-right-authority",
               test_client_cert);
    kd_e2e_add("/e2e/peers/each-fault-of-a-certificate-is-told", test_faults);
    kd_e2e_add("/e2e/peers/nobody-vouches-and-the-thumbprint-is-told", test_strangers);
    kd_e2e_add("/e2e/peers/pinned-certificate-goes-on-and-no-other", test_pins);
    kd_e2e_add("/e2e/peers/pinned-certificate-must-be-valid-too", test_pinned_faults);
    kd_e2e_add("/e2e/peers/server-of-older-versions-is-refused", test_old_server);
    kd_e2e_add("/e2e/peers/server-without-tls-is-told", test_no_tls);
    kd_e2e_add("/e2e/peers/server-inside-tls-is-told", test_tls_unasked);
    return g_test_run();
}

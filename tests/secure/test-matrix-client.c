/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server thinks of a client's certificate: one row, one certificate, one real handshake. */
#include "kd-cert-folders.h"
#include "kd-cert-meeting.h"
#include "kd-cert-shop.h"
#include "kd-cert-store.h"

#include <glib/gstdio.h>

#include <string.h>

/* What a row is about beside its certificates */
enum {
    SELF_SIGNED = 1u << 0, /* the client's certificate has no other issuer          */
    UNTRUSTED = 1u << 1,   /* another authority is trusted                          */
    TRUST_LEAF = 1u << 2,  /* the client's own certificate is trusted               */
    NO_MIDDLE = 1u << 3,   /* the client does not send the one in the middle        */
    REVOKED = 1u << 4,     /* it is on a list                                       */
    NONE = 1u << 5,        /* the client shows nothing                              */
    MACHINE = 1u << 6,     /* the anchors are the machine's, without ca=            */
    MET = 1u << 7,         /* there is a connection                                 */
    NAMED = 1u << 8,       /* and the client has a name                             */
    LIBRARY = 1u << 9,     /* GnuTLS itself ends the handshake, and we don't ask    */
};

#define EXPIRED                                       \
    "activation_date = \"2020-01-01 00:00:00 UTC\"\n" \
    "expiration_date = \"2021-02-03 00:00:00 UTC\"\n"
#define NOT_YET                                       \
    "activation_date = \"2046-05-06 00:00:00 UTC\"\n" \
    "expiration_date = \"2048-01-01 00:00:00 UTC\"\n"
#define MIDDLE   "cn = Middle\nca\ncert_signing_key\n"
#define RSA_1024 "--key-type=rsa --bits=1024"

typedef struct {
    const char *name;
    const char *request; /* clientcert=                    */
    guint flags;         /* SELF_SIGNED and so on          */
    const char *words;   /* (nullable): in the message     */
    const char *leaf;    /* (nullable): KD_SHOP_CLIENT     */
    const char *middle;  /* (nullable): there is none      */
    const char *root;    /* (nullable): KD_SHOP_CA         */
    const char *key;     /* (nullable): P-256              */
    const char *hash;    /* (nullable): SHA256             */
    const char *priority;
} Row;

static const Row rows[] = {
    {.name = "right-one", .request = "require", .flags = MET | NAMED},
    {.name = "right-one-where-not-needed", .request = "request", .flags = MET | NAMED},
    {.name = "right-one-where-not-asked", .request = "none", .flags = MET},
    {.name = "right-one-in-tls-1.2",
     .request = "require",
     .flags = MET | NAMED,
     .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
    {.name = "anchors-of-the-machine", .request = "require", .flags = MET | NAMED | MACHINE},
    {.name = "none-where-needed",
     .request = "require",
     .flags = NONE | LIBRARY,
     .words = "certificate"},
    {.name = "none-where-not-needed", .request = "request", .flags = NONE | MET},
    {.name = "wrong-one-where-not-needed",
     .request = "request",
     .flags = UNTRUSTED,
     .words = "client's certificate `tester`|unknown issuer|anchors"},
    {.name = "expired",
     .request = "require",
     .words = "client's certificate `tester`|expired on 2021-02-03",
     .leaf = KD_SHOP_CLIENT EXPIRED},
    {.name = "not-yet-valid",
     .request = "require",
     .words = "not yet valid|2046-05-06",
     .leaf = KD_SHOP_CLIENT NOT_YET},
    {.name = "issuer-expired",
     .request = "require",
     .words = "issuer|expired",
     .middle = MIDDLE EXPIRED},
    {.name = "for-servers-only",
     .request = "require",
     .words = "not for clients|clientAuth",
     .leaf = "cn = tester\ntls_www_server\nsigning_key\n"},
    {.name = "without-purpose",
     .request = "require",
     .flags = MET | NAMED,
     .leaf = "cn = tester\nsigning_key\n"},
    {.name = "unknown-issuer", .request = "require", .flags = UNTRUSTED, .words = "unknown issuer"},
    {.name = "self-signed", .request = "require", .flags = SELF_SIGNED, .words = "self-signed"},
    {.name = "self-signed-and-trusted",
     .request = "require",
     .flags = SELF_SIGNED | TRUST_LEAF | MET | NAMED},
    {.name = "intermediate", .request = "require", .flags = MET | NAMED, .middle = MIDDLE},
    {.name = "intermediate-is-not-sent",
     .request = "require",
     .flags = NO_MIDDLE,
     .words = "unknown issuer, `Middle`",
     .middle = MIDDLE},
    {.name = "intermediate-is-no-authority",
     .request = "require",
     .words = "not a certificate authority",
     .middle = "cn = Middle\nsigning_key\n"},
    {.name = "path-is-too-long",
     .request = "require",
     .words = "path length",
     .middle = MIDDLE,
     .root = KD_SHOP_CA "path_len = 0\n"},
    {.name = "revoked", .request = "require", .flags = REVOKED, .words = "revoked"},
    {.name = "rsa-1024", .request = "require", .words = "weak key|1024", .key = RSA_1024},
    {.name = "sha1-signature",
     .request = "require",
     .words = "weak signature|SHA1",
     .hash = "SHA1"},
    {.name = "unknown-critical-extension",
     .request = "require",
     .words = "critical extension",
     .leaf = KD_SHOP_CLIENT "add_critical_extension = \"1.2.3.4.5 0x0500\"\n"},
};

static void
make_certs(const Row *row)
{
    const char *issuer = (row->flags & SELF_SIGNED) != 0 ? NULL : "root";

    kd_shop_make("root", NULL, row->root != NULL ? row->root : KD_SHOP_CA);
    if (row->middle != NULL) {
        kd_shop_make("middle", "root", row->middle);
        issuer = "middle";
    }
    kd_shop_make_key("client", row->key);
    kd_shop_sign("client", issuer, row->leaf != NULL ? row->leaf : KD_SHOP_CLIENT,
                 row->hash != NULL ? row->hash : "SHA256");
    kd_shop_make("other", NULL, "cn = Other\nca\ncert_signing_key\n");
}

/* Those whom the server trusts, in one file */
static char *
make_anchors(const Row *row)
{
    g_autofree char *machine = kd_shop_build_path("etc", "");
    const char *name = (row->flags & UNTRUSTED) != 0    ? "other"
                       : (row->flags & TRUST_LEAF) != 0 ? "client"
                                                        : "root";
    g_autofree char *cert = kd_shop_build_path(name, ".crt");
    char *path = g_build_filename(machine, (row->flags & MACHINE) != 0 ? "client-ca" : "x", NULL);
    g_autofree char *text = NULL;
    g_autofree char *list = NULL;

    g_assert_cmpint(g_mkdir_with_parents(machine, 0755), ==, 0);
    g_assert_true(g_file_get_contents(cert, &text, NULL, NULL));
    if ((row->flags & REVOKED) != 0) {
        g_autofree char *list_path = kd_shop_build_path("root", ".crl");
        kd_shop_revoke("root", "client", "crl_number = 1\ncrl_next_update = 30\n");
        g_assert_true(g_file_get_contents(list_path, &list, NULL, NULL));
    }
    g_autofree char *both = g_strconcat(text, list, NULL);
    kd_shop_write(path, both, 0644);
    return path;
}

static KdTlsConfig *
new_server(const Row *row)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *machine = kd_shop_build_path("etc", "");
    g_autofree char *anchors = make_anchors(row);
    const gboolean has_ca = (row->flags & MACHINE) == 0 && strcmp(row->request, "none") != 0;
    g_autoptr(GVariant) params = kd_meeting_new_params(
        "certuser", "labhost", "clientcert", row->request, has_ca ? "ca" : NULL, anchors, NULL);

    kd_cert_folders_move_machine_for_test(machine);
    KdTlsConfig *config = kd_tls_config_new(KD_TLS_SERVER, "ssl", params, &error);
    kd_cert_folders_move_machine_for_test("/etc/kdsrv");
    g_assert_no_error(error);
    return config;
}

/* A client that trusts everybody, and shows what ours would not */
static KdTlsConfig *
new_client(const Row *row)
{
    gnutls_certificate_credentials_t credentials = NULL;
    g_autofree char *cert = kd_shop_build_path("client", ".crt");
    g_autofree char *key = kd_shop_build_path("client", ".key");

    if (row->middle != NULL && (row->flags & NO_MIDDLE) == 0) {
        kd_shop_append("client", "middle");
    }
    g_assert_cmpint(gnutls_certificate_allocate_credentials(&credentials), >=, 0);
    if ((row->flags & NONE) == 0) {
        g_assert_cmpint(
            gnutls_certificate_set_x509_key_file(credentials, cert, key, GNUTLS_X509_FMT_PEM), >=,
            0);
    }
    return kd_tls_config_new_for_test(
        KD_TLS_CLIENT, credentials,
        row->priority != NULL ? row->priority : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
        GNUTLS_CERT_IGNORE, NULL);
}

static void
test_row(gconstpointer user)
{
    const Row *row = user;
    g_auto(KdMeeting) meeting = {0};
    g_autoptr(GError) error = NULL;

    if (kd_shop_is_closed()) {
        return;
    }
    g_autofree char *own = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(own);
    make_certs(row);
    g_autofree char *path = kd_shop_build_path("client", ".crt");
    g_autofree char *sha256 = kd_shop_read_thumbprint(path, FALSE);
    g_autoptr(KdTlsConfig) server = new_server(row);
    g_autoptr(KdTlsConfig) client = new_client(row);

    kd_meeting_hold(&meeting, server, client);
    g_assert_cmpint(meeting.is_met, ==, (row->flags & MET) != 0);
    if ((row->flags & MET) != 0) {
        const gboolean is_named = (row->flags & NAMED) != 0;
        g_assert_no_error(meeting.server_error);
        g_assert_cmpstr(meeting.server.name, ==, is_named ? "tester" : NULL);
        g_assert_cmpstr(meeting.server.sha256, ==, is_named ? sha256 : NULL);
        g_assert_cmpint(meeting.server.verdict, ==, is_named ? KD_TLS_TRUSTED : KD_TLS_REFUSED);
    } else if ((row->flags & LIBRARY) == 0) {
        g_assert_error(meeting.server_error, KD_ERROR, KD_ERROR_TLS);
        g_test_message("%s", meeting.server_error->message);
        kd_shop_assert_words(meeting.server_error->message, row->words);
        g_assert_cmpint(meeting.server.verdict, ==, KD_TLS_REFUSED);
    }
}

static void
assert_no_server(const char *words, GVariant *params)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTlsConfig) config = kd_tls_config_new(KD_TLS_SERVER, "ssl", params, &error);

    g_assert_null(config);
    g_assert_nonnull(error);
    kd_shop_assert_words(error->message, words);
}

static void
test_no_anchors(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *machine = kd_shop_build_path("etc", "");
    g_autofree char *empty = kd_shop_build_path("empty", "");
    g_autofree char *own = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(own);
    g_autoptr(GVariant) without =
        kd_meeting_new_params("certuser", "labhost", "clientcert", "require", NULL);
    g_autoptr(GVariant) with_empty =
        kd_meeting_new_params("certuser", "labhost", "clientcert", "request", "ca", empty, NULL);

    kd_cert_folders_move_machine_for_test(machine);
    assert_no_server("clientcert=require needs ca=|client-ca", without);
    g_assert_cmpint(g_mkdir(empty, 0755), ==, 0);
    assert_no_server("empty: no certificate of an authority", with_empty);
}

/* Our own client, with clientcert= */
static void
test_own_client(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(KdMeeting) meeting = {0};

    if (kd_shop_is_closed()) {
        return;
    }
    g_autofree char *own = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(own);
    kd_shop_make("root", NULL, KD_SHOP_CA);
    kd_shop_make("client", "root", KD_SHOP_CLIENT);
    kd_shop_put("client", "me");
    g_autofree char *ca = kd_shop_build_path("root", ".crt");
    g_autoptr(GVariant) server_params =
        kd_meeting_new_params("certuser", "labhost", "clientcert", "require", "ca", ca, NULL);
    g_autoptr(GVariant) client_params =
        kd_meeting_new_params("certuser", own, "clientcert", "me", NULL);
    g_autoptr(KdTlsConfig) server = kd_tls_config_new(KD_TLS_SERVER, "ssl", server_params, &error);
    g_assert_no_error(error);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", client_params, &error);
    g_assert_no_error(error);

    kd_meeting_hold(&meeting, server, client);
    g_assert_true(meeting.is_met);
    g_assert_cmpstr(meeting.server.name, ==, "tester");
}

static void
test_own_client_is_checked(void)
{
    g_autoptr(GError) error = NULL;

    if (kd_shop_is_closed()) {
        return;
    }
    kd_shop_make("server", NULL, KD_SHOP_SERVER);
    kd_shop_put("server", "me");
    g_autoptr(GVariant) params = kd_meeting_new_params("clientcert", "me", NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);

    g_assert_null(client);
    g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
    kd_shop_assert_words(error->message, "ssl: clientcert=me: |me.crt|not for clients|clientAuth");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strconcat("/secure/matrix/client/", rows[i].name, NULL);
        g_test_add_data_func(path, &rows[i], test_row);
    }
    g_test_add_func("/secure/matrix/client/nobody-vouches-without-anchors", test_no_anchors);
    g_test_add_func("/secure/matrix/client/own-client-shows-its-certificate", test_own_client);
    g_test_add_func("/secure/matrix/client/own-client-checks-its-certificate",
                    test_own_client_is_checked);
    return g_test_run();
}

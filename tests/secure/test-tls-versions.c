/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which versions and suites our configurations agree on, with each other and with peers of others.
 */
#include "kd-cert-meeting.h"
#include "kd-cert-shop.h"
#include "kd-cert-store.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *proto;   /* (nullable): of our server                           */
    const char *client;  /* priority of a client of others                      */
    const char *version; /* (nullable): agreed on; NULL: there is no connection */
} Row;

static const Row rows[] = {
    {"newest-is-taken", "tls1", "NORMAL", "TLS1.3"},
    {"default-is-tls1", NULL, "NORMAL", "TLS1.3"},
    {"tls1-takes-1.2", "tls1", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2"},
    {"tls1.2-is-pinned", "tls1.2", "NORMAL", "TLS1.2"},
    {"tls1.2-refuses-1.3", "tls1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL},
    {"tls1.3-refuses-1.2", "tls1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL},
    {"tls1-refuses-1.1", "tls1", "NORMAL:-VERS-ALL:+VERS-TLS1.1", NULL},
    {"tls1-refuses-1.0", "tls1", "NORMAL:-VERS-ALL:+VERS-TLS1.0", NULL},
    {"cbc-is-refused", "tls1",
     "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC:+SHA1", NULL},
    {"key-transport-is-refused", "tls1", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", NULL},
    {"chacha20-is-taken", "tls1", "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305", "TLS1.3"},
};

static KdTlsConfig *
new_server(const char *proto)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(sha256);
    g_autoptr(GVariant) params =
        kd_meeting_new_params("certuser", "labhost", proto != NULL ? "proto" : NULL, proto, NULL);
    KdTlsConfig *config = kd_tls_config_new(KD_TLS_SERVER, "ssl", params, &error);

    g_assert_no_error(error);
    return config;
}

static KdTlsConfig *
new_client(const char *priority)
{
    gnutls_certificate_credentials_t credentials = NULL;

    g_assert_cmpint(gnutls_certificate_allocate_credentials(&credentials), >=, 0);
    return kd_tls_config_new_for_test(KD_TLS_CLIENT, credentials, priority, GNUTLS_CERT_IGNORE,
                                      NULL);
}

static void
test_row(gconstpointer user)
{
    const Row *row = user;
    g_auto(KdMeeting) meeting = {0};
    g_autoptr(KdTlsConfig) server = new_server(row->proto);
    g_autoptr(KdTlsConfig) client = new_client(row->client);

    kd_meeting_hold(&meeting, server, client);
    g_assert_cmpint(meeting.is_met, ==, row->version != NULL);
    g_assert_cmpstr(meeting.version, ==, row->version);
}

/* The client would rather have another one. */
static void
test_preference(void)
{
    g_auto(KdMeeting) meeting = {0};
    g_autoptr(KdTlsConfig) server = new_server("tls1");
    g_autoptr(KdTlsConfig) client =
        new_client("NORMAL:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM");

    kd_meeting_hold(&meeting, server, client);
    g_assert_true(meeting.is_met);
    g_assert_cmpstr(meeting.cipher, ==, "AES-256-GCM");
}

/* Our client refuses old servers as well. */
static void
test_client(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(KdMeeting) meeting = {0};
    g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_autoptr(GVariant) params = kd_meeting_new_params("certuser", sha256, NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);
    g_assert_no_error(error);
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    gnutls_certificate_credentials_t credentials = NULL;

    kd_cert_store_build_paths(KD_CERT_STORE_USER, "labhost", &cert, &key);
    g_assert_cmpint(gnutls_certificate_allocate_credentials(&credentials), >=, 0);
    g_assert_cmpint(
        gnutls_certificate_set_x509_key_file(credentials, cert, key, GNUTLS_X509_FMT_PEM), >=, 0);
    g_autoptr(KdTlsConfig) server = kd_tls_config_new_for_test(
        KD_TLS_SERVER, credentials, "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0",
        GNUTLS_CERT_IGNORE, NULL);

    kd_meeting_hold(&meeting, server, client);
    g_assert_false(meeting.is_met);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strconcat("/secure/tls-versions/", rows[i].name, NULL);
        g_test_add_data_func(path, &rows[i], test_row);
    }
    g_test_add_func("/secure/tls-versions/order-of-the-server-counts", test_preference);
    g_test_add_func("/secure/tls-versions/client-refuses-old-server", test_client);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server says of its own certificate and key when it starts. */
#include "kd-cert-meeting.h"
#include "kd-cert-shop.h"

#include <glib/gstdio.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPIRED                                       \
    "activation_date = \"2020-01-01 00:00:00 UTC\"\n" \
    "expiration_date = \"2021-02-03 00:00:00 UTC\"\n"
#define NOT_YET                                       \
    "activation_date = \"2046-05-06 00:00:00 UTC\"\n" \
    "expiration_date = \"2048-01-01 00:00:00 UTC\"\n"

typedef struct {
    const char *name;
    const char *words; /* (nullable): in the message; NULL: it starts */
    const char *lines; /* (nullable): KD_SHOP_SERVER                  */
    const char *key;   /* (nullable): P-256                           */
    const char *hash;  /* (nullable): SHA256                          */
    int key_mode;      /* 0: 0600                                     */
    void (*change)(const char *cert, const char *key);
} Row;

static void
take_key_away(const char *cert, const char *key)
{
    (void)cert;
    g_assert_cmpint(g_unlink(key), ==, 0);
}

static void
take_other_key(const char *cert, const char *key)
{
    g_autofree char *other = kd_shop_build_path("other", ".key");

    (void)cert;
    kd_shop_make_key("other", NULL);
    g_assert_cmpint(g_rename(other, key), ==, 0);
}

static void
take_other_kind_of_key(const char *cert, const char *key)
{
    g_autofree char *other = kd_shop_build_path("other", ".key");

    (void)cert;
    kd_shop_make_key("other", "--key-type=rsa --bits=2048");
    g_assert_cmpint(g_rename(other, key), ==, 0);
}

static void
encrypt_key(const char *cert, const char *key)
{
    g_autofree char *encrypted = kd_shop_build_path("encrypted", ".key");
    const char *argv[] = {"certtool", "--to-p8",   "--load-privkey", key, "--password",
                          "secret",   "--outfile", encrypted,        NULL};

    (void)cert;
    kd_shop_run(argv);
    g_assert_cmpint(g_chmod(encrypted, 0600), ==, 0);
    g_assert_cmpint(g_rename(encrypted, key), ==, 0);
}

static void
spoil_key(const char *cert, const char *key)
{
    (void)cert;
    kd_shop_write(key, "nothing\n", 0600);
}

static void
empty_cert(const char *cert, const char *key)
{
    (void)key;
    kd_shop_write(cert, "", 0644);
}

static void
put_pipe(const char *cert, const char *key)
{
    (void)key;
    g_assert_cmpint(g_unlink(cert), ==, 0);
    g_assert_cmpint(mkfifo(cert, 0600), ==, 0);
}

static void
put_folder(const char *cert, const char *key)
{
    (void)key;
    g_assert_cmpint(g_unlink(cert), ==, 0);
    g_assert_cmpint(g_mkdir(cert, 0700), ==, 0);
}

static void
make_long(const char *cert, const char *key)
{
    g_autofree char *text = g_strnfill(1024 * 1024 + 1, '#');

    (void)key;
    kd_shop_write(cert, text, 0644);
}

static void
make_many(const char *cert, const char *key)
{
    (void)cert;
    (void)key;
    for (int i = 0; i < 5; i++) {
        kd_shop_append("server", "server");
    }
}

/* certtool makes no broken ones. */
static void
spoil_usage(const char *cert, const char *key)
{
    const char *argv[] = {"openssl", "req",   "-x509",       "-new",    "-key",
                          key,       "-subj", "/CN=labhost", "-addext", "keyUsage=DER:ff:ff",
                          "-out",    cert,    NULL};

    kd_shop_run(argv);
}

static void
give_key_away(const char *cert, const char *key)
{
    (void)cert;
    if (geteuid() != 0 || chown(key, 65534, (gid_t)-1) != 0) {
        g_test_skip("only root can give a file away");
    }
}

static const Row rows[] = {
    {.name = "right-one"},
    {.name = "rsa-2048", .key = "--key-type=rsa --bits=2048"},
    {.name = "rsa-pss", .key = "--key-type=rsa-pss --bits=2048"},
    {.name = "ed25519", .key = "--key-type=ed25519", .hash = "SHA512"},
    {.name = "p-384", .key = "--key-type=ecdsa --curve=secp384r1"},
    {.name = "without-purpose", .lines = "cn = labhost\nsigning_key\n"},
    {.name = "expired",
     .words = "server.crt|expired on 2021-02-03|kdsrv --make-cert",
     .lines = KD_SHOP_SERVER EXPIRED},
    {.name = "not-yet-valid",
     .words = "server.crt|not yet valid|2046-05-06|clock",
     .lines = KD_SHOP_SERVER NOT_YET},
    {.name = "for-clients-only",
     .words = "server.crt|not for servers|get one with serverAuth",
     .lines = "cn = labhost\ntls_www_client\nsigning_key\n"},
    {.name = "may-not-sign",
     .words = "server.crt|digitalSignature",
     .lines = "cn = labhost\ndns_name = labhost\ntls_www_server\nencryption_key\n",
     .key = "--key-type=rsa --bits=2048"},
    {.name = "unreadable-key-usage", .words = "server.crt|digitalSignature", .change = spoil_usage},
    {.name = "unknown-critical-extension",
     .words = "server.crt|critical extension|1.2.3.4.5",
     .lines = KD_SHOP_SERVER "add_critical_extension = \"1.2.3.4.5 0x0500\"\n"},
    {.name = "rsa-1024",
     .words = "server.crt|weak key|1024|2048",
     .key = "--key-type=rsa --bits=1024"},
    {.name = "p-192",
     .words = "server.crt|weak key|192|P-256",
     .key = "--key-type=ecdsa --curve=secp192r1"},
    {.name = "dsa", .words = "server.crt|DSA|P-256", .key = "--key-type=dsa --bits=2048"},
    {.name = "sha1-signature", .words = "server.crt|weak signature|SHA-256", .hash = "SHA1"},
    {.name = "no-key", .words = "server.crt|no key|server.key", .change = take_key_away},
    {.name = "key-of-another",
     .words = "server.crt|server.key|belongs to another certificate",
     .change = take_other_key},
    {.name = "key-of-another-kind",
     .words = "server.crt|server.key|belongs to another certificate",
     .change = take_other_kind_of_key},
    {.name = "key-of-everybody", .words = "server.key|0644|chmod 600", .key_mode = 0644},
    {.name = "key-of-the-group", .words = "server.key|0640|chmod 600", .key_mode = 0640},
    {.name = "key-of-somebody-else",
     .words = "server.key|belongs to user 65534|chown",
     .change = give_key_away},
    {.name = "encrypted-key", .words = "server.key|encrypted|openssl pkey", .change = encrypt_key},
    {.name = "spoilt-key", .words = "server.key|no private key in PEM form", .change = spoil_key},
    {.name = "empty-file", .words = "server.crt|no certificate in PEM form", .change = empty_cert},
    {.name = "pipe-instead-of-file", .words = "server.crt|not a regular file", .change = put_pipe},
    {.name = "folder-instead-of-file",
     .words = "server.crt|not a regular file",
     .change = put_folder},
    {.name = "long-file", .words = "server.crt|longer than", .change = make_long},
    {.name = "many-certificates",
     .words = "server.crt|more than 16 certificates",
     .change = make_many},
};

static void
test_row(gconstpointer user)
{
    const Row *row = user;
    g_autoptr(GError) error = NULL;

    if (kd_shop_is_closed()) {
        return;
    }
    kd_shop_make_key("server", row->key);
    kd_shop_sign("server", NULL, row->lines != NULL ? row->lines : KD_SHOP_SERVER,
                 row->hash != NULL ? row->hash : "SHA256");
    g_autofree char *cert = kd_shop_build_path("server", ".crt");
    g_autofree char *key = kd_shop_build_path("server", ".key");
    if (row->key_mode != 0) {
        g_assert_cmpint(g_chmod(key, row->key_mode), ==, 0);
    }
    if (row->change != NULL) {
        row->change(cert, key);
    }
    g_autoptr(GVariant) params = kd_meeting_new_params("certuser", cert, NULL);
    g_autoptr(KdTlsConfig) config = kd_tls_config_new(KD_TLS_SERVER, "ssl", params, &error);

    g_test_message("%s", error != NULL ? error->message : "it starts");
    if (row->words == NULL) {
        g_assert_no_error(error);
        g_assert_nonnull(config);
        return;
    }
    g_assert_null(config);
    g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
    kd_shop_assert_words(error->message, "ssl: certuser: /");
    kd_shop_assert_words(error->message, row->words);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strconcat("/secure/matrix/own/", rows[i].name, NULL);
        g_test_add_data_func(path, &rows[i], test_row);
    }
    return g_test_run();
}

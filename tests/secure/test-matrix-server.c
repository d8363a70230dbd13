/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client thinks of a server's certificate: one row, one certificate, one real handshake. */
#include "kd-cert-meeting.h"
#include "kd-cert-shop.h"
#include "kd-known-servers.h"

#include <glib/gstdio.h>
#include <gnutls/abstract.h>

#include <string.h>

/* What a row is about beside its certificates */
enum {
    SELF_SIGNED = 1u << 0,   /* the server's certificate has no other issuer       */
    UNTRUSTED = 1u << 1,     /* another authority is trusted                       */
    SAME_NAME = 1u << 2,     /* one that is called the same                        */
    TRUST_LEAF = 1u << 3,    /* the server's own certificate is trusted            */
    NO_MIDDLE = 1u << 4,     /* the server does not send the one in the middle     */
    REVOKED = 1u << 5,       /* it is on a list                                    */
    OTHER_REVOKED = 1u << 6, /* another one is                                     */
    STALE_LIST = 1u << 7,    /* and the list is old                                */
    PIN_SHA256 = 1u << 8,    /* the client's string has the thumbprint             */
    PIN_SHA1 = 1u << 9,      /*                                                    */
    PIN_OTHER = 1u << 10,    /* or that of another one                             */
    PIN_STORE = 1u << 11,    /* or a name, and the store has the certificate       */
    KNOWN = 1u << 12,        /* the user has confirmed it                          */
    KNOWN_OTHER = 1u << 13,  /* or another one for the same place                  */
    KNOWN_BROKEN = 1u << 14, /* or the file is broken                              */
    LONG_CHAIN = 1u << 15,   /* a hundred certificates                             */
    PIPE = 1u << 16,         /* spipe of this machine                              */
    FOLDER = 1u << 17,       /* the anchors are in the user's folder, without ca=  */
    DAMAGED = 1u << 18,      /* the signature has a wrong bit                      */
    LIBRARY = 1u << 19,      /* GnuTLS itself ends the handshake, and we don't ask */
};

#define EXPIRED                                       \
    "activation_date = \"2020-01-01 00:00:00 UTC\"\n" \
    "expiration_date = \"2021-02-03 00:00:00 UTC\"\n"
#define NOT_YET                                       \
    "activation_date = \"2046-05-06 00:00:00 UTC\"\n" \
    "expiration_date = \"2048-01-01 00:00:00 UTC\"\n"
#define MIDDLE     "cn = Middle\nca\ncert_signing_key\n"
#define RSA_1024   "--key-type=rsa --bits=1024"
#define RSA_2048   "--key-type=rsa --bits=2048"
#define CN_AND_DNS "cn = prod\ndns_name = a.example.com\ntls_www_server\nsigning_key\n"
/* labhost, a zero, .evil */
#define NUL_NAME "add_extension = \"2.5.29.17 0x300f820d6c6162686f7374002e6576696c\"\n"

typedef struct {
    const char *name;
    KdTlsVerdict verdict;
    const char *words;     /* (nullable): in the message       */
    const char *leaf;      /* (nullable): KD_SHOP_SERVER       */
    guint flags;           /* SELF_SIGNED and so on            */
    const char *host;      /* (nullable): labhost              */
    const char *certuser;  /* (nullable): a name in the string */
    const char *middle;    /* (nullable): there is none        */
    const char *root;      /* (nullable): KD_SHOP_CA           */
    const char *leaf_key;  /* (nullable): P-256                */
    const char *leaf_hash; /* (nullable): SHA256               */
    const char *middle_key;
    const char *middle_hash;
} Row;

static const Row rows[] = {
    /* names */
    {.name = "name-in-dns-entry", .verdict = KD_TLS_TRUSTED},
    {.name = "name-in-any-case", .verdict = KD_TLS_TRUSTED, .host = "LabHost"},
    {.name = "address-in-address-entry",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = x\nip_address = 127.0.0.1\ntls_www_server\nsigning_key\n",
     .host = "127.0.0.1"},
    {.name = "ipv6-address-in-address-entry",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = x\nip_address = ::1\ntls_www_server\nsigning_key\n",
     .host = "::1"},
    {.name = "address-that-is-another",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|127.0.0.1|127.0.0.2",
     .leaf = "cn = x\nip_address = 127.0.0.1\ntls_www_server\nsigning_key\n",
     .host = "127.0.0.2"},
    {.name = "wildcard",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = x\ndns_name = *.lab.example\ntls_www_server\nsigning_key\n",
     .host = "a.lab.example"},
    {.name = "wildcard-is-one-label",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|*.lab.example|a.b.lab.example",
     .leaf = "cn = x\ndns_name = *.lab.example\ntls_www_server\nsigning_key\n",
     .host = "a.b.lab.example"},
    {.name = "wildcard-is-not-nothing",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name",
     .leaf = "cn = x\ndns_name = *.lab.example\ntls_www_server\nsigning_key\n",
     .host = "lab.example"},
    {.name = "wildcard-of-top-level",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name",
     .leaf = "cn = x\ndns_name = *.example\ntls_www_server\nsigning_key\n",
     .host = "lab.example"},
    {.name = "common-name-without-dns-entry",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = labhost\ntls_www_server\nsigning_key\n"},
    {.name = "common-name-beside-dns-entry",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|other|labhost",
     .leaf = "cn = labhost\ndns_name = other\ntls_www_server\nsigning_key\n"},
    {.name = "uri-is-no-name",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name",
     .leaf = "cn = x\nuri = https://labhost/\ntls_www_server\nsigning_key\n"},
    {.name = "name-with-zero-in-it",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name",
     .leaf = "cn = x\ntls_www_server\nsigning_key\n" NUL_NAME},
    {.name = "wrong-name",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|it is for labhost|`other`|certuser=",
     .host = "other"},
    {.name = "wrong-name-and-self-signed",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name",
     .flags = SELF_SIGNED,
     .host = "other"},
    {.name = "pipe-of-this-machine",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = x\ndns_name = localhost\ntls_www_server\nsigning_key\n",
     .flags = PIPE,
     .host = "."},
    {.name = "pipe-with-name-of-another",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|localhost",
     .leaf = "cn = x\ndns_name = kd-other.example\ntls_www_server\nsigning_key\n",
     .flags = PIPE,
     .host = "."},
    {.name = "asked-name-instead-of-host",
     .verdict = KD_TLS_TRUSTED,
     .host = "other",
     .certuser = "labhost"},
    {.name = "asked-common-name",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = \"Lab Server\"\ndns_name = x\ntls_www_server\nsigning_key\n",
     .certuser = "lab server"},
    {.name = "asked-name-is-missing",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|it is for labhost|certuser=|`else`",
     .certuser = "else"},
    /* time */
    {.name = "expired",
     .verdict = KD_TLS_REFUSED,
     .words = "expired on 2021-02-03|labhost",
     .leaf = KD_SHOP_SERVER EXPIRED},
    {.name = "not-yet-valid",
     .verdict = KD_TLS_REFUSED,
     .words = "not yet valid|2046-05-06",
     .leaf = KD_SHOP_SERVER NOT_YET},
    {.name = "expired-and-self-signed",
     .verdict = KD_TLS_REFUSED,
     .words = "expired",
     .leaf = KD_SHOP_SERVER EXPIRED,
     .flags = SELF_SIGNED},
    {.name = "issuer-expired",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer|expired",
     .middle = MIDDLE EXPIRED},
    {.name = "issuer-not-yet-valid",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer|not yet valid",
     .middle = MIDDLE NOT_YET},
    {.name = "root-expired",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer|expired",
     .root = KD_SHOP_CA EXPIRED},
    /* purpose */
    {.name = "for-clients-only",
     .verdict = KD_TLS_REFUSED,
     .words = "not for servers|serverAuth",
     .leaf = "cn = labhost\ndns_name = labhost\ntls_www_client\nsigning_key\n"},
    {.name = "for-both", .verdict = KD_TLS_TRUSTED, .leaf = KD_SHOP_SERVER "tls_www_client\n"},
    {.name = "without-purpose",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = labhost\ndns_name = labhost\nsigning_key\n"},
    {.name = "may-not-sign",
     .verdict = KD_TLS_REFUSED,
     .words = "Key usage violation",
     .leaf = "cn = labhost\ndns_name = labhost\ntls_www_server\nencryption_key\n",
     .flags = LIBRARY,
     .leaf_key = RSA_2048},
    {.name = "issuer-for-clients-only",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer|purpose",
     .middle = MIDDLE "tls_www_client\n"},
    {.name = "unknown-critical-extension",
     .verdict = KD_TLS_REFUSED,
     .words = "critical extension|1.2.3.4.5",
     .leaf = KD_SHOP_SERVER "add_critical_extension = \"1.2.3.4.5 0x0500\"\n"},
    {.name = "unknown-extension",
     .verdict = KD_TLS_TRUSTED,
     .leaf = KD_SHOP_SERVER "add_extension = \"1.2.3.4.5 0x0500\"\n"},
    {.name = "issuer-with-unknown-critical-extension",
     .verdict = KD_TLS_REFUSED,
     .words = "critical extension",
     .middle = MIDDLE "add_critical_extension = \"1.2.3.4.5 0x0500\"\n"},
    /* who vouches */
    {.name = "intermediate", .verdict = KD_TLS_TRUSTED, .middle = MIDDLE},
    {.name = "intermediate-is-not-sent",
     .verdict = KD_TLS_UNKNOWN,
     .words = "unknown issuer|Middle",
     .flags = NO_MIDDLE,
     .middle = MIDDLE},
    {.name = "intermediate-is-no-authority",
     .verdict = KD_TLS_REFUSED,
     .words = "not a certificate authority",
     .middle = "cn = Middle\nsigning_key\n"},
    {.name = "intermediate-may-not-sign",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer",
     .middle = "cn = Middle\nca\nsigning_key\n"},
    {.name = "path-is-too-long",
     .verdict = KD_TLS_REFUSED,
     .words = "path length",
     .middle = MIDDLE,
     .root = KD_SHOP_CA "path_len = 0\n"},
    {.name = "name-is-not-allowed-to-issuer",
     .verdict = KD_TLS_REFUSED,
     .words = "names",
     .middle = MIDDLE "nc_permit_dns = example.com\n"},
    {.name = "issuer-must-not-sign-that-common-name",
     .verdict = KD_TLS_REFUSED,
     .words = "`prod`|names",
     .leaf = CN_AND_DNS,
     .certuser = "prod",
     .middle = MIDDLE "nc_permit_dns = example.com\n"},
    {.name = "anchor-must-not-sign-that-common-name",
     .verdict = KD_TLS_REFUSED,
     .words = "`prod`|names",
     .leaf = CN_AND_DNS,
     .certuser = "prod",
     .root = KD_SHOP_CA "nc_exclude_dns = prod\n"},
    {.name = "issuer-may-sign-that-common-name",
     .verdict = KD_TLS_TRUSTED,
     .leaf = "cn = prod.example.com\ndns_name = a.example.com\ntls_www_server\nsigning_key\n",
     .certuser = "prod.example.com",
     .middle = MIDDLE "nc_permit_dns = example.com\n"},
    {.name = "address-asked-for-in-dns-entry",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name|127.0.0.1",
     .leaf = "cn = x\ndns_name = 127.0.0.1\ntls_www_server\nsigning_key\n",
     .certuser = "127.0.0.1"},
    {.name = "unknown-issuer",
     .verdict = KD_TLS_UNKNOWN,
     .words = "unknown issuer|`Lab CA`|certuser=",
     .flags = UNTRUSTED},
    {.name = "issuer-of-the-same-name",
     .verdict = KD_TLS_UNKNOWN,
     .words = "unknown issuer|`Lab CA`",
     .flags = SAME_NAME},
    {.name = "damaged-signature",
     .verdict = KD_TLS_REFUSED,
     .words = "signature|forged",
     .flags = DAMAGED},
    {.name = "self-signed",
     .verdict = KD_TLS_UNKNOWN,
     .words = "self-signed|labhost|certuser=",
     .flags = SELF_SIGNED},
    {.name = "self-signed-and-trusted",
     .verdict = KD_TLS_TRUSTED,
     .flags = SELF_SIGNED | TRUST_LEAF},
    {.name = "anchors-in-folder", .verdict = KD_TLS_TRUSTED, .flags = FOLDER},
    {.name = "no-anchors-but-the-systems",
     .verdict = KD_TLS_UNKNOWN,
     .words = "unknown issuer",
     .flags = FOLDER | UNTRUSTED},
    {.name = "chain-of-hundred",
     .verdict = KD_TLS_REFUSED,
     .words = "chain of 100 certificates",
     .flags = LONG_CHAIN,
     .middle = MIDDLE},
    /* strength */
    {.name = "rsa-2048", .verdict = KD_TLS_TRUSTED, .leaf_key = RSA_2048},
    {.name = "rsa-1024",
     .verdict = KD_TLS_REFUSED,
     .words = "weak key|RSA|1024|2048",
     .leaf_key = RSA_1024},
    {.name = "sha1-signature",
     .verdict = KD_TLS_REFUSED,
     .words = "weak signature|SHA1",
     .leaf_hash = "SHA1"},
    {.name = "issuer-with-rsa-1024",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer|weak",
     .middle = MIDDLE,
     .middle_key = RSA_1024},
    {.name = "issuer-with-sha1-signature",
     .verdict = KD_TLS_REFUSED,
     .words = "issuer|weak",
     .middle = MIDDLE,
     .middle_hash = "SHA1"},
    /* revocation */
    {.name = "revoked", .verdict = KD_TLS_REFUSED, .words = "revoked", .flags = REVOKED},
    {.name = "another-is-revoked", .verdict = KD_TLS_TRUSTED, .flags = OTHER_REVOKED},
    {.name = "another-is-revoked-beneath",
     .verdict = KD_TLS_TRUSTED,
     .flags = OTHER_REVOKED,
     .middle = MIDDLE},
    {.name = "revocation-list-is-old",
     .verdict = KD_TLS_REFUSED,
     .words = "revocation list|out of date",
     .flags = OTHER_REVOKED | STALE_LIST},
    /* pins */
    {.name = "pinned-by-sha256",
     .verdict = KD_TLS_TRUSTED,
     .flags = SELF_SIGNED | PIN_SHA256,
     .host = "other"},
    {.name = "pinned-by-sha1",
     .verdict = KD_TLS_TRUSTED,
     .flags = SELF_SIGNED | PIN_SHA1,
     .host = "other"},
    {.name = "pinned-by-store",
     .verdict = KD_TLS_TRUSTED,
     .flags = SELF_SIGNED | PIN_STORE,
     .host = "other"},
    {.name = "another-than-pinned",
     .verdict = KD_TLS_REFUSED,
     .words = "another certificate than certuser= wants|sha256:",
     .flags = PIN_OTHER},
    {.name = "pinned-and-expired",
     .verdict = KD_TLS_REFUSED,
     .words = "expired",
     .leaf = KD_SHOP_SERVER EXPIRED,
     .flags = SELF_SIGNED | PIN_SHA256},
    {.name = "pinned-and-for-clients-only",
     .verdict = KD_TLS_REFUSED,
     .words = "not for servers",
     .leaf = "cn = labhost\ntls_www_client\nsigning_key\n",
     .flags = SELF_SIGNED | PIN_SHA256},
    {.name = "pinned-and-weak",
     .verdict = KD_TLS_REFUSED,
     .words = "weak key",
     .flags = SELF_SIGNED | PIN_SHA256,
     .leaf_key = RSA_1024},
    /* known servers */
    {.name = "known", .verdict = KD_TLS_TRUSTED, .flags = SELF_SIGNED | KNOWN},
    {.name = "another-than-known",
     .verdict = KD_TLS_REFUSED,
     .words = "NOT|known_servers|ssl:labhost:1027|in between",
     .flags = SELF_SIGNED | KNOWN_OTHER},
    {.name = "another-than-known-though-trusted",
     .verdict = KD_TLS_REFUSED,
     .words = "NOT|known_servers",
     .flags = KNOWN_OTHER},
    {.name = "known-and-expired",
     .verdict = KD_TLS_REFUSED,
     .words = "expired",
     .leaf = KD_SHOP_SERVER EXPIRED,
     .flags = SELF_SIGNED | KNOWN},
    {.name = "known-but-another-name-is-asked",
     .verdict = KD_TLS_REFUSED,
     .words = "wrong name",
     .flags = SELF_SIGNED | KNOWN,
     .certuser = "else"},
    {.name = "known-servers-are-broken",
     .verdict = KD_TLS_REFUSED,
     .words = "known_servers:1:",
     .flags = KNOWN_BROKEN},
};

static void
make_certs(const Row *row)
{
    const char *issuer = (row->flags & SELF_SIGNED) != 0 ? NULL : "root";

    kd_shop_make("root", NULL, row->root != NULL ? row->root : KD_SHOP_CA);
    if (row->middle != NULL) {
        kd_shop_make_key("middle", row->middle_key);
        kd_shop_sign("middle", "root", row->middle,
                     row->middle_hash != NULL ? row->middle_hash : "SHA256");
        issuer = "middle";
    }
    kd_shop_make_key("server", row->leaf_key);
    kd_shop_sign("server", issuer, row->leaf != NULL ? row->leaf : KD_SHOP_SERVER,
                 row->leaf_hash != NULL ? row->leaf_hash : "SHA256");
}

/* What the client needs to know of it before the chain is made */
static void
add_client_cert(const Row *row, GVariantBuilder *params)
{
    g_autofree char *path = kd_shop_build_path("server", ".crt");
    g_autofree char *digits = kd_shop_read_thumbprint(path, (row->flags & PIN_SHA1) != 0);

    if ((row->flags & (PIN_SHA256 | PIN_SHA1)) != 0) {
        g_variant_builder_add(params, "{sv}", "certuser", g_variant_new_string(digits));
    } else if ((row->flags & PIN_OTHER) != 0) {
        g_autofree char *other = g_strnfill(64, 'a');
        g_variant_builder_add(params, "{sv}", "certuser", g_variant_new_string(other));
    } else if ((row->flags & PIN_STORE) != 0) {
        kd_shop_put("server", "stored");
        g_variant_builder_add(params, "{sv}", "certuser", g_variant_new_string("stored"));
    } else if (row->certuser != NULL) {
        g_variant_builder_add(params, "{sv}", "certuser", g_variant_new_string(row->certuser));
    }
}

static void
write_known(const Row *row)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *cert = kd_shop_build_path("server", ".crt");
    g_autofree char *own = kd_shop_read_thumbprint(cert, FALSE);
    g_autofree char *other = g_strnfill(64, 'b');

    if ((row->flags & (KNOWN | KNOWN_OTHER)) != 0) {
        g_assert_true(kd_known_servers_add("ssl:labhost:1027",
                                           (row->flags & KNOWN) != 0 ? own : other, &error));
        g_assert_no_error(error);
    } else if ((row->flags & KNOWN_BROKEN) != 0) {
        g_autofree char *path = kd_known_servers_build_path();
        g_autofree char *folder = g_path_get_dirname(path);
        g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
        kd_shop_write(path, "broken\n", 0600);
    }
}

static void
copy_anchor(const char *from, const char *folder, const char *name)
{
    g_autofree char *text = NULL;
    g_autofree char *to = g_build_filename(folder, name, NULL);

    g_assert_true(g_file_get_contents(from, &text, NULL, NULL));
    kd_shop_write(to, text, 0644);
}

/* Those whom the client trusts, in a folder */
static char *
make_anchors(const Row *row)
{
    const char *name = "root";
    char *folder = (row->flags & FOLDER) != 0
                       ? g_build_filename(g_get_user_config_dir(), "kdsrv", "ca", NULL)
                       : kd_shop_build_path("anchors", "");

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    if ((row->flags & (UNTRUSTED | SAME_NAME)) != 0) {
        kd_shop_make("other", NULL,
                     (row->flags & SAME_NAME) != 0 ? KD_SHOP_CA
                                                   : "cn = Other\nca\ncert_signing_key\n");
        name = "other";
    } else if ((row->flags & TRUST_LEAF) != 0) {
        name = "server";
    }
    g_autofree char *cert = kd_shop_build_path(name, ".crt");
    copy_anchor(cert, folder, "anchor.crt");
    if ((row->flags & (REVOKED | OTHER_REVOKED)) != 0) {
        g_autofree char *list = kd_shop_build_path("root", ".crl");
        kd_shop_make("else", "root", KD_SHOP_CLIENT);
        kd_shop_revoke("root", (row->flags & REVOKED) != 0 ? "server" : "else",
                       (row->flags & STALE_LIST) != 0
                           ? "crl_number = 1\ncrl_this_update_date = \"2020-01-01 00:00:00 UTC\"\n"
                             "crl_next_update_date = \"2020-02-01 00:00:00 UTC\"\n"
                           : "crl_number = 1\ncrl_next_update = 30\n");
        copy_anchor(list, folder, "anchor.crl");
    }
    return folder;
}

static KdTlsConfig *
new_client(const Row *row)
{
    g_autoptr(GError) error = NULL;
    g_auto(GVariantBuilder) params = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    g_autofree char *anchors = make_anchors(row);

    add_client_cert(row, &params);
    g_variant_builder_add(&params, "{sv}", "server",
                          g_variant_new_string(row->host != NULL ? row->host : "labhost"));
    if ((row->flags & PIPE) != 0) {
        g_variant_builder_add(&params, "{sv}", "pipe", g_variant_new_string("kd"));
    } else {
        g_variant_builder_add(&params, "{sv}", "port", g_variant_new("(qq)", 1027, 1027));
    }
    if ((row->flags & FOLDER) == 0) {
        g_variant_builder_add(&params, "{sv}", "ca", g_variant_new_string(anchors));
    }
    g_autoptr(GVariant) built = g_variant_ref_sink(g_variant_builder_end(&params));
    KdTlsConfig *config =
        kd_tls_config_new(KD_TLS_CLIENT, (row->flags & PIPE) != 0 ? "spipe" : "ssl", built, &error);
    g_assert_no_error(error);
    return config;
}

/* One bit of the signature, which is the last that a certificate has */
static void
damage(const char *path)
{
    g_autofree char *text = NULL;
    gsize len = 0;
    gnutls_datum_t der = {NULL, 0}, broken = {NULL, 0};

    g_assert_true(g_file_get_contents(path, &text, &len, NULL));
    gnutls_datum_t pem = {(unsigned char *)text, (unsigned)len};
    g_assert_cmpint(gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der), >=, 0);
    der.data[der.size - 1] ^= 1;
    g_assert_cmpint(gnutls_pem_base64_encode2("CERTIFICATE", &der, &broken), >=, 0);
    kd_shop_write(path, (const char *)broken.data, 0600);
    gnutls_free(der.data);
    gnutls_free(broken.data);
}

/* As many certificates as the file has; GnuTLS's own loader would drop those it has seen */
static void
set_all(gnutls_certificate_credentials_t credentials, const char *cert, const char *key_path)
{
    g_autofree char *text = NULL;
    g_autofree char *key_text = NULL;
    gsize len = 0, key_len = 0;
    gnutls_pcert_st shown[128];
    unsigned n = G_N_ELEMENTS(shown);
    gnutls_privkey_t key = NULL;

    g_assert_true(g_file_get_contents(cert, &text, &len, NULL));
    g_assert_true(g_file_get_contents(key_path, &key_text, &key_len, NULL));
    gnutls_datum_t pem = {(unsigned char *)text, (unsigned)len};
    gnutls_datum_t key_pem = {(unsigned char *)key_text, (unsigned)key_len};
    g_assert_cmpint(gnutls_pcert_list_import_x509_raw(shown, &n, &pem, GNUTLS_X509_FMT_PEM, 0), >=,
                    0);
    g_assert_cmpint(gnutls_privkey_init(&key), >=, 0);
    g_assert_cmpint(gnutls_privkey_import_x509_raw(key, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0), >=,
                    0);
    g_assert_cmpint(gnutls_certificate_set_key(credentials, NULL, 0, shown, (int)n, key), >=, 0);
}

/* A server that shows what ours would not even start with */
static KdTlsConfig *
new_server(const Row *row)
{
    gnutls_certificate_credentials_t credentials = NULL;
    g_autofree char *cert = kd_shop_build_path("server", ".crt");
    g_autofree char *key = kd_shop_build_path("server", ".key");

    if (row->middle != NULL && (row->flags & NO_MIDDLE) == 0) {
        for (int i = 0; i < ((row->flags & LONG_CHAIN) != 0 ? 99 : 1); i++) {
            kd_shop_append("server", "middle");
        }
    }
    g_assert_cmpint(gnutls_certificate_allocate_credentials(&credentials), >=, 0);
    set_all(credentials, cert, key);
    return kd_tls_config_new_for_test(
        KD_TLS_SERVER, credentials,
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%DEBUG_ALLOW_KEY_USAGE_VIOLATIONS",
        GNUTLS_CERT_IGNORE, NULL);
}

static void
test_row(gconstpointer user)
{
    const Row *row = user;
    g_auto(KdMeeting) meeting = {0};

    if (kd_shop_is_closed()) {
        return;
    }
    make_certs(row);
    write_known(row);
    g_autofree char *path = kd_shop_build_path("server", ".crt");
    if ((row->flags & DAMAGED) != 0) {
        damage(path);
    }
    g_autofree char *sha256 = kd_shop_read_thumbprint(path, FALSE);
    g_autoptr(KdTlsConfig) client = new_client(row);
    g_autoptr(KdTlsConfig) server = new_server(row);

    kd_meeting_hold(&meeting, server, client);
    g_test_message("%s", meeting.client_error != NULL ? meeting.client_error->message : "trusted");
    if ((row->flags & LIBRARY) != 0) {
        g_assert_false(meeting.is_met);
        kd_shop_assert_words(meeting.client_text, row->words);
        return;
    }
    g_assert_cmpint(meeting.client.verdict, ==, row->verdict);
    g_assert_cmpint(meeting.is_met, ==, row->verdict == KD_TLS_TRUSTED);
    if (row->verdict != KD_TLS_TRUSTED) {
        g_assert_error(meeting.client_error, KD_ERROR, KD_ERROR_TLS);
        kd_shop_assert_words(meeting.client_error->message, row->words);
    }
    if ((row->flags & LONG_CHAIN) == 0) {
        g_assert_cmpstr(meeting.client.sha256, ==, sha256);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strconcat("/secure/matrix/server/", rows[i].name, NULL);
        g_test_add_data_func(path, &rows[i], test_row);
    }
    return g_test_run();
}

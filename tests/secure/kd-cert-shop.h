/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and certificates for one case, made by certtool in a folder of its own. */
#pragma once

#include <glib.h>

/* certtool's words for what most certificates say */
#define KD_SHOP_CA     "cn = \"Lab CA\"\nca\ncert_signing_key\ncrl_signing_key\n"
#define KD_SHOP_SERVER "cn = labhost\ndns_name = labhost\ntls_www_server\nsigning_key\n"
#define KD_SHOP_CLIENT "cn = tester\ntls_www_client\nsigning_key\n"

gboolean kd_shop_is_closed(void);
const char *kd_shop_get_folder(void);
char *kd_shop_build_path(const char *name, const char *suffix);
void kd_shop_make_key(const char *name, const char *kind);
void kd_shop_sign(const char *name, const char *issuer, const char *lines, const char *hash);
void kd_shop_make(const char *name, const char *issuer, const char *lines);
void kd_shop_revoke(const char *issuer, const char *name, const char *lines);
void kd_shop_append(const char *name, const char *other);
void kd_shop_put(const char *name, const char *store_name);
void kd_shop_write(const char *path, const char *text, int mode);
char *kd_shop_read_thumbprint(const char *path, gboolean is_sha1);
void kd_shop_run(const char *const *argv);
void kd_shop_assert_words(const char *text, const char *words);

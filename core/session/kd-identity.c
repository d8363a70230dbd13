/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a client is, for the log and for those who find its link busy. */
#include "kd-identity.h"

/* What could make a name look like the address behind it, or show the two in another order. */
static gboolean
is_misleading(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);

    return c == '(' || c == ')' || type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR ||
           type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void
append_honest(GString *identity, const char *text)
{
    for (const char *c = text; *c != '\0'; c = g_utf8_next_char(c)) {
        gunichar u = g_utf8_get_char(c);

        g_string_append_unichar(identity, is_misleading(u) ? '?' : u);
    }
}

/**
 * kd_identity_build:
 * @said: (nullable): UTF-8: what the client calls itself, which is no proof of anything
 * @certificate: (nullable): UTF-8: subject of its certificate, verified
 * @peer: what is known of it
 *
 * Returns: (transfer full): `HOST\user (CN=ann, 127.0.0.1:40312)`; only @certificate and @peer
 * stand in brackets
 */
char *
kd_identity_build(const char *said, const char *certificate, const char *peer)
{
    g_autoptr(GString) identity = g_string_new(NULL);

    if (said == NULL && certificate == NULL) {
        return g_strdup(peer);
    }
    if (said != NULL) {
        append_honest(identity, said);
        g_string_append_c(identity, ' ');
    }
    g_string_append_c(identity, '(');
    if (certificate != NULL) {
        append_honest(identity, certificate);
        g_string_append(identity, ", ");
    }
    g_string_append_printf(identity, "%s)", peer);
    return g_string_free(g_steal_pointer(&identity), FALSE);
}

/**
 * kd_identity_build_facts:
 * @id: of the session
 * @identity: as built
 * @certificate: (nullable): subject of the client's, verified
 * @peer: what is known of it
 *
 * Returns: (transfer floating): a{sv}: what a link is told about who opens it
 */
GVariant *
kd_identity_build_facts(guint64 id, const char *identity, const char *certificate, const char *peer)
{
    GVariantDict facts;

    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "id", "t", id);
    g_variant_dict_insert(&facts, "identity", "s", identity);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    if (certificate != NULL) {
        g_variant_dict_insert(&facts, "certificate", "s", certificate);
    }
    return g_variant_dict_end(&facts);
}

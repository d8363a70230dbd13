/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of a transport's string that are the host's business: no plugin has them or sees them. */
#include "kd-host-keys.h"

#define FORMS_SERVER (KD_PARAM_SERVER | KD_PARAM_SERVER_CLICON)
#define FORMS_CLIENT (KD_PARAM_CLIENT | KD_PARAM_CLIENT_CLICON)

#define MAX_PASSWORD_BYTES 12u /* as documented; a file has no such limit          */
#define MAX_PATH_BYTES     1024u
#define MAX_CERT_BYTES     1024u /* a pkcs11: URI can be long                        */

/* Groups of ours in the tables below; set anew to numbers that the plugin's table does not use */
enum { GROUP_PASSWORD = 1, GROUP_CERT = 2, N_GROUPS = 2 };

static const char *const protos[] = {"tls1", "tls1.2", "tls1.3", "pct1", "ssl2", "ssl3", NULL};
static const char *const requests[] = {"none", "request", "require", NULL};

/* Behind `server=` and the client's `clicon=` */
static const KdParamSpec tls_rows[] = {
    {.key = "proto",
     .type = KD_PARAM_CHOICE,
     .flags = KD_PARAM_REQUIRED,
     .default_value = "tls1",
     .choices = protos,
     .placeholder = "X",
     .help = "protocol: tls1 is TLS 1.2 or newer; pct1, ssl2 and ssl3 are refused"},
    {.key = "certuser",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED | FORMS_SERVER,
     .group = GROUP_CERT,
     .max_len = MAX_CERT_BYTES,
     .placeholder = "C",
     .help = "certificate of this user to show: name, thumbprint, path or pkcs11: URI"},
    {.key = "certuser",
     .type = KD_PARAM_STRING,
     .flags = FORMS_CLIENT,
     .group = GROUP_CERT,
     .max_len = MAX_CERT_BYTES,
     .placeholder = "C",
     .help = "certificate that the server must show: name or thumbprint"},
    {.key = "machuser",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED | FORMS_SERVER,
     .group = GROUP_CERT,
     .max_len = MAX_CERT_BYTES,
     .placeholder = "C",
     .help = "certificate of this machine to show: name, thumbprint, path or pkcs11: URI"},
    {.key = "machuser",
     .type = KD_PARAM_STRING,
     .flags = FORMS_CLIENT,
     .group = GROUP_CERT,
     .max_len = MAX_CERT_BYTES,
     .placeholder = "C",
     .help = "certificate that the server must show, looked up in the machine's store"},
    {0},
};

/* Behind `hidden` */
static const KdParamSpec password_rows[] = {
    {.key = "password",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_SECRET,
     .group = GROUP_PASSWORD,
     .max_len = MAX_PASSWORD_BYTES,
     .placeholder = "P",
     .help = "letters and digits, case-sensitive; both sides must have the same one"},
    {.key = "password-file",
     .type = KD_PARAM_PATH,
     .flags = KD_PARAM_EXTENSION | KD_PARAM_SECRET | FORMS_SERVER,
     .group = GROUP_PASSWORD,
     .max_len = MAX_PATH_BYTES,
     .placeholder = "PATH",
     .help = "file that has the password, of any length, or what --make-verifier has printed"},
    {.key = "password-file",
     .type = KD_PARAM_PATH,
     .flags = KD_PARAM_EXTENSION | KD_PARAM_SECRET | FORMS_CLIENT,
     .group = GROUP_PASSWORD,
     .max_len = MAX_PATH_BYTES,
     .placeholder = "PATH",
     .help = "file that has the password, of any length"},
    {0},
};

/* Behind those */
static const KdParamSpec trust_rows[] = {
    {.key = "clientcert",
     .type = KD_PARAM_CHOICE,
     .flags = KD_PARAM_EXTENSION | FORMS_SERVER,
     .default_value = "none",
     .choices = requests,
     .placeholder = "WORD",
     .help = "whether clients are asked for a certificate, or must have one"},
    {.key = "clientcert",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_EXTENSION | FORMS_CLIENT,
     .max_len = MAX_CERT_BYTES,
     .placeholder = "CERT",
     .help = "certificate to show if the server asks: name, thumbprint, path or pkcs11: URI"},
    {.key = "ca",
     .type = KD_PARAM_PATH,
     .flags = KD_PARAM_EXTENSION | FORMS_SERVER,
     .max_len = MAX_PATH_BYTES,
     .placeholder = "PATH",
     .help = "file or folder of those who may vouch for clients"},
    {.key = "ca",
     .type = KD_PARAM_PATH,
     .flags = KD_PARAM_EXTENSION | FORMS_CLIENT,
     .max_len = MAX_PATH_BYTES,
     .placeholder = "PATH",
     .help = "file or folder of those who may vouch for the server"},
    {0},
};

static gboolean
has_key(const KdParamSpec *table, const char *key)
{
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (g_ascii_strcasecmp(spec->key, key) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
is_ours(const char *key)
{
    return has_key(tls_rows, key) || has_key(password_rows, key) || has_key(trust_rows, key);
}

static gsize
count_rows(const KdParamSpec *table)
{
    gsize n = 0;

    while (table[n].key != NULL) {
        n++;
    }
    return n;
}

static gboolean
is_dial_row(const KdParamSpec *spec)
{
    return g_ascii_strcasecmp(spec->key, "server") == 0 ||
           g_ascii_strcasecmp(spec->key, "clicon") == 0;
}

/* How many rows of the plugin stand before ours of TLS */
static gsize
find_tls_place(const KdParamSpec *own)
{
    gsize n = 0;

    while (own[n].key != NULL && is_dial_row(&own[n])) {
        n++;
    }
    return n;
}

/* Behind `hidden`, else behind the last row that the documented line has */
static gsize
find_password_place(const KdParamSpec *own)
{
    gsize place = 0;

    for (gsize i = 0; own[i].key != NULL; i++) {
        if (g_ascii_strcasecmp(own[i].key, "hidden") == 0) {
            return i + 1;
        }
        if ((own[i].flags & (KD_PARAM_EXTENSION | KD_PARAM_DEPRECATED)) == 0) {
            place = i + 1;
        }
    }
    return place;
}

static gboolean
has_group(const KdParamSpec *own, uint32_t group)
{
    for (const KdParamSpec *spec = own; spec->key != NULL; spec++) {
        if (spec->group == group) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
choose_groups(const KdParamSpec *own, uint32_t groups[N_GROUPS + 1])
{
    uint32_t next = 1;

    groups[0] = 0;
    for (guint i = 1; i <= N_GROUPS; i++) {
        while (has_group(own, next)) {
            next++;
        }
        groups[i] = next++;
    }
}

static void
append_own(GArray *table, const KdParamSpec *own, gsize from, gsize to)
{
    if (to > from) {
        g_array_append_vals(table, own + from, (guint)(to - from));
    }
}

static void
append_ours(GArray *table, const KdParamSpec *rows, const uint32_t *groups)
{
    for (const KdParamSpec *spec = rows; spec->key != NULL; spec++) {
        KdParamSpec row = *spec;

        row.group = groups[spec->group];
        g_array_append_val(table, row);
    }
}

/**
 * kd_host_keys_check_own:
 * @own: keys of a transport
 * @owner: file and scheme, for the message
 *
 * Checks that a transport leaves the host's keys to the host. The keys of TLS are refused without
 * %KD_TRANSPORT_TLS, too, so that one name means one thing in all transports.
 *
 * Returns: %FALSE with %KD_ERROR_ABI
 */
gboolean
kd_host_keys_check_own(const KdParamSpec *own, const char *owner, GError **error)
{
    for (const KdParamSpec *spec = own; spec->key != NULL; spec++) {
        if (is_ours(spec->key)) {
            g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                        "%s: key `%s`: it is the host's, which adds it to every transport%s: "
                        "leave it out",
                        owner, spec->key,
                        has_key(password_rows, spec->key) ? "" : " with KD_TRANSPORT_TLS");
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * kd_host_keys_build_table:
 * @own: keys of a transport
 * @caps: of the transport
 * @error: %KD_ERROR_ABI: it has a key of ours
 *
 * Puts the host's keys where the documented line has them: those of TLS behind the rows that
 * name whom to dial, the password behind `hidden`.
 *
 * Returns: (transfer full) (nullable): its keys and ours
 */
KdParamSpec *
kd_host_keys_build_table(const KdParamSpec *own, uint32_t caps, GError **error)
{
    const gboolean has_tls = (caps & KD_TRANSPORT_TLS) != 0;
    gsize tls_place = has_tls ? find_tls_place(own) : 0;
    gsize password_place = MAX(find_password_place(own), tls_place);
    uint32_t groups[N_GROUPS + 1];
    g_autoptr(GArray) table = g_array_new(TRUE, FALSE, sizeof(KdParamSpec));

    if (!kd_host_keys_check_own(own, "key table", error)) {
        return NULL;
    }
    choose_groups(own, groups);
    append_own(table, own, 0, tls_place);
    if (has_tls) {
        append_ours(table, tls_rows, groups);
    }
    append_own(table, own, tls_place, password_place);
    append_ours(table, password_rows, groups);
    if (has_tls) {
        append_ours(table, trust_rows, groups);
    }
    append_own(table, own, password_place, count_rows(own));
    return (KdParamSpec *)(void *)g_array_free(g_steal_pointer(&table), FALSE);
}

/**
 * kd_host_keys_strip:
 * @params: a{sv}, parsed
 *
 * Returns: (transfer full): the same without our keys, to be given to a plugin
 */
GVariant *
kd_host_keys_strip(GVariant *params)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, params);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value)) {
        if (!is_ours(key)) {
            g_variant_builder_add(&builder, "{sv}", key, value);
        }
    }
    return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/**
 * kd_host_keys_check_stripped:
 * @transport: of the string
 * @params: a{sv}, parsed, with our keys
 * @error: what the transport says
 *
 * Asks the transport, if it wants to be asked, about its own keys.
 *
 * Returns: whether they can be right
 */
gboolean
kd_host_keys_check_stripped(const KdTransport *transport, GVariant *params, GError **error)
{
    g_autoptr(GVariant) stripped = kd_host_keys_strip(params);

    return transport->check == NULL || transport->check(stripped, error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's keys among a transport's own: where they stand, who sees them, who must not have them.
 */
#include "kd-host-keys.h"
#include "kd-params.h"
#include "kd-tables.h"

#include <string.h>

#define SERVER                                                                                \
    {                                                                                         \
        .key = "server", .type = KD_PARAM_HOST, .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT, \
        .placeholder = "HOST", .help = "server to dial"                                       \
    }
#define CLIENT_CLICON                                                               \
    {                                                                               \
        .key = "clicon", .type = KD_PARAM_HOST,                                     \
        .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT_CLICON, .placeholder = "HOST", \
        .help = "server that dials"                                                 \
    }
#define SERVER_CLICON                                                            \
    {                                                                            \
        .key = "clicon", .type = KD_PARAM_HOST,                                  \
        .flags = KD_PARAM_REQUIRED | KD_PARAM_SERVER_CLICON, .placeholder = "C", \
        .help = "client to dial"                                                 \
    }
#define PORT                                                                                   \
    {                                                                                          \
        .key = "port", .type = KD_PARAM_PORTS, .flags = KD_PARAM_REQUIRED, .placeholder = "S", \
        .help = "port"                                                                         \
    }
#define PIPE                                                                                    \
    {                                                                                           \
        .key = "pipe", .type = KD_PARAM_STRING, .flags = KD_PARAM_REQUIRED, .placeholder = "N", \
        .help = "name"                                                                          \
    }
#define HIDDEN                                                                                 \
    {                                                                                          \
        .key = "hidden", .type = KD_PARAM_FLAG, .flags = KD_PARAM_SERVER, .help = "not listed" \
    }
#define ICF                                                                                     \
    {                                                                                           \
        .key = "IcfEnable", .type = KD_PARAM_FLAG, .flags = KD_PARAM_SERVER, .help = "firewall" \
    }
#define IPVERSION                                                                          \
    {                                                                                      \
        .key = "ipversion", .type = KD_PARAM_UINT, .min = 6, .max = 6, .placeholder = "6", \
        .help = "IPv6 only"                                                                \
    }
#define BIND                                                                                 \
    {                                                                                        \
        .key = "bind", .type = KD_PARAM_HOST, .flags = KD_PARAM_EXTENSION | KD_PARAM_SERVER, \
        .placeholder = "ADDRESS", .help = "address"                                          \
    }

static const KdParamSpec npipe_own[] = {SERVER, PIPE, HIDDEN, ICF, {0}};
static const KdParamSpec tcp_own[] = {SERVER, CLIENT_CLICON, PORT, SERVER_CLICON, HIDDEN, IPVERSION,
                                      ICF,    BIND,          {0}};
static const KdParamSpec spipe_own[] = {SERVER, PIPE, HIDDEN, {0}};
static const KdParamSpec ssl_own[] = {SERVER, CLIENT_CLICON, PORT, SERVER_CLICON,
                                      HIDDEN, BIND,          {0}};

typedef struct {
    const char *scheme;
    const KdParamSpec *own;
    uint32_t caps;
    KdForm form;
    const char *usage;
} KdFormCase;

static const KdFormCase documented[] = {
    {"npipe", npipe_own, 0, KD_FORM_SERVER, "npipe:pipe=N[,hidden][,password=P][,IcfEnable]"},
    {"tcp", tcp_own, 0, KD_FORM_SERVER,
     "tcp:port=S[,hidden][,password=P][,ipversion=6][,IcfEnable]"},
    {"tcp", tcp_own, 0, KD_FORM_SERVER_CLICON, "tcp:port=S,clicon=C[,password=P][,ipversion=6]"},
    {"spipe", spipe_own, KD_TRANSPORT_TLS, KD_FORM_SERVER,
     "spipe:proto=X,{certuser=C|machuser=C},pipe=N[,hidden][,password=P]"},
    {"ssl", ssl_own, KD_TRANSPORT_TLS, KD_FORM_SERVER,
     "ssl:proto=X,{certuser=C|machuser=C},port=S[,hidden][,password=P]"},
    {"ssl", ssl_own, KD_TRANSPORT_TLS, KD_FORM_SERVER_CLICON,
     "ssl:proto=X,{certuser=C|machuser=C},port=S,clicon=C[,password=P]"},
    {"npipe", npipe_own, 0, KD_FORM_CLIENT, "npipe:server=HOST,pipe=N[,password=P]"},
    {"tcp", tcp_own, 0, KD_FORM_CLIENT, "tcp:server=HOST,port=S[,password=P][,ipversion=6]"},
    {"tcp", tcp_own, 0, KD_FORM_CLIENT_CLICON, "tcp:clicon=HOST,port=S[,password=P][,ipversion=6]"},
    {"spipe", spipe_own, KD_TRANSPORT_TLS, KD_FORM_CLIENT,
     "spipe:server=HOST,proto=X[,{certuser=C|machuser=C}],pipe=N[,password=P]"},
    {"ssl", ssl_own, KD_TRANSPORT_TLS, KD_FORM_CLIENT,
     "ssl:server=HOST,proto=X[,{certuser=C|machuser=C}],port=S[,password=P]"},
    {"ssl", ssl_own, KD_TRANSPORT_TLS, KD_FORM_CLIENT_CLICON,
     "ssl:clicon=HOST,proto=X[,{certuser=C|machuser=C}],port=S[,password=P]"},
};

static KdParamSpec *
build_table(const KdParamSpec *own, uint32_t caps)
{
    g_autoptr(GError) error = NULL;
    KdParamSpec *table = kd_host_keys_build_table(own, caps, &error);

    g_assert_no_error(error);
    return table;
}

static void
test_documented_lines(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(documented); i++) {
        const KdFormCase *row = &documented[i];
        g_autofree KdParamSpec *table = build_table(row->own, row->caps);
        g_autofree char *usage = kd_params_build_usage(row->scheme, table, row->form);

        g_assert_cmpstr(usage, ==, row->usage);
    }
}

/* Without `hidden`, as a third party may write it, and with groups of its own */
static void
test_other_table(void)
{
    static const KdParamSpec own[] = {
        {.key = "line", .type = KD_PARAM_UINT, .group = 1, .help = "number"},
        {.key = "name", .type = KD_PARAM_STRING, .group = 1, .help = "name"},
        {.key = "a", .type = KD_PARAM_FLAG, .group = 3, .help = "first"},
        {.key = "b", .type = KD_PARAM_FLAG, .group = 3, .help = "second"},
        {.key = "speed", .type = KD_PARAM_UINT, .flags = KD_PARAM_EXTENSION, .help = "speed"},
        {0},
    };
    g_autofree KdParamSpec *table = build_table(own, KD_TRANSPORT_TLS);
    g_autofree char *usage = kd_params_build_usage("x", table, KD_FORM_SERVER);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_params_parse(
        "x", table, KD_FORM_SERVER, "line=1,a,certuser=lab,password=abc,ca=/ca,clientcert=require",
        NULL, &error);

    g_assert_cmpstr(usage, ==,
                    "x:proto=X,{certuser=C|machuser=C}[,{line=N|name=TEXT}][,{a|b}][,password=P]");
    g_assert_no_error(error);
    g_assert_nonnull(params);
}

static void
assert_refused(const KdParamSpec *table, KdForm form, const char *items, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_params_parse("ssl", table, form, items, NULL, &error);

    g_assert_null(params);
    g_assert_nonnull(error);
    if (strstr(error->message, part) == NULL) {
        g_error("%s: %s", items, error->message);
    }
}

static void
test_values(void)
{
    g_autofree KdParamSpec *ssl = build_table(ssl_own, KD_TRANSPORT_TLS);
    g_autofree KdParamSpec *tcp = build_table(tcp_own, 0);
    g_autoptr(GVariant) server = kd_params_parse(
        "ssl", ssl, KD_FORM_SERVER, "certuser=aa:BB 01,port=1,password=abc", NULL, NULL);
    g_autoptr(GVariant) client =
        kd_params_parse("ssl", ssl, KD_FORM_CLIENT, "server=h,port=1", NULL, NULL);
    g_autofree char *listing = NULL;
    const char *text = NULL;

    g_assert_nonnull(server);
    g_assert_nonnull(client);
    g_assert_true(g_variant_lookup(server, "proto", "&s", &text));
    g_assert_cmpstr(text, ==, "tls1");
    listing = kd_params_build_listing("ssl", ssl, server, NULL);
    g_assert_cmpstr(listing, ==, "ssl:Certuser=aa:BB 01,Port=1,Password=*");
    assert_refused(ssl, KD_FORM_SERVER, "port=1", "certuser= or machuser= is missing");
    assert_refused(ssl, KD_FORM_SERVER, "port=1,clicon=c", "certuser= or machuser= is missing");
    assert_refused(ssl, KD_FORM_SERVER, "certuser=a,machuser=b,port=1", "exclude each other");
    assert_refused(ssl, KD_FORM_SERVER, "certuser=a,port=1,proto=tls2", "proto=");
    assert_refused(ssl, KD_FORM_SERVER, "certuser=a,port=1,clientcert=maybe", "clientcert=");
    assert_refused(ssl, KD_FORM_SERVER, "certuser=a,port=1,password=a,password-file=/a",
                   "exclude each other");
    assert_refused(ssl, KD_FORM_SERVER, "certuser=a,port=1,password=thirteenchars",
                   "at most 12 letters and digits");
    assert_refused(ssl, KD_FORM_SERVER, "certuser=a,port=1,password=p@ss", "letters and digits");
    assert_refused(tcp, KD_FORM_SERVER, "port=1,certuser=a", "unknown key");
}

/* A PIN is as good as a password */
static void
test_pin_is_not_listed(void)
{
    g_autofree KdParamSpec *table = build_table(ssl_own, KD_TRANSPORT_TLS);
    g_autoptr(GVariant) params =
        kd_params_parse("ssl", table, KD_FORM_SERVER,
                        "certuser=pkcs11:token=lab;object=kd?pin-value=9876,port=1", NULL, NULL);
    g_autofree char *listing = kd_params_build_listing("ssl", table, params, NULL);
    g_autofree char *masked =
        kd_params_build_masked("ssl", table, "certuser=pkcs11:token=lab?pin-value=9876,port=1");

    g_assert_cmpstr(listing, ==, "ssl:Certuser=pkcs11:token=lab;object=kd?pin-value=*,Port=1");
    g_assert_cmpstr(masked, ==, "ssl:certuser=pkcs11:token=lab?pin-value=*,port=1");
}

static void
test_strip(void)
{
    g_autofree KdParamSpec *table = build_table(ssl_own, KD_TRANSPORT_TLS);
    g_autoptr(GVariant) params = kd_params_parse(
        "ssl", table, KD_FORM_SERVER,
        "certuser=a,port=1:2,hidden,Password=abc,clientcert=request,ca=/ca,bind=::1", NULL, NULL);
    g_autoptr(GVariant) stripped = kd_host_keys_strip(params);
    g_autofree char *text = g_variant_print(stripped, FALSE);

    g_assert_cmpstr(text, ==,
                    "{'port': <(uint16 1, uint16 2)>, 'hidden': <true>, 'bind': <'::1'>}");
}

/* ---- at the door ---- */

static GVariant *last_checked;

static gboolean
on_check(GVariant *params, GError **error)
{
    (void)error;
    g_clear_pointer(&last_checked, g_variant_unref);
    last_checked = g_variant_ref(params);
    return TRUE;
}

static void
test_plugin_sees_none(void)
{
    g_autofree KdParamSpec *table = build_table(tcp_own, 0);
    const KdTransport transport = {.scheme = "tcp", .params = table, .check = on_check};
    g_autoptr(GVariant) params =
        kd_params_parse("tcp", table, KD_FORM_SERVER, "port=1,password=abc", NULL, NULL);
    g_autofree char *text = NULL;

    g_assert_true(kd_host_keys_check_stripped(&transport, params, NULL));
    text = g_variant_print(last_checked, FALSE);
    g_clear_pointer(&last_checked, g_variant_unref);
    g_assert_cmpstr(text, ==, "{'port': <(uint16 1, uint16 1)>}");
}

static void
on_connect(const KdHost *host, GVariant *params, GCancellable *cancellable,
           GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host, (void)params, (void)cancellable, (void)callback, (void)user_data;
}

static gboolean
on_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    (void)result, (void)endpoint, (void)error;
    return FALSE;
}

static KdTables *
load(const KdParamSpec *own, uint32_t caps, GError **error)
{
    const KdTransport transport = {
        .struct_size = sizeof transport,
        .caps = KD_TRANSPORT_CONNECT | caps,
        .scheme = "x",
        .summary = "none",
        .params = own,
        .connect_async = on_connect,
        .connect_finish = on_connect_finish,
    };
    const KdTransport *const transports[] = {&transport, NULL};
    const KdPlugin plugin = {
        .abi = KD_ABI_INIT(KdPlugin),
        .name = "x",
        .version = "0",
        .license = "none",
        .transports = transports,
    };

    return kd_tables_new(&plugin, "/x.so", error);
}

static void
test_tables_have_them(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTables) tables = load(ssl_own, KD_TRANSPORT_TLS, &error);
    const KdTransport *transport;
    g_autofree char *usage = NULL;

    g_assert_no_error(error);
    transport = g_ptr_array_index(tables->transports, 0);
    usage = kd_params_build_usage("ssl", transport->params, KD_FORM_SERVER);
    g_assert_cmpstr(usage, ==, "ssl:proto=X,{certuser=C|machuser=C},port=S[,hidden][,password=P]");
}

/* Also without TLS: the name means one thing everywhere */
static void
test_own_key_refused(void)
{
    static const char *const keys[] = {"password", "Password", "password-file", "proto",
                                       "certuser", "machuser", "clientcert",    "ca"};

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        const KdParamSpec own[] = {{.key = keys[i], .type = KD_PARAM_STRING, .help = "h"}, {0}};
        g_autoptr(GError) error = NULL;
        g_autoptr(KdTables) tables = load(own, i % 2 == 0 ? KD_TRANSPORT_TLS : 0, &error);

        g_assert_null(tables);
        g_assert_error(error, KD_ERROR, KD_ERROR_ABI);
        g_assert_true(g_str_has_prefix(error->message, "/x.so: transport `x`: key `"));
        g_assert_nonnull(strstr(error->message, keys[i]));
        g_assert_nonnull(strstr(error->message, "it is the host's"));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loader/host-keys/make-the-documented-line", test_documented_lines);
    g_test_add_func("/loader/host-keys/fit-any-table", test_other_table);
    g_test_add_func("/loader/host-keys/have-their-values", test_values);
    g_test_add_func("/loader/host-keys/pin-is-not-listed", test_pin_is_not_listed);
    g_test_add_func("/loader/host-keys/are-stripped", test_strip);
    g_test_add_func("/loader/host-keys/are-not-seen-by-plugins", test_plugin_sees_none);
    g_test_add_func("/loader/host-keys/are-added-at-the-door", test_tables_have_them);
    g_test_add_func("/loader/host-keys/are-nobody-elses", test_own_key_refused);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the registry takes, refuses, finds and lists. */
#include "kd-registry.h"

#include <string.h>

static const KdHost host = {.struct_size = sizeof host};
static guint n_inits;

static const KdParamSpec keys[] = {
    {.key = "port", .type = KD_PARAM_PORTS, .help = "where to listen"},
    {0},
};

static void
on_start(const KdHost *given, GVariant *params, GCancellable *cancellable,
         GAsyncReadyCallback callback, gpointer user_data)
{
    (void)given, (void)params, (void)cancellable, (void)callback, (void)user_data;
}

static gboolean
on_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    (void)result, (void)listening, (void)error;
    return FALSE;
}

static gboolean
on_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    (void)result, (void)endpoint, (void)error;
    return FALSE;
}

static void
on_accept(GObject *listener, GCancellable *cancellable, GAsyncReadyCallback callback,
          gpointer user_data)
{
    (void)listener, (void)cancellable, (void)callback, (void)user_data;
}

static void
on_open(const KdHost *given, GVariant *params, GVariant *session, const KdSink *sink,
        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    (void)given, (void)params, (void)session, (void)sink, (void)cancellable, (void)callback,
        (void)user_data;
}

static GObject *
on_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    (void)result, (void)endpoint, (void)error;
    return NULL;
}

static void
on_close(GObject *link, GAsyncReadyCallback callback, gpointer user_data)
{
    (void)link, (void)callback, (void)user_data;
}

static void
on_close_finish(GObject *link, GAsyncResult *result)
{
    (void)link, (void)result;
}

static gboolean
on_init(const KdHost *given, GError **error)
{
    (void)error;
    g_assert_true(given == &host);
    n_inits++;
    return TRUE;
}

static gboolean
on_failing_init(const KdHost *given, GError **error)
{
    (void)given;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "no usable device");
    return FALSE;
}

static gboolean
on_silent_init(const KdHost *given, GError **error)
{
    (void)given, (void)error;
    return FALSE;
}

/* A whole plugin of one transport and one target, to be spoilt by a test. */
typedef struct {
    KdPlugin plugin;
    KdTransport transport;
    KdTarget target;
    const KdTransport *transports[2];
    const KdTarget *targets[2];
} Sample;

static Sample *
sample_new(const char *name, const char *scheme)
{
    Sample *sample = g_new0(Sample, 1);
    sample->transport = (KdTransport){
        .struct_size = sizeof(KdTransport),
        .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT,
        .scheme = scheme,
        .summary = "for tests",
        .params = keys,
        .listen_async = on_start,
        .listen_finish = on_listen_finish,
        .connect_async = on_start,
        .connect_finish = on_connect_finish,
    };
    sample->target = (KdTarget){
        .struct_size = sizeof(KdTarget),
        .scheme = scheme,
        .summary = "for tests",
        .params = keys,
        .open_async = on_open,
        .open_finish = on_open_finish,
        .close_async = on_close,
        .close_finish = on_close_finish,
    };
    sample->transports[0] = &sample->transport;
    sample->targets[0] = &sample->target;
    sample->plugin = (KdPlugin){
        .abi = KD_ABI_INIT(KdPlugin),
        .name = name,
        .version = "1.2",
        .license = "MIT",
        .transports = sample->transports,
        .targets = sample->targets,
    };
    return sample;
}

static void
assert_added(KdRegistry *registry, const Sample *sample, const char *path)
{
    g_autoptr(GError) error = NULL;
    gboolean is_added = kd_registry_add(registry, &sample->plugin, path, &error);
    g_assert_no_error(error);
    g_assert_true(is_added);
}

static void
assert_refused(const Sample *sample, const char *reason)
{
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_registry_add(registry, &sample->plugin, "/p/x.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_ABI);
    g_assert_true(g_str_has_prefix(error->message, "/p/x.so: "));
    if (strstr(error->message, reason) == NULL) {
        g_error("`%s` does not say `%s`", error->message, reason);
    }
    g_assert_cmpuint(kd_registry_get_n_entries(registry), ==, 1);
    const KdRegistryEntry *entry = kd_registry_get_entry(registry, 0);
    g_assert_cmpstr(entry->path, ==, "/p/x.so");
    g_assert_cmpstr(entry->refusal, ==, error->message);
    g_assert_null(entry->kind);
}

static void
test_transport_and_target_are_found(void)
{
    g_autofree Sample *sample = sample_new("sample", "tcp");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    n_inits = 0;
    sample->plugin.init = on_init;
    assert_added(registry, sample, "/p/x.so");
    g_assert_cmpuint(n_inits, ==, 1);
    const KdTransport *transport = kd_registry_find_transport(registry, "tcp", &error);
    g_assert_no_error(error);
    g_assert_true(transport->listen_async == on_start);
    const KdTarget *target = kd_registry_find_target(registry, "TCP", &error);
    g_assert_no_error(error);
    g_assert_true(target->open_async == on_open);
    g_assert_true(kd_registry_get_host(registry) == &host);
}

static void
test_tables_are_copied(void)
{
    g_autofree Sample *sample = sample_new("sample", "tcp");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    assert_added(registry, sample, NULL);
    const KdTransport *transport = kd_registry_find_transport(registry, "tcp", &error);
    g_assert_no_error(error);
    g_assert_true(transport != &sample->transport);
    sample->transport.connect_async = NULL;
    g_assert_nonnull(transport->connect_async);
}

static void
test_longer_tables_of_a_newer_plugin_are_accepted(void)
{
    struct {
        KdTransport transport;
        gpointer added;
    } newer = {.added = &newer};
    g_autofree Sample *sample = sample_new("sample", "tcp");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    newer.transport = sample->transport;
    newer.transport.struct_size = sizeof newer;
    sample->transports[0] = &newer.transport;
    sample->plugin.abi.minor = KD_ABI_MINOR + 1;
    assert_added(registry, sample, NULL);
    g_autoptr(GError) error = NULL;
    const KdTransport *transport = kd_registry_find_transport(registry, "tcp", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(transport->struct_size, ==, sizeof(KdTransport));
    g_assert_cmpuint(kd_registry_get_entry(registry, 0)->abi_minor, ==, KD_ABI_MINOR + 1);
}

static void
test_abi_header_is_checked(void)
{
    g_autofree Sample *sample = sample_new("sample", "tcp");
    sample->plugin.abi.magic = 0x12345678;
    /* nothing behind the header may be read */
    sample->plugin.name = GSIZE_TO_POINTER(8);
    assert_refused(sample, "magic");
    sample->plugin.abi.magic = KD_ABI_MAGIC;
    sample->plugin.abi.major = 1;
    assert_refused(sample, "/p/x.so: built for plugin ABI 1, this kdsrv speaks 0");
    sample->plugin.abi.major = 0;
    sample->plugin.abi.minor_needed = KD_ABI_MINOR + 3;
    assert_refused(sample, "/p/x.so: needs plugin ABI 0.3 or newer, this kdsrv speaks 0.0");
    sample->plugin.abi.minor_needed = 0;
    sample->plugin.abi.struct_size = sizeof(KdAbi);
    assert_refused(sample, "struct_size 16");
    sample->plugin.abi.struct_size = UINT32_MAX;
    assert_refused(sample, "struct_size");
}

static void
test_plugin_strings_are_checked(void)
{
    g_autofree Sample *sample = sample_new(NULL, "tcp");
    assert_refused(sample, "no name");
    sample->plugin.name = "two\nlines";
    assert_refused(sample, "no name");
    sample->plugin.name = "sample";
    sample->plugin.version = "";
    assert_refused(sample, "no version");
    sample->plugin.version = "1";
    sample->plugin.license = NULL;
    assert_refused(sample, "no licence");
    sample->plugin.license = "MIT";
    sample->transport.summary = NULL;
    assert_refused(sample, "no summary");
}

static void
test_schemes_are_lower_case_letters_and_digits(void)
{
    static const char *const schemes[] = {
        NULL, "", "TCP", "t-cp", "t:", "t\xc3\xa4", "abcdefghijklmnopqrstuvwxyz012345"};
    for (gsize i = 0; i < G_N_ELEMENTS(schemes); i++) {
        g_autofree Sample *sample = sample_new("sample", "x");
        sample->transport.scheme = schemes[i];
        assert_refused(sample, "a transport's scheme");
        sample->transport.scheme = "x";
        sample->target.scheme = schemes[i];
        assert_refused(sample, "a target's scheme");
    }
    g_autofree Sample *longest = sample_new("sample", "abcdefghijklmnopqrstuvwxyz01234");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    assert_added(registry, longest, NULL);
}

static void
test_transport_needs_what_its_caps_say(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    KdTransport whole = sample->transport;
    sample->transport.caps = 0;
    assert_refused(sample, "neither KD_TRANSPORT_LISTEN");
    sample->transport = whole;
    sample->transport.listen_finish = NULL;
    assert_refused(sample, "KD_TRANSPORT_LISTEN needs");
    sample->transport = whole;
    sample->transport.connect_async = NULL;
    assert_refused(sample, "KD_TRANSPORT_CONNECT needs");
    sample->transport = whole;
    sample->transport.accept_async = on_accept;
    assert_refused(sample, "accept_async and accept_finish");
    sample->transport = whole;
    sample->transport.struct_size = offsetof(KdTransport, connect_finish);
    assert_refused(sample, "struct_size");
    sample->transport = whole;
    sample->transport.caps = KD_TRANSPORT_LISTEN;
    sample->transport.connect_async = NULL;
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    assert_added(registry, sample, NULL);
}

static void
test_target_needs_what_its_caps_say(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    KdTarget whole = sample->target;
    sample->target.open_finish = NULL;
    assert_refused(sample, "open_async and open_finish");
    sample->target = whole;
    sample->target.close_async = NULL;
    assert_refused(sample, "close_async and close_finish");
    sample->target = whole;
    sample->target.caps = 1u << KD_CONTROL_BREAK;
    assert_refused(sample, "control_async and control_finish");
    sample->target = whole;
    sample->target.caps = KD_TARGET_REOPEN;
    assert_refused(sample, "reopen_async and reopen_finish");
    sample->target = whole;
    sample->target.struct_size = 4;
    assert_refused(sample, "struct_size");
}

static void
test_plugin_that_offers_nothing_is_refused(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    sample->transports[0] = NULL;
    sample->targets[0] = NULL;
    assert_refused(sample, "neither a transport nor a target");
    sample->plugin.transports = NULL;
    sample->plugin.targets = NULL;
    assert_refused(sample, "neither a transport nor a target");
}

static void
test_list_without_end_is_refused(void)
{
    const KdTransport *list[64];
    g_autofree Sample *sample = sample_new("sample", "x");
    for (gsize i = 0; i < G_N_ELEMENTS(list); i++) {
        list[i] = &sample->transport;
    }
    sample->plugin.transports = list;
    assert_refused(sample, "the list of transports has no end");
}

static void
test_scheme_offered_twice_by_one_file_is_refused(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    const KdTransport *list[] = {&sample->transport, &sample->transport, NULL};
    sample->plugin.transports = list;
    assert_refused(sample, "transport `x` twice");
}

static void
test_later_file_of_one_scheme_is_refused(void)
{
    g_autofree Sample *first = sample_new("first", "x");
    g_autofree Sample *second = sample_new("second", "x");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    first->plugin.targets = NULL;
    assert_added(registry, first, "/p/first.so");
    g_assert_false(kd_registry_add(registry, &second->plugin, "/p/second.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_ABI);
    g_assert_cmpstr(error->message, ==,
                    "/p/second.so: transport `x` is there already, from /p/first.so");
    g_clear_error(&error);
    /* the file is refused whole */
    g_assert_null(kd_registry_find_target(registry, "x", &error));
    g_clear_error(&error);
    /* one scheme for a transport and a target is fine */
    second->plugin.transports = NULL;
    assert_added(registry, second, "/p/second.so");
}

static void
test_later_file_of_one_name_is_refused(void)
{
    g_autofree Sample *first = sample_new("twin", "x");
    g_autofree Sample *second = sample_new("twin", "y");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    assert_added(registry, first, "/p/first.so");
    g_assert_false(kd_registry_add(registry, &second->plugin, "/p/second.so", &error));
    g_assert_nonnull(strstr(error->message, "/p/second.so: "));
    g_assert_nonnull(strstr(error->message, "/p/first.so"));
}

static void
test_failing_init_refuses_the_file(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    sample->plugin.init = on_failing_init;
    g_assert_false(kd_registry_add(registry, &sample->plugin, "/p/x.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_assert_cmpstr(error->message, ==, "/p/x.so: no usable device");
    g_clear_error(&error);
    sample->plugin.init = on_silent_init;
    g_assert_false(kd_registry_add(registry, &sample->plugin, "/p/x.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_FAILED);
    g_clear_error(&error);
    g_assert_null(kd_registry_find_transport(registry, "x", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
}

static void
test_init_is_not_called_before_all_checks(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    n_inits = 0;
    sample->plugin.init = on_init;
    sample->target.open_async = NULL;
    assert_refused(sample, "open_async");
    g_assert_cmpuint(n_inits, ==, 0);
}

static void
test_sealed_registry_takes_nothing(void)
{
    g_autofree Sample *sample = sample_new("sample", "x");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    kd_registry_seal(registry);
    g_assert_false(kd_registry_add(registry, &sample->plugin, "/p/x.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_true(g_str_has_prefix(error->message, "/p/x.so: too late"));
    g_clear_error(&error);
    g_assert_false(kd_registry_load_file(registry, "/p/x.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_clear_error(&error);
    g_assert_false(kd_registry_load_folder(registry, "/p", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
}

static void
test_unknown_scheme_lists_what_is_there(void)
{
    g_autofree Sample *first = sample_new("first", "com");
    g_autofree Sample *second = sample_new("second", "tcp");
    g_autoptr(KdRegistry) registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    g_assert_null(kd_registry_find_transport(registry, "x", &error));
    g_assert_cmpstr(error->message, ==, "no transport `x`; loaded: none");
    g_clear_error(&error);
    assert_added(registry, first, NULL);
    second->plugin.targets = NULL;
    assert_added(registry, second, NULL);
    g_assert_null(kd_registry_find_transport(registry, "x\n", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_assert_cmpstr(error->message, ==, "no transport `x\\n`; loaded: com, tcp");
    g_clear_error(&error);
    g_assert_null(kd_registry_find_target(registry, "x", &error));
    g_assert_cmpstr(error->message, ==, "no target `x`; loaded: com");
}

static KdRegistry *
registry_of_good_and_refused(Sample *good, Sample *refused)
{
    KdRegistry *registry = kd_registry_new(&host);
    g_autoptr(GError) error = NULL;
    good->plugin.targets = NULL;
    refused->plugin.abi.major = 7;
    g_assert_false(kd_registry_add(registry, &refused->plugin, "/p/a.so", &error));
    assert_added(registry, good, "/p/tcp.so");
    return registry;
}

static void
test_table_has_loaded_and_refused_rows(void)
{
    g_autofree Sample *good = sample_new("good", "tcp");
    g_autofree Sample *refused = sample_new("refused", "x");
    g_autoptr(KdRegistry) registry = registry_of_good_and_refused(good, refused);
    g_autofree char *table = kd_registry_build_table(registry);
    g_assert_cmpstr(table, ==,
                    "transport tcp  1.2  ABI 0.0  MIT  /p/tcp.so\n"
                    "refused  /p/a.so: built for plugin ABI 7, this kdsrv speaks 0\n");
}

static void
test_json_has_loaded_and_refused_rows(void)
{
    g_autofree Sample *good = sample_new("good", "tcp");
    g_autofree Sample *refused = sample_new("refused", "x");
    g_autoptr(KdRegistry) registry = registry_of_good_and_refused(good, refused);
    g_autofree char *json = kd_registry_build_json(registry);
    static const char *const parts[] = {
        "\"abi\" : \"0.0\"",      "\"kind\" : \"transport\"", "\"scheme\" : \"tcp\"",
        "\"license\" : \"MIT\"",  "\"path\" : \"/p/tcp.so\"", "\"path\" : \"/p/a.so\"",
        "\"name\" : \"good\"",    "\"version\" : \"1.2\"",    "\"summary\" : \"for tests\"",
        "built for plugin ABI 7",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_test_message("%s", parts[i]);
        g_assert_nonnull(strstr(json, parts[i]));
    }
    g_autoptr(KdRegistry) empty = kd_registry_new(&host);
    g_autofree char *nothing = kd_registry_build_json(empty);
    g_assert_nonnull(strstr(nothing, "\"plugins\" : ["));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loader/registry/transport-and-target-are-found",
                    test_transport_and_target_are_found);
    g_test_add_func("/loader/registry/tables-are-copied", test_tables_are_copied);
    g_test_add_func("/loader/registry/longer-tables-of-a-newer-plugin-are-accepted",
                    test_longer_tables_of_a_newer_plugin_are_accepted);
    g_test_add_func("/loader/registry/abi-header-is-checked", test_abi_header_is_checked);
    g_test_add_func("/loader/registry/plugin-strings-are-checked", test_plugin_strings_are_checked);
    g_test_add_func("/loader/registry/schemes-are-lower-case-letters-and-digits",
                    test_schemes_are_lower_case_letters_and_digits);
    g_test_add_func("/loader/registry/transport-needs-what-its-caps-say",
                    test_transport_needs_what_its_caps_say);
    g_test_add_func("/loader/registry/target-needs-what-its-caps-say",
                    test_target_needs_what_its_caps_say);
    g_test_add_func("/loader/registry/plugin-that-offers-nothing-is-refused",
                    test_plugin_that_offers_nothing_is_refused);
    g_test_add_func("/loader/registry/list-without-end-is-refused",
                    test_list_without_end_is_refused);
    g_test_add_func("/loader/registry/scheme-offered-twice-by-one-file-is-refused",
                    test_scheme_offered_twice_by_one_file_is_refused);
    g_test_add_func("/loader/registry/later-file-of-one-scheme-is-refused",
                    test_later_file_of_one_scheme_is_refused);
    g_test_add_func("/loader/registry/later-file-of-one-name-is-refused",
                    test_later_file_of_one_name_is_refused);
    g_test_add_func("/loader/registry/failing-init-refuses-the-file",
                    test_failing_init_refuses_the_file);
    g_test_add_func("/loader/registry/init-is-not-called-before-all-checks",
                    test_init_is_not_called_before_all_checks);
    g_test_add_func("/loader/registry/sealed-registry-takes-nothing",
                    test_sealed_registry_takes_nothing);
    g_test_add_func("/loader/registry/unknown-scheme-lists-what-is-there",
                    test_unknown_scheme_lists_what_is_there);
    g_test_add_func("/loader/registry/table-has-loaded-and-refused-rows",
                    test_table_has_loaded_and_refused_rows);
    g_test_add_func("/loader/registry/json-has-loaded-and-refused-rows",
                    test_json_has_loaded_and_refused_rows);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cases about the tables: what a plugin says of itself, and the strings that its keys refuse. */
#include "kd-check.h"
#include "kd-host-keys.h"

#include <string.h>

static void
check_word(const char *what, const char *text)
{
    if (text == NULL || *text == '\0')
        g_error("%s is missing", what);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    for (const char *c = text; *c != '\0'; c++)
        g_assert_false(g_ascii_iscntrl(*c));
}

static void
check_sentence(const char *what, const char *text)
{
    check_word(what, text);
    if (g_str_has_suffix(text, "."))
        g_error("%s: \"%s\" ends in a full stop", what, text);
}

static void
check_scheme(const char *scheme)
{
    check_word("scheme", scheme);
    g_assert_cmpuint(strlen(scheme), <=, KD_PARAMS_MAX_SCHEME);
    for (const char *c = scheme; *c != '\0'; c++)
        g_assert_true(g_ascii_islower(*c) || g_ascii_isdigit(*c));
}

static void
test_exports(const KdCheckSubject *subject)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) exports = kd_check_build_exports(subject->file, &error);
    g_assert_no_error(error);
    g_autofree char *all = g_strjoinv(" ", exports);
    g_assert_cmpstr(all, ==, KD_PLUGIN_SYMBOL_NAME);
}

static void
test_descriptor(const KdCheckSubject *subject)
{
    const KdPlugin *plugin = subject->plugin;
    g_assert_cmpuint(plugin->abi.reserved, ==, 0);
    g_assert_cmpuint(plugin->abi.struct_size, >=, sizeof(KdPlugin));
    check_word("name", plugin->name);
    check_word("version", plugin->version);
    check_word("license", plugin->license);
    if (plugin->origin != NULL)
        check_word("origin", plugin->origin);
    g_assert_true(plugin->transports != NULL || plugin->targets != NULL);
}

static void
test_functions(const KdCheckSubject *subject)
{
    if (subject->transport != NULL) {
        const KdTransport *transport = subject->transport;
        g_assert_cmpuint(transport->struct_size, >=, sizeof(KdTransport));
        g_assert_cmpuint(transport->caps & (KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT), !=, 0);
        if ((transport->caps & KD_TRANSPORT_LISTEN) != 0)
            g_assert_true(transport->listen_async != NULL && transport->listen_finish != NULL);
        if ((transport->caps & KD_TRANSPORT_CONNECT) != 0)
            g_assert_true(transport->connect_async != NULL && transport->connect_finish != NULL);
        g_assert_true((transport->accept_async != NULL) == (transport->accept_finish != NULL));
        return;
    }
    const KdTarget *target = subject->target;
    const uint32_t controls = 0xfffeu;
    g_assert_cmpuint(target->struct_size, >=, sizeof(KdTarget));
    g_assert_true(target->open_async != NULL && target->open_finish != NULL);
    g_assert_true(target->close_async != NULL && target->close_finish != NULL);
    g_assert_true((target->enumerate_async != NULL) == (target->enumerate_finish != NULL));
    if ((target->caps & KD_TARGET_REOPEN) != 0)
        g_assert_true(target->reopen_async != NULL && target->reopen_finish != NULL);
    if ((target->caps & controls) != 0)
        g_assert_true(target->control_async != NULL && target->control_finish != NULL);
    g_assert_cmpuint(target->caps & 1u, ==, 0);
}

static void
test_words(const KdCheckSubject *subject)
{
    check_scheme(subject->transport != NULL ? subject->transport->scheme : subject->target->scheme);
    check_sentence("summary", subject->transport != NULL ? subject->transport->summary
                                                         : subject->target->summary);
}

static const KdParamSpec *
get_table(const KdCheckSubject *subject)
{
    return subject->transport != NULL ? subject->transport->params : subject->target->params;
}

static const char *
get_scheme(const KdCheckSubject *subject)
{
    return subject->transport != NULL ? subject->transport->scheme : subject->target->scheme;
}

static void
test_keys(const KdCheckSubject *subject)
{
    guint n = 0;
    g_assert_nonnull(get_table(subject));
    for (const KdParamSpec *spec = get_table(subject); spec->key != NULL; spec++) {
        check_word("key", spec->key);
        g_assert_cmpuint(strlen(spec->key), <=, 32);
        g_assert_null(strpbrk(spec->key, "=,:@{} "));
        g_assert_cmpuint(spec->type, >=, KD_PARAM_FLAG);
        g_assert_cmpuint(spec->type, <=, KD_PARAM_DEVICE);
        check_sentence(spec->key, spec->help);
        if (spec->max != 0)
            g_assert_cmpuint(spec->min, <=, spec->max);
        if (spec->type == KD_PARAM_CHOICE)
            g_assert_true(spec->choices != NULL && spec->choices[0] != NULL);
        g_assert_true(spec->reserved[0] == NULL && spec->reserved[1] == NULL);
        g_assert_cmpuint(++n, <, KD_PARAMS_MAX_ITEMS);
    }
}

/* The forms in which a subject's strings may stand, 0-terminated */
static const KdForm *
get_forms(const KdCheckSubject *subject)
{
    static const KdForm target[] = {KD_FORM_TARGET, 0};
    static const KdForm server[] = {KD_FORM_SERVER, 0};
    static const KdForm client[] = {KD_FORM_CLIENT, 0};
    static const KdForm both[] = {KD_FORM_SERVER, KD_FORM_CLIENT, 0};
    if (subject->target != NULL)
        return target;
    switch (subject->transport->caps & (KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT)) {
    case KD_TRANSPORT_LISTEN:
        return server;
    case KD_TRANSPORT_CONNECT:
        return client;
    default:
        return both;
    }
}

static const char *
get_nothing(const char *variable G_GNUC_UNUSED, void *user G_GNUC_UNUSED)
{
    return NULL;
}

/* Password and TLS are for the host, which adds their keys */
static void
test_host_keys(const KdCheckSubject *subject)
{
    g_autoptr(GError) error = NULL;
    if (!kd_host_keys_check_own(subject->transport->params, subject->transport->scheme, &error))
        g_error("%s", error->message);
}

static const KdParamsSource empty_source = {.environment = get_nothing, .machine = "here"};

static void
test_usage(const KdCheckSubject *subject)
{
    for (const KdForm *form = get_forms(subject); *form != 0; form++) {
        g_autofree char *prefix = g_strconcat(get_scheme(subject), ":", NULL);
        g_autofree char *usage =
            kd_params_build_usage(get_scheme(subject), get_table(subject), *form);
        g_autofree char *help =
            kd_params_build_help(get_scheme(subject), get_table(subject), *form);
        g_assert_nonnull(usage);
        g_assert_true(strstr(usage, prefix) != NULL);
        g_assert_nonnull(help);
    }
}

static void
test_listing(const KdCheckSubject *subject)
{
    KdForm form = get_forms(subject)[0];
    if (subject->adapter == NULL) {
        g_test_skip("no string is known for this scheme: give one with --spec");
        return;
    }
    g_autoptr(KdCheckPeer) peer = kd_check_peer_new(subject->adapter);
    g_autoptr(GVariant) params =
        kd_check_parse(get_scheme(subject), get_table(subject), form, peer->spec);
    g_autofree char *listing =
        kd_params_build_listing(get_scheme(subject), get_table(subject), params, NULL);
    g_assert_nonnull(listing);
    g_autoptr(GVariant) again =
        kd_check_parse(get_scheme(subject), get_table(subject), form, listing);
    g_assert_nonnull(again);
}

static gboolean
is_refused_by_check(const KdCheckSubject *subject, GVariant *params, GError **error)
{
    if (subject->transport != NULL)
        return subject->transport->check != NULL && !subject->transport->check(params, error);
    return subject->target->check != NULL && !subject->target->check(params, error);
}

static void
test_bad_inputs(const KdCheckSubject *subject)
{
    for (const KdForm *form = get_forms(subject); *form != 0; form++) {
        g_auto(GStrv) bad =
            kd_params_build_bad_inputs(get_scheme(subject), get_table(subject), *form);
        for (guint i = 0; bad[i] != NULL; i++) {
            g_autoptr(GError) error = NULL;
            g_autoptr(GVariant) params = kd_params_parse(get_scheme(subject), get_table(subject),
                                                         *form, bad[i], &empty_source, &error);
            if (params != NULL && !is_refused_by_check(subject, params, &error))
                g_error("%s:%s is accepted", get_scheme(subject), bad[i]);
            kd_check_error_is_sane(error);
        }
    }
}

static void
test_bad_params(const KdCheckSubject *subject)
{
    g_autoptr(GVariant) empty =
        g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE("{sv}"), NULL, 0));
    g_autoptr(GError) error = NULL;
    /* TRUE is fine, FALSE needs an error, a crash is neither */
    if (is_refused_by_check(subject, empty, &error))
        kd_check_error_is_sane(error);
    else
        g_assert_no_error(error);
}

/**
 * kd_check_parse:
 * @spec: with the scheme
 *
 * Returns: (transfer full): the parsed keys; a string that is refused ends the program
 */
GVariant *
kd_check_parse(const char *scheme, const KdParamSpec *table, KdForm form, const char *spec)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *found = NULL;
    g_autofree char *items = NULL;
    if (!kd_params_split(spec, &found, &items, &error))
        g_error("%s: %s", spec, error->message);
    g_assert_cmpstr(found, ==, scheme);
    GVariant *params = kd_params_parse(scheme, table, form, items, &empty_source, &error);
    if (params == NULL)
        g_error("%s: %s", spec, error->message);
    return params;
}

/**
 * kd_check_error_is_sane:
 * @error: (nullable): must not be %NULL
 *
 * Looks at the domain and the text of an error that a plugin has given.
 */
void
kd_check_error_is_sane(const GError *error)
{
    g_assert_nonnull(error);
    if (error->domain != KD_ERROR && error->domain != G_IO_ERROR &&
        error->domain != G_RESOLVER_ERROR)
        g_error("\"%s\" is of domain %s", error->message, g_quark_to_string(error->domain));
    check_sentence("message of an error", error->message);
    /* The sentence of a cancellation is GLib's own. */
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    if (g_ascii_isupper(error->message[0]) && g_ascii_islower(error->message[1]))
        g_error("\"%s\" starts in upper case", error->message);
}

/**
 * kd_check_add_table_cases:
 *
 * Adds the cases that need neither a host nor a peer.
 */
void
kd_check_add_table_cases(const KdCheckSubject *subject)
{
    if (subject->transport == NULL && subject->target == NULL) {
        kd_check_add_case("exports-its-descriptor-only", test_exports, subject);
        kd_check_add_case("descriptor-says-who-it-is", test_descriptor, subject);
        return;
    }
    kd_check_add_case("table/has-the-functions-of-its-capabilities", test_functions, subject);
    kd_check_add_case("table/scheme-and-summary-are-in-order", test_words, subject);
    kd_check_add_case("params/keys-are-in-order", test_keys, subject);
    if (subject->transport != NULL)
        kd_check_add_case("params/leaves-the-keys-of-the-host", test_host_keys, subject);
    kd_check_add_case("params/usage-and-help-come-from-the-table", test_usage, subject);
    kd_check_add_case("params/listing-can-be-parsed-again", test_listing, subject);
    kd_check_add_case("params/bad-inputs-are-refused", test_bad_inputs, subject);
    kd_check_add_case("params/check-bears-an-empty-set", test_bad_params, subject);
}

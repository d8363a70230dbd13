/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wrong strings that a table yields: all are refused, and each kind of fault is among them. */
#include "params-assert.h"

static const char *
get_any_variable(const char *variable G_GNUC_UNUSED, void *user G_GNUC_UNUSED)
{
    return "com1";
}

static void
assert_all_refused(const char *scheme, const KdParamSpec *table, KdForm form)
{
    const KdParamsSource source = {get_any_variable, NULL, "HOST"};
    g_auto(GStrv) inputs = kd_params_build_bad_inputs(scheme, table, form);
    g_assert_cmpuint(g_strv_length(inputs), >, 10);
    for (guint i = 0; inputs[i] != NULL; i++) {
        for (guint with_source = 0; with_source < 2; with_source++) {
            g_autoptr(GError) error = NULL;
            g_autoptr(GVariant) params = kd_params_parse(scheme, table, form, inputs[i],
                                                         with_source ? &source : NULL, &error);
            if (params != NULL)
                g_error("%s form %d accepts \"%s\"", scheme, (int)form, inputs[i]);
            g_assert_nonnull(error);
            g_assert_true(error->domain == KD_ERROR);
            g_assert_cmpuint(strlen(error->message), <, 300);
            g_assert_true(g_str_has_prefix(error->message, scheme));
        }
    }
}

static void
test_all_are_refused(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(all_tables); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(all_forms); j++)
            assert_all_refused(all_tables[i].scheme, all_tables[i].table, all_forms[j]);
    }
}

static void
assert_has_message(char **inputs, const char *scheme, const KdParamSpec *table, KdForm form,
                   const char *message)
{
    for (guint i = 0; inputs[i] != NULL; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) params = kd_params_parse(scheme, table, form, inputs[i], NULL, &error);
        if (params == NULL && strstr(error->message, message) != NULL)
            return;
    }
    g_error("%s: no input is refused with \"%s\"", scheme, message);
}

static void
test_each_fault_is_there(void)
{
    static const char *const faults[] = {
        "tcp: unknown key no-such-key",
        "tcp: unknown key no-such-flag",
        "tcp: port= is missing",
        "tcp: port= is given twice",
        "tcp: hidden is given twice",
        "tcp: hidden takes no value",
        "tcp: port= needs a value",
        "tcp: port=0: must be",
        "tcp: port=65536: must be",
        "tcp: port=60:51: the range",
        "tcp: ipversion=5: must be 6",
        "tcp: ipversion=7: must be 6",
        "tcp: password=*: at most 12",
        "tcp: password=*: must be letters",
        "tcp: bind=: a host name has no spaces",
        "tcp: bind=: at most 255 bytes",
        "tcp: server= is only for clients",
        "tcp: an empty item",
        "tcp: a value without a key",
        "has no closing }",
        "must be followed by a comma",
        "nested deeper than 8",
        "longer than 4096 bytes",
        "more than 64 items",
        "has a control character",
    };
    g_auto(GStrv) inputs = kd_params_build_bad_inputs("tcp", tcp_table, KD_FORM_SERVER);
    for (gsize i = 0; i < G_N_ELEMENTS(faults); i++)
        assert_has_message(inputs, "tcp", tcp_table, KD_FORM_SERVER, faults[i]);
}

static void
test_faults_of_other_types(void)
{
    g_auto(GStrv) ssl = kd_params_build_bad_inputs("ssl", ssl_table, KD_FORM_CLIENT);
    g_auto(GStrv) link = kd_params_build_bad_inputs("link", link_table, KD_FORM_TARGET);
    g_auto(GStrv) serial = kd_params_build_bad_inputs("com", serial_table, KD_FORM_TARGET);
    g_auto(GStrv) tcp = kd_params_build_bad_inputs("tcp", tcp_table, KD_FORM_CLIENT);
    assert_has_message(ssl, "ssl", ssl_table, KD_FORM_CLIENT, "proto=no-such-word: must be one of");
    assert_has_message(ssl, "ssl", ssl_table, KD_FORM_CLIENT, "exclude each other");
    assert_has_message(ssl, "ssl", ssl_table, KD_FORM_CLIENT, "certuser= or machuser= is missing");
    assert_has_message(link, "link", link_table, KD_FORM_TARGET, "must be an absolute path");
    assert_has_message(link, "link", link_table, KD_FORM_TARGET, "channel=63: must be");
    assert_has_message(serial, "com", serial_table, KD_FORM_TARGET, "write port=com2");
    assert_has_message(tcp, "tcp", tcp_table, KD_FORM_CLIENT, "a range can't be dialled");
    assert_has_message(tcp, "tcp", tcp_table, KD_FORM_CLIENT, "server= is missing");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/bad-inputs/all-are-refused-by-all-tables", test_all_are_refused);
    g_test_add_func("/params/bad-inputs/have-each-fault", test_each_fault_is_there);
    g_test_add_func("/params/bad-inputs/have-faults-of-other-types", test_faults_of_other_types);
    return g_test_run();
}

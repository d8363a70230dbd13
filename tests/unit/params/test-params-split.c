/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grammar and its limits. */
#include <kd-params.h>

#include <string.h>

static void
assert_split(const char *text, const char *scheme, const char *items)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *got_scheme = NULL;
    g_autofree char *got_items = NULL;
    g_assert_true(kd_params_split(text, &got_scheme, &got_items, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(got_scheme, ==, scheme);
    g_assert_cmpstr(got_items, ==, items);
}

static void
assert_refused(const char *text, const char *problem)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    g_assert_false(kd_params_split(text, &scheme, &items, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_null(scheme);
    g_assert_null(items);
    if (strstr(error->message, problem) == NULL)
        g_error("\"%s\" does not say \"%s\"", error->message, problem);
    g_assert_cmpuint(strlen(error->message), <, 300);
}

static void
test_scheme_in_lower_case(void)
{
    assert_split("TcP:port=1", "tcp", "port=1");
    assert_split("1394:channel=1", "1394", "channel=1");
}

static void
test_scheme_alone(void)
{
    assert_split("com:", "com", "");
}

static void
test_keeps_items_as_typed(void)
{
    assert_split("tcp:Port=1,HIDDEN,x=@{a,b=@{c,d}}", "tcp", "Port=1,HIDDEN,x=@{a,b=@{c,d}}");
    assert_split("tcp:port=51:60", "tcp", "port=51:60");
}

static void
test_refuses_bad_schemes(void)
{
    g_autofree char *longest = g_strnfill(KD_PARAMS_MAX_SCHEME, 'a');
    g_autofree char *text = g_strconcat(longest, ":", NULL);
    g_autofree char *longer = g_strconcat("a", longest, ":", NULL);
    assert_split(text, longest, "");
    assert_refused(longer, "longer than 32 bytes");
    assert_refused("tcp", "no scheme");
    assert_refused("", "no scheme");
    assert_refused(":port=1", "nothing before the colon");
    assert_refused("t-p:port=1", "letters and digits");
    assert_refused("password=abc:1", "letters and digits");
}

static void
test_refuses_empty_items(void)
{
    assert_refused("tcp:,", "tcp: an empty item");
    assert_refused("tcp:,port=1", "an empty item");
    assert_refused("tcp:port=1,", "an empty item");
    assert_refused("tcp:port=1,,hidden", "an empty item");
    assert_refused("tcp:=1", "without a key");
}

static void
test_refuses_unbalanced_braces(void)
{
    assert_refused("kdsrv:server=@{tcp:a", "kdsrv: server=@{ has no closing }");
    assert_refused("kdsrv:server=@{a{b},c", "has no closing }");
    assert_refused("kdsrv:server=@{a}b", "followed by a comma");
    assert_refused("kdsrv:server=@{a}}", "followed by a comma");
}

static void
test_limits_depth(void)
{
    assert_split("x:a=@{@{@{@{@{@{@{@{1}}}}}}}}", "x", "a=@{@{@{@{@{@{@{@{1}}}}}}}}");
    assert_refused("x:a=@{@{@{@{@{@{@{@{@{1}}}}}}}}}", "nested deeper than 8");
}

static void
test_limits_bytes(void)
{
    g_autofree char *fill = g_strnfill(KD_PARAMS_MAX_BYTES - strlen("x:a="), 'b');
    g_autofree char *most = g_strconcat("x:a=", fill, NULL);
    g_autofree char *over = g_strconcat(most, "b", NULL);
    assert_split(most, "x", most + 2);
    assert_refused(over, "longer than 4096 bytes");
}

static void
test_limits_items(void)
{
    g_autoptr(GString) text = g_string_new("x:a");
    for (guint i = 1; i < KD_PARAMS_MAX_ITEMS; i++)
        g_string_append(text, ",a");
    assert_split(text->str, "x", text->str + 2);
    g_string_append(text, ",a");
    assert_refused(text->str, "more than 64 items");
}

static void
test_refuses_controls_and_bad_utf8(void)
{
    assert_refused("tcp:port=1\n", "control character");
    assert_refused("tcp:a=\x1b[31m", "control character");
    assert_refused("tcp:a=\x7f", "control character");
    assert_refused("tcp:a=\xc2\x9b", "control character");
    assert_refused("tcp:a=\xe2\x80\xa8", "control character");
    assert_refused("tcp:a=\xff", "not valid UTF-8");
    assert_refused("tcp:a=\xc0\x80", "not valid UTF-8");
    assert_split("npipe:pipe=Z\xc3\xbcrich", "npipe", "pipe=Z\xc3\xbcrich");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/split/lowers-the-scheme", test_scheme_in_lower_case);
    g_test_add_func("/params/split/scheme-alone-has-no-items", test_scheme_alone);
    g_test_add_func("/params/split/keeps-items-as-typed", test_keeps_items_as_typed);
    g_test_add_func("/params/split/refuses-bad-schemes", test_refuses_bad_schemes);
    g_test_add_func("/params/split/refuses-empty-items", test_refuses_empty_items);
    g_test_add_func("/params/split/refuses-unbalanced-braces", test_refuses_unbalanced_braces);
    g_test_add_func("/params/split/limits-depth", test_limits_depth);
    g_test_add_func("/params/split/limits-bytes", test_limits_bytes);
    g_test_add_func("/params/split/limits-items", test_limits_items);
    g_test_add_func("/params/split/refuses-controls-and-bad-utf8",
                    test_refuses_controls_and_bad_utf8);
    return g_test_run();
}

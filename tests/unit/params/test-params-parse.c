/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which keys may stand, which must, and what fills the gaps. */
#include "params-assert.h"

/* An environment as a table of pairs */
static const char *
get_variable(const char *variable, void *user)
{
    const char *const *pairs = user;
    for (; *pairs != NULL; pairs += 2) {
        if (strcmp(pairs[0], variable) == 0)
            return pairs[1];
    }
    return NULL;
}

#define SOURCE(...)                                                                          \
    {                                                                                        \
        get_variable, (void *)(const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, "HOST" \
    }

static void
test_any_case(void)
{
    assert_parses("tcp", tcp_table, KD_FORM_SERVER, "PORT=51,Hidden,ICFENABLE,PassWord=aB9",
                  "{'port': <(51, 51)>, 'hidden': <true>, 'password': <'aB9'>, "
                  "'IcfEnable': <true>}");
}

static void
test_takes_table_order(void)
{
    assert_parses("com", com_table, KD_FORM_SERVER, "channel=0,baud=115200,port=com2",
                  "{'port': <'/dev/ttyS1'>, 'baud': <115200>, 'channel': <0>}");
}

static void
test_nested_value(void)
{
    assert_parses("kdsrv", kdsrv_table, KD_FORM_CLIENT,
                  "server=@{tcp:server=h,port=1027},trans=@{com:port=com1,x=@{a,b}}",
                  "{'server': <'tcp:server=h,port=1027'>, 'trans': <'com:port=com1,x=@{a,b}'>}");
    assert_parses("kdsrv", kdsrv_table, KD_FORM_CLIENT, "server=npipe:pipe,trans=@{com:}",
                  "{'server': <'npipe:pipe'>, 'trans': <'com:'>}");
}

static void
test_unknown_key(void)
{
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,prot=2", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: unknown key prot (did you mean port?)");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1, hidden", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: unknown key  hidden (did you mean hidden?)");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,pass=abc", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: unknown key pass (did you mean password?)");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,elephant=x", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: unknown key elephant");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,Z\xc3\xbcrich", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: unknown key Z??rich");
}

static void
test_long_unknown_key(void)
{
    g_autofree char *key = g_strnfill(4000, 'k');
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, key, KD_ERROR_PARAM_UNKNOWN,
                 "tcp: unknown key kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...");
}

static void
test_key_of_other_form(void)
{
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,server=h", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: server= is only for clients");
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "server=h,port=1,hidden", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: hidden is not for clients");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,clicon=c,hidden", KD_ERROR_PARAM_UNKNOWN,
                 "tcp: hidden does not go with clicon=");
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "server=h,clicon=c,port=1",
                 KD_ERROR_PARAM_UNKNOWN, "tcp: server= does not go with clicon=");
    assert_wrong("npipe", npipe_table, KD_FORM_SERVER, "pipe=a,clicon=c", KD_ERROR_PARAM_UNKNOWN,
                 "npipe: clicon= is only for clients");
    assert_wrong("com", com_table, KD_FORM_SERVER, "port=com1,baud=50,channel=1,clicon=c",
                 KD_ERROR_PARAM_UNKNOWN, "com: unknown key clicon");
}

static void
test_duplicate(void)
{
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,PORT=1", KD_ERROR_PARAM_INVALID,
                 "tcp: port= is given twice");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,hidden,hidden", KD_ERROR_PARAM_INVALID,
                 "tcp: hidden is given twice");
}

static void
test_missing(void)
{
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "", KD_ERROR_PARAM_MISSING,
                 "tcp: port= is missing");
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "port=1", KD_ERROR_PARAM_MISSING,
                 "tcp: server= is missing");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER_CLICON, "port=1", KD_ERROR_PARAM_MISSING,
                 "tcp: clicon= is missing");
    assert_wrong("com", com_table, KD_FORM_SERVER, "port=com1,baud=9600", KD_ERROR_PARAM_MISSING,
                 "com: channel= is missing");
}

static void
test_required_group(void)
{
    assert_wrong("ssl", ssl_table, KD_FORM_SERVER, "proto=tls1,port=1", KD_ERROR_PARAM_MISSING,
                 "ssl: certuser= or machuser= is missing");
    assert_wrong("ssl", ssl_table, KD_FORM_SERVER, "proto=tls1,certuser=a,machuser=b,port=1",
                 KD_ERROR_PARAM_INVALID, "ssl: certuser= and machuser= exclude each other");
    assert_parses("ssl", ssl_table, KD_FORM_SERVER, "proto=tls1,machuser=b,port=1",
                  "{'proto': <'tls1'>, 'machuser': <'b'>, 'port': <(1, 1)>}");
}

static void
test_optional_group(void)
{
    assert_parses("link", link_table, KD_FORM_TARGET, "key=1.2.3.4,channel=0",
                  "{'key': <'1.2.3.4'>, 'channel': <0>}");
    assert_wrong("link", link_table, KD_FORM_TARGET, "key=k,channel=0,socket=/a,target=b",
                 KD_ERROR_PARAM_INVALID, "link: socket= and target= exclude each other");
}

static void
test_clicon_changes_form(void)
{
    g_autoptr(GVariant) server =
        parse_right("tcp", tcp_table, KD_FORM_SERVER, "port=1,CliCon=c", NULL);
    g_autoptr(GVariant) client =
        parse_right("tcp", tcp_table, KD_FORM_CLIENT, "clicon=s,port=5:9", NULL);
    g_autoptr(GVariant) plain = parse_right("tcp", tcp_table, KD_FORM_SERVER, "port=1", NULL);
    assert_params(server, "{'port': <(1, 1)>, 'clicon': <'c'>}");
    assert_params(client, "{'clicon': <'s'>, 'port': <(5, 9)>}");
    g_assert_cmpint(kd_params_get_form(tcp_table, KD_FORM_SERVER, server), ==,
                    KD_FORM_SERVER_CLICON);
    g_assert_cmpint(kd_params_get_form(tcp_table, KD_FORM_CLIENT, client), ==,
                    KD_FORM_CLIENT_CLICON);
    g_assert_cmpint(kd_params_get_form(tcp_table, KD_FORM_SERVER, plain), ==, KD_FORM_SERVER);
    g_assert_cmpint(kd_params_get_form(com_table, KD_FORM_TARGET, plain), ==, KD_FORM_TARGET);
}

static void
test_who_dials_gives_the_exact_port(void)
{
    const char *message = "tcp: port=51:60: a range can't be dialled: must be a port from 1 to "
                          "65535";
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "server=h,port=51:60", KD_ERROR_PARAM_INVALID,
                 message);
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "clicon=h,port=51:60", KD_ERROR_PARAM_INVALID,
                 message);
}

static void
test_default(void)
{
    assert_parses("com", serial_table, KD_FORM_TARGET, "port=com1",
                  "{'port': <'/dev/ttyS0'>, 'baud': <115200>}");
    assert_parses("com", serial_table, KD_FORM_TARGET, "port=com1,baud=57600",
                  "{'port': <'/dev/ttyS0'>, 'baud': <57600>}");
}

static void
test_environment(void)
{
    const KdParamsSource source = SOURCE("_NT_DEBUG_PORT", "com2", "_NT_DEBUG_BAUD_RATE", "57600");
    g_autoptr(GVariant) params = parse_right("com", serial_table, KD_FORM_TARGET, "modem", &source);
    g_autoptr(GVariant) own =
        parse_right("com", serial_table, KD_FORM_TARGET, "port=com9,baud=300", &source);
    assert_params(params, "{'port': <'/dev/ttyS1'>, 'baud': <57600>, 'modem': <true>}");
    assert_params(own, "{'port': <'/dev/ttyS8'>, 'baud': <300>}");
}

static void
test_missing_everywhere(void)
{
    const KdParamsSource source = SOURCE("_NT_DEBUG_PORT", "");
    const KdParamsSource nameless = {get_variable, (void *)(const char *const[]){NULL}, NULL};
    const char *const everywhere = "link: channel= or symlink= is missing, and "
                                   "_NT_DEBUG_1394_CHANNEL or _NT_DEBUG_1394_SYMLINK is not set "
                                   "on HOST";
    assert_wrong_with_source("com", serial_table, KD_FORM_TARGET, "", &source,
                             KD_ERROR_PARAM_MISSING,
                             "com: port= is missing, and _NT_DEBUG_PORT is not set on HOST");
    assert_wrong_with_source("com", serial_table, KD_FORM_TARGET, "", &nameless,
                             KD_ERROR_PARAM_MISSING,
                             "com: port= is missing, and _NT_DEBUG_PORT is not set");
    assert_wrong_with_source("link", link_table, KD_FORM_TARGET, "key=k", &source,
                             KD_ERROR_PARAM_MISSING, everywhere);
    assert_wrong("com", serial_table, KD_FORM_TARGET, "", KD_ERROR_PARAM_MISSING,
                 "com: port= is missing");
}

static void
test_environment_of_group(void)
{
    const KdParamsSource source =
        SOURCE("_NT_DEBUG_1394_CHANNEL", "7", "_NT_DEBUG_1394_SYMLINK", "instance");
    g_autoptr(GVariant) params =
        parse_right("link", link_table, KD_FORM_TARGET, "key=k,symlink=Channel", &source);
    g_autoptr(GVariant) first = parse_right("link", link_table, KD_FORM_TARGET, "key=k", &source);
    assert_params(params, "{'key': <'k'>, 'symlink': <'channel'>}");
    assert_params(first, "{'key': <'k'>, 'channel': <7>}");
}

static void
test_wrong_environment(void)
{
    const KdParamsSource bare = SOURCE("_NT_DEBUG_PORT", "2");
    const KdParamsSource dirty = SOURCE("_NT_DEBUG_PORT", "com\n2");
    assert_wrong_with_source("com", serial_table, KD_FORM_TARGET, "", &bare, KD_ERROR_PARAM_INVALID,
                             "com: port=2 (from _NT_DEBUG_PORT): write port=com2");
    assert_wrong_with_source("com", serial_table, KD_FORM_TARGET, "", &dirty,
                             KD_ERROR_PARAM_INVALID,
                             "com: port from _NT_DEBUG_PORT: has a control character in it");
}

static void
test_ignored_and_deprecated(void)
{
    g_test_expect_message("kdsrv-params", G_LOG_LEVEL_MESSAGE, "com: speed= is deprecated");
    assert_parses("com", serial_table, KD_FORM_TARGET, "port=com1,resets=0,speed=1",
                  "{'port': <'/dev/ttyS0'>, 'baud': <115200>, 'resets': <0>, 'speed': <1>}");
    g_test_assert_expected_messages();
}

static void
test_checks_items_itself(void)
{
    g_autofree char *fill = g_strnfill(KD_PARAMS_MAX_BYTES + 1, 'a');
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, fill, KD_ERROR_PARAM_INVALID,
                 "tcp: longer than 4096 bytes");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1\r", KD_ERROR_PARAM_INVALID,
                 "tcp: has a control character in it");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=\xff", KD_ERROR_PARAM_INVALID,
                 "tcp: not valid UTF-8");
}

static void
test_message_is_one_short_line(void)
{
    const char *words[64] = {NULL};
    for (guint i = 0; i < G_N_ELEMENTS(words) - 1; i++)
        words[i] = "a-long-word\n";
    const KdParamSpec table[] = {{.key = "x", .type = KD_PARAM_CHOICE, .choices = words}, {0}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_params_parse("s", table, KD_FORM_TARGET, "x=y", NULL, &error);
    g_assert_null(params);
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_cmpuint(strlen(error->message), <, 300);
    g_assert_cmpuint(strlen(error->message), >, 200);
    g_assert_null(strchr(error->message, '\n'));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/key/any-case", test_any_case);
    g_test_add_func("/params/key/comes-in-table-order", test_takes_table_order);
    g_test_add_func("/params/key/unknown-names-it-and-the-nearest", test_unknown_key);
    g_test_add_func("/params/key/unknown-and-long-is-cut", test_long_unknown_key);
    g_test_add_func("/params/key/of-another-form-says-which", test_key_of_other_form);
    g_test_add_func("/params/key/twice-is-refused", test_duplicate);
    g_test_add_func("/params/key/missing-is-named", test_missing);
    g_test_add_func("/params/key/ignored-and-deprecated-are-accepted", test_ignored_and_deprecated);
    g_test_add_func("/params/group/required-needs-exactly-one", test_required_group);
    g_test_add_func("/params/group/optional-takes-at-most-one", test_optional_group);
    g_test_add_func("/params/nested/loses-only-the-outer-braces", test_nested_value);
    g_test_add_func("/params/form/changes-by-clicon", test_clicon_changes_form);
    g_test_add_func("/params/form/who-dials-gives-the-exact-port",
                    test_who_dials_gives_the_exact_port);
    g_test_add_func("/params/default/fills-what-is-left-out", test_default);
    g_test_add_func("/params/environment/beats-the-default", test_environment);
    g_test_add_func("/params/environment/missing-too-names-variable-and-machine",
                    test_missing_everywhere);
    g_test_add_func("/params/environment/does-not-break-a-group", test_environment_of_group);
    g_test_add_func("/params/environment/wrong-value-names-the-variable", test_wrong_environment);
    g_test_add_func("/params/limits/hold-without-split", test_checks_items_itself);
    g_test_add_func("/params/error/is-one-short-line", test_message_is_one_short_line);
    return g_test_run();
}

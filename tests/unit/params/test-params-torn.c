/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines that a shell has torn, as bash, zsh, ksh and fish were seen to tear them. */
#include <kd-params.h>

static gboolean
is_torn(const char *first, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    va_list args;
    va_start(args, first);
    g_ptr_array_add(argv, (gpointer) "kd");
    for (const char *argument = first; argument != NULL; argument = va_arg(args, const char *))
        g_ptr_array_add(argv, (gpointer)argument);
    va_end(args);
    return kd_params_is_torn((int)argv->len, (char *const *)argv->pdata);
}

static void
test_both_torn(void)
{
    g_assert_true(is_torn("-k", "kdsrv:server=@tcp:server=h,trans=@com:port=com1",
                          "kdsrv:server=@tcp:server=h,trans=@baud=57600",
                          "kdsrv:server=@port=1027,trans=@com:port=com1",
                          "kdsrv:server=@port=1027,trans=@baud=57600", "--listen",
                          "tcp:127.0.0.1:1", NULL));
}

static void
test_one_torn(void)
{
    g_assert_true(is_torn("-k", "kdsrv:server=@npipe:server=h,trans=@{1394:channel=1}",
                          "kdsrv:server=@pipe=a,trans=@{1394:channel=1}", NULL));
    g_assert_true(is_torn("-k", "kdsrv:server=@{tcp:server=h,port=1027},trans=@com:port=com1",
                          "kdsrv:server=@{tcp:server=h,port=1027},trans=@baud=57600", NULL));
}

static void
test_torn_inside(void)
{
    g_assert_true(is_torn("-k", "kdsrv:server=@{x:y=@a}", "kdsrv:server=@{x:y=@b}", NULL));
    g_assert_true(is_torn("-k", "kdsrv:server=@a", "kdsrv:server=@b", "kdsrv:server=@c", NULL));
}

static void
test_csh_drops_braces(void)
{
    g_assert_true(is_torn("-k", "kdsrv:server=@tcp:server=h,trans=@com:port=com1", NULL));
}

static void
test_attached_to_option(void)
{
    g_assert_true(is_torn("-kkdsrv:server=@tcp:server=h", "-kkdsrv:server=@port=1", NULL));
    g_assert_true(is_torn("--kernel=kdsrv:server=@tcp:server=h", NULL));
    g_assert_true(is_torn("-k", "KDSRV:Server=@tcp:server=h", NULL));
}

static void
test_split_options(void)
{
    g_assert_true(
        is_torn("--server", "@tcp:server=h", "@port=1", "--trans", "@{com:port=com2}", NULL));
    g_assert_true(
        is_torn("--server", "tcp:server=h", "--trans", "@net:port=50000", "@key=1", NULL));
    g_assert_true(is_torn("--server=@tcp:server=h", "--server=@port=1", NULL));
    g_assert_true(is_torn("--trans=@com:", "--trans=@", NULL));
}

static void
test_quoted(void)
{
    g_assert_false(is_torn("-k",
                           "kdsrv:server=@{tcp:server=h,port=1027},trans=@{com:port=com1,baud=1}",
                           "--listen", "tcp:127.0.0.1:5003", NULL));
    g_assert_false(is_torn("--server", "@{tcp:server=h,port=1}", "--trans=@{com:port=com2}", NULL));
    g_assert_false(is_torn("--server", "tcp:server=h,port=1", "--trans", "com:port=com2", NULL));
    g_assert_false(is_torn("-k", "kdsrv:server=@{npipe:server=h,pipe=@a},trans=@{com:}", NULL));
    g_assert_false(is_torn("-k", "com:port=com2,baud=115200", NULL));
    g_assert_false(is_torn(NULL));
}

static void
test_arguments_of_others(void)
{
    g_assert_false(is_torn("-k", "kdsrv:server=@{tcp:server=h},trans=@{com:}", "--", "gdb", "-ex",
                           "p x=@y", "@args", "--trans", "@x", "kdsrv:server=@a", NULL));
    g_assert_false(is_torn("-x", "@commands", "-o", "name=@x", NULL));
    g_assert_false(is_torn("--servers", "@x", "--transfer=@x", NULL));
    g_assert_false(is_torn("--trans", NULL));
}

static void
test_empty_command_line(void)
{
    g_assert_false(kd_params_is_torn(0, NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/torn/both-strings", test_both_torn);
    g_test_add_func("/params/torn/one-string", test_one_torn);
    g_test_add_func("/params/torn/inside-another", test_torn_inside);
    g_test_add_func("/params/torn/csh-drops-braces", test_csh_drops_braces);
    g_test_add_func("/params/torn/attached-to-its-option", test_attached_to_option);
    g_test_add_func("/params/torn/split-options", test_split_options);
    g_test_add_func("/params/torn/not-when-quoted", test_quoted);
    g_test_add_func("/params/torn/not-by-arguments-of-others", test_arguments_of_others);
    g_test_add_func("/params/torn/not-without-arguments", test_empty_command_line);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the command line the process list still shows. */
#include "kd-secrets.h"

static char *
hide_one(const char *text)
{
    g_autofree char *copy = g_strdup(text);
    char *argv[] = {(char *)"kd", copy, NULL};

    kd_secrets_hide(2, argv);
    return g_steal_pointer(&copy);
}

static void
test_password(void)
{
    g_autofree char *nested =
        hide_one("kdsrv:server=@{tcp:server=h,Password=Abc1,port=1},trans=@{com:port=com1}");
    g_autofree char *last = hide_one("tcp:server=h,port=1,password=Abc1");
    g_autofree char *braced = hide_one("tcp:password=@{Abc,1},port=1");
    g_autofree char *inner = hide_one("kdsrv:server=@{tcp:port=1,password=Abc1},trans=x");

    g_assert_cmpstr(nested, ==,
                    "kdsrv:server=@{tcp:server=h,Password=****,port=1},trans=@{com:port=com1}");
    g_assert_cmpstr(last, ==, "tcp:server=h,port=1,password=****");
    g_assert_cmpstr(braced, ==, "tcp:password=*******},port=1");
    g_assert_cmpstr(inner, ==, "kdsrv:server=@{tcp:port=1,password=****},trans=x");
}

static void
test_key(void)
{
    g_autofree char *text = hide_one("net:port=50000,key=1.2.3.4,target=h");

    g_assert_cmpstr(text, ==, "net:port=50000,key=*******,target=h");
}

static void
test_pin(void)
{
    g_autofree char *text =
        hide_one("ssl:certuser=pkcs11:token=lab;object=kd?pin-value=9876&module-name=m,port=1");
    g_autofree char *first = hide_one("ssl:certuser=pkcs11:?pin-value=98,port=1");
    g_autofree char *braced = hide_one("ssl:certuser=@{pkcs11:a?pin-value=12,34},port=1");

    g_assert_cmpstr(text, ==,
                    "ssl:certuser=pkcs11:token=lab;object=kd?pin-value=******************,port=1");
    g_assert_cmpstr(first, ==, "ssl:certuser=pkcs11:?pin-value=**,port=1");
    g_assert_cmpstr(braced, ==, "ssl:certuser=@{pkcs11:a?pin-value=*****},port=1");
}

static void
test_found(void)
{
    g_autofree char *without = g_strdup("tcp:port=1");
    g_autofree char *with = g_strdup("tcp:port=1,password=a");
    char *argv[] = {(char *)"kdsrv", without, with, NULL};

    g_assert_false(kd_secrets_hide(2, argv));
    g_assert_true(kd_secrets_hide(3, argv));
}

static void
test_key_log(void)
{
    char *argv[] = {(char *)"kdsrv", NULL};

    g_assert_true(g_setenv("SSLKEYLOGFILE", "/tmp/keys", TRUE));
    g_assert_false(kd_secrets_hide(1, argv));
    g_assert_null(g_getenv("SSLKEYLOGFILE"));
}

static void
test_others_kept(void)
{
    g_autofree char *text = hide_one("com:port=/dev/monkey=1,baud=9600");

    g_assert_cmpstr(text, ==, "com:port=/dev/monkey=1,baud=9600");
}

static void
test_debugger_kept(void)
{
    g_autofree char *own = g_strdup("tcp:password=a");
    g_autofree char *theirs = g_strdup("password=a");
    char *argv[] = {(char *)"kd", own, (char *)"--", theirs, NULL};

    kd_secrets_hide(4, argv);
    g_assert_cmpstr(own, ==, "tcp:password=*");
    g_assert_cmpstr(theirs, ==, "password=a");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/secrets/hides-passwords-at-any-depth", test_password);
    g_test_add_func("/cli/secrets/hides-keys-of-links", test_key);
    g_test_add_func("/cli/secrets/hides-pins-of-tokens", test_pin);
    g_test_add_func("/cli/secrets/tells-whether-there-was-one", test_found);
    g_test_add_func("/cli/secrets/lets-nobody-log-the-keys-of-tls", test_key_log);
    g_test_add_func("/cli/secrets/keeps-everything-else", test_others_kept);
    g_test_add_func("/cli/secrets/keeps-the-debuggers-arguments", test_debugger_kept);
    return g_test_run();
}

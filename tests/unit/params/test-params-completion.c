/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is offered behind what has been typed. */
#include "params-assert.h"

static void
assert_offered(const char *scheme, const KdParamSpec *table, KdForm form, const char *prefix,
               const char *expected)
{
    g_auto(GStrv) found = kd_params_build_completions(scheme, table, form, prefix);
    g_autofree char *joined = g_strjoinv(" ", found);
    g_assert_cmpstr(joined, ==, expected);
}

static void
test_scheme(void)
{
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "", "tcp:");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "t", "tcp:");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "npipe", "");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "npipe:", "");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcpx:", "");
}

static void
test_keys(void)
{
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:po", "tcp:port=");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "TCP:PO", "TCP:port=");
    assert_offered("com", com_table, KD_FORM_SERVER,
                   "com:", "com:port= com:baud= com:channel= com:hidden com:password=");
    assert_offered("com", com_table, KD_FORM_CLIENT,
                   "com:", "com:port= com:baud= com:channel= com:password=");
}

static void
test_only_what_may_still_come(void)
{
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:port=51,",
                   "tcp:port=51,clicon= tcp:port=51,hidden tcp:port=51,password= "
                   "tcp:port=51,ipversion= tcp:port=51,IcfEnable tcp:port=51,bind=");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:port=51,hidden,",
                   "tcp:port=51,hidden,password= tcp:port=51,hidden,ipversion= "
                   "tcp:port=51,hidden,IcfEnable tcp:port=51,hidden,bind=");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:port=51,clicon=c,",
                   "tcp:port=51,clicon=c,password= tcp:port=51,clicon=c,ipversion=");
    assert_offered("tcp", tcp_table, KD_FORM_CLIENT,
                   "tcp:", "tcp:server= tcp:clicon= tcp:port= tcp:password= tcp:ipversion=");
    assert_offered("tcp", tcp_table, KD_FORM_CLIENT, "tcp:server=h,c", "");
}

static void
test_groups(void)
{
    assert_offered("ssl", ssl_table, KD_FORM_SERVER, "ssl:machuser=a,c", "ssl:machuser=a,clicon=");
    assert_offered("link", link_table, KD_FORM_TARGET, "link:target=a,",
                   "link:target=a,key= link:target=a,channel= link:target=a,symlink=");
}

static void
test_values(void)
{
    assert_offered("ssl", ssl_table, KD_FORM_SERVER, "ssl:proto=TLS",
                   "ssl:proto=tls1 ssl:proto=tls1.2 ssl:proto=tls1.3");
    assert_offered("ssl", ssl_table, KD_FORM_SERVER, "ssl:port=1,PROTO=s",
                   "ssl:port=1,PROTO=ssl2 ssl:port=1,PROTO=ssl3");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER,
                   "tcp:port=1,ipversion=", "tcp:port=1,ipversion=6");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:port=", "");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:nothing=", "");
}

static void
test_nested(void)
{
    assert_offered("kdsrv", kdsrv_table, KD_FORM_CLIENT, "kdsrv:server=@{tcp:a,b},",
                   "kdsrv:server=@{tcp:a,b},trans=");
    assert_offered("kdsrv", kdsrv_table, KD_FORM_CLIENT, "kdsrv:server=@{tcp:a,", "");
    assert_offered("kdsrv", kdsrv_table, KD_FORM_CLIENT, "kdsrv:server=@{a}b,", "");
}

static void
test_wrong_so_far(void)
{
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:,", "");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:port=1,,", "");
    assert_offered("tcp", tcp_table, KD_FORM_SERVER, "tcp:\xff", "");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/completion/offers-the-scheme", test_scheme);
    g_test_add_func("/params/completion/offers-keys", test_keys);
    g_test_add_func("/params/completion/offers-only-what-may-still-come",
                    test_only_what_may_still_come);
    g_test_add_func("/params/completion/leaves-excluded-keys-out", test_groups);
    g_test_add_func("/params/completion/offers-words-of-a-choice", test_values);
    g_test_add_func("/params/completion/steps-over-nested-strings", test_nested);
    g_test_add_func("/params/completion/offers-nothing-after-an-error", test_wrong_so_far);
    return g_test_run();
}

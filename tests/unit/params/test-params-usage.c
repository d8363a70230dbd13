/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The documented lines, to the letter, and the help around them. */
#include "params-assert.h"

typedef struct {
    const char *scheme;
    const KdParamSpec *table;
    KdForm form;
    const char *usage;
} KdUsageCase;

static const KdUsageCase documented[] = {
    {"npipe", npipe_table, KD_FORM_SERVER, "npipe:pipe=N[,hidden][,password=P][,IcfEnable]"},
    {"tcp", tcp_table, KD_FORM_SERVER,
     "tcp:port=S[,hidden][,password=P][,ipversion=6][,IcfEnable]"},
    {"tcp", tcp_table, KD_FORM_SERVER_CLICON, "tcp:port=S,clicon=C[,password=P][,ipversion=6]"},
    {"com", com_table, KD_FORM_SERVER, "com:port=P,baud=B,channel=N[,hidden][,password=P]"},
    {"spipe", spipe_table, KD_FORM_SERVER,
     "spipe:proto=X,{certuser=C|machuser=C},pipe=N[,hidden][,password=P]"},
    {"ssl", ssl_table, KD_FORM_SERVER,
     "ssl:proto=X,{certuser=C|machuser=C},port=S[,hidden][,password=P]"},
    {"ssl", ssl_table, KD_FORM_SERVER_CLICON,
     "ssl:proto=X,{certuser=C|machuser=C},port=S,clicon=C[,password=P]"},
    {"npipe", npipe_table, KD_FORM_CLIENT, "npipe:server=HOST,pipe=N[,password=P]"},
    {"npipe", npipe_table, KD_FORM_CLIENT_CLICON, "npipe:clicon=HOST,pipe=N[,password=P]"},
    {"tcp", tcp_table, KD_FORM_CLIENT, "tcp:server=HOST,port=S[,password=P][,ipversion=6]"},
    {"tcp", tcp_table, KD_FORM_CLIENT_CLICON, "tcp:clicon=HOST,port=S[,password=P][,ipversion=6]"},
    {"com", com_table, KD_FORM_CLIENT, "com:port=P,baud=B,channel=N[,password=P]"},
    {"spipe", spipe_table, KD_FORM_CLIENT,
     "spipe:server=HOST,proto=X,{certuser=C|machuser=C},pipe=N[,password=P]"},
    {"ssl", ssl_table, KD_FORM_CLIENT,
     "ssl:server=HOST,proto=X,{certuser=C|machuser=C},port=S[,password=P]"},
    {"ssl", ssl_table, KD_FORM_CLIENT_CLICON,
     "ssl:clicon=HOST,proto=X,{certuser=C|machuser=C},port=S[,password=P]"},
    {"kdsrv", kdsrv_table, KD_FORM_CLIENT, "kdsrv:server=@{CLIENT-TRANSPORT},trans=@{LINK}"},
};

static void
test_documented_lines(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(documented); i++) {
        g_autofree char *usage =
            kd_params_build_usage(documented[i].scheme, documented[i].table, documented[i].form);
        g_assert_cmpstr(usage, ==, documented[i].usage);
    }
}

static void
test_links(void)
{
    g_autofree char *serial = kd_params_build_usage("com", serial_table, KD_FORM_TARGET);
    g_autofree char *link = kd_params_build_usage("link", link_table, KD_FORM_TARGET);
    g_assert_cmpstr(serial, ==, "com:port=P[,baud=B][,modem][,resets=0]");
    g_assert_cmpstr(link, ==, "link:key=K[,{socket=PATH|target=HOST}],{channel=N|symlink=WORD}");
}

static void
test_nothing_required(void)
{
    const KdParamSpec table[] = {
        {.key = "a", .type = KD_PARAM_FLAG}, {.key = "b", .type = KD_PARAM_UINT}, {0}};
    g_autofree char *usage = kd_params_build_usage("x", table, KD_FORM_TARGET);
    g_assert_cmpstr(usage, ==, "x:[a][,b=N]");
}

static void
test_help(void)
{
    g_autofree char *help = kd_params_build_help("tcp", tcp_table, KD_FORM_SERVER);
    g_assert_cmpstr(
        help, ==,
        "tcp:port=S[,hidden][,password=P][,ipversion=6][,IcfEnable]\n"
        "tcp:port=S,clicon=C[,password=P][,ipversion=6]\n"
        "  port=S        port to listen on, or LOW:HIGH for the first free one of a range; a port "
        "from 1 to 65535, or LOW:HIGH\n"
        "  clicon=C      name or address of the client to dial\n"
        "  hidden        is not listed\n"
        "  password=P    letters and digits; at most 12\n"
        "  ipversion=6   uses IPv6 only; without it both versions are used\n"
        "  IcfEnable     opens the port in this machine's firewall\n"
        "  bind=ADDRESS  address to listen on; without it all of them (ours)\n");
}

static void
test_help_of_a_link(void)
{
    g_autofree char *help = kd_params_build_help("com", serial_table, KD_FORM_TARGET);
    g_autofree char *other = kd_params_build_help("link", link_table, KD_FORM_TARGET);
    g_assert_cmpstr(help, ==,
                    "com:port=P[,baud=B][,modem][,resets=0]\n"
                    "  port=P    serial port; else from _NT_DEBUG_PORT\n"
                    "  baud=B    speed; a number from 50 to 4000000; default 115200; else from "
                    "_NT_DEBUG_BAUD_RATE\n"
                    "  modem     watches carrier detect\n"
                    "  resets=0  for the client's side; a number (no effect)\n"
                    "  speed=N   the old name of baud; a number (deprecated)\n");
    g_assert_nonnull(strstr(other, "kind of link; one of channel, instance; else from "));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/usage/is-the-documented-line", test_documented_lines);
    g_test_add_func("/params/usage/of-links-has-groups", test_links);
    g_test_add_func("/params/usage/starts-without-comma", test_nothing_required);
    g_test_add_func("/params/help/explains-each-key", test_help);
    g_test_add_func("/params/help/tells-ranges-and-defaults", test_help_of_a_link);
    return g_test_run();
}

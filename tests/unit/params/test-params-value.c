/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a value of each type may look like. */
#include "params-assert.h"

static void
assert_wrong_port(const char *items, const char *message)
{
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, items, KD_ERROR_PARAM_INVALID, message);
}

static void
test_ports(void)
{
    assert_parses("tcp", tcp_table, KD_FORM_SERVER, "port=1", "{'port': <(1, 1)>}");
    assert_parses("tcp", tcp_table, KD_FORM_SERVER, "port=51:60", "{'port': <(51, 60)>}");
    assert_parses("tcp", tcp_table, KD_FORM_SERVER, "port=65535:65535",
                  "{'port': <(65535, 65535)>}");
}

static void
test_wrong_ports(void)
{
    assert_wrong_port("port=0", "tcp: port=0: must be a port from 1 to 65535, or LOW:HIGH");
    assert_wrong_port("port=70000", "tcp: port=70000: must be a port from 1 to 65535, or LOW:HIGH");
    assert_wrong_port("port=60:51", "tcp: port=60:51: the range ends below its start");
    assert_wrong_port("port=", "tcp: port= needs a value");
    assert_wrong_port("port", "tcp: port= needs a value");
    assert_wrong_port("port=@{}", "tcp: port= needs a value");
    assert_wrong_port("port=5:", "tcp: port=5:: must be a port from 1 to 65535, or LOW:HIGH");
}

static void
test_ports_of_no_range_in_the_table(void)
{
    assert_wrong("ssl", ssl_table, KD_FORM_SERVER, "proto=tls1,certuser=a,port=0",
                 KD_ERROR_PARAM_INVALID,
                 "ssl: port=0: must be a port from 1 to 65535, or LOW:HIGH");
}

static void
test_uint(void)
{
    static const char *const wrong[] = {"255", "-1",  "+1",  " 1",
                                        "1 ",  "0x1", "1e1", "18446744073709551616"};
    assert_parses("com", com_table, KD_FORM_SERVER,
                  "port=com1,baud=18446744073709551615,channel=254",
                  "{'port': <'/dev/ttyS0'>, 'baud': <18446744073709551615>, 'channel': <254>}");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *items = g_strdup_printf("port=com1,baud=300,channel=%s", wrong[i]);
        g_autofree char *message =
            g_strdup_printf("com: channel=%s: must be a number from 0 to 254", wrong[i]);
        assert_wrong("com", com_table, KD_FORM_SERVER, items, KD_ERROR_PARAM_INVALID, message);
    }
    assert_wrong("com", com_table, KD_FORM_SERVER, "port=com1,baud=18446744073709551616,channel=1",
                 KD_ERROR_PARAM_INVALID,
                 "com: baud=18446744073709551616: must be a number from 50");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,ipversion=4", KD_ERROR_PARAM_INVALID,
                 "tcp: ipversion=4: must be 6");
}

static void
test_choice(void)
{
    assert_parses("ssl", ssl_table, KD_FORM_SERVER, "proto=TLS1,certuser=a,port=1",
                  "{'proto': <'tls1'>, 'certuser': <'a'>, 'port': <(1, 1)>}");
    assert_wrong("ssl", ssl_table, KD_FORM_SERVER, "proto=tls9,certuser=a,port=1",
                 KD_ERROR_PARAM_INVALID,
                 "ssl: proto=tls9: must be one of tls1, pct1, ssl2, ssl3, tls1.2, tls1.3");
}

static void
test_host(void)
{
    assert_parses("tcp", tcp_table, KD_FORM_CLIENT, "server=\\\\BOX,port=1",
                  "{'server': <'BOX'>, 'port': <(1, 1)>}");
    assert_parses("tcp", tcp_table, KD_FORM_CLIENT, "server=//box,port=1",
                  "{'server': <'box'>, 'port': <(1, 1)>}");
    assert_parses("tcp", tcp_table, KD_FORM_CLIENT, "server=fe80::1%eth0,port=1",
                  "{'server': <'fe80::1%eth0'>, 'port': <(1, 1)>}");
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "server=\\\\,port=1", KD_ERROR_PARAM_INVALID,
                 "tcp: server=: must be a host name or an address");
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "server=a b,port=1", KD_ERROR_PARAM_INVALID,
                 "tcp: server=: a host name has no spaces");
    assert_wrong("tcp", tcp_table, KD_FORM_CLIENT, "server=\\\\@{X,port=1", KD_ERROR_PARAM_INVALID,
                 "tcp: server=: a host name has no braces");
}

static void
assert_device(KdForm form, const char *value, const char *path)
{
    g_autofree char *items = g_strdup_printf("baud=300,channel=1,port=%s", value);
    g_autoptr(GVariant) params = parse_right("com", com_table, form, items, NULL);
    const char *got = NULL;
    g_assert_true(g_variant_lookup(params, "port", "&s", &got));
    g_assert_cmpstr(got, ==, path);
}

static void
test_device(void)
{
    assert_device(KD_FORM_SERVER, "com1", "/dev/ttyS0");
    assert_device(KD_FORM_TARGET, "COM12", "/dev/ttyS11");
    assert_device(KD_FORM_TARGET, "/dev/serial/by-id/x y", "/dev/serial/by-id/x y");
    assert_device(KD_FORM_TARGET, "ttyUSB0", "/dev/ttyUSB0");
    assert_device(KD_FORM_CLIENT, "/tmp/pty", "/tmp/pty");
}

static void
test_bare_device_number(void)
{
    assert_device(KD_FORM_SERVER, "2", "/dev/ttyS1");
    assert_device(KD_FORM_CLIENT, "2", "/dev/ttyS1");
    assert_wrong("com", serial_table, KD_FORM_TARGET, "port=2", KD_ERROR_PARAM_INVALID,
                 "com: port=2: write port=com2");
}

static void
test_wrong_device(void)
{
    static const char *const wrong[] = {"com0",   "com",    "com99999",   "../ttyS0",
                                        "tty S0", "tty/S0", "\\\\.\\com1"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *items = g_strdup_printf("port=%s", wrong[i]);
        g_autofree char *message = g_strdup_printf(
            "com: port=%s: must be com1 and so on, a path, or a name like ttyUSB0", wrong[i]);
        assert_wrong("com", serial_table, KD_FORM_TARGET, items, KD_ERROR_PARAM_INVALID, message);
    }
}

static void
test_path(void)
{
    assert_parses("link", link_table, KD_FORM_TARGET, "key=k,channel=1,socket=/run/vm.sock",
                  "{'key': <'k'>, 'socket': <'/run/vm.sock'>, 'channel': <1>}");
    assert_parses("link", link_table, KD_FORM_TARGET, "key=k,channel=1,socket=\\\\.\\Pipe\\com_1",
                  "{'key': <'k'>, 'socket': <'\\\\\\\\.\\\\Pipe\\\\com_1'>, 'channel': <1>}");
    assert_wrong("link", link_table, KD_FORM_TARGET, "key=k,channel=1,socket=vm.sock",
                 KD_ERROR_PARAM_INVALID, "link: socket=: must be an absolute path");
    assert_wrong("link", link_table, KD_FORM_TARGET, "key=k,channel=1,socket=\\\\.\\pipe\\",
                 KD_ERROR_PARAM_INVALID, "link: socket=: must be an absolute path");
}

static void
test_lengths(void)
{
    g_autofree char *most = g_strnfill(255, 'a');
    g_autofree char *items = g_strdup_printf("pipe=%s", most);
    g_autofree char *longer = g_strdup_printf("%sa", items);
    g_autoptr(GVariant) params = parse_right("npipe", npipe_table, KD_FORM_SERVER, items, NULL);
    g_assert_cmpuint(g_variant_n_children(params), ==, 1);
    assert_wrong("npipe", npipe_table, KD_FORM_SERVER, longer, KD_ERROR_PARAM_INVALID,
                 "npipe: pipe=: at most 255 bytes");
    assert_wrong("link", link_table, KD_FORM_TARGET,
                 "key=k,channel=1,socket=/2345678901234567890123456789012345678901",
                 KD_ERROR_PARAM_INVALID, "link: socket=: at most 40 bytes");
}

static void
test_flag(void)
{
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,hidden=1", KD_ERROR_PARAM_INVALID,
                 "tcp: hidden takes no value");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,hidden=", KD_ERROR_PARAM_INVALID,
                 "tcp: hidden takes no value");
}

static void
test_password(void)
{
    assert_parses("tcp", tcp_table, KD_FORM_SERVER, "port=1,password=twelve12CHAR",
                  "{'port': <(1, 1)>, 'password': <'twelve12CHAR'>}");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,password=thirteenchars",
                 KD_ERROR_PARAM_INVALID, "tcp: password=*: at most 12 letters and digits");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,password=p@ss", KD_ERROR_PARAM_INVALID,
                 "tcp: password=*: must be letters and digits only");
    assert_wrong("tcp", tcp_table, KD_FORM_SERVER, "port=1,password=p\xc3\xbcss",
                 KD_ERROR_PARAM_INVALID, "tcp: password=*: must be letters and digits only");
}

static void
test_other_secret(void)
{
    assert_parses("link", link_table, KD_FORM_TARGET, "key=1.2.3.4,channel=1",
                  "{'key': <'1.2.3.4'>, 'channel': <1>}");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/ports/one-or-range", test_ports);
    g_test_add_func("/params/ports/wrong-ones-name-the-key", test_wrong_ports);
    g_test_add_func("/params/ports/have-a-range-of-their-own", test_ports_of_no_range_in_the_table);
    g_test_add_func("/params/uint/decimal-within-its-range", test_uint);
    g_test_add_func("/params/choice/any-case-and-lists-the-words", test_choice);
    g_test_add_func("/params/host/loses-leading-slashes", test_host);
    g_test_add_func("/params/device/becomes-a-path", test_device);
    g_test_add_func("/params/device/bare-number-only-in-transports", test_bare_device_number);
    g_test_add_func("/params/device/refuses-other-forms", test_wrong_device);
    g_test_add_func("/params/path/absolute-or-documented-pipe", test_path);
    g_test_add_func("/params/string/has-a-length", test_lengths);
    g_test_add_func("/params/flag/takes-no-value", test_flag);
    g_test_add_func("/params/password/letters-and-digits-never-repeated", test_password);
    g_test_add_func("/params/secret/without-length-is-free", test_other_secret);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What listings and logs show of a string. */
#include "params-assert.h"

static void
assert_listed(const char *scheme, const KdParamSpec *table, KdForm form, const char *items,
              GVariant *bound, const char *listing)
{
    g_autoptr(GVariant) held = bound != NULL ? g_variant_ref_sink(bound) : NULL;
    g_autoptr(GVariant) params = parse_right(scheme, table, form, items, NULL);
    g_autofree char *listed = kd_params_build_listing(scheme, table, params, held);
    g_assert_cmpstr(listed, ==, listing);
}

static GVariant *
build_bound_port(guint16 low, guint16 high)
{
    GVariantDict dict;
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "port", "(qq)", low, high);
    return g_variant_dict_end(&dict);
}

static void
test_capitalises_and_stars(void)
{
    assert_listed("tcp", tcp_table, KD_FORM_SERVER,
                  "ipversion=6,password=abc123,icfenable,hidden,port=5005", NULL,
                  "tcp:Port=5005,Hidden,Password=*,Ipversion=6,IcfEnable");
    assert_listed("tcp", tcp_table, KD_FORM_CLIENT, "port=5005,server=\\\\BOX", NULL,
                  "tcp:Server=BOX,Port=5005");
    assert_listed("npipe", npipe_table, KD_FORM_SERVER, "pipe=rabbit", NULL, "npipe:Pipe=rabbit");
    assert_listed("com", com_table, KD_FORM_SERVER, "port=com2,baud=115200,channel=3", NULL,
                  "com:Port=/dev/ttyS1,Baud=115200,Channel=3");
}

static void
test_range(void)
{
    assert_listed("tcp", tcp_table, KD_FORM_SERVER, "port=51000:51010",
                  build_bound_port(51002, 51010), "tcp:Port=51002:51010");
    assert_listed("tcp", tcp_table, KD_FORM_SERVER, "port=51:60", NULL, "tcp:Port=51:60");
    assert_listed("tcp", tcp_table, KD_FORM_SERVER, "port=51:60", build_bound_port(60, 60),
                  "tcp:Port=60");
}

static void
test_defaults(void)
{
    assert_listed("com", serial_table, KD_FORM_TARGET, "port=com1", NULL, "com:Port=/dev/ttyS0");
    assert_listed("com", serial_table, KD_FORM_TARGET, "port=com1,baud=115200", NULL,
                  "com:Port=/dev/ttyS0");
    assert_listed("com", serial_table, KD_FORM_TARGET, "port=com1,baud=9600", NULL,
                  "com:Port=/dev/ttyS0,Baud=9600");
}

static void
test_listing_of_nested(void)
{
    assert_listed("kdsrv", kdsrv_table, KD_FORM_CLIENT,
                  "server=@{tcp:server=h,password=secret1,port=1},trans=com:key=secret2", NULL,
                  "kdsrv:Server=@{tcp:server=h,password=*,port=1},Trans=com:key=*");
}

static void
test_listing_parses_again(void)
{
    static const char *const items = "port=51:60,hidden,ipversion=6,IcfEnable,bind=::1";
    g_autoptr(GVariant) params = parse_right("tcp", tcp_table, KD_FORM_SERVER, items, NULL);
    g_autofree char *listing = kd_params_build_listing("tcp", tcp_table, params, NULL);
    g_autoptr(GVariant) again =
        parse_right("tcp", tcp_table, KD_FORM_SERVER, listing + strlen("tcp:"), NULL);
    g_assert_true(g_variant_equal(params, again));
}

static void
assert_masked(const KdParamSpec *table, const char *items, const char *expected)
{
    g_autofree char *masked = kd_params_build_masked("x", table, items);
    g_autofree char *whole = g_strconcat("x:", expected, NULL);
    g_assert_cmpstr(masked, ==, whole);
}

static void
test_masks_as_typed(void)
{
    assert_masked(tcp_table, "PORT=1,PassWord=hunter2,Hidden", "PORT=1,PassWord=*,Hidden");
    assert_masked(NULL, "password=a", "password=*");
    assert_masked(NULL, "port=1,key=1.2.3.4,target=h", "port=1,key=*,target=h");
    assert_masked(NULL, "password=@{a,b{c}},port=1", "password=*,port=1");
    assert_masked(NULL, "password=", "password=");
    assert_masked(NULL, "monkey=a,turnkey=b,compass=c", "monkey=a,turnkey=b,compass=*");
    assert_masked(NULL, "", "");
    assert_masked(NULL, NULL, "");
}

static void
test_masks_keys_of_the_table(void)
{
    const KdParamSpec table[] = {{.key = "Pin", .type = KD_PARAM_UINT, .flags = KD_PARAM_SECRET},
                                 {0}};
    assert_masked(table, "a=1,pin=1234,spin=1", "a=1,pin=*,spin=1");
}

static void
test_masks_nested(void)
{
    assert_masked(NULL, "server=@{tcp:server=h,password=hunter2},trans=@{net:port=1,KEY=1.2.3.4}",
                  "server=@{tcp:server=h,password=*},trans=@{net:port=1,KEY=*}");
    assert_masked(NULL, "a=@{b=@{password=x,c=1}}", "a=@{b=@{password=*,c=1}}");
    assert_masked(NULL, "a=@{b=@{password=@{x}}},c", "a=@{b=@{password=*}},c");
}

static void
test_masks_pins_with_commas(void)
{
    assert_masked(NULL, "certuser=@{pkcs11:token=a,b;object=c?pin-value=12,34},port=1",
                  "certuser=@{pkcs11:token=a,b;object=c?pin-value=*},port=1");
    assert_masked(NULL, "certuser=pkcs11:object=c?pin-value=12,port=1",
                  "certuser=pkcs11:object=c?pin-value=*,port=1");
    assert_masked(NULL, "server=@{ssl:certuser=pkcs11:a?pin-value=12,port=1},trans=x",
                  "server=@{ssl:certuser=pkcs11:a?pin-value=*,port=1},trans=x");
    assert_listed("kdsrv", kdsrv_table, KD_FORM_CLIENT,
                  "server=@{pkcs11:object=c?pin-value=12,34},trans=x", NULL,
                  "kdsrv:Server=@{pkcs11:object=c?pin-value=*},Trans=x");
}

static void
test_masks_what_does_not_parse(void)
{
    assert_masked(NULL, "password=@{hunter2,port=1", "password=*");
    assert_masked(NULL, "server=@tcp:server=h,password=hunter2", "server=@tcp:server=h,password=*");
    assert_masked(NULL, "a=@{password=hun}ter2},b", "a=@{password=*},b");
    assert_masked(NULL, "password=@{hun}ter2,b", "password=*,b");
    assert_masked(NULL, "password =hunter2", "password =*");
    assert_masked(NULL, "passwort=hunter2", "passwort=*");
    assert_masked(NULL, ",,=,password=hun=ter2", ",,=,password=*");
}

static void
test_masked_is_one_clean_line(void)
{
    g_autofree char *fill = g_strnfill(3 * KD_PARAMS_MAX_BYTES, 'a');
    g_autofree char *masked = kd_params_build_masked("x", NULL, fill);
    assert_masked(NULL, "a=1\n\x1b[2J\xff", "a=1??[2J\xef\xbf\xbd");
    g_assert_cmpuint(strlen(masked), ==, KD_PARAMS_MAX_BYTES + strlen("x:..."));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/listing/capitalises-and-stars", test_capitalises_and_stars);
    g_test_add_func("/params/listing/range-is-real-port-and-end", test_range);
    g_test_add_func("/params/listing/leaves-defaults-out", test_defaults);
    g_test_add_func("/params/listing/masks-nested-secrets", test_listing_of_nested);
    g_test_add_func("/params/listing/parses-again", test_listing_parses_again);
    g_test_add_func("/params/masked/keeps-the-rest-as-typed", test_masks_as_typed);
    g_test_add_func("/params/masked/knows-the-tables-secrets", test_masks_keys_of_the_table);
    g_test_add_func("/params/masked/reaches-any-depth", test_masks_nested);
    g_test_add_func("/params/masked/knows-pins-with-commas", test_masks_pins_with_commas);
    g_test_add_func("/params/masked/holds-for-what-does-not-parse", test_masks_what_does_not_parse);
    g_test_add_func("/params/masked/is-one-clean-line", test_masked_is_one_clean_line);
    return g_test_run();
}

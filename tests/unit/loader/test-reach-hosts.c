/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which addresses a client's string may dial. */
#include "kd-reach.h"

#include <kdsrv/kd-plugin.h>

#include <gio/gunixsocketaddress.h>
#include <string.h>

static gboolean
is_allowed(const KdReach *reach, const char *name, const char *number, guint16 port)
{
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string(number, port);
    g_assert_nonnull(address);
    g_autoptr(GError) error = NULL;
    gboolean is_fine = kd_reach_check_address(reach, name, address, &error);
    if (is_fine) {
        g_assert_no_error(error);
    } else {
        g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
        g_assert_nonnull(strstr(error->message, "--allow-host"));
        g_assert_nonnull(strstr(error->message, number));
    }
    return is_fine;
}

static KdReach *
reach_with(const char *host)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    g_autoptr(GError) error = NULL;
    gboolean is_added = kd_reach_add_host(reach, host, &error);
    g_assert_no_error(error);
    g_assert_true(is_added);
    return g_steal_pointer(&reach);
}

static void
test_nothing_is_allowed_unasked(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    g_assert_false(is_allowed(reach, "localhost", "127.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "::1", "::1", 5000));
}

static void
test_defaults_allow_loopback(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    g_assert_true(is_allowed(reach, "localhost", "127.0.0.1", 5000));
    g_assert_true(is_allowed(reach, "127.3.2.1", "127.3.2.1", 1));
    g_assert_true(is_allowed(reach, "::1", "::1", 65535));
    g_assert_true(is_allowed(reach, NULL, "127.0.0.1", 5000));
}

static gboolean
may_be_looked_up(const KdReach *reach, const char *name)
{
    g_autoptr(GError) error = NULL;
    gboolean may = kd_reach_check_address(reach, name, NULL, &error);
    if (!may) {
        g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
        g_assert_nonnull(strstr(error->message, "--allow-host"));
    }
    return may;
}

static void
test_only_names_that_a_rule_could_allow_are_looked_up(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    g_autoptr(GError) error = NULL;
    g_assert_false(may_be_looked_up(reach, "localhost"));
    kd_reach_add_defaults(reach);
    g_assert_true(may_be_looked_up(reach, "LocalHost"));
    g_assert_false(may_be_looked_up(reach, "secret.example"));
    g_assert_true(kd_reach_add_host(reach, "lab.example:5000", &error));
    g_assert_true(may_be_looked_up(reach, "lab.example"));
    g_assert_false(may_be_looked_up(reach, "secret.example"));
    /* Any name could turn out to be this number. */
    g_assert_true(kd_reach_add_host(reach, "192.0.2.1", &error));
    g_assert_true(may_be_looked_up(reach, "other.example"));
}

static void
test_defaults_allow_loopback_in_ipv6_clothes(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    g_assert_true(is_allowed(reach, "::ffff:127.0.0.1", "::ffff:127.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "::ffff:10.0.0.1", "::ffff:10.0.0.1", 5000));
}

static void
test_unlisted_name_of_loopback_is_allowed(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    g_assert_true(is_allowed(reach, "this-machine.example", "127.0.1.1", 5000));
}

static void
test_defaults_refuse_other_machines(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    g_assert_false(is_allowed(reach, "10.0.0.1", "10.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "localhost", "10.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "fe80::1", "fe80::1", 5000));
    g_assert_false(is_allowed(reach, "0.0.0.0", "0.0.0.0", 5000));
    g_assert_false(is_allowed(reach, "::", "::", 5000));
}

static void
test_listed_name_is_allowed_whatever_it_resolves_to(void)
{
    g_autoptr(KdReach) reach = reach_with("Lab-PC.example");
    g_assert_true(is_allowed(reach, "lab-pc.example", "10.0.0.1", 5000));
    g_assert_true(is_allowed(reach, "LAB-PC.example.", "fe80::1", 1));
    g_assert_false(is_allowed(reach, "lab-pc.example.org", "10.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "lab-pc", "10.0.0.1", 5000));
    g_assert_false(is_allowed(reach, NULL, "10.0.0.1", 5000));
}

static void
test_listed_port_is_the_only_one(void)
{
    g_autoptr(KdReach) reach = reach_with("lab-pc:5000");
    g_assert_true(is_allowed(reach, "lab-pc", "10.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "lab-pc", "10.0.0.1", 5001));
}

static void
test_listed_number_matches_under_any_name(void)
{
    g_autoptr(KdReach) reach = reach_with("10.0.0.1:5000");
    g_assert_true(is_allowed(reach, "10.0.0.1", "10.0.0.1", 5000));
    g_assert_true(is_allowed(reach, "lab-pc", "10.0.0.1", 5000));
    g_assert_true(is_allowed(reach, "lab-pc", "::ffff:10.0.0.1", 5000));
    g_assert_false(is_allowed(reach, "10.0.0.1", "10.0.0.2", 5000));
    g_assert_false(is_allowed(reach, "10.0.0.1", "10.0.0.1", 5001));
}

static void
test_listed_number_does_not_vouch_for_its_name(void)
{
    g_autoptr(KdReach) reach = reach_with("10.0.0.1");
    g_assert_false(is_allowed(reach, "10.0.0.1", "10.9.9.9", 5000));
}

static void
test_listed_ipv6_has_a_port_in_brackets_only(void)
{
    g_autoptr(KdReach) with_port = reach_with("[fd00::7]:5000");
    g_assert_true(is_allowed(with_port, "fd00:0::7", "fd00::7", 5000));
    g_assert_false(is_allowed(with_port, "fd00::7", "fd00::7", 5001));
    g_autoptr(KdReach) bare = reach_with("fd00::7");
    g_assert_true(is_allowed(bare, "fd00::7", "fd00::7", 5001));
}

static void
test_malformed_hosts_are_refused(void)
{
    static const char *const hosts[] = {"",       ":5000",      "h:",      "h:0",  "h:65536",
                                        "h:-1",   "h: 1",       "[::1",    "[]:1", "[::1]5",
                                        "[host]", "fd00::zz:1", "a b",     "a/b",  "a\nb",
                                        "h:1x",   "[::1]:",     "h:+5000", "*"};
    for (gsize i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autoptr(KdReach) reach = kd_reach_new();
        g_autoptr(GError) error = NULL;
        g_test_message("`%s`", hosts[i]);
        g_assert_false(kd_reach_add_host(reach, hosts[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_null(strchr(error->message, '\n'));
    }
}

static void
test_only_internet_addresses_are_dialled(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new("/run/kdsrv/targets/vm");
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_reach_check_address(reach, NULL, address, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
}

static void
test_everything_is_everything(void)
{
    g_autoptr(KdReach) reach = kd_reach_new_everything();
    g_assert_true(is_allowed(reach, "anywhere", "10.0.0.1", 5000));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loader/reach/nothing-is-allowed-unasked", test_nothing_is_allowed_unasked);
    g_test_add_func("/loader/reach/defaults-allow-loopback", test_defaults_allow_loopback);
    g_test_add_func("/loader/reach/only-names-that-a-rule-could-allow-are-looked-up",
                    test_only_names_that_a_rule_could_allow_are_looked_up);
    g_test_add_func("/loader/reach/defaults-allow-loopback-in-ipv6-clothes",
                    test_defaults_allow_loopback_in_ipv6_clothes);
    g_test_add_func("/loader/reach/unlisted-name-of-loopback-is-allowed",
                    test_unlisted_name_of_loopback_is_allowed);
    g_test_add_func("/loader/reach/defaults-refuse-other-machines",
                    test_defaults_refuse_other_machines);
    g_test_add_func("/loader/reach/listed-name-is-allowed-whatever-it-resolves-to",
                    test_listed_name_is_allowed_whatever_it_resolves_to);
    g_test_add_func("/loader/reach/listed-port-is-the-only-one", test_listed_port_is_the_only_one);
    g_test_add_func("/loader/reach/listed-number-matches-under-any-name",
                    test_listed_number_matches_under_any_name);
    g_test_add_func("/loader/reach/listed-number-does-not-vouch-for-its-name",
                    test_listed_number_does_not_vouch_for_its_name);
    g_test_add_func("/loader/reach/listed-ipv6-has-a-port-in-brackets-only",
                    test_listed_ipv6_has_a_port_in_brackets_only);
    g_test_add_func("/loader/reach/malformed-hosts-are-refused", test_malformed_hosts_are_refused);
    g_test_add_func("/loader/reach/only-internet-addresses-are-dialled",
                    test_only_internet_addresses_are_dialled);
    g_test_add_func("/loader/reach/everything-is-everything", test_everything_is_everything);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What two com strings collide on. */
#include "kd-serial-stage.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static char *
get_lock_name(const char *text)
{
    g_autoptr(GVariant) params = kd_test_params("%s", text);
    char **names = kd_serial_com->build_lock_names(kd_test_host_get(), params);
    g_assert_cmpuint(g_strv_length(names), >=, 1);
    char *name = g_strdup(names[0]);
    g_strfreev(names);
    return name;
}

static void
check_same_lock(const char *one, const char *other, const char *prefix)
{
    g_autofree char *first = get_lock_name(one);
    g_autofree char *second = get_lock_name(other);
    g_assert_cmpstr(first, ==, second);
    g_assert_true(g_str_has_prefix(first, prefix));
}

static void
test_locks(KdSerialPlace *place, gconstpointer unused)
{
    g_autofree char *tty = NULL;
    int master = kd_serial_open_pty(&tty);
    g_autofree char *by_name = g_build_filename(place->folder, "by-id", NULL);
    g_autofree char *folder = g_build_filename(place->folder, "link", NULL);
    g_autofree char *linked = g_build_filename(folder, "vm.sock", NULL);
    g_autofree char *dotted = g_strdup_printf("%s/../link/./vm.sock", folder);
    (void)unused;
    g_assert_cmpint(symlink(tty, by_name), ==, 0);
    g_assert_cmpint(symlink(place->folder, folder), ==, 0);
    g_autofree char *line = g_strdup_printf("{'port': <'%s'>}", tty);
    g_autofree char *line_link = g_strdup_printf("{'port': <'%s'>}", by_name);
    g_autofree char *line_pipe = kd_serial_build_pipe(tty, "");
    check_same_lock(line, line_link, "dev:");
    check_same_lock(line, line_pipe, "dev:");
    g_autofree char *real = kd_serial_build_pipe(place->path, "");
    g_autofree char *through_link = kd_serial_build_pipe(linked, "");
    g_autofree char *through_dots = kd_serial_build_pipe(dotted, "");
    /* While the socket is missing, and when it is there */
    check_same_lock(real, through_link, "unix:/");
    g_autofree char *missing = get_lock_name(real);
    int listener = kd_serial_place_listen(place);
    check_same_lock(real, through_link, "unix:/");
    check_same_lock(real, through_dots, "unix:/");
    g_autofree char *present = get_lock_name(real);
    g_assert_cmpstr(missing, ==, present);
    check_same_lock("{'port': <'VM.example'>, 'ipport': <uint64 5000>}",
                    "{'port': <'vm.Example'>, 'ipport': <uint64 5000>}", "tcp:vm.example:5000");
    static const char *const ourselves[] = {"localhost", "LOCALHOST.", "127.0.0.1",
                                            "::1",       "[::1]",      "::ffff:127.0.0.1"};
    for (size_t i = 0; i < G_N_ELEMENTS(ourselves); i++) {
        g_autofree char *text =
            g_strdup_printf("{'port': <'%s'>, 'ipport': <uint64 5000>}", ourselves[i]);
        check_same_lock(text, "{'port': <'localhost'>, 'ipport': <uint64 5000>}", "tcp:");
    }
    check_same_lock("{'port': <'::ffff:192.0.2.1'>, 'ipport': <uint64 5000>}",
                    "{'port': <'192.0.2.1'>, 'ipport': <uint64 5000>}", "tcp:192.0.2.1:");
    check_same_lock("{'port': <'[2001:DB8:0::1]'>, 'ipport': <uint64 5000>}",
                    "{'port': <'2001:db8::1'>, 'ipport': <uint64 5000>}", "tcp:2001:db8::1:");
    check_same_lock("{'port': <'com2'>}", "{'port': <'/dev/ttyS1'>}", "");
    check_same_lock("{'port': <'COM2'>}", "{'port': <'ttyS1'>}", "");
    g_unlink(by_name);
    g_unlink(folder);
    close(listener);
    close(master);
}

static void
test_lock_of_hard_link(KdSerialPlace *place, gconstpointer unused)
{
    g_autofree char *other = g_build_filename(place->folder, "other.sock", NULL);
    int listener = kd_serial_place_listen(place);
    (void)unused;
    g_assert_no_errno(link(place->path, other));
    g_autofree char *one_text = kd_serial_build_pipe(place->path, "");
    g_autofree char *other_text = kd_serial_build_pipe(other, "");
    g_autoptr(GVariant) one = kd_test_params("%s", one_text);
    g_autoptr(GVariant) two = kd_test_params("%s", other_text);
    g_auto(GStrv) names = kd_serial_com->build_lock_names(kd_test_host_get(), one);
    g_auto(GStrv) others = kd_serial_com->build_lock_names(kd_test_host_get(), two);
    g_assert_cmpstr(names[0], !=, others[0]);
    g_assert_true(g_str_has_prefix(names[1], "file:"));
    g_assert_cmpstr(names[1], ==, others[1]);
    g_unlink(other);
    close(listener);
}

static gboolean
have_common_name(char **names, char **others)
{
    for (guint i = 0; names[i] != NULL; i++) {
        if (g_strv_contains((const char *const *)others, names[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

/* An adapter that was pulled out takes its links with it. */
static void
test_lock_of_missing_line(KdSerialPlace *place, gconstpointer unused)
{
    g_autofree char *tty = NULL;
    int master = kd_serial_open_pty(&tty);
    g_autofree char *by_name = g_build_filename(place->folder, "by-id", NULL);
    (void)unused;
    g_assert_no_errno(symlink(tty, by_name));
    g_autoptr(GVariant) by_link = kd_test_params("{'port': <'%s'>}", by_name);
    g_autoptr(GVariant) by_path = kd_test_params("{'port': <'%s'>}", tty);
    g_auto(GStrv) present = kd_serial_com->build_lock_names(kd_test_host_get(), by_link);
    g_unlink(by_name);
    close(master);
    g_auto(GStrv) missing_link = kd_serial_com->build_lock_names(kd_test_host_get(), by_link);
    g_auto(GStrv) missing_path = kd_serial_com->build_lock_names(kd_test_host_get(), by_path);
    g_assert_true(have_common_name(present, missing_link));
    g_assert_true(have_common_name(present, missing_path));
}

static void
test_check(void)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } cases[] = {
        {"{'port': <'2'>}", KD_ERROR_PARAM_INVALID, "com: port=2: write port=com2"},
        {"{'port': <'com0'>}", KD_ERROR_PARAM_INVALID, "com: port=com0: com1 to com256 are known"},
        {"{'port': <'lpt1'>}", KD_ERROR_PARAM_INVALID,
         "com: port=lpt1: neither com1 and so on nor the path of a line"},
        {"{'port': <'/dev/ttyS0'>, 'ipport': <uint64 5000>}", KD_ERROR_PARAM_INVALID,
         "com: port=/dev/ttyS0: with ipport the name or the address of a host"},
    };
    static const char *const good[] = {
        "{'port': <'com2'>}",
        "{'port': <'/dev/ttyUSB0'>, 'baud': <uint64 57600>, 'resets': <uint64 0>}",
        "{'port': <'ttyUSB0'>}",
        "{'port': <'\\\\\\\\.\\\\com12'>}",
        "{'port': <'/run/vm'>, 'pipe': <true>, 'reconnect': <true>}",
        "{'port': <'::1'>, 'ipport': <uint64 5000>}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GVariant) params = kd_test_params("%s", cases[i].text);
        g_autoptr(GError) error = NULL;
        g_assert_false(kd_serial_com->check(params, &error));
        g_assert_error(error, KD_ERROR, cases[i].code);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GVariant) params = kd_test_params("%s", good[i]);
        g_autoptr(GError) error = NULL;
        g_assert_true(kd_serial_com->check(params, &error));
        g_assert_no_error(error);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn)                                                            \
    g_test_add("/serial/" name, KdSerialPlace, NULL, kd_serial_place_set_up, fn, \
               kd_serial_place_tear_down)
    ADD("lock/two-spellings-give-one-name", test_locks);
    ADD("lock/two-hard-links-share-a-name", test_lock_of_hard_link);
    ADD("lock/line-that-is-away-keeps-its-names", test_lock_of_missing_line);
    g_test_add_func("/serial/check/wrong-keys-are-named", test_check);
    return g_test_run();
}

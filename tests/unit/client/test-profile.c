/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key files of debuggers: reading, matching, expanding. */
#include "kd-profile.h"

#include <glib/gstdio.h>
#include <kdsrv/kd-plugin.h>
#include <string.h>

#define GDB                                       \
    "[Debugger]\nNames=gdb;gdb-multiarch;*-gdb\n" \
    "Listen=unix\nArguments=-ex;target remote ${ADDRESS}\n"

typedef struct {
    char *folder;
    GPtrArray *paths;
} Folder;

static void
set_up(Folder *folder, gconstpointer unused)
{
    (void)unused;
    folder->folder = g_dir_make_tmp("kd-profile-XXXXXX", NULL);
    g_assert_nonnull(folder->folder);
    folder->paths = g_ptr_array_new_with_free_func(g_free);
}

static void
tear_down(Folder *folder, gconstpointer unused)
{
    (void)unused;
    for (guint i = 0; i < folder->paths->len; i++) {
        g_assert_cmpint(g_remove(folder->paths->pdata[i]), ==, 0);
    }
    g_ptr_array_unref(folder->paths);
    g_assert_cmpint(g_rmdir(folder->folder), ==, 0);
    g_free(folder->folder);
}

static const char *
write_profile(Folder *folder, const char *name, const char *text)
{
    char *path = g_build_filename(folder->folder, name, NULL);

    g_ptr_array_add(folder->paths, path);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static void
test_load(Folder *folder, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) profile = kd_profile_load(write_profile(folder, "gdb.conf", GDB), &error);

    (void)unused;
    g_assert_no_error(error);
    g_assert_false(kd_profile_get_start(profile, NULL)->is_tcp);
    g_assert_true(kd_profile_is_for(profile, "gdb"));
    g_assert_true(kd_profile_is_for(profile, "/opt/cross/bin/arm-none-eabi-gdb"));
    g_assert_false(kd_profile_is_for(profile, "gdbserver"));
    g_assert_false(kd_profile_is_for(profile, "/gdb/lldb"));
}

static void
test_argv(Folder *folder, gconstpointer unused)
{
    static const char *const user[] = {"gdb", "-q", "${ADDRESS}", NULL};
    static const char *const expected[] = {
        "gdb", "-ex", "target remote /t/s", "-q", "${ADDRESS}", "/t/s", NULL,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) profile =
        kd_profile_load(write_profile(folder, "gdb.conf",
                                      GDB "LastArguments=${ADDRESS}\nEnvironment=A=${ADDRESS}\n"),
                        &error);
    const KdProfileStart *start = kd_profile_get_start(profile, "bytes");
    g_auto(GStrv) argv = kd_profile_start_build_argv(start, user, "/t/s");
    g_auto(GStrv) environment = kd_profile_start_build_environment(start, "/t/s");

    (void)unused;
    g_assert_no_error(error);
    g_assert_true(g_strv_equal((const char *const *)argv, expected));
    g_assert_cmpstr(environment[0], ==, "A=/t/s");
    g_assert_null(environment[1]);
}

static void
expect_line(const KdProfile *profile, const char *dialect, gboolean is_tcp, const char *expected)
{
    static const char *const user[] = {"r2", "-q", NULL};
    const KdProfileStart *start = kd_profile_get_start(profile, dialect);
    g_auto(GStrv) argv = kd_profile_start_build_argv(start, user, "ADDR");
    g_autofree char *line = g_strjoinv(" ", argv);

    g_assert_cmpstr(line, ==, expected);
    g_assert_cmpint(start->is_tcp, ==, is_tcp);
}

/* What the group of a dialect leaves out is as for any link. */
static void
test_dialect(Folder *folder, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) profile = kd_profile_load(
        write_profile(folder, "r2.conf",
                      "[Debugger]\nNames=r2\nListen=tcp\nArguments=-n\n"
                      "LastArguments=gdb://${ADDRESS}\n"
                      "[Debugger kdcom]\nListen=unix\nLastArguments=winkd://${ADDRESS}\n"
                      "[Debugger console]\nArguments=-c\n"),
        &error);

    (void)unused;
    g_assert_no_error(error);
    expect_line(profile, NULL, TRUE, "r2 -n -q gdb://ADDR");
    expect_line(profile, "bytes", TRUE, "r2 -n -q gdb://ADDR");
    expect_line(profile, "of-tomorrow", TRUE, "r2 -n -q gdb://ADDR");
    expect_line(profile, "kdcom", FALSE, "r2 -n -q winkd://ADDR");
    expect_line(profile, "console", TRUE, "r2 -c -q gdb://ADDR");
}

/* Of a profile that is meant to be asked for by its name */
static void
test_empty_names(Folder *folder, gconstpointer unused)
{
    const char *folders[] = {folder->folder, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) profile = NULL;
    g_autoptr(KdProfile) found = NULL;

    (void)unused;
    write_profile(folder, "a.conf", "[Debugger]\nNames=\nArguments=${ADDRESS}\n");
    write_profile(folder, "gdb.conf", GDB);
    profile = kd_profile_load_named(folders, "a", &error);
    g_assert_no_error(error);
    g_assert_true(kd_profile_check_start(profile, &error));
    found = kd_profile_find(folders, "gdb", &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(found->path, "/gdb.conf"));
}

static void
test_first_folder_wins(Folder *folder, gconstpointer unused)
{
    g_autofree char *sub = g_build_filename(folder->folder, "none", NULL);
    const char *folders[] = {sub, folder->folder, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) profile = NULL;

    (void)unused;
    write_profile(folder, "b.conf", GDB);
    write_profile(folder, "a.conf", GDB);
    write_profile(folder, "0.conf~", "nonsense");
    profile = kd_profile_find(folders, "/usr/bin/gdb", &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(profile->path, "/a.conf"));
}

static void
test_unknown_program(Folder *folder, gconstpointer unused)
{
    const char *folders[] = {folder->folder, NULL};
    g_autoptr(GError) error = NULL;

    (void)unused;
    write_profile(folder, "gdb.conf", GDB);
    g_assert_null(kd_profile_find(folders, "/usr/bin/windbg", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_assert_nonnull(strstr(error->message, "Names=windbg"));
    g_assert_nonnull(strstr(error->message, folder->folder));
    g_assert_nonnull(strstr(error->message, "--profile"));
}

/* One that says what a BREAK is need not start a debugger, and is taken by its name alone. */
static void
test_break(Folder *folder, gconstpointer unused)
{
    const char *folders[] = {"/nonexistent", folder->folder, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) gdb = kd_profile_load(write_profile(folder, "gdb.conf", GDB), &error);
    g_autoptr(KdProfile) kgdb = NULL;
    g_autoptr(KdProfile) found = NULL;
    const char *path = write_profile(folder, "a.conf", "[Debugger]\nBreak=kgdb\n");

    (void)unused;
    g_assert_no_error(error);
    g_assert_false(gdb->has_kgdb_break);
    g_assert_true(kd_profile_check_start(gdb, &error));
    kgdb = kd_profile_load_named(folders, "a", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(kgdb->path, ==, path);
    g_assert_true(kgdb->has_kgdb_break);
    g_assert_false(kd_profile_check_start(kgdb, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_MISSING);
    g_clear_error(&error);
    found = kd_profile_find(folders, "gdb", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(found->path, ==, gdb->path);
}

static void
test_named(Folder *folder, gconstpointer unused)
{
    const char *folders[] = {"/nonexistent", folder->folder, NULL};
    const char *path = write_profile(folder, "mine.conf", GDB);
    g_autoptr(GError) error = NULL;
    g_autoptr(KdProfile) by_path = kd_profile_load_named(folders, path, &error);

    (void)unused;
    g_assert_no_error(error);
    g_assert_cmpstr(by_path->path, ==, path);
    g_assert_null(kd_profile_load_named(folders, "yours", &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_assert_nonnull(strstr(error->message, "yours.conf"));
    g_assert_nonnull(strstr(error->message, folder->folder));
}

static void
test_bad_files(Folder *folder, gconstpointer unused)
{
    static const char *const texts[] = {
        "",
        "[Debugger]\n",
        "[Debugger]\nNames=gdb\n",
        "[Debugger]\nArguments=${ADDRESS}\n",
        "[Debugger]\nNames=gdb\nArguments=${ADDRESS}\nListen=pipe\n",
        "[Debugger]\nNames=gdb\nArguments=${ADDRESS}\nDump=/x\n",
        "[Other]\nNames=gdb\nArguments=${ADDRESS}\n",
        "Names=gdb\n",
        "[Debugger]\nNames=gdb\nBreak=kgdb\n",
        "[Debugger]\nNames=gdb\nArguments=${ADDRESS}\nBreak=yes\n",
        "[Debugger]\nNames=\n",
        GDB "[Debugger kdcon]\nListen=tcp\n",
        GDB "[Debugger kdcom]\nNames=gdb\n",
        GDB "[Debugger kdcom]\nListen=pipe\n",
        GDB "[Debugger kdcom]\nArguments=-n\n",
        GDB "[Debugger ]\nListen=tcp\n",
    };

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *name = g_strdup_printf("%zu.conf", i);
        const char *path = write_profile(folder, name, texts[i]);
        g_autoptr(GError) error = NULL;

        g_assert_null(kd_profile_load(path, &error));
        g_assert_nonnull(error);
        g_assert_true(g_str_has_prefix(error->message, path));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) g_test_add("/client/profile/" path, Folder, NULL, set_up, test, tear_down)
    ADD("matches-base-names-by-pattern", test_load);
    ADD("puts-its-arguments-around-the-users", test_argv);
    ADD("starts-a-debugger-as-the-links-dialect-wants-it", test_dialect);
    ADD("without-a-name-is-used-when-asked-for", test_empty_names);
    ADD("is-the-first-in-folder-and-name-order", test_first_folder_wins);
    ADD("says-how-to-add-an-unknown-debugger", test_unknown_program);
    ADD("says-what-a-break-is", test_break);
    ADD("is-found-by-its-name-or-its-path", test_named);
    ADD("names-the-file-that-is-wrong", test_bad_files);
#undef ADD
    return g_test_run();
}

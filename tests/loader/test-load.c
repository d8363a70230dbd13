/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files and folders the loader refuses, and that a good plugin loads beside each of them. */
#include "kd-registry.h"

#include <glib/gstdio.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const KdHost host = {.struct_size = sizeof host};

/* A folder of copies, so that the modes are ours whatever the build tree's are. */
typedef struct {
    char *folder;
    GPtrArray *made;
    KdRegistry *registry;
} Place;

static char *
build_path(Place *place, const char *file)
{
    return g_build_filename(place->folder, file, NULL);
}

static void
remember(Place *place, const char *path)
{
    g_ptr_array_insert(place->made, 0, g_strdup(path));
}

static void
write_file(Place *place, const char *file, const char *bytes, gssize len)
{
    g_autofree char *path = build_path(place, file);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, bytes, len, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
    remember(place, path);
}

static void
copy_module(Place *place, const char *scheme)
{
    g_autofree char *file = g_strdup_printf("kdsrv-transport-%s.so", scheme);
    g_autofree char *source = g_test_build_filename(G_TEST_BUILT, "modules", file, NULL);
    g_autofree char *bytes = NULL;
    gsize len = 0;
    g_autoptr(GError) error = NULL;
    g_file_get_contents(source, &bytes, &len, &error);
    g_assert_no_error(error);
    write_file(place, file, bytes, (gssize)len);
}

static void
place_set_up(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_dir_make_tmp("kdsrv-load-XXXXXX", &error);
    g_assert_no_error(error);
    place->folder = realpath(folder, NULL);
    g_assert_cmpint(g_chmod(place->folder, 0755), ==, 0);
    place->made = g_ptr_array_new_with_free_func(g_free);
    place->registry = kd_registry_new(&host);
    copy_module(place, "good");
}

static void
place_tear_down(Place *place, gconstpointer unused)
{
    (void)unused;
    kd_registry_free(place->registry);
    for (guint i = 0; i < place->made->len; i++) {
        g_remove(place->made->pdata[i]);
    }
    g_ptr_array_unref(place->made);
    g_assert_cmpint(g_rmdir(place->folder), ==, 0);
    free(place->folder);
}

static void
load_folder(Place *place)
{
    g_autoptr(GError) error = NULL;
    gboolean is_loaded = kd_registry_load_folder(place->registry, place->folder, &error);
    g_assert_no_error(error);
    g_assert_true(is_loaded);
}

static void
assert_good_is_loaded(Place *place)
{
    g_autoptr(GError) error = NULL;
    const KdTransport *good = kd_registry_find_transport(place->registry, "good", &error);
    g_assert_no_error(error);
    g_assert_nonnull(good);
}

static const char *
get_only_refusal(Place *place)
{
    const char *refusal = NULL;
    for (guint i = 0; i < kd_registry_get_n_entries(place->registry); i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(place->registry, i);
        if (entry->refusal != NULL) {
            g_assert_null(refusal);
            refusal = entry->refusal;
        }
    }
    g_assert_nonnull(refusal);
    return refusal;
}

static void
assert_says(const char *message, const char *file, const char *reason)
{
    if (strstr(message, file) == NULL || strstr(message, reason) == NULL) {
        g_error("`%s` does not name `%s` and `%s`", message, file, reason);
    }
}

/* What is in the folder beside the good one is refused for this reason, and the good one loads. */
static void
assert_refused_beside_good(Place *place, const char *file, const char *reason)
{
    load_folder(place);
    assert_says(get_only_refusal(place), file, reason);
    assert_good_is_loaded(place);
}

/* ---- what the module is ---------------------------------------------------------------------- */

typedef struct {
    const char *promise;
    const char *scheme;
    const char *reason;
} Spoilt;

static const Spoilt spoilt[] = {
    {"module-without-symbol-is-refused", "nosymbol",
     "kdsrv-transport-nosymbol.so: no symbol kdsrv_plugin_v0 (is it a kdsrv plugin?)"},
    {"symbol-that-is-a-function-is-refused", "wrongsymbol", "is not a plugin's table"},
    {"wrong-magic-is-refused", "wrongmagic", "starts with 0x4b44504d"},
    {"wrong-major-is-refused", "wrongmajor",
     "kdsrv-transport-wrongmajor.so: built for plugin ABI 1, this kdsrv speaks 0"},
    {"newer-minor-needed-is-refused", "newerminor",
     "kdsrv-transport-newerminor.so: needs plugin ABI 0.3 or newer, this kdsrv speaks 0.0"},
    {"short-descriptor-is-refused", "shortstruct", "struct_size 24"},
    {"descriptor-longer-than-its-object-is-refused", "longstruct", "says 8192 bytes"},
    {"short-transport-is-refused", "shorttransport", "struct_size 8"},
    {"missing-function-is-refused", "missingfunction",
     "KD_TRANSPORT_LISTEN needs listen_async and listen_finish"},
    {"bad-scheme-is-refused", "badscheme", "lower case letters and digits"},
    {"keys-without-end-are-refused", "endlesskeys", "no end within 128 entries"},
    {"missing-key-table-is-refused", "nokeys", "no key table"},
    {"plugin-that-offers-nothing-is-refused", "nothing", "neither a transport nor a target"},
    {"failing-init-is-refused", "failinginit",
     "kdsrv-transport-failinginit.so: this sample never starts"},
    {"undefined-function-is-refused", "undefined", "kd_no_such_function"},
};

static void
test_spoilt_module(Place *place, gconstpointer user_data)
{
    const Spoilt *it = user_data;
    g_autofree char *file = g_strdup_printf("kdsrv-transport-%s.so", it->scheme);
    copy_module(place, it->scheme);
    assert_refused_beside_good(place, file, it->reason);
}

static void
test_later_file_of_one_scheme_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    copy_module(place, "twin");
    assert_refused_beside_good(place, "kdsrv-transport-twin.so: ", "kdsrv-transport-good.so");
}

static void
test_what_is_no_module_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    /* longer than an ELF header, or the linker finds it too short to tell */
    g_autofree char *text = g_strnfill(4096, 'x');
    write_file(place, "kdsrv-target-text.so", text, -1);
    assert_refused_beside_good(place, "kdsrv-target-text.so: ", "ELF header");
}

/* A disk that was full: the dynamic linker would map what is not there, and die of it. */
static void
test_torn_module_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *source =
        g_test_build_filename(G_TEST_BUILT, "modules", "kdsrv-transport-twin.so", NULL);
    g_autofree char *bytes = NULL;
    gsize len = 0;
    g_assert_true(g_file_get_contents(source, &bytes, &len, NULL));
    write_file(place, "kdsrv-transport-twin.so", bytes, 3000);
    load_folder(place);
    assert_good_is_loaded(place);
    g_assert_nonnull(strstr(get_only_refusal(place), "kdsrv-transport-twin.so: a part of it is "));
}

static void
test_other_names_are_left_alone(Place *place, gconstpointer unused)
{
    (void)unused;
    static const char *const names[] = {"kdsrv-transport-.so",  "kdsrv-transport-A.so",
                                        "kdsrv-transport-a.la", "kdsrv-transport-a.so.1",
                                        "kdsrv-filter-a.so",    "libkdsrv-transport-a.so"};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        write_file(place, names[i], "not a module", -1);
    }
    load_folder(place);
    g_assert_cmpuint(kd_registry_get_n_entries(place->registry), ==, 1);
    assert_good_is_loaded(place);
}

static void
test_descriptor_decides_not_the_name(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = build_path(place, "kdsrv-transport-good.so");
    g_autofree char *renamed = build_path(place, "kdsrv-target-renamed.so");
    g_assert_cmpint(g_rename(path, renamed), ==, 0);
    remember(place, renamed);
    load_folder(place);
    assert_good_is_loaded(place);
    const KdRegistryEntry *entry = kd_registry_get_entry(place->registry, 0);
    g_assert_cmpstr(entry->path, ==, renamed);
    g_assert_cmpstr(entry->kind, ==, "transport");
    g_assert_cmpstr(entry->version, ==, "0.1");
}

static void
test_loaded_file_is_fine_once_more(Place *place, gconstpointer unused)
{
    (void)unused;
    load_folder(place);
    load_folder(place);
    g_assert_cmpuint(kd_registry_get_n_entries(place->registry), ==, 1);
}

/* ---- where it lies --------------------------------------------------------------------------- */

static void
test_file_writable_by_others_is_refused(Place *place, gconstpointer mode)
{
    copy_module(place, "twin");
    g_autofree char *path = build_path(place, "kdsrv-transport-twin.so");
    g_assert_cmpint(g_chmod(path, GPOINTER_TO_INT(mode)), ==, 0);
    assert_refused_beside_good(place, path, "writable by others than its owner; run chmod go-w");
}

static void
test_file_of_somebody_else_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    copy_module(place, "twin");
    g_autofree char *path = build_path(place, "kdsrv-transport-twin.so");
    if (chown(path, 65534, 65534) < 0) {
        g_test_skip("only root can give a file away");
        return;
    }
    assert_refused_beside_good(place, path, "belongs to user 65534");
}

static void
test_folder_named_like_a_file_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = build_path(place, "kdsrv-transport-folder.so");
    g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    remember(place, path);
    assert_refused_beside_good(place, path, "not a regular file");
}

static void
test_fifo_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = build_path(place, "kdsrv-transport-fifo.so");
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    remember(place, path);
    assert_refused_beside_good(place, path, "not a regular file");
}

static void
test_dangling_link_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = build_path(place, "kdsrv-transport-link.so");
    g_assert_cmpint(symlink("/nonexistent/x.so", path), ==, 0);
    remember(place, path);
    assert_refused_beside_good(place, path, "No such file");
}

static void
test_link_into_an_open_folder_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *open_folder = build_path(place, "open");
    g_assert_cmpint(g_mkdir(open_folder, 0755), ==, 0);
    remember(place, open_folder);
    copy_module(place, "twin");
    g_autofree char *path = build_path(place, "kdsrv-transport-twin.so");
    g_autofree char *moved = build_path(place, "open/twin.so");
    g_assert_cmpint(g_rename(path, moved), ==, 0);
    remember(place, moved);
    g_assert_cmpint(symlink("open/twin.so", path), ==, 0);
    g_assert_cmpint(g_chmod(open_folder, 0777), ==, 0);
    assert_refused_beside_good(place, path, "run chmod go-w");
}

static void
assert_folder_refused(Place *place, const char *folder, GQuark domain, int code, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_registry_load_folder(place->registry, folder, &error));
    g_assert_error(error, domain, code);
    assert_says(error->message, folder, reason);
    g_assert_cmpuint(kd_registry_get_n_entries(place->registry), ==, 0);
}

static void
test_folder_writable_by_others_is_refused(Place *place, gconstpointer mode)
{
    g_assert_cmpint(g_chmod(place->folder, GPOINTER_TO_INT(mode)), ==, 0);
    g_autofree char *reason = g_strdup_printf(
        "%s: writable by others than its owner; run chmod go-w %s", place->folder, place->folder);
    assert_folder_refused(place, place->folder, KD_ERROR, KD_ERROR_PLUGIN_PATH, reason);
}

static void
test_folder_beneath_an_open_one_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *inner = build_path(place, "inner");
    g_assert_cmpint(g_mkdir(inner, 0755), ==, 0);
    remember(place, inner);
    g_assert_cmpint(g_chmod(place->folder, 0777), ==, 0);
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_registry_load_folder(place->registry, inner, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH);
    g_autofree char *start = g_strdup_printf("%s: writable", place->folder);
    g_assert_true(g_str_has_prefix(error->message, start));
}

static void
test_sticky_folder_passes(Place *place, gconstpointer unused)
{
    (void)unused;
    g_assert_cmpint(chmod(place->folder, 01777), ==, 0);
    load_folder(place);
    assert_good_is_loaded(place);
}

static void
test_relative_folder_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    assert_folder_refused(place, "plugins-0", KD_ERROR, KD_ERROR_PLUGIN_PATH, "absolute");
}

static void
test_absent_folder_is_not_found(Place *place, gconstpointer unused)
{
    (void)unused;
    assert_folder_refused(place, "/nonexistent/plugins-0", G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                          "No such file");
}

static void
test_file_in_place_of_the_folder_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = build_path(place, "kdsrv-transport-good.so");
    assert_folder_refused(place, path, KD_ERROR, KD_ERROR_PLUGIN_PATH, "not a folder");
}

static void
test_relative_file_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_registry_load_file(place->registry, "./kdsrv-transport-good.so", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH);
    assert_says(get_only_refusal(place), "./kdsrv-transport-good.so", "absolute");
}

static void
test_file_of_another_suffix_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    write_file(place, "evil.la", "dlname='x.so'\nlibdir='/tmp'\n", -1);
    g_autofree char *path = build_path(place, "evil.la");
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_registry_load_file(place->registry, path, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH);
    assert_says(error->message, path, "ends in .so");
}

static void
test_nothing_is_loaded_after_the_seal(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = build_path(place, "kdsrv-transport-good.so");
    g_autoptr(GError) error = NULL;
    kd_registry_seal(place->registry);
    g_assert_false(kd_registry_load_file(place->registry, path, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    assert_says(error->message, path, "too late");
    assert_folder_refused(place, place->folder, KD_ERROR, KD_ERROR_POLICY, "too late");
}

static void
test_modules_outlive_the_registry(Place *place, gconstpointer unused)
{
    (void)unused;
    load_folder(place);
    g_autoptr(GError) error = NULL;
    const KdTransport *good = kd_registry_find_transport(place->registry, "good", &error);
    g_assert_no_error(error);
    const char *scheme = good->scheme;
    kd_registry_free(place->registry);
    place->registry = kd_registry_new(&host);
    g_assert_cmpstr(scheme, ==, "good");
}

#define ADD(path, user, function) \
    g_test_add("/loader/load/" path, Place, user, place_set_up, function, place_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(spoilt); i++) {
        g_autofree char *path = g_strdup_printf("/loader/load/%s", spoilt[i].promise);
        g_test_add(path, Place, &spoilt[i], place_set_up, test_spoilt_module, place_tear_down);
    }
    ADD("later-file-of-one-scheme-is-refused", NULL, test_later_file_of_one_scheme_is_refused);
    ADD("what-is-no-module-is-refused", NULL, test_what_is_no_module_is_refused);
    ADD("torn-module-is-refused", NULL, test_torn_module_is_refused);
    ADD("other-names-are-left-alone", NULL, test_other_names_are_left_alone);
    ADD("descriptor-decides-not-the-name", NULL, test_descriptor_decides_not_the_name);
    ADD("loaded-file-is-fine-once-more", NULL, test_loaded_file_is_fine_once_more);
    ADD("file-writable-by-others-is-refused", GINT_TO_POINTER(0646),
        test_file_writable_by_others_is_refused);
    ADD("file-writable-by-its-group-is-refused", GINT_TO_POINTER(0664),
        test_file_writable_by_others_is_refused);
    ADD("sticky-file-writable-by-others-is-refused", GINT_TO_POINTER(01666),
        test_file_writable_by_others_is_refused);
    ADD("file-of-somebody-else-is-refused", NULL, test_file_of_somebody_else_is_refused);
    ADD("folder-named-like-a-file-is-refused", NULL, test_folder_named_like_a_file_is_refused);
    ADD("fifo-is-refused", NULL, test_fifo_is_refused);
    ADD("dangling-link-is-refused", NULL, test_dangling_link_is_refused);
    ADD("link-into-an-open-folder-is-refused", NULL, test_link_into_an_open_folder_is_refused);
    ADD("folder-writable-by-others-is-refused", GINT_TO_POINTER(0757),
        test_folder_writable_by_others_is_refused);
    ADD("folder-writable-by-its-group-is-refused", GINT_TO_POINTER(0775),
        test_folder_writable_by_others_is_refused);
    ADD("folder-beneath-an-open-one-is-refused", NULL, test_folder_beneath_an_open_one_is_refused);
    ADD("sticky-folder-passes", NULL, test_sticky_folder_passes);
    ADD("relative-folder-is-refused", NULL, test_relative_folder_is_refused);
    ADD("absent-folder-is-not-found", NULL, test_absent_folder_is_not_found);
    ADD("file-in-place-of-the-folder-is-refused", NULL,
        test_file_in_place_of_the_folder_is_refused);
    ADD("relative-file-is-refused", NULL, test_relative_file_is_refused);
    ADD("file-of-another-suffix-is-refused", NULL, test_file_of_another_suffix_is_refused);
    ADD("nothing-is-loaded-after-the-seal", NULL, test_nothing_is_loaded_after_the_seal);
    ADD("modules-outlive-the-registry", NULL, test_modules_outlive_the_registry);
    return g_test_run();
}

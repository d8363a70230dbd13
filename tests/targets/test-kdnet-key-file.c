/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of the net target that lie on the server. */
#include "kd-test-host.h"
#include "kdnet-key-file.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANARY "kanar1env0ge.2.3.4"

static char *keys;

static char *
build_path(const char *name)
{
    return g_build_filename(keys, name, NULL);
}

static void
put_bytes(const char *name, const char *bytes, gssize len_bytes, int mode)
{
    g_autofree char *path = build_path(name);
    g_assert_true(g_file_set_contents(path, bytes, len_bytes, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
}

static void
put_file(const char *name, const char *text, int mode)
{
    put_bytes(name, text, -1, mode);
}

static void
check_read(const char *name)
{
    KdnetKey key;
    KdnetKey expected;
    g_autoptr(GError) error = NULL;
    g_assert_true(kdnet_key_parse(CANARY, &expected, NULL));
    gboolean is_read = kdnet_key_file_read(kd_test_host_get(), name, &key, &error);
    g_assert_no_error(error);
    g_assert_true(is_read);
    g_assert_cmpint(memcmp(&key, &expected, sizeof key), ==, 0);
}

static void
check_refused(const char *name, GQuark domain, int code, const char *words)
{
    KdnetKey key;
    g_autoptr(GError) error = NULL;
    g_assert_false(kdnet_key_file_read(kd_test_host_get(), name, &key, &error));
    g_assert_error(error, domain, code);
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_prefix(error->message, "net: key file "));
    g_assert_nonnull(strstr(error->message, words));
    g_assert_null(strstr(error->message, "kanar"));
    g_assert_null(strpbrk(error->message, "\r\n"));
}

static void
test_read(void)
{
    put_file("plain", CANARY, 0600);
    put_file("line", CANARY "\n", 0400);
    put_file("blanks", "  " CANARY " \r\n\n", 0600);
    check_read("plain");
    check_read("line");
    check_read("blanks");
}

static void
test_path(void)
{
    g_autofree char *path = build_path("plain");
    put_file("plain", CANARY, 0600);
    check_read(path); /* the host of the tests allows it */
    check_refused(KD_TEST_DENIED_PREFIX "/key", KD_ERROR, KD_ERROR_POLICY, "not allowed");
}

static void
test_open_to_others(void)
{
    static const int modes[] = {0604, 0640, 0602, 0620, 0601, 0610, 0644};
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        put_file("shared", CANARY, modes[i]);
        check_refused("shared", KD_ERROR, KD_ERROR_POLICY, "chmod 600");
        g_autofree char *path = build_path("shared");
        check_refused(path, KD_ERROR, KD_ERROR_POLICY, "chmod 600");
    }
}

static void
test_owner(void)
{
    g_autofree char *path = build_path("theirs");
    if (geteuid() != 0) {
        g_test_skip("only root gives files away");
        return;
    }
    put_file("theirs", CANARY, 0600);
    g_assert_cmpint(chown(path, 12345, 12345), ==, 0);
    check_refused("theirs", KD_ERROR, KD_ERROR_POLICY, "chown");
}

static void
test_no_file(void)
{
    g_autofree char *link = build_path("link");
    g_autofree char *folder = build_path("folder");
    g_autofree char *fifo = build_path("fifo");
    put_file("plain", CANARY, 0600);
    g_assert_cmpint(symlink("plain", link), ==, 0);
    g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    check_refused("missing", G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "/etc/kdsrv/keys");
    check_refused("link", KD_ERROR, KD_ERROR_PARAM_INVALID, "symbolic link");
    check_refused("folder", KD_ERROR, KD_ERROR_PARAM_INVALID, "not a regular file");
    check_refused("fifo", KD_ERROR, KD_ERROR_PARAM_INVALID, "not a regular file");
    check_refused(fifo, KD_ERROR, KD_ERROR_PARAM_INVALID, "not a regular file");
}

static void
test_no_key(void)
{
    g_autofree char *much = g_strnfill(100000, '1');
    put_file("empty", "", 0600);
    put_file("words", "kanar1env0ge is the key", 0600);
    put_file("two", CANARY "\n" CANARY "\n", 0600);
    put_file("much", much, 0600);
    check_refused("empty", KD_ERROR, KD_ERROR_PARAM_INVALID, "not usable");
    check_refused("words", KD_ERROR, KD_ERROR_PARAM_INVALID, "not usable");
    check_refused("two", KD_ERROR, KD_ERROR_PARAM_INVALID, "not usable");
    check_refused("much", KD_ERROR, KD_ERROR_PARAM_INVALID, "more in it");
    put_bytes("hidden", CANARY "\0more", sizeof CANARY + 4, 0600);
    check_refused("hidden", KD_ERROR, KD_ERROR_PARAM_INVALID, "more in it");
}

static void
remove_all(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
            remove_all(path);
        else
            (void)g_unlink(path);
    }
    (void)g_rmdir(folder);
}

int
main(int argc, char **argv)
{
    g_autofree char *home = g_dir_make_tmp("kd-net-keys-XXXXXX", NULL);
    g_setenv("XDG_CONFIG_HOME", home, TRUE);
    keys = g_build_filename(home, "kdsrv", "keys", NULL);
    g_assert_cmpint(g_mkdir_with_parents(keys, 0700), ==, 0);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kdnet/key-file/is-read-by-name", test_read);
    g_test_add_func("/kdnet/key-file/path-is-asked-of-the-host", test_path);
    g_test_add_func("/kdnet/key-file/open-to-others-is-refused", test_open_to_others);
    g_test_add_func("/kdnet/key-file/of-another-user-is-refused", test_owner);
    g_test_add_func("/kdnet/key-file/what-is-no-file-is-refused", test_no_file);
    g_test_add_func("/kdnet/key-file/what-is-no-key-is-not-repeated", test_no_key);
    int status = g_test_run();
    remove_all(home);
    g_free(keys);
    return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which texts and files are taken as passwords, and what of them is told when they are not. */
#include "kd-password.h"

#include <glib/gstdio.h>
#include <kdsrv/kd-plugin.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANARY "Canary0Secret"

/* Of `pencil`, with the salt and the iterations of RFC 7677, section 3 */
#define SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

typedef struct {
    char *folder;
    char *path;
} Fixture;

static void
set_up(Fixture *f, gconstpointer user)
{
    (void)user;
    f->folder = g_dir_make_tmp("kdsrv-password-XXXXXX", NULL);
    g_assert_nonnull(f->folder);
    f->path = g_build_filename(f->folder, "password", NULL);
}

static void
tear_down(Fixture *f, gconstpointer user)
{
    (void)user;
    (void)g_unlink(f->path);
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);
    g_free(f->path);
    g_free(f->folder);
}

static void
write_file(const Fixture *f, const char *bytes, gssize len, int mode)
{
    g_autoptr(GError) error = NULL;

    (void)g_file_set_contents(f->path, bytes, len, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(f->path, mode), ==, 0);
}

static void
assert_file_has(const Fixture *f, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) password = kd_password_new_from_file(f->path, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(kd_secret_get_text(kd_password_get_text(password)), ==, text);
}

/* The message names the file and the fix, and no byte of what is in it. */
static void
assert_file_refused(const char *path, const char *because)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(kd_password_new_from_file(path, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_FAILED);
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_prefix(error->message, path));
    g_assert_nonnull(strstr(error->message, because));
    g_assert_null(strstr(error->message, CANARY));
    g_assert_null(strchr(error->message, '\n'));
}

static void
assert_text_refused(const char *text, const char *because)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(kd_password_new(text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_nonnull(strstr(error->message, because));
}

/* ---- texts ---- */

static void
test_texts(void)
{
    g_autofree char *most = g_strnfill(KD_PASSWORD_MAX_BYTES, 'a');
    g_autofree char *more = g_strnfill(KD_PASSWORD_MAX_BYTES + 1, 'a');
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) longest = kd_password_new(most, &error);
    g_autoptr(KdPassword) strange = kd_password_new("p\xc3\xa4ss w\xc3\xb6rd,=", &error);

    g_assert_no_error(error);
    g_assert_nonnull(longest);
    g_assert_false(kd_password_is_verifier(strange));
    assert_text_refused("", "empty");
    assert_text_refused(more, "1024");
    assert_text_refused("a\xff", "UTF-8");
    assert_text_refused("a\tb", "characters");
    assert_text_refused("\xc2\xad", "no character");
}

static void
test_verifier_is_derived_once(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) first = kd_password_new("Secret123", &error);
    g_autoptr(KdPassword) again = kd_password_new("Secret123", &error);
    g_autoptr(KdPassword) other = kd_password_new("Secret124", &error);
    const KdVerifier *verifier = kd_password_get_verifier(first, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(verifier->iterations, ==, KD_PASSWORD_ITERATIONS);
    g_assert_true(kd_password_get_verifier(first, &error) == verifier);
    g_assert_true(kd_password_get_verifier(again, &error) == verifier);
    g_assert_true(kd_password_get_verifier(other, &error) != verifier);
    g_assert_cmpstr(kd_password_get_verifier(other, &error)->salt, !=, verifier->salt);
    g_assert_no_error(error);
    kd_password_unref(g_steal_pointer(&first));
    g_assert_true(kd_password_get_verifier(again, &error) == verifier);
}

/* The words of `gsasl --mkpasswd`; here and back. */
static void
test_verifier_text(void)
{
    const char *line = "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER;
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) password = kd_password_new_from_line(line, &error);
    char *text = NULL;

    g_assert_no_error(error);
    g_assert_true(kd_password_is_verifier(password));
    g_assert_null(kd_password_get_text(password));
    text = kd_password_build_verifier(password, &error);
    g_assert_cmpstr(text, ==, line);
    kd_secret_free_text(text);
}

static void
test_bad_verifiers(void)
{
    static const char *const lines[] = {
        "{SCRAM-SHA-256}",
        "{SCRAM-SHA-256}4096",
        "{SCRAM-SHA-256}4096," SALT "," STORED,
        "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER ",",
        "{SCRAM-SHA-256}4095," SALT "," STORED "," SERVER,
        "{SCRAM-SHA-256}262145," SALT "," STORED "," SERVER,
        "{SCRAM-SHA-256}-4096," SALT "," STORED "," SERVER,
        "{SCRAM-SHA-256}," SALT "," STORED "," SERVER,
        "{SCRAM-SHA-256}4096,YWJjZGVmZw==," STORED "," SERVER,
        "{SCRAM-SHA-256}4096,," STORED "," SERVER,
        "{SCRAM-SHA-256}4096," SALT "," SALT "," SERVER,
        "{SCRAM-SHA-256}4096," SALT "," STORED ",x" SERVER,
        "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER " ",
        "{SCRAM-SHA-256-PLUS}4096," SALT "," STORED "," SERVER,
        "{SCRAM-SHA-1}4096," SALT "," STORED "," SERVER,
        "{scram-sha-256}4096," SALT "," STORED "," SERVER,
    };

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(kd_password_new_from_line(lines[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_FAILED);
        g_assert_nonnull(strstr(error->message, "--make-verifier"));
        g_assert_null(strstr(error->message, SALT));
    }
}

/* ---- files ---- */

static void
test_first_line(Fixture *f, gconstpointer user)
{
    (void)user;
    write_file(f, CANARY "\n", -1, 0600);
    assert_file_has(f, CANARY);
    write_file(f, CANARY, -1, 0400);
    assert_file_has(f, CANARY);
    write_file(f, CANARY "\r\nanother line\n", -1, 0600);
    assert_file_has(f, CANARY);
    write_file(f, " " CANARY " \n", -1, 0600);
    assert_file_has(f, " " CANARY " ");
}

static void
test_file_of_a_verifier(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPassword) password = NULL;

    (void)user;
    write_file(f, "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER "\n", -1, 0600);
    password = kd_password_new_from_file(f->path, &error);
    g_assert_no_error(error);
    g_assert_true(kd_password_is_verifier(password));
}

static void
test_open_files(Fixture *f, gconstpointer user)
{
    static const int modes[] = {0640, 0440, 0660, 0604, 0620, 0602, 0610, 0644, 0666};

    (void)user;
    for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
        write_file(f, CANARY "\n", -1, modes[i]);
        assert_file_refused(f->path, "chmod 600");
    }
}

/* As the credentials of a service with a user of its own look: an ACL shows as the group's right */
static void
test_file_lent_by_root(Fixture *f, gconstpointer user)
{
    g_autoptr(KdPassword) password = NULL;
    g_autoptr(GError) error = NULL;

    (void)user;
    if (geteuid() != 0) {
        g_test_skip("only root can have a file of root");
        return;
    }
    write_file(f, CANARY "\n", -1, 0440);
    assert_file_refused(f->path, "chmod 600");
    g_setenv("CREDENTIALS_DIRECTORY", f->folder, TRUE);
    password = kd_password_new_from_file(f->path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(chown(f->path, 0, 12345), ==, 0);
    assert_file_refused(f->path, "chmod 600");
    g_unsetenv("CREDENTIALS_DIRECTORY");
}

static void
test_file_of_another(Fixture *f, gconstpointer user)
{
    (void)user;
    if (geteuid() != 0) {
        g_test_skip("only root can give a file away");
        return;
    }
    write_file(f, CANARY "\n", -1, 0600);
    g_assert_cmpint(chown(f->path, 12345, 0), ==, 0);
    assert_file_refused(f->path, "chown 0");
}

static void
test_no_regular_file(Fixture *f, gconstpointer user)
{
    g_autofree char *target = g_build_filename(f->folder, "target", NULL);

    (void)user;
    assert_file_refused(f->path, "No such file");
    assert_file_refused(f->folder, "regular");
    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    assert_file_refused(f->path, "regular");
    g_assert_cmpint(g_unlink(f->path), ==, 0);
    assert_file_refused("/dev/zero", "regular");
    (void)g_file_set_contents(target, CANARY, -1, NULL);
    g_assert_cmpint(g_chmod(target, 0600), ==, 0);
    g_assert_cmpint(symlink(target, f->path), ==, 0);
    assert_file_refused(f->path, "symbolic link");
    g_assert_cmpint(g_unlink(target), ==, 0);
}

static void
test_bad_contents(Fixture *f, gconstpointer user)
{
    g_autofree char *much = g_strnfill(4097, 'x');

    (void)user;
    write_file(f, "", 0, 0600);
    assert_file_refused(f->path, "empty");
    write_file(f, "\n" CANARY "\n", -1, 0600);
    assert_file_refused(f->path, "empty");
    write_file(f, CANARY "\0" CANARY, sizeof CANARY + 5, 0600);
    assert_file_refused(f->path, "zeros");
    write_file(f, CANARY "\xff\n", -1, 0600);
    assert_file_refused(f->path, "UTF-8");
    write_file(f, much, -1, 0600);
    assert_file_refused(f->path, "4096");
    write_file(f, "{SCRAM-SHA-256}" CANARY "\n", -1, 0600);
    assert_file_refused(f->path, "--make-verifier");
}

static void
add(const char *path, void (*fn)(Fixture *f, gconstpointer user))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/password/texts-that-none-can-have-are-refused", test_texts);
    g_test_add_func("/password/the-same-text-is-derived-once", test_verifier_is_derived_once);
    g_test_add_func("/password/verifier-survives-being-written", test_verifier_text);
    g_test_add_func("/password/torn-verifiers-are-refused", test_bad_verifiers);
    add("/password/first-line-of-a-file-counts", test_first_line);
    add("/password/file-may-hold-a-verifier", test_file_of_a_verifier);
    add("/password/file-that-others-can-open-is-refused", test_open_files);
    add("/password/file-of-another-user-is-refused", test_file_of_another);
    add("/password/credential-that-root-lends-is-read", test_file_lent_by_root);
    add("/password/only-a-regular-file-is-read", test_no_regular_file);
    add("/password/contents-that-are-no-password-are-refused", test_bad_contents);
    return g_test_run();
}

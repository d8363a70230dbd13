/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of known servers: read, written, and broken. */
#include "kd-known-servers.h"

#include <kdsrv/kd-plugin.h>

#include <glib/gstdio.h>

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE  "ssl:labhost:1027"
#define FIRST  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECOND "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define N_WRITERS 8

static void
write_known(const char *text, int mode)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = kd_known_servers_build_path();
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
}

static char *
read_known(void)
{
    g_autofree char *path = kd_known_servers_build_path();
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void
assert_found(const char *place, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sha256 = NULL;

    g_assert_true(kd_known_servers_find(place, &sha256, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(sha256, ==, expected);
}

static void
assert_broken(const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sha256 = NULL;

    g_assert_false(kd_known_servers_find(PLACE, &sha256, &error));
    g_assert_null(sha256);
    g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
    if (strstr(error->message, word) == NULL) {
        g_test_message("%s", error->message);
        g_test_fail();
    }
}

static void
add(const char *place, const char *sha256)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(kd_known_servers_add(place, sha256, &error));
    g_assert_no_error(error);
}

static void
test_no_file(void)
{
    assert_found(PLACE, NULL);
}

static void
test_added(void)
{
    g_autofree char *path = kd_known_servers_build_path();
    GStatBuf status = {0};

    add(PLACE, FIRST);
    add("ssl:other:1", SECOND);
    add(PLACE, FIRST);
    assert_found(PLACE, FIRST);
    assert_found("ssl:other:1", SECOND);
    assert_found("ssl:labhost:1028", NULL);
    g_autofree char *text = read_known();
    g_assert_cmpstr(text, ==, PLACE " sha256:" FIRST "\nssl:other:1 sha256:" SECOND "\n");
    g_assert_cmpint(g_stat(path, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 07777, ==, 0600);
}

static void
test_comments(void)
{
    write_known("# of the lab\n\n  # more\nssl:a:1\tsha256:" FIRST "\n# no end", 0600);
    add(PLACE, SECOND);
    g_autofree char *text = read_known();

    g_assert_cmpstr(text, ==,
                    "# of the lab\n\n  # more\nssl:a:1\tsha256:" FIRST "\n# no end\n" PLACE
                    " sha256:" SECOND "\n");
    assert_found("ssl:a:1", FIRST);
}

static void
test_broken_lines(void)
{
    static const char *const lines[] = {
        "ssl:labhost:1027\n",
        "ssl:labhost:1027 sha256:00\n",
        "ssl:labhost:1027 " FIRST "\n",
        "ssl:x:1 sha1:" FIRST "\n",
        "ssl:x:1 sha256:" FIRST " more\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strconcat("# one\nssl:a:1 sha256:" FIRST "\n", lines[i], NULL);
        write_known(text, 0600);
        assert_broken("known_servers:3: ");
        g_assert_false(kd_known_servers_add("ssl:b:1", FIRST, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
        g_autofree char *after = read_known();
        g_assert_cmpstr(after, ==, text);
    }
}

static void
test_two_for_one(void)
{
    write_known(PLACE " sha256:" FIRST "\n" PLACE " sha256:" SECOND "\n", 0600);
    assert_broken("known_servers:2: a second certificate");
}

static void
test_no_change(void)
{
    g_autoptr(GError) error = NULL;

    add(PLACE, FIRST);
    g_assert_false(kd_known_servers_add(PLACE, SECOND, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
    assert_found(PLACE, FIRST);
}

static void
test_writable(void)
{
    write_known(PLACE " sha256:" FIRST "\n", 0666);
    assert_broken("others can write");
}

static void
test_no_text(void)
{
    g_autofree char *path = kd_known_servers_build_path();

    write_known("", 0600);
    g_assert_true(g_file_set_contents(path, "a\0b\n", 4, NULL));
    assert_broken("not a text");
}

static void
test_too_long(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_malloc(1024 * 1024 + 2);

    memset(text, '#', 1024 * 1024 + 1);
    text[1024 * 1024 + 1] = '\0';
    write_known(text, 0600);
    assert_broken("longer than 1 MiB");
    text[1024 * 1024 - 10] = '\0';
    write_known(text, 0600);
    g_assert_false(kd_known_servers_add(PLACE, FIRST, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
}

static void
test_wrong_words(void)
{
    static const char *const places[] = {"", "a b", "#a", "a\nb"};

    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(kd_known_servers_add(places[i], FIRST, &error));
        g_assert_nonnull(error);
    }
    assert_found(PLACE, NULL);
}

/* Each of several processes adds a line of its own. */
static void
test_many_writers(void)
{
    pid_t pids[N_WRITERS];

    for (int i = 0; i < N_WRITERS; i++) {
        pids[i] = fork();
        g_assert_cmpint(pids[i], >=, 0);
        if (pids[i] == 0) {
            g_autofree char *place = g_strdup_printf("ssl:host%d:1", i);
            _exit(kd_known_servers_add(place, FIRST, NULL) ? 0 : 1);
        }
    }
    for (int i = 0; i < N_WRITERS; i++) {
        int status = 0;
        g_assert_cmpint(waitpid(pids[i], &status, 0), ==, pids[i]);
        g_assert_cmpint(status, ==, 0);
    }
    for (int i = 0; i < N_WRITERS; i++) {
        g_autofree char *place = g_strdup_printf("ssl:host%d:1", i);
        assert_found(place, FIRST);
    }
}

static void
test_lock_held(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = kd_known_servers_build_path();
    g_autofree char *lock = g_strconcat(path, ".lock", NULL);

    add("ssl:a:1", FIRST);
    int fd = g_open(lock, O_RDWR | O_CLOEXEC, 0);
    g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
    g_assert_false(kd_known_servers_add(PLACE, FIRST, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    close(fd);
    add(PLACE, FIRST);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    g_test_add_func("/secure/known-servers/no-file-knows-nobody", test_no_file);
    g_test_add_func("/secure/known-servers/added-one-is-found", test_added);
    g_test_add_func("/secure/known-servers/comments-are-kept", test_comments);
    g_test_add_func("/secure/known-servers/broken-line-is-told-by-number", test_broken_lines);
    g_test_add_func("/secure/known-servers/two-for-one-place-are-refused", test_two_for_one);
    g_test_add_func("/secure/known-servers/certificate-is-never-replaced", test_no_change);
    g_test_add_func("/secure/known-servers/file-of-everybody-is-refused", test_writable);
    g_test_add_func("/secure/known-servers/binary-file-is-refused", test_no_text);
    g_test_add_func("/secure/known-servers/file-has-an-end", test_too_long);
    g_test_add_func("/secure/known-servers/place-is-one-word", test_wrong_words);
    g_test_add_func("/secure/known-servers/many-writers-lose-nothing", test_many_writers);
    g_test_add_func("/secure/known-servers/held-lock-is-told", test_lock_held);
    return g_test_run();
}

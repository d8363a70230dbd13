/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Anything as the file of a password, or as the line of a stored verifier. */
#include "kd-fuzz.h"
#include "kd-password.h"

#include <glib/gstdio.h>
#include <kdsrv/kd-plugin.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* First byte of an input */
enum {
    INPUT_FILE = 0x01,   /* the rest is a file; else a line                               */
    INPUT_PREFIX = 0x02, /* the line begins like a verifier                               */
};

static char path[] = "/tmp/kdsrv-fuzz-XXXXXX";
static int fd = -1;

static void
remove_file(void)
{
    (void)g_unlink(path);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    return atexit(remove_file);
}

static void
check(KdPassword *password, const GError *error)
{
    g_assert_true((password == NULL) == (error != NULL));
    if (error != NULL) {
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        g_assert_null(strchr(error->message, '\n'));
        g_assert_cmpuint(strlen(error->message), <, 200);
        return;
    }
    if (kd_password_is_verifier(password)) {
        g_assert_null(kd_password_get_text(password));
    } else {
        const KdSecret *text = kd_password_get_text(password);

        g_assert_cmpuint(kd_secret_get_len(text), >, 0);
        g_assert_cmpuint(kd_secret_get_len(text), ==, strlen(kd_secret_get_text(text)));
        g_assert_true(g_utf8_validate(kd_secret_get_text(text), -1, NULL));
    }
}

/* What is understood can be said again, in the same words but for the number's zeros. */
static void
check_verifier(const char *line)
{
    g_autoptr(KdVerifier) verifier = kd_verifier_parse(line, NULL);
    g_autoptr(KdVerifier) again = NULL;
    char *text = NULL;
    uint8_t salt[KD_VERIFIER_MAX_SALT_BYTES];
    size_t len = 0;

    if (verifier == NULL) {
        return;
    }
    g_assert_cmpuint(verifier->iterations, >=, KD_PASSWORD_MIN_ITERATIONS);
    g_assert_cmpuint(verifier->iterations, <=, KD_PASSWORD_MAX_ITERATIONS);
    g_assert_true(kd_verifier_decode_salt(verifier->salt, salt, &len));
    g_assert_true(len >= KD_VERIFIER_MIN_SALT_BYTES && len <= sizeof salt);
    text = kd_verifier_build_text(verifier);
    again = kd_verifier_parse(text, NULL);
    g_assert_nonnull(again);
    g_assert_true(memcmp(again->server_key_bytes, verifier->server_key_bytes,
                         sizeof again->server_key_bytes) == 0);
    kd_secret_free_text(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(KdPassword) password = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;

    if (size == 0) {
        return 0;
    }
    if ((data[0] & INPUT_FILE) != 0) {
        g_assert_cmpint(ftruncate(fd, 0), ==, 0);
        g_assert_cmpint(pwrite(fd, data + 1, size - 1, 0), ==, (gssize)size - 1);
        password = kd_password_new_from_file(path, &error);
        check(password, error);
        return 0;
    }
    text = g_strndup((const char *)data + 1, size - 1);
    line = g_strconcat((data[0] & INPUT_PREFIX) != 0 ? KD_VERIFIER_PREFIX : "", text, NULL);
    password = kd_password_new_from_line(line, &error);
    check(password, error);
    check_verifier(line);
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passwords and certificates of kdsrv's command line: made, asked for, or given by a service
 * manager. */
#include "kd-credentials.h"

#include "kd-cert-store.h"
#include "kd-prompt.h"
#include "kd-secret.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/**
 * kd_credentials_read_password:
 * @password: (out) (transfer full) (nullable): %NULL: none is given
 * @error: it can't be read, or is none
 *
 * Reads the password that the service manager has given: `LoadCredential=password:...`, see
 * systemd.exec(5).
 *
 * Returns: %FALSE: there should be one
 */
gboolean
kd_credentials_read_password(KdPassword **password, GError **error)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *path = NULL;

    *password = NULL;
    if (folder == NULL) {
        return TRUE;
    }
    path = g_build_filename(folder, "password", NULL);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return TRUE;
    }
    kd_secret_guard_process();
    *password = kd_password_new_from_file(path, error);
    return *password != NULL;
}

/**
 * kd_credentials_make_cert:
 * @name: of the certificate
 * @is_machine: into the machine's store, not the user's
 * @error: %KD_ERROR_PARAM_INVALID: that can't be a name
 *
 * Makes a key and a self-signed certificate, and prints its thumbprint.
 *
 * Returns: whether they were made
 */
gboolean
kd_credentials_make_cert(const char *name, gboolean is_machine, GError **error)
{
    g_autofree char *sha256 = NULL;

    kd_secret_guard_process();
    sha256 =
        kd_cert_store_make(is_machine ? KD_CERT_STORE_MACHINE : KD_CERT_STORE_USER, name, error);
    if (sha256 == NULL) {
        g_prefix_error(error, "--make-cert: ");
        return FALSE;
    }
    printf("%s\n", sha256);
    return TRUE;
}

/**
 * kd_credentials_take_answer:
 * @answer: (transfer full): as typed; wiped
 * @error: it can't be a password
 *
 * Returns: (transfer full) (nullable): the password
 */
KdPassword *
kd_credentials_take_answer(char *answer, GError **error)
{
    KdPassword *password = NULL;

    if (*answer == '\0') {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "the password is empty");
    } else {
        password = kd_password_new(answer, error);
    }
    kd_secret_free_text(answer);
    return password;
}

/* ---- asked twice ---- */

typedef struct {
    GMainLoop *loop;
    char *answer;
    GError *error;
} KdAsking;

static void
on_answer(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdAsking *asking = user_data;

    (void)source;
    asking->answer = kd_prompt_finish(result, &asking->error);
    g_main_loop_quit(asking->loop);
}

static char *
ask(const char *question, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    KdAsking asking = {.loop = loop};

    kd_prompt_async(question, TRUE, NULL, on_answer, &asking);
    g_main_loop_run(loop);
    if (asking.answer == NULL) {
        g_propagate_error(error, asking.error);
    }
    return asking.answer;
}

static char *
ask_twice(GError **error)
{
    char *answer = ask("Password: ", error);
    char *again = answer != NULL ? ask("The same once more: ", error) : NULL;

    if (again != NULL && strcmp(answer, again) != 0) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "these are two passwords");
        g_clear_pointer(&again, kd_secret_free_text);
    }
    if (again == NULL) {
        g_clear_pointer(&answer, kd_secret_free_text);
    }
    kd_secret_free_text(again);
    return answer;
}

/* One line of a file or a pipe */
static char *
read_line(GError **error)
{
    char line[KD_PASSWORD_MAX_BYTES + 2];
    size_t len = 0;
    ssize_t n = 0;
    char *text;

    while (len < sizeof line && memchr(line, '\n', len) == NULL) {
        n = read(STDIN_FILENO, line + len, sizeof line - len);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0 || len == sizeof line) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "stdin: %s",
                    n < 0 ? g_strerror(errno) : "the first line is too long");
        kd_secret_wipe(line, sizeof line);
        return NULL;
    }
    if (memchr(line, '\0', len) != NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED,
                            "stdin: has zeros in it, so it is no text");
        kd_secret_wipe(line, sizeof line);
        return NULL;
    }
    text = g_strndup(line, len);
    kd_secret_wipe(line, sizeof line);
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

/**
 * kd_credentials_make_verifier:
 * @error: why there is none
 *
 * Asks for a password at the terminal, or reads it from a stdin that is none, and prints what a
 * server can keep instead.
 *
 * Returns: whether it was printed
 */
gboolean
kd_credentials_make_verifier(GError **error)
{
    g_autoptr(KdPassword) password = NULL;
    g_autofree char *verifier = NULL;
    char *answer;

    kd_secret_guard_process();
    answer = isatty(STDIN_FILENO) ? ask_twice(error) : read_line(error);
    if (answer != NULL) {
        password = kd_credentials_take_answer(answer, error);
    }
    if (password != NULL) {
        verifier = kd_password_build_verifier(password, error);
    }
    if (verifier == NULL) {
        return FALSE;
    }
    printf("%s\n", verifier);
    return TRUE;
}

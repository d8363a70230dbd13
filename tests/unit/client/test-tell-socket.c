/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket on which kd is told what to do: one line, one answer, and nobody who waits for ever.
 */
#include "kd-tell-socket.h"

#include "kd-tell-folder.h"
#include "kd-tell-request.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_CLIENTS 8

typedef struct {
    char *base;
    KdTellSocket *socket;
    int folder;
    char *name;
    guint n_asked;
    char *line;
    KdTellClient *client; /* not answered yet */
    gboolean is_late;     /* answers are given by the test */
} Fixture;

static void
on_request(KdTellClient *client, const char *line, void *user)
{
    Fixture *f = user;

    f->n_asked++;
    g_free(f->line);
    f->line = g_strdup(line);
    if (f->is_late) {
        f->client = client;
    } else {
        kd_tell_client_answer(client, 0, "done");
    }
}

static void
set_up(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = NULL;

    (void)unused;
    *f = (Fixture){.base = g_dir_make_tmp("kd-tell-XXXXXX", NULL)};
    g_assert_nonnull(f->base);
    g_assert_true(g_setenv("XDG_RUNTIME_DIR", f->base, TRUE));
    f->socket = kd_tell_socket_new(on_request, f);
    g_assert_nonnull(f->socket);
    path = g_build_filename(f->base, "kdsrv", "kd", NULL);
    f->folder = kd_tell_folder_open(path, geteuid(), FALSE, NULL);
    g_assert_cmpint(f->folder, >=, 0);
    f->name = g_strdup_printf("%d", (int)getpid());
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
    g_autofree char *outer = g_build_filename(f->base, "kdsrv", NULL);
    g_autofree char *inner = g_build_filename(outer, "kd", NULL);

    (void)unused;
    kd_tell_socket_free(f->socket);
    close(f->folder);
    g_assert_cmpint(g_rmdir(inner), ==, 0); /* nothing is left in it */
    g_assert_cmpint(g_rmdir(outer), ==, 0);
    g_assert_cmpint(g_rmdir(f->base), ==, 0);
    g_free(f->base);
    g_free(f->name);
    g_free(f->line);
}

static int
dial(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    int fd = kd_tell_folder_dial(f->folder, f->name, &error);

    g_assert_no_error(error);
    return fd;
}

static void
say(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, (gssize)strlen(text));
}

static void
settle(void)
{
    for (int i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

/* Until the connection has ended. */
static void
expect_answer(int fd, const char *expected)
{
    g_autoptr(GString) answer = g_string_new(NULL);
    char buf[64];
    gssize n;

    do {
        g_main_context_iteration(NULL, FALSE);
        n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n > 0) {
            g_string_append_len(answer, buf, n);
        }
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    g_assert_cmpstr(answer->str, ==, expected);
    close(fd);
}

static void
test_answer(Fixture *f, gconstpointer unused)
{
    struct stat info;
    int fd = dial(f);

    (void)unused;
    g_assert_cmpint(fstatat(f->folder, f->name, &info, 0), ==, 0);
    g_assert_cmpuint(info.st_mode & 07777, ==, 0600);
    say(fd, "bre");
    settle();
    g_assert_cmpuint(f->n_asked, ==, 0);
    say(fd, "ak\nbreak\n");
    expect_answer(fd, "0 done\n");
    g_assert_cmpstr(f->line, ==, "break");
    g_assert_cmpuint(f->n_asked, ==, 1);
}

static void
test_long(Fixture *f, gconstpointer unused)
{
    g_autofree char *much = g_strnfill(KD_TELL_MAX_REQUEST_BYTES + 1, 'x');
    int fd = dial(f);

    (void)unused;
    say(fd, much);
    expect_answer(fd, "2 the request is too long\n");
    g_assert_cmpuint(f->n_asked, ==, 0);
    much[KD_TELL_MAX_REQUEST_BYTES] = '\n';
    fd = dial(f);
    say(fd, much);
    expect_answer(fd, "0 done\n");
    g_assert_cmpuint(strlen(f->line), ==, KD_TELL_MAX_REQUEST_BYTES);
}

static void
test_gone(Fixture *f, gconstpointer unused)
{
    int fd = dial(f);

    (void)unused;
    say(fd, "bre");
    settle();
    close(fd);
    settle();
    f->is_late = TRUE;
    fd = dial(f);
    say(fd, "break\n");
    settle();
    g_assert_nonnull(f->client);
    close(fd);
    settle();
    kd_tell_client_answer(f->client, 0, "to nobody");
}

static void
test_late(Fixture *f, gconstpointer unused)
{
    int fd = dial(f);

    (void)unused;
    f->is_late = TRUE;
    say(fd, "break\n");
    g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
    settle();
    g_assert_nonnull(f->client);
    g_clear_pointer(&f->socket, kd_tell_socket_free);
    expect_answer(fd, "");
    kd_tell_client_answer(f->client, 0, "to nobody");
}

static void
test_many(Fixture *f, gconstpointer unused)
{
    int fds[MOST_CLIENTS];

    (void)unused;
    for (int i = 0; i < MOST_CLIENTS; i++) {
        fds[i] = dial(f);
    }
    settle();
    expect_answer(dial(f), "");
    for (int i = 0; i < MOST_CLIENTS; i++) {
        say(fds[i], "status\n");
        expect_answer(fds[i], "0 done\n");
    }
    g_assert_cmpuint(f->n_asked, ==, MOST_CLIENTS);
}

/* Answers that are owed to nobody any more must not keep out who comes with the remedy. */
static void
test_gone_many(Fixture *f, gconstpointer unused)
{
    KdTellClient *clients[2 * MOST_CLIENTS];

    (void)unused;
    f->is_late = TRUE;
    for (int i = 0; i < 2 * MOST_CLIENTS; i++) {
        int fd = dial(f);

        say(fd, "break\n");
        settle();
        clients[i] = f->client;
        close(fd);
        settle();
    }
    f->is_late = FALSE;
    {
        int fd = dial(f);

        say(fd, "break urgent\n");
        expect_answer(fd, "0 done\n");
    }
    for (int i = 0; i < 2 * MOST_CLIENTS; i++) {
        kd_tell_client_answer(clients[i], 0, "to nobody");
    }
}

/* Takes 5 s: that is what it is about. */
static void
test_silent(Fixture *f, gconstpointer unused)
{
    int fd = dial(f);
    gint64 start_us = g_get_monotonic_time();

    (void)unused;
    say(fd, "bre");
    while (g_get_monotonic_time() - start_us < 20 * G_USEC_PER_SEC) {
        char byte;

        g_main_context_iteration(NULL, TRUE);
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0) {
            break;
        }
    }
    expect_answer(fd, "");
    g_assert_cmpuint(f->n_asked, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) \
    g_test_add("/client/tell-socket/" path, Fixture, NULL, set_up, test, tear_down)
    ADD("gives-one-answer-to-one-line", test_answer);
    ADD("refuses-a-line-that-is-too-long", test_long);
    ADD("forgets-who-has-gone", test_gone);
    ADD("can-go-before-its-clients", test_late);
    ADD("has-room-for-eight", test_many);
    ADD("has-room-again-for-those-who-have-gone", test_gone_many);
    ADD("does-not-wait-for-the-silent", test_silent);
#undef ADD
    return g_test_run();
}

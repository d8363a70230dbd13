/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pipes of other machines, with scripts in the place of ssh: how it is started, how its end is told
 * and how it is brought to one. A real ssh is in the end-to-end tests. */
#include "kd-test-pipes.h"

#include <glib/gstdio.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY "echo 'kd: pipe-bridge: ready' >&2\n"

static const KdTransport *npipe;

/* Puts a script into PATH as ssh; it leaves its number behind. */
static void
set_script(const KdTestPipes *pipes, const char *text)
{
    g_autofree char *path = g_build_filename(pipes->home, "ssh", NULL);
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\n"
                        "printf '%%s\\n' \"$@\" >%s/args\n"
                        "echo $$ >%s/pid.new; mv %s/pid.new %s/pid\n"
                        "%s",
                        pipes->home, pipes->home, pipes->home, pipes->home, text);
    g_autofree char *search = g_strdup_printf("%s:/usr/bin:/bin", pipes->home);
    g_assert_true(g_file_set_contents(path, script, -1, NULL));
    g_assert_cmpint(g_chmod(path, 0755), ==, 0);
    g_setenv("PATH", search, TRUE);
}

static char *
read_file(const KdTestPipes *pipes, const char *name)
{
    g_autofree char *path = g_build_filename(pipes->home, name, NULL);
    char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return g_strdup("");
    return text;
}

static gboolean
is_started(gpointer user_data)
{
    g_autofree char *text = read_file(user_data, "pid");
    return *text != '\0';
}

/* Gone, and collected as well. */
static gboolean
is_gone(gpointer user_data)
{
    g_autofree char *text = read_file(user_data, "pid");
    pid_t pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
    return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

/* While the loop turns, which is what lets the end through */
static int awaited_fd;

static gboolean
is_readable(gpointer user_data)
{
    struct pollfd fd = {.fd = awaited_fd, .events = POLLIN};
    (void)user_data;
    return poll(&fd, 1, 0) == 1;
}

static guint most_fds;

static gboolean
has_few_fds(gpointer user_data)
{
    (void)user_data;
    return kd_test_count_fds() <= most_fds;
}

static gboolean
on_tick(gpointer user_data)
{
    (void)user_data;
    return G_SOURCE_CONTINUE;
}

/* Nothing of the loop's tells what is waited for. */
static void
wait_by_looking(gboolean (*is_met)(gpointer user_data), KdTestPipes *pipes)
{
    guint id = g_timeout_add(10, on_tick, NULL);
    kd_test_wait_until(is_met, pipes);
    g_source_remove(id);
}

static void
expect_bytes(int fd, const char *expected)
{
    size_t len = strlen(expected);
    g_autofree char *got = g_malloc0(len + 1);
    for (size_t n = 0; n < len;) {
        kd_test_wait_readable(fd);
        ssize_t count = recv(fd, got + n, len - n, 0);
        g_assert_cmpint(count, >, 0);
        n += (size_t)count;
    }
    g_assert_cmpstr(got, ==, expected);
}

static void
expect_refusal(const char *server, GQuark domain, int code, const char *text)
{
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_test_pipes_connect(npipe, server, "lab", &endpoint, &error));
    g_assert_error(error, domain, code);
    g_assert_true(g_str_has_prefix(error->message, "npipe: "));
    if (strstr(error->message, text) == NULL)
        g_error("\"%s\" does not say \"%s\"", error->message, text);
}

static void
test_missing(KdTestPipes *pipes, gconstpointer unused)
{
    (void)unused;
    g_setenv("PATH", pipes->home, TRUE);
    expect_refusal("far.example", KD_ERROR, KD_ERROR_NOT_SUPPORTED, "ssh is not installed");
}

static void
test_arguments(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    const char *peer = NULL;
    g_autoptr(GError) error = NULL;
    (void)unused;
    set_script(pipes, READY "exec cat\n");
    g_assert_true(kd_test_pipes_connect(npipe, "[fe80::1%eth0]", "a$(x);b", &endpoint, &error));
    g_assert_no_error(error);
    g_autofree char *args = read_file(pipes, "args");
    g_assert_true(g_str_has_prefix(args, "-T\n"));
    g_assert_true(g_str_has_suffix(args, "\n--\nfe80::1%eth0\nkd --pipe-bridge='a$(x);b'\n"));
    g_assert_true(g_variant_lookup(endpoint.facts, "peer", "&s", &peer));
    g_assert_cmpstr(peer, ==, "[fe80::1%eth0] by ssh");
    g_assert_cmpuint(endpoint.flags, ==, KD_ENDPOINT_HALF_CLOSE | KD_ENDPOINT_ENCRYPTED);
    kd_test_pipes_close(&endpoint);
    wait_by_looking(is_gone, pipes);
}

static void
test_bytes(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    char byte;
    (void)unused;
    set_script(pipes, "echo noise >&2\n" READY "exec cat\n");
    g_assert_true(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, NULL));
    g_assert_cmpint(send(endpoint.fd, "there and back", 14, MSG_NOSIGNAL), ==, 14);
    expect_bytes(endpoint.fd, "there and back");
    /* A half-close gets there, and what ssh then ends with is the end here. */
    g_assert_cmpint(shutdown(endpoint.fd, SHUT_WR), ==, 0);
    awaited_fd = endpoint.fd;
    wait_by_looking(is_readable, pipes);
    g_assert_cmpint(recv(endpoint.fd, &byte, 1, 0), ==, 0);
    kd_test_pipes_close(&endpoint);
}

/* Without the line on stderr, the first bytes tell that there is a connection; none is lost. */
static void
test_first_bytes(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    (void)unused;
    set_script(pipes, "echo hello\nexec cat\n");
    g_assert_true(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, NULL));
    expect_bytes(endpoint.fd, "hello\n");
    kd_test_pipes_close(&endpoint);
    wait_by_looking(is_gone, pipes);
}

static void
test_refused(KdTestPipes *pipes, gconstpointer unused)
{
    (void)unused;
    set_script(pipes, "printf 'far: banner\\nfar: Permission denied (publickey).\\r\\n' >&2\n"
                      "exit 255\n");
    expect_refusal("far.example", G_IO_ERROR, G_IO_ERROR_FAILED,
                   "far.example: ssh has ended with status 255: far: Permission denied "
                   "(publickey).");
    wait_by_looking(is_gone, pipes);
}

static void
test_no_pipe(KdTestPipes *pipes, gconstpointer unused)
{
    (void)unused;
    set_script(pipes, "printf 'kd: npipe: there is no pipe lab' >&2\nexit 1\n");
    expect_refusal("far.example", G_IO_ERROR, G_IO_ERROR_FAILED,
                   "status 1: kd: npipe: there is no pipe lab");
}

static void
test_killed(KdTestPipes *pipes, gconstpointer unused)
{
    (void)unused;
    set_script(pipes, "kill -9 $$\n");
    expect_refusal("far.example", G_IO_ERROR, G_IO_ERROR_FAILED, "signal 9");
}

/* However much it says: one line of it, and of that not too much. */
static void
test_flood(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    (void)unused;
    set_script(pipes, "head -c 1000000 /dev/zero | tr '\\0' '\\377' >&2\nexit 2\n");
    g_assert_false(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, &error));
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
    g_assert_cmpuint(strlen(error->message), <, 2048);
}

static void
test_cancel(KdTestPipes *pipes, gconstpointer unused)
{
    g_autoptr(GVariant) params = kd_test_params("{'server': <'far.example'>, 'pipe': <'lab'>}");
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    KdTestDone done = {0};
    KdEndpoint endpoint = {.struct_size = sizeof(endpoint), .fd = -1};
    (void)unused;
    set_script(pipes, "exec sleep 1000\n");
    npipe->connect_async(kd_test_host_get(), params, cancellable, kd_test_on_done, &done);
    wait_by_looking(is_started, pipes);
    g_cancellable_cancel(cancellable);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    g_assert_false(npipe->connect_finish(result, &endpoint, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    wait_by_looking(is_gone, pipes);
}

/* Neither the end of its input nor a polite word ends it. */
static void
test_stubborn(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    (void)unused;
    set_script(pipes, "trap '' TERM HUP INT\n" READY "while :; do sleep 0.1; done\n");
    g_assert_true(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, NULL));
    kd_test_pipes_close(&endpoint);
    wait_by_looking(is_gone, pipes);
}

/* What was written right before closing still gets there. */
static void
test_last_word(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    (void)unused;
    set_script(pipes, READY "d=$(dirname \"$0\")\nsleep 0.3\ncat >$d/got\n");
    g_assert_true(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, NULL));
    g_assert_cmpint(send(endpoint.fd, "last word", 9, MSG_NOSIGNAL), ==, 9);
    kd_test_pipes_close(&endpoint);
    wait_by_looking(is_gone, pipes);
    g_autofree char *got = read_file(pipes, "got");
    g_assert_cmpstr(got, ==, "last word");
}

/* A terminal's CTRL+C goes to the debugger, ssh has to live on. */
static void
test_interrupt(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    (void)unused;
    set_script(pipes, READY "kill -INT $$\nexec cat\n");
    g_assert_true(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, NULL));
    g_assert_cmpint(send(endpoint.fd, "alive", 5, MSG_NOSIGNAL), ==, 5);
    expect_bytes(endpoint.fd, "alive");
    kd_test_pipes_close(&endpoint);
    wait_by_looking(is_gone, pipes);
}

static void
test_no_leak(KdTestPipes *pipes, gconstpointer unused)
{
    (void)unused;
    set_script(pipes, READY "exec cat\n");
    for (guint i = 0; i < 10; i++) {
        KdEndpoint endpoint;
        g_assert_true(kd_test_pipes_connect(npipe, "far.example", "lab", &endpoint, NULL));
        kd_test_pipes_close(&endpoint);
        wait_by_looking(is_gone, pipes);
        if (i == 0)
            most_fds = kd_test_count_fds();
    }
    wait_by_looking(has_few_fds, pipes);
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
    g_assert_cmpint(errno, ==, ECHILD);
}

#define add(path, fn) \
    g_test_add(path, KdTestPipes, NULL, kd_test_pipes_set_up, fn, kd_test_pipes_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        npipe = kd_test_load_plugin("kdsrv-transport-npipe.so")->transports[0];
    add("/npipe/ssh/not-installed-is-said", test_missing);
    add("/npipe/ssh/name-is-quoted-and-host-is-no-option", test_arguments);
    add("/npipe/ssh/bytes-and-half-close-pass", test_bytes);
    add("/npipe/ssh/first-bytes-mean-connected", test_first_bytes);
    add("/npipe/ssh/early-end-tells-status-and-line", test_refused);
    add("/npipe/ssh/far-side-says-that-there-is-no-pipe", test_no_pipe);
    add("/npipe/ssh/signal-is-told", test_killed);
    add("/npipe/ssh/flood-of-words-is-cut", test_flood);
    add("/npipe/ssh/cancel-ends-it", test_cancel);
    add("/npipe/ssh/closing-ends-a-stubborn-one", test_stubborn);
    add("/npipe/ssh/closing-loses-nothing-written", test_last_word);
    add("/npipe/ssh/interrupt-of-the-terminal-is-ignored", test_interrupt);
    add("/npipe/ssh/ten-rounds-keep-neither-descriptor-nor-child", test_no_leak);
    return g_test_run();
}

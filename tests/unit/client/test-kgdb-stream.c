/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger that is read along: where reading stops, what passes, how it ends. */
#include "kd-kgdb-stream.h"

#include "kd-end.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * Fixture:
 * @debugger: the far end
 * @endpoint: what a route would be given
 * @story: all that was read, with ~ for a BREAK
 * @is_held: marks are not passed
 */
typedef struct {
    int debugger;
    KdEndpoint endpoint;
    KdStream *stream;
    GString *story;
    guint n_marks;
    guint n_ready;
    gboolean is_held;
    gboolean is_refused;
    gboolean is_gone;
} Fixture;

static void
on_marked(void *user)
{
    Fixture *f = user;

    f->n_marks++;
    if (f->is_held) {
        return;
    }
    g_string_append_c(f->story, '~');
    kd_kgdb_stream_pass(f->stream, !f->is_refused);
}

static void
on_gone(void *user)
{
    ((Fixture *)user)->is_gone = TRUE;
}

static const KdKgdbFuncs funcs = {.marked = on_marked, .gone = on_gone};

static void
on_ready(void *user, uint32_t ready)
{
    ((Fixture *)user)->n_ready += (ready & KD_READY_IN) != 0 ? 1 : 0;
}

static void
set_up(Fixture *f, gconstpointer unused)
{
    int fds[2];

    (void)unused;
    *f = (Fixture){.story = g_string_new(NULL)};
    g_assert_true(kd_loop_start(NULL));
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    f->debugger = fds[0];
    kd_endpoint_init(&f->endpoint);
    kd_endpoint_take_fd(&f->endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    f->stream = kd_kgdb_stream_wrap(&f->endpoint, &funcs, f, NULL);
    g_assert_nonnull(f->stream);
    g_assert_cmpint(f->endpoint.fd, ==, -1);
    g_assert_cmpuint(f->endpoint.flags, ==, KD_ENDPOINT_HALF_CLOSE);
    f->endpoint.ops->set_ready(f->stream, on_ready, f);
}

static void
settle(void)
{
    for (int i = 0; i < 10; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    kd_endpoint_clear(&f->endpoint);
    g_assert_true(f->is_gone);
    settle();
    close(f->debugger);
    g_string_free(f->story, TRUE);
    kd_loop_stop();
}

static void
say(Fixture *f, const void *bytes, size_t len)
{
    g_assert_cmpint(write(f->debugger, bytes, len), ==, (gssize)len);
}

/* Reads as a route does, until nothing more comes by itself. Returns: the last read's result */
static gssize
read_all(Fixture *f, size_t most)
{
    gssize n = -EAGAIN;
    uint8_t buf[512];

    for (int idle = 0; idle < 3; idle++) {
        settle();
        while ((n = f->endpoint.ops->read(f->stream, buf, most)) > 0) {
            idle = 0;
            for (gssize i = 0; i < n; i++) {
                g_string_append_c(f->story, g_ascii_isprint((char)buf[i]) ? (char)buf[i] : '.');
            }
        }
        if (n != -EAGAIN) {
            break;
        }
    }
    return n;
}

#define SAID     "+$qA#11\xff\xf3g+$X0,2:\xff\xf3\x03g#aa\x03+g"
#define EXPECTED "+$qA#11~g+$X0,2:...g#aa~g+~g"

static void
test_order(Fixture *f, gconstpointer unused)
{
    (void)unused;
    say(f, SAID, sizeof SAID - 1);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, EXPECTED);
}

static void
test_small_reads(Fixture *f, gconstpointer unused)
{
    (void)unused;
    say(f, SAID, sizeof SAID - 1);
    g_assert_cmpint(read_all(f, 1), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, EXPECTED);
}

static void
test_pieces(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof SAID - 1; i++) {
        say(f, &SAID[i], 1);
        g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    }
    g_assert_cmpstr(f->story->str, ==, EXPECTED);
}

static void
test_stops(Fixture *f, gconstpointer unused)
{
    guint n_ready;

    (void)unused;
    f->is_held = TRUE;
    say(f, "+\xff\xf3g+", 5);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "+");
    g_assert_cmpuint(f->n_marks, >, 0);
    f->is_held = FALSE;
    n_ready = f->n_ready;
    kd_kgdb_stream_retry(f->stream);
    g_assert_cmpuint(f->n_ready, >, n_ready);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "+~g+");
}

static void
test_refused(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->is_refused = TRUE;
    say(f, "+\x03+", 3);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "+~+");
}

static void
test_end(Fixture *f, gconstpointer unused)
{
    (void)unused;
    say(f, "+\x03\xff", 3);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "+~g");
    g_assert_cmpint(shutdown(f->debugger, SHUT_WR), ==, 0);
    g_assert_cmpint(read_all(f, 512), ==, 0);
    g_assert_cmpstr(f->story->str, ==, "+~g.");
    g_assert_cmpint(read_all(f, 512), ==, 0);
    g_assert_false(kd_kgdb_stream_ask(f->stream));
}

/* A break that a person asks for does not tear a packet apart. */
static void
test_ask(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_true(kd_kgdb_stream_ask(f->stream));
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "~g");
    say(f, "$m0,", 4);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_true(kd_kgdb_stream_ask(f->stream));
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "~g$m0,");
    say(f, "4#11", 4);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "~g$m0,4#11~g");
}

static void
test_g(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->is_held = TRUE;
    say(f, "+\x03", 2);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    f->is_held = FALSE;
    kd_kgdb_stream_insert_g(f->stream);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "+g~g");
}

/* Its owner answers whoever has asked with the mark that there is. */
static void
test_ask_at_mark(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->is_held = TRUE;
    say(f, "+\x03+", 3);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_true(kd_kgdb_stream_ask(f->stream));
    f->is_held = FALSE;
    kd_kgdb_stream_retry(f->stream);
    g_assert_cmpint(read_all(f, 512), ==, -EAGAIN);
    g_assert_cmpstr(f->story->str, ==, "+~g+");
}

static void
test_writes(Fixture *f, gconstpointer unused)
{
    char buf[8] = "";

    (void)unused;
    settle();
    g_assert_cmpint(f->endpoint.ops->write(f->stream, "to gdb", 6), ==, 6);
    g_assert_cmpint(read(f->debugger, buf, sizeof buf), ==, 6);
    g_assert_cmpstr(buf, ==, "to gdb");
    g_assert_cmpint(f->endpoint.ops->shutdown_write(f->stream), ==, 0);
    g_assert_cmpint(read(f->debugger, buf, sizeof buf), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) \
    g_test_add("/client/kgdb-stream/" path, Fixture, NULL, set_up, test, tear_down)
    ADD("puts-breaks-between-the-right-bytes", test_order);
    ADD("does-so-for-small-reads", test_small_reads);
    ADD("does-so-for-bytes-that-come-one-by-one", test_pieces);
    ADD("stops-until-the-break-is-on-its-way", test_stops);
    ADD("drops-the-g-of-a-break-that-is-refused", test_refused);
    ADD("gives-what-it-held-at-the-end", test_end);
    ADD("breaks-for-a-person-behind-a-whole-packet", test_ask);
    ADD("breaks-once-for-a-person-and-a-debugger-at-a-time", test_ask_at_mark);
    ADD("gives-the-g-of-an-urgent-break-first", test_g);
    ADD("writes-and-shuts-as-the-debugger-does", test_writes);
#undef ADD
    return g_test_run();
}

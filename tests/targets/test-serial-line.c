/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The com target on a terminal: settings, speeds, who has it. */
#include "kd-serial-stage.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void
test_line(void)
{
    KdSerialSession session;
    uint32_t baud = 0;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = kd_serial_open_pty(&path);
    struct termios2 before = kd_serial_get_termios(master);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 57600>}", path);
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    struct termios2 now = kd_serial_get_termios(master);
    g_assert_cmpuint(now.c_ospeed, ==, 57600);
    g_assert_cmpuint(now.c_ispeed, ==, 57600);
    g_assert_cmpuint(now.c_lflag, ==, 0);
    g_assert_cmpuint(now.c_oflag, ==, 0);
    g_assert_cmpuint(now.c_cflag & (CLOCAL | CREAD | CSIZE | HUPCL), ==, CLOCAL | CREAD | CS8);
    g_assert_true(g_variant_lookup(session.endpoint.facts, "baud", "u", &baud));
    g_assert_cmpuint(baud, ==, 57600);
    kd_serial_check_bytes(master, session.endpoint.fd);
    kd_serial_check_bytes(session.endpoint.fd, master);
    kd_serial_end(&session);
    struct termios2 after = kd_serial_get_termios(master);
    g_assert_cmpmem(&after, sizeof(after), &before, sizeof(before));
    close(master);
}

static gboolean
control_baud(KdSerialSession *session, uint32_t baud, uint32_t *got, GError **error)
{
    g_autoptr(GVariant) out =
        kd_serial_control(session, KD_CONTROL_BAUD, g_variant_new_uint32(baud), error);
    if (out == NULL)
        return FALSE;
    *got = g_variant_get_uint32(out);
    return TRUE;
}

/* The far side learns of each new speed by an event of its own (ioctl_tty(2), TIOCPKT), and finds
 * it, to the last digit, in the settings that both ends share. */
static void
test_speeds(void)
{
    static const uint32_t speeds[] = {9600, 115200, 250000, 3000000, 1234567};
    const int yes = 1;
    char what = 0;
    KdSerialSession session;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = kd_serial_open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 9600>}", path);
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    struct termios2 settings = kd_serial_get_termios(master);
    g_assert_cmpuint(settings.c_ospeed, ==, 9600);
    settings.c_lflag |= EXTPROC;
    g_assert_no_errno(ioctl(session.endpoint.fd, TCSETS2, &settings));
    g_assert_no_errno(ioctl(master, TIOCPKT, &yes));
    for (size_t i = G_N_ELEMENTS(speeds); i-- > 0;) {
        uint32_t got = 0;
        g_assert_true(control_baud(&session, speeds[i], &got, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(got, ==, speeds[i]);
        kd_test_wait_readable(master);
        g_assert_cmpint(read(master, &what, 1), ==, 1);
        g_assert_cmpint(what & TIOCPKT_IOCTL, !=, 0);
        g_assert_cmpuint(kd_serial_get_termios(master).c_ospeed, ==, speeds[i]);
        g_assert_cmpuint(kd_serial_get_termios(master).c_ispeed, ==, speeds[i]);
    }
    kd_serial_end(&session);
    close(master);
}

static void
test_wrong_speed(void)
{
    KdSerialSession session;
    uint32_t got = 0;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = kd_serial_open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 9600>}", path);
    g_assert_true(kd_serial_open(&session, text, NULL));
    g_assert_false(control_baud(&session, 7, &got, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_cmpuint(kd_serial_get_termios(master).c_ospeed, ==, 9600);
    kd_serial_end(&session);
    close(master);
}

static void
test_busy(void)
{
    KdSerialSession first;
    KdSerialSession second;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = kd_serial_open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'baud': <uint64 9600>}", path);
    g_assert_true(kd_serial_open(&first, text, NULL));
    g_assert_false(kd_serial_open(&second, text, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    /* The one that was refused has changed nothing. */
    g_assert_cmpuint(kd_serial_get_termios(master).c_ospeed, ==, 9600);
    /* Closing frees the line, though the endpoint is the host's and open still. */
    int endpoint_fd = first.endpoint.fd;
    first.endpoint.fd = -1;
    kd_serial_end(&first);
    g_assert_true(kd_serial_open(&second, text, &error));
    g_assert_no_error(error);
    kd_serial_end(&second);
    close(endpoint_fd);
    close(master);
}

static void
test_pipe_terminal(void)
{
    KdSerialSession session;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = kd_serial_open_pty(&path);
    guint32 before = kd_serial_get_termios(master).c_ospeed;
    g_autofree char *text = kd_serial_build_pipe(path, "");
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(kd_serial_get_termios(master).c_ospeed, ==, before);
    kd_serial_check_bytes(master, session.endpoint.fd);
    kd_serial_end(&session);
    close(master);
}

static void
test_line_comes_back(KdSerialPlace *place, gconstpointer unused)
{
    /* An adapter by its stable name: pulled out, and back as another device */
    KdSerialSession session;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf(
        "{'port': <'%s'>, 'baud': <uint64 38400>, 'reconnect': <true>}", place->path);
    int master = kd_serial_open_pty(&first);
    (void)unused;
    g_assert_cmpint(symlink(first, place->path), ==, 0);
    g_assert_true(kd_serial_open(&session, text, &error));
    g_assert_no_error(error);
    close(master);
    g_unlink(place->path);
    kd_serial_drop_endpoint(&session);
    kd_serial_com->reopen_async(session.link, NULL, kd_test_on_done, &session.done);
    g_main_context_iteration(NULL, TRUE);
    master = kd_serial_open_pty(&second);
    g_assert_cmpint(symlink(second, place->path), ==, 0);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session.done);
    g_assert_true(kd_serial_com->reopen_finish(session.link, result, &session.endpoint, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(kd_serial_get_termios(master).c_ospeed, ==, 38400);
    kd_serial_check_bytes(master, session.endpoint.fd);
    kd_serial_end(&session);
    close(master);
}

/* What a person reads at the end of a session */
static void
test_hang_up(void)
{
    KdSerialSession session;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int master = kd_serial_open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>}", path);
    g_autofree char *expected =
        g_strdup_printf("com: %s has hung up (with reconnect it would be waited for)", path);
    g_assert_true(kd_serial_open(&session, text, NULL));
    close(master);
    g_assert_false(kd_serial_reopen(&session, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_cmpstr(kd_serial_get_events(&session), ==, "note ");
    kd_serial_end(&session);
}

static gint
get_wait_ms(void)
{
    GMainContext *context = g_main_context_default();
    GPollFD fds[8];
    gint priority = 0;
    gint wait_ms = 0;
    kd_test_turn();
    g_assert_true(g_main_context_acquire(context));
    (void)g_main_context_prepare(context, &priority);
    (void)g_main_context_query(context, priority, &wait_ms, fds, G_N_ELEMENTS(fds));
    g_main_context_release(context);
    return wait_ms;
}

static void
test_idle(void)
{
    KdSerialSession session;
    g_autofree char *path = NULL;
    int master = kd_serial_open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>}", path);
    g_assert_true(kd_serial_open(&session, text, NULL));
    g_assert_cmpint(get_wait_ms(), ==, -1);
    kd_serial_end(&session);
    close(master);
}

static void
test_no_modem(void)
{
    static const struct {
        const char *keys;
        const char *needs;
    } cases[] = {{"'modem': <true>", "modem"},
                 {"'dtr': <'off'>", "dtr= or rts="},
                 {"'rts': <'on'>", "dtr= or rts="}};
    g_autofree char *path = NULL;
    int master = kd_serial_open_pty(&path);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdSerialSession session;
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf("{'port': <'%s'>, %s}", path, cases[i].keys);
        g_autofree char *expected =
            g_strdup_printf("com: %s has no modem lines, which %s needs", path, cases[i].needs);
        g_assert_false(kd_serial_open(&session, text, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
        g_assert_cmpstr(error->message, ==, expected);
    }
    close(master);
}

static void
test_resets(void)
{
    KdSerialSession session;
    uint32_t resets = 1;
    g_autofree char *path = NULL;
    int master = kd_serial_open_pty(&path);
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>, 'resets': <uint64 0>}", path);
    g_assert_true(kd_serial_open(&session, text, NULL));
    g_assert_true(g_variant_lookup(session.endpoint.facts, "resets", "u", &resets));
    g_assert_cmpuint(resets, ==, 0);
    kd_serial_end(&session);
    close(master);
}

/* Of some devices the opening alone does harm: that of a watchdog is a reboot. */
static void
test_other_device(KdSerialPlace *place, gconstpointer unused)
{
    static const char *const more[] = {"", ", 'pipe': <true>"};
    char event[sizeof(struct inotify_event) + NAME_MAX + 1];
    (void)unused;
    int probe = mknod(place->path, S_IFCHR | 0600, makedev(1, 5)) == 0
                    ? open(place->path, O_RDONLY | O_CLOEXEC) /* zeros */
                    : -1;
    if (probe < 0) {
        g_test_skip("no device node can be made here");
        return;
    }
    close(probe);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    g_assert_cmpint(inotify_add_watch(watch, place->path, IN_OPEN), >=, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(more); i++) {
        KdSerialSession session;
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf("{'port': <'%s'>%s}", place->path, more[i]);
        g_assert_false(kd_serial_open(&session, text, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_true(g_str_has_suffix(error->message, "is not a terminal"));
    }
    g_assert_cmpint(read(watch, event, sizeof event), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    close(watch);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn)                                                            \
    g_test_add("/serial/" name, KdSerialPlace, NULL, kd_serial_place_set_up, fn, \
               kd_serial_place_tear_down)
    g_test_add_func("/serial/line/speed-is-set-and-settings-restored", test_line);
    g_test_add_func("/serial/line/far-side-learns-of-each-speed", test_speeds);
    g_test_add_func("/serial/line/speed-out-of-range-is-refused", test_wrong_speed);
    g_test_add_func("/serial/line/hang-up-is-told-in-a-sentence", test_hang_up);
    g_test_add_func("/serial/line/idle-pty-has-no-timer", test_idle);
    g_test_add_func("/serial/line/keys-for-modem-lines-need-some", test_no_modem);
    g_test_add_func("/serial/line/resets-is-passed-on", test_resets);
    g_test_add_func("/serial/line/second-opening-is-refused", test_busy);
    g_test_add_func("/serial/pipe/terminal-keeps-its-speed", test_pipe_terminal);
    ADD("line/what-is-no-terminal-is-not-opened", test_other_device);
    ADD("reconnect/line-comes-back-as-another-device", test_line_comes_back);
    return g_test_run();
}

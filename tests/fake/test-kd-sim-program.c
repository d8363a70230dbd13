/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd-target as a program: its links, its orders, and what it says to mistakes. */
#include "kd-sim-packet.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    char *folder;
    char *control_path;
    GSubprocess *program;
    int control;
} Fixture;

static void
set_up(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    f->folder = g_dir_make_tmp("kd-target-XXXXXX", NULL);
    g_assert_nonnull(f->folder);
    f->control_path = g_build_filename(f->folder, "orders", NULL);
    f->control = -1;
}

static int
dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void
read_all(int fd, void *bytes, size_t len_bytes)
{
    size_t done = 0;
    while (done < len_bytes) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        g_assert_cmpint(poll(&wait, 1, 20000), ==, 1);
        ssize_t n = read(fd, (uint8_t *)bytes + done, len_bytes - done);
        g_assert_cmpint(n, >, 0);
        done += (size_t)n;
    }
}

static char *
read_line(int fd)
{
    GString *line = g_string_new(NULL);
    for (char c = 0; c != '\n';) {
        read_all(fd, &c, 1);
        if (c != '\n')
            g_string_append_c(line, c);
    }
    return g_string_free(line, FALSE);
}

static char *
order(Fixture *f, const char *line)
{
    g_autofree char *text = g_strconcat(line, "\n", NULL);
    g_assert_cmpint(write(f->control, text, strlen(text)), ==, (ssize_t)strlen(text));
    return read_line(f->control);
}

static void
expect_ok(Fixture *f, const char *line)
{
    g_autofree char *answer = order(f, line);
    g_assert_cmpstr(answer, ==, "ok");
}

static void
start(Fixture *f, const char *link, const char *option, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(g_getenv("KD_BINDIR"), "kd-target", NULL);
    char ready[6];
    gsize n = 0;
    f->program = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, path, "--link", link,
                                  "--control", f->control_path, option, value, NULL);
    g_assert_no_error(error);
    g_assert_true(g_input_stream_read_all(g_subprocess_get_stdout_pipe(f->program), ready,
                                          sizeof ready, &n, NULL, NULL));
    g_assert_cmpmem(ready, (int)n, "ready\n", 6);
    f->control = dial(f->control_path);
}

static void
tear_down(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    if (f->program != NULL) {
        expect_ok(f, "quit");
        g_assert_true(g_subprocess_wait_check(f->program, NULL, NULL));
        close(f->control);
        g_object_unref(f->program);
    }
    /* what it has made is gone again */
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);
    g_free(f->control_path);
    g_free(f->folder);
}

/* A state change with the sync bit, behind a RESET or not */
static void
expect_state_change(int fd)
{
    uint8_t bytes[KD_SIM_HEADER_BYTES + 0xF0 + 1];
    KdSimHeader header;
    read_all(fd, bytes, KD_SIM_HEADER_BYTES);
    g_assert_true(kd_sim_packet_parse_header(bytes, &header));
    if (header.is_control) {
        g_assert_cmpuint(header.type, ==, KD_SIM_TYPE_RESET);
        expect_state_change(fd);
        return;
    }
    g_assert_cmpuint(header.type, ==, KD_SIM_TYPE_STATE_CHANGE);
    read_all(fd, bytes + KD_SIM_HEADER_BYTES, 0xF0 + 1);
    g_assert_cmphex(bytes[KD_SIM_HEADER_BYTES + 0xF0], ==, KD_SIM_TRAILER);
}

static void
say_control(int fd, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_SIM_HEADER_BYTES];
    size_t len_bytes = kd_sim_packet_build_control(type, id, bytes);
    g_assert_cmpint(write(fd, bytes, len_bytes), ==, (ssize_t)len_bytes);
}

static void
say_continue(int fd)
{
    uint8_t packet[KD_SIM_PACKET_MAX_BYTES];
    uint8_t request[56] = {0x36, 0x31};
    size_t len_bytes = kd_sim_packet_build(KD_SIM_DIALECT_SERIAL, KD_SIM_TYPE_MANIPULATE,
                                           KD_SIM_INITIAL_ID, request, sizeof request, packet);
    g_assert_cmpint(write(fd, packet, len_bytes), ==, (ssize_t)len_bytes);
    read_all(fd, packet, KD_SIM_HEADER_BYTES);
}

static void
test_unix_socket_is_a_line(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(f->folder, "line", NULL);
    g_autofree char *link = g_strconcat("unix:", path, NULL);
    start(f, link, NULL, NULL);
    /* twice, for a host may go and another one come */
    for (int i = 0; i < 2; i++) {
        int fd = dial(path);
        say_control(fd, KD_SIM_TYPE_RESET, 0);
        expect_state_change(fd);
        close(fd);
    }
}

static void
test_terminal_is_raw(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(f->folder, "tty", NULL);
    g_autofree char *link = g_strconcat("pty:", path, NULL);
    start(f, link, "--retry", "50");
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    expect_state_change(fd);
    close(fd);
}

static void
test_orders_are_answered_in_order(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    static const char orders[] = "print 2\nwait prints 2\nwait backlog 0\n";
    g_autofree char *path = g_build_filename(f->folder, "line", NULL);
    g_autofree char *link = g_strconcat("unix:", path, NULL);
    start(f, link, "--retry", "5");
    int fd = dial(path);
    expect_state_change(fd);
    say_control(fd, KD_SIM_TYPE_ACK, KD_SIM_INITIAL_ID);
    say_continue(fd);
    g_assert_cmpint(write(f->control, orders, strlen(orders)), ==, (ssize_t)strlen(orders));
    for (int i = 0; i < 3; i++) {
        g_autofree char *answer = read_line(f->control);
        g_assert_cmpstr(answer, ==, "ok");
    }
    /* nobody acknowledges: given up, and the second one is for nobody */
    expect_ok(f, "wait unheard 1");
    g_autofree char *stat = order(f, "stat");
    g_assert_nonnull(strstr(stat, " gave-up=1 "));
    g_assert_nonnull(strstr(stat, " running=1 "));
    close(fd);
}

static void
test_wrong_orders_are_errors(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    static const char *const orders[] = {
        "jump",        "print",  "print x",          "wait", "wait nobody 1",
        "wait prints", "faults", "faults reorder=2", ""};
    g_autofree char *path = g_build_filename(f->folder, "line", NULL);
    g_autofree char *link = g_strconcat("unix:", path, NULL);
    start(f, link, NULL, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autofree char *answer = order(f, orders[i]);
        g_assert_true(g_str_has_prefix(answer, "error "));
    }
    expect_ok(f, "faults delay=1,corrupt=0.5");
}

static void
test_each_boot_has_its_own_source_port(Fixture *f, gconstpointer user G_GNUC_UNUSED)
{
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
    guint16 ports[2] = {0, 0};
    g_assert_true(g_socket_bind(socket, any, FALSE, NULL));
    g_socket_set_timeout(socket, 20);
    g_autoptr(GSocketAddress) own = g_socket_get_local_address(socket, NULL);
    g_autofree char *link = g_strdup_printf(
        "net:127.0.0.1:%u", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(own)));
    start(f, link, "--key", "1.2.3.4");
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GSocketAddress) from = NULL;
        char datagram[2048];
        gssize n = g_socket_receive_from(socket, &from, datagram, sizeof datagram, NULL, NULL);
        g_assert_cmpint(n, ==, 374);
        g_assert_cmpmem(datagram, 4, "MDBG", 4);
        ports[i] = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(from));
        if (i == 0)
            expect_ok(f, "reboot");
    }
    g_assert_cmpuint(ports[0], !=, ports[1]);
}

static void
expect_usage_error(const char *option, const char *value, const char *expected)
{
    g_autofree char *path = g_build_filename(g_getenv("KD_BINDIR"), "kd-target", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GSubprocess) program =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDERR_PIPE, NULL, path, "--link",
                         "net:127.0.0.1:50000", option, value, NULL);
    g_assert_nonnull(program);
    g_assert_true(g_subprocess_communicate_utf8(program, NULL, NULL, NULL, &text, NULL));
    g_assert_cmpint(g_subprocess_get_exit_status(program), ==, 2);
    g_assert_nonnull(strstr(text, expected));
}

static void
test_mistakes_are_told(void)
{
    expect_usage_error(NULL, NULL, "--key is missing");
    expect_usage_error("--key", "1.2.3", "key");
    expect_usage_error("--version", "6", "--version 6");
    expect_usage_error("--loss", "200", "loss");
    expect_usage_error("--link", "com:x", "no such kind of link");
    expect_usage_error("--link", "net:localhost:1", "--key");
}

#define ADD(name, function) \
    g_test_add("/sim/program/" name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("unix-socket-is-a-line", test_unix_socket_is_a_line);
    ADD("terminal-is-raw", test_terminal_is_raw);
    ADD("orders-are-answered-in-order", test_orders_are_answered_in_order);
    ADD("wrong-orders-are-errors", test_wrong_orders_are_errors);
    ADD("each-boot-has-its-own-source-port", test_each_boot_has_its_own_source_port);
    g_test_add_func("/sim/program/mistakes-are-told", test_mistakes_are_told);
    return g_test_run();
}

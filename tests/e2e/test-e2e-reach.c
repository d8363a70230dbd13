/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client names what to open, the server decides. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/**
 * Place:
 * @allowed: folder for clients
 * @forbidden: a socket outside
 * @listener: of the socket
 */
typedef struct {
    char *allowed;
    char *forbidden;
    int listener;
} Place;

static void
place_set_up(Place *place, const KdE2eStage *stage)
{
    place->allowed = kd_e2e_stage_build_path(stage, "vms");
    place->forbidden = kd_e2e_stage_build_path(stage, "docker.sock");
    place->listener = kd_e2e_listen_unix(place->forbidden);
    g_assert_cmpint(g_mkdir(place->allowed, 0700), ==, 0);
}

static void
place_tear_down(Place *place)
{
    close(place->listener);
    g_free(place->allowed);
    g_free(place->forbidden);
}

/* Asks for a link that must be refused, with that text. */
static void
expect_denied(const KdE2eStage *stage, const char *trans, const char *text)
{
    g_autoptr(KdE2eClient) client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    g_autoptr(KdClose) said = NULL;

    kd_e2e_client_ask(client, trans, NULL);
    said = kd_e2e_client_await_close(client);
    g_test_message("%s", said->text);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_DENIED);
    g_assert_nonnull(strstr(said->text, text));
}

static void
test_outside(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *trans = NULL;
    g_autofree char *dotted = NULL;
    Place place;

    (void)unused;
    place_set_up(&place, stage);
    trans = g_strdup_printf("com:pipe,port=%s", place.forbidden);
    dotted = g_strdup_printf("com:pipe,port=%s/../docker.sock", place.allowed);
    kd_e2e_stage_start(stage, "--allow-path", place.allowed, NULL);
    expect_denied(stage, trans, "--allow-path");
    expect_denied(stage, dotted, "--allow-path");
    g_assert_false(kd_e2e_is_readable(place.listener, 0));
    place_tear_down(&place);
}

static void
test_symlink(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *planted = NULL;
    g_autofree char *planted_folder = NULL;
    g_autofree char *file = NULL;
    g_autofree char *folder = NULL;
    Place place;

    (void)unused;
    place_set_up(&place, stage);
    planted = g_build_filename(place.allowed, "vm.sock", NULL);
    planted_folder = g_build_filename(place.allowed, "sub", NULL);
    g_assert_cmpint(symlink(place.forbidden, planted), ==, 0);
    g_assert_cmpint(symlink(stage->folder, planted_folder), ==, 0);
    file = g_strdup_printf("com:pipe,port=%s", planted);
    folder = g_strdup_printf("com:pipe,port=%s/docker.sock", planted_folder);
    kd_e2e_stage_start(stage, "--allow-path", place.allowed, NULL);
    expect_denied(stage, file, "symbolic link");
    expect_denied(stage, folder, "symbolic link");
    g_assert_false(kd_e2e_is_readable(place.listener, 0));
    place_tear_down(&place);
}

static void
test_default(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *trans = NULL;
    Place place;

    (void)unused;
    place_set_up(&place, stage);
    trans = g_strdup_printf("com:pipe,port=%s", place.forbidden);
    kd_e2e_stage_start(stage, NULL);
    expect_denied(stage, trans, "--allow-path");
    expect_denied(stage, "com:port=/etc/passwd", "--allow-path");
    expect_denied(stage, "com:port=/dev/null", "--allow-path");
    g_assert_false(kd_e2e_is_readable(place.listener, 0));
    place_tear_down(&place);
}

static void
test_inside(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = NULL;
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    Place place;
    int listener;
    int vm;

    (void)unused;
    place_set_up(&place, stage);
    path = g_build_filename(place.allowed, "vm.sock", NULL);
    trans = g_strdup_printf("com:pipe,port=%s", path);
    listener = kd_e2e_listen_unix(path);
    kd_e2e_stage_start(stage, "--allow-path", place.allowed, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "allowed", 7);
    kd_e2e_client_await_data(client, "allowed");
    close(vm);
    close(listener);
    place_tear_down(&place);
}

/* ---- hosts ---- */

/* A network of our own, in which an address is not the loopback's and yet leads nowhere else. */
static gboolean
enter_own_network(struct sockaddr_in *own)
{
    struct ifreq request = {.ifr_name = "lo"};
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)&request.ifr_addr;
    int fd;
    int status;

    if (unshare(CLONE_NEWNET) != 0) {
        return FALSE;
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
    status = ioctl(fd, SIOCSIFFLAGS, &request);
    g_strlcpy(request.ifr_name, "lo:1", sizeof request.ifr_name);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = inet_addr("198.51.100.1");
    *own = *address;
    status = status == 0 ? ioctl(fd, SIOCSIFADDR, &request) : status;
    close(fd);
    return status == 0;
}

static int
listen_tcp(const struct sockaddr_in *own, guint *port)
{
    struct sockaddr_in address = *own;
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = 0;
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, len), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void
test_host_default(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    expect_denied(stage, "com:ipport=9,port=192.0.2.1", "--allow-host");
    expect_denied(stage, "com:ipport=9,port=2001:db8::1", "--allow-host");
    expect_denied(stage, "com:ipport=80,port=169.254.169.254", "--allow-host");
}

static void
check_host(KdE2eStage *stage, const struct sockaddr_in *own)
{
    g_autofree char *host = g_strdup(inet_ntoa(own->sin_addr));
    g_autofree char *trans = NULL;
    g_autofree char *other = NULL;
    g_autofree char *allowed = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    guint port = 0;
    guint other_port = 0;
    int listener = listen_tcp(own, &port);
    int other_listener = listen_tcp(own, &other_port);
    int vm;

    trans = g_strdup_printf("com:ipport=%u,port=%s", port, host);
    other = g_strdup_printf("com:ipport=%u,port=%s", other_port, host);
    allowed = g_strdup_printf("%s:%u", host, port);
    kd_e2e_stage_start(stage, "--allow-host", allowed, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "allowed", 7);
    kd_e2e_client_await_data(client, "allowed");
    expect_denied(stage, other, "--allow-host");
    g_assert_false(kd_e2e_is_readable(other_listener, 0));
    close(vm);
    close(listener);
    close(other_listener);
}

static void
test_host(KdE2eStage *stage, gconstpointer unused)
{
    struct sockaddr_in own = {0};

    (void)unused;
    if (enter_own_network(&own)) {
        check_host(stage, &own);
    } else {
        g_test_skip("this user may not make a network namespace");
    }
}

/* ---- names of pipes ---- */

/* A run-time folder of our own: root's is the system's. */
static char *
enter_own_run(KdE2eStage *stage)
{
    gboolean is_mounted =
        geteuid() != 0 ||
        (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("none", "/run", "tmpfs", 0, "mode=0755") == 0);

    return !is_mounted ? NULL : g_strdup(geteuid() == 0 ? "/run" : stage->folder);
}

static void
check_pipe(KdE2eStage *stage, const char *run)
{
    g_autofree char *variable = g_strconcat("XDG_RUNTIME_DIR=", stage->folder, NULL);
    const char *const environment[] = {variable, NULL};
    KdE2eSetup setup = {.environment = environment};
    g_autofree char *folder = g_build_filename(run, "kdsrv", "targets", NULL);
    g_autofree char *path = g_build_filename(folder, "My VM", NULL);
    g_autoptr(KdE2eClient) client = NULL;
    int listener;
    int vm;

    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
    listener = kd_e2e_listen_unix(path);
    kd_e2e_stage_start_with(stage, &setup, NULL);
    client = kd_e2e_client_new_open(stage->port, "com:pipe,port=\\\\.\\Pipe\\My VM");
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "by its name", 11);
    kd_e2e_client_await_data(client, "by its name");
    close(vm);
    close(listener);
}

static void
test_pipe(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *run = enter_own_run(stage);

    (void)unused;
    if (run != NULL) {
        check_pipe(stage, run);
    } else {
        g_test_skip("this user may not make a /run of its own");
    }
}

/* ---- serial ports by their links ---- */

/* A /dev of our own with a null device and, as ttyUSB0, a terminal; and a link as udev makes it. */
static gboolean
enter_own_dev(const char *folder, const char *terminal)
{
    g_autofree char *null = g_build_filename(folder, "null", NULL);
    g_autofree char *adapter = g_build_filename(folder, "ttyUSB0", NULL);
    g_autofree char *links = g_build_filename(folder, "serial/by-id", NULL);
    g_autofree char *link = g_build_filename(links, "usb-lab-if00-port0", NULL);

    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", folder, "tmpfs", 0, "mode=0755") == 0 &&
           g_file_set_contents(null, "", 0, NULL) && g_file_set_contents(adapter, "", 0, NULL) &&
           mount("/dev/null", null, NULL, MS_BIND, NULL) == 0 &&
           mount(terminal, adapter, NULL, MS_BIND, NULL) == 0 &&
           g_mkdir_with_parents(links, 0755) == 0 && symlink("../../ttyUSB0", link) == 0 &&
           mount(folder, "/dev", NULL, MS_BIND | MS_REC, NULL) == 0;
}

static gboolean
may_enter_own_dev(const char *folder, const char *terminal)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(enter_own_dev(folder, terminal) ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status == 0;
}

static void
check_link(KdE2eStage *stage, int master)
{
    static const char trans[] = "com:port=/dev/serial/by-id/usb-lab-if00-port0,baud=57600";
    static const char *const environment[] = {"LD_PRELOAD=" KD_PORT_SHIM, NULL};
    KdE2eSetup setup = {.environment = environment};
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdE2eClient) second = NULL;
    g_autoptr(KdClose) said = NULL;

    kd_e2e_stage_start_with(stage, &setup, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    kd_e2e_write(master, "by its link", 11);
    kd_e2e_client_await_data(client, "by its link");
    kd_e2e_client_send_data(client, "and back", 8);
    kd_e2e_expect(master, "and back");
    /* One device, whichever name it goes by */
    second = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_e2e_client_ask(second, "com:port=ttyUSB0", NULL);
    said = kd_e2e_client_await_close(second);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_BUSY);
    expect_denied(stage, "com:port=/dev/null", "--allow-path");
    g_assert_cmpint(symlink("/etc/passwd", "/dev/serial/by-id/usb-out"), ==, 0);
    expect_denied(stage, "com:port=/dev/serial/by-id/usb-out", "leads out of /dev");
    g_assert_cmpint(lchown("/dev/serial/by-id/usb-lab-if00-port0", 4711, 4711), ==, 0);
    expect_denied(stage, trans, "does not belong to root");
}

static void
test_link(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *folder = kd_e2e_stage_build_path(stage, "dev");
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    (void)unused;
    g_assert_cmpint(g_mkdir(folder, 0755), ==, 0);
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    if (may_enter_own_dev(folder, ptsname(master))) {
        g_assert_true(enter_own_dev(folder, ptsname(master)));
        check_link(stage, master);
    } else {
        g_test_skip("this user may not make a /dev of its own");
    }
    close(master);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/reach/outside-the-allowed-folder-is-refused", test_outside);
    kd_e2e_add("/e2e/reach/planted-symlink-is-refused", test_symlink);
    kd_e2e_add("/e2e/reach/without-allow-path-only-serial-ports", test_default);
    kd_e2e_add("/e2e/reach/inside-the-allowed-folder-is-opened", test_inside);
    kd_e2e_add("/e2e/reach/without-allow-host-no-other-machine-is-dialled", test_host_default);
    /* The last three: they leave the machine's folders, devices and network for good. */
    kd_e2e_add("/e2e/reach/pipe-name-is-a-socket-in-the-folder-of-targets", test_pipe);
    kd_e2e_add("/e2e/reach/serial-port-is-opened-by-its-link", test_link);
    kd_e2e_add("/e2e/reach/only-the-allowed-host-and-port-is-dialled", test_host);
    return g_test_run();
}

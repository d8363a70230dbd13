/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schemes that the suite knows: strings for them, and the other side of each. */
#include "kd-check-line.h"

#include <glib/gstdio.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pty.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- transports tcp and ssl ---- */

static uint16_t
get_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
    return address.ss_family == AF_INET6
               ? ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port)
               : ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
}

/* Below the ports that the kernel gives to connections, thousands of which other tests leave
 * behind: there a whole range can be taken. */
#define LOWEST_PORT  5000
#define HIGHEST_PORT 9900
#define N_PORTS      36

/* A port is held without listening on it: nobody answers there, and it makes a range's first port
 * busy. */
static void
tcp_start(KdCheckPeer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    gint32 port;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    do {
        port = g_random_int_range(LOWEST_PORT, HIGHEST_PORT);
        address.sin_port = htons((uint16_t)port);
    } while (bind(peer->fd, (struct sockaddr *)&address, sizeof address) != 0);
    const char *scheme = peer->adapter->scheme;
    peer->spec = g_strdup_printf("%s:port=%d:%d,bind=127.0.0.1", scheme, port, port + N_PORTS - 1);
    peer->spare_spec = g_strdup_printf("%s:server=127.0.0.1,port=%d", scheme, port);
}

static void
tcp_bound(KdCheckPeer *peer, const KdListening *listening)
{
    g_assert_cmpuint(listening->n_fds, >, 0);
    peer->client_spec = g_strdup_printf("%s:server=127.0.0.1,port=%u", peer->adapter->scheme,
                                        get_port(listening->fds[0]));
}

static void
tcp_stop(KdCheckPeer *peer)
{
    g_close(peer->fd, NULL);
}

/* ---- transports npipe and spipe ---- */

/* What root makes in /run is seen by this process alone, if the machine allows that. */
static void
hide_run(void)
{
    static gboolean is_hidden;
    if (is_hidden || geteuid() != 0)
        return;
    is_hidden = TRUE;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0)
        g_test_message("the machine's own /run is used: %s", g_strerror(errno));
}

static void
npipe_start(KdCheckPeer *peer)
{
    static guint n_started;
    const char *scheme = peer->adapter->scheme;
    hide_run();
    g_setenv("XDG_RUNTIME_DIR", peer->folder, TRUE);
    peer->spec = g_strdup_printf("%s:pipe=check_%%x_%%d_%u", scheme, ++n_started);
    peer->spare_spec = g_strdup_printf("%s:server=.,pipe=check_nobody", scheme);
}

static void
npipe_bound(KdCheckPeer *peer, const KdListening *listening)
{
    const char *name = NULL;
    g_assert_true(g_variant_lookup(listening->bound, "pipe", "&s", &name));
    peer->client_spec = g_strdup_printf("%s:server=.,pipe=%s", peer->adapter->scheme, name);
}

static void
npipe_stop(KdCheckPeer *peer)
{
    g_autofree char *own = g_build_filename(peer->folder, "kdsrv", NULL);
    g_autofree char *pipes = g_build_filename(own, "pipe", NULL);
    (void)g_rmdir(pipes);
    (void)g_rmdir(own);
}

/* ---- transport fake ---- */

static void
fake_transport_start(KdCheckPeer *peer)
{
    peer->spec = g_strdup("fake:name=7");
    peer->client_spec = g_strdup("fake:name=7");
    peer->spare_spec = g_strdup("fake:name=8");
}

/* ---- target fake ---- */

static void
fake_steer(KdCheckPeer *peer, const char *order)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer = '\0';
    g_autofree char *path = g_build_filename(peer->folder, "steer", NULL);
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof address.sun_path), <,
                     sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(send(fd, order, strlen(order), MSG_NOSIGNAL), ==, strlen(order));
    while (recv(fd, &answer, 1, MSG_DONTWAIT) != 1)
        kd_check_turn(FALSE);
    g_assert_cmpint(answer, ==, 'o'); /* ok */
    close(fd);
    kd_check_settle();
}

static void
fake_start(KdCheckPeer *peer)
{
    peer->spec = g_strdup_printf("fake:name=7,echo,half,steer=%s/steer", peer->folder);
}

static void
fake_stop(KdCheckPeer *peer)
{
    g_autofree char *path = g_build_filename(peer->folder, "steer", NULL);
    if (peer->is_deaf)
        fake_steer(peer, "go\n");
    g_unlink(path);
}

static void
fake_deafen(KdCheckPeer *peer, gboolean is_deaf)
{
    peer->is_deaf = is_deaf;
    fake_steer(peer, is_deaf ? "stop\n" : "go\n");
}

static void
fake_lose(KdCheckPeer *peer)
{
    fake_steer(peer, "lose\n");
}

static void
fake_restore(KdCheckPeer *peer)
{
    fake_steer(peer, "back\n");
}

/* ---- target com, a VM's pipe ---- */

static void
pipe_restore(KdCheckPeer *peer)
{
    g_autofree char *path = g_build_filename(peer->folder, "pipe", NULL);
    kd_check_lines_listen(peer, path);
}

static void
pipe_start(KdCheckPeer *peer)
{
    peer->spec = g_strdup_printf("com:pipe,port=%s/pipe,reconnect", peer->folder);
    pipe_restore(peer);
}

static void
pipe_stop(KdCheckPeer *peer)
{
    g_autofree char *path = g_build_filename(peer->folder, "pipe", NULL);
    kd_check_lines_close(peer);
    g_unlink(path);
}

/* ---- target com, a line ---- */

static void
pty_start(KdCheckPeer *peer)
{
    char name[64];
    struct termios termios;
    int master = -1;
    g_assert_cmpint(openpty(&master, &peer->other_fd, NULL, NULL, NULL), ==, 0);
    g_assert_cmpint(ttyname_r(peer->other_fd, name, sizeof name), ==, 0);
    g_assert_cmpint(tcgetattr(master, &termios), ==, 0);
    cfmakeraw(&termios);
    g_assert_cmpint(tcsetattr(master, TCSANOW, &termios), ==, 0);
    kd_check_lines_add(peer, master);
    peer->spec = g_strdup_printf("com:port=%s,baud=57600", name);
}

static void
pty_stop(KdCheckPeer *peer)
{
    kd_check_lines_close(peer);
    close(peer->other_fd);
}

/* ---- target net ---- */

#define NET_LOWEST  61000 /* above those that the kernel gives to whoever asks for any */
#define NET_HIGHEST 65535

static void
net_start(KdCheckPeer *peer)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    g_autoptr(GRand) rand = g_rand_new(); /* the program's own is seeded the same each time */
    gint32 port;
    int rc;
    do {
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        port = g_rand_int_range(rand, NET_LOWEST, NET_HIGHEST);
        address.sin6_port = htons((uint16_t)port);
        rc = fd >= 0 ? bind(fd, (struct sockaddr *)&address, sizeof address) : 0;
        close(fd);
    } while (rc != 0);
    peer->spec = g_strdup_printf("net:port=%d,key=1.2.3.4", port);
}

/* ---- target usb ---- */

static void
usb_start(KdCheckPeer *peer)
{
    peer->spec = g_strdup_printf("%s:targetname=check-nobody", peer->adapter->scheme);
}

/* ---- target 1394 ---- */

static void
fw_start(KdCheckPeer *peer)
{
    peer->spec = g_strdup("1394:channel=62,symlink=instance");
}

/* ---- strings from the command line ---- */

static char *given_spec;
static char *given_client_spec;

static void
given_start(KdCheckPeer *peer)
{
    peer->spec = g_strdup(given_spec);
    peer->client_spec = g_strdup(given_client_spec != NULL ? given_client_spec : given_spec);
}

static const KdCheckAdapter given = {.name = "given", .start = given_start};

static const KdCheckAdapter adapters[] = {
    {
        .name = "tcp",
        .scheme = "tcp",
        .start = tcp_start,
        .stop = tcp_stop,
        .bound = tcp_bound,
    },
    {
        .name = "ssl",
        .scheme = "ssl",
        .start = tcp_start,
        .stop = tcp_stop,
        .bound = tcp_bound,
    },
    {
        .name = "npipe",
        .scheme = "npipe",
        .start = npipe_start,
        .stop = npipe_stop,
        .bound = npipe_bound,
    },
    {
        .name = "spipe",
        .scheme = "spipe",
        .start = npipe_start,
        .stop = npipe_stop,
        .bound = npipe_bound,
    },
    {.name = "fake-transport", .scheme = "fake", .start = fake_transport_start},
    {
        .name = "fake",
        .scheme = "fake",
        .start = fake_start,
        .stop = fake_stop,
        .deafen = fake_deafen,
        .lose = fake_lose,
        .restore = fake_restore,
    },
    {
        .name = "com-pipe",
        .scheme = "com",
        .start = pipe_start,
        .stop = pipe_stop,
        .deafen = kd_check_lines_deafen,
        .lose = pipe_stop,
        .restore = pipe_restore,
    },
    {
        .name = "com-pty",
        .scheme = "com",
        .start = pty_start,
        .stop = pty_stop,
        .deafen = kd_check_lines_deafen,
    },
    {.name = "net", .scheme = "net", .start = net_start, .is_mute = TRUE},
    {.name = "usb", .scheme = "usb", .start = usb_start, .is_mute = TRUE},
    {.name = "1394", .scheme = "1394", .start = fw_start, .is_mute = TRUE},
};

/**
 * kd_check_find_adapter:
 *
 * Returns: (transfer none) (nullable): the adapter of this name
 */
const KdCheckAdapter *
kd_check_find_adapter(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(adapters); i++) {
        if (strcmp(adapters[i].name, name) == 0)
            return &adapters[i];
    }
    return NULL;
}

/**
 * kd_check_get_given_adapter:
 * @spec: of the target, or of the transport's server
 * @client_spec: (nullable): of the transport's client
 *
 * Returns: (transfer none): an adapter for strings that lead to an echo
 */
const KdCheckAdapter *
kd_check_get_given_adapter(const char *spec, const char *client_spec)
{
    given_spec = g_strdup(spec);
    given_client_spec = g_strdup(client_spec);
    return &given;
}

/**
 * kd_check_peer_new:
 *
 * Starts the other side.
 */
KdCheckPeer *
kd_check_peer_new(const KdCheckAdapter *adapter)
{
    g_autoptr(GError) error = NULL;
    KdCheckPeer *peer = g_new0(KdCheckPeer, 1);
    peer->adapter = adapter;
    peer->fd = -1;
    peer->other_fd = -1;
    peer->folder = g_dir_make_tmp("kd-check-XXXXXX", &error);
    g_assert_no_error(error);
    adapter->start(peer);
    return peer;
}

/**
 * kd_check_peer_free:
 *
 * Stops the other side and removes its folder.
 */
void
kd_check_peer_free(KdCheckPeer *peer)
{
    if (peer->adapter->stop != NULL)
        peer->adapter->stop(peer);
    g_assert_cmpint(g_rmdir(peer->folder), ==, 0);
    g_free(peer->folder);
    g_free(peer->spec);
    g_free(peer->client_spec);
    g_free(peer->spare_spec);
    g_free(peer);
}

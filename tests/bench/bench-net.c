/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network of our own: loopback, and nothing else. */
#include "bench-net.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS_FOR_DOCUMENTS 0xc0000201u /* 192.0.2.1, RFC 5737 */
#define SYSCTL_CONGESTION     "/proc/sys/net/ipv4/tcp_congestion_control"
#define SYSCTL_PORTS          "/proc/sys/net/ipv4/ip_local_port_range"

static gboolean
write_setting(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    gboolean is_ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

    if (fd >= 0) {
        close(fd);
    }
    return is_ok;
}

static gboolean
raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gboolean is_ok = FALSE;

    if (fd < 0) {
        return FALSE;
    }
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        request.ifr_flags |= IFF_UP | IFF_RUNNING;
        is_ok = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    }
    close(fd);
    return is_ok;
}

/* Programs that look names up find even 127.0.0.1 only where some other address is to be had. */
static gboolean
add_address(void)
{
    struct ifreq request = {.ifr_name = "lo:1"};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(ADDRESS_FOR_DOCUMENTS)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gboolean is_ok;

    if (fd < 0) {
        return FALSE;
    }
    memcpy(&request.ifr_addr, &address, sizeof address);
    is_ok = ioctl(fd, SIOCSIFADDR, &request) == 0;
    close(fd);
    return is_ok;
}

/**
 * bench_net_isolate:
 *
 * Moves this process into a network namespace of its own, where kernel permits: nothing can come
 * from outside, and a congestion control that paces does not distort what a loopback can do.
 *
 * Returns: whether it is in one.
 */
gboolean
bench_net_isolate(void)
{
    if (unshare(CLONE_NEWNET) != 0 || !raise_loopback() || !add_address()) {
        return FALSE;
    }
    /* both are per namespace: no one else's are touched */
    if (!write_setting(SYSCTL_CONGESTION, "cubic")) {
        write_setting(SYSCTL_CONGESTION, "reno");
    }
    write_setting(SYSCTL_PORTS, "20000 60999");
    return TRUE;
}

/**
 * bench_net_dup_congestion:
 *
 * Returns: (transfer full): the congestion control of new connections.
 */
char *
bench_net_dup_congestion(void)
{
    char *name = NULL;

    if (!g_file_get_contents(SYSCTL_CONGESTION, &name, NULL, NULL)) {
        return g_strdup("unknown");
    }
    return g_strchomp(name);
}

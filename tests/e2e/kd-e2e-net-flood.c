/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd-e2e-net-flood PORT FILE RATE: sends datagrams to a port of this machine until stdin ends:
 * those of FILE as they are, those of FILE with a wrong tag, and noise that looks like one. They
 * come from several addresses of the loopback. What comes back is counted. */
#include <glib.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_SOURCES   4u
#define BATCH       64u
#define MOST_BYTES  65536u
#define NOISE_BYTES 54u
#define MOST_NOISE  32u

static const char *const sources[N_SOURCES] = {"127.0.0.1", "127.0.0.1", "127.0.0.2", "127.9.8.7"};

static int
open_source(const char *source, guint port)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(source)};
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        g_error("%s: no socket for port %u", source, port);
    }
    return fd;
}

/* Each datagram of the file, and each with a tag that does not belong to it; then noise. */
static GPtrArray *
load(const char *path)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    g_autofree char *file = NULL;
    gsize len = 0;

    if (!g_file_get_contents(path, &file, &len, NULL)) {
        g_error("%s cannot be read", path);
    }
    for (gsize at = 0; at + sizeof(guint32) < len;) {
        GByteArray *wrong = g_byte_array_new();
        GByteArray *right = g_byte_array_new();
        guint32 bytes;

        memcpy(&bytes, file + at, sizeof bytes);
        at += sizeof bytes;
        g_assert(bytes > 0 && bytes < MOST_BYTES && bytes <= len - at);
        g_byte_array_append(right, (const guint8 *)file + at, bytes);
        g_byte_array_append(wrong, (const guint8 *)file + at, bytes);
        wrong->data[bytes - 1] ^= 0x5a;
        g_ptr_array_add(all, right);
        g_ptr_array_add(all, wrong);
        at += bytes;
    }
    for (guint i = 0; i < MOST_NOISE; i++) {
        GByteArray *noise = g_byte_array_sized_new(NOISE_BYTES);

        g_byte_array_set_size(noise, NOISE_BYTES);
        for (guint j = 0; j < NOISE_BYTES; j++) {
            noise->data[j] = (guint8)g_random_int();
        }
        memcpy(noise->data, "MDBG\5\0", 6);
        noise->data[5] = i % 2;
        g_ptr_array_add(all, noise);
    }
    return all;
}

static guint64
count_answers(const int *fds)
{
    guint64 n = 0;
    char byte;

    for (guint i = 0; i < N_SOURCES; i++) {
        while (recv(fds[i], &byte, 1, MSG_DONTWAIT) >= 0) {
            n++;
        }
    }
    return n;
}

static guint64
send_batch(int fd, GPtrArray *all, guint *next)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    int n;

    for (guint i = 0; i < BATCH; i++) {
        GByteArray *datagram = all->pdata[(*next)++ % all->len];

        parts[i] = (struct iovec){.iov_base = datagram->data, .iov_len = datagram->len};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    n = sendmmsg(fd, messages, BATCH, 0);
    return n > 0 ? (guint64)n : 0;
}

static gboolean
is_over(guint timeout_ms)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&fd, 1, (int)timeout_ms) == 1;
}

int
main(int argc, char **argv)
{
    int fds[N_SOURCES];
    g_autoptr(GPtrArray) all = NULL;
    guint64 n_sent = 0;
    guint64 n_answers = 0;
    guint64 rate;
    guint next = 0;
    gint64 start_us;

    if (argc != 4) {
        g_printerr("kd-e2e-net-flood: PORT FILE RATE\n");
        return 2;
    }
    all = load(argv[2]);
    rate = g_ascii_strtoull(argv[3], NULL, 10);
    for (guint i = 0; i < N_SOURCES; i++) {
        fds[i] = open_source(sources[i], (guint)g_ascii_strtoull(argv[1], NULL, 10));
    }
    g_print("flows\n");
    start_us = g_get_monotonic_time();
    for (guint turn = 0;; turn++) {
        guint64 due = (guint64)(g_get_monotonic_time() - start_us) * rate / G_USEC_PER_SEC;

        if (is_over(n_sent > due ? 1 : 0)) {
            break;
        }
        if (n_sent <= due) {
            n_sent += send_batch(fds[turn % N_SOURCES], all, &next);
            n_answers += turn % 64 == 0 ? count_answers(fds) : 0;
        }
    }
    g_print("sent %" G_GUINT64_FORMAT " in %" G_GINT64_FORMAT " answered %" G_GUINT64_FORMAT "\n",
            n_sent, (g_get_monotonic_time() - start_us) / 1000, n_answers + count_answers(fds));
    return 0;
}

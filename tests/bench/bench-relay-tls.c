/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-relay-tls IDENTITY BACK [FLIP]: the least that a relay with TLS can do on GnuTLS.
 *
 * Listens on a port of the kernel's choice on 127.0.0.1, shows the certificate of the file
 * IDENTITY, and passes on to BACK (`tcp:PORT` or `unix:PATH`) what is said inside. As
 * bench-relay-epoll it has one thread and one edge-triggered epoll set, and is no model for a
 * product. FLIP spoils the byte that many bytes into the stream from front to back. */
#include "bench-pattern.h"
#include "bench-socket.h"
#include "bench-tls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 256

typedef struct Pair Pair;

/* One of a pair: the client's, with @tls, or the target's. */
typedef struct {
    Pair *pair;
    BenchTls *tls;
    uint8_t *rest; /* read here, not yet written over there */
    size_t rest_at;
    size_t rest_end;
    int fd;
    bool may_read;
    bool may_write;
    bool has_hung_up;
    bool is_at_end;
    bool is_end_told;
} Side;

struct Pair {
    Side front;
    Side back;
    uint64_t n_up;
    Pair *next_dead;
    bool is_open; /* past the handshake */
    bool is_dead;
};

static uint8_t buffer[BENCH_CHUNK_BYTES] __attribute__((aligned(4096)));
static BenchAddress back;
static uint64_t flip_at;
static Pair *dead_pairs;
static int set;

static void
watch(Side *side)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = side};

    epoll_ctl(set, EPOLL_CTL_ADD, side->fd, &event);
}

/* Bytes, 0 at the end, or -errno */
static ssize_t
receive(Side *from)
{
    ssize_t n = from->tls != NULL ? bench_tls_read(from->tls, buffer, sizeof buffer)
                                  : read(from->fd, buffer, sizeof buffer);

    return n == -1 && from->tls == NULL ? -errno : n;
}

/* Writes as much as goes; returns what was left, or -1 when the connection failed. */
static ssize_t
write_most(Side *to, const uint8_t *bytes, size_t len)
{
    while (to->may_write && len > 0) {
        ssize_t n;

        if (to->tls != NULL) {
            n = bench_tls_write(to->tls, NULL, 0, bytes, len);
        } else {
            n = write(to->fd, bytes, len);
            n = n < 0 ? -errno : n;
        }
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n == -EAGAIN) {
            to->may_write = false;
        } else if (n != -EINTR) {
            return -1;
        }
    }
    return (ssize_t)len;
}

static void
keep_rest(Side *from, const uint8_t *bytes, size_t len)
{
    from->rest = g_memdup2(bytes, len);
    from->rest_at = 0;
    from->rest_end = len;
}

static bool
flush_rest(Side *from, Side *to)
{
    ssize_t left = write_most(to, from->rest + from->rest_at, from->rest_end - from->rest_at);

    if (left < 0) {
        return false;
    }
    from->rest_at = from->rest_end - (size_t)left;
    if (left == 0) {
        g_clear_pointer(&from->rest, g_free);
    }
    return true;
}

static void
note_read(Side *from, size_t len)
{
    Pair *pair = from->pair;

    if (from == &pair->front) {
        if (flip_at > pair->n_up && flip_at <= pair->n_up + len) {
            buffer[flip_at - pair->n_up - 1] ^= 1;
        }
        pair->n_up += len;
    }
    /* empty: the next edge says when there is more */
    if (!from->has_hung_up &&
        (from->tls != NULL ? bench_tls_is_drained(from->tls) : len < sizeof buffer)) {
        from->may_read = false;
    }
}

static bool
tell_end(Side *to)
{
    if (!to->is_end_told) {
        if (to->tls != NULL) {
            bench_tls_say_bye(to->tls);
        } else {
            shutdown(to->fd, SHUT_WR);
        }
        to->is_end_told = true;
    }
    return true;
}

/* Moves bytes until one side blocks; false: the pair is done. */
static bool
copy(Side *from, Side *to)
{
    for (;;) {
        ssize_t n;
        ssize_t left;

        if (from->rest != NULL) {
            if (!flush_rest(from, to)) {
                return false;
            }
            if (from->rest != NULL) {
                return true;
            }
        }
        if (from->is_at_end) {
            return tell_end(to) && !from->is_end_told;
        }
        if (!from->may_read) {
            return true;
        }
        n = receive(from);
        if (n == -EAGAIN) {
            from->may_read = false;
        } else if (n == 0) {
            from->is_at_end = true;
        } else if (n < 0) {
            return false;
        } else {
            note_read(from, (size_t)n);
            left = write_most(to, buffer, (size_t)n);
            if (left < 0) {
                return false;
            }
            if (left > 0) {
                keep_rest(from, buffer + (n - left), (size_t)left);
            }
        }
    }
}

static void
end_pair(Pair *pair)
{
    if (pair->is_dead) {
        return;
    }
    pair->is_dead = true;
    pair->next_dead = dead_pairs;
    dead_pairs = pair;
    close(pair->front.fd);
    if (pair->back.fd >= 0) {
        close(pair->back.fd);
    }
}

static void
free_dead_pairs(void)
{
    while (dead_pairs != NULL) {
        Pair *pair = dead_pairs;

        dead_pairs = pair->next_dead;
        bench_tls_free(pair->front.tls);
        g_free(pair->front.rest);
        g_free(pair->back.rest);
        g_free(pair);
    }
}

static void
on_client(int fd)
{
    Pair *pair = g_new0(Pair, 1);

    bench_socket_set_no_delay(fd);
    pair->front.pair = pair->back.pair = pair;
    pair->front.fd = fd;
    pair->front.tls = bench_tls_new_server(fd);
    pair->back.fd = -1;
    watch(&pair->front);
}

/* false: the pair is done. */
static bool
open_pair(Pair *pair)
{
    int result = bench_tls_shake_hands(pair->front.tls);

    if (result < 0) {
        return result == -EAGAIN;
    }
    pair->back.fd = bench_socket_connect(&back);
    if (pair->back.fd < 0) {
        return false;
    }
    bench_socket_set_blocking(pair->back.fd, false);
    watch(&pair->back);
    pair->is_open = true;
    pair->front.may_read = true;
    return copy(&pair->front, &pair->back);
}

static bool
move(Side *side, bool was_blocked)
{
    Side *other = side == &side->pair->front ? &side->pair->back : &side->pair->front;

    /* the last ciphertext may still wait though no plaintext does */
    if (was_blocked && side->may_write && side->tls != NULL &&
        bench_tls_flush(side->tls) == -EAGAIN) {
        side->may_write = false;
    }
    return copy(side, other) && (!was_blocked || !side->may_write || copy(other, side));
}

static void
on_ready(Side *side, uint32_t events)
{
    bool was_blocked = !side->may_write;
    bool is_alive;

    if (side->pair->is_dead) {
        return;
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0) {
        side->may_read = true;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        side->has_hung_up = true;
    }
    if ((events & EPOLLOUT) != 0) {
        side->may_write = true;
        was_blocked = was_blocked || (side->tls != NULL && bench_tls_has_unsent(side->tls));
    }
    is_alive = side->pair->is_open ? move(side, was_blocked) : open_pair(side->pair);
    if (!is_alive) {
        end_pair(side->pair);
    }
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    BenchAddress front = {.port = 0};
    struct epoll_event event = {.events = EPOLLIN};
    int listener;

    if (argc < 3 || !bench_address_parse(&back, argv[2])) {
        fputs("usage: bench-relay-tls IDENTITY tcp:PORT|unix:PATH [FLIP]\n", stderr);
        return 2;
    }
    if (!bench_tls_load_identity(argv[1], &error)) {
        fprintf(stderr, "bench-relay-tls: %s\n", error->message);
        return 1;
    }
    flip_at = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    signal(SIGPIPE, SIG_IGN);
    bench_socket_raise_limit();
    set = epoll_create1(EPOLL_CLOEXEC);
    listener = bench_socket_listen(&front);
    if (listener < 0 || set < 0) {
        perror("bench-relay-tls");
        return 1;
    }
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int n = epoll_wait(set, events, MAX_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                int fd;

                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    on_client(fd);
                }
            } else {
                on_ready(events[i].data.ptr, events[i].events);
            }
        }
        free_dead_pairs();
    }
}

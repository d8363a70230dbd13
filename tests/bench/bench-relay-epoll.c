/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-relay-epoll FRONT BACK [FLIP]: the least that a relay can do, as a limit to compare with.
 *
 * FRONT is `tcp` (a port of the kernel's choice on 127.0.0.1) or `unix:PATH`, BACK is `tcp:PORT` or
 * `unix:PATH`. One thread, one edge-triggered epoll set, one copy buffer; no limits, no log, no
 * framing and no fairness, so it is no model for a product. FLIP spoils the byte that many bytes
 * into the stream from front to back, with which kd-bench tries whether it would notice. */
#include "bench-pattern.h"
#include "bench-socket.h"

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

typedef struct {
    Pair *pair;
    uint8_t *rest; /* read here, not yet written over there */
    size_t rest_at;
    size_t rest_end;
    uint64_t n_read;
    int fd;
    bool may_read;
    bool may_write;
    bool has_hung_up; /* a short read is then no sign that all was read */
    bool is_at_end;
    bool is_end_told;
} Side;

struct Pair {
    Side side[2];
    Pair *next_dead;
    bool is_dead;
};

static uint8_t buffer[BENCH_CHUNK_BYTES] __attribute__((aligned(4096)));
static BenchAddress back;
static uint64_t flip_at;
static Pair *dead_pairs;

/* Writes as much as goes; returns what was left, or -1 when the connection failed. */
static ssize_t
write_most(Side *to, const uint8_t *bytes, size_t len)
{
    while (to->may_write && len > 0) {
        ssize_t n = write(to->fd, bytes, len);

        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            to->may_write = false;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)len;
}

static bool
keep_rest(Side *from, const uint8_t *bytes, size_t len)
{
    from->rest = malloc(len);
    if (from->rest == NULL) {
        return false;
    }
    memcpy(from->rest, bytes, len);
    from->rest_at = 0;
    from->rest_end = len;
    return true;
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
        free(from->rest);
        from->rest = NULL;
    }
    return true;
}

static void
note_read(Side *from, size_t len)
{
    bool is_front = from == &from->pair->side[0];

    if (flip_at != 0 && is_front && flip_at > from->n_read && flip_at <= from->n_read + len) {
        buffer[flip_at - from->n_read - 1] ^= 1;
    }
    from->n_read += len;
    if (len < sizeof buffer && !from->has_hung_up) {
        from->may_read = false; /* empty: the next edge says when there is more */
    }
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
            if (!from->is_end_told) {
                shutdown(to->fd, SHUT_WR);
                from->is_end_told = true;
            }
            return !to->is_end_told;
        }
        if (!from->may_read) {
            return true;
        }
        n = read(from->fd, buffer, sizeof buffer);
        if (n < 0) {
            from->may_read = errno == EINTR;
            if (errno != EAGAIN && errno != EINTR) {
                return false;
            }
            continue;
        }
        if (n == 0) {
            from->is_at_end = true;
            continue;
        }
        note_read(from, (size_t)n);
        left = write_most(to, buffer, (size_t)n);
        if (left < 0 || (left > 0 && !keep_rest(from, buffer + (n - left), (size_t)left))) {
            return false;
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
    close(pair->side[0].fd);
    close(pair->side[1].fd);
}

static void
free_dead_pairs(void)
{
    while (dead_pairs != NULL) {
        Pair *pair = dead_pairs;

        dead_pairs = pair->next_dead;
        free(pair->side[0].rest);
        free(pair->side[1].rest);
        free(pair);
    }
}

static void
on_client(int set, int front_fd)
{
    Pair *pair = calloc(1, sizeof *pair);
    int back_fd = bench_socket_connect(&back);

    if (pair == NULL || back_fd < 0) {
        free(pair);
        close(front_fd);
        return;
    }
    bench_socket_set_blocking(back_fd, false);
    bench_socket_set_no_delay(front_fd);
    pair->side[0].fd = front_fd;
    pair->side[1].fd = back_fd;
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = &pair->side[i]};

        pair->side[i].pair = pair;
        epoll_ctl(set, EPOLL_CTL_ADD, pair->side[i].fd, &event);
    }
}

static void
on_ready(Side *side, uint32_t events)
{
    Pair *pair = side->pair;
    Side *other = &pair->side[side == &pair->side[0] ? 1 : 0];
    bool was_blocked = !side->may_write;
    bool is_alive;

    if (pair->is_dead) {
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
    }
    is_alive = copy(side, other);
    if (is_alive && was_blocked && side->may_write) {
        is_alive = copy(other, side);
    }
    if (!is_alive) {
        end_pair(pair);
    }
}

int
main(int argc, char **argv)
{
    BenchAddress front;
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(EPOLL_CLOEXEC);
    int listener;

    if (argc < 3 || !bench_address_parse(&front, argv[1]) || !bench_address_parse(&back, argv[2])) {
        fputs("usage: bench-relay-epoll tcp|unix:PATH tcp:PORT|unix:PATH [FLIP]\n", stderr);
        return 2;
    }
    flip_at = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    signal(SIGPIPE, SIG_IGN);
    bench_socket_raise_limit();
    listener = bench_socket_listen(&front);
    if (listener < 0 || set < 0) {
        perror("bench-relay-epoll");
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
                    on_client(set, fd);
                }
            } else {
                on_ready(events[i].data.ptr, events[i].events);
            }
        }
        free_dead_pairs();
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process at the far end: takes orders over the very stream that is measured. */
#include "bench-target.h"

#include "bench-pattern.h"
#include "bench-samples.h"
#include "bench-socket.h"
#include "bench-terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define MAX_WRITES 8 /* of one source before the others get their turn */

typedef struct {
    _Atomic uint32_t is_ready;
    _Atomic uint32_t n_strangers; /* connections that did not begin with an order */
    BenchSlot slots[BENCH_MAX_SLOTS];
} Shared;

struct BenchTarget {
    Shared *shared;
    pid_t pid;
};

typedef struct {
    int fd;
    gboolean is_listener;
    gboolean waits_for_room;
    BenchOrder order;
    size_t order_len;
    BenchSlot *slot;
    uint64_t received;
    uint64_t sent;
    uint64_t owed_from; /* EXCHANGE: start of the answer that is under way */
    uint32_t request_len;
} Conn;

typedef struct {
    Shared *shared;
    uint8_t *buffer;
    int set;
    gboolean is_threaded;
} Server;

static void
watch(Server *server, Conn *conn, gboolean is_new)
{
    struct epoll_event event = {.events = EPOLLIN | (conn->waits_for_room ? EPOLLOUT : 0u),
                                .data.ptr = conn};

    epoll_ctl(server->set, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, conn->fd, &event);
}

static void
wait_for_room(Server *server, Conn *conn, gboolean waits)
{
    if (conn->waits_for_room != waits) {
        conn->waits_for_room = waits;
        watch(server, conn, FALSE);
    }
}

/* The three below: FALSE = close the connection. */

static gboolean
give_answer(Server *server, Conn *conn)
{
    uint64_t ack_end = conn->owed_from + conn->order.ack_bytes;
    uint64_t end = ack_end + conn->order.reply_bytes;

    while (conn->sent < end) {
        uint64_t stop = conn->sent < ack_end ? ack_end : end;
        ssize_t n = write(conn->fd, bench_pattern_get(conn->order.session, BENCH_DOWN, conn->sent),
                          (size_t)(stop - conn->sent));

        if (n < 0) {
            wait_for_room(server, conn, TRUE);
            return errno == EAGAIN;
        }
        conn->sent += (uint64_t)n;
        if (conn->sent == ack_end && conn->order.gap_us > 0) {
            g_usleep(conn->order.gap_us);
        }
    }
    wait_for_room(server, conn, FALSE);
    conn->owed_from = end;
    return TRUE;
}

static gboolean
give_more(Server *server, Conn *conn)
{
    for (int i = 0; i < MAX_WRITES; i++) {
        ssize_t n;

        if (atomic_load_explicit(&conn->slot->is_told_to_stop, memory_order_acquire)) {
            wait_for_room(server, conn, FALSE);
            atomic_store_explicit(&conn->slot->has_stopped, 1, memory_order_release);
            return TRUE;
        }
        n = write(conn->fd, bench_pattern_get(conn->order.session, BENCH_DOWN, conn->sent),
                  BENCH_CHUNK_BYTES);
        if (n < 0) {
            return errno == EAGAIN;
        }
        conn->sent += (uint64_t)n;
        atomic_store_explicit(&conn->slot->sent, conn->sent, memory_order_relaxed);
    }
    return TRUE;
}

static gboolean
take_bytes(Server *server, Conn *conn)
{
    gboolean is_exchange = conn->order.work == BENCH_WORK_EXCHANGE;
    size_t room = is_exchange ? conn->order.request_bytes - conn->request_len : BENCH_CHUNK_BYTES;
    ssize_t n = read(conn->fd, server->buffer, room);
    bool is_right;

    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    is_right = (conn->order.is_background ? bench_pattern_begins : bench_pattern_matches)(
        conn->order.session, BENCH_UP, conn->received, server->buffer, (size_t)n);
    if (!is_right) {
        atomic_fetch_add(&conn->slot->n_wrong, 1);
    }
    conn->received += (uint64_t)n;
    atomic_store_explicit(&conn->slot->received, conn->received, memory_order_release);
    if (!is_exchange) {
        return TRUE;
    }
    conn->request_len += (uint32_t)n;
    if (conn->request_len < conn->order.request_bytes) {
        return TRUE;
    }
    conn->request_len = 0;
    return give_answer(server, conn);
}

static gboolean
take_order(Server *server, Conn *conn)
{
    ssize_t n = read(conn->fd, (uint8_t *)&conn->order + conn->order_len,
                     sizeof conn->order - conn->order_len);

    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    conn->order_len += (size_t)n;
    if (conn->order_len < sizeof conn->order) {
        return TRUE;
    }
    if (conn->order.magic != BENCH_ORDER_MAGIC || conn->order.session >= BENCH_MAX_SLOTS ||
        conn->order.ack_bytes > BENCH_CHUNK_BYTES || conn->order.reply_bytes > BENCH_CHUNK_BYTES ||
        conn->order.request_bytes > BENCH_CHUNK_BYTES) {
        atomic_fetch_add(&server->shared->n_strangers, 1);
        return FALSE;
    }
    conn->slot = &server->shared->slots[conn->order.session];
    if (server->is_threaded && conn->order.is_background) {
        bench_place_background();
    }
    if (conn->order.work == BENCH_WORK_SOURCE || conn->order.work == BENCH_WORK_BOTH) {
        wait_for_room(server, conn, TRUE);
    }
    return TRUE;
}

static gboolean
serve(Server *server, Conn *conn, uint32_t events)
{
    if (conn->slot == NULL) {
        return take_order(server, conn);
    }
    if ((events & EPOLLOUT) != 0 && conn->waits_for_room &&
        !(conn->order.work == BENCH_WORK_EXCHANGE ? give_answer(server, conn)
                                                  : give_more(server, conn))) {
        return FALSE;
    }
    if ((events & ~(uint32_t)EPOLLOUT) == 0 ||
        (conn->order.work == BENCH_WORK_EXCHANGE && conn->waits_for_room)) {
        return TRUE;
    }
    return take_bytes(server, conn);
}

static void on_connection(Server *server, int fd);

static void
run(Server *server)
{
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int n = epoll_wait(server->set, events, MAX_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            Conn *conn = events[i].data.ptr;

            if (conn->is_listener) {
                int fd;

                while ((fd = accept4(conn->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    on_connection(server, fd);
                }
            } else if (!serve(server, conn, events[i].events)) {
                close(conn->fd);
                g_free(conn);
            }
        }
    }
}

static Server *
new_server(Shared *shared, gboolean is_threaded)
{
    Server *server = g_new0(Server, 1);

    server->shared = shared;
    server->is_threaded = is_threaded;
    server->buffer = g_malloc(BENCH_CHUNK_BYTES);
    server->set = epoll_create1(EPOLL_CLOEXEC);
    return server;
}

static gpointer
run_thread(gpointer user)
{
    run(user);
    return NULL;
}

static void
add(Server *server, int fd, gboolean is_listener)
{
    Conn *conn = g_new0(Conn, 1);

    conn->fd = fd;
    conn->is_listener = is_listener;
    watch(server, conn, TRUE);
}

static void
on_connection(Server *server, int fd)
{
    if (server->is_threaded) {
        Server *own = new_server(server->shared, TRUE);

        add(own, fd, FALSE);
        g_thread_unref(g_thread_new("conn", run_thread, own));
    } else {
        add(server, fd, FALSE);
    }
}

static _Noreturn void
run_process(Shared *shared, const char *folder, guint n_links, gboolean is_threaded,
            gboolean is_terminal, pid_t parent)
{
    Server *server = new_server(shared, is_threaded);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    for (guint i = 0; i < n_links; i++) {
        g_autofree char *path = bench_target_build_path(folder, i);
        BenchAddress address = {.port = 0};
        int fd;

        g_strlcpy(address.path, path, sizeof address.path);
        fd = is_terminal ? bench_terminal_listen(path) : bench_socket_listen(&address);
        if (fd < 0) {
            _exit(1);
        }
        add(server, fd, !is_terminal);
    }
    atomic_store(&shared->is_ready, 1);
    run(server);
    _exit(0);
}

/**
 * bench_target_start:
 * @folder: where the links go
 * @n_links: how many; a link of kdsrv is one client's, so each session wants its own
 * @is_threaded: a thread for each connection, so that a busy one does not hold up the measured one
 * @is_terminal: links are lines for one session each, instead of sockets
 *
 * Starts the far end and waits until it listens.
 *
 * Returns: (transfer full): the target.
 */
BenchTarget *
bench_target_start(const char *folder, guint n_links, gboolean is_threaded, gboolean is_terminal,
                   BenchPlace place, GError **error)
{
    g_autoptr(BenchTarget) target = g_new0(BenchTarget, 1);
    pid_t parent = getpid();

    target->shared = mmap(NULL, sizeof *target->shared, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (target->shared == MAP_FAILED) {
        target->shared = NULL;
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no shared memory: %s",
                    g_strerror(errno));
        return NULL;
    }
    target->pid = fork();
    if (target->pid == 0) {
        bench_place_harness(place);
        run_process(target->shared, folder, n_links, is_threaded, is_terminal, parent);
    }
    for (int i = 0; i < 5000 && target->pid > 0; i++) {
        if (atomic_load(&target->shared->is_ready)) {
            return g_steal_pointer(&target);
        }
        if (waitpid(target->pid, NULL, WNOHANG) == target->pid) {
            target->pid = 0;
            break;
        }
        bench_clock_sleep_ms(1);
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the target in %s did not start", folder);
    return NULL;
}

/**
 * bench_target_stop:
 *
 * Ends the process and forgets what it counted.
 */
void
bench_target_stop(BenchTarget *target)
{
    if (target->pid > 0) {
        kill(target->pid, SIGKILL);
        waitpid(target->pid, NULL, 0);
    }
    if (target->shared != NULL) {
        munmap(target->shared, sizeof *target->shared);
    }
    g_free(target);
}

/**
 * bench_target_get_slot:
 *
 * Returns: (transfer none): what the target counts for a session.
 */
BenchSlot *
bench_target_get_slot(BenchTarget *target, guint session)
{
    return &target->shared->slots[session];
}

/**
 * bench_target_get_wrong:
 *
 * Returns: how often a byte was not the expected one, over all sessions.
 */
guint
bench_target_get_wrong(const BenchTarget *target)
{
    guint n = atomic_load(&target->shared->n_strangers);

    for (guint i = 0; i < BENCH_MAX_SLOTS; i++) {
        n += atomic_load(&target->shared->slots[i].n_wrong);
    }
    return n;
}

/**
 * bench_target_build_path:
 *
 * Returns: (transfer full): the path of the target's socket @i, or of a link to its line.
 */
char *
bench_target_build_path(const char *folder, guint i)
{
    return g_strdup_printf("%s/back-%u.link", folder, i);
}

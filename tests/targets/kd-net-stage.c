/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The net target as a host uses it, for tests: one link, and a target's socket on the other side.
 */
#include "kd-net-stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Above those that the kernel gives to whoever asks for any */
#define PORT_LOWEST  61000
#define PORT_HIGHEST 65535

const KdTarget *kd_net;

/**
 * kd_net_load:
 *
 * Loads the module, unless the program was only asked for its cases.
 */
void
kd_net_load(void)
{
    if (g_getenv("KD_PLUGINDIR") != NULL)
        kd_net = kd_test_load_plugin("kdsrv-target-net.so")->targets[0];
}

/* ---- one link -------------------------------------------------------------------------------- */

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    KdNetLink *link = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    g_assert_false(link->is_closed);
    link->n_back += event == KD_EVENT_BACK;
    link->n_lost += event == KD_EVENT_LOST;
    link->n_resyncs += event == KD_EVENT_RESYNC;
    if (event == KD_EVENT_NOTE) {
        char *note = g_variant_dup_string(owned, NULL);
        for (const char *at = note; *at != '\0'; at++)
            g_assert_false(g_ascii_iscntrl(*at));
        g_test_message("note: %s", note);
        g_ptr_array_add(link->notes, note);
    }
}

/**
 * kd_net_start:
 * @link: (out caller-allocates)
 * @rest: of the parameters in GVariant's text form, behind the port
 *
 * Starts to open a link.
 */
void
kd_net_start(KdNetLink *link, GCancellable *cancellable, uint16_t port, const char *rest)
{
    g_autoptr(GVariant) params = kd_test_params("{'port': <uint64 %u>, %s}", port, rest);
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    *link = (KdNetLink){.sink = {.struct_size = sizeof(KdSink), .event = on_event},
                        .port = port,
                        .endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1},
                        .notes = g_ptr_array_new_with_free_func(g_free)};
    link->sink.user = link;
    kd_net->open_async(kd_test_host_get(), params, who, &link->sink, cancellable, kd_test_on_done,
                       &link->done);
    g_assert_null(link->done.result);
}

/**
 * kd_net_finish:
 *
 * Waits for kd_net_start().
 *
 * Returns: whether the link is open; kd_net_close() ends it in any case
 */
gboolean
kd_net_finish(KdNetLink *link, GError **error)
{
    g_autoptr(GAsyncResult) result = kd_test_wait(&link->done);
    link->link = kd_net->open_finish(result, &link->endpoint, error);
    return link->link != NULL;
}

/**
 * kd_net_open_at:
 *
 * Opens a link on a certain port.
 */
gboolean
kd_net_open_at(KdNetLink *link, uint16_t port, const char *rest, GError **error)
{
    kd_net_start(link, NULL, port, rest);
    return kd_net_finish(link, error);
}

/**
 * kd_net_open:
 *
 * Opens a link on a port that nobody else has.
 */
void
kd_net_open(KdNetLink *link, const char *rest)
{
    g_autoptr(GRand) rand = g_rand_new(); /* the program's own is seeded the same each time */
    for (;;) {
        g_autoptr(GError) error = NULL;
        uint16_t port = (uint16_t)g_rand_int_range(rand, PORT_LOWEST, PORT_HIGHEST);
        if (kd_net_open_at(link, port, rest, &error))
            return;
        if (!g_error_matches(error, KD_ERROR, KD_ERROR_BUSY))
            g_assert_no_error(error);
        kd_net_close(link);
    }
}

/**
 * kd_net_close:
 *
 * Closes the link, its endpoint, and what it was told.
 */
void
kd_net_close(KdNetLink *link)
{
    if (link->link != NULL) {
        kd_net->close_async(link->link, kd_test_on_done, &link->done);
        g_autoptr(GAsyncResult) result = kd_test_wait(&link->done);
        kd_net->close_finish(link->link, result);
        link->is_closed = TRUE;
        link->endpoint.ops->destroy(link->endpoint.stream);
        g_clear_pointer(&link->endpoint.facts, g_variant_unref);
        g_clear_object(&link->link);
    }
    g_clear_pointer(&link->notes, g_ptr_array_unref);
}

/**
 * kd_net_has_note:
 *
 * Returns: whether a note was told that starts so
 */
gboolean
kd_net_has_note(const KdNetLink *link, const char *start)
{
    for (guint i = 0; i < link->notes->len; i++) {
        if (g_str_has_prefix(g_ptr_array_index(link->notes, i), start))
            return TRUE;
    }
    return FALSE;
}

/* What is waited for */
typedef struct {
    const KdNetLink *link;
    const char *start;
} Awaited;

static gboolean
is_told(gpointer user_data)
{
    const Awaited *awaited = user_data;
    return kd_net_has_note(awaited->link, awaited->start);
}

/**
 * kd_net_await_note:
 *
 * Waits for a note that starts so.
 */
void
kd_net_await_note(KdNetLink *link, const char *start)
{
    Awaited awaited = {link, start};
    kd_test_wait_until(is_told, &awaited);
}

/* ---- the target's side ----------------------------------------------------------------------- */

/**
 * kd_net_socket:
 * @address: of the target, and where it finds its host
 *
 * Returns: (transfer full): a socket, connected with the link's port
 */
int
kd_net_socket(int family, const char *address, const KdNetLink *link)
{
    struct sockaddr_in inet = {.sin_family = AF_INET};
    struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6};
    struct sockaddr *native =
        family == AF_INET ? (struct sockaddr *)&inet : (struct sockaddr *)&inet6;
    socklen_t len = family == AF_INET ? sizeof inet : sizeof inet6;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(
        inet_pton(family, address, family == AF_INET ? (void *)&inet.sin_addr : &inet6.sin6_addr),
        ==, 1);
    g_assert_cmpint(bind(fd, native, len), ==, 0);
    inet.sin_port = inet6.sin6_port = htons(link->port);
    g_assert_cmpint(connect(fd, native, len), ==, 0);
    return fd;
}

/**
 * kd_net_put:
 *
 * Sends a datagram to the link.
 */
void
kd_net_put(int fd, const KdNetDatagram *datagram)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    gssize sent;
    do {
        g_assert_cmpint(poll(&room, 1, (int)KD_TEST_LIMIT_MS), ==, 1);
        sent = send(fd, datagram->bytes, datagram->len, 0);
        if (sent < 0) /* that nobody listens any more is told with the next one */
            g_assert_true(errno == ECONNREFUSED || errno == EAGAIN);
    } while (sent < 0);
}

/**
 * kd_net_has:
 *
 * Returns: whether the link has sent something by now
 */
gboolean
kd_net_has(int fd)
{
    struct pollfd bytes = {.fd = fd, .events = POLLIN};
    return poll(&bytes, 1, 0) == 1;
}

static gboolean
is_readable(gpointer user_data)
{
    return kd_net_has(GPOINTER_TO_INT(user_data));
}

/**
 * kd_net_get:
 * @datagram: (out)
 *
 * Waits for a datagram of the link.
 */
void
kd_net_get(int fd, KdNetDatagram *datagram)
{
    kd_test_wait_until(is_readable, GINT_TO_POINTER(fd));
    gssize len = recv(fd, datagram->bytes, sizeof datagram->bytes, 0);
    g_assert_cmpint(len, >, 0);
    datagram->len = (size_t)len;
}

/**
 * kd_net_connect:
 *
 * The target makes an offer, has it answered, and shows that it has the answer.
 */
void
kd_net_connect(int fd, KdNetTarget *target)
{
    KdNetDatagram datagram;
    kd_net_target_poke(target, &datagram);
    kd_net_put(fd, &datagram);
    kd_net_get(fd, &datagram);
    g_assert_true(kd_net_target_take_answer(target, datagram.bytes, datagram.len));
    kd_net_target_check(target, &datagram);
    kd_net_put(fd, &datagram);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host table for tests of single plugins, and what such tests do again and again. */
#include "kd-test-host.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct KdWatch {
    GSource *source;
    int fd;
    KdReadyFunc fn;
    void *user;
};

static guint n_dial_checks;
static gboolean is_denying;

static gboolean
on_fd(gint fd, GIOCondition condition, gpointer user_data)
{
    KdWatch *watch = user_data;
    uint32_t ready = 0;
    (void)fd;
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
        ready |= KD_READY_IN;
    if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR))
        ready |= KD_READY_OUT;
    watch->fn(watch->user, ready);
    return G_SOURCE_CONTINUE;
}

static void
watch_set(KdWatch *watch, uint32_t ready)
{
    if (watch->source != NULL) {
        g_source_destroy(watch->source);
        g_clear_pointer(&watch->source, g_source_unref);
    }
    if (ready == 0)
        return;
    GIOCondition condition = 0;
    if (ready & KD_READY_IN)
        condition |= G_IO_IN;
    if (ready & KD_READY_OUT)
        condition |= G_IO_OUT;
    watch->source = g_unix_fd_source_new(watch->fd, condition);
    g_source_set_callback(watch->source, G_SOURCE_FUNC(on_fd), watch, NULL);
    g_source_attach(watch->source, NULL);
}

static KdWatch *
watch_add(const KdHost *host, int fd, uint32_t ready, KdReadyFunc fn, void *user)
{
    (void)host;
    KdWatch *watch = g_new0(KdWatch, 1);
    watch->fd = fd;
    watch->fn = fn;
    watch->user = user;
    watch_set(watch, ready);
    return watch;
}

static void
watch_remove(KdWatch *watch)
{
    watch_set(watch, 0);
    g_free(watch);
}

static int
open_path(const KdHost *host, const char *path, GError **error)
{
    (void)host;
    if (g_str_has_prefix(path, KD_TEST_DENIED_PREFIX)) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY, "%s is not allowed", path);
        return -1;
    }
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), "cannot open %s: %s",
                    path, g_strerror(errno));
    return fd;
}

static gboolean
may_dial(const KdHost *host, const char *name, GSocketAddress *address, GError **error)
{
    (void)host;
    g_assert_true(address == NULL || G_IS_INET_SOCKET_ADDRESS(address));
    n_dial_checks++;
    if (!is_denying)
        return TRUE;
    g_set_error(error, KD_ERROR, KD_ERROR_POLICY, "%s is not allowed", name);
    return FALSE;
}

static const KdHost test_host = {
    .struct_size = sizeof(KdHost),
    .abi_major = KD_ABI_MAJOR,
    .abi_minor = KD_ABI_MINOR,
    .watch_add = watch_add,
    .watch_set = watch_set,
    .watch_remove = watch_remove,
    .open_path = open_path,
    .may_dial = may_dial,
};

/**
 * kd_test_host_get:
 *
 * Returns: a host whose watches are sources of the main context, and which opens every path that
 *    does not start with %KD_TEST_DENIED_PREFIX
 */
const KdHost *
kd_test_host_get(void)
{
    return &test_host;
}

/**
 * kd_test_host_get_n_dial_checks:
 *
 * Returns: how often may_dial() was asked
 */
guint
kd_test_host_get_n_dial_checks(void)
{
    return n_dial_checks;
}

/**
 * kd_test_host_deny_addresses:
 *
 * Makes may_dial() say no from now on.
 */
void
kd_test_host_deny_addresses(gboolean is_denied)
{
    is_denying = is_denied;
}

/**
 * kd_test_load_plugin:
 * @file: name of a module in $KD_PLUGINDIR
 *
 * Returns: (transfer none): its descriptor; the module stays
 */
const KdPlugin *
kd_test_load_plugin(const char *file)
{
    g_autofree char *path = g_build_filename(g_getenv("KD_PLUGINDIR"), file, NULL);
    GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);
    if (module == NULL)
        g_error("%s", g_module_error());
    g_module_make_resident(module);
    gpointer symbol = NULL;
    g_assert_true(g_module_symbol(module, KD_PLUGIN_SYMBOL_NAME, &symbol));
    return symbol;
}

/**
 * kd_test_params:
 * @format: a{sv} in GVariant's text form
 *
 * Returns: (transfer full): the parameters
 */
GVariant *
kd_test_params(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    GError *error = NULL;
    GVariant *params = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);
    g_assert_no_error(error);
    return params;
}

/**
 * kd_test_on_done:
 *
 * A #GAsyncReadyCallback that keeps the result in a #KdTestDone.
 */
void
kd_test_on_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdTestDone *done = user_data;
    (void)source;
    g_assert_null(done->result); /* exactly once */
    done->result = g_object_ref(result);
}

static gboolean
is_done(gpointer user_data)
{
    return ((KdTestDone *)user_data)->result != NULL;
}

/**
 * kd_test_wait:
 *
 * Returns: (transfer full): the result, out of @done, which can be used again
 */
GAsyncResult *
kd_test_wait(KdTestDone *done)
{
    kd_test_wait_until(is_done, done);
    return g_steal_pointer(&done->result);
}

static gboolean
on_limit(gpointer user_data)
{
    (void)user_data;
    g_error("waited in vain");
    return G_SOURCE_REMOVE;
}

/**
 * kd_test_wait_until:
 *
 * Turns the main context until something holds; ends the test when that takes too long.
 */
void
kd_test_wait_until(gboolean (*is_met)(gpointer user_data), gpointer user_data)
{
    guint limit = g_timeout_add(KD_TEST_LIMIT_MS, on_limit, NULL);
    while (!is_met(user_data))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(limit);
}

/**
 * kd_test_turn:
 *
 * Lets the main context do all that is due now.
 */
void
kd_test_turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

/**
 * kd_test_count_fds:
 *
 * Lets the main context do what is due, then counts.
 *
 * Returns: how many descriptors this process has
 */
guint
kd_test_count_fds(void)
{
    /* GTask's first use starts GLib's worker, which keeps a descriptor of its own. */
    static gpointer task_class;
    if (task_class == NULL)
        task_class = g_type_class_ref(G_TYPE_TASK);
    kd_test_turn();
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;
    while (g_dir_read_name(dir) != NULL)
        n++;
    g_dir_close(dir);
    return n;
}

/**
 * kd_test_wait_readable:
 *
 * Waits for bytes or the end without turning the main context.
 */
void
kd_test_wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    g_assert_cmpint(poll(&poll_fd, 1, (int)KD_TEST_LIMIT_MS), ==, 1);
}

/**
 * kd_test_listen:
 * @family: AF_INET or AF_INET6, of which the loopback address is taken
 * @port: 0 for any
 * @bound: (out) (nullable): the real port
 *
 * Returns: (transfer full): a listening socket, or -1
 */
int
kd_test_listen(int family, uint16_t port, uint16_t *bound)
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    inet6.sin6_addr = in6addr_loopback;
    struct sockaddr *address =
        family == AF_INET6 ? (struct sockaddr *)&inet6 : (struct sockaddr *)&inet;
    socklen_t len = family == AF_INET6 ? sizeof(inet6) : sizeof(inet);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, address, len) != 0 || listen(fd, 16) != 0 || getsockname(fd, address, &len) != 0) {
        close(fd);
        return -1;
    }
    if (bound != NULL)
        *bound = ntohs(family == AF_INET6 ? inet6.sin6_port : inet.sin_port);
    return fd;
}

/**
 * kd_test_hold_ports:
 * @fds: (out): @n listening sockets on neighbouring ports of 127.0.0.1
 *
 * Takes ports below those that the kernel gives to connections, at random, so that neighbours stay
 * free of others.
 *
 * Returns: the first port
 */
uint16_t
kd_test_hold_ports(int *fds, guint n)
{
    for (;;) {
        uint16_t base = (uint16_t)g_random_int_range(10000, 32000);
        guint held = 0;
        while (held < n &&
               (fds[held] = kd_test_listen(AF_INET, (uint16_t)(base + held), NULL)) >= 0)
            held++;
        if (held == n)
            return base;
        while (held > 0)
            close(fds[--held]);
    }
}

/**
 * kd_test_has_ipv6:
 *
 * Returns: whether ::1 can be listened on
 */
gboolean
kd_test_has_ipv6(void)
{
    int fd = kd_test_listen(AF_INET6, 0, NULL);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

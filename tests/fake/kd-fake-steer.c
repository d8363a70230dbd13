/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders to a fake device as lines of text, by function call or over a UNIX socket. */
#include "kd-fake-device.h"

#include <glib-unix.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_LINE_BYTES (64u * 1024u)

struct KdFakeSteer {
    KdFakeDevice *device;
    char *path;
    int fd;
    guint source_id;
    GPtrArray *peers;
};

/* One connection; every line gets one line in answer, in order. */
typedef struct {
    KdFakeSteer *steer;
    int fd;
    guint in_id;
    guint out_id;
    GString *in;
    GString *out;
    char *counter; /* (nullable): `wait` goes on when this one ... */
    guint64 least; /* ... is at least this */
} Peer;

static int
read_hex(const char *text)
{
    int high = g_ascii_xdigit_value(text[0]);
    int low = high < 0 ? -1 : g_ascii_xdigit_value(text[1]);
    return low < 0 ? -1 : high * 16 + low;
}

/* C escapes: \n \r \t \0 \\ and \xHH; everything else stands for itself */
static GByteArray *
parse_escapes(const char *text)
{
    GByteArray *bytes = g_byte_array_new();
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (*text == '\\' && text[1] != '\0') {
            static const char letters[] = "nrt0";
            static const char values[] = "\n\r\t\0";
            text++;
            const char *letter = strchr(letters, *text);
            byte = letter != NULL ? (uint8_t)values[letter - letters] : (uint8_t)*text;
            if (*text == 'x' && read_hex(text + 1) >= 0) {
                byte = (uint8_t)read_hex(text + 1);
                text += 2;
            }
        }
        g_byte_array_append(bytes, &byte, 1);
    }
    return bytes;
}

static char *
build_escapes(GBytes *bytes)
{
    gsize len = 0;
    const uint8_t *byte = g_bytes_get_data(bytes, &len);
    GString *text = g_string_new("got ");
    kd_fake_device_append_escaped(text, byte, MIN(len, MAX_LINE_BYTES / 4));
    return g_string_free(text, FALSE);
}

static char *
build_story(KdFakeDevice *device)
{
    g_autofree char *story = kd_fake_build_story(device);
    return g_strconcat("story ", story, NULL);
}

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
    {"in", offsetof(KdFakeStat, in)},
    {"in-matching", offsetof(KdFakeStat, in_matching)},
    {"out", offsetof(KdFakeStat, out)},
    {"drops", offsetof(KdFakeStat, drops)},
    {"breaks", offsetof(KdFakeStat, breaks)},
    {"break-at", offsetof(KdFakeStat, break_at)},
    {"in-break", offsetof(KdFakeStat, in_break)},
    {"resets", offsetof(KdFakeStat, resets)},
    {"opens", offsetof(KdFakeStat, opens)},
    {"failed-opens", offsetof(KdFakeStat, failed_opens)},
    {"closes", offsetof(KdFakeStat, closes)},
    {"reopens", offsetof(KdFakeStat, reopens)},
    {"destroys", offsetof(KdFakeStat, destroys)},
    {"ends", offsetof(KdFakeStat, ends)},
    {"writes", offsetof(KdFakeStat, writes)},
    {"reads", offsetof(KdFakeStat, reads)},
    {"max-pending", offsetof(KdFakeStat, max_pending)},
    {"controls", offsetof(KdFakeStat, controls)},
};

static guint64
get_counter(const KdFakeDevice *device, size_t index)
{
    guint64 value = 0;
    memcpy(&value, (const char *)&device->stat + counters[index].offset, sizeof value);
    return value;
}

/**
 * kd_fake_find_counter:
 * @name: as `stat` spells it
 *
 * Returns: whether there is a counter of this name
 */
gboolean
kd_fake_find_counter(const KdFakeDevice *device, const char *name, guint64 *value)
{
    if (strcmp(name, "pending") == 0) {
        *value = kd_fake_get_pending(device);
        return TRUE;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        if (strcmp(name, counters[i].name) == 0) {
            *value = get_counter(device, i);
            return TRUE;
        }
    }
    return FALSE;
}

static char *
build_stat(const KdFakeDevice *device)
{
    GString *text = g_string_new("stat");
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++)
        g_string_append_printf(text, " %s=%" G_GUINT64_FORMAT, counters[i].name,
                               get_counter(device, i));
    g_string_append_printf(text, " pending=%zu baud=%u lines=%u open=%d",
                           kd_fake_get_pending(device), device->baud, device->lines,
                           kd_fake_is_open(device) ? 1 : 0);
    return g_string_free(text, FALSE);
}

static char *
build_controls(KdFakeDevice *device)
{
    g_autofree char *lines = g_strjoinv("; ", (char **)device->controls->pdata);
    return g_strconcat("controls ", lines, NULL);
}

static gboolean
steer_plain(KdFakeDevice *device, const char *order)
{
    static const struct {
        const char *order;
        void (*fn)(KdFakeDevice *device);
    } orders[] = {
        {"stop", kd_fake_stop},
        {"go", kd_fake_go},
        {"end", kd_fake_end},
        {"lose", kd_fake_lose},
        {"lost", kd_fake_lost},
        {"back", kd_fake_back},
        {"resync", kd_fake_resync},
        {"long-breaks", kd_fake_long_breaks},
        {"end-break", kd_fake_end_break},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        if (strcmp(order, orders[i].order) == 0) {
            orders[i].fn(device);
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
steer_text(KdFakeDevice *device, const char *order, const char *rest)
{
    if (strcmp(order, "say") == 0) {
        g_autoptr(GByteArray) bytes = parse_escapes(rest);
        kd_fake_say(device, bytes->data, bytes->len);
    } else if (strcmp(order, "note") == 0) {
        kd_fake_note(device, rest);
    } else if (strcmp(order, "fail-open") == 0) {
        kd_fake_fail_open(device, *rest != '\0' ? rest : NULL);
    } else if (strcmp(order, "fail-control") == 0) {
        kd_fake_fail_control(device, *rest != '\0' ? rest : NULL);
    } else if (strcmp(order, "listing") == 0) {
        kd_fake_set_listing(*rest != '\0' ? rest : NULL);
    } else {
        return FALSE;
    }
    return TRUE;
}

static gboolean
steer_number(KdFakeDevice *device, const char *order, const char *rest)
{
    char *end = NULL;
    guint64 value = g_ascii_strtoull(rest, &end, 10);
    guint number = (guint)MIN(value, (guint64)G_MAXUINT);
    if (strcmp(order, "spurious") == 0)
        kd_fake_spurious(device, number);
    else if (end == rest)
        return FALSE;
    else if (strcmp(order, "flood") == 0)
        kd_fake_flood(device, value);
    else if (strcmp(order, "lines") == 0)
        kd_fake_lines(device, number);
    else if (strcmp(order, "slow") == 0)
        kd_fake_set_slow(device, number, device->slow_read_bytes);
    else if (strcmp(order, "slow-read") == 0)
        kd_fake_set_slow(device, device->slow_write_bytes, number);
    else if (strcmp(order, "delay") == 0)
        kd_fake_set_open_delay(device, number);
    else if (strcmp(order, "close-delay") == 0)
        kd_fake_set_close_delay(device, number);
    else
        return FALSE;
    return TRUE;
}

/**
 * kd_fake_steer:
 * @line: `stop`, `say hello\n`, `flood 1000`, ...; README.md beside this file has them all
 *
 * Does what one line says.
 *
 * Returns: (transfer full): the answer: `ok`, `stat ...`, `got ...`, `controls ...`, or `error ...`
 */
char *
kd_fake_steer(KdFakeDevice *device, const char *line)
{
    const char *space = strchr(line, ' ');
    g_autofree char *order =
        space != NULL ? g_strndup(line, (gsize)(space - line)) : g_strdup(line);
    const char *rest = space != NULL ? space + 1 : "";

    if (strcmp(order, "stat") == 0)
        return build_stat(device);
    if (strcmp(order, "controls") == 0)
        return build_controls(device);
    if (strcmp(order, "story") == 0)
        return build_story(device);
    if (strcmp(order, "got") == 0) {
        g_autoptr(GBytes) received = kd_fake_take_received(device);
        return build_escapes(received);
    }
    if (steer_plain(device, order) || steer_text(device, order, rest) ||
        steer_number(device, order, rest))
        return g_strdup("ok");
    return g_strconcat("error no such order: ", line, NULL);
}

static void
peer_free(gpointer user)
{
    Peer *peer = user;
    g_clear_handle_id(&peer->in_id, g_source_remove);
    g_clear_handle_id(&peer->out_id, g_source_remove);
    close(peer->fd);
    g_string_free(peer->in, TRUE);
    g_string_free(peer->out, TRUE);
    g_free(peer->counter);
    g_free(peer);
}

static gboolean on_peer_writable(gint fd, GIOCondition condition, gpointer user);

static void
peer_flush(Peer *peer)
{
    while (peer->out->len > 0) {
        ssize_t n = send(peer->fd, peer->out->str, peer->out->len, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        g_string_erase(peer->out, 0, n);
    }
    if (peer->out->len > 0 && peer->out_id == 0)
        peer->out_id = g_unix_fd_add(peer->fd, G_IO_OUT, on_peer_writable, peer);
}

static gboolean
on_peer_writable(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Peer *peer = user;
    peer->out_id = 0;
    peer_flush(peer);
    return G_SOURCE_REMOVE;
}

static void
peer_answer(Peer *peer, const char *text)
{
    g_string_append(peer->out, text);
    g_string_append_c(peer->out, '\n');
}

/* `wait COUNTER N` answers when the counter has got there; the lines after it wait, too. */
static void
peer_start_wait(Peer *peer, const char *rest)
{
    g_auto(GStrv) words = g_strsplit(rest, " ", 2);
    guint64 value = 0;
    if (words[0] == NULL || words[1] == NULL ||
        !kd_fake_find_counter(peer->steer->device, words[0], &value)) {
        peer_answer(peer, "error wait wants the name of a counter and a number");
        return;
    }
    peer->counter = g_strdup(words[0]);
    peer->least = g_ascii_strtoull(words[1], NULL, 10);
}

static gboolean
peer_is_waiting(Peer *peer)
{
    guint64 value = 0;
    if (peer->counter == NULL)
        return FALSE;
    if (!kd_fake_find_counter(peer->steer->device, peer->counter, &value) || value < peer->least)
        return TRUE;
    g_clear_pointer(&peer->counter, g_free);
    peer_answer(peer, "ok");
    return FALSE;
}

static void
peer_run(Peer *peer)
{
    char *newline = NULL;
    while (!peer_is_waiting(peer) && (newline = strchr(peer->in->str, '\n')) != NULL) {
        g_autofree char *line = g_strndup(peer->in->str, (gsize)(newline - peer->in->str));
        g_string_erase(peer->in, 0, newline - peer->in->str + 1);
        if (g_str_has_prefix(line, "wait ")) {
            peer_start_wait(peer, line + strlen("wait "));
            continue;
        }
        g_autofree char *answer = kd_fake_steer(peer->steer->device, line);
        peer_answer(peer, answer);
    }
    peer_flush(peer);
}

static gboolean
on_peer_readable(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Peer *peer = user;
    char chunk[4096];
    ssize_t n = recv(fd, chunk, sizeof chunk, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0 || peer->in->len + (size_t)n > MAX_LINE_BYTES) {
        peer->in_id = 0;
        g_ptr_array_remove(peer->steer->peers, peer);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(peer->in, chunk, n);
    peer_run(peer);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_connected(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    KdFakeSteer *steer = user;
    int peer_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer_fd < 0)
        return G_SOURCE_CONTINUE;
    Peer *peer = g_new0(Peer, 1);
    peer->steer = steer;
    peer->fd = peer_fd;
    peer->in = g_string_new(NULL);
    peer->out = g_string_new(NULL);
    peer->in_id = g_unix_fd_add(peer_fd, G_IO_IN, on_peer_readable, peer);
    g_ptr_array_add(steer->peers, peer);
    return G_SOURCE_CONTINUE;
}

static int
listen_on(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "steer=%s: the path is too long",
                    path);
        return -1;
    }
    if (lstat(path, &found) == 0 && S_ISSOCK(found.st_mode))
        (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0)
        return fd;
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(errno), "steer=%s: %s", path,
                g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/**
 * kd_fake_steer_listen:
 *
 * Takes orders on a socket from now on, until the device is forgotten; a device that listens there
 * already goes on.
 */
gboolean
kd_fake_steer_listen(KdFakeDevice *device, const char *path, GError **error)
{
    if (device->steer != NULL && strcmp(device->steer->path, path) == 0 &&
        g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    int fd = listen_on(path, error);
    if (fd < 0)
        return FALSE;
    g_clear_pointer(&device->steer, kd_fake_steer_free);
    KdFakeSteer *steer = g_new0(KdFakeSteer, 1);
    steer->device = device;
    steer->path = g_strdup(path);
    steer->fd = fd;
    steer->peers = g_ptr_array_new_with_free_func(peer_free);
    steer->source_id = g_unix_fd_add(fd, G_IO_IN, on_connected, steer);
    device->steer = steer;
    return TRUE;
}

/**
 * kd_fake_steer_settle:
 *
 * Answers those who wait for a counter that has got there.
 */
void
kd_fake_steer_settle(KdFakeSteer *steer)
{
    for (guint i = 0; i < steer->peers->len; i++)
        peer_run(g_ptr_array_index(steer->peers, i));
}

/**
 * kd_fake_steer_free:
 *
 * Closes the socket and what is connected to it; the file stays.
 */
void
kd_fake_steer_free(KdFakeSteer *steer)
{
    g_source_remove(steer->source_id);
    g_ptr_array_unref(steer->peers);
    close(steer->fd);
    g_free(steer->path);
    g_free(steer);
}

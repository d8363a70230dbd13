/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates of servers that the user has confirmed: $XDG_CONFIG_HOME/kdsrv/known_servers. */
#include "kd-known-servers.h"

#include "kd-thumbprint.h"

#include <kdsrv/kd-plugin.h>

#include <glib/gstdio.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)1024 * 1024)
#define PREFIX    "sha256:"

/* Another kd that writes is done in a few milliseconds; one that was stopped meanwhile is not. */
#define LOCK_TRIES       100
#define LOCK_TRY_WAIT_MS 10

/**
 * kd_known_servers_build_path:
 *
 * Returns: (transfer full): the file
 */
char *
kd_known_servers_build_path(void)
{
    return g_build_filename(g_get_user_config_dir(), "kdsrv", "known_servers", NULL);
}

static void
set_errno_error(GError **error, const char *path, int code)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", path, g_strerror(code));
}

static gboolean
check_status(int fd, const char *path, gsize *len_bytes, GError **error)
{
    struct stat status = {0};

    if (fstat(fd, &status) < 0) {
        set_errno_error(error, path, errno);
        return FALSE;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > (off_t)MAX_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: %s", path,
                    S_ISREG(status.st_mode) ? "longer than 1 MiB; take out what is not needed"
                                            : "not a regular file");
        return FALSE;
    }
    if ((status.st_uid != geteuid() && status.st_uid != 0) ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: others can write to it; run chown and chmod 600 on it", path);
        return FALSE;
    }
    *len_bytes = (gsize)status.st_size;
    return TRUE;
}

static char *
read_bytes(int fd, gsize len_bytes, const char *path, GError **error)
{
    g_autofree char *text = g_malloc0(len_bytes + 1);

    for (gsize n = 0; n < len_bytes;) {
        ssize_t got = read(fd, text + n, len_bytes - n);
        if (got < 0 && errno != EINTR) {
            set_errno_error(error, path, errno);
            return NULL;
        }
        if (got == 0) {
            break;
        }
        n += got > 0 ? (gsize)got : 0;
    }
    if (memchr(text, '\0', len_bytes) != NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: not a text", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

/* Its text; empty when there is no such file */
static char *
read_file(const char *path, GError **error)
{
    gsize len_bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        if (errno == ENOENT) {
            return g_strdup("");
        }
        set_errno_error(error, path, errno);
        return NULL;
    }
    char *text =
        check_status(fd, path, &len_bytes, error) ? read_bytes(fd, len_bytes, path, error) : NULL;
    close(fd);
    return text;
}

/* One line: %FALSE when it is broken; both are %NULL for an empty line or a comment */
static gboolean
parse_line(const char *line, char **place, char **sha256)
{
    g_autofree char *text = g_strstrip(g_strdup(line));
    gsize place_len = strcspn(text, " \t");
    const char *rest = text + place_len + strspn(text + place_len, " \t");

    *place = *sha256 = NULL;
    if (*text == '\0' || *text == '#') {
        return TRUE;
    }
    g_autofree char *digits =
        g_ascii_strncasecmp(rest, PREFIX, strlen(PREFIX)) == 0 ? kd_thumbprint_parse(rest) : NULL;
    if (digits == NULL || strlen(digits) != KD_THUMBPRINT_SHA256_DIGITS) {
        return FALSE;
    }
    *place = g_strndup(text, place_len);
    *sha256 = g_steal_pointer(&digits);
    return TRUE;
}

static gboolean
search_text(const char *path, const char *text, const char *place, char **sha256, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++) {
        g_autofree char *own_place = NULL;
        g_autofree char *own_sha256 = NULL;
        if (!parse_line(lines[i], &own_place, &own_sha256)) {
            g_clear_pointer(sha256, g_free);
            g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                        "%s:%u: not `PLACE sha256:HEX`; mend the line or take it out", path, i + 1);
            return FALSE;
        }
        if (own_place == NULL || strcmp(own_place, place) != 0) {
            continue;
        }
        if (*sha256 != NULL && strcmp(*sha256, own_sha256) != 0) {
            g_clear_pointer(sha256, g_free);
            g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                        "%s:%u: a second certificate for %s; take one of the lines out", path,
                        i + 1, place);
            return FALSE;
        }
        g_free(*sha256);
        *sha256 = g_steal_pointer(&own_sha256);
    }
    return TRUE;
}

/**
 * kd_known_servers_find:
 * @place: of the server: `ssl:labhost:1027`
 * @sha256: (out) (transfer full) (nullable): thumbprint, 64 hex digits; %NULL: not known
 * @error: %KD_ERROR_TLS: a line is broken (told by its number), the file is longer than 1 MiB or
 *    others can write to it; G_IO_ERROR_*
 *
 * Returns: whether the file could be read, or is not there
 */
gboolean
kd_known_servers_find(const char *place, char **sha256, GError **error)
{
    g_autofree char *path = kd_known_servers_build_path();
    g_autofree char *text = read_file(path, error);

    *sha256 = NULL;
    return text != NULL && search_text(path, text, place, sha256, error);
}

static gboolean
try_lock(int fd, GError **error, const char *path)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return TRUE;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            set_errno_error(error, path, errno);
            return FALSE;
        }
        /* nothing is connected yet when a user confirms a certificate */
        (void)g_poll(NULL, 0, LOCK_TRY_WAIT_MS);
    }
    g_set_error(error, KD_ERROR, KD_ERROR_BUSY, "%s: another kd does not let go of it", path);
    return FALSE;
}

/* A file of its own, because the one with the text is replaced */
static int
lock_file(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *lock_path = g_strconcat(path, ".lock", NULL);

    if (g_mkdir_with_parents(folder, 0700) < 0) {
        set_errno_error(error, folder, errno);
        return -1;
    }
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) {
        set_errno_error(error, lock_path, errno);
        return -1;
    }
    if (!try_lock(fd, error, lock_path)) {
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean
add_locked(const char *path, const char *place, const char *sha256, GError **error)
{
    g_autofree char *known = NULL;
    g_autofree char *text = read_file(path, error);

    if (text == NULL || !search_text(path, text, place, &known, error)) {
        return FALSE;
    }
    if (known != NULL) {
        if (strcmp(known, sha256) == 0) {
            return TRUE;
        }
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: has another certificate for %s; take that line out first", path, place);
        return FALSE;
    }
    gsize len = strlen(text);
    const char *gap = len > 0 && text[len - 1] != '\n' ? "\n" : "";
    g_autofree char *longer = g_strdup_printf("%s%s%s " PREFIX "%s\n", text, gap, place, sha256);
    if (strlen(longer) > MAX_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: is full (1 MiB); take lines out", path);
        return FALSE;
    }
    return g_file_set_contents_full(path, longer, -1,
                                    G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                    0600, error);
}

/**
 * kd_known_servers_add:
 * @place: of the server
 * @sha256: thumbprint, 64 hex digits
 * @error: %KD_ERROR_BUSY: another kd writes to it and does not end; %KD_ERROR_TLS: there is another
 *    certificate for that place, a line is broken, or the file is full; G_IO_ERROR_*,
 * G_FILE_ERROR_*
 *
 * Remembers a certificate that the user has confirmed. What else is in the file stays as it is.
 *
 * Returns: whether it is written
 */
gboolean
kd_known_servers_add(const char *place, const char *sha256, GError **error)
{
    g_autofree char *path = kd_known_servers_build_path();
    g_autofree char *digits = kd_thumbprint_parse(sha256);

    if (digits == NULL || strlen(digits) != KD_THUMBPRINT_SHA256_DIGITS || *place == '\0' ||
        *place == '#' || strcspn(place, " \t\r\n") != strlen(place)) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: not a place and a thumbprint", path);
        return FALSE;
    }
    int fd = lock_file(path, error);
    if (fd < 0) {
        return FALSE;
    }
    gboolean is_added = add_locked(path, place, digits, error);
    close(fd);
    return is_added;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a serial port beneath /dev, through links that only root can have made. */
#include "kd-open-device.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* udev makes chains of one link, an administrator's rule maybe one of two. */
#define MAX_LINKS   8u
#define MAX_FOLDERS 16u

/* Character majors whose devices are serial ports (Documentation/admin-guide/devices.txt), with the
 * least minor. */
static const struct {
    unsigned major;
    unsigned least_minor;
} serial_majors[] = {
    {4, 64},  /* ttyS; below are the virtual consoles */
    {19, 0},  /* ttyC, Cyclades                       */
    {22, 0},  /* ttyD, Digiboard                      */
    {24, 0},  /* ttyE, Stallion                       */
    {46, 0},  /* ttyR, Rocketport                     */
    {148, 0}, /* ttyT, Technology Concepts            */
    {154, 0}, /* ttySR, Specialix RIO                 */
    {156, 0}, /* ttySR, Specialix RIO                 */
    {164, 0}, /* ttyCH, Chase                         */
    {166, 0}, /* ttyACM, USB modems                   */
    {172, 0}, /* ttyMX, Moxa Intellio                 */
    {174, 0}, /* ttySI and ttyMI, SmartIO             */
    {188, 0}, /* ttyUSB                               */
    {204, 0}, /* ttyAMA, ttySC and other small ones   */
    {207, 0}, /* ttyCPM, ttymxc                       */
    {208, 0}, /* ttyU, user space serial ports        */
    {216, 0}, /* rfcomm, Bluetooth                    */
};

/* A walk from /dev on. Every step is a descriptor of what was looked at, and what is read or
 * checked is read from that: nobody can put another file in its place meanwhile. */
typedef struct {
    const char *path; /* as it was asked for */
    int folders[MAX_FOLDERS];
    char *names[MAX_FOLDERS]; /* (nullable): of the folders beneath /dev; of /dev itself %NULL */
    guint n_folders;
    guint n_links;
    char *rest; /* still to be walked */
} Walk;

static void
walk_clear(Walk *walk)
{
    while (walk->n_folders > 0) {
        walk->n_folders--;
        close(walk->folders[walk->n_folders]);
        g_free(walk->names[walk->n_folders]);
    }
    g_free(walk->rest);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, walk_clear)

static int
get_folder(const Walk *walk)
{
    return walk->folders[walk->n_folders - 1];
}

/* `/dev/serial/by-id`, with @name behind it if there is one */
static char *
build_place(const Walk *walk, const char *name)
{
    g_autoptr(GString) place = g_string_new("/dev");
    for (guint i = 1; i < walk->n_folders; i++) {
        g_string_append_printf(place, "/%s", walk->names[i]);
    }
    if (name != NULL) {
        g_string_append_printf(place, "/%s", name);
    }
    return g_string_free(g_steal_pointer(&place), FALSE);
}

static gboolean
refuse(const Walk *walk, const char *name, const char *why, GError **error)
{
    g_autofree char *place = build_place(walk, name);
    if (strcmp(place, walk->path) == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY, "%s: %s", walk->path, why);
    } else {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY, "%s: %s: %s", walk->path, place, why);
    }
    return FALSE;
}

static gboolean
set_errno_error(const Walk *walk, int code, GError **error)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", walk->path,
                g_strerror(code));
    return FALSE;
}

/* Whether only root can have put there what stands in the folder that the walk is in */
static gboolean
check_folder(const Walk *walk, GError **error)
{
    struct stat status = {0};
    if (fstat(get_folder(walk), &status) != 0) {
        return set_errno_error(walk, errno, error);
    }
    if (status.st_uid != 0) {
        return refuse(walk, NULL, "a folder that does not belong to root", error);
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return refuse(walk, NULL, "a folder that others than root can write to", error);
    }
    return TRUE;
}

static gboolean
enter_folder(Walk *walk, int fd, const char *name, GError **error)
{
    if (walk->n_folders == MAX_FOLDERS) {
        close(fd);
        return refuse(walk, name, "too many folders", error);
    }
    walk->folders[walk->n_folders] = fd;
    walk->names[walk->n_folders] = g_strdup(name);
    walk->n_folders++;
    return TRUE;
}

static gboolean
leave_folder(Walk *walk, GError **error)
{
    if (walk->n_folders == 1) {
        return refuse(walk, NULL, "the way leads out of it", error);
    }
    walk->n_folders--;
    close(walk->folders[walk->n_folders]);
    g_clear_pointer(&walk->names[walk->n_folders], g_free);
    return TRUE;
}

/* Puts what a link names before the rest of the way. */
static gboolean
follow_link(Walk *walk, int fd, const char *name, GError **error)
{
    char target[PATH_MAX];
    struct stat status = {0};
    if (!check_folder(walk, error)) {
        return FALSE;
    }
    if (fstat(fd, &status) != 0 || status.st_uid != 0) {
        return refuse(walk, name, "a symbolic link that does not belong to root", error);
    }
    if (walk->n_links++ == MAX_LINKS) {
        return refuse(walk, name, "too many symbolic links", error);
    }
    ssize_t len_bytes = readlinkat(fd, "", target, sizeof target);
    if (len_bytes <= 0 || len_bytes == (ssize_t)sizeof target) {
        return set_errno_error(walk, len_bytes < 0 ? errno : ENAMETOOLONG, error);
    }
    target[len_bytes] = '\0';
    const char *start = target;
    if (target[0] == '/') {
        start = target + strspn(target, "/");
        if (strncmp(start, "dev/", strlen("dev/")) != 0) {
            return refuse(walk, name, "a symbolic link that leads out of /dev", error);
        }
        start += strlen("dev/");
        while (walk->n_folders > 1) {
            (void)leave_folder(walk, NULL);
        }
    }
    char *rest = g_strconcat(start, "/", walk->rest, NULL);
    g_free(walk->rest);
    walk->rest = rest;
    return TRUE;
}

/* Takes the first name off the rest of the way. Returns: (nullable): "." and "" are left out */
static char *
take_name(Walk *walk)
{
    for (;;) {
        const char *start = walk->rest + strspn(walk->rest, "/");
        size_t len = strcspn(start, "/");
        g_autofree char *name = g_strndup(start, len);
        char *rest = g_strdup(start + len);
        g_free(walk->rest);
        walk->rest = rest;
        if (len == 0) {
            return NULL;
        }
        if (strcmp(name, ".") != 0) {
            return g_steal_pointer(&name);
        }
    }
}

/* One step; @found is set when it was the last one. */
static gboolean
step(Walk *walk, const char *name, int *found, GError **error)
{
    struct stat status = {0};
    gboolean is_last = walk->rest[strspn(walk->rest, "/")] == '\0';
    if (strcmp(name, "..") == 0) {
        return leave_folder(walk, error);
    }
    int fd = openat(get_folder(walk), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int code = errno;
        if (fd >= 0) {
            close(fd);
        }
        return set_errno_error(walk, code, error);
    }
    if (S_ISLNK(status.st_mode)) {
        gboolean is_followed = follow_link(walk, fd, name, error);
        close(fd);
        return is_followed;
    }
    if (is_last) {
        *found = fd;
        return TRUE;
    }
    if (S_ISDIR(status.st_mode)) {
        return enter_folder(walk, fd, name, error) && check_folder(walk, error);
    }
    close(fd);
    return set_errno_error(walk, ENOTDIR, error);
}

static gboolean
is_serial_port(int fd)
{
    struct stat status = {0};
    if (fstat(fd, &status) < 0 || !S_ISCHR(status.st_mode)) {
        return FALSE;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(serial_majors); i++) {
        if (major(status.st_rdev) == serial_majors[i].major &&
            minor(status.st_rdev) >= serial_majors[i].least_minor) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_open_device:
 * @path: canonical, beneath /dev
 *
 * Finds a serial port by its name, or by a link to it that root alone can have made, as udev does:
 * `/dev/serial/by-id/...`. The links lead nowhere else than to /dev. Opens nothing: the device is
 * not touched.
 *
 * Returns: (transfer full): an O_PATH descriptor, or -1: G_IO_ERROR_NOT_FOUND (it may appear yet),
 *    KD_ERROR_POLICY
 */
int
kd_open_device(const char *path, GError **error)
{
    g_auto(Walk) walk = {.path = path, .rest = g_strdup(path + strlen("/dev/"))};
    int found = -1;
    int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dev < 0) {
        (void)set_errno_error(&walk, errno, error);
        return -1;
    }
    (void)enter_folder(&walk, dev, NULL, NULL);
    while (found < 0) {
        g_autofree char *name = take_name(&walk);
        if (name == NULL) {
            break; /* the way ends in a folder */
        }
        if (!step(&walk, name, &found, error)) {
            return -1;
        }
    }
    if (found < 0 || !is_serial_port(found)) {
        if (found >= 0) {
            close(found);
        }
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                    "%s: not a serial port, nor beneath a folder that this server was given "
                    "(kdsrv --allow-path DIR)",
                    path);
        return -1;
    }
    return found;
}

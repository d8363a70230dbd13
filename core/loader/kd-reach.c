/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What strings of a client may reach on this machine: a client names, the server decides. */
#include "kd-reach.h"

#include "kd-allowed-host.h"
#include "kd-open-beneath.h"
#include "kd-open-device.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct KdReach {
    gboolean is_everything;
    gboolean has_serial_ports;
    gboolean has_loopback;
    GPtrArray *folders; /* char: absolute; each may be absent, or a symbolic link */
    GPtrArray *hosts;   /* KdAllowedHost */
};

static void
free_host(gpointer host)
{
    kd_allowed_host_free(host);
}

/**
 * kd_reach_new:
 *
 * Returns: (transfer full): a reach in which nothing is
 */
KdReach *
kd_reach_new(void)
{
    KdReach *reach = g_new0(KdReach, 1);
    reach->folders = g_ptr_array_new_with_free_func(g_free);
    reach->hosts = g_ptr_array_new_with_free_func(free_host);
    return reach;
}

/**
 * kd_reach_new_everything:
 *
 * Returns: (transfer full): the reach of a user's own command line: any path, any address
 */
KdReach *
kd_reach_new_everything(void)
{
    KdReach *reach = kd_reach_new();
    reach->is_everything = TRUE;
    return reach;
}

/**
 * kd_reach_free:
 * @reach: (transfer full)
 */
void
kd_reach_free(KdReach *reach)
{
    g_ptr_array_unref(reach->folders);
    g_ptr_array_unref(reach->hosts);
    g_free(reach);
}

/* Text only: nothing of the path need exist. */
static char *
build_canonical(const char *path)
{
    g_autofree char *canonical = g_canonicalize_filename(path, NULL);
    const char *start = canonical;
    while (start[0] == '/' && start[1] == '/') {
        start++; /* GLib keeps two of them, Linux sees one */
    }
    return g_strdup(start);
}

/**
 * kd_reach_add_defaults:
 *
 * Adds what a server offers unasked: the folders targets of the system's and of the user's run-time
 * directory, serial ports beneath /dev, and connections to this machine.
 */
void
kd_reach_add_defaults(KdReach *reach)
{
    g_ptr_array_add(reach->folders, g_strdup("/run/kdsrv/targets"));
    /* not g_get_user_runtime_dir(): without the variable that is a cache folder */
    const char *own = g_getenv("XDG_RUNTIME_DIR");
    if (own != NULL && g_path_is_absolute(own)) {
        g_autofree char *folder = g_build_filename(own, "kdsrv", "targets", NULL);
        g_ptr_array_add(reach->folders, build_canonical(folder));
    }
    reach->has_serial_ports = TRUE;
    reach->has_loopback = TRUE;
}

/**
 * kd_reach_add_folder:
 * @folder: need not exist yet; a relative one is taken from where we stand now
 *
 * Allows what is beneath a folder. It is looked up anew each time, so it may be a symbolic link
 * itself.
 *
 * Returns: %FALSE with KD_ERROR_PARAM_INVALID when it is something else than a folder
 */
gboolean
kd_reach_add_folder(KdReach *reach, const char *folder, GError **error)
{
    g_autofree char *canonical = build_canonical(folder);
    if (*folder == '\0' || (g_file_test(canonical, G_FILE_TEST_EXISTS) &&
                            !g_file_test(canonical, G_FILE_TEST_IS_DIR))) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: not a folder",
                    *folder == '\0' ? "(empty)" : canonical);
        return FALSE;
    }
    g_ptr_array_add(reach->folders, g_steal_pointer(&canonical));
    return TRUE;
}

/**
 * kd_reach_add_host:
 * @host_and_port: `HOST`, `HOST:PORT`, `[IPV6]:PORT`; a name or a number
 *
 * Allows connections to a host, on one port or on all.
 *
 * Returns: %FALSE with KD_ERROR_PARAM_INVALID
 */
gboolean
kd_reach_add_host(KdReach *reach, const char *host_and_port, GError **error)
{
    KdAllowedHost *host = kd_allowed_host_new(host_and_port, error);
    if (host == NULL) {
        return FALSE;
    }
    g_ptr_array_add(reach->hosts, host);
    return TRUE;
}

/* The part of a path beneath a folder, %NULL if it is not beneath. Both canonical. */
static const char *
get_rest(const char *folder, const char *path)
{
    size_t len = strlen(folder);
    while (len > 0 && folder[len - 1] == '/') {
        len--;
    }
    gboolean is_beneath = strncmp(folder, path, len) == 0 && path[len] == '/' && path[len + 1] != 0;
    return is_beneath ? path + len + 1 : NULL;
}

/* The innermost allowed folder that a path is beneath, by its name or by where it really is. */
static const char *
find_folder(const KdReach *reach, const char *path, const char **rest)
{
    const char *found = NULL;
    *rest = NULL;
    for (guint i = 0; i < reach->folders->len; i++) {
        const char *folder = reach->folders->pdata[i];
        const char *tail = get_rest(folder, path);
        if (tail == NULL) {
            char *real = realpath(folder, NULL);
            tail = real != NULL ? get_rest(real, path) : NULL;
            free(real);
        }
        if (tail != NULL && (*rest == NULL || tail > *rest)) {
            found = folder;
            *rest = tail;
        }
    }
    return found;
}

static int
open_anything(const char *path, GError **error)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        int code = errno;
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", path,
                    g_strerror(code));
    }
    return fd;
}

static gboolean
check_text(const char *path, GError **error)
{
    for (const char *at = path; *at != '\0'; at++) {
        if (g_ascii_iscntrl(*at)) {
            g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                                "a control character stands in the path");
            return FALSE;
        }
    }
    if (*path != '/' || strlen(path) >= PATH_MAX) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%.255s: %s", path,
                    *path != '/' ? "the path is not absolute" : "the path is too long");
        return FALSE;
    }
    return TRUE;
}

/* The descriptor, or the reason why there is none */
static int
give(int fd, GError **why, GError **error)
{
    if (fd < 0) {
        g_propagate_error(error, g_steal_pointer(why));
    }
    return fd;
}

/**
 * kd_reach_open:
 * @path: absolute
 *
 * Finds the file that a string names, following no symbolic link beneath an allowed folder, and
 * only root's on the way to a serial port. Opens nothing: a device is not touched.
 *
 * Returns: (transfer full): an O_PATH descriptor, or -1: G_IO_ERROR_NOT_FOUND (it may appear yet),
 *    KD_ERROR_POLICY, KD_ERROR_PARAM_INVALID for what is no absolute path
 */
int
kd_reach_open(const KdReach *reach, const char *path, GError **error)
{
    if (!check_text(path, error)) {
        return -1;
    }
    if (reach->is_everything) {
        return open_anything(path, error);
    }
    g_autofree char *canonical = build_canonical(path);
    const char *rest = NULL;
    const char *folder = find_folder(reach, canonical, &rest);
    gboolean is_device = reach->has_serial_ports && get_rest("/dev", canonical) != NULL;
    g_autoptr(GError) why = NULL;
    if (folder != NULL) {
        int fd = kd_open_beneath(folder, rest, &why);
        /* What a folder's rule refuses, a link for example, that of the serial ports may allow. */
        if (fd >= 0 || !is_device || !g_error_matches(why, KD_ERROR, KD_ERROR_POLICY)) {
            return give(fd, &why, error);
        }
    }
    if (is_device) {
        g_autoptr(GError) why_not = NULL;
        int fd = kd_open_device(canonical, &why_not);
        gboolean is_refused = g_error_matches(why_not, KD_ERROR, KD_ERROR_POLICY);
        return give(fd, why != NULL && is_refused ? &why : &why_not, error);
    }
    g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                "%s: not beneath a folder that this server was given (kdsrv --allow-path DIR)",
                path);
    return -1;
}

static gboolean
is_loopback(GInetSocketAddress *address)
{
    g_autoptr(GInetAddress) plain =
        kd_allowed_host_dup_plain(g_inet_socket_address_get_address(address));
    return g_inet_address_get_is_loopback(plain);
}

static gboolean
is_allowed(const KdReach *reach, const char *name, GInetSocketAddress *address)
{
    if (reach->has_loopback && is_loopback(address)) {
        return TRUE;
    }
    for (guint i = 0; i < reach->hosts->len; i++) {
        if (kd_allowed_host_matches(reach->hosts->pdata[i], name, address)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether a name server may hear of a name: not of one that no rule could allow. */
static gboolean
check_name(const KdReach *reach, const char *name, GError **error)
{
    g_autofree char *shown = NULL;

    if (reach->has_loopback && g_ascii_strcasecmp(name, "localhost") == 0) {
        return TRUE;
    }
    for (guint i = 0; i < reach->hosts->len; i++) {
        if (kd_allowed_host_may_be(reach->hosts->pdata[i], name)) {
            return TRUE;
        }
    }
    shown = g_strescape(name, NULL);
    g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                "%s: this server may not dial it (kdsrv --allow-host HOST[:PORT])", shown);
    return FALSE;
}

/**
 * kd_reach_check_address:
 * @name: (nullable): as the string had it
 * @address: (nullable): what it resolved to; %NULL: it is not known yet
 *
 * Decides whether a connection may be made. An address of this machine is fine whatever its name
 * is; another one is allowed by its number, or by the name if that is listed. Without an address:
 * whether the name may be looked up.
 *
 * Returns: %FALSE with KD_ERROR_POLICY
 */
gboolean
kd_reach_check_address(const KdReach *reach, const char *name, GSocketAddress *address,
                       GError **error)
{
    if (reach->is_everything) {
        return TRUE;
    }
    if (address == NULL && name != NULL) {
        return check_name(reach, name, error);
    }
    if (!G_IS_INET_SOCKET_ADDRESS(address)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_POLICY,
                            "only internet addresses may be dialled by a client's string");
        return FALSE;
    }
    GInetSocketAddress *inet = G_INET_SOCKET_ADDRESS(address);
    if (is_allowed(reach, name, inet)) {
        return TRUE;
    }
    g_autofree char *number = g_inet_address_to_string(g_inet_socket_address_get_address(inet));
    g_autofree char *shown = g_strescape(name != NULL ? name : number, NULL);
    g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                "%s: this server may not dial %s port %u (kdsrv --allow-host HOST[:PORT])", shown,
                number, g_inet_socket_address_get_port(inet));
    return FALSE;
}

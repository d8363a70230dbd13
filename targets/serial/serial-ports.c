/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which serial ports there are, and sockets of virtual machines. */
#include "serial-ports.h"

#include "serial-owner-search.h"
#include "serial-plan.h"
#include "serial-udev.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COM_MAX 256u
#define BY_ID   "/dev/serial/by-id/"

/* What a listing is made of: first what is there, then what of it may be named */
typedef struct {
    const KdHost *host;
    char **folders;      /* of sockets */
    GPtrArray *ports;    /* SerialPort */
    GPtrArray *searched; /* SerialSearched, one for each port */
    GPtrArray *sockets;  /* char: paths */
    gboolean is_complete;
} Listing;

static void
listing_free(gpointer user_data)
{
    Listing *listing = user_data;
    g_strfreev(listing->folders);
    g_ptr_array_unref(listing->ports);
    g_ptr_array_unref(listing->searched);
    g_ptr_array_unref(listing->sockets);
    g_free(listing);
}

static void
on_free_port(gpointer port)
{
    serial_port_free(port);
}

static void
on_free_searched(gpointer searched)
{
    serial_searched_free(searched);
}

static Listing *
listing_new(const KdHost *host)
{
    Listing *listing = g_new0(Listing, 1);
    listing->host = host;
    listing->folders = serial_plan_build_targets_folders();
    listing->ports = g_ptr_array_new_with_free_func(on_free_port);
    listing->searched = g_ptr_array_new_with_free_func(on_free_searched);
    listing->sockets = g_ptr_array_new_with_free_func(g_free);
    return listing;
}

/* ---- what is there --------------------------------------------------------------------------- */

/* The node tells more about itself than sysfs does, but may be missing. */
static SerialSearched *
build_searched(const SerialPort *port)
{
    int fd = open(port->node, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    SerialSearched *searched = fd >= 0 ? serial_searched_new(fd) : NULL;
    if (fd >= 0) {
        close(fd);
    }
    if (searched == NULL) {
        searched = g_new0(SerialSearched, 1);
        searched->path = g_strdup(port->node);
    }
    searched->number = port->number;
    return searched;
}

static int
compare_paths(gconstpointer a, gconstpointer b)
{
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

static void
find_sockets(Listing *listing, const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct stat status = {0};
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISSOCK(status.st_mode)) {
            g_ptr_array_add(listing->sockets, g_build_filename(path, entry->d_name, NULL));
        }
    }
    closedir(folder);
}

/* In a thread of GLib's pool: attributes in sysfs are read under locks that a driver may hold for
 * long, and neither sysfs nor /proc has asynchronous reading. */
static void
find_in_thread(GTask *task, gpointer source, gpointer user_data, GCancellable *cancellable)
{
    Listing *listing = user_data;
    (void)source;
    serial_udev_find_ports(listing->ports, cancellable);
    for (guint i = 0; i < listing->ports->len; i++) {
        g_ptr_array_add(listing->searched, build_searched(listing->ports->pdata[i]));
    }
    for (char **folder = listing->folders; *folder != NULL; folder++) {
        find_sockets(listing, *folder);
    }
    g_ptr_array_sort(listing->sockets, compare_paths);
    listing->is_complete = serial_owner_search(listing->searched, cancellable);
    g_task_return_boolean(task, TRUE);
}

/* ---- what may be named ----------------------------------------------------------------------- */

static gboolean
is_allowed(const KdHost *host, const char *path, dev_t number)
{
    struct stat status = {0};
    int fd = host->open_path(host, path, NULL);
    if (fd < 0) {
        return FALSE;
    }
    /* Of adapters that call themselves the same, udev's link leads to one. */
    gboolean is_same = fstat(fd, &status) == 0 &&
                       (number == 0 || (S_ISCHR(status.st_mode) && status.st_rdev == number));
    close(fd);
    return is_same;
}

/* A path as a value of port=. Returns: (nullable): there is no way to write it */
static char *
build_value(const char *path)
{
    if (!g_utf8_validate(path, -1, NULL) || strpbrk(path, "{}") != NULL) {
        return NULL;
    }
    for (const char *at = path; *at != '\0'; at = g_utf8_next_char(at)) {
        if (!g_unichar_isprint(g_utf8_get_char(at))) {
            return NULL;
        }
    }
    return strchr(path, ',') != NULL ? g_strdup_printf("@{%s}", path) : g_strdup(path);
}

/* `com1` for ttyS0, else the name that stays when the adapter is plugged in elsewhere */
static char *
build_trans(const SerialPort *port, const GPtrArray *aliases)
{
    guint64 number = 0;
    const char *best = port->node;
    if (g_str_has_prefix(port->node, "/dev/ttyS") &&
        g_ascii_string_to_unsigned(port->node + strlen("/dev/ttyS"), 10, 0, COM_MAX - 1, &number,
                                   NULL)) {
        return g_strdup_printf("com:port=com%u", (unsigned)number + 1);
    }
    for (guint i = 0; i < aliases->len; i++) {
        if (g_str_has_prefix(aliases->pdata[i], BY_ID)) {
            best = aliases->pdata[i];
            break;
        }
    }
    g_autofree char *value = build_value(best);
    return value != NULL ? g_strdup_printf("com:port=%s", value) : NULL;
}

static void
add_port(GVariantBuilder *list, const Listing *listing, guint index)
{
    const SerialPort *port = listing->ports->pdata[index];
    const SerialSearched *searched = listing->searched->pdata[index];
    g_autoptr(GPtrArray) aliases = g_ptr_array_new();
    if (!is_allowed(listing->host, port->node, port->number)) {
        return;
    }
    for (guint i = 0; i < port->aliases->len; i++) {
        if (is_allowed(listing->host, port->aliases->pdata[i], port->number)) {
            g_ptr_array_add(aliases, port->aliases->pdata[i]);
        }
    }
    g_autofree char *trans = build_trans(port, aliases);
    if (trans == NULL) {
        return;
    }
    GVariantDict dict;
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "trans", "s", trans);
    g_variant_dict_insert(&dict, "name", "s", port->name);
    g_variant_dict_insert(&dict, "device", "s", port->node);
    g_variant_dict_insert_value(
        &dict, "aliases",
        g_variant_new_strv((const char *const *)aliases->pdata, (gssize)aliases->len));
    if (searched->owner != NULL || listing->is_complete) {
        g_variant_dict_insert(&dict, "busy", "b", searched->owner != NULL);
    }
    if (searched->owner != NULL) {
        g_variant_dict_insert(&dict, "holder", "s", searched->owner);
    }
    g_variant_builder_add_value(list, g_variant_dict_end(&dict));
}

/* Who listens at a socket is the target, and who has connected can't be seen: so not busy or free.
 */
static void
add_socket(GVariantBuilder *list, const Listing *listing, const char *path)
{
    g_autofree char *value = build_value(path);
    if (value == NULL || !is_allowed(listing->host, path, 0)) {
        return;
    }
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", value);
    g_autofree char *name = g_path_get_basename(path);
    GVariantDict dict;
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "trans", "s", trans);
    g_variant_dict_insert(&dict, "name", "s", name);
    g_variant_dict_insert(&dict, "device", "s", path);
    g_variant_dict_insert_value(&dict, "aliases", g_variant_new_strv(NULL, 0));
    g_variant_builder_add_value(list, g_variant_dict_end(&dict));
}

static void
on_unref_variant(gpointer list)
{
    g_variant_unref(list);
}

static void
on_found(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    const Listing *listing = g_task_get_task_data(G_TASK(result));
    GError *error = NULL;
    (void)source;
    if (!g_task_propagate_boolean(G_TASK(result), &error)) {
        g_task_return_error(task, error);
        return;
    }
    GVariantBuilder list;
    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < listing->ports->len; i++) {
        add_port(&list, listing, i);
    }
    for (guint i = 0; i < listing->sockets->len; i++) {
        add_socket(&list, listing, listing->sockets->pdata[i]);
    }
    g_task_return_pointer(task, g_variant_ref_sink(g_variant_builder_end(&list)), on_unref_variant);
}

/**
 * serial_ports_list_async:
 * @host: its rules decide what is listed; asked on the caller's thread
 * @filter: a{sv}; nothing is known in it yet
 *
 * Looks for what a com string could name: serial ports that are really there, by the names that
 * stay, and the sockets in the folders of targets. Opens none of them.
 */
void
serial_ports_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_autoptr(GTask) found = g_task_new(NULL, cancellable, on_found, g_object_ref(task));
    (void)filter;
    g_task_set_source_tag(task, serial_ports_list_async);
    g_task_set_task_data(found, listing_new(host), listing_free);
    g_task_run_in_thread(found, find_in_thread);
}

/**
 * serial_ports_list_finish:
 *
 * Returns: (transfer full) (nullable): aa{sv}, as in #KdTarget; %NULL only after a cancellation
 */
GVariant *
serial_ports_list_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

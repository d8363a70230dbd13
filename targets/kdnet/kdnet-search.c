/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the addresses of a target that a string names. */
#include "kdnet-search.h"

#include <string.h>

typedef struct {
    const KdHost *host;
    char *name;
    uint16_t port;
} Search;

static void
search_free(gpointer data)
{
    Search *search = data;

    g_free(search->name);
    g_free(search);
}

/* One more address, if the rules allow it and there is room */
static gboolean
add_place(const Search *search, GSocketAddress *socket_address, KdnetPlaces *places, GError **error)
{
    struct sockaddr_storage native;
    gssize len_bytes = g_socket_address_get_native_size(socket_address);

    if (places->n == G_N_ELEMENTS(places->addresses)) {
        return TRUE;
    }
    if (!search->host->may_dial(search->host, search->name, socket_address, error)) {
        return FALSE;
    }
    if (len_bytes > 0 && (size_t)len_bytes <= sizeof native &&
        g_socket_address_to_native(socket_address, &native, sizeof native, NULL) &&
        kdnet_address_from_native((const struct sockaddr *)&native, (size_t)len_bytes,
                                  &places->addresses[places->n])) {
        places->n++;
    }
    return TRUE;
}

static void
return_places(GTask *task, GPtrArray *addresses)
{
    const Search *search = g_task_get_task_data(task);
    g_autofree KdnetPlaces *places = g_new0(KdnetPlaces, 1);
    GError *error = NULL;

    for (guint i = 0; i < addresses->len; i++) {
        g_clear_error(&error);
        (void)add_place(search, g_ptr_array_index(addresses, i), places, &error);
    }
    if (places->n > 0) {
        g_clear_error(&error);
        g_task_return_pointer(task, g_steal_pointer(&places), g_free);
    } else if (error != NULL) {
        g_prefix_error(&error, "net: ");
        g_task_return_error(task, error);
    } else {
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND,
                                "net: the host %s has no address", search->name);
    }
}

static void
on_looked_up(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    const Search *search = g_task_get_task_data(task);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) addresses = g_ptr_array_new_with_free_func(g_object_unref);
    GList *found = g_resolver_lookup_by_name_with_flags_finish(G_RESOLVER(source), result, &error);

    for (GList *at = found; at != NULL; at = at->next) {
        g_ptr_array_add(addresses, g_inet_socket_address_new(at->data, search->port));
    }
    g_resolver_free_addresses(found);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (addresses->len == 0) {
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND,
                                "net: cannot find the host %s: %s", search->name,
                                error != NULL ? error->message : "it has no address");
        return;
    }
    return_places(task, addresses);
}

/* What an address, with or without brackets and scope, says; NULL for a name */
static GSocketAddress *
parse_literal(const char *name, uint16_t port)
{
    size_t len = strlen(name);
    g_autofree char *bare = len > 2 && name[0] == '[' && name[len - 1] == ']'
                                ? g_strndup(name + 1, len - 2)
                                : g_strdup(name);

    return g_inet_socket_address_new_from_string(bare, port);
}

static void
look_up(GTask *task)
{
    const Search *search = g_task_get_task_data(task);
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    GError *error = NULL;

    if (!search->host->may_dial(search->host, search->name, NULL, &error)) {
        g_prefix_error(&error, "net: ");
        g_task_return_error(task, error);
        return;
    }
    g_resolver_lookup_by_name_with_flags_async(
        resolver, search->name, G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT, g_task_get_cancellable(task),
        on_looked_up, g_object_ref(task));
}

/**
 * kdnet_search_async:
 * @name: an address, with or without brackets, or a name
 * @port: of the target
 *
 * Looks a name up and asks the host's rules about each address. Errors of kdnet_search_finish()
 * that a caller branches on: %KD_ERROR_POLICY, %G_IO_ERROR_HOST_NOT_FOUND.
 */
void
kdnet_search_async(const KdHost *host, const char *name, uint16_t port, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    Search *search = g_new0(Search, 1);

    search->host = host;
    search->name = g_strdup(name);
    search->port = port;
    g_task_set_source_tag(task, kdnet_search_async);
    g_task_set_task_data(task, search, search_free);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    GSocketAddress *literal = parse_literal(name, port);
    if (literal == NULL) {
        look_up(task);
        return;
    }
    g_autoptr(GPtrArray) only = g_ptr_array_new_with_free_func(g_object_unref);
    g_ptr_array_add(only, literal);
    return_places(task, only);
}

/**
 * kdnet_search_finish:
 *
 * Returns: (transfer full): at least one address; free with g_free()
 */
KdnetPlaces *
kdnet_search_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which debug targets there are on this machine's FireWire buses. */
#include "fw-search.h"

#include "fw-folder.h"

#include <kdsrv-support/kd-source.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SYS_FOLDER "/sys/bus/firewire/devices"

/* A bus has 63 nodes. */
#define MAX_NODES 256u

/* Nodes come and go with an event; that a target has set itself up comes without one. So nodes with
 * a target in their ROM are asked often, and where there is none it is enough to look again. */
#define NEAR_SCAN_MS 1000u
#define FAR_SCAN_MS  5000u
/* udev sets the rights of a node a moment after it has appeared. */
#define EVENT_SCAN_MS 20u
/* The kernel answers within 2 s. */
#define ANSWER_LIMIT_US (3000 * G_GINT64_CONSTANT(1000))

typedef struct {
    FwSearch *search;
    FwNode *node;
    gint64 asked_us;   /* 0: not asked */
    gboolean is_there; /* in the scan under way */
} Sought;

struct FwSearch {
    const KdHost *host;
    FwSearchFuncs funcs;
    void *user;
    GPtrArray *sought; /* Sought */
    guint n_nodes;     /* also those that could not be opened */
    char *denied; /* (nullable): the last one that has a debug target and is not ours to open */
    GSource *timer;
};

static void start_timer(FwSearch *search, guint wait_ms);

static void
sought_free(gpointer user_data)
{
    Sought *sought = user_data;
    fw_node_free(sought->node);
    g_free(sought);
}

/* ---- asking nodes ---------------------------------------------------------------------------- */

static void
ask(Sought *sought)
{
    const FwRom *rom = fw_node_get_rom(sought->node);
    gint64 now_us = g_get_monotonic_time();
    if (rom == NULL || (sought->asked_us != 0 && now_us - sought->asked_us < ANSWER_LIMIT_US)) {
        return;
    }
    FwRequest request = {.offset = rom->block_offset, .len_bytes = FW_BLOCK_BYTES};
    sought->asked_us = fw_node_request(sought->node, &request) ? now_us : 0;
}

static void
on_answered(FwNode *node, FwOutcome outcome, const uint8_t *bytes, size_t len_bytes, void *user)
{
    Sought *sought = user;
    FwSearch *search = sought->search;
    FwBlock block;
    g_autoptr(GError) error = NULL;
    sought->asked_us = 0;
    if (outcome != FW_DONE || len_bytes != FW_BLOCK_BYTES) {
        return;
    }
    if (!fw_block_parse(bytes, &block, &error)) {
        g_debug("%s: %s", fw_node_get_path(node), error->message);
        return;
    }
    search->funcs.seen(search, node, &block, search->user);
}

static void
on_reset(FwNode *node, gboolean is_unsure, void *user)
{
    Sought *sought = user;
    (void)node;
    (void)is_unsure;
    sought->asked_us = 0;
    ask(sought);
}

static void
on_gone(FwNode *node, void *user)
{
    Sought *sought = user;
    (void)node;
    g_ptr_array_remove(sought->search->sought, sought);
}

static const FwNodeFuncs node_funcs = {
    .answered = on_answered,
    .reset = on_reset,
    .gone = on_gone,
};

/* ---- looking for nodes ----------------------------------------------------------------------- */

static size_t
read_attribute(const char *name, const char *attribute, void *bytes, size_t len_bytes)
{
    g_autofree char *path = g_build_filename(SYS_FOLDER, name, attribute, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, bytes, len_bytes) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return len > 0 ? (size_t)len : 0;
}

/* What the kernel has in memory, and shows to everybody */
static gboolean
has_target_rom(const char *name)
{
    uint32_t rom[FW_ROM_MAX_QUADLETS] = {0};
    char is_local = '0';
    FwRom found;
    (void)read_attribute(name, "is_local", &is_local, 1);
    size_t len = read_attribute(name, "config_rom", rom, sizeof rom);
    return is_local != '1' && fw_rom_parse(rom, len / 4, &found, NULL);
}

static Sought *
find_sought(const FwSearch *search, const char *path)
{
    for (guint i = 0; i < search->sought->len; i++) {
        Sought *sought = search->sought->pdata[i];
        if (strcmp(fw_node_get_path(sought->node), path) == 0) {
            return sought;
        }
    }
    return NULL;
}

static void
take_name(FwSearch *search, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(FW_FOLDER, name, NULL);
    Sought *sought = find_sought(search, path);
    if (sought == NULL) {
        FwNode *node = fw_node_open(search->host, path, &error);
        if (node == NULL) {
            g_debug("%s", error->message);
            if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) &&
                has_target_rom(name)) {
                g_free(search->denied);
                search->denied = g_steal_pointer(&path);
            }
            return;
        }
        sought = g_new0(Sought, 1);
        sought->search = search;
        sought->node = node;
        fw_node_set_funcs(node, &node_funcs, sought);
        g_ptr_array_add(search->sought, sought);
    }
    sought->is_there = TRUE;
    ask(sought);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
build_names(void)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *folder = g_dir_open(FW_FOLDER, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (fw_folder_is_node(name) && names->len < MAX_NODES) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    if (folder != NULL) {
        g_dir_close(folder);
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

static void
scan(FwSearch *search)
{
    g_autoptr(GPtrArray) names = build_names();
    search->n_nodes = names->len;
    g_clear_pointer(&search->denied, g_free);
    for (guint i = 0; i < search->sought->len; i++) {
        ((Sought *)search->sought->pdata[i])->is_there = FALSE;
    }
    for (guint i = 0; i < names->len; i++) {
        take_name(search, names->pdata[i]);
    }
    for (guint i = search->sought->len; i > 0; i--) {
        if (!((Sought *)search->sought->pdata[i - 1])->is_there) {
            g_ptr_array_remove_index(search->sought, i - 1);
        }
    }
    start_timer(search, fw_search_has_target(search) ? NEAR_SCAN_MS : FAR_SCAN_MS);
}

static gboolean
on_timer(gpointer user_data)
{
    FwSearch *search = user_data;
    scan(search);
    if (search->funcs.scanned != NULL) {
        search->funcs.scanned(search, search->user);
    }
    return G_SOURCE_REMOVE;
}

static void
start_timer(FwSearch *search, guint wait_ms)
{
    kd_source_start_timer(&search->timer, wait_ms, on_timer, search);
}

static void
on_folder_changed(void *user)
{
    start_timer(user, EVENT_SCAN_MS);
}

/* ---- from outside ---------------------------------------------------------------------------- */

/**
 * fw_search_new:
 * @wait_ms: before the first look
 * @funcs: copied
 *
 * Starts to look for nodes, and asks those with a debug target in their ROM for its block. It goes
 * on until it is freed: nodes may come, and come to be targets.
 *
 * Returns: (transfer full): without @wait_ms the nodes of this machine have been looked through
 */
FwSearch *
fw_search_new(const KdHost *host, guint wait_ms, const FwSearchFuncs *funcs, void *user)
{
    FwSearch *search = g_new0(FwSearch, 1);
    search->host = host;
    search->funcs = *funcs;
    search->user = user;
    search->sought = g_ptr_array_new_with_free_func(sought_free);
    fw_folder_add(host, on_folder_changed, search);
    if (wait_ms > 0) {
        start_timer(search, wait_ms);
    } else {
        scan(search);
    }
    return search;
}

/**
 * fw_search_free:
 * @search: (transfer full) (nullable)
 *
 * Ends it, and closes its nodes.
 */
void
fw_search_free(FwSearch *search)
{
    if (search == NULL) {
        return;
    }
    kd_source_clear(&search->timer);
    fw_folder_remove(search);
    g_ptr_array_unref(search->sought);
    g_free(search->denied);
    g_free(search);
}

/**
 * fw_search_take:
 * @node: one that was seen
 *
 * Takes a node out of the search.
 *
 * Returns: (transfer full): it, with nobody to tell
 */
FwNode *
fw_search_take(FwSearch *search, FwNode *node)
{
    Sought *sought = find_sought(search, fw_node_get_path(node));
    g_return_val_if_fail(sought != NULL, NULL);
    sought->node = NULL;
    fw_node_set_funcs(node, NULL, NULL);
    g_ptr_array_remove(search->sought, sought);
    return node;
}

/**
 * fw_search_get_n_nodes:
 *
 * Returns: how many nodes there are, with or without a target; 0: there is no FireWire controller
 */
guint
fw_search_get_n_nodes(const FwSearch *search)
{
    return search->n_nodes;
}

/**
 * fw_search_get_n_asked:
 *
 * Returns: how many nodes have not answered yet
 */
guint
fw_search_get_n_asked(const FwSearch *search)
{
    guint n = 0;
    for (guint i = 0; i < search->sought->len; i++) {
        n += ((const Sought *)search->sought->pdata[i])->asked_us != 0 ? 1 : 0;
    }
    return n;
}

/**
 * fw_search_has_target:
 *
 * Returns: whether a node could be opened and has a debug target in its ROM
 */
gboolean
fw_search_has_target(const FwSearch *search)
{
    for (guint i = 0; i < search->sought->len; i++) {
        if (fw_node_get_rom(((const Sought *)search->sought->pdata[i])->node) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * fw_search_get_denied:
 *
 * Returns: (transfer none) (nullable): a node that has a debug target and is not ours to open
 */
const char *
fw_search_get_denied(const FwSearch *search)
{
    return search->denied;
}

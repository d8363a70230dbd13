/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FireWire bus of which nothing is there, by umockdev: /dev/fwN, and what becomes of requests. */
#include "kd-fw-bus.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/firewire-cdev.h>
#include <linux/firewire-constants.h>
#include <string.h>
#include <sys/stat.h>
#include <umockdev.h>
#include <unistd.h>

#define MAX_ROM   256u
#define MAX_BYTES 4096u
#define LIMIT_US  (20 * G_USEC_PER_SEC)

/* The file is a pipe with one byte for each event that waits: so poll() is right, which it would
 * not be on a plain file. */
struct KdFwNode {
    KdFwBus *bus;
    char *path; /* /dev/fwN */
    char *real; /* the pipe */
    int pipe;
    UMockdevIoctlBase *handler;
    uint32_t rom[MAX_ROM];
    guint n_rom;
    int speed;
    gboolean is_gone;
    const KdFwMemory *memory;
    void *user;
    GPtrArray *clients; /* Client */
};

/* One opening of a node */
typedef struct {
    KdFwNode *node;
    UMockdevIoctlClient *client;
    GQueue events;      /* GBytes */
    gboolean has_asked; /* for information: is told of bus resets */
    guint64 reset_closure;
} Client;

/* A request that is held */
typedef struct {
    Client *client;
    struct fw_cdev_send_request request;
    GBytes *written;
} Held;

struct KdFwBus {
    UMockdevTestbed *testbed;
    GMutex mutex;
    GHashTable *nodes; /* number -> KdFwNode */
    GPtrArray *gone;   /* KdFwNode: unplugged, and maybe still open */
    GPtrArray *held;   /* Held */
    KdFwFate fate;
    void *fate_user;
    uint32_t generation;
    guint64 n_requests;
};

/* ---- events ---------------------------------------------------------------------------------- */

static void
ring(KdFwNode *node)
{
    g_assert_cmpint(write(node->pipe, "e", 1), ==, 1);
}

static void
push(Client *client, const void *bytes, size_t len)
{
    g_queue_push_tail(&client->events, g_bytes_new(bytes, len));
    ring(client->node);
}

/* As the kernel lays it out: what follows is in the struct's padding first. */
static void
respond(Client *client, guint64 closure, guint rcode, const uint8_t *bytes, size_t len)
{
    uint8_t event[sizeof(struct fw_cdev_event_response) + MAX_BYTES] = {0};
    struct fw_cdev_event_response *response = (void *)event;
    response->closure = closure;
    response->type = FW_CDEV_EVENT_RESPONSE;
    response->rcode = rcode;
    response->length = (uint32_t)len;
    memcpy(event + offsetof(struct fw_cdev_event_response, data), bytes, len);
    push(client, event, sizeof *response + len);
}

static void
fill_reset(const KdFwBus *bus, const Client *client, struct fw_cdev_event_bus_reset *reset)
{
    *reset = (struct fw_cdev_event_bus_reset){.closure = client->reset_closure,
                                              .type = FW_CDEV_EVENT_BUS_RESET,
                                              .node_id = 0xFFC1,
                                              .local_node_id = 0xFFC0,
                                              .generation = bus->generation};
}

static void
tell_reset(KdFwBus *bus, KdFwNode *node)
{
    for (guint i = 0; i < node->clients->len; i++) {
        Client *client = node->clients->pdata[i];
        struct fw_cdev_event_bus_reset reset;
        fill_reset(bus, client, &reset);
        if (client->has_asked)
            push(client, &reset, sizeof reset);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static gboolean
is_write(uint32_t tcode)
{
    return tcode == TCODE_WRITE_QUADLET_REQUEST || tcode == TCODE_WRITE_BLOCK_REQUEST;
}

static guint
carry_out(KdFwNode *node, const struct fw_cdev_send_request *request, GBytes *written,
          uint8_t *bytes)
{
    gboolean is_there =
        is_write(request->tcode)
            ? node->memory->write(request->offset, g_bytes_get_data(written, NULL), request->length,
                                  node->user)
            : node->memory->read(request->offset, bytes, request->length, node->user);
    return is_there ? RCODE_COMPLETE : RCODE_ADDRESS_ERROR;
}

static void
answer(Client *client, const struct fw_cdev_send_request *request, GBytes *written, guint fate)
{
    uint8_t bytes[MAX_BYTES] = {0};
    KdFwNode *node = client->node;
    guint rcode = fate & 0xFF;
    size_t len = is_write(request->tcode) ? 0 : request->length;
    if (request->generation != node->bus->generation)
        rcode = RCODE_GENERATION;
    if (rcode == RCODE_COMPLETE)
        rcode = carry_out(node, request, written, bytes);
    if ((fate & KD_FW_SWALLOW) != 0)
        return;
    if ((fate & KD_FW_LOSE) != 0)
        rcode = RCODE_CANCELLED;
    if ((fate & KD_FW_SHORTEN) != 0)
        len /= 2;
    respond(client, request->closure, rcode, bytes, rcode == RCODE_COMPLETE ? len : 0);
}

static int
send_request(Client *client, UMockdevIoctlData *arg)
{
    KdFwBus *bus = client->node->bus;
    UMockdevIoctlData *given =
        umockdev_ioctl_data_resolve(arg, 0, sizeof(struct fw_cdev_send_request), NULL);
    struct fw_cdev_send_request request;
    GBytes *written = NULL;
    memcpy(&request, given->data, sizeof request);
    bus->n_requests++;
    /* what the kernel refuses */
    if (request.length > 512u << client->node->speed || request.length == 0)
        return EIO;
    if (is_write(request.tcode)) {
        UMockdevIoctlData *data = umockdev_ioctl_data_resolve(
            given, offsetof(struct fw_cdev_send_request, data), request.length, NULL);
        written = g_bytes_new(data->data, request.length);
        umockdev_ioctl_data_unref(data);
    }
    umockdev_ioctl_data_unref(given);
    guint fate = bus->fate != NULL
                     ? bus->fate(request.tcode, request.offset, request.length, bus->fate_user)
                     : 0;
    if ((fate & KD_FW_HOLD) != 0) {
        Held *held = g_new0(Held, 1);
        *held = (Held){.client = client, .request = request, .written = written};
        g_ptr_array_add(bus->held, held);
        return 0;
    }
    if ((fate & KD_FW_REFUSE) == 0)
        answer(client, &request, written, fate);
    g_clear_pointer(&written, g_bytes_unref);
    return (fate & KD_FW_REFUSE) != 0 ? EIO : 0;
}

static void
get_info(Client *client, UMockdevIoctlData *arg)
{
    const KdFwNode *node = client->node;
    UMockdevIoctlData *given =
        umockdev_ioctl_data_resolve(arg, 0, sizeof(struct fw_cdev_get_info), NULL);
    struct fw_cdev_get_info *info = (void *)given->data;
    uint32_t wanted = MIN(info->rom_length, node->n_rom * 4);
    info->version = 5;
    if (info->rom != 0 && wanted > 0) {
        UMockdevIoctlData *rom = umockdev_ioctl_data_resolve(
            given, offsetof(struct fw_cdev_get_info, rom), wanted, NULL);
        umockdev_ioctl_data_update(rom, 0, (guint8 *)node->rom, (int)wanted);
        umockdev_ioctl_data_unref(rom);
    }
    client->has_asked = TRUE;
    client->reset_closure = info->bus_reset_closure;
    if (info->bus_reset != 0) {
        struct fw_cdev_event_bus_reset reset;
        UMockdevIoctlData *data = umockdev_ioctl_data_resolve(
            given, offsetof(struct fw_cdev_get_info, bus_reset), sizeof reset, NULL);
        fill_reset(node->bus, client, &reset);
        umockdev_ioctl_data_update(data, 0, (guint8 *)&reset, sizeof reset);
        umockdev_ioctl_data_unref(data);
    }
    info->rom_length = node->n_rom * 4;
    umockdev_ioctl_data_unref(given);
}

/* ---- the device, in umockdev's thread -------------------------------------------------------- */

static Client *
find_client(KdFwNode *node, UMockdevIoctlClient *mock)
{
    for (guint i = 0; i < node->clients->len; i++) {
        Client *known = node->clients->pdata[i];
        if (known->client == mock)
            return known;
    }
    return NULL;
}

/* Its descriptor was closed. */
static void
on_vanished(gpointer user, GObject *mock)
{
    KdFwNode *node = user;
    KdFwBus *bus = node->bus;
    char byte;
    g_mutex_lock(&bus->mutex);
    Client *client = find_client(node, (UMockdevIoctlClient *)(void *)mock);
    for (guint n = client->events.length; n > 0; n--)
        g_assert_cmpint(read(node->pipe, &byte, 1), ==, 1);
    for (guint i = bus->held->len; i > 0; i--) {
        if (((Held *)bus->held->pdata[i - 1])->client == client)
            g_ptr_array_remove_index(bus->held, i - 1);
    }
    g_ptr_array_remove(node->clients, client);
    g_mutex_unlock(&bus->mutex);
}

static Client *
get_client(KdFwNode *node, UMockdevIoctlClient *mock)
{
    Client *client = find_client(node, mock);
    if (client == NULL) {
        client = g_new0(Client, 1);
        *client = (Client){.node = node, .client = mock};
        g_queue_init(&client->events);
        g_ptr_array_add(node->clients, client);
        g_object_weak_ref(G_OBJECT(mock), on_vanished, node);
    }
    return client;
}

static void
client_free(gpointer user)
{
    Client *client = user;
    g_queue_clear_full(&client->events, (GDestroyNotify)g_bytes_unref);
    g_free(client);
}

static gboolean
on_ioctl(UMockdevIoctlBase *handler, UMockdevIoctlClient *mock, gpointer user)
{
    KdFwNode *node = user;
    UMockdevIoctlData *arg = umockdev_ioctl_client_get_arg(mock);
    long result = 0;
    int error = 0;
    (void)handler;
    g_mutex_lock(&node->bus->mutex);
    Client *client = get_client(node, mock);
    if (node->is_gone) {
        error = ENODEV;
    } else {
        switch (umockdev_ioctl_client_get_request(mock)) {
        case FW_CDEV_IOC_GET_INFO:
            get_info(client, arg);
            break;
        case FW_CDEV_IOC_SEND_REQUEST:
            error = send_request(client, arg);
            break;
        case FW_CDEV_IOC_GET_SPEED:
            result = node->speed;
            break;
        default:
            error = ENOTTY;
        }
    }
    g_mutex_unlock(&node->bus->mutex);
    umockdev_ioctl_client_complete(mock, error != 0 ? -1 : result, error);
    return TRUE;
}

static gboolean
on_read(UMockdevIoctlBase *handler, UMockdevIoctlClient *mock, gpointer user)
{
    KdFwNode *node = user;
    char byte;
    long result = -1;
    int error = node->is_gone ? ENODEV : EAGAIN;
    UMockdevIoctlData *arg = umockdev_ioctl_client_get_arg(mock);
    (void)handler;
    g_mutex_lock(&node->bus->mutex);
    Client *client = get_client(node, mock);
    g_autoptr(GBytes) event = g_queue_pop_head(&client->events);
    if (event != NULL) {
        size_t len = 0;
        const void *bytes = g_bytes_get_data(event, &len);
        len = MIN(len, (size_t)arg->data_len);
        memcpy(arg->data, bytes, len);
        g_assert_cmpint(read(node->pipe, &byte, 1), ==, 1);
        result = (long)len;
        error = 0;
    }
    g_mutex_unlock(&node->bus->mutex);
    umockdev_ioctl_client_complete(mock, result, error);
    return TRUE;
}

/* ---- the bus --------------------------------------------------------------------------------- */

static void
held_free(gpointer user)
{
    Held *held = user;
    g_clear_pointer(&held->written, g_bytes_unref);
    g_free(held);
}

static void
node_free(gpointer user)
{
    KdFwNode *node = user;
    umockdev_testbed_detach_ioctl(node->bus->testbed, node->path, NULL);
    g_object_unref(node->handler);
    g_unlink(node->real);
    close(node->pipe);
    g_ptr_array_unref(node->clients);
    g_free(node->path);
    g_free(node->real);
    g_free(node);
}

/**
 * kd_fw_bus_new:
 *
 * Makes a bus without nodes, and a /dev without anything else.
 */
KdFwBus *
kd_fw_bus_new(void)
{
    KdFwBus *bus = g_new0(KdFwBus, 1);
    bus->testbed = umockdev_testbed_new();
    g_mutex_init(&bus->mutex);
    bus->nodes = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, node_free);
    bus->gone = g_ptr_array_new_with_free_func(node_free);
    bus->held = g_ptr_array_new_with_free_func(held_free);
    bus->generation = 3;
    g_autofree char *root = umockdev_testbed_get_root_dir(bus->testbed);
    g_autofree char *dev = g_build_filename(root, "dev", NULL);
    g_assert_cmpint(g_mkdir_with_parents(dev, 0755), ==, 0);
    g_assert_cmpint(g_chmod(root, 0755), ==, 0);
    return bus;
}

/**
 * kd_fw_bus_free:
 *
 * Removes it all, after the last descriptor that leads to a node was closed.
 */
void
kd_fw_bus_free(KdFwBus *bus)
{
    gint64 limit_us = g_get_monotonic_time() + LIMIT_US;
    kd_fw_bus_release(bus);
    while (kd_fw_bus_get_n_open(bus) > 0) {
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, limit_us);
    }
    g_hash_table_unref(bus->nodes);
    g_ptr_array_unref(bus->gone);
    g_ptr_array_unref(bus->held);
    g_object_unref(bus->testbed);
    g_mutex_clear(&bus->mutex);
    g_free(bus);
}

/**
 * kd_fw_bus_lock:
 *
 * Keeps requests from being carried out, so that memory can be looked at.
 */
void
kd_fw_bus_lock(KdFwBus *bus)
{
    g_mutex_lock(&bus->mutex);
}

/**
 * kd_fw_bus_unlock:
 *
 * Lets them.
 */
void
kd_fw_bus_unlock(KdFwBus *bus)
{
    g_mutex_unlock(&bus->mutex);
}

/**
 * kd_fw_bus_set_fate:
 * @fate: (nullable): asked for each request; %NULL: all are done
 *
 * Says what becomes of requests.
 */
void
kd_fw_bus_set_fate(KdFwBus *bus, KdFwFate fate, void *user)
{
    g_mutex_lock(&bus->mutex);
    bus->fate = fate;
    bus->fate_user = user;
    g_mutex_unlock(&bus->mutex);
}

/**
 * kd_fw_bus_reset_silently:
 *
 * A bus reset of which the kernel has not told yet.
 */
void
kd_fw_bus_reset_silently(KdFwBus *bus)
{
    g_mutex_lock(&bus->mutex);
    bus->generation++;
    g_mutex_unlock(&bus->mutex);
}

/**
 * kd_fw_bus_reset:
 *
 * A bus reset.
 */
void
kd_fw_bus_reset(KdFwBus *bus)
{
    GHashTableIter iter;
    gpointer node;
    g_mutex_lock(&bus->mutex);
    bus->generation++;
    g_hash_table_iter_init(&iter, bus->nodes);
    while (g_hash_table_iter_next(&iter, NULL, &node))
        tell_reset(bus, node);
    g_mutex_unlock(&bus->mutex);
}

/**
 * kd_fw_bus_release:
 *
 * Carries out what was held.
 */
void
kd_fw_bus_release(KdFwBus *bus)
{
    g_mutex_lock(&bus->mutex);
    for (guint i = 0; i < bus->held->len; i++) {
        const Held *held = bus->held->pdata[i];
        answer(held->client, &held->request, held->written, 0);
    }
    g_ptr_array_set_size(bus->held, 0);
    g_mutex_unlock(&bus->mutex);
}

/**
 * kd_fw_bus_get_n_requests:
 *
 * Returns: how many requests there were
 */
guint64
kd_fw_bus_get_n_requests(KdFwBus *bus)
{
    g_mutex_lock(&bus->mutex);
    guint64 n = bus->n_requests;
    g_mutex_unlock(&bus->mutex);
    return n;
}

/**
 * kd_fw_bus_get_n_open:
 *
 * Returns: how many descriptors lead to its nodes
 */
guint
kd_fw_bus_get_n_open(KdFwBus *bus)
{
    GHashTableIter iter;
    gpointer node;
    guint n = 0;
    g_mutex_lock(&bus->mutex);
    g_hash_table_iter_init(&iter, bus->nodes);
    while (g_hash_table_iter_next(&iter, NULL, &node))
        n += ((KdFwNode *)node)->clients->len;
    for (guint i = 0; i < bus->gone->len; i++)
        n += ((KdFwNode *)bus->gone->pdata[i])->clients->len;
    g_mutex_unlock(&bus->mutex);
    return n;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static KdFwNode *
get_node(KdFwBus *bus, guint number)
{
    KdFwNode *node = g_hash_table_lookup(bus->nodes, GUINT_TO_POINTER(number));
    g_assert_nonnull(node);
    return node;
}

static void
show_rom(KdFwNode *node, guint number)
{
    g_autofree char *device = g_strdup_printf("/sys/devices/kdfw/fw%u", number);
    umockdev_testbed_set_attribute_binary(node->bus->testbed, device, "config_rom",
                                          (guint8 *)node->rom, (int)(node->n_rom * 4));
}

/* The pipe appears under a name of its own, and then at once under the node's. */
static void
make_pipe(KdFwNode *node)
{
    g_autofree char *before = g_strconcat(node->real, ".new", NULL);
    g_assert_cmpint(mkfifo(before, 0600), ==, 0);
    node->pipe = g_open(before, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
    g_assert_cmpint(node->pipe, >=, 0);
    g_assert_cmpint(g_rename(before, node->real), ==, 0);
}

/**
 * kd_fw_bus_plug:
 * @number: of /dev/fwN
 * @rom: quadlets in the processor's order; copied
 * @memory: kept
 *
 * Plugs a node in, at S400; a bus reset is the caller's to make.
 */
void
kd_fw_bus_plug(KdFwBus *bus, guint number, const uint32_t *rom, guint n_rom,
               const KdFwMemory *memory, void *user)
{
    g_autoptr(GError) error = NULL;
    KdFwNode *node = g_new0(KdFwNode, 1);
    g_autofree char *root = umockdev_testbed_get_root_dir(bus->testbed);
    g_assert_cmpuint(n_rom, <=, MAX_ROM);
    node->bus = bus;
    node->path = g_strdup_printf("/dev/fw%u", number);
    node->real = g_build_filename(root, node->path, NULL);
    memcpy(node->rom, rom, n_rom * 4);
    node->n_rom = n_rom;
    node->speed = SCODE_400;
    node->memory = memory;
    node->user = user;
    node->clients = g_ptr_array_new_with_free_func(client_free);
    g_autofree char *text = g_strdup_printf(
        "P: /devices/kdfw/fw%u\nN: fw%u\nE: SUBSYSTEM=firewire\nE: DEVNAME=/dev/fw%u\n"
        "E: MAJOR=245\nE: MINOR=%u\nA: is_local=0\\n\n",
        number, number, number, number);
    g_assert_true(umockdev_testbed_add_from_string(bus->testbed, text, &error));
    g_assert_no_error(error);
    g_unlink(node->real);
    node->handler = umockdev_ioctl_base_new();
    g_signal_connect(node->handler, "handle-ioctl", G_CALLBACK(on_ioctl), node);
    g_signal_connect(node->handler, "handle-read", G_CALLBACK(on_read), node);
    g_assert_true(umockdev_testbed_attach_ioctl(bus->testbed, node->path, node->handler, &error));
    g_assert_no_error(error);
    show_rom(node, number);
    g_mutex_lock(&bus->mutex);
    g_hash_table_insert(bus->nodes, GUINT_TO_POINTER(number), node);
    g_mutex_unlock(&bus->mutex);
    make_pipe(node);
}

/**
 * kd_fw_bus_unplug:
 *
 * Takes a node away, as the kernel does two seconds after it has gone. Its number is used up.
 */
void
kd_fw_bus_unplug(KdFwBus *bus, guint number)
{
    KdFwNode *node = get_node(bus, number);
    g_autofree char *device = g_strdup_printf("/sys/devices/kdfw/fw%u", number);
    g_mutex_lock(&bus->mutex);
    node->is_gone = TRUE;
    g_hash_table_steal(bus->nodes, GUINT_TO_POINTER(number));
    g_ptr_array_add(bus->gone, node);
    ring(node);
    g_mutex_unlock(&bus->mutex);
    g_unlink(node->real);
    umockdev_testbed_remove_device(bus->testbed, device);
}

/**
 * kd_fw_bus_set_rom:
 *
 * Changes a node's ROM; a bus reset is the caller's to make.
 */
void
kd_fw_bus_set_rom(KdFwBus *bus, guint number, const uint32_t *rom, guint n_rom)
{
    KdFwNode *node = get_node(bus, number);
    g_mutex_lock(&bus->mutex);
    memcpy(node->rom, rom, n_rom * 4);
    node->n_rom = n_rom;
    g_mutex_unlock(&bus->mutex);
    show_rom(node, number);
}

/**
 * kd_fw_bus_set_speed:
 * @speed: SCODE_100 and so on
 *
 * Says how fast a node is.
 */
void
kd_fw_bus_set_speed(KdFwBus *bus, guint number, int speed)
{
    g_mutex_lock(&bus->mutex);
    get_node(bus, number)->speed = speed;
    g_mutex_unlock(&bus->mutex);
}

/**
 * kd_fw_bus_set_denied:
 *
 * Lets nobody open a node, or its owner again. Root may all the same, unless it has laid that right
 * down.
 */
void
kd_fw_bus_set_denied(KdFwBus *bus, guint number, gboolean is_denied)
{
    g_assert_cmpint(g_chmod(get_node(bus, number)->real, is_denied ? 0 : 0600), ==, 0);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One node of a FireWire bus, by the kernel's character device. */
#include "fw-node.h"

#include "fw-closing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/firewire-cdev.h>
#include <linux/firewire-constants.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The version of the kernel's interface that is known here: Linux 3.4; what is used of it is older
 * than 2.6.30 */
#define CDEV_VERSION 5u

/* What no request has, for events of bus resets */
#define RESET_CLOSURE 0u

/* An event with the most that was asked for */
typedef union {
    struct fw_cdev_event_common common;
    struct fw_cdev_event_response response;
    uint8_t bytes[sizeof(struct fw_cdev_event_response) + FW_CHUNK_MAX_BYTES];
} Event;

struct FwNode {
    const KdHost *host;
    char *path;
    int fd;
    KdWatch *watch;
    FwNodeFuncs funcs;
    void *user;
    FwRom rom;
    gboolean has_rom; /* of a debug target */
    uint32_t generation;
    uint32_t speed_bytes;  /* most of one request at this speed */
    uint64_t last_closure; /* grows with each request: late answers have another */
    uint64_t closure;      /* of the request whose answer is awaited; RESET_CLOSURE: none */
    uint32_t len_bytes;    /* that were asked for */
    gboolean is_write;
    guint n_unanswered; /* requests that the kernel has not done with */
};

static void on_ready(void *user, uint32_t ready);

/* S100 carries 512 bytes, and each step twice as many (IEEE 1394-1995, 6.2.2.3). */
static uint32_t
get_speed_bytes(int fd)
{
    int speed = ioctl(fd, FW_CDEV_IOC_GET_SPEED);
    return speed < SCODE_100 || speed > SCODE_400 ? FW_CHUNK_MIN_BYTES
                                                  : FW_CHUNK_MIN_BYTES << speed;
}

/**
 * fw_node_refresh:
 *
 * Asks the kernel for what it knows of the node, which does not wait for the bus.
 *
 * Returns: %FALSE with errno set: it knows none any more
 */
gboolean
fw_node_refresh(FwNode *node)
{
    uint32_t rom[FW_ROM_MAX_QUADLETS] = {0};
    struct fw_cdev_event_bus_reset reset = {0};
    struct fw_cdev_get_info info = {.version = CDEV_VERSION,
                                    .rom_length = sizeof rom,
                                    .rom = (uintptr_t)rom,
                                    .bus_reset = (uintptr_t)&reset,
                                    .bus_reset_closure = RESET_CLOSURE};
    if (ioctl(node->fd, FW_CDEV_IOC_GET_INFO, &info) != 0) {
        return FALSE;
    }
    node->generation = reset.generation;
    node->speed_bytes = get_speed_bytes(node->fd);
    /* A card's own node is this machine, whatever it says of itself. */
    node->has_rom = reset.node_id != reset.local_node_id &&
                    fw_rom_parse(rom, MIN(info.rom_length, sizeof rom) / 4, &node->rom, NULL);
    return TRUE;
}

/**
 * fw_node_open:
 * @path: /dev/fwN
 * @error: %G_IO_ERROR_PERMISSION_DENIED: it is there, and is not ours to open
 *
 * Opens a node. Nothing is reported before fw_node_set_funcs().
 *
 * Returns: (transfer full) (nullable)
 */
FwNode *
fw_node_open(const KdHost *host, const char *path, GError **error)
{
    g_autoptr(FwNode) node = g_new0(FwNode, 1);
    node->host = host;
    node->path = g_strdup(path);
    node->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    gboolean is_open = node->fd >= 0 && fw_node_refresh(node);
    if (is_open) {
        node->watch = host->watch_add(host, node->fd, KD_READY_IN, on_ready, node);
    }
    if (node->watch == NULL) {
        int code = errno;
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code), "%s: %s", path,
                    g_strerror(code));
        return NULL;
    }
    return g_steal_pointer(&node);
}

/**
 * fw_node_set_funcs:
 * @funcs: (nullable): copied
 *
 * Says who is told from now on.
 */
void
fw_node_set_funcs(FwNode *node, const FwNodeFuncs *funcs, void *user)
{
    node->funcs = funcs != NULL ? *funcs : (FwNodeFuncs){0};
    node->user = user;
}

/**
 * fw_node_free:
 * @node: (transfer full) (nullable)
 *
 * Closes a node. Requests under way are not waited for: the descriptor is closed when they have
 * ended.
 */
void
fw_node_free(FwNode *node)
{
    if (node == NULL) {
        return;
    }
    if (node->watch != NULL) {
        node->host->watch_remove(node->watch);
    }
    if (node->fd >= 0 && node->n_unanswered > 0) {
        fw_closing_start(node->host, node->fd, node->n_unanswered);
    } else if (node->fd >= 0) {
        close(node->fd);
    }
    g_free(node->path);
    g_free(node);
}

/* ---- requests -------------------------------------------------------------------------------- */

static uint32_t
get_tcode(const FwRequest *request)
{
    if (request->len_bytes == 4) {
        return request->is_write ? TCODE_WRITE_QUADLET_REQUEST : TCODE_READ_QUADLET_REQUEST;
    }
    return request->is_write ? TCODE_WRITE_BLOCK_REQUEST : TCODE_READ_BLOCK_REQUEST;
}

/**
 * fw_node_request:
 *
 * Starts a request, the only one whose answer is awaited; `answered` follows.
 *
 * Returns: %FALSE: the kernel does not take it
 */
gboolean
fw_node_request(FwNode *node, const FwRequest *request)
{
    struct fw_cdev_send_request send = {.tcode = get_tcode(request),
                                        .length = request->len_bytes,
                                        .offset = request->offset,
                                        .closure = ++node->last_closure,
                                        .data = (uintptr_t)request->bytes,
                                        .generation = node->generation};
    node->closure = RESET_CLOSURE;
    if (ioctl(node->fd, FW_CDEV_IOC_SEND_REQUEST, &send) != 0) {
        return FALSE;
    }
    node->closure = send.closure;
    node->len_bytes = request->len_bytes;
    node->is_write = request->is_write;
    node->n_unanswered++;
    return TRUE;
}

/**
 * fw_node_forget:
 *
 * Takes no answer any more to what was asked for.
 */
void
fw_node_forget(FwNode *node)
{
    node->closure = RESET_CLOSURE;
}

/* Half an answer is none. */
static gboolean
is_whole(const FwNode *node, const struct fw_cdev_event_response *response, size_t len)
{
    return node->is_write ||
           (response->length == node->len_bytes &&
            len >= offsetof(struct fw_cdev_event_response, data) + node->len_bytes);
}

static FwOutcome
get_outcome(const FwNode *node, const struct fw_cdev_event_response *response, size_t len)
{
    switch (response->rcode) {
    case RCODE_COMPLETE:
        return is_whole(node, response, len) ? FW_DONE : FW_UNSURE;
    case RCODE_GENERATION:
        return FW_STALE;
    case RCODE_DATA_ERROR:
    case RCODE_CANCELLED: /* the kernel has waited long enough */
        return FW_UNSURE;
    default:
        return FW_NOT_DONE;
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
take_response(FwNode *node, const Event *event, size_t len)
{
    const struct fw_cdev_event_response *response = &event->response;
    const uint8_t *bytes = event->bytes + offsetof(struct fw_cdev_event_response, data);
    node->n_unanswered -= MIN(node->n_unanswered, 1u);
    if (response->closure != node->closure || node->closure == RESET_CLOSURE) {
        return;
    }
    node->closure = RESET_CLOSURE;
    if (node->funcs.answered != NULL) {
        node->funcs.answered(node, get_outcome(node, response, len), bytes, node->len_bytes,
                             node->user);
    }
}

static void
take_end(FwNode *node)
{
    node->host->watch_set(node->watch, 0);
    if (node->funcs.gone != NULL) {
        node->funcs.gone(node, node->user);
    }
}

static gboolean
has_event(const FwNode *node)
{
    struct pollfd poll_fd = {.fd = node->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

/* To what was sent after the bus reset, or not in time, the kernel has the answer already: it was
 * not carried out. What has none was acknowledged by the node, and whether it was carried out
 * cannot be known any more. */
static gboolean
find_unsure(FwNode *node)
{
    while (node->closure != RESET_CLOSURE && has_event(node)) {
        Event event;
        ssize_t len = read(node->fd, &event, sizeof event);
        if (len < (ssize_t)sizeof event.response || event.common.type != FW_CDEV_EVENT_RESPONSE) {
            if (len < 0) {
                break;
            }
            continue; /* another bus reset */
        }
        node->n_unanswered -= MIN(node->n_unanswered, 1u);
        if (event.response.closure == node->closure) {
            FwOutcome outcome = get_outcome(node, &event.response, (size_t)len);
            return outcome == FW_DONE || outcome == FW_UNSURE;
        }
    }
    return node->closure != RESET_CLOSURE;
}

static void
take_reset(FwNode *node)
{
    gboolean is_unsure = find_unsure(node);
    node->closure = RESET_CLOSURE;
    if (!fw_node_refresh(node)) {
        take_end(node);
    } else if (node->funcs.reset != NULL) {
        node->funcs.reset(node, is_unsure, node->user);
    }
}

/* One event, after which the node may be freed; for the next one it is called again. Reading would
 * wait for an event even on a descriptor that must not: so it is made sure that there is one. */
static void
on_ready(void *user, uint32_t ready)
{
    FwNode *node = user;
    Event event;
    struct pollfd poll_fd = {.fd = node->fd, .events = POLLIN};
    (void)ready;
    if (poll(&poll_fd, 1, 0) != 1) {
        return;
    }
    if ((poll_fd.revents & POLLIN) == 0) {
        take_end(node);
        return;
    }
    ssize_t len = read(node->fd, &event, sizeof event);
    if (len < 0) {
        if (errno != EINTR && errno != EAGAIN) {
            take_end(node);
        }
    } else if ((size_t)len >= sizeof event.response &&
               event.common.type == FW_CDEV_EVENT_RESPONSE) {
        take_response(node, &event, (size_t)len);
    } else if ((size_t)len >= sizeof event.common && event.common.type == FW_CDEV_EVENT_BUS_RESET) {
        take_reset(node);
    }
}

/* ---- facts ----------------------------------------------------------------------------------- */

/**
 * fw_node_get_rom:
 *
 * Returns: (transfer none) (nullable): %NULL: there is no debug target
 */
const FwRom *
fw_node_get_rom(const FwNode *node)
{
    return node->has_rom ? &node->rom : NULL;
}

/**
 * fw_node_get_path:
 *
 * Returns: (transfer none)
 */
const char *
fw_node_get_path(const FwNode *node)
{
    return node->path;
}

/**
 * fw_node_get_chunk_bytes:
 *
 * Returns: the most that one request carries, by speed and by what the node can take
 */
uint32_t
fw_node_get_chunk_bytes(const FwNode *node)
{
    return node->has_rom ? MIN(node->speed_bytes, node->rom.chunk_bytes) : FW_CHUNK_MIN_BYTES;
}

/**
 * fw_node_get_generation:
 *
 * Returns: a number that changes with each bus reset
 */
uint32_t
fw_node_get_generation(const FwNode *node)
{
    return node->generation;
}

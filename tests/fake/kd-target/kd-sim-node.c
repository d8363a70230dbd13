/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FireWire node in user space: firewire-cdev carries what kd-sim-mailbox.h is asked for. */
#include "kd-sim-node.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <linux/firewire-cdev.h>
#include <linux/firewire-constants.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* what the requests of here need; Linux 2.6.36 */
#define CDEV_VERSION 4u

/* Where tests/guest/dummyfw puts what is asked for below 4 GiB; see its README.md */
#define MEMORY_OFFSET 0x100000000u

/* the most that one request has at S400, and room for more */
#define REQUEST_BYTES 4096u

/* A textual descriptor: the header, two words that say minimal ASCII, the text */
#define KEY_TEXT_LEAF 0x81000000u
#define TEXT          "KD debug"
#define LEAF_WORDS    5u

struct KdSimNode {
    const KdSimNodeMemory *memory;
    void *user;
    int fd;
    guint source;
    uint32_t card;
};

static KdSimNode *
fail(GError **error, const char *path, const char *what)
{
    int code = errno;

    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s: %s", path, what,
                g_strerror(code));
    return NULL;
}

/* ---- requests ---- */

static void
respond(KdSimNode *node, const struct fw_cdev_event_request2 *request, uint32_t rcode,
        const uint8_t *bytes, uint32_t len_bytes)
{
    struct fw_cdev_send_response response = {
        .rcode = rcode,
        .length = len_bytes,
        .data = (uintptr_t)bytes,
        .handle = request->handle,
    };

    if (ioctl(node->fd, FW_CDEV_IOC_SEND_RESPONSE, &response) < 0) {
        g_debug("no response to a request of node %x: %s", request->source_node_id,
                g_strerror(errno));
    }
}

/* The kernel takes a response only in the length that was asked for, also when it is an error. */
static void
answer(KdSimNode *node, const struct fw_cdev_event_request2 *request)
{
    /* addresses are those of all cards; this node is on one of them */
    gboolean is_here = request->card == node->card && request->length <= REQUEST_BYTES;
    uint64_t address = request->offset - MEMORY_OFFSET;
    uint8_t bytes[REQUEST_BYTES] = {0};

    switch (request->tcode) {
    case TCODE_READ_QUADLET_REQUEST:
    case TCODE_READ_BLOCK_REQUEST:
        is_here = is_here && node->memory->read(address, bytes, request->length, node->user);
        respond(node, request, is_here ? RCODE_COMPLETE : RCODE_ADDRESS_ERROR, bytes,
                MIN(request->length, REQUEST_BYTES));
        break;
    case TCODE_WRITE_QUADLET_REQUEST:
    case TCODE_WRITE_BLOCK_REQUEST:
        is_here = is_here && node->memory->write(address, (const uint8_t *)request->data,
                                                 request->length, node->user);
        respond(node, request, is_here ? RCODE_COMPLETE : RCODE_ADDRESS_ERROR, NULL, 0);
        break;
    default:
        /* a lock: the answer is one operand of two */
        respond(node, request, RCODE_TYPE_ERROR, bytes, MIN(request->length, REQUEST_BYTES) / 2);
        break;
    }
}

static gboolean
on_event(int fd, GIOCondition condition, void *user)
{
    union {
        union fw_cdev_event event;
        uint8_t bytes[sizeof(struct fw_cdev_event_request2) + REQUEST_BYTES];
    } got;
    KdSimNode *node = user;
    ssize_t len = read(fd, &got, sizeof got);

    (void)condition;
    if (len < 0 && errno != EAGAIN && errno != EINTR) {
        g_debug("the node is no more: %s", g_strerror(errno));
        node->source = 0;
        return G_SOURCE_REMOVE;
    }
    if (len >= (ssize_t)sizeof got.event.request2 &&
        got.event.common.type == FW_CDEV_EVENT_REQUEST2) {
        answer(node, &got.event.request2);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- set-up ---- */

static gboolean
add_entry(KdSimNode *node, uint32_t entry)
{
    uint32_t leaf[LEAF_WORDS] = {(LEAF_WORDS - 1) << 16};
    struct fw_cdev_add_descriptor descriptor = {
        .immediate = entry,
        .key = KEY_TEXT_LEAF,
        .data = (uintptr_t)leaf,
        .length = LEAF_WORDS,
    };

    for (guint i = 0; i < strlen(TEXT); i++) {
        leaf[3 + i / 4] |= (uint32_t)TEXT[i] << (24 - i % 4 * 8);
    }
    return ioctl(node->fd, FW_CDEV_IOC_ADD_DESCRIPTOR, &descriptor) == 0;
}

/**
 * kd_sim_node_new:
 * @path: of a card's own node
 * @memory: kept, not copied
 *
 * Becomes the memory of a FireWire card below 4 GiB, and says so in its configuration ROM. Needs a
 * card of tests/guest/dummyfw. Runs on the default main context.
 *
 * Returns: (transfer full) (nullable): none when it is another machine's node, or taken
 */
KdSimNode *
kd_sim_node_new(const char *path, const KdSimNodeOptions *options, const KdSimNodeMemory *memory,
                void *user, GError **error)
{
    g_autoptr(KdSimNode) node = g_new0(KdSimNode, 1);
    struct fw_cdev_get_info info = {.version = CDEV_VERSION};
    struct fw_cdev_allocate range = {
        .offset = options->first_address + MEMORY_OFFSET,
        .length = options->len_bytes,
        .region_end = options->first_address + MEMORY_OFFSET + options->len_bytes,
    };

    node->memory = memory;
    node->user = user;
    node->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (node->fd < 0) {
        return fail(error, path, "cannot be opened");
    }
    if (ioctl(node->fd, FW_CDEV_IOC_GET_INFO, &info) < 0) {
        return fail(error, path, "is no FireWire node");
    }
    node->card = info.card;
    if (ioctl(node->fd, FW_CDEV_IOC_ALLOCATE, &range) < 0) {
        return fail(error, path, "the addresses cannot be had");
    }
    for (guint i = 0; i < options->n_entries; i++) {
        if (!add_entry(node, options->entries[i])) {
            return fail(error, path, "its configuration ROM cannot be changed");
        }
    }
    node->source = g_unix_fd_add(node->fd, G_IO_IN, on_event, node);
    return g_steal_pointer(&node);
}

/**
 * kd_sim_node_free:
 *
 * Takes memory and entries away again; all that is asked for from now on is an address error.
 */
void
kd_sim_node_free(KdSimNode *node)
{
    if (node->source != 0) {
        g_source_remove(node->source);
    }
    if (node->fd >= 0) {
        close(node->fd);
    }
    g_free(node);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One node of a FireWire bus, by the kernel's character device. */
#pragma once

#include "fw-rom.h"

#include <kdsrv/kd-plugin.h>

typedef struct FwNode FwNode;

/**
 * FwNodeFuncs:
 * @answered: a request has ended; @bytes: what was read, as many as were asked for, borrowed
 * @reset: there was a bus reset: fw_node_get_rom() may say something else, and what was asked for
 *    has no answer any more; @is_unsure: it may have been carried out
 * @gone: the node is not there any more; nothing follows
 *
 * None is called from within a function of the node. Each may free the node.
 */
typedef struct {
    void (*answered)(FwNode *node, FwOutcome outcome, const uint8_t *bytes, size_t len_bytes,
                     void *user);
    void (*reset)(FwNode *node, gboolean is_unsure, void *user);
    void (*gone)(FwNode *node, void *user);
} FwNodeFuncs;

FwNode *fw_node_open(const KdHost *host, const char *path, GError **error);
void fw_node_set_funcs(FwNode *node, const FwNodeFuncs *funcs, void *user);
void fw_node_free(FwNode *node);
gboolean fw_node_request(FwNode *node, const FwRequest *request) G_GNUC_WARN_UNUSED_RESULT;
void fw_node_forget(FwNode *node);
gboolean fw_node_refresh(FwNode *node) G_GNUC_WARN_UNUSED_RESULT;

const FwRom *fw_node_get_rom(const FwNode *node);
const char *fw_node_get_path(const FwNode *node);
uint32_t fw_node_get_chunk_bytes(const FwNode *node);
uint32_t fw_node_get_generation(const FwNode *node);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FwNode, fw_node_free)

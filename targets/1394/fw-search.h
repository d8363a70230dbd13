/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which debug targets there are on this machine's FireWire buses. */
#pragma once

#include "fw-block.h"
#include "fw-node.h"

typedef struct FwSearch FwSearch;

/**
 * FwSearchFuncs:
 * @seen: a node has a debug target: said for each of them, and after each bus reset again. May
 *    free the search, and call fw_search_take()
 * @scanned: (nullable): the nodes of this machine were looked through; may free the search
 *
 * Neither is called from within fw_search_new().
 */
typedef struct {
    void (*seen)(FwSearch *search, FwNode *node, const FwBlock *block, void *user);
    void (*scanned)(FwSearch *search, void *user);
} FwSearchFuncs;

FwSearch *fw_search_new(const KdHost *host, guint wait_ms, const FwSearchFuncs *funcs, void *user);
void fw_search_free(FwSearch *search);
FwNode *fw_search_take(FwSearch *search, FwNode *node);
guint fw_search_get_n_nodes(const FwSearch *search);
guint fw_search_get_n_asked(const FwSearch *search);
gboolean fw_search_has_target(const FwSearch *search);
const char *fw_search_get_denied(const FwSearch *search);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FwSearch, fw_search_free)

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is remembered of a target's last packets, to know them again. */
#pragma once

#include "kd-dialect-rules.h"
#include "kd-packet.h"

/**
 * KdSeenList:
 *
 * All zero: none is remembered. @n 0 makes it so again.
 */
typedef struct {
    struct {
        uint32_t id;
        uint32_t checksum;
        uint16_t type;
        uint16_t payload_bytes;
    } packets[KD_DIALECT_REMEMBERED_MAX];
    unsigned n;
    unsigned newest;
} KdSeenList;

void kd_seen_list_add(KdSeenList *list, const KdPacket *packet, unsigned n_max);
gboolean kd_seen_list_has(const KdSeenList *list, const KdPacket *packet);

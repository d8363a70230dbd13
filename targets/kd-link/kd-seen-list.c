/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is remembered of a target's last packets, to know them again. */
#include "kd-seen-list.h"

/**
 * kd_seen_list_add:
 * @packet: of data
 * @n_max: how many are remembered, at most %KD_DIALECT_REMEMBERED_MAX
 *
 * Remembers a packet, in the place of the oldest.
 */
void
kd_seen_list_add(KdSeenList *list, const KdPacket *packet, unsigned n_max)
{
    if (list->n < n_max) {
        list->newest = list->n++;
    } else {
        list->newest = (list->newest + 1) % n_max;
    }
    list->packets[list->newest].id = packet->id;
    list->packets[list->newest].checksum = packet->checksum;
    list->packets[list->newest].type = packet->type;
    list->packets[list->newest].payload_bytes = (uint16_t)packet->payload_bytes;
}

/**
 * kd_seen_list_has:
 *
 * Returns: whether a packet is the same as one that is remembered, as far as that can be told
 */
gboolean
kd_seen_list_has(const KdSeenList *list, const KdPacket *packet)
{
    for (unsigned i = 0; i < list->n; i++) {
        if (list->packets[i].id == packet->id && list->packets[i].checksum == packet->checksum &&
            list->packets[i].type == packet->type &&
            list->packets[i].payload_bytes == packet->payload_bytes) {
            return TRUE;
        }
    }
    return FALSE;
}

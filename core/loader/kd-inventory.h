/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all kinds of targets find that could be opened; asked one after the other, never too often.
 */
#pragma once

#include "kd-registry.h"

/* What is not answered by then is left out */
#define KD_INVENTORY_MOST_MS 5000u
/* Between two beginnings: those who ask again and again must not keep the loop busy */
#define KD_INVENTORY_LEAST_MS 250u

/* a(sbaa{sv}): for each kind of target that can tell: its scheme, whether it has answered, and what
 * it found, as a plugin says it: neither whole nor printable */
#define KD_INVENTORY_TYPE G_VARIANT_TYPE("a(sbaa{sv})")

typedef struct KdInventory KdInventory;
typedef struct KdInventoryTicket KdInventoryTicket;

/**
 * KdInventoryFunc:
 * @found: (transfer none): of %KD_INVENTORY_TYPE
 *
 * Takes the answer. The ticket is void from then on; the inventory must not be freed from here.
 */
typedef void (*KdInventoryFunc)(GVariant *found, void *user);

KdInventory *kd_inventory_new(const KdRegistry *registry);
void kd_inventory_free(KdInventory *inventory);
KdInventoryTicket *kd_inventory_ask(KdInventory *inventory, KdInventoryFunc func, void *user);
void kd_inventory_forget(KdInventoryTicket *ticket);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdInventory, kd_inventory_free)

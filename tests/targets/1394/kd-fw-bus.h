/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FireWire bus of which nothing is there, by umockdev: /dev/fwN, and what becomes of requests. */
#pragma once

#include <glib.h>

#include <stdint.h>

typedef struct KdFwBus KdFwBus;
typedef struct KdFwNode KdFwNode;

/**
 * KdFwMemory:
 * @read: fills @bytes; %FALSE: address error
 * @write: %FALSE: address error
 *
 * What a node's requests reach. Called in a thread of umockdev's, with the bus locked.
 */
typedef struct {
    gboolean (*read)(uint64_t offset, uint8_t *bytes, size_t len, void *user);
    gboolean (*write)(uint64_t offset, const uint8_t *bytes, size_t len, void *user);
} KdFwMemory;

/* What becomes of a request, beside the response codes of linux/firewire-constants.h */
enum {
    KD_FW_LOSE = 0x100,    /* it is carried out, and the answer is lost: RCODE_CANCELLED         */
    KD_FW_SWALLOW = 0x200, /* it is carried out, and no answer comes, not even that              */
    KD_FW_HOLD = 0x400,    /* it is carried out when kd_fw_bus_release() is called               */
    KD_FW_SHORTEN = 0x800, /* half of what was asked for is answered                             */
    KD_FW_REFUSE = 0x1000, /* the kernel does not take it: EIO                                   */
};

/**
 * KdFwFate:
 *
 * Returns: 0, a response code, or KD_FW_LOSE and so on. Called as #KdFwMemory is
 */
typedef guint (*KdFwFate)(uint32_t tcode, uint64_t offset, uint32_t len, void *user);

KdFwBus *kd_fw_bus_new(void);
void kd_fw_bus_free(KdFwBus *bus);
void kd_fw_bus_lock(KdFwBus *bus);
void kd_fw_bus_unlock(KdFwBus *bus);
void kd_fw_bus_set_fate(KdFwBus *bus, KdFwFate fate, void *user);
void kd_fw_bus_reset(KdFwBus *bus);
void kd_fw_bus_reset_silently(KdFwBus *bus);
void kd_fw_bus_release(KdFwBus *bus);
guint64 kd_fw_bus_get_n_requests(KdFwBus *bus);
guint kd_fw_bus_get_n_open(KdFwBus *bus);

void kd_fw_bus_plug(KdFwBus *bus, guint number, const uint32_t *rom, guint n_rom,
                    const KdFwMemory *memory, void *user);
void kd_fw_bus_unplug(KdFwBus *bus, guint number);
void kd_fw_bus_set_rom(KdFwBus *bus, guint number, const uint32_t *rom, guint n_rom);
void kd_fw_bus_set_speed(KdFwBus *bus, guint number, int speed);
void kd_fw_bus_set_denied(KdFwBus *bus, guint number, gboolean is_denied);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdFwBus, kd_fw_bus_free)

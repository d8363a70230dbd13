/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of the offers (pokes) that targets have made: none is taken for new twice. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

#define KDNET_NONCE_BYTES 32u
/* A target counts its pokes in the first 8 bytes; the others are random and stay during a boot. */
#define KDNET_NONCE_COUNT_BYTES 8u
#define KDNET_BOOT_ID_BYTES     (KDNET_NONCE_BYTES - KDNET_NONCE_COUNT_BYTES)
#define KDNET_BOOTS             64u

/**
 * KdnetBoot:
 * @id: the bytes of the nonce that stay
 * @highest_seq: of its pokes
 * @highest_count: of its pokes
 * @answered_us: when one of them was answered last; 0: none was
 *
 * One start of a target.
 */
typedef struct {
    uint8_t id[KDNET_BOOT_ID_BYTES];
    uint64_t highest_seq;
    uint64_t highest_count;
    gint64 answered_us;
} KdnetBoot;

/**
 * KdnetSetBack:
 * @id: of the boot whose old poke came last
 * @seq: of that
 * @when_us: it came
 * @n: old pokes of that boot, one after the other as a target makes them
 *
 * What tells a machine that was set back to a snapshot.
 */
typedef struct {
    uint8_t id[KDNET_BOOT_ID_BYTES];
    uint64_t seq;
    gint64 when_us;
    guint n;
} KdnetSetBack;

/**
 * KdnetBoots:
 * @n: used of @boots, of which the last one heard of is the first
 * @kept: id of the boot that is never forgotten; zeros: there is none
 * @set_back: old pokes that may be those of a machine that was set back
 *
 * Zeros: nothing is remembered yet.
 */
typedef struct {
    KdnetBoot boots[KDNET_BOOTS];
    size_t n;
    uint8_t kept[KDNET_BOOT_ID_BYTES];
    KdnetSetBack set_back;
} KdnetBoots;

KdnetBoot *kdnet_boots_take(KdnetBoots *boots, const uint8_t nonce[static KDNET_NONCE_BYTES],
                            uint64_t seq);
gboolean kdnet_boots_take_old(KdnetBoots *boots, const uint8_t nonce[static KDNET_NONCE_BYTES],
                              uint64_t seq, gint64 now_us);
KdnetBoot *kdnet_boots_find(KdnetBoots *boots, const uint8_t nonce[static KDNET_NONCE_BYTES]);
const uint8_t *kdnet_boots_get_id(const uint8_t nonce[static KDNET_NONCE_BYTES]);

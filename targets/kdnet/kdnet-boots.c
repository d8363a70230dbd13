/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of the offers (pokes) that targets have made: none is taken for new twice. */
#include "kdnet-boots.h"

#include <string.h>

/* So many old pokes in their order, and so far apart, a target makes that was set back. */
#define SET_BACK_POKES    3u
#define SET_BACK_LEAST_US (400 * G_GINT64_CONSTANT(1000))
#define SET_BACK_MOST_US  (10000 * G_GINT64_CONSTANT(1000))

static uint64_t
get_count(const uint8_t nonce[static KDNET_NONCE_BYTES])
{
    uint64_t count = 0;

    memcpy(&count, nonce, KDNET_NONCE_COUNT_BYTES);
    return GUINT64_FROM_LE(count);
}

/**
 * kdnet_boots_get_id:
 *
 * Returns: the part of a poke's nonce that is the same in all of one boot
 */
const uint8_t *
kdnet_boots_get_id(const uint8_t nonce[static KDNET_NONCE_BYTES])
{
    return nonce + KDNET_NONCE_COUNT_BYTES;
}

/**
 * kdnet_boots_find:
 * @nonce: of a poke
 *
 * Returns: (transfer none) (nullable): its boot, valid until the next poke
 */
KdnetBoot *
kdnet_boots_find(KdnetBoots *boots, const uint8_t nonce[static KDNET_NONCE_BYTES])
{
    for (size_t i = 0; i < boots->n; i++) {
        if (memcmp(boots->boots[i].id, kdnet_boots_get_id(nonce), KDNET_BOOT_ID_BYTES) == 0) {
            return &boots->boots[i];
        }
    }
    return NULL;
}

/* A place for one more: an unused one, or that of the one heard of longest ago */
static size_t
make_place(KdnetBoots *boots)
{
    size_t last = KDNET_BOOTS - 1;

    if (boots->n < KDNET_BOOTS) {
        return boots->n++;
    }
    if (memcmp(boots->boots[last].id, boots->kept, sizeof boots->kept) != 0) {
        return last;
    }
    return last - 1;
}

/**
 * kdnet_boots_take:
 * @nonce: of an authentic poke
 * @seq: of the same
 *
 * Remembers a poke. Both its number and its count grow from poke to poke; one of them is enough, in
 * case a target starts the other one anew.
 *
 * Returns: (transfer none) (nullable): its boot, valid until the next call; %NULL: it is not newer
 *    than those that came before
 */
KdnetBoot *
kdnet_boots_take(KdnetBoots *boots, const uint8_t nonce[static KDNET_NONCE_BYTES], uint64_t seq)
{
    uint64_t count = get_count(nonce);
    const KdnetBoot *known = kdnet_boots_find(boots, nonce);
    KdnetBoot boot = known != NULL ? *known : (KdnetBoot){0};
    size_t place = known != NULL ? (size_t)(known - boots->boots) : make_place(boots);
    gboolean is_new = known == NULL || seq > boot.highest_seq || count > boot.highest_count;

    memcpy(boot.id, kdnet_boots_get_id(nonce), sizeof boot.id);
    boot.highest_seq = MAX(boot.highest_seq, seq);
    boot.highest_count = MAX(boot.highest_count, count);
    memmove(&boots->boots[1], &boots->boots[0], place * sizeof boots->boots[0]);
    boots->boots[0] = boot;
    return is_new ? &boots->boots[0] : NULL;
}

/**
 * kdnet_boots_take_old:
 * @nonce: of an authentic poke that kdnet_boots_take() has found to be old, no session being there
 * @seq: of the same
 *
 * A virtual machine that was set back to a snapshot makes pokes of its boot once more, bit for bit.
 * They come in their order and at their pace, which a flood of recorded ones does not.
 *
 * Returns: whether its pokes count from this one on
 */
gboolean
kdnet_boots_take_old(KdnetBoots *boots, const uint8_t nonce[static KDNET_NONCE_BYTES], uint64_t seq,
                     gint64 now_us)
{
    KdnetSetBack *back = &boots->set_back;
    const uint8_t *id = kdnet_boots_get_id(nonce);
    gint64 apart_us = now_us - back->when_us;
    gboolean is_next = back->n > 0 && memcmp(back->id, id, sizeof back->id) == 0 &&
                       seq > back->seq && apart_us >= SET_BACK_LEAST_US &&
                       apart_us <= SET_BACK_MOST_US;
    KdnetBoot *boot = kdnet_boots_find(boots, nonce);

    memcpy(back->id, id, sizeof back->id);
    back->seq = seq;
    back->when_us = now_us;
    back->n = is_next ? back->n + 1 : 1;
    if (back->n < SET_BACK_POKES || boot == NULL) {
        return FALSE;
    }
    back->n = 0;
    boot->highest_seq = seq;
    boot->highest_count = get_count(nonce);
    return TRUE;
}

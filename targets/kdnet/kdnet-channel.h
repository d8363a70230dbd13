/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data channel that one answer of ours has made: its key, and the numbers of both directions.
 */
#pragma once

#include "kdnet-boots.h"
#include "kdnet-cipher.h"
#include "kdnet-window.h"

/**
 * KdnetChannel:
 * @cipher: (nullable): %NULL: there is no such channel
 * @window: of the target's datagrams
 * @sent_seq: of our last datagram
 * @boot: id of the target's start
 * @version: of its datagrams
 * @since_us: when the answer was given
 * @n_switches: how often a datagram on it has brought it into force
 * @n_unheard: requests that were sent after the last that was heard of the target
 * @n_deaf: offers in a row with such requests before each, and no data
 */
typedef struct {
    KdnetCipher *cipher;
    KdnetWindow window;
    uint64_t sent_seq;
    uint8_t boot[KDNET_BOOT_ID_BYTES];
    uint8_t version;
    gint64 since_us;
    guint n_switches;
    guint n_unheard;
    guint n_deaf;
} KdnetChannel;

typedef enum {
    KDNET_TAKEN_FORGED = 0, /* not of this channel */
    KDNET_TAKEN_OLD = 1,    /* came before, or too late */
    KDNET_TAKEN = 2,
} KdnetTaken;

void kdnet_channel_clear(KdnetChannel *channel);
KdnetTaken kdnet_channel_take(KdnetChannel *channel, const uint8_t *datagram, size_t len_bytes,
                              KdnetOpened *opened);
size_t kdnet_channel_seal(KdnetChannel *channel, const uint8_t *packet, size_t len_bytes,
                          uint8_t datagram[static KDNET_DATAGRAM_MAX_BYTES]);
guint kdnet_channel_count_deaf(KdnetChannel *channel);

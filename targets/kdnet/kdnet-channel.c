/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data channel that one answer of ours has made: its key, and the numbers of both directions.
 */
#include "kdnet-channel.h"

/* The first byte of a KD packet with a payload; the others of its leader are the same. */
#define REQUEST_BYTE 0x30u

/**
 * kdnet_channel_clear:
 *
 * Forgets its key and all else.
 */
void
kdnet_channel_clear(KdnetChannel *channel)
{
    kdnet_cipher_free(channel->cipher);
    *channel = (KdnetChannel){0};
}

/**
 * kdnet_channel_take:
 * @datagram: a plausible one of the data channel
 * @opened: (out caller-allocates): untouched unless the result is %KDNET_TAKEN
 *
 * Opens what the target has sent on this channel, each datagram once. What was seen already and
 * what fits another key costs one block of AES.
 */
KdnetTaken
kdnet_channel_take(KdnetChannel *channel, const uint8_t *datagram, size_t len_bytes,
                   KdnetOpened *opened)
{
    KdnetPeeked peeked = {0};

    if (channel->cipher == NULL || datagram[4] != channel->version ||
        !kdnet_cipher_peek(channel->cipher, datagram, len_bytes, &peeked) || peeked.is_from_host) {
        return KDNET_TAKEN_FORGED;
    }
    if (!kdnet_window_may_take(&channel->window, peeked.seq)) {
        return peeked.seq <= channel->window.highest ? KDNET_TAKEN_OLD : KDNET_TAKEN_FORGED;
    }
    if (!kdnet_cipher_open(channel->cipher, datagram, len_bytes, opened)) {
        return KDNET_TAKEN_FORGED;
    }
    kdnet_window_take(&channel->window, opened->seq);
    channel->n_unheard = 0;
    channel->n_deaf = 0;
    return KDNET_TAKEN;
}

/**
 * kdnet_channel_seal:
 * @packet: a KD packet, or the byte of a break-in
 * @datagram: (out caller-allocates)
 *
 * Makes a datagram with a number of its own.
 *
 * Returns: bytes in @datagram; 0: there is no channel, or @packet is too long
 */
size_t
kdnet_channel_seal(KdnetChannel *channel, const uint8_t *packet, size_t len_bytes,
                   uint8_t datagram[static KDNET_DATAGRAM_MAX_BYTES])
{
    if (channel->cipher == NULL) {
        return 0;
    }
    channel->n_unheard += len_bytes > 0 && packet[0] == REQUEST_BYTE;
    return kdnet_cipher_seal(channel->cipher, channel->version, KDNET_CHANNEL_DATA,
                             ++channel->sent_seq, TRUE, packet, len_bytes, datagram);
}

/**
 * kdnet_channel_count_deaf:
 *
 * Takes note of an offer that says that the target is connected.
 *
 * Returns: how many there were in a row, each after requests of ours, without any data: a target
 *    that acknowledges none of them has another key than this
 */
guint
kdnet_channel_count_deaf(KdnetChannel *channel)
{
    channel->n_deaf = channel->n_unheard > 0 ? channel->n_deaf + 1 : 0;
    channel->n_unheard = 0;
    return channel->n_deaf;
}

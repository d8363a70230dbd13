/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds what GDB says between its packets to break into a kernel; no I/O. */
#include "kd-rsp-scanner.h"

/* What GDB's `interrupt-sequence BREAK-g` is over TCP: the telnet command for BREAK, then `g`. Over
 * anything else only the `g` is left of it. Its default is the byte of CTRL+C. */
#define IAC       0xffu
#define IAC_BREAK 0xf3u
#define CTRL_C    0x03u

/**
 * kd_rsp_is_outside:
 * @scanner: a scanner
 *
 * Returns: whether no packet is begun and not ended
 */
gboolean
kd_rsp_is_outside(const KdRspScanner *scanner)
{
    return scanner->state == KD_RSP_OUTSIDE || scanner->state == KD_RSP_BEHIND_BREAK;
}

/* A byte that passes. In a packet GDB escapes both $ and #, binary data included, so that # ends
 * it. */
static void
step(KdRspScanner *scanner, uint8_t byte)
{
    switch (scanner->state) {
    case KD_RSP_PACKET:
        scanner->state = byte == '#' ? KD_RSP_CHECKSUM : KD_RSP_PACKET;
        break;
    case KD_RSP_CHECKSUM:
        scanner->state = KD_RSP_LAST_DIGIT;
        break;
    case KD_RSP_LAST_DIGIT:
    case KD_RSP_OUTSIDE:
    case KD_RSP_BEHIND_BREAK:
    default:
        scanner->state =
            byte == '$' && scanner->state != KD_RSP_LAST_DIGIT ? KD_RSP_PACKET : KD_RSP_OUTSIDE;
        break;
    }
}

/**
 * kd_rsp_scan:
 * @scanner: a scanner
 * @bytes: what the debugger said, behind what passed or was skipped before
 * @len: of @bytes, at least 1
 * @most: bytes that may pass, at least 1
 * @piece: (out caller-allocates): what becomes of the first bytes
 *
 * Looks at the next bytes up to a break. What is in a packet always passes. When nothing passes and
 * there is no break either, one byte more is needed: the last one may begin a BREAK.
 */
void
kd_rsp_scan(KdRspScanner *scanner, const uint8_t *bytes, size_t len, size_t most, KdRspPiece *piece)
{
    *piece = (KdRspPiece){.n_pass = 0};
    while (piece->n_pass < MIN(len, most)) {
        uint8_t byte = bytes[piece->n_pass];

        if (kd_rsp_is_outside(scanner)) {
            gboolean is_own_g = scanner->state == KD_RSP_BEHIND_BREAK;

            if (byte == IAC && piece->n_pass + 1 == len) {
                return;
            }
            if (byte == IAC && bytes[piece->n_pass + 1] == IAC_BREAK) {
                piece->is_break = TRUE;
                piece->n_skip = 2;
                scanner->state = KD_RSP_BEHIND_BREAK;
                return;
            }
            if (byte == CTRL_C || (byte == 'g' && !is_own_g)) {
                piece->is_break = TRUE;
                piece->has_g = TRUE;
                piece->n_skip = 1;
                scanner->state = KD_RSP_OUTSIDE;
                return;
            }
        }
        step(scanner, byte);
        piece->n_pass++;
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds what GDB says between its packets to break into a kernel; no I/O. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef enum {
    KD_RSP_OUTSIDE = 0,      /* between packets                                        */
    KD_RSP_PACKET = 1,       /* behind $, up to #                                      */
    KD_RSP_CHECKSUM = 2,     /* behind #                                               */
    KD_RSP_LAST_DIGIT = 3,   /* of the checksum                                        */
    KD_RSP_BEHIND_BREAK = 4, /* between packets; a `g` belongs to the break before it  */
} KdRspState;

/**
 * KdRspScanner:
 * @state: where the next byte stands
 *
 * Reads along what a debugger says; zeroed at the start.
 */
typedef struct {
    KdRspState state;
} KdRspScanner;

/**
 * KdRspPiece:
 * @n_pass: bytes that pass as they are
 * @n_skip: bytes behind those that stand for a break, and do not pass
 * @is_break: behind @n_pass bytes a BREAK is wanted
 * @has_g: and behind the BREAK a `g`
 */
typedef struct {
    size_t n_pass;
    size_t n_skip;
    gboolean is_break;
    gboolean has_g;
} KdRspPiece;

void kd_rsp_scan(KdRspScanner *scanner, const uint8_t *bytes, size_t len, size_t most,
                 KdRspPiece *piece);
gboolean kd_rsp_is_outside(const KdRspScanner *scanner);

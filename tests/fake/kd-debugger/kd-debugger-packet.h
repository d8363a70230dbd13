/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One packet of the KD protocol as a debugger writes and reads it: written apart from the server's
 * own, so that one mistake cannot hide in both. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

#define KD_DEBUGGER_PAYLOAD_MAX_BYTES 4000u
#define KD_DEBUGGER_FRAME_MAX_BYTES   4017u
#define KD_DEBUGGER_BREAK_IN          0x62u
#define KD_DEBUGGER_SYNC_BIT          0x800u

/* Types of packets */
enum {
    KD_DEBUGGER_MANIPULATE = 2,
    KD_DEBUGGER_DEBUG_IO = 3,
    KD_DEBUGGER_ACK = 4,
    KD_DEBUGGER_RESEND = 5,
    KD_DEBUGGER_RESET = 6,
    KD_DEBUGGER_STATE_CHANGE = 7,
    KD_DEBUGGER_FILE_IO = 11,
};

/* Numbers of what a debugger asks for */
enum {
    KD_DEBUGGER_API_READ = 0x3130,
    KD_DEBUGGER_API_WRITE = 0x3131,
    KD_DEBUGGER_API_GET_CONTEXT = 0x3132,
    KD_DEBUGGER_API_SET_CONTEXT = 0x3133,
    KD_DEBUGGER_API_SET_BREAKPOINT = 0x3134,
    KD_DEBUGGER_API_CLEAR_BREAKPOINT = 0x3135,
    KD_DEBUGGER_API_CONTINUE = 0x3136,
    KD_DEBUGGER_API_REBOOT = 0x313B,
    KD_DEBUGGER_API_CONTINUE2 = 0x313C,
    KD_DEBUGGER_API_VERSION = 0x3146,
};

/**
 * KdDebuggerPacket:
 * @is_control: no payload and no checksum
 * @type: KD_DEBUGGER_ACK and so on
 * @id: of the packet, or the one that it speaks of
 * @payload_bytes: filled part of @payload
 */
typedef struct {
    gboolean is_control;
    uint16_t type;
    uint32_t id;
    size_t payload_bytes;
    uint8_t payload[KD_DEBUGGER_PAYLOAD_MAX_BYTES];
} KdDebuggerPacket;

/* What was heard */
typedef enum {
    KD_DEBUGGER_HEARD_NOTHING = 0,
    KD_DEBUGGER_HEARD_PACKET = 1,
    KD_DEBUGGER_HEARD_DAMAGE = 2,
    KD_DEBUGGER_HEARD_RESTART = 3, /* the target has begun anew */
    KD_DEBUGGER_HEARD_ERROR = 4,
} KdDebuggerHeard;

size_t kd_debugger_packet_build(const KdDebuggerPacket *packet, gboolean has_trailer,
                                uint8_t frame[static KD_DEBUGGER_FRAME_MAX_BYTES]);
gboolean kd_debugger_packet_parse(const uint8_t *frame, size_t len_bytes, KdDebuggerPacket *packet);
KdDebuggerHeard kd_debugger_packet_hunt(GByteArray *heard, KdDebuggerPacket *packet);

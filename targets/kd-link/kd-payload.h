/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the payload of a packet is about, as far as a link has to know. */
#pragma once

#include "kd-packet.h"

/* First number of a payload */
enum {
    KD_API_EXCEPTION = 0x3030,
    KD_API_LOAD_SYMBOLS = 0x3031,
    KD_API_COMMAND_STRING = 0x3032,
    KD_API_CONTINUE = 0x3136,
    KD_API_REBOOT = 0x313B,
    KD_API_CONTINUE2 = 0x313C,
    KD_API_CAUSE_BUG_CHECK = 0x3149,
    KD_API_SWITCH_PROCESSOR = 0x3150,
    KD_API_CLEAR_ALL_BREAKPOINTS = 0x315A,
    KD_API_PRINT = 0x3230,
    KD_API_GET_STRING = 0x3231,
    KD_API_CREATE_FILE = 0x3430,
};

uint32_t kd_payload_get_api(const KdPacket *packet);
gboolean kd_payload_is_reply(const KdPacket *packet);
gboolean kd_payload_is_state_change(const KdPacket *packet);
gboolean kd_payload_is_text(const KdPacket *packet);
gboolean kd_payload_is_resuming(const KdPacket *packet);
gboolean kd_payload_has_reply(const KdPacket *packet);

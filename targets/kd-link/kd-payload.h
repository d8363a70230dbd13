/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the payload of a packet is about, as far as a link has to know. */
#pragma once

#include "kd-packet.h"
#include "kd-reply-list.h"

/* First number of a payload */
enum {
    KD_API_EXCEPTION = 0x3030,
    KD_API_LOAD_SYMBOLS = 0x3031,
    KD_API_COMMAND_STRING = 0x3032,
    KD_API_READ_VIRTUAL = 0x3130,
    KD_API_WRITE_VIRTUAL = 0x3131,
    KD_API_GET_CONTEXT = 0x3132,
    KD_API_SET_CONTEXT = 0x3133,
    KD_API_CONTINUE = 0x3136,
    KD_API_READ_CONTROL = 0x3137,
    KD_API_WRITE_CONTROL = 0x3138,
    KD_API_REBOOT = 0x313B,
    KD_API_CONTINUE2 = 0x313C,
    KD_API_READ_PHYSICAL = 0x313D,
    KD_API_WRITE_PHYSICAL = 0x313E,
    KD_API_GET_VERSION = 0x3146,
    KD_API_CAUSE_BUG_CHECK = 0x3149,
    KD_API_SWITCH_PROCESSOR = 0x3150,
    KD_API_READ_MSR = 0x3152,
    KD_API_WRITE_MSR = 0x3153,
    KD_API_SEARCH = 0x3156,
    KD_API_CLEAR_ALL_BREAKPOINTS = 0x315A,
    KD_API_FILL = 0x315B,
    KD_API_QUERY_MEMORY = 0x315C,
    KD_API_GET_CONTEXT_EX = 0x315F,
    KD_API_SET_CONTEXT_EX = 0x3160,
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
KdReplyKey kd_payload_get_reply_key(const KdPacket *packet);
gboolean kd_payload_may_repeat(const KdPacket *packet);
gboolean kd_payload_is_quick(const KdPacket *packet);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets as a simulated target builds and reads them. */
#pragma once

#include <glib.h>

#include <stdint.h>

#define KD_SIM_HEADER_BYTES      16u
#define KD_SIM_PAYLOAD_MAX_BYTES 4000u
#define KD_SIM_PACKET_MAX_BYTES  4017u /* with the 0xAA of a serial line */
#define KD_SIM_INITIAL_ID        0x80800000u
#define KD_SIM_SYNC_ID           0x800u
#define KD_SIM_NET_HOST_ID       0x80000000u
#define KD_SIM_TRAILER           0xAAu
#define KD_SIM_BREAK_IN          0x62u

typedef enum {
    KD_SIM_DIALECT_SERIAL = 1,
    KD_SIM_DIALECT_NET = 2,
    KD_SIM_DIALECT_USB = 3,
    KD_SIM_DIALECT_1394 = 4,
} KdSimDialect;

enum {
    KD_SIM_TYPE_MANIPULATE = 2,
    KD_SIM_TYPE_DEBUG_IO = 3,
    KD_SIM_TYPE_ACK = 4,
    KD_SIM_TYPE_RESEND = 5,
    KD_SIM_TYPE_RESET = 6,
    KD_SIM_TYPE_STATE_CHANGE = 7,
    KD_SIM_TYPE_FILE_IO = 11,
};

typedef struct {
    gboolean is_control;
    uint16_t type;
    uint16_t payload_bytes; /* as the header says */
    uint32_t id;
    uint32_t checksum;
} KdSimHeader;

uint16_t kd_sim_get16(const uint8_t *bytes);
uint32_t kd_sim_get32(const uint8_t *bytes);
uint64_t kd_sim_get64(const uint8_t *bytes);
void kd_sim_put16(uint8_t *bytes, uint16_t value);
void kd_sim_put32(uint8_t *bytes, uint32_t value);
void kd_sim_put64(uint8_t *bytes, uint64_t value);

uint32_t kd_sim_packet_sum(const uint8_t *bytes, size_t len_bytes);
gboolean kd_sim_packet_parse_header(const uint8_t bytes[static KD_SIM_HEADER_BYTES],
                                    KdSimHeader *header);
size_t kd_sim_packet_build(KdSimDialect dialect, uint16_t type, uint32_t id, const uint8_t *payload,
                           size_t payload_bytes, uint8_t bytes[static KD_SIM_PACKET_MAX_BYTES]);
size_t kd_sim_packet_build_control(uint16_t type, uint32_t id,
                                   uint8_t bytes[static KD_SIM_HEADER_BYTES]);
void kd_sim_packet_trace(const char *way, uint16_t type, uint32_t id, size_t payload_bytes);
size_t kd_sim_packet_get_least_payload(uint16_t type);

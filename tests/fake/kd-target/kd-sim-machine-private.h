/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated machine from within: what its two halves share. */
#pragma once

#include "kd-sim-machine.h"
#include "kd-sim-manipulate.h"

typedef enum {
    KD_SIM_STATE_OFF = 0,
    KD_SIM_STATE_BOOTING = 1,
    KD_SIM_STATE_RUNNING = 2,
    KD_SIM_STATE_SENDING = 3,
    KD_SIM_STATE_HALTED = 4,   /* listens for requests */
    KD_SIM_STATE_AWAITING = 5, /* listens for the answer to what it has asked */
} KdSimState;

typedef enum {
    KD_SIM_SENDS_PRINT = 0,
    KD_SIM_SENDS_REPORT = 1,
    KD_SIM_SENDS_REPLY = 2,
    KD_SIM_SENDS_PROMPT = 3,
    KD_SIM_SENDS_FILE = 4,
    KD_SIM_SENDS_REFRESH = 5,
} KdSimSends;

typedef enum {
    KD_SIM_ORDER_PRINT = 0,
    KD_SIM_ORDER_RAISE = 1,
    KD_SIM_ORDER_LOAD_SYMBOLS = 2,
    KD_SIM_ORDER_GET_STRING = 3,
    KD_SIM_ORDER_CREATE_FILE = 4,
} KdSimOrderKind;

typedef struct {
    KdSimOrderKind kind;
    uint32_t count;
} KdSimOrder;

struct KdSimMachine {
    KdSimMachineOptions options;
    KdSimPort port;
    void *port_user;
    KdSimCore core;
    KdSimMachineStat stat;

    KdSimState state;
    KdSimSends sends;      /* what is under way, or was the last to be */
    KdSimMessage question; /* a report, a prompt, a file: what is repeated while it is listened */
    uint8_t question_payload[KD_SIM_PAYLOAD_MAX_BYTES];
    uint8_t payload[KD_SIM_PAYLOAD_MAX_BYTES];
    GQueue orders; /* of KdSimOrder */
    char string_read[256];

    gboolean has_debugger;
    gboolean is_refresh_due;
    gboolean is_break_due;
    gboolean is_step_due;
    gint64 run_since_us;
    gint64 deadline_us;
};

void kd_sim_machine_say(KdSimMachine *machine, KdSimSends sends, const KdSimMessage *message,
                        gint64 now_us);
void kd_sim_machine_ask(KdSimMachine *machine, KdSimSends sends, uint16_t type,
                        size_t payload_bytes, uint32_t tries, gint64 now_us);
void kd_sim_machine_run(KdSimMachine *machine, gint64 now_us);

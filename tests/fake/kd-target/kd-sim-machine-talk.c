/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated machine in its talk with a debugger: what was taken, what is asked for, answers. */
#include "kd-sim-machine-private.h"

#include <string.h>

static void
give_up(KdSimMachine *machine, gint64 now_us)
{
    machine->stat.gave_up++;
    machine->has_debugger = FALSE;
    machine->is_refresh_due = TRUE;
    kd_sim_machine_run(machine, now_us);
}

static void
listen_for(KdSimMachine *machine, KdSimState state, uint16_t type, gint64 now_us)
{
    machine->state = state;
    machine->port.listen(type, now_us, machine->port_user);
}

/**
 * kd_sim_machine_sent:
 * @is_taken: %FALSE: all tries are over
 *
 * The link tells what has become of the packet under way.
 */
void
kd_sim_machine_sent(KdSimMachine *machine, gboolean is_taken, gint64 now_us)
{
    if (machine->state != KD_SIM_STATE_SENDING)
        return;
    if (!is_taken) {
        give_up(machine, now_us);
        return;
    }
    machine->stat.taken++;
    switch (machine->sends) {
    case KD_SIM_SENDS_PROMPT:
        listen_for(machine, KD_SIM_STATE_AWAITING, KD_SIM_TYPE_DEBUG_IO, now_us);
        break;
    case KD_SIM_SENDS_FILE:
        listen_for(machine, KD_SIM_STATE_AWAITING, KD_SIM_TYPE_FILE_IO, now_us);
        break;
    case KD_SIM_SENDS_REPORT:
    case KD_SIM_SENDS_REPLY:
        listen_for(machine, KD_SIM_STATE_HALTED, KD_SIM_TYPE_MANIPULATE, now_us);
        break;
    case KD_SIM_SENDS_PRINT:
        machine->stat.acked++;
        kd_sim_machine_run(machine, now_us);
        break;
    case KD_SIM_SENDS_REFRESH:
    default:
        kd_sim_machine_run(machine, now_us);
    }
}

static void
go_on(KdSimMachine *machine, gboolean is_step, gint64 now_us)
{
    machine->stat.continues++;
    machine->is_step_due = is_step;
    machine->run_since_us = now_us;
    kd_sim_machine_run(machine, now_us);
}

static void
obey(KdSimMachine *machine, const uint8_t *request, size_t request_bytes, gint64 now_us)
{
    KdSimMessage reply = {.type = KD_SIM_TYPE_MANIPULATE, .payload = machine->payload};
    uint32_t api = kd_sim_get32(request);
    machine->stat.requests++;
    machine->stat.reads += api == 0x3130 || api == 0x313D;
    machine->stat.writes += api == 0x3131 || api == 0x313E;
    KdSimVerdict verdict = kd_sim_manipulate(&machine->core, request, request_bytes,
                                             machine->payload, &reply.payload_bytes);
    switch (verdict) {
    case KD_SIM_VERDICT_REPLY:
    case KD_SIM_VERDICT_REFUSAL:
        machine->stat.refused += verdict == KD_SIM_VERDICT_REFUSAL;
        kd_sim_machine_say(machine, KD_SIM_SENDS_REPLY, &reply, now_us);
        break;
    case KD_SIM_VERDICT_CONTINUE:
    case KD_SIM_VERDICT_STEP:
        go_on(machine, verdict == KD_SIM_VERDICT_STEP, now_us);
        break;
    case KD_SIM_VERDICT_REBOOT:
        kd_sim_machine_reboot(machine, now_us);
        break;
    case KD_SIM_VERDICT_SWITCH:
        machine->stat.state_changes++;
        kd_sim_machine_ask(machine, KD_SIM_SENDS_REPORT, KD_SIM_TYPE_STATE_CHANGE,
                           kd_sim_report_exception(&machine->core, KD_SIM_CODE_BREAKPOINT,
                                                   machine->question_payload),
                           0, now_us);
        break;
    case KD_SIM_VERDICT_SILENCE:
    default:
        listen_for(machine, KD_SIM_STATE_HALTED, KD_SIM_TYPE_MANIPULATE, now_us);
    }
}

/* An answer to something else than was asked is not waited for any less. */
static void
take_answer(KdSimMachine *machine, const uint8_t *payload, size_t payload_bytes, gint64 now_us)
{
    uint32_t asked = kd_sim_get32(machine->question_payload);
    if (kd_sim_get32(payload) != asked)
        return;
    if (asked == 0x3231) {
        size_t count = MIN(kd_sim_get32(payload + 12), payload_bytes - 16);
        count = MIN(count, sizeof machine->string_read - 1);
        memcpy(machine->string_read, payload + 16, count);
        machine->string_read[count] = '\0';
        machine->stat.strings++;
    } else {
        machine->stat.file_status = kd_sim_get32(payload + 4);
        machine->stat.files++;
    }
    kd_sim_machine_run(machine, now_us);
}

/**
 * kd_sim_machine_received:
 * @payload: at least as long as such a packet's fixed part
 *
 * The link has a packet of the type that the machine listens for.
 */
void
kd_sim_machine_received(KdSimMachine *machine, uint16_t type, const uint8_t *payload,
                        size_t payload_bytes, gint64 now_us)
{
    if (machine->state == KD_SIM_STATE_HALTED && type == KD_SIM_TYPE_MANIPULATE)
        obey(machine, payload, payload_bytes, now_us);
    else if (machine->state == KD_SIM_STATE_AWAITING)
        take_answer(machine, payload, payload_bytes, now_us);
}

/**
 * kd_sim_machine_repeat:
 *
 * The other side has lost its place while the machine listened: what it was told last and has to
 * react to is said once more.
 */
void
kd_sim_machine_repeat(KdSimMachine *machine, gint64 now_us)
{
    if (machine->state == KD_SIM_STATE_HALTED)
        kd_sim_machine_say(machine, KD_SIM_SENDS_REPORT, &machine->question, now_us);
    else if (machine->state == KD_SIM_STATE_AWAITING)
        kd_sim_machine_say(machine, machine->sends, &machine->question, now_us);
}

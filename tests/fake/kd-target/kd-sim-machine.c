/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of the simulated machine: boots, runs, says something, halts, answers, goes on. */
#include "kd-sim-machine-private.h"

#include <string.h>

#define TRIES 20u

static void proceed(KdSimMachine *machine, gint64 now_us);

/**
 * kd_sim_machine_new:
 * @options: (nullable):
 *
 * Makes a machine that is off: it needs a link first (kd_sim_machine_attach(), which makers of
 * links call), then kd_sim_machine_boot().
 */
KdSimMachine *
kd_sim_machine_new(const KdSimMachineOptions *options)
{
    KdSimMachine *machine = g_new0(KdSimMachine, 1);
    if (options != NULL)
        machine->options = *options;
    if (machine->options.read_max_bytes == 0)
        machine->options.read_max_bytes = KD_SIM_READ_MAX_BYTES;
    machine->core.read_max_bytes = machine->options.read_max_bytes;
    machine->core.build =
        machine->options.build != 0 ? machine->options.build : KD_SIM_VERSION_MINOR;
    kd_sim_memory_init(&machine->core.memory);
    kd_sim_core_boot(&machine->core);
    g_queue_init(&machine->orders);
    machine->has_debugger = TRUE;
    machine->deadline_us = -1;
    return machine;
}

/**
 * kd_sim_machine_free:
 *
 * The link must have gone before.
 */
void
kd_sim_machine_free(KdSimMachine *machine)
{
    g_queue_clear_full(&machine->orders, g_free);
    kd_sim_memory_clear(&machine->core.memory);
    g_free(machine);
}

/**
 * kd_sim_machine_attach:
 * @port: copied
 *
 * Connects the link's side of a machine.
 */
void
kd_sim_machine_attach(KdSimMachine *machine, const KdSimPort *port, void *user)
{
    machine->port = *port;
    machine->port_user = user;
}

/**
 * kd_sim_machine_say:
 *
 * Sends a packet; the machine does nothing else until it is taken.
 */
void
kd_sim_machine_say(KdSimMachine *machine, KdSimSends sends, const KdSimMessage *message,
                   gint64 now_us)
{
    machine->state = KD_SIM_STATE_SENDING;
    machine->sends = sends;
    machine->port.send(message, now_us, machine->port_user);
}

/**
 * kd_sim_machine_ask:
 * @payload_bytes: of question_payload
 *
 * Sends what has to be answered: it stays, for it may have to be said again.
 */
void
kd_sim_machine_ask(KdSimMachine *machine, KdSimSends sends, uint16_t type, size_t payload_bytes,
                   uint32_t tries, gint64 now_us)
{
    machine->question = (KdSimMessage){
        .type = type,
        .tries = tries,
        .payload = machine->question_payload,
        .payload_bytes = payload_bytes,
    };
    kd_sim_machine_say(machine, sends, &machine->question, now_us);
}

static void
print(KdSimMachine *machine, KdSimSends sends, const char *text, gint64 now_us)
{
    size_t len_bytes = strlen(text);
    memset(machine->payload, 0, 16);
    kd_sim_put32(machine->payload, 0x3230);
    kd_sim_put16(machine->payload + 4, 6);
    kd_sim_put32(machine->payload + 8, (uint32_t)len_bytes);
    memcpy(machine->payload + 16, text, len_bytes);
    KdSimMessage message = {
        .type = KD_SIM_TYPE_DEBUG_IO,
        .tries = TRIES,
        .payload = machine->payload,
        .payload_bytes = 16 + len_bytes,
    };
    kd_sim_machine_say(machine, sends, &message, now_us);
}

static void
count_ticks(KdSimMachine *machine, gint64 now_us)
{
    size_t available = 0;
    uint8_t *ticks =
        kd_sim_memory_find(&machine->core.memory, KD_SIM_TICKS_ADDRESS, FALSE, &available);
    gint64 since_us = now_us - machine->run_since_us;
    kd_sim_put64(ticks, kd_sim_get64(ticks) + (uint64_t)(since_us / KD_SIM_TICK_US));
    machine->run_since_us = now_us - since_us % KD_SIM_TICK_US;
}

static void
halt(KdSimMachine *machine, uint32_t code, uint64_t pc, gint64 now_us)
{
    count_ticks(machine, now_us);
    machine->stat.state_changes++;
    machine->stat.exceptions++;
    kd_sim_core_set_pc(&machine->core, pc);
    size_t len_bytes = kd_sim_report_exception(&machine->core, code, machine->question_payload);
    kd_sim_machine_ask(machine, KD_SIM_SENDS_REPORT, KD_SIM_TYPE_STATE_CHANGE, len_bytes, 0,
                       now_us);
}

/**
 * kd_sim_machine_run:
 *
 * The machine runs on, as far as it gets.
 */
void
kd_sim_machine_run(KdSimMachine *machine, gint64 now_us)
{
    machine->state = KD_SIM_STATE_RUNNING;
    machine->core.processor = 0;
    machine->port.listen(0, now_us, machine->port_user);
    proceed(machine, now_us);
}

/* Returns: whether it has said something; a string that nobody is there for costs nothing */
static gboolean
print_next(KdSimMachine *machine, gint64 now_us)
{
    char text[64];
    machine->stat.prints++;
    if (!machine->has_debugger) {
        machine->stat.unheard++;
        return FALSE;
    }
    g_snprintf(text, sizeof text, KD_SIM_PRINT_FORMAT, (guint)machine->stat.prints);
    print(machine, KD_SIM_SENDS_PRINT, text, now_us);
    return TRUE;
}

static gboolean
report_module(KdSimMachine *machine, gint64 now_us)
{
    if (!machine->has_debugger)
        return FALSE;
    count_ticks(machine, now_us);
    machine->stat.load_symbols++;
    machine->stat.state_changes++;
    size_t len_bytes = kd_sim_report_load_symbols(&machine->core, machine->question_payload);
    kd_sim_machine_ask(machine, KD_SIM_SENDS_REPORT, KD_SIM_TYPE_STATE_CHANGE, len_bytes, TRIES,
                       now_us);
    return TRUE;
}

static gboolean
prompt(KdSimMachine *machine, gint64 now_us)
{
    if (!machine->has_debugger)
        return FALSE;
    uint8_t *payload = machine->question_payload;
    memset(payload, 0, 16);
    kd_sim_put32(payload, 0x3231);
    kd_sim_put16(payload + 4, 6);
    kd_sim_put32(payload + 8, sizeof KD_SIM_PROMPT_TEXT - 1);
    kd_sim_put32(payload + 12, sizeof machine->string_read - 1);
    memcpy(payload + 16, KD_SIM_PROMPT_TEXT, sizeof KD_SIM_PROMPT_TEXT - 1);
    kd_sim_machine_ask(machine, KD_SIM_SENDS_PROMPT, KD_SIM_TYPE_DEBUG_IO,
                       16 + sizeof KD_SIM_PROMPT_TEXT - 1, 0, now_us);
    return TRUE;
}

static gboolean
ask_for_file(KdSimMachine *machine, gint64 now_us)
{
    static const char name[] = KD_SIM_FILE_NAME;
    if (!machine->has_debugger)
        return FALSE;
    uint8_t *payload = machine->question_payload;
    memset(payload, 0, 64);
    kd_sim_put32(payload, 0x3430);
    kd_sim_put32(payload + 4, 0x103);
    kd_sim_put32(payload + 8, 0x80000000u); /* to read */
    kd_sim_put32(payload + 20, 1);          /* if it is there */
    for (size_t i = 0; i < sizeof name; i++)
        kd_sim_put16(payload + 64 + 2 * i, (uint16_t)name[i]);
    kd_sim_machine_ask(machine, KD_SIM_SENDS_FILE, KD_SIM_TYPE_FILE_IO, 64 + 2 * sizeof name, TRIES,
                       now_us);
    return TRUE;
}

/* Returns: whether the machine is busy with it */
static gboolean
follow(KdSimMachine *machine, KdSimOrder *order, gint64 now_us)
{
    switch (order->kind) {
    case KD_SIM_ORDER_PRINT:
        return print_next(machine, now_us);
    case KD_SIM_ORDER_LOAD_SYMBOLS:
        return report_module(machine, now_us);
    case KD_SIM_ORDER_GET_STRING:
        return prompt(machine, now_us);
    case KD_SIM_ORDER_CREATE_FILE:
        return ask_for_file(machine, now_us);
    case KD_SIM_ORDER_RAISE:
    default:
        halt(machine, KD_SIM_CODE_FAULT, KD_SIM_FAULT_ADDRESS, now_us);
        return TRUE;
    }
}

/* What a running machine does next, until it waits for somebody or for the clock. */
static void
proceed(KdSimMachine *machine, gint64 now_us)
{
    machine->deadline_us = -1;
    if (machine->is_step_due) {
        machine->is_step_due = FALSE;
        halt(machine, KD_SIM_CODE_STEP, kd_sim_core_get_pc(&machine->core) + 1, now_us);
        return;
    }
    if (machine->is_refresh_due && machine->has_debugger) {
        machine->is_refresh_due = FALSE;
        print(machine, KD_SIM_SENDS_REFRESH, KD_SIM_REFRESH_TEXT, now_us);
        return;
    }
    if (machine->is_break_due) {
        machine->is_break_due = FALSE;
        halt(machine, KD_SIM_CODE_BREAKPOINT, KD_SIM_BREAK_ADDRESS, now_us);
        return;
    }
    for (KdSimOrder *next = NULL; (next = g_queue_peek_head(&machine->orders)) != NULL;) {
        KdSimOrder order = *next;
        if (--next->count == 0)
            g_free(g_queue_pop_head(&machine->orders));
        if (follow(machine, &order, now_us))
            return;
    }
    if (kd_sim_memory_has_breakpoint(&machine->core.memory, KD_SIM_TICK_ADDRESS))
        machine->deadline_us =
            now_us + KD_SIM_TICK_US - (now_us - machine->run_since_us) % KD_SIM_TICK_US;
}

static void
finish_boot(KdSimMachine *machine, gint64 now_us)
{
    machine->deadline_us = -1;
    machine->run_since_us = now_us;
    if (machine->options.is_run_at_boot && machine->stat.boots == 1)
        kd_sim_machine_run(machine, now_us);
    else
        halt(machine, KD_SIM_CODE_BREAKPOINT, KD_SIM_BREAK_ADDRESS, now_us);
}

static void
begin_boot(KdSimMachine *machine, gint64 boot_us, gint64 now_us)
{
    machine->stat.boots++;
    machine->state = KD_SIM_STATE_BOOTING;
    machine->has_debugger = TRUE;
    machine->is_refresh_due = FALSE;
    machine->is_break_due = FALSE;
    machine->is_step_due = FALSE;
    g_queue_clear_full(&machine->orders, g_free);
    kd_sim_core_boot(&machine->core);
    machine->port.reset(now_us, machine->port_user);
    machine->deadline_us = now_us + boot_us;
    if (boot_us == 0)
        finish_boot(machine, now_us);
}

/**
 * kd_sim_machine_boot:
 *
 * Switches the machine on: it boots at once, and then stops or runs as its options say.
 */
void
kd_sim_machine_boot(KdSimMachine *machine, gint64 now_us)
{
    begin_boot(machine, 0, now_us);
}

/**
 * kd_sim_machine_reboot:
 *
 * The machine forgets everything, takes its time to boot, and stops as with `!kdbreak` at boot.
 */
void
kd_sim_machine_reboot(KdSimMachine *machine, gint64 now_us)
{
    begin_boot(machine, machine->options.boot_us, now_us);
}

/**
 * kd_sim_machine_break_in:
 *
 * Halts a running machine; one that does not run halts as soon as it does.
 */
void
kd_sim_machine_break_in(KdSimMachine *machine, gint64 now_us)
{
    if (machine->state == KD_SIM_STATE_OFF || machine->state == KD_SIM_STATE_BOOTING)
        return;
    machine->stat.break_ins++;
    machine->is_break_due = TRUE;
    kd_sim_machine_set_debugger(machine, TRUE, now_us);
    if (machine->state == KD_SIM_STATE_RUNNING)
        proceed(machine, now_us);
}

/**
 * kd_sim_machine_set_debugger:
 *
 * There is somebody to listen, as it seems; or there is not.
 */
void
kd_sim_machine_set_debugger(KdSimMachine *machine, gboolean is_present, gint64 now_us)
{
    if (machine->has_debugger == is_present)
        return;
    machine->has_debugger = is_present;
    if (is_present && machine->state == KD_SIM_STATE_RUNNING && machine->is_refresh_due)
        proceed(machine, now_us);
}

static void
order(KdSimMachine *machine, KdSimOrderKind kind, uint32_t count, gint64 now_us)
{
    if (count == 0)
        return;
    KdSimOrder *added = g_new(KdSimOrder, 1);
    *added = (KdSimOrder){.kind = kind, .count = count};
    g_queue_push_tail(&machine->orders, added);
    if (machine->state == KD_SIM_STATE_RUNNING)
        proceed(machine, now_us);
}

/**
 * kd_sim_machine_print:
 *
 * Lets the machine print @n_prints debug strings, each when the one before was taken.
 */
void
kd_sim_machine_print(KdSimMachine *machine, uint32_t n_prints, gint64 now_us)
{
    order(machine, KD_SIM_ORDER_PRINT, n_prints, now_us);
}

/**
 * kd_sim_machine_raise:
 *
 * Lets the machine halt by an exception.
 */
void
kd_sim_machine_raise(KdSimMachine *machine, gint64 now_us)
{
    order(machine, KD_SIM_ORDER_RAISE, 1, now_us);
}

/**
 * kd_sim_machine_load_symbols:
 *
 * Lets the machine load a module, and wait for Continue.
 */
void
kd_sim_machine_load_symbols(KdSimMachine *machine, gint64 now_us)
{
    order(machine, KD_SIM_ORDER_LOAD_SYMBOLS, 1, now_us);
}

/**
 * kd_sim_machine_get_string:
 *
 * Lets the machine ask the debugger for a string, and wait for it.
 */
void
kd_sim_machine_get_string(KdSimMachine *machine, gint64 now_us)
{
    order(machine, KD_SIM_ORDER_GET_STRING, 1, now_us);
}

/**
 * kd_sim_machine_create_file:
 *
 * Lets the machine ask whether the debugger has a driver for it, and wait for the answer.
 */
void
kd_sim_machine_create_file(KdSimMachine *machine, gint64 now_us)
{
    order(machine, KD_SIM_ORDER_CREATE_FILE, 1, now_us);
}

/**
 * kd_sim_machine_get_deadline_us:
 *
 * Returns: when kd_sim_machine_tick() has to be called; -1: never
 */
gint64
kd_sim_machine_get_deadline_us(const KdSimMachine *machine)
{
    return machine->deadline_us;
}

/**
 * kd_sim_machine_tick:
 *
 * Does what is due: the end of a boot, the instruction of each clock tick.
 */
void
kd_sim_machine_tick(KdSimMachine *machine, gint64 now_us)
{
    if (machine->deadline_us < 0 || now_us < machine->deadline_us)
        return;
    machine->deadline_us = -1;
    if (machine->state == KD_SIM_STATE_BOOTING) {
        finish_boot(machine, now_us);
    } else if (machine->state == KD_SIM_STATE_RUNNING) {
        machine->stat.breakpoints++;
        halt(machine, KD_SIM_CODE_BREAKPOINT, KD_SIM_TICK_ADDRESS, now_us);
    }
}

/**
 * kd_sim_machine_is_running:
 *
 * Returns: whether it is on and not halted; it may wait for what it says to be taken
 */
gboolean
kd_sim_machine_is_running(const KdSimMachine *machine)
{
    return machine->state == KD_SIM_STATE_RUNNING ||
           (machine->state == KD_SIM_STATE_SENDING &&
            (machine->sends == KD_SIM_SENDS_PRINT || machine->sends == KD_SIM_SENDS_REFRESH));
}

/**
 * kd_sim_machine_is_booting:
 */
gboolean
kd_sim_machine_is_booting(const KdSimMachine *machine)
{
    return machine->state == KD_SIM_STATE_BOOTING;
}

/**
 * kd_sim_machine_has_debugger:
 *
 * Returns: whether the machine believes that somebody listens
 */
gboolean
kd_sim_machine_has_debugger(const KdSimMachine *machine)
{
    return machine->has_debugger;
}

/**
 * kd_sim_machine_get_backlog:
 *
 * Returns: how many orders the machine has not got to
 */
uint32_t
kd_sim_machine_get_backlog(const KdSimMachine *machine)
{
    uint32_t n = 0;
    for (const GList *item = machine->orders.head; item != NULL; item = item->next)
        n += ((const KdSimOrder *)item->data)->count;
    return n;
}

/**
 * kd_sim_machine_get_string_read:
 *
 * Returns: (transfer none): the last answer to GetString
 */
const char *
kd_sim_machine_get_string_read(const KdSimMachine *machine)
{
    return machine->string_read;
}

/**
 * kd_sim_machine_get_stat:
 *
 * Returns: (transfer none):
 */
const KdSimMachineStat *
kd_sim_machine_get_stat(const KdSimMachine *machine)
{
    return &machine->stat;
}

/**
 * kd_sim_machine_peek:
 *
 * Returns: (nullable) (transfer none): @len_bytes of memory as they are, without any link
 */
const uint8_t *
kd_sim_machine_peek(const KdSimMachine *machine, uint64_t address, size_t len_bytes)
{
    size_t available = 0;
    const uint8_t *bytes = kd_sim_memory_find(&machine->core.memory, address, FALSE, &available);
    return available >= len_bytes ? bytes : NULL;
}

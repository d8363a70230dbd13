/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated machine: a small 64-bit kernel with a debugger's port. No I/O; time is given. */
#pragma once

#include "kd-sim-facts.h"
#include "kd-sim-packet.h"

typedef struct KdSimMachine KdSimMachine;

/**
 * KdSimMachineOptions:
 * @read_max_bytes: 0: %KD_SIM_READ_MAX_BYTES
 * @build: of the kernel; 0: %KD_SIM_VERSION_MINOR
 * @boot_us: how long a reboot takes, in which nothing is heard
 * @is_run_at_boot: it does not stop when it has booted
 */
typedef struct {
    uint32_t read_max_bytes;
    uint16_t build;
    gint64 boot_us;
    gboolean is_run_at_boot;
} KdSimMachineOptions;

/**
 * KdSimMessage:
 * @tries: after how many attempts without an answer nobody is thought to be there; 0: never
 * @payload: borrowed, until the next call into the machine
 */
typedef struct {
    uint16_t type;
    uint32_t tries;
    const uint8_t *payload;
    size_t payload_bytes;
} KdSimMessage;

/**
 * KdSimPort:
 * @send: sends one packet until it has been taken or @tries are over; kd_sim_machine_sent()
 * follows, never from within
 * @listen: from now on packets of @type go to kd_sim_machine_received(); 0: the machine runs and
 *    listens for break-ins alone
 * @reset: the machine is booting: everything is forgotten, nothing is heard until the next call
 *
 * The link's side of a machine. @tries runs out: the link says so, and begins with fresh ids.
 */
typedef struct {
    void (*send)(const KdSimMessage *message, gint64 now_us, void *user);
    void (*listen)(uint16_t type, gint64 now_us, void *user);
    void (*reset)(gint64 now_us, void *user);
} KdSimPort;

/* Counted since the program began; `stat` shows all of it */
typedef struct {
    uint64_t prints; /* strings that it has printed, whoever saw them */
    uint64_t acked;  /* of these strings, those that were taken */
    uint64_t taken;  /* packets, of all types */
    uint64_t gave_up;
    uint64_t unheard; /* strings that nobody was there for */
    uint64_t requests;
    uint64_t reads;
    uint64_t writes;
    uint64_t refused; /* requests answered by a failure */
    uint64_t state_changes;
    uint64_t exceptions;  /* state changes that are exceptions, break-ins among them */
    uint64_t breakpoints; /* how often one was hit */
    uint64_t break_ins;
    uint64_t continues;
    uint64_t load_symbols;
    uint64_t strings; /* answers to GetString */
    uint64_t files;   /* answers to a file's creation */
    uint64_t file_status;
    uint64_t boots;
} KdSimMachineStat;

KdSimMachine *kd_sim_machine_new(const KdSimMachineOptions *options);
void kd_sim_machine_free(KdSimMachine *machine);
void kd_sim_machine_attach(KdSimMachine *machine, const KdSimPort *port, void *user);
void kd_sim_machine_boot(KdSimMachine *machine, gint64 now_us);

/* what the link tells */
void kd_sim_machine_sent(KdSimMachine *machine, gboolean is_taken, gint64 now_us);
void kd_sim_machine_received(KdSimMachine *machine, uint16_t type, const uint8_t *payload,
                             size_t payload_bytes, gint64 now_us);
void kd_sim_machine_repeat(KdSimMachine *machine, gint64 now_us);
void kd_sim_machine_break_in(KdSimMachine *machine, gint64 now_us);
void kd_sim_machine_set_debugger(KdSimMachine *machine, gboolean is_present, gint64 now_us);

/* what people and tests order: done as soon as the machine runs */
void kd_sim_machine_print(KdSimMachine *machine, uint32_t n_prints, gint64 now_us);
void kd_sim_machine_raise(KdSimMachine *machine, gint64 now_us);
void kd_sim_machine_load_symbols(KdSimMachine *machine, gint64 now_us);
void kd_sim_machine_get_string(KdSimMachine *machine, gint64 now_us);
void kd_sim_machine_create_file(KdSimMachine *machine, gint64 now_us);
void kd_sim_machine_reboot(KdSimMachine *machine, gint64 now_us);

gint64 kd_sim_machine_get_deadline_us(const KdSimMachine *machine);
void kd_sim_machine_tick(KdSimMachine *machine, gint64 now_us);

gboolean kd_sim_machine_is_running(const KdSimMachine *machine);
gboolean kd_sim_machine_is_booting(const KdSimMachine *machine);
gboolean kd_sim_machine_has_debugger(const KdSimMachine *machine);
uint32_t kd_sim_machine_get_backlog(const KdSimMachine *machine);
const char *kd_sim_machine_get_string_read(const KdSimMachine *machine);
const KdSimMachineStat *kd_sim_machine_get_stat(const KdSimMachine *machine);
const uint8_t *kd_sim_machine_peek(const KdSimMachine *machine, uint64_t address, size_t len_bytes);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimMachine, kd_sim_machine_free)

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small debugger of the KD protocol for tests: a host with the manners of the documented ones.
 * All calls wait, none for ever. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

typedef struct KdDebugger KdDebugger;

/* What a caller may tell apart; beside these G_IO_ERROR of descriptors and sockets */
typedef enum {
    KD_DEBUGGER_ERROR_TIMEOUT = 0,  /* nobody has acknowledged or answered                       */
    KD_DEBUGGER_ERROR_END = 1,      /* the link has ended                                        */
    KD_DEBUGGER_ERROR_STATUS = 2,   /* the target has refused; its status stands in the message  */
    KD_DEBUGGER_ERROR_ANSWER = 3,   /* the answer does not belong to what was asked              */
    KD_DEBUGGER_ERROR_RESTART = 4,  /* the target has shown another state change meanwhile       */
    KD_DEBUGGER_ERROR_BYTES = 5,    /* the memory does not hold what it should                   */
    KD_DEBUGGER_ERROR_ARGUMENT = 6, /* a script or a key that cannot be understood               */
} KdDebuggerError;

#define KD_DEBUGGER_ERROR (kd_debugger_error_quark())

/* KdDebuggerStop.kind: the number of a state change */
enum {
    KD_DEBUGGER_STOP_EXCEPTION = 0x3030,
    KD_DEBUGGER_STOP_LOAD_SYMBOLS = 0x3031,
    KD_DEBUGGER_STOP_COMMAND = 0x3032,
};

/**
 * KdDebuggerStop:
 * @kind: KD_DEBUGGER_STOP_EXCEPTION and so on
 * @processor: that has stopped
 * @n_processors: of the machine
 * @thread: address of its structure
 * @pc: where it stands
 * @code: of the exception
 * @address: of the exception
 * @is_first_chance: of the exception
 * @is_sync: the packet had the sync bit: first of its link, or shown anew
 *
 * A state change: the target stands and waits for requests.
 */
typedef struct {
    uint32_t kind;
    uint16_t processor;
    uint32_t n_processors;
    uint64_t thread;
    uint64_t pc;
    uint32_t code;
    uint64_t address;
    gboolean is_first_chance;
    gboolean is_sync;
} KdDebuggerStop;

/* The answer to GetVersion */
typedef struct {
    uint16_t major;
    uint16_t minor;
    uint8_t protocol;
    uint16_t flags;
    uint16_t machine;
    uint64_t kernel_base;
    uint64_t module_list;
    uint64_t debugger_data;
} KdDebuggerVersion;

/**
 * KdDebuggerCounts:
 * @n_sent: packets, all kinds, repeats included
 * @n_received: whole packets, all kinds
 * @n_repeats: of a packet of ours that was not acknowledged
 * @n_duplicates: acknowledged and dropped
 * @n_damaged: RESEND was said to
 * @n_resends: RESEND packets from the target
 * @n_resets: RESET packets from the target
 * @n_syncs: packets with the sync bit
 * @n_break_ins: sent
 * @n_prints: debug strings
 */
typedef struct {
    uint64_t n_sent;
    uint64_t n_received;
    uint64_t n_repeats;
    uint64_t n_duplicates;
    uint64_t n_damaged;
    uint64_t n_resends;
    uint64_t n_resets;
    uint64_t n_syncs;
    uint64_t n_break_ins;
    uint64_t n_prints;
} KdDebuggerCounts;

/* How kd_debugger_attach() makes itself known */
typedef enum {
    KD_DEBUGGER_ATTACH_ASKS = 0,    /* RESET, then break-in, in turns, as the documented ones do */
    KD_DEBUGGER_ATTACH_BREAKS = 1,  /* break-in first                                            */
    KD_DEBUGGER_ATTACH_LISTENS = 2, /* says nothing: the state change must come by itself        */
} KdDebuggerManner;

GQuark kd_debugger_error_quark(void);

KdDebugger *kd_debugger_new(int in, int out);
KdDebugger *kd_debugger_new_net(uint16_t port, const char *key, GError **error);
void kd_debugger_free(KdDebugger *debugger);
void kd_debugger_set_patience_ms(KdDebugger *debugger, guint patience_ms);
uint16_t kd_debugger_get_net_port(const KdDebugger *debugger);

gboolean kd_debugger_attach(KdDebugger *debugger, KdDebuggerManner manner, KdDebuggerStop *stop,
                            GError **error);
gboolean kd_debugger_get_version(KdDebugger *debugger, KdDebuggerVersion *version, GError **error);
gboolean kd_debugger_read(KdDebugger *debugger, uint64_t address, void *bytes, size_t len_bytes,
                          GError **error);
gboolean kd_debugger_read_once(KdDebugger *debugger, uint64_t address, void *bytes,
                               size_t len_bytes, size_t *n_read, GError **error);
gboolean kd_debugger_write(KdDebugger *debugger, uint64_t address, const void *bytes,
                           size_t len_bytes, GError **error);
GBytes *kd_debugger_get_context(KdDebugger *debugger, GError **error);
gboolean kd_debugger_set_context(KdDebugger *debugger, GBytes *context, GError **error);
gboolean kd_debugger_set_breakpoint(KdDebugger *debugger, uint64_t address, uint32_t *number,
                                    GError **error);
gboolean kd_debugger_clear_breakpoint(KdDebugger *debugger, uint32_t number, GError **error);
gboolean kd_debugger_continue(KdDebugger *debugger, GError **error);
gboolean kd_debugger_reboot(KdDebugger *debugger, GError **error);
gboolean kd_debugger_wait(KdDebugger *debugger, guint timeout_ms, KdDebuggerStop *stop,
                          GError **error);
gboolean kd_debugger_break_in(KdDebugger *debugger, KdDebuggerStop *stop, GError **error);
gboolean kd_debugger_settle(KdDebugger *debugger, guint quiet_ms, GError **error);

gboolean kd_debugger_send_break_in(KdDebugger *debugger, GError **error);
gboolean kd_debugger_send_reset(KdDebugger *debugger, GError **error);
gboolean kd_debugger_send_read(KdDebugger *debugger, uint64_t address, size_t len_bytes,
                               GError **error);

const char *kd_debugger_get_prints(const KdDebugger *debugger);
void kd_debugger_clear_prints(KdDebugger *debugger);
void kd_debugger_get_counts(const KdDebugger *debugger, KdDebuggerCounts *counts);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdDebugger, kd_debugger_free)

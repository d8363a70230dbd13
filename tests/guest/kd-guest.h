/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a test in the guest stands on: QEMU's monitor, far ends of wires, adapters to plug in. */
#pragma once

#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

/* where the USB devices are that the guest is itself */
#define KD_GUEST_GADGETS "/sys/kernel/config/usb_gadget"

/**
 * KdGuest:
 * @stage: folder, ports and server, as for every end-to-end test
 * @is_there: whether this is the guest; if not, the test is skipped
 * @monitor: QEMU's
 * @n_asked: of the monitor, so far
 * @heard: what it has said and nobody has taken yet
 * @last_gone: (nullable): what it has said about the device that was taken away last
 * @trace_from: how long the trace was before the test
 *
 * The fixture of all tests in the guest.
 */
typedef struct {
    KdE2eStage stage;
    gboolean is_there;
    int monitor;
    guint n_asked;
    GString *heard;
    char *last_gone;
    gsize trace_from;
} KdGuest;

typedef void (*KdGuestTest)(KdGuest *guest);

void kd_guest_add(const char *path, KdGuestTest test);
void kd_guest_add_for(const char *path, const char *scheme, KdGuestTest test);
gboolean kd_guest_ask(KdGuest *guest, const char *command, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
void kd_guest_plug(KdGuest *guest, const char *wire, const char *serial);
void kd_guest_unplug(KdGuest *guest, const char *wire);
int kd_guest_open_wire(const char *name);
void kd_guest_await_path(const char *path, gboolean is_there);
char *kd_guest_build_by_id(const char *serial);
void kd_guest_trace(KdGuest *guest, const char *event, gboolean is_on);
char *kd_guest_read_trace(const KdGuest *guest, const char *event);
char *kd_guest_read_file(const char *format, ...) G_GNUC_PRINTF(1, 2);

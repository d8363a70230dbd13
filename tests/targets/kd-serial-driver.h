/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fake at the lowest edge: a driver behind one real pseudo-terminal, for what those lack. */
#pragma once

#include "kd-serial-stage.h"

#include <linux/serial.h>
#include <sys/types.h>

/**
 * KdSerialDriver:
 *
 * What the driver does, and what was done to it. Bytes, speeds, locks and the end are the
 * pseudo-terminal's own.
 */
typedef struct {
    dev_t terminal;
    /* what it can do */
    gboolean is_device; /* fstat() says ttyUSB7 */
    gboolean has_break;
    gboolean has_flush; /* TCOFLUSH drops what is unsent; that of USB adapters does not */
    gboolean has_uart_status;
    gboolean has_modem;
    gboolean has_counts;
    gboolean has_settings; /* struct serial_struct */
    gboolean has_low_latency;
    /* its state */
    int unsent;
    gboolean is_uart_busy;
    unsigned modem;
    struct serial_icounter_struct counts;
    int flags;
    int error;          /* errno of everything */
    int open_error;     /* errno of what follows open() */
    guint n_interrupts; /* so many BREAKs end with EINTR */
    /* what was done */
    guint n_unsent_looks;
    guint n_opens;
    guint n_refusals;
    guint n_breaks;
    gboolean is_breaking;
    gint64 break_began_us;
    gint64 break_ended_us;
    pid_t closed_by; /* the thread of the last close() */
} KdSerialDriver;

extern KdSerialDriver kd_serial_driver;

/* The device that fstat() tells with is_device */
#define KD_SERIAL_DEVICE_MAJOR 188u
#define KD_SERIAL_DEVICE_MINOR 7u

void kd_serial_driver_attach(const char *path);

/* A pseudo-terminal with the driver behind it, and a link on it */
typedef struct {
    KdSerialSession session;
    int master;
    char *path;
} KdSerialDriven;

void kd_serial_driven_prepare(KdSerialDriven *line);
void kd_serial_driven_open(KdSerialDriven *line, const char *keys);
void kd_serial_driven_close(KdSerialDriven *line);
void kd_serial_driven_wait_for_looks(guint n_looks);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The serial ports that the kernel knows, and what they call themselves. */
#pragma once

#include <gio/gio.h>

#include <sys/types.h>

/**
 * SerialPort:
 * @node: `/dev/ttyUSB0`
 * @name: for people, one line; no two ports of a search have the same
 * @number: of the device
 * @aliases: (element-type char): links to @node that udev has made
 *
 * A serial port of this machine.
 */
typedef struct {
    char *node;
    char *name;
    dev_t number;
    GPtrArray *aliases;
} SerialPort;

void serial_port_free(SerialPort *port);
void serial_udev_find_ports(GPtrArray *ports, GCancellable *cancellable);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialPort, serial_port_free)

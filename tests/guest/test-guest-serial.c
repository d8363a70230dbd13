/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serial lines on the kernel's own drivers: an FTDI adapter on USB and a 16550. QEMU is the chip
 * and the far side: it tells what a driver has told the chip, and passes bytes on at any speed. A
 * BREAK does not come out of its sockets, so that is looked for in what the chip was told. */
#include "guest-serial.h"

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guest_serial_add_bytes();
    guest_serial_add_control();
    guest_serial_add_plug();
    guest_serial_add_rival();
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debug links on the kernel's own USB and FireWire stacks, with a simulated target at the other end
 * of the cable, which is there in software only. */
#include "guest-kd.h"

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guest_kd_add_usb();
    guest_kd_add_1394();
    return g_test_run();
}

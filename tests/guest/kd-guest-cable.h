/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The FireWire cable of tests/guest/dummyfw, and the nodes at its ends. */
#pragma once

#include <glib.h>

/* Whose node it is, and whose card sees it */
typedef enum {
    KD_GUEST_CABLE_DEBUGGER = 0, /* the debugger's card, as it sees itself */
    KD_GUEST_CABLE_TARGET = 1,   /* the target's card, as it sees itself   */
    KD_GUEST_CABLE_SEEN = 2,     /* the target, as the debugger sees it    */
} KdGuestCableNode;

gboolean kd_guest_cable_is_missing(void);
char *kd_guest_cable_await_node(KdGuestCableNode node);
void kd_guest_cable_await_entries(void);
void kd_guest_cable_plug(gboolean is_in);
int kd_guest_cable_reset(KdGuestCableNode by);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated target at a cable that umockdev lends; it lives in a thread of its own. */
#pragma once

#include "kd-sim-target.h"
#include "kd-usb-mock.h"

typedef struct KdUsbTarget KdUsbTarget;

/**
 * KdUsbTargetOptions:
 * @sim: of the simulated target; its dialect is USB
 * @chaos_percent: of all transfers, those with which something goes wrong
 * @is_replugged: a machine that restarts leaves the bus, and comes back when it has booted
 */
typedef struct {
    KdSimTargetOptions sim;
    guint chaos_percent;
    gboolean is_replugged;
} KdUsbTargetOptions;

KdUsbTarget *kd_usb_target_new(KdUsbMock *mock, const KdUsbTargetOptions *options);
void kd_usb_target_free(KdUsbTarget *target);
void kd_usb_target_unplug(KdUsbTarget *target);
void kd_usb_target_plug(KdUsbTarget *target);
guint kd_usb_target_get_n_plugged(KdUsbTarget *target);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdUsbTarget, kd_usb_target_free)

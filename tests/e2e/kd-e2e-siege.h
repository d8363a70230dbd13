/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that stop in the middle of the way in: many, from several addresses, and again and again.
 */
#pragma once

#include <glib.h>

/**
 * KdE2eSiegeReport:
 * @n_dialled: connections made
 * @n_refused: of these, gone within half a second
 * @n_let_in: of these, gone later
 * @longest_us: for how long one of them has lived, those that live still included
 */
typedef struct {
    guint n_dialled;
    guint n_refused;
    guint n_let_in;
    gint64 longest_us;
} KdE2eSiegeReport;

typedef struct KdE2eSiege KdE2eSiege;

KdE2eSiege *kd_e2e_siege_new(guint port, guint n_clients, guint n_sources, GBytes *said);
guint kd_e2e_siege_await_let_in(KdE2eSiege *siege, guint n);
void kd_e2e_siege_stop(KdE2eSiege *siege, KdE2eSiegeReport *report);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal with somebody at it, for programs that ask. */
#pragma once

#include "kd-e2e-program.h"

/**
 * KdE2eTerminal:
 * @setup: for the program that shall have it
 * @name: of the terminal
 * @screen: all that was to be seen on it
 */
typedef struct {
    KdE2eSetup setup;
    char *name;
    GString *screen;
    gsize seen;
    int fd;
    int line; /* its other side: a terminal stays where nobody has it open */
} KdE2eTerminal;

void kd_e2e_terminal_set_up(KdE2eTerminal *terminal, const KdE2eSetup *setup);
void kd_e2e_terminal_clear(KdE2eTerminal *terminal);
void kd_e2e_terminal_await(KdE2eTerminal *terminal, const char *text);
void kd_e2e_terminal_type(const KdE2eTerminal *terminal, const char *text);
void kd_e2e_terminal_read_rest(KdE2eTerminal *terminal);
gboolean kd_e2e_terminal_has_echo(const KdE2eTerminal *terminal);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KdE2eTerminal, kd_e2e_terminal_clear)

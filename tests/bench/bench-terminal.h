/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pseudo-terminals of the harness: a line with the target at its far end. */
#pragma once

int bench_terminal_listen(const char *path);
int bench_terminal_connect(const char *path, unsigned deadline_s);

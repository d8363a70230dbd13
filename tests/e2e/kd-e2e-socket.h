/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of a test: everything waits, nothing waits for ever. */
#pragma once

#include "kd-e2e-program.h"

#include <stddef.h>
#include <stdint.h>

int kd_e2e_dial(const char *from, guint port);
int kd_e2e_dial_unix(const char *path);
int kd_e2e_listen_unix(const char *path);
int kd_e2e_accept(int listener);
gboolean kd_e2e_is_readable(int fd, guint timeout_ms);
gsize kd_e2e_read_some(int fd, void *buf, gsize len);
void kd_e2e_read(int fd, void *buf, gsize len);
void kd_e2e_write(int fd, const void *buf, gsize len);
void kd_e2e_expect(int fd, const char *text);
void kd_e2e_expect_end(int fd);
char *kd_e2e_steer(int steer, const char *order);
void kd_e2e_order(int steer, const char *order);
guint64 kd_e2e_count(int steer, const char *counter);

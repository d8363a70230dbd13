/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting, without blocking, until a line has sent what it has taken. */
#pragma once

#include "serial-line.h"

typedef struct SerialSending SerialSending;

/**
 * SerialSendingFunc:
 * @unsent_bytes: 0: all has left; else what is stuck when the limit has passed
 *
 * Called once; it may free the SerialSending.
 */
typedef void (*SerialSendingFunc)(uint32_t unsent_bytes, gpointer user_data);

SerialSending *serial_sending_new(const SerialLine *line, uint32_t limit_ms, SerialSendingFunc fn,
                                  gpointer user_data);
uint32_t serial_sending_get_limit_ms(const SerialSending *sending);
void serial_sending_free(SerialSending *sending);

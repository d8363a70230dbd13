/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sysfs of the test's own, with one USB adapter in it. */
#pragma once

#include "kd-serial-driver.h"

gboolean kd_serial_sysfs_enter(void);
void kd_serial_sysfs_plug(const char *vendor, const char *product, const char *serial,
                          const char *interface);
void kd_serial_sysfs_unplug(void);
char *kd_serial_sysfs_build_path(const char *attribute);
char *kd_serial_sysfs_read(const char *attribute);
void kd_serial_sysfs_write(const char *attribute, const char *text);

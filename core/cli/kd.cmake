# SPDX-License-Identifier: LGPL-2.1-or-later
kd_add_command(kd SOURCES kd.c LINK kd-client)

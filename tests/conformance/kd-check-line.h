/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers that have a descriptor and echo what they read. */
#pragma once

#include "kd-check.h"

void kd_check_lines_listen(KdCheckPeer *peer, const char *path);
void kd_check_lines_add(KdCheckPeer *peer, int fd);
void kd_check_lines_deafen(KdCheckPeer *peer, gboolean is_deaf);
void kd_check_lines_close(KdCheckPeer *peer);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells when nodes come to /dev, go, or get other rights. */
#pragma once

#include <kdsrv/kd-plugin.h>

#define FW_FOLDER "/dev"

/* Neither adds nor removes */
typedef void (*FwFolderFunc)(void *user);

gboolean fw_folder_is_node(const char *name);
void fw_folder_add(const KdHost *host, FwFolderFunc fn, void *user);
void fw_folder_remove(void *user);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a pipe's name: a file that is locked as long as its server lives. */
#pragma once

#include "npipe-folder.h"

int npipe_lock_take(const NpipeFolder *folder, const char *name,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void npipe_lock_release(const NpipeFolder *folder, const char *name, int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin and stdout as one stream, whatever they are: pipes, sockets, terminals, plain files. */
#pragma once

#include <kdsrv/kd-plugin.h>

typedef void (*KdStdioBrokenFunc)(void *user);

gboolean kd_stdio_open(KdEndpoint *endpoint, KdStdioBrokenFunc broken, void *user,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_stdio_build_error(void) G_GNUC_WARN_UNUSED_RESULT;

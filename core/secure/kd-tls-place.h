/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a server is called: by its certificate, in the file of known servers, in the handshake. */
#pragma once

#include <glib.h>

char *kd_tls_place_build(const char *scheme, GVariant *params);
char **kd_tls_place_build_hosts(GVariant *params);
char *kd_tls_place_build_server_name(GVariant *params);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a connection inside TLS says when it fails. */
#pragma once

#include <glib.h>

const char *kd_tls_stream_explain(int error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client asks for: the link that its string names, what it is like, and why it does not get
 * it. */
#pragma once

#include "kd-session.h"

KdLink *kd_request_claim(const KdSessionScope *scope, const KdOpen *request, const char *holder,
                         KdCloseCode *code, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GBytes *kd_request_build_opened(KdLink *link, const KdEndpoint *endpoint, uint64_t id,
                                uint32_t controls);
KdCloseCode kd_request_get_close_code(const GError *error);

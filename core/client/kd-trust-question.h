/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user is told of a server's certificate that nobody vouches for. */
#pragma once

#include "kd-tls-handshake.h"

char *kd_trust_question_build(const char *place, const KdTlsPeer *peer);
gboolean kd_trust_question_is_yes(const char *answer);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a client is, for the log and for those who find its link busy. */
#pragma once

#include <glib.h>

char *kd_identity_build(const char *said, const char *certificate, const char *peer);
GVariant *kd_identity_build_facts(guint64 id, const char *identity, const char *certificate,
                                  const char *peer);

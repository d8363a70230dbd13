/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer to LIST: what the targets find, and which of it a session has. */
#pragma once

#include "kd-session.h"

GBytes *kd_listing_build(const KdSessionScope *scope, GVariant *found, const KdList *request);

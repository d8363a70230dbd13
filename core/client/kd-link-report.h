/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What --list links prints, as text and as JSON. */
#pragma once

#include "kd-message.h"

char *kd_link_report_build_table(const KdListed *listed);
char *kd_link_report_build_json(const KdListed *listed);

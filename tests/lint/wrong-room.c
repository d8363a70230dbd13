/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file of the room wire would be that looks into the room session: it does not compile. */
#include "kd-session.h"

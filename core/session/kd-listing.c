/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer to LIST: what the targets find, and which of it a session has. */
#include "kd-listing.h"

#include "kd-request.h"

/* What the table says counts more than what a plugin sees: a device that only we have open, for
 * the next session, is free, and the one who has it is a session rather than this process. */
static void
take_use(KdListedLink *link, void *user)
{
    const KdSessionScope *scope = user;
    g_autoptr(GVariant) params = NULL;
    const KdTarget *target =
        kd_registry_resolve_target(scope->registry, link->trans, &scope->source, &params, NULL);
    const char *holder = NULL;

    if (target == NULL || !kd_link_table_has(scope->links, target, params, &holder)) {
        return;
    }
    g_free(link->holder);
    link->holder = g_strdup(holder);
    link->use = holder != NULL ? KD_LINK_USE_BUSY : KD_LINK_USE_FREE;
}

/**
 * kd_listing_build:
 * @scope: of the session that asks
 * @found: of %KD_INVENTORY_TYPE
 * @request: what LIST says
 *
 * Lists what the targets found, in their order, as it is at this moment: a link that a session has
 * is busy, and held by that session's identity. What does not fit into one frame is left out, and
 * the answer says so, as it does when a kind of target did not answer.
 *
 * Returns: (transfer full): payload of LISTED
 */
GBytes *
kd_listing_build(const KdSessionScope *scope, GVariant *found, const KdList *request)
{
    g_autoptr(KdListed) listed = kd_listed_new();
    gboolean has_room = TRUE;
    GVariantIter iter;
    const char *scheme;
    gboolean has_answered;
    GVariant *each;

    g_variant_iter_init(&iter, found);
    while (has_room && g_variant_iter_next(&iter, "(&sb@aa{sv})", &scheme, &has_answered, &each)) {
        g_autoptr(GVariant) links = each;

        if (request->scheme != NULL && g_ascii_strcasecmp(request->scheme, scheme) != 0) {
            continue;
        }
        listed->has_more |= !has_answered;
        has_room = kd_listed_add_found(listed, scheme, links, take_use, (void *)scope);
    }
    return kd_listed_build(listed);
}

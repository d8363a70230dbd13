/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer to LIST: what the targets find, and which of it a session has. */
#include "kd-listing.h"

#include "kd-request.h"

struct KdListing {
    const KdSessionScope *scope;
    KdRoute *route;
    void (*answered)(void *user);
    void *user;
    KdList *list; /* asked, and not answered yet */
    KdInventoryTicket *ticket;
};

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

/* (transfer full): payload of LISTED: what the targets found, in their order, as it is at this
 * moment. A link that a session has is busy, and held by that session's identity. What does not fit
 * into one frame is left out, and the answer says so, as it does when a kind did not answer. */
static GBytes *
build(const KdSessionScope *scope, GVariant *found, const KdList *request)
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

/**
 * kd_listing_new:
 * @scope: of the session
 * @route: of the session
 * @answered: called when LISTED is on its way
 * @user: for @answered
 *
 * Returns: (transfer full): what answers LIST, any number of times, one after the other
 */
KdListing *
kd_listing_new(const KdSessionScope *scope, KdRoute *route, void (*answered)(void *user),
               void *user)
{
    KdListing *listing = g_new0(KdListing, 1);

    listing->scope = scope;
    listing->route = route;
    listing->answered = answered;
    listing->user = user;
    return listing;
}

/**
 * kd_listing_free:
 * @listing: (nullable): a listing
 *
 * Frees it; what it is asked for is not answered any more.
 */
void
kd_listing_free(KdListing *listing)
{
    if (listing == NULL) {
        return;
    }
    kd_listing_stop(listing);
    g_free(listing);
}

static void
on_found(GVariant *found, void *user)
{
    KdListing *listing = user;
    g_autoptr(KdList) list = g_steal_pointer(&listing->list);

    listing->ticket = NULL;
    kd_route_send(listing->route, KD_FRAME_LISTED, build(listing->scope, found, list));
    listing->answered(listing->user);
}

/**
 * kd_listing_ask:
 * @listing: not pending
 * @payload: of LIST
 * @len: of @payload
 * @error: return location; %KD_ERROR_PROTOCOL: the list is not right
 *
 * Begins to answer LIST.
 *
 * Returns: whether it has begun
 */
gboolean
kd_listing_ask(KdListing *listing, const uint8_t *payload, size_t len, GError **error)
{
    listing->list = kd_list_parse(payload, len, error);
    if (listing->list == NULL) {
        return FALSE;
    }
    listing->ticket = kd_inventory_ask(listing->scope->inventory, on_found, listing);
    return TRUE;
}

/**
 * kd_listing_is_pending:
 * @listing: a listing
 *
 * Returns: whether LISTED is still to come
 */
gboolean
kd_listing_is_pending(const KdListing *listing)
{
    return listing->list != NULL;
}

/**
 * kd_listing_stop:
 * @listing: a listing
 *
 * Answers no more.
 */
void
kd_listing_stop(KdListing *listing)
{
    g_clear_pointer(&listing->ticket, kd_inventory_forget);
    g_clear_pointer(&listing->list, kd_list_free);
}

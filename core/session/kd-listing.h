/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer to LIST: what the targets find, and which of it a session has. */
#pragma once

#include "kd-route.h"
#include "kd-session.h"

typedef struct KdListing KdListing;

KdListing *kd_listing_new(const KdSessionScope *scope, KdRoute *route, void (*answered)(void *user),
                          void *user);
void kd_listing_free(KdListing *listing);
gboolean kd_listing_ask(KdListing *listing, const uint8_t *payload, size_t len,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_listing_is_pending(const KdListing *listing);
void kd_listing_stop(KdListing *listing);

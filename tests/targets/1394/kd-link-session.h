/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger at a link of a module, in one process: the module on the main thread, the debugger on
 * one of its own. */
#pragma once

#include "kd-debugger-script.h"
#include "kd-test-host.h"

typedef struct KdLinkSession KdLinkSession;

/* What a debugger's thread does */
typedef void (*KdLinkSessionFunc)(KdLinkSession *session, void *user);

KdLinkSession *kd_link_session_open(const KdTarget *target, const char *params);
void kd_link_session_close(KdLinkSession *session);
void kd_link_session_run(KdLinkSession *session, KdLinkSessionFunc fn, void *user);
const char *kd_link_session_get_events(const KdLinkSession *session);
GVariant *kd_link_session_get_status(KdLinkSession *session);

KdDebugger *kd_link_session_attach(void *session, GError **error);
void kd_link_session_order(KdDebugger *debugger, const char *line);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdLinkSession, kd_link_session_close)

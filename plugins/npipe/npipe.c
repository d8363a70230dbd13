/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The npipe transport. */
#include "npipe-dial.h"
#include "npipe-listen.h"
#include "npipe-params.h"

static const KdTransport npipe_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT | KD_TRANSPORT_LOCAL,
    .scheme = "npipe",
    .summary = "named pipes: UNIX sockets, and those of other machines with ssh",
    .params = npipe_params,
    .check = npipe_check,
    .listen_async = npipe_listen_async,
    .listen_finish = npipe_listen_finish,
    .unlisten = npipe_unlisten,
    .connect_async = npipe_connect_async,
    .connect_finish = npipe_connect_finish,
};

static const KdTransport *const npipe_transports[] = {&npipe_transport, NULL};

KD_PLUGIN_DEFINE(.name = "npipe", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .transports = npipe_transports);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spipe transport: what npipe does, with the flag by which the host puts TLS on top. */
#include "npipe-dial.h"
#include "npipe-listen.h"
#include "npipe-params.h"

static const KdTransport spipe_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT | KD_TRANSPORT_TLS | KD_TRANSPORT_LOCAL,
    .scheme = "spipe",
    .summary = "TLS over named pipes",
    .params = npipe_params,
    .check = npipe_check,
    .listen_async = npipe_listen_async,
    .listen_finish = npipe_listen_finish,
    .unlisten = npipe_unlisten,
    .connect_async = npipe_connect_async,
    .connect_finish = npipe_connect_finish,
};

static const KdTransport *const spipe_transports[] = {&spipe_transport, NULL};

KD_PLUGIN_DEFINE(.name = "spipe", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .transports = spipe_transports);

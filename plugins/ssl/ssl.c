/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ssl transport: what tcp does, with the flag by which the host puts TLS on top. */
#include "tcp-params.h"
#include "tcp-transport.h"

static const KdTransport ssl_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT | KD_TRANSPORT_TLS,
    .scheme = "ssl",
    .summary = "TLS over TCP",
    .params = tcp_params,
    .check = tcp_check,
    .listen_async = tcp_listen_async,
    .listen_finish = tcp_listen_finish,
    .connect_async = tcp_connect_async,
    .connect_finish = tcp_connect_finish,
};

static const KdTransport *const ssl_transports[] = {&ssl_transport, NULL};

KD_PLUGIN_DEFINE(.name = "ssl", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .transports = ssl_transports);

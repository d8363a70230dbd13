/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tcp transport. */
#include "tcp-params.h"
#include "tcp-transport.h"

static const KdTransport tcp_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT,
    .scheme = "tcp",
    .summary = "TCP over IPv4 and IPv6",
    .params = tcp_params,
    .check = tcp_check,
    .listen_async = tcp_listen_async,
    .listen_finish = tcp_listen_finish,
    .connect_async = tcp_connect_async,
    .connect_finish = tcp_connect_finish,
};

static const KdTransport *const tcp_transports[] = {&tcp_transport, NULL};

KD_PLUGIN_DEFINE(.name = "tcp", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .transports = tcp_transports);

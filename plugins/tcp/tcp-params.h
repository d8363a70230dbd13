/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of tcp, and of ssl; those of passwords and TLS are the host's. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Flags of the keys that the documented form of tcp has, and that of ssl has not */
#ifndef TCP_ALONE
#define TCP_ALONE 0u
#endif

/* Whoever listens may give a range and take what is free; whoever dials must know the one port.
 * With clicon= the client listens and the server dials. */
static const KdParamSpec tcp_params[] = {
    {.key = "server",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT,
     .placeholder = "HOST",
     .help = "name or address of the server to dial"},
    {.key = "clicon",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT_CLICON,
     .placeholder = "HOST",
     .help = "name or address of the server that will dial this machine"},
    {.key = "port",
     .type = KD_PARAM_PORTS,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_SERVER | KD_PARAM_CLIENT_CLICON,
     .min = 1,
     .max = 65535,
     .placeholder = "S",
     .help = "port to listen on, or LOW:HIGH for the first free one of a range"},
    {.key = "port",
     .type = KD_PARAM_PORTS,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_EXACT | KD_PARAM_CLIENT | KD_PARAM_SERVER_CLICON,
     .min = 1,
     .max = 65535,
     .placeholder = "S",
     .help = "port to dial"},
    {.key = "clicon",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_SERVER_CLICON,
     .placeholder = "C",
     .help = "name or address of the client to dial"},
    {.key = "hidden",
     .type = KD_PARAM_FLAG,
     .flags = KD_PARAM_SERVER,
     .help = "keeps the server out of listings; it stays reachable"},
    {.key = "ipversion",
     .type = KD_PARAM_UINT,
     .flags = TCP_ALONE,
     .min = 6,
     .max = 6,
     .placeholder = "6",
     .help = "uses IPv6 only; without it both versions are used"},
    {.key = "IcfEnable",
     .type = KD_PARAM_FLAG,
     .flags = TCP_ALONE | KD_PARAM_SERVER,
     .help = "opens the port in this machine's firewall"},
    {.key = "bind",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_EXTENSION | KD_PARAM_SERVER,
     .placeholder = "ADDRESS",
     .help = "address to listen on; without it all of them"},
    {0},
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of keys that params is tried on; those of the documented transports as they will be. */
#pragma once

#include <kd-params.h>

#define PASSWORD                                                                             \
    {                                                                                        \
        .key = "password", .type = KD_PARAM_STRING, .flags = KD_PARAM_SECRET, .max_len = 12, \
        .placeholder = "P", .help = "letters and digits"                                     \
    }
#define HIDDEN                                                                                    \
    {                                                                                             \
        .key = "hidden", .type = KD_PARAM_FLAG, .flags = KD_PARAM_SERVER, .help = "is not listed" \
    }
#define SERVER                                                                                \
    {                                                                                         \
        .key = "server", .type = KD_PARAM_HOST, .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT, \
        .placeholder = "HOST", .help = "server to dial"                                       \
    }
#define CLIENT_CLICON                                                               \
    {                                                                               \
        .key = "clicon", .type = KD_PARAM_HOST,                                     \
        .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT_CLICON, .placeholder = "HOST", \
        .help = "server that dials"                                                 \
    }
#define PROTO                                                                                   \
    {                                                                                           \
        .key = "proto", .type = KD_PARAM_CHOICE, .flags = KD_PARAM_REQUIRED, .choices = protos, \
        .placeholder = "X", .help = "protocol"                                                  \
    }
#define CERTIFICATES                                                                        \
    {.key = "certuser",                                                                     \
     .type = KD_PARAM_STRING,                                                               \
     .flags = KD_PARAM_REQUIRED,                                                            \
     .group = 1,                                                                            \
     .placeholder = "C",                                                                    \
     .help = "certificate of the user"},                                                    \
    {                                                                                       \
        .key = "machuser", .type = KD_PARAM_STRING, .flags = KD_PARAM_REQUIRED, .group = 1, \
        .placeholder = "C", .help = "certificate of the machine"                            \
    }

static const char *const protos[] = {"tls1", "pct1", "ssl2", "ssl3", "tls1.2", "tls1.3", NULL};

static const KdParamSpec tcp_table[] = {
    SERVER,
    CLIENT_CLICON,
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
    HIDDEN,
    PASSWORD,
    {.key = "ipversion",
     .type = KD_PARAM_UINT,
     .min = 6,
     .max = 6,
     .placeholder = "6",
     .help = "uses IPv6 only; without it both versions are used"},
    {.key = "IcfEnable",
     .type = KD_PARAM_FLAG,
     .flags = KD_PARAM_SERVER,
     .help = "opens the port in this machine's firewall"},
    {.key = "bind",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_EXTENSION | KD_PARAM_SERVER,
     .placeholder = "ADDRESS",
     .help = "address to listen on; without it all of them"},
    {0},
};

static const KdParamSpec npipe_table[] = {
    SERVER,
    CLIENT_CLICON,
    {.key = "pipe",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .placeholder = "N",
     .help = "name of the pipe"},
    HIDDEN,
    PASSWORD,
    {.key = "IcfEnable", .type = KD_PARAM_FLAG, .flags = KD_PARAM_SERVER, .help = "firewall"},
    {0},
};

static const KdParamSpec com_table[] = {
    {.key = "port",
     .type = KD_PARAM_DEVICE,
     .flags = KD_PARAM_REQUIRED,
     .placeholder = "P",
     .help = "serial port"},
    {.key = "baud",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_REQUIRED,
     .min = 50,
     .placeholder = "B",
     .help = "speed"},
    {.key = "channel",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_REQUIRED,
     .max = 254,
     .placeholder = "N",
     .help = "channel on the line"},
    HIDDEN,
    PASSWORD,
    {0},
};

static const KdParamSpec spipe_table[] = {
    SERVER,
    CLIENT_CLICON,
    PROTO,
    CERTIFICATES,
    {.key = "pipe",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .placeholder = "N",
     .help = "name of the pipe"},
    HIDDEN,
    PASSWORD,
    {0},
};

static const KdParamSpec ssl_table[] = {
    SERVER,
    CLIENT_CLICON,
    PROTO,
    CERTIFICATES,
    {.key = "port",
     .type = KD_PARAM_PORTS,
     .flags = KD_PARAM_REQUIRED,
     .placeholder = "S",
     .help = "port"},
    {.key = "clicon",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_SERVER_CLICON,
     .placeholder = "C",
     .help = "client to dial"},
    HIDDEN,
    PASSWORD,
    {0},
};

/* A link whose keys come from the server's environment */
static const KdParamSpec serial_table[] = {
    {.key = "port",
     .type = KD_PARAM_DEVICE,
     .flags = KD_PARAM_REQUIRED,
     .placeholder = "P",
     .environment = "_NT_DEBUG_PORT",
     .help = "serial port"},
    {.key = "baud",
     .type = KD_PARAM_UINT,
     .min = 50,
     .max = 4000000,
     .default_value = "115200",
     .placeholder = "B",
     .environment = "_NT_DEBUG_BAUD_RATE",
     .help = "speed"},
    {.key = "modem", .type = KD_PARAM_FLAG, .help = "watches carrier detect"},
    {.key = "resets",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_IGNORED,
     .placeholder = "0",
     .help = "for the client's side"},
    {.key = "speed",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_DEPRECATED,
     .help = "the old name of baud"},
    {0},
};

/* A link with keys of its own kind: a group that can be left out, a secret that is no password */
static const KdParamSpec link_table[] = {
    {.key = "key",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_SECRET | KD_PARAM_REQUIRED,
     .placeholder = "K",
     .help = "key of the link"},
    {.key = "socket", .type = KD_PARAM_PATH, .group = 1, .max_len = 40, .help = "path"},
    {.key = "target", .type = KD_PARAM_HOST, .group = 1, .help = "host"},
    {.key = "channel",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_REQUIRED,
     .group = 2,
     .max = 62,
     .environment = "_NT_DEBUG_1394_CHANNEL",
     .help = "channel"},
    {.key = "symlink",
     .type = KD_PARAM_CHOICE,
     .group = 2,
     .choices = (const char *const[]){"channel", "instance", NULL},
     .environment = "_NT_DEBUG_1394_SYMLINK",
     .help = "kind of link"},
    {0},
};

static const KdParamSpec kdsrv_table[] = {
    {.key = "server",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .max_len = 2048,
     .placeholder = "@{CLIENT-TRANSPORT}",
     .help = "how to reach the server"},
    {.key = "trans",
     .type = KD_PARAM_STRING,
     .flags = KD_PARAM_REQUIRED,
     .max_len = 2048,
     .placeholder = "@{LINK}",
     .help = "link that the server opens"},
    {0},
};

static const struct {
    const char *scheme;
    const KdParamSpec *table;
} all_tables[] = {
    {"tcp", tcp_table}, {"npipe", npipe_table},   {"com", com_table},   {"spipe", spipe_table},
    {"ssl", ssl_table}, {"serial", serial_table}, {"link", link_table}, {"kdsrv", kdsrv_table},
};

static const KdForm all_forms[] = {KD_FORM_SERVER, KD_FORM_CLIENT, KD_FORM_SERVER_CLICON,
                                   KD_FORM_CLIENT_CLICON, KD_FORM_TARGET};

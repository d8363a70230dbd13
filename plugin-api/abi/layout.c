/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the ABI can never move: the header that both sides read first, and arrays' elements. */
#include <kdsrv/kd-plugin.h>

#include <assert.h>

#define AT(type, member, offset) \
    static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

/* Frozen over all majors, on every machine. */
static_assert(sizeof(KdAbi) == 16, "KdAbi has another size");
AT(KdAbi, magic, 0);
AT(KdAbi, major, 4);
AT(KdAbi, minor, 6);
AT(KdAbi, minor_needed, 8);
AT(KdAbi, reserved, 10);
AT(KdAbi, struct_size, 12);
AT(KdPlugin, abi, 0);
static_assert(KD_ABI_MAGIC == 0x4b44504c, "the magic has changed");

/* Every other table starts with its size. */
AT(KdStreamOps, struct_size, 0);
AT(KdEndpoint, struct_size, 0);
AT(KdHost, struct_size, 0);
AT(KdListening, struct_size, 0);
AT(KdTransport, struct_size, 0);
AT(KdSink, struct_size, 0);
AT(KdTarget, struct_size, 0);

/* Frozen within a major: tables of it are arrays. */
#if GLIB_SIZEOF_VOID_P == 8
static_assert(sizeof(KdParamSpec) == 96, "KdParamSpec has another size");
AT(KdParamSpec, key, 0);
AT(KdParamSpec, type, 8);
AT(KdParamSpec, flags, 12);
AT(KdParamSpec, group, 16);
AT(KdParamSpec, max_len, 20);
AT(KdParamSpec, min, 24);
AT(KdParamSpec, max, 32);
AT(KdParamSpec, default_value, 40);
AT(KdParamSpec, choices, 48);
AT(KdParamSpec, placeholder, 56);
AT(KdParamSpec, help, 64);
AT(KdParamSpec, environment, 72);
AT(KdParamSpec, reserved, 80);
#endif

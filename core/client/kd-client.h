/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command kd does with its options. */
#pragma once

#include "kd-registry.h"

/**
 * KdClientOptions:
 * @connection: (nullable): -k
 * @server: (nullable): --server
 * @trans: (nullable): --trans
 * @listen: (nullable): --listen
 * @symlink_path: (nullable): of --pty=SYMLINK
 * @profile: (nullable): --profile
 * @list: (nullable): --list
 * @debugger: (nullable) (array zero-terminated=1): what stands behind --
 * @is_stdio: --stdio
 * @is_pty: --pty
 * @is_json: --json
 *
 * The command line of kd. The strings belong to the caller.
 */
typedef struct {
    char *connection;
    char *server;
    char *trans;
    char *listen;
    char *symlink_path;
    char *profile;
    char *list;
    char **debugger;
    gboolean is_stdio;
    gboolean is_pty;
    gboolean is_json;
} KdClientOptions;

int kd_client_run(const KdClientOptions *options, const KdRegistry *registry);
char *kd_client_build_help(void);

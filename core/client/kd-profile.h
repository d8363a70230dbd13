/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a debugger is started on a link: key files, one for each kind of debugger. */
#pragma once

#include <gio/gio.h>

/**
 * KdProfileStart:
 * @dialect: (nullable): of the link that it is for, as OPENED has it; %NULL: of any
 * @is_tcp: the debugger dials TCP on the loopback; else a UNIX socket
 * @arguments: (element-type utf8): in front of the user's
 * @last_arguments: (element-type utf8): behind the user's
 * @environment: (element-type utf8): `NAME=value`
 *
 * How a debugger is started on links of one dialect.
 */
typedef struct {
    char *dialect;
    gboolean is_tcp;
    char **arguments;
    char **last_arguments;
    char **environment;
} KdProfileStart;

/**
 * KdProfile:
 * @path: of the key file
 * @names: (element-type utf8): patterns of the program's base name
 * @starts: (element-type KdProfileStart): the first is that of any link
 * @has_kgdb_break: the target is a Linux kernel in kgdb: what breaks in is BREAK and `g`
 */
typedef struct {
    char *path;
    char **names;
    GPtrArray *starts;
    gboolean has_kgdb_break;
} KdProfile;

KdProfile *kd_profile_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdProfile *kd_profile_find(const char *const *folders, const char *program,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdProfile *kd_profile_load_named(const char *const *folders, const char *name,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_profile_check_start(const KdProfile *profile, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_profile_free(KdProfile *profile);
gboolean kd_profile_is_for(const KdProfile *profile, const char *program);
const KdProfileStart *kd_profile_get_start(const KdProfile *profile, const char *dialect);
char **kd_profile_start_build_argv(const KdProfileStart *start, const char *const *argv,
                                   const char *address);
char **kd_profile_start_build_environment(const KdProfileStart *start, const char *address);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdProfile, kd_profile_free)

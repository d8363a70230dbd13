/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a debugger is started on a link: key files, one for each kind of debugger. */
#include "kd-profile.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

#define GROUP    "Debugger"
#define SUFFIX   ".conf"
#define VARIABLE "${ADDRESS}"

/* How it is started: in a group for one dialect these may stand, too */
#define START_KEYS "Listen", "Arguments", "LastArguments", "Environment"

static const char *const KEYS[] = {START_KEYS, "Names", "Break", NULL};
static const char *const DIALECT_KEYS[] = {START_KEYS, NULL};
static const char *const DIALECTS[] = {"kdcom", "gdb-rsp", "console", "bytes", NULL};

static gboolean
check_keys(GKeyFile *file, const char *group, const char *const *known, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, error);

    if (keys == NULL) {
        return FALSE;
    }
    for (char **key = keys; *key != NULL; key++) {
        if (!g_strv_contains(known, *key)) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_UNKNOWN, "unknown key %s", *key);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
read_listen(GKeyFile *file, const char *group, gboolean *is_tcp, GError **error)
{
    g_autofree char *listen = g_key_file_get_string(file, group, "Listen", NULL);

    if (listen == NULL) {
        return TRUE;
    }
    *is_tcp = strcmp(listen, "tcp") == 0;
    if (!*is_tcp && strcmp(listen, "unix") != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "Listen: expected unix or tcp");
        return FALSE;
    }
    return TRUE;
}

static gboolean
read_break(GKeyFile *file, gboolean *has_kgdb_break, GError **error)
{
    g_autofree char *word = g_key_file_get_string(file, GROUP, "Break", NULL);

    *has_kgdb_break = g_strcmp0(word, "kgdb") == 0;
    if (word != NULL && !*has_kgdb_break && strcmp(word, "none") != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "Break: expected kgdb or none");
        return FALSE;
    }
    return TRUE;
}

static gboolean
has_variable(char **list)
{
    for (char **item = list; *item != NULL; item++) {
        if (strstr(*item, VARIABLE) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
has_address(const KdProfileStart *start)
{
    return has_variable(start->arguments) || has_variable(start->last_arguments) ||
           has_variable(start->environment);
}

/* ---- how it is started ---- */

static void
free_start(gpointer data)
{
    KdProfileStart *start = data;

    g_free(start->dialect);
    g_strfreev(start->arguments);
    g_strfreev(start->last_arguments);
    g_strfreev(start->environment);
    g_free(start);
}

static char **
dup_list(GKeyFile *file, const char *group, const char *key, char *const *usual)
{
    char **list = g_key_file_get_string_list(file, group, key, NULL, NULL);

    if (list != NULL) {
        return list;
    }
    return usual != NULL ? g_strdupv((char **)usual) : g_new0(char *, 1);
}

/* What a group for one dialect does not say is as @usual has it. */
static gboolean
add_start(KdProfile *profile, GKeyFile *file, const char *group, const KdProfileStart *usual,
          GError **error)
{
    KdProfileStart *start = g_new0(KdProfileStart, 1);

    g_ptr_array_add(profile->starts, start);
    start->is_tcp = usual != NULL && usual->is_tcp;
    if (!read_listen(file, group, &start->is_tcp, error)) {
        return FALSE;
    }
    start->arguments = dup_list(file, group, "Arguments", usual != NULL ? usual->arguments : NULL);
    start->last_arguments =
        dup_list(file, group, "LastArguments", usual != NULL ? usual->last_arguments : NULL);
    start->environment =
        dup_list(file, group, "Environment", usual != NULL ? usual->environment : NULL);
    return TRUE;
}

static gboolean
add_dialect(KdProfile *profile, GKeyFile *file, const char *group, GError **error)
{
    const char *dialect = group + strlen(GROUP " ");
    KdProfileStart *start;

    if (!g_strv_contains(DIALECTS, dialect)) {
        g_autofree char *list = g_strjoinv(", ", (char **)DIALECTS);

        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "no such dialect: expected one of %s",
                    list);
        return FALSE;
    }
    if (!check_keys(file, group, DIALECT_KEYS, error) ||
        !add_start(profile, file, group, g_ptr_array_index(profile->starts, 0), error)) {
        return FALSE;
    }
    start = g_ptr_array_index(profile->starts, profile->starts->len - 1);
    start->dialect = g_strdup(dialect);
    return TRUE;
}

static gboolean
add_dialects(KdProfile *profile, GKeyFile *file, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

    for (char **group = groups; *group != NULL; group++) {
        if (g_str_has_prefix(*group, GROUP " ") && !add_dialect(profile, file, *group, error)) {
            g_prefix_error(error, "[%s]: ", *group);
            return FALSE;
        }
    }
    return TRUE;
}

/* One that starts no debugger by itself may still say what a BREAK is. */
static gboolean
fill_profile(KdProfile *profile, GKeyFile *file, GError **error)
{
    profile->starts = g_ptr_array_new_with_free_func(free_start);
    if (!check_keys(file, GROUP, KEYS, error) || !add_start(profile, file, GROUP, NULL, error) ||
        !read_break(file, &profile->has_kgdb_break, error) || !add_dialects(profile, file, error)) {
        return FALSE;
    }
    profile->names = dup_list(file, GROUP, "Names", NULL);
    if (!profile->has_kgdb_break && !g_key_file_has_key(file, GROUP, "Names", NULL)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                            "Names: missing; empty for a profile that is used when --profile "
                            "names it");
        return FALSE;
    }
    return (profile->has_kgdb_break && profile->names[0] == NULL) ||
           kd_profile_check_start(profile, error);
}

/**
 * kd_profile_check_start:
 * @profile: a profile
 * @error: return location
 *
 * Returns: whether a debugger can be started by it, whatever the link's dialect; else
 * %KD_ERROR_PARAM_MISSING
 */
gboolean
kd_profile_check_start(const KdProfile *profile, GError **error)
{
    for (guint i = 0; i < profile->starts->len; i++) {
        const KdProfileStart *start = g_ptr_array_index(profile->starts, i);

        if (!has_address(start)) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                        "Arguments%s%s: " VARIABLE " stands nowhere, so the debugger would not "
                        "find the link",
                        start->dialect != NULL ? " for " : "",
                        start->dialect != NULL ? start->dialect : "");
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * kd_profile_load:
 * @path: of a key file
 * @error: return location
 *
 * Reads a profile.
 *
 * Returns: (transfer full): the profile, or %NULL with an error that names the file
 */
KdProfile *
kd_profile_load(const char *path, GError **error)
{
    g_autoptr(KdProfile) profile = g_new0(KdProfile, 1);
    g_autoptr(GKeyFile) file = g_key_file_new();

    profile->path = g_strdup(path);
    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, error) ||
        !fill_profile(profile, file, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return g_steal_pointer(&profile);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The key files of a folder in the order of their names; a folder that is not there has none. */
static GPtrArray *
list_folder(const char *folder)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        if (g_str_has_suffix(name, SUFFIX)) {
            g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
        }
    }
    if (paths->len > 0) {
        qsort(paths->pdata, paths->len, sizeof(char *), compare_names);
    }
    return paths;
}

/**
 * kd_profile_find:
 * @folders: (array zero-terminated=1): in this order
 * @program: path or name of the debugger
 * @error: return location
 *
 * Finds the first profile for a debugger. A key file that can't be read ends the search, because
 * it may have been the one that is meant.
 *
 * Returns: (transfer full): the profile, or %NULL; %KD_ERROR_NOT_SUPPORTED when there is none
 */
KdProfile *
kd_profile_find(const char *const *folders, const char *program, GError **error)
{
    g_autofree char *base = g_path_get_basename(program);

    for (const char *const *folder = folders; *folder != NULL; folder++) {
        g_autoptr(GPtrArray) paths = list_folder(*folder);

        for (guint i = 0; i < paths->len; i++) {
            g_autoptr(KdProfile) profile = kd_profile_load(paths->pdata[i], error);

            if (profile == NULL) {
                return NULL;
            }
            if (kd_profile_is_for(profile, program)) {
                return g_steal_pointer(&profile);
            }
        }
    }
    g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                "%s: no profile for this debugger: put one with Names=%s into %s, or give one "
                "with --profile FILE",
                program, base, folders[0] != NULL ? folders[0] : "a file");
    return NULL;
}

/**
 * kd_profile_load_named:
 * @folders: (array zero-terminated=1): in this order
 * @name: `kgdb` for the first kgdb.conf in @folders, or the path of a key file
 * @error: return location
 *
 * Reads the profile that the user has chosen.
 *
 * Returns: (transfer full): the profile, or %NULL; %G_FILE_ERROR_NOENT names the folders
 */
KdProfile *
kd_profile_load_named(const char *const *folders, const char *name, GError **error)
{
    g_autofree char *base = g_strconcat(name, SUFFIX, NULL);
    g_autofree char *list = g_strjoinv(", ", (char **)folders);

    if (strchr(name, G_DIR_SEPARATOR) != NULL) {
        return kd_profile_load(name, error);
    }
    for (const char *const *folder = folders; *folder != NULL; folder++) {
        g_autofree char *path = g_build_filename(*folder, base, NULL);

        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            return kd_profile_load(path, error);
        }
    }
    if (g_file_test(name, G_FILE_TEST_EXISTS)) {
        return kd_profile_load(name, error);
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                "--profile %s: there is no %s in %s, and no such file here", name, base, list);
    return NULL;
}

/**
 * kd_profile_free:
 * @profile: (nullable): a profile
 *
 * Frees it.
 */
void
kd_profile_free(KdProfile *profile)
{
    if (profile == NULL) {
        return;
    }
    g_free(profile->path);
    g_strfreev(profile->names);
    g_clear_pointer(&profile->starts, g_ptr_array_unref);
    g_free(profile);
}

/**
 * kd_profile_is_for:
 * @profile: a profile
 * @program: path or name of a debugger
 *
 * Returns: whether one of the patterns is the program's base name
 */
gboolean
kd_profile_is_for(const KdProfile *profile, const char *program)
{
    g_autofree char *base = g_path_get_basename(program);

    for (char **name = profile->names; *name != NULL; name++) {
        if (g_pattern_match_simple(*name, base)) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_profile_get_start:
 * @profile: a profile
 * @dialect: (nullable): of the link, as OPENED has it
 *
 * Returns: (transfer none): how the debugger is started on such a link
 */
const KdProfileStart *
kd_profile_get_start(const KdProfile *profile, const char *dialect)
{
    for (guint i = 1; i < profile->starts->len; i++) {
        const KdProfileStart *start = g_ptr_array_index(profile->starts, i);

        if (g_strcmp0(start->dialect, dialect) == 0) {
            return start;
        }
    }
    return g_ptr_array_index(profile->starts, 0);
}

static void
add_expanded(GPtrArray *out, char *const *list, const char *address)
{
    for (; *list != NULL; list++) {
        GString *text = g_string_new(*list);

        g_string_replace(text, VARIABLE, address, 0);
        g_ptr_array_add(out, g_string_free(text, FALSE));
    }
}

/**
 * kd_profile_start_build_argv:
 * @start: of a profile
 * @argv: (array zero-terminated=1): the debugger and the user's arguments
 * @address: path of the socket, or `HOST:PORT`
 *
 * Puts the profile's arguments around the user's.
 * Arguments and values of the user are never expanded.
 *
 * Returns: (transfer full) (array zero-terminated=1): the command line
 */
char **
kd_profile_start_build_argv(const KdProfileStart *start, const char *const *argv,
                            const char *address)
{
    GPtrArray *out = g_ptr_array_new();

    g_ptr_array_add(out, g_strdup(argv[0]));
    add_expanded(out, start->arguments, address);
    for (const char *const *arg = argv + 1; *arg != NULL; arg++) {
        g_ptr_array_add(out, g_strdup(*arg));
    }
    add_expanded(out, start->last_arguments, address);
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

/**
 * kd_profile_start_build_environment:
 * @start: of a profile
 * @address: path of the socket, or `HOST:PORT`
 *
 * Returns: (transfer full) (array zero-terminated=1): `NAME=value`
 */
char **
kd_profile_start_build_environment(const KdProfileStart *start, const char *address)
{
    GPtrArray *out = g_ptr_array_new();

    add_expanded(out, start->environment, address);
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

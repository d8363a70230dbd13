/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a debugger is started on a link: key files, one for each kind of debugger. */
#include "kd-profile.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

#define GROUP    "Debugger"
#define SUFFIX   ".conf"
#define VARIABLE "${ADDRESS}"

static const char *const KEYS[] = {"Names",       "Listen", "Arguments", "LastArguments",
                                   "Environment", "Break",  NULL};

static gboolean
check_keys(GKeyFile *file, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, GROUP, NULL, error);

    if (keys == NULL) {
        return FALSE;
    }
    for (char **key = keys; *key != NULL; key++) {
        if (!g_strv_contains(KEYS, *key)) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_UNKNOWN, "unknown key %s", *key);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
read_listen(GKeyFile *file, gboolean *is_tcp, GError **error)
{
    g_autofree char *listen = g_key_file_get_string(file, GROUP, "Listen", NULL);

    *is_tcp = g_strcmp0(listen, "tcp") == 0;
    if (listen != NULL && !*is_tcp && strcmp(listen, "unix") != 0) {
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

static char **
dup_list(GKeyFile *file, const char *key)
{
    char **list = g_key_file_get_string_list(file, GROUP, key, NULL, NULL);

    return list != NULL ? list : g_new0(char *, 1);
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
has_address(const KdProfile *profile)
{
    return has_variable(profile->arguments) || has_variable(profile->last_arguments) ||
           has_variable(profile->environment);
}

/* One that starts no debugger by itself may still say what a BREAK is. */
static gboolean
fill_profile(KdProfile *profile, GKeyFile *file, GError **error)
{
    if (!check_keys(file, error) || !read_listen(file, &profile->is_tcp, error) ||
        !read_break(file, &profile->has_kgdb_break, error)) {
        return FALSE;
    }
    profile->names = dup_list(file, "Names");
    profile->arguments = dup_list(file, "Arguments");
    profile->last_arguments = dup_list(file, "LastArguments");
    profile->environment = dup_list(file, "Environment");
    if (profile->names[0] == NULL && !profile->has_kgdb_break) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING, "Names: missing");
        return FALSE;
    }
    return profile->names[0] == NULL || kd_profile_check_start(profile, error);
}

/**
 * kd_profile_check_start:
 * @profile: a profile
 * @error: return location
 *
 * Returns: whether a debugger can be started by it; else %KD_ERROR_PARAM_MISSING
 */
gboolean
kd_profile_check_start(const KdProfile *profile, GError **error)
{
    if (has_address(profile)) {
        return TRUE;
    }
    g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                        "Arguments: " VARIABLE " stands nowhere, so the debugger would not "
                        "find the link");
    return FALSE;
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
    g_strfreev(profile->arguments);
    g_strfreev(profile->last_arguments);
    g_strfreev(profile->environment);
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
 * kd_profile_build_argv:
 * @profile: a profile
 * @argv: (array zero-terminated=1): the debugger and the user's arguments
 * @address: path of the socket, or `HOST:PORT`
 *
 * Puts the profile's arguments around the user's.
 * Arguments and values of the user are never expanded.
 *
 * Returns: (transfer full) (array zero-terminated=1): the command line
 */
char **
kd_profile_build_argv(const KdProfile *profile, const char *const *argv, const char *address)
{
    GPtrArray *out = g_ptr_array_new();

    g_ptr_array_add(out, g_strdup(argv[0]));
    add_expanded(out, profile->arguments, address);
    for (const char *const *arg = argv + 1; *arg != NULL; arg++) {
        g_ptr_array_add(out, g_strdup(*arg));
    }
    add_expanded(out, profile->last_arguments, address);
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

/**
 * kd_profile_build_environment:
 * @profile: a profile
 * @address: path of the socket, or `HOST:PORT`
 *
 * Returns: (transfer full) (array zero-terminated=1): `NAME=value`
 */
char **
kd_profile_build_environment(const KdProfile *profile, const char *address)
{
    GPtrArray *out = g_ptr_array_new();

    add_expanded(out, profile->environment, address);
    g_ptr_array_add(out, NULL);
    return (char **)g_ptr_array_free(out, FALSE);
}

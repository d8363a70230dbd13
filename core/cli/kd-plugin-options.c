/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options that every command has: where plugins come from, and what they offer. */
#include "kd-plugin-options.h"

#include "kd-log.h"

#include <stdio.h>
#include <string.h>

static char **opt_plugin_dirs;
static char *opt_help_transport;
static char *opt_help_target;
static char *opt_complete_transport;
static char *opt_complete_target;
static gboolean opt_list;
static gboolean opt_json;

static const GOptionEntry entries[] = {
    {"plugin-dir", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_plugin_dirs,
     "Load plugins from there instead of " KD_PLUGIN_DIR " (repeatable)", "DIR"},
    {"list-plugins", 0, 0, G_OPTION_ARG_NONE, &opt_list,
     "List transports and targets, and refused files with the reason", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &opt_json, "List as JSON", NULL},
    {"help-transport", 0, 0, G_OPTION_ARG_STRING, &opt_help_transport,
     "Explain the keys of a transport", "NAME"},
    {"help-target", 0, 0, G_OPTION_ARG_STRING, &opt_help_target,
     "Explain the keys of a target link", "NAME"},
    {"complete-transport", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &opt_complete_transport,
     "Print what may follow a part of a transport (for shells)", "TEXT"},
    {"complete-target", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &opt_complete_target,
     "Print what may follow a part of a target link (for shells)", "TEXT"},
    G_OPTION_ENTRY_NULL,
};

/**
 * kd_plugin_options_get_entries:
 *
 * Returns: the options, for a GOptionContext
 */
const GOptionEntry *
kd_plugin_options_get_entries(void)
{
    return entries;
}

/**
 * kd_plugin_options_are_given:
 *
 * Returns: whether something was asked that kd_plugin_options_print() answers
 */
gboolean
kd_plugin_options_are_given(void)
{
    return opt_list || opt_help_transport != NULL || opt_help_target != NULL ||
           opt_complete_transport != NULL || opt_complete_target != NULL;
}

/**
 * kd_plugin_options_want_json:
 *
 * Returns: whether what is listed shall be listed as JSON
 */
gboolean
kd_plugin_options_want_json(void)
{
    return opt_json;
}

/**
 * kd_plugin_options_load:
 * @registry: not sealed yet
 * @error: a folder is absent or not to be trusted
 *
 * Loads the plugins of all folders given, or of the one compiled in. A refused file stops nobody
 * else; it is told at once, unless something is asked that is answered on stdout.
 *
 * Returns: whether the folders could be read
 */
gboolean
kd_plugin_options_load(KdRegistry *registry, GError **error)
{
    if (opt_plugin_dirs == NULL && !kd_registry_load_folder(registry, KD_PLUGIN_DIR, error)) {
        return FALSE;
    }
    for (int i = 0; opt_plugin_dirs != NULL && opt_plugin_dirs[i] != NULL; i++) {
        g_autofree char *folder = g_canonicalize_filename(opt_plugin_dirs[i], NULL);

        if (!kd_registry_load_folder(registry, folder, error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < kd_registry_get_n_entries(registry); i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);

        if (entry->refusal != NULL && !kd_plugin_options_are_given()) {
            g_message("%s", entry->refusal);
        }
    }
    return TRUE;
}

/* The part before the colon; the schemes themselves while there is none. */
static void
print_completions(const KdRegistry *registry, const char *kind, const char *text, KdForm form)
{
    g_autofree char *scheme = g_strndup(text, strcspn(text, ":"));
    const KdParamSpec *table = NULL;
    g_auto(GStrv) candidates = NULL;

    for (guint i = 0; i < kd_registry_get_n_entries(registry); i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);

        if (g_strcmp0(entry->kind, kind) != 0) {
            continue;
        }
        if (strchr(text, ':') == NULL && g_str_has_prefix(entry->scheme, text)) {
            printf("%s:\n", entry->scheme);
        }
    }
    if (strchr(text, ':') == NULL) {
        return;
    }
    if (form == KD_FORM_TARGET) {
        const KdTarget *target = kd_registry_find_target(registry, scheme, NULL);

        table = target != NULL ? target->params : NULL;
    } else {
        const KdTransport *transport = kd_registry_find_transport(registry, scheme, NULL);

        table = transport != NULL ? transport->params : NULL;
    }
    candidates = table != NULL ? kd_params_build_completions(scheme, table, form, text) : NULL;
    for (int i = 0; candidates != NULL && candidates[i] != NULL; i++) {
        printf("%s\n", candidates[i]);
    }
}

static int
print_help(const char *scheme, const KdParamSpec *table, KdForm form, const GError *error)
{
    g_autofree char *help = NULL;

    if (table == NULL) {
        kd_log_error(error);
        return 2;
    }
    help = kd_params_build_help(scheme, table, form);
    fputs(help, stdout);
    return 0;
}

/**
 * kd_plugin_options_print:
 * @registry: loaded
 * @form: in which the command uses transports
 *
 * Answers what was asked, on stdout.
 *
 * Returns: the exit status
 */
int
kd_plugin_options_print(const KdRegistry *registry, KdForm form)
{
    g_autoptr(GError) error = NULL;

    if (opt_help_transport != NULL) {
        const KdTransport *transport =
            kd_registry_find_transport(registry, opt_help_transport, &error);

        return print_help(opt_help_transport, transport != NULL ? transport->params : NULL, form,
                          error);
    }
    if (opt_help_target != NULL) {
        const KdTarget *target = kd_registry_find_target(registry, opt_help_target, &error);

        return print_help(opt_help_target, target != NULL ? target->params : NULL, KD_FORM_TARGET,
                          error);
    }
    if (opt_list) {
        g_autofree char *list =
            opt_json ? kd_registry_build_json(registry) : kd_registry_build_table(registry);

        fputs(list, stdout);
    }
    if (opt_complete_transport != NULL) {
        print_completions(registry, "transport", opt_complete_transport, form);
    }
    if (opt_complete_target != NULL) {
        print_completions(registry, "target", opt_complete_target, KD_FORM_TARGET);
    }
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the conformance cases on a plugin: kdsrv-plugin-check FILE [--adapter NAME]
 * [--spec STRING [--client-spec STRING]] and the options of a GLib test program. */
#include "kd-check.h"

#include <string.h>

/* Programs for one plugin have it built in. */
#ifndef KD_CHECK_FILE
#define KD_CHECK_FILE    NULL
#define KD_CHECK_ADAPTER NULL
#endif

typedef struct {
    void (*fn)(const KdCheckSubject *subject);
    KdCheckSubject subject;
    char *path;
} Case;

static void
run_case(gconstpointer user)
{
    const Case *one = user;
    kd_check_start(one->path);
    one->fn(&one->subject);
    kd_check_stop();
}

static void
case_free(gpointer user)
{
    Case *one = user;
    g_free(one->path);
    g_free(one);
}

/**
 * kd_check_add_case:
 * @name: below the subject's own path
 *
 * Adds one case.
 */
void
kd_check_add_case(const char *name, void (*fn)(const KdCheckSubject *subject),
                  const KdCheckSubject *subject)
{
    Case *one = g_new0(Case, 1);
    one->fn = fn;
    one->subject = *subject;
    if (subject->transport != NULL)
        one->path = g_strdup_printf("/transport-%s/%s", subject->transport->scheme, name);
    else if (subject->target != NULL)
        one->path = g_strdup_printf("/target-%s/%s", subject->target->scheme, name);
    else
        one->path = g_strdup_printf("/module/%s", name);
    g_test_add_data_func_full(one->path, one, run_case, case_free);
}

static void
add_transport(const KdPlugin *plugin, const KdTransport *transport, const KdCheckSubject *base)
{
    const uint32_t both = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT;
    KdCheckSubject subject = *base;
    subject.plugin = plugin;
    subject.transport = transport;
    kd_check_add_table_cases(&subject);
    if (subject.adapter == NULL || (transport->caps & both) != both)
        return;
    kd_check_add_transport_cases(&subject);
    kd_check_add_transport_cancel_cases(&subject);
}

static void
add_target(const KdPlugin *plugin, const KdTarget *target, const KdCheckSubject *base)
{
    KdCheckSubject subject = *base;
    subject.plugin = plugin;
    subject.target = target;
    if (subject.adapter != NULL && subject.adapter->scheme != NULL &&
        strcmp(subject.adapter->scheme, target->scheme) != 0)
        subject.adapter = NULL; /* the module has several targets: it is for another one */
    kd_check_add_table_cases(&subject);
    if (subject.adapter == NULL)
        return;
    kd_check_add_target_cases(&subject);
    kd_check_add_target_cancel_cases(&subject);
}

static gboolean
add_file(const char *file, const KdCheckAdapter *adapter)
{
    g_autoptr(GError) error = NULL;
    const KdPlugin *plugin = kd_check_load(file, &error);
    if (plugin == NULL || (plugin->init != NULL && !plugin->init(&kd_check_host, &error))) {
        g_printerr("%s: %s\n", file, error != NULL ? error->message : "init failed without error");
        return FALSE;
    }
    KdCheckSubject base = {.file = g_intern_string(file), .plugin = plugin, .adapter = adapter};
    kd_check_add_table_cases(&base);
    for (guint i = 0; plugin->transports != NULL && plugin->transports[i] != NULL; i++)
        add_transport(plugin, plugin->transports[i], &base);
    for (guint i = 0; plugin->targets != NULL && plugin->targets[i] != NULL; i++)
        add_target(plugin, plugin->targets[i], &base);
    return TRUE;
}

int
main(int argc, char **argv)
{
    const char *adapter_name = KD_CHECK_ADAPTER;
    g_autofree char *spec = NULL;
    g_autofree char *client_spec = NULL;
    g_autofree char *given_name = NULL;
    g_auto(GStrv) files = NULL;
    const GOptionEntry entries[] = {
        {"adapter", 0, 0, G_OPTION_ARG_STRING, &given_name, "a peer that the suite knows", "NAME"},
        {"spec", 0, 0, G_OPTION_ARG_STRING, &spec, "target or server that leads to an echo",
         "STRING"},
        {"client-spec", 0, 0, G_OPTION_ARG_STRING, &client_spec, "client for it", "STRING"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    const KdCheckAdapter *adapter = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new("- check a kdsrv plugin");

    g_test_init(&argc, &argv, NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("%s\n", error->message);
        return 2;
    }
    if (given_name != NULL)
        adapter_name = given_name;
    if (spec != NULL)
        adapter = kd_check_get_given_adapter(spec, client_spec);
    else if (adapter_name != NULL)
        adapter = kd_check_find_adapter(adapter_name);
    if (adapter == NULL && adapter_name != NULL) {
        g_printerr("--adapter %s: no such adapter\n", adapter_name);
        return 2;
    }
    if (files == NULL && KD_CHECK_FILE == NULL) {
        g_printerr("no FILE is given\n");
        return 2;
    }
    const char *built_in[] = {KD_CHECK_FILE, NULL};
    const char *const *all = files != NULL ? (const char *const *)files : built_in;
    for (guint i = 0; all[i] != NULL; i++) {
        if (!add_file(all[i], adapter))
            return 1;
    }
    return g_test_run();
}

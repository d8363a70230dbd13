/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin that offers one transport and does nothing; spoilt by what it is compiled with. */
#include <kdsrv/kd-plugin.h>

#ifndef SAMPLE_SCHEME
#define SAMPLE_SCHEME SAMPLE_NAME
#endif
#ifndef SAMPLE_MAGIC
#define SAMPLE_MAGIC KD_ABI_MAGIC
#endif
#ifndef SAMPLE_MAJOR
#define SAMPLE_MAJOR KD_ABI_MAJOR
#endif
#ifndef SAMPLE_MINOR_NEEDED
#define SAMPLE_MINOR_NEEDED 0
#endif
#ifndef SAMPLE_STRUCT_SIZE
#define SAMPLE_STRUCT_SIZE sizeof(KdPlugin)
#endif
#ifndef SAMPLE_TRANSPORT_SIZE
#define SAMPLE_TRANSPORT_SIZE sizeof(KdTransport)
#endif
#ifndef SAMPLE_LISTEN_FINISH
#define SAMPLE_LISTEN_FINISH sample_listen_finish
#endif
#ifndef SAMPLE_KEYS
#define SAMPLE_KEYS keys
#endif
#ifndef SAMPLE_INIT
#define SAMPLE_INIT NULL
#endif

#ifdef SAMPLE_ENDLESS
/* More entries than a table may have; filled at load time because each has a key of its own. */
static char texts[160][8];
static KdParamSpec keys[160];

__attribute__((constructor)) static void
fill_keys(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_snprintf(texts[i], sizeof texts[i], "key%u", i);
        keys[i] = (KdParamSpec){.key = texts[i], .type = KD_PARAM_FLAG, .help = "a key"};
    }
}
#else
G_GNUC_UNUSED static const KdParamSpec keys[] = {
    {.key = "name", .type = KD_PARAM_STRING, .help = "a name"},
    {0},
};
#endif

static void
sample_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                    GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host, (void)params;
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "a sample does not listen");
}

G_GNUC_UNUSED static gboolean
sample_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    (void)listening;
    return g_task_propagate_boolean(G_TASK(result), error);
}

G_GNUC_UNUSED static gboolean
sample_failing_init(const KdHost *host, GError **error)
{
    (void)host;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "this sample never starts");
    return FALSE;
}

#ifdef SAMPLE_UNDEFINED
void kd_no_such_function(void);

static gboolean
sample_undefined_init(const KdHost *host, GError **error)
{
    (void)host, (void)error;
    kd_no_such_function();
    return TRUE;
}
#endif

G_GNUC_UNUSED static const KdTransport transport = {
    .struct_size = SAMPLE_TRANSPORT_SIZE,
    .caps = KD_TRANSPORT_LISTEN,
    .scheme = SAMPLE_SCHEME,
    .summary = "for tests of the loader",
    .params = SAMPLE_KEYS,
    .listen_async = sample_listen_async,
    .listen_finish = SAMPLE_LISTEN_FINISH,
};

static const KdTransport *const transports[] = {
#ifndef SAMPLE_NOTHING
    &transport,
#endif
    NULL,
};

G_MODULE_EXPORT extern const KdPlugin KD_PLUGIN_SYMBOL;
const KdPlugin KD_PLUGIN_SYMBOL = {
    .abi = {SAMPLE_MAGIC, SAMPLE_MAJOR, KD_ABI_MINOR, SAMPLE_MINOR_NEEDED, 0, SAMPLE_STRUCT_SIZE},
    .name = SAMPLE_NAME,
    .version = "0.1",
    .license = "LGPL-2.1-or-later",
    .transports = transports,
    .init = SAMPLE_INIT,
};

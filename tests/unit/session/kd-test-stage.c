/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that a session needs, in a test's own process: loop, registry with fakes, links. */
#include "kd-test-stage.h"

#include "kd-host.h"
#include "kd-loop.h"
#include "kd-test-peer.h"

#include <signal.h>
#include <string.h>

static KdTarget plain_target;
static KdTarget refuse_target;
static KdTarget needy_target;
static int line_fd = -1;

/* ---- the stage's targets ---- */

static void
return_later(GObject *object, GCancellable *cancellable, GAsyncReadyCallback callback,
             gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(object, cancellable, callback, user_data);

    g_task_return_boolean(task, TRUE);
}

static void
on_open(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    (void)sink;
    g_variant_unref(g_variant_ref_sink(session));
    g_task_set_task_data(task, g_variant_ref(params), (GDestroyNotify)g_variant_unref);
    g_task_return_boolean(task, TRUE);
}

static GObject *
on_denied_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    (void)endpoint;
    if (g_task_propagate_boolean(G_TASK(result), error)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_POLICY, "/dev/mem: not in an allowed folder");
    }
    return NULL;
}

static GObject *
on_pair_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    GVariant *params = g_task_get_task_data(G_TASK(result));
    gboolean is_drained = FALSE;
    gboolean is_kept = FALSE;
    int fds[2];

    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return NULL;
    }
    (void)g_variant_lookup(params, "drain", "b", &is_drained);
    (void)g_variant_lookup(params, "keep", "b", &is_kept);
    kd_test_pair(fds);
    line_fd = fds[0];
    kd_endpoint_take_fd(endpoint, fds[1],
                        (is_drained ? KD_ENDPOINT_DRAIN : 0u) | (is_kept ? KD_ENDPOINT_KEEP : 0u),
                        NULL);
    return g_object_new(G_TYPE_OBJECT, NULL);
}

static void
on_close(GObject *link, GAsyncReadyCallback callback, gpointer user_data)
{
    return_later(link, NULL, callback, user_data);
}

static void
on_close_finish(GObject *link, GAsyncResult *result)
{
    (void)link;
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}

static gboolean
on_refuse_finish(GObject *link, GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    (void)link;
    (void)endpoint;
    if (g_task_propagate_boolean(G_TASK(result), error)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_LINK_LOST, "it has left for good");
    }
    return FALSE;
}

static GVariant *
on_pair_found(GAsyncResult *result, GError **error)
{
    return g_task_propagate_boolean(G_TASK(result), error)
               ? g_variant_new_parsed("[{'trans': <'pair:'>, 'name': <'a socket'>}]")
               : NULL;
}

static void
on_pair_enumerate(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host;
    g_assert_true(g_variant_is_of_type(filter, G_VARIANT_TYPE_VARDICT));
    return_later(NULL, cancellable, callback, user_data);
}

static char **
build_pair_names(const KdHost *host, GVariant *params)
{
    static const char *const names[] = {"pair", NULL};

    (void)host;
    (void)params;
    return g_strdupv((char **)names);
}

static const KdParamSpec no_params[] = {{0}};

static const KdParamSpec pair_params[] = {
    {.key = "keep", .type = KD_PARAM_FLAG, .help = "stays open"},
    {.key = "drain", .type = KD_PARAM_FLAG, .help = "stays open and is read"},
    {0},
};

static const KdParamSpec needy_params[] = {
    {.key = "name",
     .type = KD_PARAM_UINT,
     .flags = KD_PARAM_REQUIRED,
     .max = G_MAXUINT32,
     .placeholder = "N",
     .help = "number of the fake device",
     .environment = KD_STAGE_VARIABLE},
    {0},
};

static const KdTarget denied_target = {
    .struct_size = sizeof(KdTarget),
    .scheme = "denied",
    .summary = "may not be opened",
    .params = no_params,
    .open_async = on_open,
    .open_finish = on_denied_finish,
    .close_async = on_close,
    .close_finish = on_close_finish,
};

static const KdTarget pair_target = {
    .struct_size = sizeof(KdTarget),
    .scheme = "pair",
    .summary = "a socket",
    .params = pair_params,
    .build_lock_names = build_pair_names,
    .enumerate_async = on_pair_enumerate,
    .enumerate_finish = on_pair_found,
    .open_async = on_open,
    .open_finish = on_pair_finish,
    .close_async = on_close,
    .close_finish = on_close_finish,
};

static const KdTarget *const targets[] = {&plain_target,  &refuse_target, &needy_target,
                                          &denied_target, &pair_target,   NULL};

static const KdPlugin stage_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "stage",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .targets = targets,
};

/**
 * kd_stage_registry_new:
 * @host: given to the fakes
 *
 * Returns: (transfer full): a sealed registry with the fakes and the stage's targets
 */
KdRegistry *
kd_stage_registry_new(const KdHost *host)
{
    KdRegistry *registry = kd_registry_new(host);
    g_autoptr(GError) error = NULL;

    plain_target = kd_fake_target;
    plain_target.scheme = "plain";
    plain_target.caps &= ~(uint32_t)KD_TARGET_REOPEN;
    /* and it can't purge, so that there is an operation which it does not have */
    plain_target.caps &= ~(1u << KD_CONTROL_PURGE);
    plain_target.reopen_async = NULL;
    plain_target.reopen_finish = NULL;
    /* its devices are the same as those of `fake`, which names them */
    plain_target.enumerate_async = NULL;
    plain_target.enumerate_finish = NULL;
    refuse_target = plain_target;
    refuse_target.caps = kd_fake_target.caps;
    refuse_target.scheme = "refuse";
    refuse_target.reopen_async = return_later;
    refuse_target.reopen_finish = on_refuse_finish;
    needy_target = kd_fake_target;
    needy_target.enumerate_async = NULL;
    needy_target.enumerate_finish = NULL;
    needy_target.scheme = "needy";
    needy_target.params = needy_params;
    g_assert_true(kd_registry_add(registry, &kd_fake_plugin, "fake", &error));
    g_assert_true(kd_registry_add(registry, &stage_plugin, "stage", &error));
    g_assert_no_error(error);
    kd_registry_seal(registry);
    return registry;
}

/**
 * kd_stage_take_line:
 *
 * Returns: the other end of the last `pair` that was opened; the caller's to close
 */
int
kd_stage_take_line(void)
{
    int fd = line_fd;

    line_fd = -1;
    return fd;
}

/* ---- the stage ---- */

static const char *
get_variable(const char *variable, void *user)
{
    const KdStage *stage = user;

    return g_str_equal(variable, KD_STAGE_VARIABLE) ? stage->variable : NULL;
}

static gboolean
on_heart(gpointer user_data)
{
    (void)user_data;
    return G_SOURCE_CONTINUE;
}

/**
 * kd_stage_init:
 * @stage: any bytes
 * @is_stream: clients come over a plugin's stream rather than over a socket
 */
void
kd_stage_init(KdStage *stage, gboolean is_stream)
{
    g_autoptr(GError) error = NULL;

    (void)signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    g_assert_true(kd_loop_start(&error));
    *stage = (KdStage){.is_stream = is_stream};
    stage->reach = kd_reach_new_everything();
    stage->host = kd_host_new(stage->reach);
    stage->registry = kd_stage_registry_new(stage->host);
    stage->scope = (KdSessionScope){
        .registry = stage->registry,
        .links = kd_link_table_new(stage->host),
        .inventory = kd_inventory_new(stage->registry),
        .source = {.environment = get_variable, .user = stage, .machine = "testhost"},
    };
    stage->device = kd_fake_get(1);
    /* What a test looks at may change without a source of the main context. */
    stage->heart_id = g_timeout_add(2, on_heart, NULL);
}

/**
 * kd_stage_clear:
 * @stage: its clients are cleared or told to go
 *
 * Waits until every session has ended, and checks that nothing is left: no link, no stream, no
 * watch in the loop.
 */
void
kd_stage_clear(KdStage *stage)
{
    kd_stage_await_ended(stage);
    kd_link_table_close_idle(stage->scope.links);
    KD_AWAIT(kd_link_table_get_n_links(stage->scope.links) == 0);
    g_assert_false(kd_fake_is_open(stage->device));
    kd_link_table_free(stage->scope.links);
    kd_inventory_free(stage->scope.inventory);
    g_source_remove(stage->heart_id);
    kd_stage_settle();
    kd_fake_forget_all();
    kd_stage_settle();
    kd_loop_stop();
    kd_registry_free(stage->registry);
    kd_host_free(stage->host);
    kd_reach_free(stage->reach);
    kd_door_unref(stage->door);
}

static void
on_authenticated(KdSession *session, void *user)
{
    (void)session;
    ((KdStage *)user)->n_authenticated++;
}

static void
on_refused(KdSession *session, void *user)
{
    (void)session;
    ((KdStage *)user)->n_refused++;
}

static void
on_ended(KdSession *session, void *user)
{
    KdStage *stage = user;

    stage->n_ended++;
    if (stage->session == session) {
        stage->session = NULL;
    }
}

/**
 * kd_stage_connect:
 * @stage: a stage
 * @client: any bytes
 *
 * Begins a session with a new client, which has said nothing yet.
 */
void
kd_stage_connect(KdStage *stage, KdTestClient *client)
{
    static const KdSessionFuncs funcs = {
        .authenticated = on_authenticated, .refused = on_refused, .ended = on_ended};
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;

    kd_test_client_init(client, stage->is_stream, &endpoint);
    stage->n_started++;
    stage->session = kd_session_new(&stage->scope, stage->n_started, "127.0.0.1:40312", stage->door,
                                    &endpoint, &funcs, stage, &error);
    g_assert_no_error(error);
    g_assert_nonnull(stage->session);
}

/**
 * kd_stage_log_in:
 * @stage: a stage
 * @client: any bytes
 *
 * Begins a session and goes on to where the client may ask for something.
 */
void
kd_stage_log_in(KdStage *stage, KdTestClient *client)
{
    kd_stage_connect(stage, client);
    kd_test_client_send_preamble(client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(client);
    g_bytes_unref(kd_test_client_expect(client, KD_FRAME_HELLO));
    kd_test_client_send_auth(client, "none");
    g_bytes_unref(kd_test_client_expect(client, KD_FRAME_AUTH));
}

/**
 * kd_stage_open:
 * @stage: a stage
 * @client: any bytes
 * @trans: the link's string
 *
 * Begins a session and goes on until its link is open.
 *
 * Returns: (transfer full): what OPENED says
 */
KdOpened *
kd_stage_open(KdStage *stage, KdTestClient *client, const char *trans)
{
    g_autoptr(GBytes) payload = NULL;
    KdOpened *opened;

    kd_stage_log_in(stage, client);
    kd_test_client_send_open(client, trans);
    payload = kd_test_client_expect(client, KD_FRAME_OPENED);
    opened = kd_opened_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), NULL);
    g_assert_nonnull(opened);
    return opened;
}

/**
 * kd_stage_await_ended:
 * @stage: a stage
 *
 * Waits until every session has ended.
 */
void
kd_stage_await_ended(KdStage *stage)
{
    KD_AWAIT(stage->n_ended == stage->n_started);
}

/**
 * kd_stage_await_received:
 * @stage: a stage
 * @bytes: all that the device has got since the last call
 */
void
kd_stage_await_received(KdStage *stage, const char *bytes)
{
    g_autoptr(GByteArray) got = g_byte_array_new();

    do {
        g_autoptr(GBytes) more = kd_fake_take_received(stage->device);

        g_byte_array_append(got, g_bytes_get_data(more, NULL), (guint)g_bytes_get_size(more));
        if (got->len < strlen(bytes)) {
            g_main_context_iteration(NULL, TRUE);
        }
    } while (got->len < strlen(bytes));
    g_assert_cmpmem(got->data, got->len, bytes, (guint)strlen(bytes));
}

/**
 * kd_stage_settle:
 *
 * Lets everything happen that can happen without further input.
 */
void
kd_stage_settle(void)
{
    for (int i = 0; i < 40; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

/**
 * kd_stage_count_fds:
 *
 * Returns: how many descriptors this process has open
 */
guint
kd_stage_count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir) != NULL) {
        n++;
    }
    return n;
}

/* ---- cases ---- */

static void
set_up(KdStageFixture *fixture, gconstpointer user)
{
    kd_stage_init(&fixture->stage, GPOINTER_TO_INT(user));
}

static void
tear_down(KdStageFixture *fixture, gconstpointer user)
{
    (void)user;
    kd_test_client_clear(&fixture->client);
    kd_test_client_clear(&fixture->other);
    kd_stage_clear(&fixture->stage);
}

/**
 * kd_stage_add:
 * @path: `/noun/what-it-promises`
 * @fn: the case
 *
 * Adds a case twice: for clients over a socket, and over a plugin's stream.
 */
void
kd_stage_add(const char *path, KdStageCase fn)
{
    g_autofree char *socket_path = g_strconcat("/session/socket", path, NULL);
    g_autofree char *stream_path = g_strconcat("/session/stream", path, NULL);

    g_test_add(socket_path, KdStageFixture, GINT_TO_POINTER(FALSE), set_up, fn, tear_down);
    g_test_add(stream_path, KdStageFixture, GINT_TO_POINTER(TRUE), set_up, fn, tear_down);
}

/**
 * kd_stage_add_once:
 * @path: `/noun/what-it-promises`
 * @fn: the case
 *
 * Adds a case for clients over a socket only: one that takes seconds, or asks about sockets.
 */
void
kd_stage_add_once(const char *path, KdStageCase fn)
{
    g_autofree char *socket_path = g_strconcat("/session/socket", path, NULL);

    g_test_add(socket_path, KdStageFixture, GINT_TO_POINTER(FALSE), set_up, fn, tear_down);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does what `kd --tell` asks of a running kd. */
#include "kd-told.h"

#include "kd-outcome.h"
#include "kd-params.h"
#include "kd-tell-request.h"

/**
 * KdTold:
 * @connection: (nullable): the session there is
 * @socket: (nullable): where requests come from
 */
struct KdTold {
    const KdPlan *plan;
    const KdRegistry *registry;
    KdBreaks *breaks;
    KdConnection *connection;
    KdTellSocket *socket;
};

/* One request that was handed on. */
typedef struct {
    KdTellClient *client;
    KdTellRequest request;
    char *head; /* (nullable): STATUS: what we know by ourselves */
} KdToldAsked;

static void
answer_error(KdTellClient *client, const GError *error)
{
    kd_tell_client_answer(client, kd_outcome_get_status(error), error->message);
}

/* ---- what we know by ourselves ---- */

static char *
build_trans(const KdTold *told)
{
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    const KdTarget *target;

    if (!kd_params_split(told->plan->trans, &scheme, &items, NULL)) {
        return kd_params_build_masked(NULL, NULL, told->plan->trans);
    }
    target = kd_registry_find_target(told->registry, scheme, NULL);
    return kd_params_build_masked(scheme, target != NULL ? target->params : NULL, items);
}

static char *
build_link(const KdTold *told)
{
    g_autofree char *trans = build_trans(told);

    if (told->plan->server == NULL) {
        return g_steal_pointer(&trans);
    }
    return g_strdup_printf("%s over %s", trans, told->plan->server);
}

static const char *
get_state(const KdTold *told)
{
    if (told->connection == NULL) {
        return "no debugger is connected";
    }
    if (!told->connection->is_open) {
        return "not open";
    }
    return told->connection->is_lost ? "lost" : "open";
}

static char *
build_head(const KdTold *told)
{
    g_autofree char *link = build_link(told);

    return g_strdup_printf("link: %s\ntarget: %s\n", link, get_state(told));
}

/* ---- what the target is asked ---- */

static char *
build_answer(const KdToldAsked *asked, uint64_t value, const char *text)
{
    g_autofree char *status = NULL;

    switch (asked->request.kind) {
    case KD_TELL_BAUD:
        return g_strdup_printf("baud %" G_GUINT64_FORMAT, value);
    case KD_TELL_LINES:
        return kd_tell_build_lines((uint32_t)value);
    case KD_TELL_PURGE:
        return g_strdup_printf("%" G_GUINT64_FORMAT " %s dropped", value,
                               value == 1 ? "byte" : "bytes");
    case KD_TELL_STATUS:
        status = text != NULL ? kd_tell_build_status(text) : g_strdup("");
        return g_strchomp(g_strconcat(asked->head, status, NULL));
    case KD_TELL_BREAK:
    case KD_TELL_LINK:
    default:
        return g_strdup("");
    }
}

static void
on_controlled(uint64_t value, const char *text, const GError *error, void *user)
{
    KdToldAsked *asked = user;

    if (error != NULL && asked->request.kind == KD_TELL_STATUS) {
        g_autofree char *answer = g_strdup_printf("%sstatus: %s", asked->head, error->message);

        kd_tell_client_answer(asked->client, KD_EXIT_CLEAN, answer);
    } else if (error != NULL) {
        answer_error(asked->client, error);
    } else {
        g_autofree char *answer = build_answer(asked, value, text);

        kd_tell_client_answer(asked->client, KD_EXIT_CLEAN, answer);
    }
    g_free(asked->head);
    g_free(asked);
}

/* All but BAUD past bytes that wait: an answer is wanted even when nothing moves. */
static void
ask_target(KdTold *told, KdTellClient *client, const KdTellRequest *request, const char *head)
{
    KdControl control = {0};
    KdToldAsked *asked;

    switch (request->kind) {
    case KD_TELL_BAUD:
        control = (KdControl){.op = KD_CONTROL_BAUD, .arg = request->baud};
        break;
    case KD_TELL_LINES:
        control = (KdControl){.op = KD_CONTROL_LINES,
                              .arg = request->mask,
                              .arg2 = request->values,
                              .is_urgent = TRUE};
        break;
    case KD_TELL_PURGE:
        control = (KdControl){.op = KD_CONTROL_PURGE, .is_urgent = TRUE};
        break;
    case KD_TELL_BREAK:
    case KD_TELL_STATUS:
    case KD_TELL_LINK:
    default:
        control = (KdControl){.op = KD_CONTROL_STATUS, .is_urgent = TRUE};
        break;
    }
    asked = g_new(KdToldAsked, 1);
    *asked = (KdToldAsked){.client = client, .request = *request, .head = g_strdup(head)};
    kd_connection_control(told->connection, &control, on_controlled, asked);
}

static void
tell_status(KdTold *told, KdTellClient *client, const KdTellRequest *request)
{
    g_autofree char *head = build_head(told);

    if (told->connection != NULL && !told->connection->is_lost &&
        kd_connection_has_control(told->connection, KD_CONTROL_STATUS)) {
        ask_target(told, client, request, head);
        return;
    }
    kd_tell_client_answer(client, KD_EXIT_CLEAN, g_strchomp(head));
}

/* ---- requests ---- */

static void
on_break_done(const char *text, const GError *error, void *user)
{
    if (error != NULL) {
        g_autofree char *why = g_strdup_printf("no break: %s", error->message);

        kd_tell_client_answer(user, KD_EXIT_FAILED, why);
    } else {
        kd_tell_client_answer(user, KD_EXIT_CLEAN, text);
    }
}

static void
on_request(KdTellClient *client, const char *line, void *user)
{
    KdTold *told = user;
    g_autofree char *link = NULL;
    g_autoptr(GError) error = NULL;
    KdTellRequest request;

    if (!kd_tell_request_parse(&request, line, &error)) {
        answer_error(client, error);
        return;
    }
    switch (request.kind) {
    case KD_TELL_BREAK:
        kd_breaks_send(told->breaks, request.is_urgent, on_break_done, client);
        break;
    case KD_TELL_STATUS:
        tell_status(told, client, &request);
        break;
    case KD_TELL_LINK:
        link = build_link(told);
        kd_tell_client_answer(client, KD_EXIT_CLEAN, link);
        break;
    case KD_TELL_BAUD:
    case KD_TELL_LINES:
    case KD_TELL_PURGE:
    default:
        if (told->connection == NULL) {
            kd_tell_client_answer(client, KD_EXIT_FAILED, "no debugger is connected");
        } else {
            ask_target(told, client, &request, NULL);
        }
    }
}

/**
 * kd_told_new:
 * @plan: what is open; outlives this
 * @registry: outlives this
 * @breaks: outlives this
 *
 * Lets other kds of the same user tell this one what to do, where that is possible.
 *
 * Returns: (transfer full): who listens
 */
KdTold *
kd_told_new(const KdPlan *plan, const KdRegistry *registry, KdBreaks *breaks)
{
    KdTold *told = g_new0(KdTold, 1);

    told->plan = plan;
    told->registry = registry;
    told->breaks = breaks;
    told->socket = kd_tell_socket_new(on_request, told);
    return told;
}

/**
 * kd_told_free:
 * @told: (nullable): nothing is under way for it any more: the connections have gone
 *
 * Listens no more.
 */
void
kd_told_free(KdTold *told)
{
    if (told == NULL) {
        return;
    }
    kd_tell_socket_free(told->socket);
    g_free(told);
}

/**
 * kd_told_set_connection:
 * @told: of all sessions
 * @connection: (nullable) (unowned): the one that goes on now
 *
 * Tells which session requests are for.
 */
void
kd_told_set_connection(KdTold *told, KdConnection *connection)
{
    told->connection = connection;
}

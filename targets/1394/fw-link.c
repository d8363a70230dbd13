/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open link to a target on FireWire: it looks for its target, and again when that is lost. */
#include "fw-link.h"

#include "fw-clock.h"
#include "fw-mailbox.h"
#include "fw-outbox.h"
#include "fw-search.h"
#include "kd-link-port.h"

#include <kdsrv-support/kd-source.h>

#include <string.h>

/* A target that is lost so soon is not looked for at once, nor is a restart told so soon after
 * another
 */
#define STABLE_US (1000 * G_GINT64_CONSTANT(1000))
#define PAUSE_MS  1000u

struct _FwLink {
    GObject parent_instance;
    const KdHost *host;
    uint32_t channel;
    KdLinkPort *port; /* (nullable): until the link is closed */
    FwMailbox *mailbox;
    GSource *clock;   /* of the mailbox */
    gint64 armed_us;  /* when it goes off; -1: not at all */
    FwSearch *search; /* (nullable): while the target is not there */
    FwNode *node;     /* (nullable): while it is, or may be */
    guint depth;      /* of calls into the mailbox: afterwards the clock is set */
    uint64_t guid;    /* of the node that was there last; 0: none was */
    gboolean is_present;
    gint64 found_us;     /* when it was present last */
    gint64 restarted_us; /* when a restart was told */
    char *trouble;       /* (nullable): what was said last about the search */
    /* what the mailbox got last */
    uint8_t packet[FW_OUTBOX_PACKET_MAX_BYTES];
    size_t packet_bytes;
    gboolean is_taken; /* by the target, just now */
};

G_DEFINE_TYPE(FwLink, fw_link, G_TYPE_OBJECT)

static void seek(FwLink *link, guint wait_ms);

static void
clear_all(FwLink *link)
{
    g_clear_pointer(&link->search, fw_search_free);
    g_clear_pointer(&link->node, fw_node_free);
    kd_source_clear(&link->clock);
    g_clear_pointer(&link->port, kd_link_port_free);
}

static void
fw_link_finalize(GObject *object)
{
    FwLink *link = FW_LINK(object);
    clear_all(link);
    g_clear_pointer(&link->mailbox, fw_mailbox_free);
    g_free(link->trouble);
    G_OBJECT_CLASS(fw_link_parent_class)->finalize(object);
}

static void
fw_link_class_init(FwLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = fw_link_finalize;
}

static void
fw_link_init(FwLink *link)
{
    link->armed_us = -1;
}

/* ---- the mailbox ----------------------------------------------------------------------------- */

/* Only ever earlier: each change costs a turn of the loop, and a clock that goes off too early does
 * no harm. While requests and answers follow each other it is not touched. */
static void
arm(FwLink *link)
{
    gint64 deadline_us = fw_mailbox_get_deadline_us(link->mailbox);
    if (deadline_us >= 0 && (link->armed_us < 0 || deadline_us < link->armed_us)) {
        link->armed_us = deadline_us;
        g_source_set_ready_time(link->clock, deadline_us);
    }
}

/* Around each call into the mailbox: whoever is told something may close the link. */
static FwLink *
enter(FwLink *link)
{
    link->depth++;
    return g_object_ref(link);
}

static void
leave(FwLink *link)
{
    link->depth--;
    if (link->depth == 0 && link->clock != NULL) {
        arm(link);
    }
    g_object_unref(link);
}

static gboolean
on_clock(gpointer user_data)
{
    FwLink *link = enter(user_data);
    link->armed_us = -1;
    fw_mailbox_tick(link->mailbox, g_get_monotonic_time());
    leave(link);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_mailbox_request(const FwRequest *request, void *user)
{
    FwLink *link = user;
    return link->node != NULL && fw_node_request(link->node, request);
}

static gboolean
on_mailbox_receive(const uint8_t *packet, size_t len_bytes, void *user)
{
    FwLink *link = user;
    return link->port != NULL && kd_link_port_receive(link->port, packet, len_bytes);
}

static void
on_mailbox_sent(gboolean is_taken, void *user)
{
    FwLink *link = user;
    link->is_taken = is_taken;
    if (link->port != NULL) {
        kd_link_port_ready(link->port);
    }
    link->is_taken = FALSE;
}

/* Also while it is thought to be lost: what it was asked before is not to be asked again. */
static void
on_mailbox_restarted(void *user)
{
    FwLink *link = user;
    gint64 now_us = g_get_monotonic_time();
    if (link->port == NULL) {
        return;
    }
    if (link->restarted_us == 0 || now_us - link->restarted_us >= STABLE_US) {
        link->restarted_us = now_us;
        kd_link_port_note(link->port, "the target on channel %u has restarted", link->channel);
    }
    if (link->port != NULL) {
        kd_link_port_restarted(link->port);
    }
}

static void
on_mailbox_found(const FwBlock *block, void *user)
{
    FwLink *link = user;
    (void)block;
    if (link->is_present || link->port == NULL) {
        return;
    }
    link->is_present = TRUE;
    link->found_us = g_get_monotonic_time();
    g_clear_pointer(&link->trouble, g_free);
    kd_link_port_note(link->port, "the target on channel %u is %s", link->channel,
                      fw_node_get_path(link->node));
    if (link->port != NULL) {
        kd_link_port_set_present(link->port, TRUE);
    }
    if (link->port != NULL) {
        kd_link_port_ready(link->port);
    }
}

static void
on_mailbox_lost(const char *why, void *user)
{
    FwLink *link = user;
    gboolean was_present = link->is_present;
    gboolean was_stable = was_present && g_get_monotonic_time() - link->found_us >= STABLE_US;
    g_clear_pointer(&link->node, fw_node_free);
    link->is_present = FALSE;
    if (link->port == NULL) {
        return;
    }
    seek(link, was_stable ? 0 : PAUSE_MS);
    if (was_present) {
        kd_link_port_note(link->port, "%s: looking for it", why);
    }
    if (was_present && link->port != NULL) {
        kd_link_port_set_present(link->port, FALSE);
    }
}

/* Of the same node, as it is now */
static void
attach(FwLink *link)
{
    const FwRom *rom = fw_node_get_rom(link->node);
    fw_node_forget(link->node);
    if (rom == NULL || rom->guid != link->guid) {
        fw_mailbox_forget(link->mailbox);
        fw_mailbox_detach(link->mailbox);
        on_mailbox_lost("the node is no debug target any more", link);
        return;
    }
    fw_mailbox_attach(link->mailbox, rom->block_offset, fw_node_get_chunk_bytes(link->node),
                      g_get_monotonic_time());
}

static void
lose_node(FwLink *link)
{
    fw_mailbox_detach(link->mailbox);
    on_mailbox_lost("the node has gone", link);
}

static void
on_mailbox_stale(void *user)
{
    FwLink *link = user;
    if (fw_node_refresh(link->node)) {
        attach(link);
    } else {
        lose_node(link);
    }
}

static const FwMailboxFuncs mailbox_funcs = {
    .request = on_mailbox_request,
    .receive = on_mailbox_receive,
    .sent = on_mailbox_sent,
    .found = on_mailbox_found,
    .restarted = on_mailbox_restarted,
    .lost = on_mailbox_lost,
    .stale = on_mailbox_stale,
};

/* ---- the node -------------------------------------------------------------------------------- */

static void
on_node_answered(FwNode *node, FwOutcome outcome, const uint8_t *bytes, size_t len_bytes,
                 void *user)
{
    FwLink *link = enter(user);
    (void)node;
    fw_mailbox_answer(link->mailbox, outcome, bytes, len_bytes, g_get_monotonic_time());
    leave(link);
}

static void
on_node_reset(FwNode *node, gboolean is_unsure, void *user)
{
    FwLink *link = enter(user);
    (void)node;
    fw_mailbox_break_off(link->mailbox, is_unsure);
    attach(link);
    leave(link);
}

static void
on_node_gone(FwNode *node, void *user)
{
    FwLink *link = enter(user);
    (void)node;
    lose_node(link);
    leave(link);
}

static const FwNodeFuncs node_funcs = {
    .answered = on_node_answered,
    .reset = on_node_reset,
    .gone = on_node_gone,
};

/* ---- the search ------------------------------------------------------------------------------ */

static void
on_search_seen(FwSearch *search, FwNode *node, const FwBlock *block, void *user)
{
    FwLink *link = user;
    if (block->channel != link->channel) {
        return;
    }
    enter(link);
    link->node = fw_search_take(search, node);
    g_clear_pointer(&link->search, fw_search_free);
    fw_node_set_funcs(link->node, &node_funcs, link);
    const FwRom *rom = fw_node_get_rom(link->node);
    if (link->guid != 0 && link->guid != rom->guid) {
        fw_mailbox_forget(link->mailbox);
    }
    link->guid = rom->guid;
    attach(link);
    leave(link);
}

static char *
build_denial(const FwSearch *search)
{
    return g_strdup_printf("%s: permission denied: data/udev/70-kdsrv.rules gives the group kdsrv "
                           "and the user at this machine access to it",
                           fw_search_get_denied(search));
}

/* What keeps the target from being found, as far as that is known */
static char *
build_trouble(const FwLink *link)
{
    if (fw_search_get_n_nodes(link->search) == 0) {
        return g_strdup("there is no FireWire controller: waiting for one");
    }
    if (fw_search_get_denied(link->search) != NULL && !fw_search_has_target(link->search)) {
        return build_denial(link->search);
    }
    return g_strdup_printf("waiting for a target on FireWire channel %u", link->channel);
}

/* Each trouble once, and a loss is told by itself. */
static void
on_search_scanned(FwSearch *search, void *user)
{
    FwLink *link = user;
    g_autofree char *trouble = build_trouble(link);
    (void)search;
    if (g_strcmp0(trouble, link->trouble) != 0) {
        g_free(link->trouble);
        link->trouble = g_steal_pointer(&trouble);
        kd_link_port_note(link->port, "%s", link->trouble);
    }
}

static const FwSearchFuncs search_funcs = {
    .seen = on_search_seen,
    .scanned = on_search_scanned,
};

static void
seek(FwLink *link, guint wait_ms)
{
    link->search = fw_search_new(link->host, wait_ms, &search_funcs, link);
}

/* ---- the port -------------------------------------------------------------------------------- */

/* To the port a packet is sent when the target has taken it: only then the debugger is told that
 * its request has arrived. So it is refused first, and offered again when it was taken. */
static gboolean
on_port_send(const uint8_t *bytes, size_t len_bytes, void *user)
{
    FwLink *link = user;
    if (len_bytes == 0 || len_bytes > FW_OUTBOX_PACKET_MAX_BYTES) {
        /* Its header counts here: 16 bytes less than elsewhere. */
        g_info("a packet of %zu bytes does not fit into a mailbox", len_bytes);
        return TRUE;
    }
    if (link->is_taken && len_bytes == link->packet_bytes &&
        memcmp(bytes, link->packet, len_bytes) == 0) {
        link->is_taken = FALSE;
        return TRUE;
    }
    enter(link);
    if (fw_mailbox_send(link->mailbox, bytes, len_bytes, g_get_monotonic_time())) {
        memcpy(link->packet, bytes, len_bytes);
        link->packet_bytes = len_bytes;
    }
    leave(link);
    return FALSE;
}

static const KdLinkPortFuncs port_funcs = {.send = on_port_send};

/* ---- opening --------------------------------------------------------------------------------- */

static gboolean
start(FwLink *link, const KdSink *sink, GError **error)
{
    link->port = kd_link_port_new(KD_DIALECT_1394, sink, &port_funcs, link);
    link->mailbox = fw_mailbox_new(link->channel, g_random_int(), &mailbox_funcs, link);
    link->clock = fw_clock_new(on_clock, link);
    seek(link, 0);
    if (fw_search_get_denied(link->search) != NULL && !fw_search_has_target(link->search)) {
        g_autofree char *denial = build_denial(link->search);
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, denial);
        return FALSE;
    }
    on_search_scanned(link->search, link);
    return TRUE;
}

/**
 * fw_link_open_async:
 * @params: with `channel`
 * @sink: told what is waited for
 *
 * Starts to look for a target; whether it is there already does not matter.
 */
void
fw_link_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                   GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(FwLink) link = g_object_new(FW_TYPE_LINK, NULL);
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    GError *error = NULL;
    guint64 channel = 0;
    (void)session;
    g_task_set_source_tag(task, fw_link_open_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    g_variant_lookup(params, "channel", "t", &channel);
    link->host = host;
    link->channel = (uint32_t)channel;
    if (!start(link, sink, &error)) {
        g_prefix_error(&error, "1394: ");
        clear_all(link);
        g_task_return_error(task, error);
        return;
    }
    g_task_return_boolean(task, TRUE);
}

/**
 * fw_link_open_finish:
 *
 * Returns: (transfer full) (nullable): the link. An error a caller branches on:
 *    %G_IO_ERROR_PERMISSION_DENIED
 */
GObject *
fw_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return NULL;
    }
    FwLink *link = g_task_get_source_object(G_TASK(result));
    g_autofree char *peer = g_strdup_printf("1394:%u", link->channel);
    kd_link_port_give(link->port, endpoint, peer);
    return g_object_ref(G_OBJECT(link));
}

/* ---- controls -------------------------------------------------------------------------------- */

static void
fill_status(const FwLink *link, GVariantDict *status)
{
    FwMailboxStatus counted;
    fw_mailbox_get_status(link->mailbox, &counted);
    if (link->node != NULL) {
        g_autofree char *guid = g_strdup_printf("%016" G_GINT64_MODIFIER "x", link->guid);
        g_variant_dict_insert(status, "device", "s", fw_node_get_path(link->node));
        g_variant_dict_insert(status, "guid", "s", guid);
        g_variant_dict_insert(status, "generation", "u", fw_node_get_generation(link->node));
    }
    g_variant_dict_insert(status, "requests", "t", counted.n_requests);
    g_variant_dict_insert(status, "failed-requests", "t", counted.n_failures);
    g_variant_dict_insert(status, "bus-resets", "t", counted.n_resets);
    g_variant_dict_insert(status, "garbage", "t", counted.n_garbage);
    g_variant_dict_insert(status, "withdrawn", "t", counted.n_withdrawn);
}

/**
 * fw_link_control_async:
 * @arg: (nullable): as kd-plugin.h says
 *
 * Starts a control operation; one at a time.
 */
void
fw_link_control_async(GObject *object, uint32_t op, GVariant *arg, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data)
{
    FwLink *link = FW_LINK(object);
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    GVariantDict status;
    g_task_set_source_tag(task, fw_link_control_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (link->port == NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST, "1394: the link was closed");
        return;
    }
    g_variant_dict_init(&status, NULL);
    if (op == KD_CONTROL_STATUS) {
        fill_status(link, &status);
    }
    kd_link_port_control(link->port, op, arg, &status, task);
    g_variant_dict_clear(&status);
}

/**
 * fw_link_control_finish:
 * @out: (out) (transfer full) (nullable): the result
 * @error: %KD_ERROR_NOT_SUPPORTED: the link has no such operation
 *
 * Returns: whether it was done
 */
gboolean
fw_link_control_finish(GObject *object, GAsyncResult *result, GVariant **out, GError **error)
{
    GError *own = NULL;
    g_autoptr(GVariant) value = g_task_propagate_pointer(G_TASK(result), &own);
    (void)object;
    if (own != NULL) {
        g_propagate_error(error, own);
        return FALSE;
    }
    if (out != NULL) {
        *out = g_steal_pointer(&value);
    }
    return TRUE;
}

/* ---- the end --------------------------------------------------------------------------------- */

/**
 * fw_link_close_async:
 *
 * Ends the search or lets the node go. Nothing of what the target knows is changed: the next
 * debugger finds it as it is.
 */
void
fw_link_close_async(GObject *object, GAsyncReadyCallback callback, gpointer user_data)
{
    FwLink *link = FW_LINK(object);
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);
    g_task_set_source_tag(task, fw_link_close_async);
    clear_all(link);
    g_task_return_boolean(task, TRUE);
}

/**
 * fw_link_close_finish:
 *
 * Ends closing.
 */
void
fw_link_close_finish(GObject *object, GAsyncResult *result)
{
    (void)object;
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}

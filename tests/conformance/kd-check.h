/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the conformance cases are made of: a host of their own, calls, ends, and peers. */
#pragma once

#include "kd-params.h"

#include <kdsrv/kd-plugin.h>

/* ---- the module under test ------------------------------------------------------------------ */

typedef struct KdCheckAdapter KdCheckAdapter;

/**
 * KdCheckSubject:
 * @file: absolute path of the module
 * @plugin: its table
 * @transport: (nullable): the one that a case is about
 * @target: (nullable): the one that a case is about
 * @adapter: (nullable): how to make strings and peers for it
 *
 * What one case looks at.
 */
typedef struct {
    const char *file;
    const KdPlugin *plugin;
    const KdTransport *transport;
    const KdTarget *target;
    const KdCheckAdapter *adapter;
} KdCheckSubject;

const KdPlugin *kd_check_load(const char *file, GError **error);
char **kd_check_build_exports(const char *file, GError **error);
GVariant *kd_check_parse(const char *scheme, const KdParamSpec *table, KdForm form,
                         const char *spec);
void kd_check_error_is_sane(const GError *error);

void kd_check_add_table_cases(const KdCheckSubject *subject);
void kd_check_add_transport_cases(const KdCheckSubject *subject);
void kd_check_add_transport_cancel_cases(const KdCheckSubject *subject);
void kd_check_add_target_cases(const KdCheckSubject *subject);
void kd_check_add_target_cancel_cases(const KdCheckSubject *subject);
void kd_check_add_case(const char *name, void (*fn)(const KdCheckSubject *subject),
                       const KdCheckSubject *subject);

/* ---- the host and its loop ------------------------------------------------------------------ */

extern const KdHost kd_check_host;

void kd_check_start(const char *what);
void kd_check_stop(void);
void kd_check_turn(gboolean may_block);
void kd_check_settle(void);
void kd_check_clock_start(void);
void kd_check_clock_stop(const char *what);
guint kd_check_count_fds(void);
size_t kd_check_count_bytes(void);
gboolean kd_check_has_sanitizer(void);

/* ---- asynchronous calls --------------------------------------------------------------------- */

/**
 * KdCheckCall:
 * @what: for messages
 * @cancellable: given to the call
 * @result: what the callback got
 * @n_done: callbacks
 * @has_returned: the _async call has returned
 *
 * One asynchronous call under test; lives in its case.
 */
typedef struct {
    const char *what;
    GCancellable *cancellable;
    GAsyncResult *result;
    guint n_done;
    gboolean has_returned;
} KdCheckCall;

void kd_check_call_begin(KdCheckCall *call, const char *what);
void kd_check_call_returned(KdCheckCall *call);
void kd_check_call_await(KdCheckCall *call);
void kd_check_call_clear(KdCheckCall *call);
void kd_check_call_on_done(GObject *source, GAsyncResult *result, gpointer user);

/* The moments at which a call is cancelled: before it, right after it, then so many turns later */
#define KD_CHECK_CANCEL_BEFORE   (-1)
#define KD_CHECK_CANCEL_LAST     8
#define KD_CHECK_CANCEL_FINISHED 9 /* after the callback, before _finish */
void kd_check_call_cancel_before(KdCheckCall *call, int moment);
void kd_check_call_cancel_after(KdCheckCall *call, int moment, gboolean may_block);

/* ---- ends ----------------------------------------------------------------------------------- */

/**
 * KdCheckEnd:
 * @endpoint: what the plugin has filled
 * @ready: KD_READY_*, remembered as a host does
 * @is_open: not closed yet
 *
 * An endpoint in use; lives in its case, longer than the endpoint.
 */
typedef struct {
    KdEndpoint endpoint;
    uint32_t ready;
    guint n_reports;
    gboolean is_open;
} KdCheckEnd;

/**
 * KdCheckFlow:
 * @from: is written to
 * @to: is read from; the same where a peer echoes
 * @total: bytes
 * @chunk: most bytes of one write
 * @written: so far
 * @read: so far
 *
 * A known pattern on its way.
 */
typedef struct {
    KdCheckEnd *from;
    KdCheckEnd *to;
    guint64 total;
    size_t chunk;
    guint64 written;
    guint64 read;
} KdCheckFlow;

void kd_check_end_prepare(KdCheckEnd *end);
void kd_check_end_start(KdCheckEnd *end);
void kd_check_end_close(KdCheckEnd *end);
gssize kd_check_end_read(KdCheckEnd *end, void *buf, size_t len);
gssize kd_check_end_write(KdCheckEnd *end, const void *buf, size_t len);
int kd_check_end_shutdown(KdCheckEnd *end);
void kd_check_end_await(KdCheckEnd *end, uint32_t ready);
guint64 kd_check_end_fill(KdCheckEnd *end, guint64 most);
gssize kd_check_end_drain(KdCheckEnd *end, guint64 *count);
void kd_check_run_flows(KdCheckFlow *flows, size_t n_flows);

/* ---- peers ---------------------------------------------------------------------------------- */

/**
 * KdCheckPeer:
 * @folder: a temporary directory
 * @spec: what the plugin is given; for a transport: the server's string
 * @client_spec: for a transport, once it listens
 * @spare_spec: for a transport: a client's string that leads to nobody
 * @is_deaf: reads nothing
 *
 * The other side of what is tested. The rest belongs to the adapter.
 */
typedef struct {
    const KdCheckAdapter *adapter;
    char *folder;
    char *spec;
    char *client_spec;
    char *spare_spec;
    gboolean is_deaf;
    int fd;
    int other_fd;
    guint source_id;
    GPtrArray *lines;
} KdCheckPeer;

/**
 * KdCheckAdapter:
 * @name: of the adapter
 * @scheme: that it is for
 * @start: makes @spec and what it leads to
 * @stop: undoes it
 * @bound: (nullable): transports: makes client_spec out of what listening gave
 * @deafen: (nullable): the peer reads nothing, or reads again
 * @lose: (nullable): targets: the device goes
 * @restore: (nullable): targets: it comes back
 * @is_mute: targets: nobody is there who would echo
 *
 * What the suite has to know about a scheme to make the other side of it.
 */
struct KdCheckAdapter {
    const char *name;
    const char *scheme;
    void (*start)(KdCheckPeer *peer);
    void (*stop)(KdCheckPeer *peer);
    void (*bound)(KdCheckPeer *peer, const KdListening *listening);
    void (*deafen)(KdCheckPeer *peer, gboolean is_deaf);
    void (*lose)(KdCheckPeer *peer);
    void (*restore)(KdCheckPeer *peer);
    gboolean is_mute;
};

const KdCheckAdapter *kd_check_find_adapter(const char *name);
const KdCheckAdapter *kd_check_get_given_adapter(const char *spec, const char *client_spec);
KdCheckPeer *kd_check_peer_new(const KdCheckAdapter *adapter);
void kd_check_peer_free(KdCheckPeer *peer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdCheckPeer, kd_check_peer_free)

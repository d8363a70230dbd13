/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole plugin ABI of kdsrv: what a transport or a target link must offer and may ask for. */
#pragma once

#include <gio/gio.h>
#include <gmodule.h>

#include <stddef.h>
#include <stdint.h>

G_BEGIN_DECLS

/* A plugin is one shared module with one exported symbol, a constant table of type KdPlugin. GLib
 * is all it needs to link. Five rules hold for every function below:
 *
 *  1. Every call comes on the one thread that called init, with that thread's default main context
 *     running. Completions go back there, exactly once, and never before the _async call returned.
 *  2. Nothing blocks: no name look-ups, no sleeps, no synchronous I/O on what may wait.
 *  3. A _finish gives its value or an error, never neither. After a cancellation the error is
 *     G_IO_ERROR_CANCELLED, and nothing is handed over.
 *  4. Messages are lower case, without a full stop; they name the key or the file, never a secret.
 *  5. Every table starts with its size; members are only ever appended, and a member that is NULL
 *     is not offered. */

/* ---- 1. identity ---------------------------------------------------------------------------- */

#define KD_ABI_MAJOR 0 /* equal on both sides, else refused; 0 = changes weekly */
#define KD_ABI_MINOR 0 /* grows with every append; see plugin-api/abi/CHANGES.md */
#define KD_ABI_MAGIC UINT32_C(0x4b44504c) /* "KDPL" */

/* The lowest host minor that this plugin runs on; define it before including this header. */
#ifndef KD_ABI_MINOR_NEEDED
#define KD_ABI_MINOR_NEEDED 0
#endif

/**
 * KdAbi:
 * @magic: %KD_ABI_MAGIC
 * @major: %KD_ABI_MAJOR of the header used
 * @minor: %KD_ABI_MINOR of the header used
 * @minor_needed: the lowest minor of a host that will do
 * @reserved: 0
 * @struct_size: size in bytes of the struct that this one starts
 *
 * First member of #KdPlugin. These 16 bytes never change, in any major; the host reads nothing else
 * before it has accepted them.
 */
typedef struct {
    uint32_t magic;
    uint16_t major;
    uint16_t minor;
    uint16_t minor_needed;
    uint16_t reserved;
    uint32_t struct_size;
} KdAbi;

/* ---- 2. parameters as a table --------------------------------------------------------------- */

/* KdParamSpec.type, and the GVariant type of the parsed value */
enum {
    KD_PARAM_FLAG = 1,   /* `hidden`                  'b'                                        */
    KD_PARAM_STRING = 2, /* `pipe=Name`               's'                                        */
    KD_PARAM_UINT = 3,   /* `baud=115200`             't'                                        */
    KD_PARAM_CHOICE = 4, /* `proto=tls1`              's', in the table's spelling               */
    KD_PARAM_PORTS = 5,  /* `port=51` or `port=51:60` '(qq)', low and high                       */
    KD_PARAM_HOST = 6,   /* `server=\\HOST`           's', without leading slashes               */
    KD_PARAM_PATH = 7,   /* `port=/run/vm.sock`       's', absolute                              */
    KD_PARAM_DEVICE = 8, /* `port=com2`               's', a path: /dev/ttyS1                    */
};

/* KdParamSpec.flags */
enum {
    KD_PARAM_REQUIRED = 1u << 0,   /* with a group: one of the group must stand                  */
    KD_PARAM_SECRET = 1u << 1,     /* never logged or listed                                     */
    KD_PARAM_IGNORED = 1u << 2,    /* accepted for compatibility, has no effect                  */
    KD_PARAM_DEPRECATED = 1u << 3, /* accepted with a warning                                    */
    KD_PARAM_EXTENSION = 1u << 4,  /* not in the documented form: help lists it apart            */
    KD_PARAM_EXACT = 1u << 5,      /* PORTS: one port, no range                                  */
    /* the forms in which the key may stand; none of the four = in all of them (targets: always) */
    KD_PARAM_SERVER = 1u << 8,         /* kdsrv -t, listening                                    */
    KD_PARAM_CLIENT = 1u << 9,         /* kd, dialling                                           */
    KD_PARAM_SERVER_CLICON = 1u << 10, /* kdsrv -t with clicon=, dialling the client             */
    KD_PARAM_CLIENT_CLICON = 1u << 11, /* kd with clicon=, waiting for the server                */
};

/**
 * KdParamSpec:
 * @key: as it is listed, `Port` is derived from `port`; matched in any case
 * @type: one of KD_PARAM_FLAG and so on
 * @flags: KD_PARAM_REQUIRED and so on
 * @group: keys with the same non-zero group exclude each other
 * @max_len: strings: most bytes in a value; 0 = 255
 * @min: UINT and PORTS: least value
 * @max: UINT and PORTS: largest value; 0 = what the type can hold
 * @default_value: (nullable): in the user's spelling
 * @choices: (nullable): CHOICE: the words, %NULL-terminated
 * @placeholder: (nullable): stands for the value in the usage line
 * @help: one sentence, without a full stop
 * @environment: (nullable): variable of the server's environment that supplies a key left out
 * @reserved: %NULL
 *
 * One key of `scheme:key=value,flag`. A table ends with a zeroed entry; its order is the order of
 * the usage line. A key may have several entries whose forms do not overlap. The size of this
 * struct is frozen within a major, because tables are arrays.
 */
typedef struct {
    const char *key;
    uint32_t type;
    uint32_t flags;
    uint32_t group;
    uint32_t max_len;
    uint64_t min;
    uint64_t max;
    const char *default_value;
    const char *const *choices;
    const char *placeholder;
    const char *help;
    const char *environment;
    const void *reserved[2];
} KdParamSpec;

/* ---- 3. what is handed over: a descriptor, or a stream without one -------------------------- */

/* One vocabulary of readiness for descriptors and for streams */
enum {
    KD_READY_IN = 1u << 0,  /* a read would not say -EAGAIN: bytes, end or error                 */
    KD_READY_OUT = 1u << 1, /* a write would not say -EAGAIN                                     */
    /* for watch_add only, beside these: the function changes nothing that the main context waits
     * for, or calls g_main_context_wakeup() when it has; then nothing has to be looked at again */
    KD_READY_QUIET = 1u << 8,
};

/**
 * KdReadyFunc:
 * @user: what was given with the function
 * @ready: KD_READY_IN, KD_READY_OUT or both
 *
 * The host's side of a stream's readiness: it only takes note and never calls back into the plugin.
 * A plugin's own function of this type, given to #KdHost.watch_add, does at most 64 KiB or 64
 * datagrams of work and returns: it is called again while the level holds. It may call any GLib
 * function, but neither blocks nor iterates the main context.
 */
typedef void (*KdReadyFunc)(void *user, uint32_t ready);

/* The plugin's own object */
typedef struct KdStream KdStream;

/**
 * KdStreamOps:
 * @struct_size: sizeof(KdStreamOps)
 * @read: takes up to @len bytes; returns their count, 0 at the end, or -errno. After -EAGAIN one
 *    KD_READY_IN follows
 * @write: gives up to @len bytes; returns how many were taken, maybe fewer, or -errno. After
 *    -EAGAIN one KD_READY_OUT follows
 * @set_ready: called before the first read, and again when a kept stream is taken up by the next
 *    session; @fn %NULL: nothing is reported from now on
 * @shutdown_write: (nullable): no more bytes of ours will come; 0 or -errno. %NULL: no half-close
 * @destroy: drops what is unsent; the last call on the stream
 *
 * A non-blocking byte stream of the plugin's own making. The host remembers readiness, the plugin
 * reports edges: one too many is fine, one missing after -EAGAIN is a bug.
 */
typedef struct {
    uint32_t struct_size;
    gssize (*read)(KdStream *stream, void *buf, size_t len);
    gssize (*write)(KdStream *stream, const void *buf, size_t len);
    void (*set_ready)(KdStream *stream, KdReadyFunc fn, void *user);
    int (*shutdown_write)(KdStream *stream);
    void (*destroy)(KdStream *stream);
} KdStreamOps;

/* KdEndpoint.flags */
enum {
    KD_ENDPOINT_ENCRYPTED = 1u << 0,  /* nobody on the way can read or alter it                  */
    KD_ENDPOINT_HALF_CLOSE = 1u << 1, /* shutdown() or shutdown_write reaches the other end      */
    /* of a link, what happens after its last session has let go; neither = it is closed         */
    KD_ENDPOINT_KEEP = 1u << 2,  /* stays open; what the target says waits for the next session  */
    KD_ENDPOINT_DRAIN = 1u << 3, /* stays open; what the target says is read and dropped         */
    KD_ENDPOINT_QUIET = 1u << 4, /* the stream's functions are as KD_READY_QUIET has it          */
};

/**
 * KdEndpoint:
 * @struct_size: the host's; a plugin writes no member beyond it
 * @flags: KD_ENDPOINT_ENCRYPTED and so on
 * @fd: (transfer full): non-blocking and close-on-exec, or -1 and the two below
 * @reserved: 0
 * @ops: (nullable): %NULL when there is a descriptor
 * @stream: (transfer full) (nullable): given back by @ops->destroy
 * @facts: (transfer full) (nullable): a{sv}: `peer` s, `peer-uid` u, `peer-pid` u, `baud` u,
 *    `dialect` s (kdcom, gdb-rsp, console or bytes), `controls` u: of the control operations of
 *    its kind, those that this link offers, `resets` u: reset packets that its string wants the
 *    debugger to send
 *
 * One end of a byte stream. Fill it with kd_endpoint_take_fd() or kd_endpoint_take_stream().
 */
typedef struct {
    uint32_t struct_size;
    uint32_t flags;
    int fd;
    uint32_t reserved;
    const KdStreamOps *ops;
    KdStream *stream;
    GVariant *facts;
} KdEndpoint;

/* ---- 4. services of the host ---------------------------------------------------------------- */

typedef struct KdWatch KdWatch;
typedef struct KdHost KdHost;

/**
 * KdHost:
 * @struct_size: the host's
 * @abi_major: the host's
 * @abi_minor: the host's
 * @watch_add: puts a descriptor of the plugin's own (UDP, tty, usbfs) into the host's set,
 *    level-triggered; %NULL with errno set when the kernel refuses
 * @watch_set: changes what is waited for; 0 takes it out of the set
 * @watch_remove: before close(); the function is not called any more, not even from itself
 * @open_path: finds the file that a string names, if the host's rules allow it: returns an O_PATH
 *    descriptor (transfer full), to be used as `/proc/self/fd/N`, or -1. Errors a caller branches
 *    on: G_IO_ERROR_NOT_FOUND (it may appear yet), KD_ERROR_POLICY
 * @may_dial: whether the host's rules allow a connection to @address, which @name (as the string
 *    had it) resolved to; asked for each address, right before connecting. @address (nullable):
 *    %NULL asks whether @name may be looked up at all, before a name server hears of it
 *
 * What the host does for a plugin. The table lives as long as the process.
 */
struct KdHost {
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    KdWatch *(*watch_add)(const KdHost *host, int fd, uint32_t ready, KdReadyFunc fn, void *user);
    void (*watch_set)(KdWatch *watch, uint32_t ready);
    void (*watch_remove)(KdWatch *watch);
    int (*open_path)(const KdHost *host, const char *path, GError **error);
    gboolean (*may_dial)(const KdHost *host, const char *name, GSocketAddress *address,
                         GError **error);
};

/* ---- 5. transports -------------------------------------------------------------------------- */

/* KdTransport.caps */
enum {
    KD_TRANSPORT_LISTEN = 1u << 0,  /* listen_async and what belongs to it                       */
    KD_TRANSPORT_CONNECT = 1u << 1, /* connect_async                                             */
    KD_TRANSPORT_TLS = 1u << 2,     /* the host puts TLS on every connection                     */
    KD_TRANSPORT_LOCAL = 1u << 3,   /* only this machine reaches its listeners                   */
};

#define KD_LISTEN_FDS 16

/**
 * KdListening:
 * @struct_size: the host's; a plugin writes no member beyond it
 * @n_fds: how many of @fds are filled
 * @fds: (transfer full): listening sockets; the host accepts, limits and closes
 * @bound: (transfer full) (nullable): a{sv} of the keys whose value became more exact by listening:
 *    `port` (qq) of `port=51:60` is the real port and the end of the range
 * @listener: (transfer full) (nullable): the plugin's state, passed to accept and unlisten
 */
typedef struct {
    uint32_t struct_size;
    uint32_t n_fds;
    int fds[KD_LISTEN_FDS];
    GVariant *bound;
    GObject *listener;
} KdListening;

/**
 * KdTransport:
 * @struct_size: sizeof(KdTransport)
 * @caps: KD_TRANSPORT_LISTEN and so on
 * @scheme: what stands before the colon; lower case letters and digits
 * @summary: one line for --list-plugins
 * @params: the keys, without those of the host: `password` and `password-file`, which every
 *    transport gets, and `proto`, `certuser`, `machuser`, `clientcert` and `ca`, which
 *    %KD_TRANSPORT_TLS brings; none of their values ever reaches a plugin
 * @check: (nullable): what a table can't say about the parsed keys (a{sv})
 * @listen_async: opens the listening sockets
 * @listen_finish: fills a #KdListening
 * @accept_async: (nullable): only where there is no socket to accept from
 * @accept_finish: (nullable): fills a #KdEndpoint; no bytes have been exchanged on it
 * @unlisten: (nullable): no accept completes after it; removes what listening made in the file
 *    system. The host has closed the sockets before
 * @connect_async: dials
 * @connect_finish: fills a #KdEndpoint
 *
 * A way for clients to reach a server. `params` are a{sv} as parsed by @params, keys in the
 * table's spelling, defaults filled in.
 */
typedef struct {
    uint32_t struct_size;
    uint32_t caps;
    const char *scheme;
    const char *summary;
    const KdParamSpec *params;
    gboolean (*check)(GVariant *params, GError **error);
    void (*listen_async)(const KdHost *host, GVariant *params, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data);
    gboolean (*listen_finish)(GAsyncResult *result, KdListening *listening, GError **error);
    void (*accept_async)(GObject *listener, GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data);
    gboolean (*accept_finish)(GObject *listener, GAsyncResult *result, KdEndpoint *endpoint,
                              GError **error);
    void (*unlisten)(GObject *listener);
    void (*connect_async)(const KdHost *host, GVariant *params, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data);
    gboolean (*connect_finish)(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
} KdTransport;

/* ---- 6. target links ------------------------------------------------------------------------ */

/* Events of a link, given to KdSink.event */
enum {
    KD_EVENT_LOST = 1,   /* arg NULL: no bytes pass until KD_EVENT_BACK                          */
    KD_EVENT_BACK = 2,   /* arg NULL: the same endpoint goes on (a new one comes by reopening)   */
    KD_EVENT_RESYNC = 3, /* arg NULL: the target restarted its side                              */
    KD_EVENT_LINES = 4,  /* arg u: modem lines, TIOCM_* bits                                     */
    KD_EVENT_NOTE = 5,   /* arg s: one sentence for log and client, no control characters        */
};

/**
 * KdSink:
 * @struct_size: the host's
 * @reserved: 0
 * @event: takes one event; @arg is sunk if it is floating
 * @user: first argument of @event
 *
 * Where a link reports what happens to it. Valid from open_async until close_async has ended.
 */
typedef struct {
    uint32_t struct_size;
    uint32_t reserved;
    void (*event)(void *user, uint32_t event, GVariant *arg);
    void *user;
} KdSink;

/* Control operations; a link has the bit (1u << op) in its caps for each one it offers */
enum {
    KD_CONTROL_BREAK = 1,  /* arg u: 0 = after every byte already taken has left; 1 = drop those
                              first. Result t: bytes dropped                                      */
    KD_CONTROL_RESET = 2,  /* arg NULL. Result NULL                                               */
    KD_CONTROL_BAUD = 3,   /* arg u. Result u: the speed in effect                                */
    KD_CONTROL_PURGE = 4,  /* arg NULL. Result t: bytes dropped                                   */
    KD_CONTROL_STATUS = 5, /* arg NULL. Result a{sv}                                             */
    KD_CONTROL_LINES = 6,  /* arg (uu): mask, value. Result u: modem lines                        */
    KD_CONTROL_DRAIN = 7,  /* arg NULL; completes when nothing taken is unsent. Result NULL       */
};

/* KdTarget.caps, beside the bits of the control operations */
enum {
    KD_TARGET_SHARED = 1u << 16, /* several sessions at once                                     */
    KD_TARGET_REOPEN = 1u << 17, /* reopen_async: the device may go and come back                */
};

/**
 * KdTarget:
 * @struct_size: sizeof(KdTarget)
 * @caps: control operations and KD_TARGET_*
 * @scheme: what stands before the colon; lower case letters and digits
 * @summary: one line for --list-plugins
 * @params: the keys
 * @check: (nullable): what a table can't say about the parsed keys (a{sv})
 * @build_lock_names: (nullable): (transfer full): everything that two openings would collide on,
 *    from the device rather than its name: `dev:4:64`, `udp:50000`; %NULL for nothing
 * @enumerate_async: (nullable): finds what could be opened; @filter is a{sv}. After 5 s it is
 *    cancelled and left out of the list; it is not called again before it has completed
 * @enumerate_finish: (nullable): (transfer full): aa{sv}: `trans` s (complete), `name` s (for
 *    people), `device` s, `aliases` as (other paths of it), `busy` b (missing: not known),
 *    `holder` s (a program of this machine, where that is known)
 * @open_async: opens the link. @session is a{sv}: `id` t, `identity` s, `peer` s, `role` s,
 *    `certificate` s (subject of the client's, verified; missing: there is none). @sink is valid
 *    until close_async has ended
 * @open_finish: (transfer full): the link's object, and a filled #KdEndpoint
 * @reopen_async: (nullable): KD_TARGET_REOPEN: asked after the endpoint ended or failed; completes
 *    when the device is back, however long that takes, or is cancelled
 * @reopen_finish: (nullable): fills the new #KdEndpoint
 * @control_async: (nullable): one at a time
 * @control_finish: (nullable): @out (transfer full) (nullable): the result
 * @close_async: not cancellable, takes at most 2 s; the endpoint is still open meanwhile; no event
 *    comes after it has ended
 * @close_finish: ends it
 *
 * A way to reach a target.
 */
typedef struct {
    uint32_t struct_size;
    uint32_t caps;
    const char *scheme;
    const char *summary;
    const KdParamSpec *params;
    gboolean (*check)(GVariant *params, GError **error);
    char **(*build_lock_names)(const KdHost *host, GVariant *params);
    void (*enumerate_async)(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                            GAsyncReadyCallback callback, gpointer user_data);
    GVariant *(*enumerate_finish)(GAsyncResult *result, GError **error);
    void (*open_async)(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
    GObject *(*open_finish)(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
    void (*reopen_async)(GObject *link, GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data);
    gboolean (*reopen_finish)(GObject *link, GAsyncResult *result, KdEndpoint *endpoint,
                              GError **error);
    void (*control_async)(GObject *link, uint32_t op, GVariant *arg, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data);
    gboolean (*control_finish)(GObject *link, GAsyncResult *result, GVariant **out, GError **error);
    void (*close_async)(GObject *link, GAsyncReadyCallback callback, gpointer user_data);
    void (*close_finish)(GObject *link, GAsyncResult *result);
} KdTarget;

/* ---- 7. the descriptor ---------------------------------------------------------------------- */

/**
 * KdPlugin:
 * @abi: KD_ABI_INIT(KdPlugin)
 * @name: unique among the loaded files
 * @version: of the plugin, free form
 * @license: SPDX expression
 * @origin: (nullable): URL for bug reports
 * @transports: (nullable): %NULL-terminated
 * @targets: (nullable): %NULL-terminated
 * @init: (nullable): called once, after all checks
 */
typedef struct {
    KdAbi abi;
    const char *name;
    const char *version;
    const char *license;
    const char *origin;
    const KdTransport *const *transports;
    const KdTarget *const *targets;
    gboolean (*init)(const KdHost *host, GError **error);
} KdPlugin;

#define KD_PLUGIN_SYMBOL      kdsrv_plugin_v0
#define KD_PLUGIN_SYMBOL_NAME "kdsrv_plugin_v0"

/**
 * KD_ABI_INIT:
 * @type: the struct that starts with a #KdAbi
 *
 * Initialiser of a #KdAbi.
 */
#define KD_ABI_INIT(type)                                                              \
    {                                                                                  \
        KD_ABI_MAGIC, KD_ABI_MAJOR, KD_ABI_MINOR, KD_ABI_MINOR_NEEDED, 0, sizeof(type) \
    }

/**
 * KD_PLUGIN_DEFINE:
 * @...: designated initialisers of #KdPlugin, without `.abi` (C, C++20, or GNU C++17)
 *
 * Defines the module's one exported symbol.
 */
#define KD_PLUGIN_DEFINE(...)                               \
    G_MODULE_EXPORT extern const KdPlugin KD_PLUGIN_SYMBOL; \
    const KdPlugin KD_PLUGIN_SYMBOL = {.abi = KD_ABI_INIT(KdPlugin), __VA_ARGS__}

/* ---- 8. errors ------------------------------------------------------------------------------ */

typedef enum {
    KD_ERROR_FAILED = 0,
    KD_ERROR_ABI = 1,
    KD_ERROR_PLUGIN_PATH = 2,
    KD_ERROR_PARAM_UNKNOWN = 3,
    KD_ERROR_PARAM_MISSING = 4,
    KD_ERROR_PARAM_INVALID = 5,
    KD_ERROR_NOT_SUPPORTED = 6,
    KD_ERROR_BUSY = 7,
    KD_ERROR_AUTH = 8,
    KD_ERROR_TLS = 9,
    KD_ERROR_PROTOCOL = 10,
    KD_ERROR_LINK_LOST = 11,
    KD_ERROR_POLICY = 12,
} KdError;

#define KD_ERROR (kd_error_quark())

/**
 * kd_error_quark:
 *
 * Returns: the one error domain of host and plugins; codes are #KdError.
 */
static inline GQuark
kd_error_quark(void)
{
    return g_quark_from_string("kd-error-quark");
}

/**
 * kd_endpoint_take_fd:
 * @endpoint: the host's
 * @fd: (transfer full): non-blocking and close-on-exec
 * @flags: KD_ENDPOINT_*
 * @facts: (nullable): a{sv}; sunk if floating
 *
 * Fills an endpoint that is a descriptor.
 */
static inline void
kd_endpoint_take_fd(KdEndpoint *endpoint, int fd, uint32_t flags, GVariant *facts)
{
    endpoint->fd = fd;
    endpoint->flags = flags;
    endpoint->facts = facts != NULL ? g_variant_ref_sink(facts) : NULL;
}

/**
 * kd_endpoint_take_stream:
 * @endpoint: the host's
 * @ops: lives as long as the process
 * @stream: (transfer full): given back by @ops->destroy
 * @flags: KD_ENDPOINT_*
 * @facts: (nullable): a{sv}; sunk if floating
 *
 * Fills an endpoint that has no descriptor.
 */
static inline void
kd_endpoint_take_stream(KdEndpoint *endpoint, const KdStreamOps *ops, KdStream *stream,
                        uint32_t flags, GVariant *facts)
{
    endpoint->fd = -1;
    endpoint->ops = ops;
    endpoint->stream = stream;
    endpoint->flags = flags;
    endpoint->facts = facts != NULL ? g_variant_ref_sink(facts) : NULL;
}

G_END_DECLS

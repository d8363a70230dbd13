/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Payloads of the frames: structs to bytes and back, every length checked. */
#pragma once

#include "kd-frame.h"

/* What CLOSE says; kd's exit status follows from it. */
typedef enum {
    KD_CLOSE_NORMAL = 0,
    KD_CLOSE_GOING_AWAY = 1,
    KD_CLOSE_AUTH_FAILED = 2,
    KD_CLOSE_DENIED = 3,
    KD_CLOSE_BUSY = 4,
    KD_CLOSE_TAKEN_OVER = 5,
    KD_CLOSE_TARGET_LOST = 6,
    KD_CLOSE_TARGET_CLOSED = 7,
    KD_CLOSE_PROTOCOL_ERROR = 8,
    KD_CLOSE_FLOW_VIOLATION = 9,
    KD_CLOSE_TIMEOUT = 10,
    KD_CLOSE_LIMIT = 11,
    KD_CLOSE_KICKED = 12,
    KD_CLOSE_VERSION = 13,
    KD_CLOSE_SESSION_UNKNOWN = 14,
    KD_CLOSE_INTERNAL = 15,
    KD_CLOSE_OPEN_FAILED = 16, /* the link could not be opened; the text says why        */
    KD_CLOSE_BAD_REQUEST = 17, /* the string of OPEN is wrong; the text names the key    */
    KD_CLOSE_NOT_SUPPORTED = 18,
} KdCloseCode;

#define KD_HELLO_MAX_WORDS      16u             /* features, mechanisms */
#define KD_HELLO_MIN_DATA_BYTES 1024u           /* of max_data_bytes */
#define KD_HELLO_MAX_DATA_BYTES (1024u * 1024u) /* of max_data_bytes */
#define KD_AUTH_MAX_STEP_BYTES  896u            /* with mechanism and done it fits before auth */
#define KD_LISTED_MAX_ALIASES   16u             /* of one link */

/* Features of HELLO */
#define KD_FEATURE_LIST "list" /* LIST and LISTED */

/**
 * KdHello:
 * @window: DATA bytes the sender of this HELLO takes beyond its ack
 * @max_data_bytes: longest DATA payload it takes
 * @features: (element-type utf8): names, at most %KD_HELLO_MAX_WORDS
 * @mechanisms: (element-type utf8): of authentication; from the server only
 * @software: (nullable): name and version; from the client only
 */
typedef struct {
    uint32_t window;
    uint32_t max_data_bytes;
    char **features;
    char **mechanisms;
    char *software;
} KdHello;

/* Mechanisms of AUTH that have no steps; those of passwords are named in kd-scram.h */
#define KD_MECHANISM_NONE     "none"     /* the server asks for nothing               */
#define KD_MECHANISM_EXTERNAL "external" /* the carrier knows who the client is        */

/**
 * KdAuth:
 * @mechanism: (nullable): in the client's first step
 * @step: (nullable): bytes of the mechanism
 * @is_done: from the server: authenticated
 * @finished: (nullable): %KD_FINISHED_BYTES: that both have said and heard the same
 */
typedef struct {
    char *mechanism;
    GBytes *step;
    gboolean is_done;
    GBytes *finished;
} KdAuth;

/**
 * KdOpen:
 * @trans: the link's string, `com:port=com2,baud=115200`
 * @identity: (nullable): who the client says it is, `HOST\user`, for those who find the link busy;
 *    a claim, never a right
 */
typedef struct {
    char *trans;
    char *identity;
} KdOpen;

/**
 * KdOpened:
 * @session: id of the session
 * @scheme: of the link
 * @dialect: kdcom, gdb-rsp, console or bytes
 * @controls: bit (1 << op) for each control operation the link offers
 * @has_half_close: the end of our bytes reaches the target
 * @baud: in effect; 0 where there is none
 * @name: the link as listed
 * @has_resets: whether the link's string has @resets; a server of 1.0 never says it
 * @resets: reset packets that the debugger shall send
 */
typedef struct {
    uint64_t session;
    char *scheme;
    char *dialect;
    uint32_t controls;
    gboolean has_half_close;
    uint32_t baud;
    char *name;
    gboolean has_resets;
    uint32_t resets;
} KdOpened;

/**
 * KdList:
 * @scheme: (nullable): only links of this kind; %NULL: of all
 */
typedef struct {
    char *scheme;
} KdList;

/* Whether a link can be had */
typedef enum {
    KD_LINK_USE_UNKNOWN = 0,
    KD_LINK_USE_FREE = 1,
    KD_LINK_USE_BUSY = 2,
} KdLinkUse;

/**
 * KdListedLink:
 * @trans: string that opens it
 * @name: (nullable): for people
 * @device: (nullable): its path
 * @aliases: other paths of it, at most %KD_LISTED_MAX_ALIASES
 * @use: whether it can be had
 * @holder: (nullable): who has it, where that is known
 *
 * One link that could be opened.
 */
typedef struct {
    char *trans;
    char *name;
    char *device;
    char **aliases;
    KdLinkUse use;
    char *holder;
} KdListedLink;

/**
 * KdListedLinkFunc:
 *
 * Puts right what a plugin can't know about a link.
 */
typedef void (*KdListedLinkFunc)(KdListedLink *link, void *user);

/**
 * KdListed:
 * @links: (element-type KdListedLink): in the order in which they are shown
 * @has_more: there are links that are not in @links
 * @n_bytes: length of the payload
 */
typedef struct {
    GPtrArray *links;
    gboolean has_more;
    size_t n_bytes;
} KdListed;

/**
 * KdControl:
 * @id: chosen by the client, rising
 * @op: KD_CONTROL_*
 * @is_urgent: BREAK: do not wait for earlier bytes, drop them
 * @at: DATA bytes that the client had sent before it
 * @arg: first argument of the operation; 0 where there is none
 * @arg2: second argument
 */
typedef struct {
    uint32_t id;
    uint16_t op;
    gboolean is_urgent;
    uint64_t at;
    uint32_t arg;
    uint32_t arg2;
} KdControl;

/**
 * KdResult:
 * @id: of the CONTROL
 * @code: 0 = done; else a #KdError + 1
 * @value: of the operation: bytes dropped, speed, lines
 * @text: (nullable): of the error, or of STATUS
 */
typedef struct {
    uint32_t id;
    uint32_t code;
    uint64_t value;
    char *text;
} KdResult;

/**
 * KdEvent:
 * @seq: rising from 1
 * @kind: KD_EVENT_*
 * @at: DATA bytes that the server had sent before it
 * @value: LINES
 * @text: (nullable): NOTE
 */
typedef struct {
    uint32_t seq;
    uint16_t kind;
    uint64_t at;
    uint32_t value;
    char *text;
} KdEvent;

/**
 * KdClose:
 * @code: #KdCloseCode, or one that this version does not know
 * @retry_after_s: 0 = nothing said
 * @text: one sentence, printable
 */
typedef struct {
    uint32_t code;
    uint32_t retry_after_s;
    char *text;
} KdClose;

GBytes *kd_hello_build(const KdHello *hello);
KdHello *kd_hello_parse(const uint8_t *payload, size_t len,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_hello_free(KdHello *hello);
GBytes *kd_auth_build(const KdAuth *auth);
KdAuth *kd_auth_parse(const uint8_t *payload, size_t len, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_auth_free(KdAuth *auth);
GBytes *kd_open_build(const KdOpen *open);
KdOpen *kd_open_parse(const uint8_t *payload, size_t len, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_open_free(KdOpen *open);
GBytes *kd_opened_build(const KdOpened *opened);
KdOpened *kd_opened_parse(const uint8_t *payload, size_t len,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_opened_free(KdOpened *opened);
GBytes *kd_list_build(const KdList *list);
KdList *kd_list_parse(const uint8_t *payload, size_t len, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_list_free(KdList *list);
KdListedLink *kd_listed_link_new(GVariant *found, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_listed_link_free(KdListedLink *link);
KdListed *kd_listed_new(void);
gboolean kd_listed_add_found(KdListed *listed, const char *scheme, GVariant *found,
                             KdListedLinkFunc mend, void *user);
gboolean kd_listed_add(KdListed *listed, KdListedLink *link) G_GNUC_WARN_UNUSED_RESULT;
GBytes *kd_listed_build(const KdListed *listed);
KdListed *kd_listed_parse(const uint8_t *payload, size_t len,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_listed_free(KdListed *listed);
GBytes *kd_control_build(const KdControl *control);
gboolean kd_control_parse(KdControl *control, const uint8_t *payload, size_t len,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
GBytes *kd_result_build(const KdResult *result);
KdResult *kd_result_parse(const uint8_t *payload, size_t len,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_result_free(KdResult *result);
GBytes *kd_event_build(const KdEvent *event);
KdEvent *kd_event_parse(const uint8_t *payload, size_t len,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_event_free(KdEvent *event);
GBytes *kd_close_build(const KdClose *close);
KdClose *kd_close_parse(const uint8_t *payload, size_t len,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_close_build_version_text(uint16_t client_major, uint16_t client_minor,
                                  uint16_t server_major, uint16_t server_minor);
void kd_close_free(KdClose *close);
GBytes *kd_fin_build(uint64_t final_offset);
gboolean kd_fin_parse(uint64_t *final_offset, const uint8_t *payload, size_t len,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdHello, kd_hello_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdAuth, kd_auth_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdOpen, kd_open_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdOpened, kd_opened_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdList, kd_list_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdListedLink, kd_listed_link_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdListed, kd_listed_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdResult, kd_result_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdEvent, kd_event_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdClose, kd_close_free)

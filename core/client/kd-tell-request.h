/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `kd --tell` may ask of a running kd, and the answers, as text. */
#pragma once

#include <gio/gio.h>
#include <stdint.h>

/* A request, without its line end */
#define KD_TELL_MAX_REQUEST_BYTES 256u
/* An answer, with the digit before it */
#define KD_TELL_MAX_ANSWER_BYTES 8192u

typedef enum {
    KD_TELL_BREAK = 1,
    KD_TELL_BAUD = 2,
    KD_TELL_LINES = 3,
    KD_TELL_STATUS = 4,
    KD_TELL_PURGE = 5,
    KD_TELL_LINK = 6, /* what is open, in one line: for lists */
} KdTellKind;

/**
 * KdTellRequest:
 * @kind: what is asked for
 * @is_urgent: BREAK
 * @baud: BAUD
 * @mask: LINES: those to set, TIOCM_* bits; 0 = they are only read
 * @values: LINES: of those
 *
 * A request.
 */
typedef struct {
    KdTellKind kind;
    gboolean is_urgent;
    uint32_t baud;
    uint32_t mask;
    uint32_t values;
} KdTellRequest;

gboolean kd_tell_request_parse(KdTellRequest *request, const char *text,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_tell_build_lines(uint32_t lines);
char *kd_tell_build_status(const char *text);

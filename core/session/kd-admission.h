/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a new connection to a client that may ask for something: TLS, preamble, HELLO, AUTH. */
#pragma once

#include "kd-door.h"
#include "kd-message.h"
#include "kd-route.h"

typedef struct KdAdmission KdAdmission;

/**
 * KdAdmissionFuncs:
 * @admitted: the client was told so; it may ask for something
 * @refused: its attempt has failed, @cause is for the log alone; @failed follows in its time
 * @failed: the client can't come in, and is told @code and @text
 * @broken: there is nobody who could be told
 *
 * What the owner of an admission is told; each may free the admission.
 */
typedef struct {
    void (*admitted)(void *user);
    void (*refused)(const char *cause, void *user);
    void (*failed)(KdCloseCode code, const char *text, void *user);
    void (*broken)(const char *text, void *user);
} KdAdmissionFuncs;

KdAdmission *kd_admission_new(KdRoute *route, KdDoor *door, const KdAdmissionFuncs *funcs,
                              void *user);
void kd_admission_free(KdAdmission *admission);
gboolean kd_admission_start(KdAdmission *admission, KdEndpoint *endpoint,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_admission_take_preamble(KdAdmission *admission, uint16_t major, uint16_t minor);
void kd_admission_take_hello(KdAdmission *admission, const KdFrameHeader *header,
                             const uint8_t *payload);
void kd_admission_take_auth(KdAdmission *admission, const KdFrameHeader *header,
                            const uint8_t *payload);
gboolean kd_admission_is_connected(const KdAdmission *admission);
gboolean kd_admission_has_list(const KdAdmission *admission);
const char *kd_admission_get_certificate(const KdAdmission *admission);
char *kd_admission_describe(const KdAdmission *admission);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdAdmission, kd_admission_free)

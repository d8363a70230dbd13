/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of the session protocol that waits for each answer, and can be told to misbehave. */
#pragma once

#include "kd-e2e-socket.h"
#include "kd-message.h"

/**
 * KdE2eClient:
 * @fd: the connection
 * @window: DATA bytes that the server takes beyond its ack
 * @sent: DATA bytes said
 * @acked: of these, how many the server's side has taken
 * @received: DATA bytes heard; they count as taken at once
 * @reported: the largest ack that was sent
 * @heard: these bytes
 * @opened: (nullable): what the server said about the link
 */
typedef struct {
    int fd;
    uint32_t window;
    uint64_t sent;
    uint64_t acked;
    uint64_t received;
    uint64_t reported;
    GByteArray *heard;
    KdOpened *opened;
} KdE2eClient;

KdE2eClient *kd_e2e_client_new(int fd);
void kd_e2e_client_free(KdE2eClient *client);
void kd_e2e_client_send_preamble(KdE2eClient *client, uint16_t major);
void kd_e2e_client_send(KdE2eClient *client, KdFrameType type, GBytes *payload);
void kd_e2e_client_send_data(KdE2eClient *client, const void *buf, gsize len);
void kd_e2e_client_log_in(KdE2eClient *client);
void kd_e2e_client_ask(KdE2eClient *client, const char *trans, const char *identity);
void kd_e2e_client_open(KdE2eClient *client, const char *trans);
KdE2eClient *kd_e2e_client_new_open(guint port, const char *trans);
uint8_t kd_e2e_client_read(KdE2eClient *client, GBytes **payload);
GBytes *kd_e2e_client_await(KdE2eClient *client, KdFrameType type);
KdClose *kd_e2e_client_await_close(KdE2eClient *client);
KdResult *kd_e2e_client_await_result(KdE2eClient *client);
void kd_e2e_client_await_data(KdE2eClient *client, const char *text);
void kd_e2e_client_control(KdE2eClient *client, const KdControl *control);
void kd_e2e_client_finish(KdE2eClient *client);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eClient, kd_e2e_client_free)

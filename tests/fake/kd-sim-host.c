/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host that does what a case says and no more: it acknowledges and repeats nothing by itself. */
#include "kd-sim-host.h"

#include <string.h>

/**
 * kd_sim_host_collect:
 *
 * A KdSimSend whose user is a #KdSimHost: keeps the bytes.
 */
gboolean
kd_sim_host_collect(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdSimHost *host = user;
    if (host->is_busy)
        return FALSE;
    g_queue_push_tail(&host->out, g_bytes_new(bytes, len_bytes));
    return TRUE;
}

/**
 * kd_sim_host_new:
 * @options: (nullable): of the machine
 *
 * A target that has booted, and its host.
 */
KdSimHost *
kd_sim_host_new(KdSimDialect dialect, const KdSimMachineOptions *options)
{
    const KdSimLinkOptions link = {.retry_ms = KD_SIM_HOST_RETRY_MS};
    KdSimHost *host = g_new0(KdSimHost, 1);
    host->dialect = dialect;
    host->now_us = 1000000;
    g_queue_init(&host->out);
    host->in_id = dialect == KD_SIM_DIALECT_NET ? KD_SIM_NET_HOST_ID : KD_SIM_INITIAL_ID;
    host->machine = kd_sim_machine_new(options);
    host->link = kd_sim_link_new(dialect, host->machine, &link, kd_sim_host_collect, host);
    kd_sim_machine_boot(host->machine, host->now_us);
    return host;
}

/**
 * kd_sim_host_free:
 *
 * Ends both.
 */
void
kd_sim_host_free(KdSimHost *host)
{
    g_queue_clear_full(&host->out, (GDestroyNotify)g_bytes_unref);
    kd_sim_link_free(host->link);
    kd_sim_machine_free(host->machine);
    g_free(host);
}

/**
 * kd_sim_host_say:
 *
 * Any bytes, to the target.
 */
void
kd_sim_host_say(KdSimHost *host, const void *bytes, size_t len_bytes)
{
    kd_sim_link_receive(host->link, bytes, len_bytes, host->now_us);
}

/**
 * kd_sim_host_say_control:
 *
 * An ACK, a RESEND, a RESET.
 */
void
kd_sim_host_say_control(KdSimHost *host, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_SIM_HEADER_BYTES];
    kd_sim_host_say(host, bytes, kd_sim_packet_build_control(type, id, bytes));
}

/**
 * kd_sim_host_say_data:
 *
 * A data packet with the next id, which stays the next one.
 */
void
kd_sim_host_say_data(KdSimHost *host, uint16_t type, const uint8_t *payload, size_t payload_bytes)
{
    uint8_t bytes[KD_SIM_PACKET_MAX_BYTES];
    kd_sim_host_say(
        host, bytes,
        kd_sim_packet_build(host->dialect, type, host->in_id, payload, payload_bytes, bytes));
}

/**
 * kd_sim_host_ask:
 *
 * A request without more than its 56 bytes: @address and @count are where requests for memory have
 * them. Expects the ACK.
 */
void
kd_sim_host_ask(KdSimHost *host, uint32_t api, uint64_t address, uint32_t count)
{
    uint8_t payload[56] = {0};
    kd_sim_put32(payload, api);
    kd_sim_put64(payload + 16, address);
    kd_sim_put32(payload + 24, count);
    kd_sim_host_say_data(host, KD_SIM_TYPE_MANIPULATE, payload, sizeof payload);
    kd_sim_host_expect(host, KD_SIM_TYPE_ACK, host->in_id);
    host->in_id = host->dialect == KD_SIM_DIALECT_NET ? host->in_id + 2 : host->in_id ^ 1;
}

/**
 * kd_sim_host_pass_time:
 *
 * Lets time pass, and the clock be looked at as often as it wants to.
 */
void
kd_sim_host_pass_time(KdSimHost *host, gint64 us)
{
    const gint64 end_us = host->now_us + us;
    gint64 deadline_us = -1;
    while ((deadline_us = kd_sim_link_get_deadline_us(host->link)) >= 0 && deadline_us <= end_us) {
        host->now_us = MAX(host->now_us, deadline_us);
        kd_sim_link_tick(host->link, host->now_us);
    }
    host->now_us = end_us;
}

/**
 * kd_sim_host_expect:
 *
 * The next that the target has sent is a packet of @type with @id, whole and sound.
 */
void
kd_sim_host_expect(KdSimHost *host, uint16_t type, uint32_t id)
{
    g_autoptr(GBytes) sent = g_queue_pop_head(&host->out);
    g_assert_nonnull(sent);
    gsize len_bytes = 0;
    const uint8_t *bytes = g_bytes_get_data(sent, &len_bytes);
    g_assert_cmpuint(len_bytes, >=, KD_SIM_HEADER_BYTES);
    g_assert_true(kd_sim_packet_parse_header(bytes, &host->header));
    g_assert_cmpuint(host->header.type, ==, type);
    g_assert_cmphex(host->header.id, ==, id);
    const gboolean has_trailer = host->dialect == KD_SIM_DIALECT_SERIAL && !host->header.is_control;
    g_assert_cmpuint(len_bytes, ==,
                     KD_SIM_HEADER_BYTES + host->header.payload_bytes + (has_trailer ? 1 : 0));
    if (has_trailer)
        g_assert_cmphex(bytes[len_bytes - 1], ==, KD_SIM_TRAILER);
    memcpy(host->payload, bytes + KD_SIM_HEADER_BYTES, host->header.payload_bytes);
    g_assert_cmpuint(host->header.checksum, ==,
                     kd_sim_packet_sum(host->payload, host->header.payload_bytes));
}

/**
 * kd_sim_host_expect_nothing:
 *
 * The target has sent nothing more.
 */
void
kd_sim_host_expect_nothing(const KdSimHost *host)
{
    g_assert_cmpuint(host->out.length, ==, 0);
}

/**
 * kd_sim_host_expect_and_ack:
 *
 * The next is a data packet of @type, whatever its id; it is acknowledged.
 */
void
kd_sim_host_expect_and_ack(KdSimHost *host, uint16_t type)
{
    GBytes *sent = g_queue_peek_head(&host->out);
    g_assert_nonnull(sent);
    kd_sim_host_expect(host, type, kd_sim_get32((const uint8_t *)g_bytes_get_data(sent, NULL) + 8));
    kd_sim_host_say_control(
        host, KD_SIM_TYPE_ACK,
        host->dialect == KD_SIM_DIALECT_NET ? host->header.id : host->header.id & ~KD_SIM_SYNC_ID);
}

/**
 * kd_sim_host_attach:
 *
 * Takes the state change of the boot.
 */
void
kd_sim_host_attach(KdSimHost *host)
{
    kd_sim_host_expect_and_ack(host, KD_SIM_TYPE_STATE_CHANGE);
}

/**
 * kd_sim_host_continue:
 *
 * Lets the machine run.
 */
void
kd_sim_host_continue(KdSimHost *host)
{
    kd_sim_host_ask(host, 0x3136, 0x00010002, 0);
}

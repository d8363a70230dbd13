/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transport and a target link without descriptors, steered by the test that uses them. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* The tables, for tests that want no module: kd_registry_add(registry, &kd_fake_plugin, ...) */
extern const KdTransport kd_fake_transport;
extern const KdTarget kd_fake_target;
extern const KdPlugin kd_fake_plugin;

/* What `fake:name=N` opens. It is made by the first mention of its name and outlives its links, so
 * that a test can set it up before anybody opens it and read its counters afterwards. */
typedef struct KdFakeDevice KdFakeDevice;

/**
 * KdFakeStat:
 * @in: bytes of the host that the device has taken
 * @in_matching: how many of those, from the first, were kd_fake_get_pattern()'s
 * @out: bytes put where the host reads them
 * @drops: bytes of the host that were thrown away: purge, urgent break, destroyed stream
 * @breaks: break conditions
 * @break_at: value of @in at the last break
 * @in_break: bytes that the host has written while a break condition lasted
 * @resets: resets
 * @opens: openings that succeeded
 * @failed_opens: openings that failed
 * @closes: close_async calls that ended
 * @reopens: reopenings that succeeded
 * @destroys: streams that the host has destroyed
 * @ends: times that the host has shut its direction down
 * @writes: calls of the stream's write
 * @reads: calls of the stream's read
 * @max_pending: most bytes of the host that have ever waited
 * @controls: control calls
 *
 * What has happened to a device since its name was first mentioned.
 */
typedef struct {
    guint64 in;
    guint64 in_matching;
    guint64 out;
    guint64 drops;
    guint64 breaks;
    guint64 break_at;
    guint64 in_break;
    guint64 resets;
    guint64 opens;
    guint64 failed_opens;
    guint64 closes;
    guint64 reopens;
    guint64 destroys;
    guint64 ends;
    guint64 writes;
    guint64 reads;
    guint64 max_pending;
    guint64 controls;
} KdFakeStat;

KdFakeDevice *kd_fake_get(guint64 name);
void kd_fake_forget_all(void);
uint8_t kd_fake_get_pattern(guint64 offset);

/* Bytes */
void kd_fake_stop(KdFakeDevice *device);
void kd_fake_go(KdFakeDevice *device);
void kd_fake_say(KdFakeDevice *device, const void *buf, size_t len);
void kd_fake_flood(KdFakeDevice *device, guint64 len);
void kd_fake_set_slow(KdFakeDevice *device, size_t write_bytes, size_t read_bytes);
void kd_fake_spurious(KdFakeDevice *device, guint count);
void kd_fake_end(KdFakeDevice *device);

/* Events */
void kd_fake_lose(KdFakeDevice *device);
void kd_fake_lost(KdFakeDevice *device);
void kd_fake_back(KdFakeDevice *device);
void kd_fake_resync(KdFakeDevice *device);
void kd_fake_note(KdFakeDevice *device, const char *text);
void kd_fake_lines(KdFakeDevice *device, guint32 lines);

/* Set-up */
void kd_fake_fail_open(KdFakeDevice *device, const char *text);
void kd_fake_fail_control(KdFakeDevice *device, const char *text);
void kd_fake_set_open_delay(KdFakeDevice *device, guint delay_ms);
void kd_fake_set_close_delay(KdFakeDevice *device, guint delay_ms);
void kd_fake_long_breaks(KdFakeDevice *device);
void kd_fake_end_break(KdFakeDevice *device);

/* What could be opened, of all devices together */
void kd_fake_set_listing(const char *how);
guint kd_fake_get_n_listings(void);

/* Looking at it */
const KdFakeStat *kd_fake_get_stat(const KdFakeDevice *device);
size_t kd_fake_get_pending(const KdFakeDevice *device);
GBytes *kd_fake_take_received(KdFakeDevice *device);
char *kd_fake_build_story(const KdFakeDevice *device);
const char *const *kd_fake_get_controls(KdFakeDevice *device);
GVariant *kd_fake_get_session(const KdFakeDevice *device);
gboolean kd_fake_is_open(const KdFakeDevice *device);

/* The same by a line of text, as it comes over the socket of `steer=` */
char *kd_fake_steer(KdFakeDevice *device, const char *line);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fake device from inside: shared by its link, its stream and its steering. */
#pragma once

#include "kd-fake.h"

#include <kdsrv-support/kd-ring-stream.h>

/* What a device remembers of the bytes and calls that it got */
#define KD_FAKE_RECEIVED_BYTES (1024u * 1024u)
#define KD_FAKE_MAX_CONTROLS   256u

typedef struct KdFakeStream KdFakeStream;
typedef struct KdFakeSteer KdFakeSteer;

struct KdFakeDevice {
    guint64 name;
    GSource *source; /* the device's one source: dispatched when there is work */
    KdFakeStat stat;
    KdFakeStream *stream; /* (nullable): what the host holds and has not destroyed */
    GByteArray *out;      /* said and echoed, not yet in the ring */
    guint out_head;
    GByteArray *received;
    GArray *break_marks; /* (element-type guint64): of @stat.in, one for each break */
    GPtrArray *controls;
    GVariant *session;
    guint64 flood_left;
    guint64 flood_at;
    size_t slow_write_bytes; /* 0 = no limit */
    size_t slow_read_bytes;
    guint spurious_left;
    gboolean is_stopped;
    gboolean is_away;
    gboolean is_echo;
    gboolean has_long_breaks;
    gboolean is_breaking;
    char *open_failure;
    char *control_failure;
    guint open_delay_ms;
    guint close_delay_ms;
    guint32 lines;
    guint32 baud;
    KdFakeSteer *steer;
    /* the link, while one holds the device */
    void *link;
    void (*settle)(void *link); /* completes what can be completed; asks for wake-ups */
    const KdSink *sink;
};

/**
 * KdFakeOptions:
 * @ring_bytes: size of each ring
 * @flags: KD_ENDPOINT_*
 * @has_resets: whether @resets is told
 * @resets: a fact of the endpoint
 * @dialect: (unowned): another
 *
 * How a stream is made.
 */
typedef struct {
    size_t ring_bytes;
    uint32_t flags;
    gboolean has_resets;
    guint32 resets;
    const char *dialect;
} KdFakeOptions;

void kd_fake_device_kick(KdFakeDevice *device);
void kd_fake_device_wake_at(KdFakeDevice *device, gint64 monotonic_us);
void kd_fake_device_open_stream(KdFakeDevice *device, const KdFakeOptions *options,
                                KdEndpoint *endpoint);
guint64 kd_fake_device_purge(KdFakeDevice *device);
void kd_fake_device_start_break(KdFakeDevice *device);
void kd_fake_device_append_escaped(GString *text, const uint8_t *bytes, gsize len);
void kd_fake_device_note_control(KdFakeDevice *device, char *text);
void kd_fake_foreach(void (*fn)(KdFakeDevice *device, void *user), void *user);

/* the ring of a stream; bytes move in the device's source only */
void kd_fake_stream_new(KdFakeDevice *device, const KdFakeOptions *options, KdEndpoint *endpoint);
void kd_fake_stream_orphan(KdFakeStream *stream);
void kd_fake_stream_report(KdFakeStream *stream);
KdRingStream *kd_fake_stream_get_ring(KdFakeStream *stream);
gboolean kd_fake_stream_is_shut(const KdFakeStream *stream);
void kd_fake_stream_end(KdFakeStream *stream, int error);
gboolean kd_fake_stream_has_ended(const KdFakeStream *stream);

/* what could be opened */
void kd_fake_enumerate_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data);
GVariant *kd_fake_enumerate_finish(GAsyncResult *result, GError **error);
void kd_fake_forget_listing(void);

/* the socket of `steer=` */
gboolean kd_fake_steer_listen(KdFakeDevice *device, const char *path, GError **error);
void kd_fake_steer_settle(KdFakeSteer *steer);
void kd_fake_steer_free(KdFakeSteer *steer);
gboolean kd_fake_find_counter(const KdFakeDevice *device, const char *name, guint64 *value);

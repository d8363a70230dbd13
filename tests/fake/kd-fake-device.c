/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fake devices: where the bytes of a fake link go to and come from. */
#include "kd-fake-device.h"

#include <errno.h>

/* At most this many bytes of each kind move in one dispatch. */
#define ROUND_BYTES (64u * 1024u)
#define CHUNK_BYTES (16u * 1024u)

typedef struct {
    GSource base;
    KdFakeDevice *device;
} DeviceSource;

static GHashTable *devices; /* name -> KdFakeDevice */

static KdRingStream *
get_ring(const KdFakeDevice *device)
{
    return device->stream != NULL ? kd_fake_stream_get_ring(device->stream) : NULL;
}

/* What was said or echoed goes first. */
static gboolean
push_out(KdFakeDevice *device)
{
    KdRingStream *ring = get_ring(device);
    guint left = device->out->len - device->out_head;
    if (ring == NULL || left == 0)
        return left == 0;
    size_t n = kd_ring_stream_put(ring, device->out->data + device->out_head, left);
    device->stat.out += n;
    device->out_head += (guint)n;
    if (device->out_head < device->out->len)
        return FALSE;
    g_byte_array_set_size(device->out, 0);
    device->out_head = 0;
    return TRUE;
}

static void
push_flood(KdFakeDevice *device)
{
    uint8_t chunk[CHUNK_BYTES];
    KdRingStream *ring = get_ring(device);
    size_t round = 0;
    while (ring != NULL && device->flood_left > 0 && round < ROUND_BYTES) {
        size_t len = (size_t)MIN(device->flood_left, sizeof chunk);
        for (size_t i = 0; i < len; i++)
            chunk[i] = kd_fake_get_pattern(device->flood_at + i);
        size_t n = kd_ring_stream_put(ring, chunk, len);
        device->stat.out += n;
        device->flood_at += n;
        device->flood_left -= n;
        round += n;
        if (n < len)
            return; /* the ring says when there is room */
    }
    if (ring != NULL && device->flood_left > 0)
        kd_fake_device_kick(device);
}

static void
note_received(KdFakeDevice *device, const uint8_t *chunk, size_t len)
{
    KdFakeStat *stat = &device->stat;
    for (size_t i = 0; i < len && stat->in_matching == stat->in + i; i++) {
        if (chunk[i] != kd_fake_get_pattern(stat->in + i))
            break;
        stat->in_matching++;
    }
    stat->in += len;
    size_t room = KD_FAKE_RECEIVED_BYTES - device->received->len;
    g_byte_array_append(device->received, chunk, (guint)MIN(len, room));
}

static void
take_in(KdFakeDevice *device)
{
    uint8_t chunk[CHUNK_BYTES];
    size_t round = 0;
    while (device->stream != NULL && !device->is_stopped && !device->is_away &&
           round < ROUND_BYTES) {
        if (device->is_echo && device->out->len > 0)
            return; /* goes on when the host has read */
        size_t n = kd_ring_stream_take(get_ring(device), chunk, sizeof chunk);
        if (n == 0)
            break;
        round += n;
        note_received(device, chunk, n);
        if (device->is_echo) {
            g_byte_array_append(device->out, chunk, (guint)n);
            push_out(device);
        }
    }
    KdRingStream *ring = get_ring(device);
    if (ring == NULL || device->is_stopped || device->is_away)
        return;
    if (kd_ring_stream_get_pending(ring) > 0)
        kd_fake_device_kick(device);
    else if (device->is_echo && kd_fake_stream_is_shut(device->stream) && device->out->len == 0)
        kd_fake_stream_end(device->stream, 0);
}

static gboolean
on_dispatch(GSource *base, GSourceFunc fn G_GNUC_UNUSED, gpointer user G_GNUC_UNUSED)
{
    KdFakeDevice *device = ((DeviceSource *)(void *)base)->device;
    g_source_set_ready_time(base, -1);
    if (!device->is_away && push_out(device))
        push_flood(device);
    take_in(device);
    if (device->link != NULL)
        device->settle(device->link);
    if (device->steer != NULL)
        kd_fake_steer_settle(device->steer);
    return G_SOURCE_CONTINUE;
}

static void
device_free(gpointer user)
{
    KdFakeDevice *device = user;
    g_assert(device->link == NULL && device->stream == NULL);
    if (device->steer != NULL)
        kd_fake_steer_free(device->steer);
    g_source_destroy(device->source);
    g_source_unref(device->source);
    g_byte_array_unref(device->out);
    g_byte_array_unref(device->received);
    g_array_unref(device->break_marks);
    g_ptr_array_unref(device->controls);
    g_clear_pointer(&device->session, g_variant_unref);
    g_free(device->open_failure);
    g_free(device->control_failure);
    g_free(device);
}

static KdFakeDevice *
device_new(guint64 name)
{
    static GSourceFuncs funcs = {.dispatch = on_dispatch};
    KdFakeDevice *device = g_new0(KdFakeDevice, 1);
    device->name = name;
    device->out = g_byte_array_new();
    device->received = g_byte_array_new();
    device->break_marks = g_array_new(FALSE, FALSE, sizeof(guint64));
    device->controls = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(device->controls, NULL);
    device->source = g_source_new(&funcs, sizeof(DeviceSource));
    ((DeviceSource *)(void *)device->source)->device = device;
    g_source_set_static_name(device->source, "kdsrv fake device");
    g_source_attach(device->source, NULL);
    return device;
}

/**
 * kd_fake_get:
 *
 * Returns: (transfer none): the device that `fake:name=@name` opens; made when it is new
 */
KdFakeDevice *
kd_fake_get(guint64 name)
{
    if (devices == NULL)
        devices = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, device_free);
    KdFakeDevice *device = g_hash_table_lookup(devices, &name);
    if (device == NULL) {
        device = device_new(name);
        g_hash_table_insert(devices, &device->name, device);
    }
    return device;
}

/**
 * kd_fake_forget_all:
 *
 * Frees all devices. None may be open, and no stream of theirs may live.
 */
void
kd_fake_forget_all(void)
{
    kd_fake_forget_listing();
    g_clear_pointer(&devices, g_hash_table_unref);
}

/**
 * kd_fake_foreach:
 *
 * Calls @fn for each device, in no order.
 */
void
kd_fake_foreach(void (*fn)(KdFakeDevice *device, void *user), void *user)
{
    GHashTableIter iter;
    gpointer value;
    if (devices == NULL)
        return;
    g_hash_table_iter_init(&iter, devices);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        fn(value, user);
}

/**
 * kd_fake_get_pattern:
 *
 * Returns: the byte at @offset of what a flood sends; has no short period, so that a lost,
 *    repeated or swapped block shows
 */
uint8_t
kd_fake_get_pattern(guint64 offset)
{
    return (uint8_t)(offset ^ (offset >> 8) * 167u ^ (offset >> 16) * 59u);
}

/**
 * kd_fake_device_kick:
 *
 * Makes the device do its work in the next turn of the main context, also from a place that no
 * source runs.
 */
void
kd_fake_device_kick(KdFakeDevice *device)
{
    g_source_set_ready_time(device->source, 0);
}

/**
 * kd_fake_device_wake_at:
 *
 * Makes the device do its work at a time, or earlier.
 */
void
kd_fake_device_wake_at(KdFakeDevice *device, gint64 monotonic_us)
{
    gint64 due = g_source_get_ready_time(device->source);
    if (due < 0 || due > monotonic_us)
        g_source_set_ready_time(device->source, monotonic_us);
}

/**
 * kd_fake_device_open_stream:
 *
 * Gives the host a new stream; what an earlier one held is gone.
 */
void
kd_fake_device_open_stream(KdFakeDevice *device, const KdFakeOptions *options, KdEndpoint *endpoint)
{
    if (device->stream != NULL)
        kd_fake_stream_orphan(device->stream);
    g_byte_array_set_size(device->out, 0);
    device->out_head = 0;
    device->flood_left = 0;
    kd_fake_stream_new(device, options, endpoint);
}

/**
 * kd_fake_device_purge:
 *
 * Drops what the host has written and the device has not taken.
 *
 * Returns: how many bytes those were
 */
guint64
kd_fake_device_purge(KdFakeDevice *device)
{
    KdRingStream *ring = get_ring(device);
    guint64 n = ring != NULL ? kd_ring_stream_purge(ring) : 0;
    device->stat.drops += n;
    return n;
}

/**
 * kd_fake_device_start_break:
 *
 * Begins a break condition; it is over at once, or with kd_fake_end_break() after
 * kd_fake_long_breaks().
 */
void
kd_fake_device_start_break(KdFakeDevice *device)
{
    device->stat.breaks++;
    device->stat.break_at = device->stat.in;
    device->is_breaking = device->has_long_breaks;
    if (device->break_marks->len < KD_FAKE_MAX_CONTROLS)
        g_array_append_val(device->break_marks, device->stat.in);
}

/**
 * kd_fake_device_note_control:
 * @text: (transfer full)
 *
 * Keeps one line for each control call.
 */
void
kd_fake_device_note_control(KdFakeDevice *device, char *text)
{
    device->stat.controls++;
    if (device->controls->len > KD_FAKE_MAX_CONTROLS)
        g_ptr_array_remove_index(device->controls, 0);
    g_ptr_array_insert(device->controls, (gint)device->controls->len - 1, text);
}

/**
 * kd_fake_stop:
 *
 * Takes nothing of the host's any more, so that its bytes pile up.
 */
void
kd_fake_stop(KdFakeDevice *device)
{
    device->is_stopped = TRUE;
}

/**
 * kd_fake_go:
 *
 * Undoes kd_fake_stop().
 */
void
kd_fake_go(KdFakeDevice *device)
{
    device->is_stopped = FALSE;
    kd_fake_device_kick(device);
}

/**
 * kd_fake_say:
 *
 * Sends bytes to the host; what does not fit now follows.
 */
void
kd_fake_say(KdFakeDevice *device, const void *buf, size_t len)
{
    g_byte_array_append(device->out, buf, (guint)len);
    kd_fake_device_kick(device);
}

/**
 * kd_fake_flood:
 *
 * Sends @len bytes of the pattern, from its start, as fast as the host takes them.
 */
void
kd_fake_flood(KdFakeDevice *device, guint64 len)
{
    device->flood_at = 0;
    device->flood_left = len;
    kd_fake_device_kick(device);
}

/**
 * kd_fake_set_slow:
 * @write_bytes: most bytes that one write takes; 0 = as many as fit
 * @read_bytes: most bytes that one read gives; 0 = as many as there are
 *
 * Makes reads and writes of the stream short.
 */
void
kd_fake_set_slow(KdFakeDevice *device, size_t write_bytes, size_t read_bytes)
{
    device->slow_write_bytes = write_bytes;
    device->slow_read_bytes = read_bytes;
}

/**
 * kd_fake_spurious:
 *
 * Reports readiness that need not be there: once now, and after each of the next @count reads and
 * writes.
 */
void
kd_fake_spurious(KdFakeDevice *device, guint count)
{
    device->spurious_left = count;
    if (device->stream != NULL)
        kd_fake_stream_report(device->stream);
}

/**
 * kd_fake_end:
 *
 * Ends the stream in good order: the host reads what was put, then the end.
 */
void
kd_fake_end(KdFakeDevice *device)
{
    push_out(device);
    if (device->stream != NULL)
        kd_fake_stream_end(device->stream, 0);
}

static void
tell(KdFakeDevice *device, uint32_t event, GVariant *arg)
{
    if (device->sink != NULL)
        device->sink->event(device->sink->user, event, arg);
    else if (arg != NULL)
        g_variant_unref(g_variant_ref_sink(arg));
}

/**
 * kd_fake_lose:
 *
 * Pulls the plug: the stream fails with %EIO, and a reopening waits for kd_fake_back().
 */
void
kd_fake_lose(KdFakeDevice *device)
{
    device->is_away = TRUE;
    tell(device, KD_EVENT_LOST, NULL);
    if (device->stream != NULL) {
        kd_fake_device_purge(device);
        kd_fake_stream_end(device->stream, EIO);
    }
    kd_fake_device_kick(device);
}

/**
 * kd_fake_lost:
 *
 * Reports a loss and lets no bytes pass, but keeps the stream: kd_fake_back() goes on with it.
 */
void
kd_fake_lost(KdFakeDevice *device)
{
    device->is_away = TRUE;
    tell(device, KD_EVENT_LOST, NULL);
}

/**
 * kd_fake_back:
 *
 * Ends a loss: a pending reopening completes; with none pending the stream goes on.
 */
void
kd_fake_back(KdFakeDevice *device)
{
    if (!device->is_away)
        return;
    device->is_away = FALSE;
    kd_fake_device_kick(device);
    if (device->stream != NULL && !kd_fake_stream_has_ended(device->stream))
        tell(device, KD_EVENT_BACK, NULL);
}

/**
 * kd_fake_resync:
 *
 * Reports that the target restarted its side.
 */
void
kd_fake_resync(KdFakeDevice *device)
{
    tell(device, KD_EVENT_RESYNC, NULL);
}

/**
 * kd_fake_note:
 *
 * Reports one sentence.
 */
void
kd_fake_note(KdFakeDevice *device, const char *text)
{
    tell(device, KD_EVENT_NOTE, g_variant_new_string(text));
}

/**
 * kd_fake_lines:
 *
 * Changes the modem lines and reports them.
 */
void
kd_fake_lines(KdFakeDevice *device, guint32 lines)
{
    device->lines = lines;
    tell(device, KD_EVENT_LINES, g_variant_new_uint32(lines));
}

/**
 * kd_fake_fail_open:
 * @text: (nullable): %NULL: let it succeed after all
 *
 * Makes the next opening, or the one that is pending, fail with this message.
 */
void
kd_fake_fail_open(KdFakeDevice *device, const char *text)
{
    g_free(device->open_failure);
    device->open_failure = g_strdup(text);
}

/**
 * kd_fake_fail_control:
 * @text: (nullable): %NULL: let it succeed after all
 *
 * Makes the next control call fail with this message.
 */
void
kd_fake_fail_control(KdFakeDevice *device, const char *text)
{
    g_free(device->control_failure);
    device->control_failure = g_strdup(text);
}

/**
 * kd_fake_set_open_delay:
 *
 * Lets openings take this long, if their `delay=` is not longer.
 */
void
kd_fake_set_open_delay(KdFakeDevice *device, guint delay_ms)
{
    device->open_delay_ms = delay_ms;
}

/**
 * kd_fake_set_close_delay:
 *
 * Lets closings take this long.
 */
void
kd_fake_set_close_delay(KdFakeDevice *device, guint delay_ms)
{
    device->close_delay_ms = delay_ms;
}

/**
 * kd_fake_long_breaks:
 *
 * Lets each break condition last until kd_fake_end_break() from now on.
 */
void
kd_fake_long_breaks(KdFakeDevice *device)
{
    device->has_long_breaks = TRUE;
}

/**
 * kd_fake_end_break:
 *
 * Ends the break condition that lasts.
 */
void
kd_fake_end_break(KdFakeDevice *device)
{
    device->is_breaking = FALSE;
    kd_fake_device_kick(device);
}

/**
 * kd_fake_get_stat:
 *
 * Returns: (transfer none): the counters, which go on changing
 */
const KdFakeStat *
kd_fake_get_stat(const KdFakeDevice *device)
{
    return &device->stat;
}

/**
 * kd_fake_get_pending:
 *
 * Returns: how many bytes of the host the device has yet to take
 */
size_t
kd_fake_get_pending(const KdFakeDevice *device)
{
    KdRingStream *ring = get_ring(device);
    return ring != NULL ? kd_ring_stream_get_pending(ring) : 0;
}

/**
 * kd_fake_take_received:
 *
 * Returns: (transfer full): what came from the host since the last call, at most
 *    %KD_FAKE_RECEIVED_BYTES from its start
 */
GBytes *
kd_fake_take_received(KdFakeDevice *device)
{
    GBytes *received = g_byte_array_free_to_bytes(device->received);
    device->received = g_byte_array_new();
    return received;
}

/**
 * kd_fake_device_append_escaped:
 * @bytes: of the host
 *
 * Makes bytes readable: what is not printable becomes `\xHH`.
 */
void
kd_fake_device_append_escaped(GString *text, const uint8_t *bytes, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        if (bytes[i] == '\\')
            g_string_append(text, "\\\\");
        else if (g_ascii_isprint((char)bytes[i]))
            g_string_append_c(text, (char)bytes[i]);
        else
            g_string_append_printf(text, "\\x%02x", bytes[i]);
    }
}

/**
 * kd_fake_build_story:
 *
 * Returns: (transfer full): all that came from the host, escaped, with `<break>` where a break was;
 *    for devices whose bytes kd_fake_take_received() has not taken
 */
char *
kd_fake_build_story(const KdFakeDevice *device)
{
    GString *text = g_string_new(NULL);
    const GByteArray *received = device->received;
    guint64 at = 0;

    for (guint i = 0; i < device->break_marks->len; i++) {
        guint64 mark = MIN(g_array_index(device->break_marks, guint64, i), received->len);

        kd_fake_device_append_escaped(text, received->data + at, mark - at);
        g_string_append(text, "<break>");
        at = mark;
    }
    kd_fake_device_append_escaped(text, received->data + at, received->len - at);
    return g_string_free(text, FALSE);
}

/**
 * kd_fake_get_controls:
 *
 * Returns: (transfer none): one line for each of the last control calls, such as `break 0`;
 *    %NULL-terminated
 */
const char *const *
kd_fake_get_controls(KdFakeDevice *device)
{
    return (const char *const *)device->controls->pdata;
}

/**
 * kd_fake_get_session:
 *
 * Returns: (transfer none) (nullable): the session of the last opening
 */
GVariant *
kd_fake_get_session(const KdFakeDevice *device)
{
    return device->session;
}

/**
 * kd_fake_is_open:
 *
 * Returns: whether a link holds the device
 */
gboolean
kd_fake_is_open(const KdFakeDevice *device)
{
    return device->link != NULL;
}

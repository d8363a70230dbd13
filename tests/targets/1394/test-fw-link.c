/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The 1394 target as a host uses it, on a bus of which nothing is there. */
#include "kd-fw-bus.h"
#include "kd-fw-target.h"
#include "kd-test-host.h"

#include <linux/capability.h>
#include <linux/firewire-constants.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUID UINT64_C(0x0011223344556677)

static const KdTarget *fw;

/* One link and what it has told */
typedef struct {
    KdSink sink;
    KdTestDone done;
    GObject *link;
    KdEndpoint endpoint;
    GString *events; /* `note`, `lost`, `back` and `resync` with a space behind each */
    char *note;      /* the last one */
    guint n_notes;
} Session;

typedef struct {
    KdFwBus *bus;
    KdFwTarget target;
    Session session;
    guint n_hits;
    guint hit_at;
    guint fate;
} Fixture;

/* ---- the far end ----------------------------------------------------------------------------- */

static gboolean
on_read(uint64_t offset, uint8_t *bytes, size_t len, void *user)
{
    return kd_fw_target_read(user, offset, bytes, len);
}

static gboolean
on_write(uint64_t offset, const uint8_t *bytes, size_t len, void *user)
{
    return kd_fw_target_write(user, offset, bytes, len);
}

static const KdFwMemory memory = {on_read, on_write};

static void
plug(Fixture *f, guint number)
{
    kd_fw_bus_plug(f->bus, number, f->target.rom, f->target.n_rom, &memory, &f->target);
}

/* A node that is no target: the card of this machine */
static void
plug_card(Fixture *f)
{
    static const uint32_t rom[] = {0x0404F00D, 0x31333934, 0x0000A002, 0x11111111,
                                   0x22222222, 0x00020000, 0x0C0083C0, 0x03001F11};
    kd_fw_bus_plug(f->bus, 0, rom, G_N_ELEMENTS(rom), &memory, &f->target);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->bus = kd_fw_bus_new();
    f->hit_at = G_MAXUINT;
    kd_fw_target_boot(&f->target, 7, GUID);
}

/* ---- the link -------------------------------------------------------------------------------- */

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    Session *session = user;
    g_autoptr(GVariant) owned = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    switch (event) {
    case KD_EVENT_LOST:
        g_string_append(session->events, "lost ");
        break;
    case KD_EVENT_BACK:
        g_string_append(session->events, "back ");
        break;
    case KD_EVENT_RESYNC:
        g_string_append(session->events, "resync ");
        break;
    default:
        g_assert_cmpuint(event, ==, KD_EVENT_NOTE);
        session->n_notes++;
        g_free(session->note);
        session->note = g_variant_dup_string(owned, NULL);
        g_test_message("note: %s", session->note);
    }
}

static gboolean
open_link(Fixture *f, guint channel, GError **error)
{
    Session *session = &f->session;
    g_autoptr(GVariant) params = kd_test_params("{'channel': <uint64 %u>}", channel);
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    *session = (Session){.sink = {.struct_size = sizeof(KdSink), .event = on_event},
                         .endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1},
                         .events = g_string_new(NULL)};
    session->sink.user = session;
    fw->open_async(kd_test_host_get(), params, who, &session->sink, NULL, kd_test_on_done,
                   &session->done);
    g_assert_null(session->done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
    session->link = fw->open_finish(result, &session->endpoint, error);
    return session->link != NULL;
}

static void
end_link(Fixture *f)
{
    Session *session = &f->session;
    if (session->link != NULL) {
        fw->close_async(session->link, kd_test_on_done, &session->done);
        g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
        fw->close_finish(session->link, result);
        session->endpoint.ops->destroy(session->endpoint.stream);
        g_variant_unref(session->endpoint.facts);
        g_clear_object(&session->link);
    }
    if (session->events != NULL)
        g_string_free(g_steal_pointer(&session->events), TRUE);
    g_clear_pointer(&session->note, g_free);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    end_link(f);
    kd_test_turn();
    kd_fw_bus_free(f->bus);
}

static gboolean
is_there(gpointer user)
{
    Fixture *f = user;
    return f->session.note != NULL && strstr(f->session.note, " is /dev/fw") != NULL;
}

static gboolean
is_denied(gpointer user)
{
    const Fixture *f = user;
    return strstr(f->session.note, "permission denied") != NULL;
}

static gboolean
is_lost(gpointer user)
{
    return strstr(((Fixture *)user)->session.events->str, "lost") != NULL;
}

static gboolean
is_back(gpointer user)
{
    return g_str_has_suffix(((Fixture *)user)->session.events->str, "back ");
}

static gboolean
is_taken(gpointer user)
{
    Fixture *f = user;
    kd_fw_bus_lock(f->bus);
    gboolean is_empty = !kd_fw_target_has_sent(&f->target);
    kd_fw_bus_unlock(f->bus);
    return is_empty;
}

static void
let_print(Fixture *f, const char *text)
{
    kd_fw_bus_lock(f->bus);
    kd_fw_target_send_text(&f->target, text);
    kd_fw_bus_unlock(f->bus);
    kd_test_wait_until(is_taken, f);
}

static void
start(Fixture *f)
{
    plug_card(f);
    plug(f, 1);
    g_assert_true(open_link(f, 7, NULL));
    kd_test_wait_until(is_there, f);
    g_string_truncate(f->session.events, 0);
}

/* umockdev hears of a descriptor's end in a thread. */
static void
wait_for_open(Fixture *f, guint n)
{
    gint64 limit_us = g_get_monotonic_time() + KD_TEST_LIMIT_MS * 1000;
    while (kd_fw_bus_get_n_open(f->bus) != n) {
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, limit_us);
    }
}

/* ---- finding --------------------------------------------------------------------------------- */

static void
test_found(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    g_assert_cmpstr(f->session.note, ==, "the target on channel 7 is /dev/fw1");
    wait_for_open(f, 1);
    g_assert_cmpuint(f->session.endpoint.flags & KD_ENDPOINT_KEEP, !=, 0);
    let_print(f, "hello");
}

static void
test_no_controller(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_true(open_link(f, 7, NULL));
    g_assert_cmpstr(f->session.note, ==, "there is no FireWire controller: waiting for one");
    g_assert_cmpuint(f->session.n_notes, ==, 1);
    /* a controller, then a target, each with an event of /dev */
    plug_card(f);
    plug(f, 1);
    kd_test_wait_until(is_there, f);
}

static void
test_waiting(Fixture *f, gconstpointer unused)
{
    (void)unused;
    plug_card(f);
    g_assert_true(open_link(f, 7, NULL));
    g_assert_cmpstr(f->session.note, ==, "waiting for a target on FireWire channel 7");
    plug(f, 1);
    kd_test_wait_until(is_there, f);
}

static void
test_becomes_target(Fixture *f, gconstpointer unused)
{
    KdFwTarget other = f->target;
    (void)unused;
    plug_card(f);
    kd_fw_target_wipe(&other);
    kd_fw_bus_plug(f->bus, 1, other.rom, other.n_rom, &memory, &f->target);
    g_assert_true(open_link(f, 7, NULL));
    g_assert_cmpstr(f->session.note, ==, "waiting for a target on FireWire channel 7");
    kd_fw_bus_set_rom(f->bus, 1, f->target.rom, f->target.n_rom);
    kd_fw_bus_reset(f->bus);
    kd_test_wait_until(is_there, f);
}

static void
test_two_channels(Fixture *f, gconstpointer unused)
{
    static KdFwTarget others[3];
    (void)unused;
    plug_card(f);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        kd_fw_target_boot(&others[i], 8 + i, GUID + 1 + i);
        kd_fw_bus_plug(f->bus, 1 + i, others[i].rom, others[i].n_rom, &memory, &others[i]);
    }
    plug(f, 9);
    g_assert_true(open_link(f, 7, NULL));
    kd_test_wait_until(is_there, f);
    g_assert_cmpstr(f->session.note, ==, "the target on channel 7 is /dev/fw9");
    end_link(f);
    g_assert_true(open_link(f, 9, NULL));
    kd_test_wait_until(is_there, f);
    g_assert_cmpstr(f->session.note, ==, "the target on channel 9 is /dev/fw2");
}

/* Root's right to open what it likes; of this thread alone. Returns: whether there is such a right
 */
static gboolean
set_mighty(gboolean is_mighty)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
    const uint32_t rights = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
    if (syscall(SYS_capget, &header, sets) != 0 || (sets[0].permitted & rights) == 0)
        return FALSE;
    sets[0].effective =
        is_mighty ? sets[0].effective | (sets[0].permitted & rights) : sets[0].effective & ~rights;
    return syscall(SYS_capset, &header, sets) == 0;
}

static void
test_denied(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    (void)unused;
    plug_card(f);
    plug(f, 1);
    kd_fw_bus_set_denied(f->bus, 0, TRUE);
    kd_fw_bus_set_denied(f->bus, 1, TRUE);
    (void)set_mighty(FALSE);
    g_assert_false(open_link(f, 7, &error));
    (void)set_mighty(TRUE);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    g_assert_nonnull(strstr(error->message, "/dev/fw1"));
    g_assert_nonnull(strstr(error->message, "70-kdsrv.rules"));
}

/* Where only the machine's own card is not ours to open, there is nothing to complain about. udev
 * gives access to a target some time after it has appeared. */
static void
test_denied_card(Fixture *f, gconstpointer unused)
{
    (void)unused;
    plug_card(f);
    kd_fw_bus_set_denied(f->bus, 0, TRUE);
    (void)set_mighty(FALSE);
    g_assert_true(open_link(f, 7, NULL));
    g_assert_cmpstr(f->session.note, ==, "waiting for a target on FireWire channel 7");
    plug(f, 1);
    kd_fw_bus_set_denied(f->bus, 1, TRUE);
    kd_test_wait_until(is_denied, f);
    kd_fw_bus_set_denied(f->bus, 1, FALSE);
    kd_test_wait_until(is_there, f);
    (void)set_mighty(TRUE);
}

static void
test_hostile_nodes(Fixture *f, gconstpointer unused)
{
    static KdFwTarget others[4];
    (void)unused;
    plug_card(f);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        kd_fw_target_boot(&others[i], 7, GUID + 1 + i);
    others[0].rom[5] = 0xFFFF0000;                                  /* endless directory */
    others[1].rom[10] = 0x1EFFFFFC;                                 /* block beyond its place */
    kd_fw_target_put_u32(&others[2], KD_FW_BLOCK + 28, 0x80000000); /* mailbox nowhere */
    kd_fw_target_put_u32(&others[3], KD_FW_BLOCK + 24, (uint32_t)KD_FW_SEND); /* one for both */
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        kd_fw_bus_plug(f->bus, 1 + i, others[i].rom, others[i].n_rom, &memory, &others[i]);
    plug(f, 9);
    g_assert_true(open_link(f, 7, NULL));
    kd_test_wait_until(is_there, f);
    g_assert_cmpstr(f->session.note, ==, "the target on channel 7 is /dev/fw9");
}

/* ---- listing --------------------------------------------------------------------------------- */

static GVariant *
list(void)
{
    KdTestDone done = {0};
    g_autoptr(GVariant) filter = kd_test_params("{}");
    g_autoptr(GError) error = NULL;
    fw->enumerate_async(kd_test_host_get(), filter, NULL, kd_test_on_done, &done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    GVariant *found = fw->enumerate_finish(result, &error);
    g_assert_no_error(error);
    return found;
}

static void
test_list(Fixture *f, gconstpointer unused)
{
    static KdFwTarget other;
    const char *text = NULL;
    (void)unused;
    g_autoptr(GVariant) nothing = list();
    g_assert_cmpuint(g_variant_n_children(nothing), ==, 0);
    plug_card(f);
    kd_fw_target_boot(&other, 33, GUID + 1);
    kd_fw_bus_plug(f->bus, 2, other.rom, other.n_rom, &memory, &other);
    plug(f, 10);
    g_autoptr(GVariant) found = list();
    g_assert_cmpuint(g_variant_n_children(found), ==, 2);
    g_autoptr(GVariant) first = g_variant_get_child_value(found, 0);
    g_autoptr(GVariant) second = g_variant_get_child_value(found, 1);
    g_assert_true(g_variant_lookup(first, "trans", "&s", &text));
    g_assert_cmpstr(text, ==, "1394:channel=33");
    g_assert_true(g_variant_lookup(second, "trans", "&s", &text));
    g_assert_cmpstr(text, ==, "1394:channel=7");
    g_assert_true(g_variant_lookup(second, "device", "&s", &text));
    g_assert_cmpstr(text, ==, "/dev/fw10");
    g_assert_true(g_variant_lookup(second, "name", "&s", &text));
    g_assert_nonnull(strstr(text, "0011223344556677"));
    wait_for_open(f, 0);
}

static guint
on_swallow(uint32_t tcode, uint64_t offset, uint32_t len, void *user)
{
    (void)tcode;
    (void)offset;
    (void)len;
    return *(const guint *)user;
}

static void
test_list_silent(Fixture *f, gconstpointer unused)
{
    guint fate = KD_FW_HOLD;
    (void)unused;
    plug_card(f);
    plug(f, 1);
    kd_fw_bus_set_fate(f->bus, on_swallow, &fate);
    gint64 before_us = g_get_monotonic_time();
    g_autoptr(GVariant) found = list();
    g_assert_cmpuint(g_variant_n_children(found), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - before_us, <, 4000000);
    /* closing the node waits for the request, elsewhere */
    wait_for_open(f, 1);
    kd_fw_bus_release(f->bus);
    wait_for_open(f, 0);
}

static guint
on_hit(uint32_t tcode, uint64_t offset, uint32_t len, void *user)
{
    Fixture *f = user;
    (void)tcode;
    (void)offset;
    (void)len;
    return f->n_hits++ == f->hit_at ? f->fate : 0;
}

static gboolean
on_plug_another(gpointer user)
{
    plug(user, 3);
    return G_SOURCE_REMOVE;
}

/* While one node is waited for another comes, and all are looked at once more. */
static void
test_list_once(Fixture *f, gconstpointer unused)
{
    (void)unused;
    plug_card(f);
    plug(f, 1);
    plug(f, 2);
    f->fate = KD_FW_HOLD;
    f->hit_at = 1;
    kd_fw_bus_set_fate(f->bus, on_hit, f);
    (void)g_timeout_add(50, on_plug_another, f);
    g_autoptr(GVariant) found = list();
    g_assert_cmpuint(g_variant_n_children(found), ==, 2);
    kd_fw_bus_release(f->bus);
    wait_for_open(f, 0);
}

/* Called off in the turn in which it was begun, and when it has been done */
static void
test_open_cancelled(Fixture *f, gconstpointer unused)
{
    g_autoptr(GVariant) params = kd_test_params("{'channel': <uint64 7>}");
    g_autoptr(GVariant) who = kd_test_params("{'id': <uint64 1>}");
    KdSink sink = {.struct_size = sizeof(KdSink), .event = on_event, .user = &f->session};
    (void)unused;
    plug_card(f);
    plug(f, 1);
    f->session.events = g_string_new(NULL);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdEndpoint endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1};
        KdTestDone done = {0};
        if (i == 0)
            g_cancellable_cancel(cancellable);
        fw->open_async(kd_test_host_get(), params, who, &sink, cancellable, kd_test_on_done, &done);
        if (i == 1)
            g_cancellable_cancel(cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&done);
        if (i == 2)
            g_cancellable_cancel(cancellable);
        g_assert_null(fw->open_finish(result, &endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
    wait_for_open(f, 0);
}

static void
test_list_cancelled(Fixture *f, gconstpointer unused)
{
    guint fate = KD_FW_HOLD;
    (void)unused;
    plug_card(f);
    plug(f, 1);
    kd_fw_bus_set_fate(f->bus, on_swallow, &fate);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdTestDone done = {0};
        fw->enumerate_async(kd_test_host_get(), NULL, cancellable, kd_test_on_done, &done);
        if (i == 1)
            kd_test_turn();
        g_cancellable_cancel(cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&done);
        g_assert_null(fw->enumerate_finish(result, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
    kd_fw_bus_release(f->bus);
    wait_for_open(f, 0);
}

/* ---- a link and its faults ------------------------------------------------------------------- */

static void
test_faults(Fixture *f, gconstpointer unused)
{
    static const guint fates[] = {
        RCODE_BUSY,      RCODE_NO_ACK, RCODE_ADDRESS_ERROR, RCODE_TYPE_ERROR, RCODE_CONFLICT_ERROR,
        RCODE_CANCELLED, KD_FW_LOSE,   KD_FW_SHORTEN,       RCODE_SEND_ERROR, KD_FW_REFUSE,
    };
    (void)unused;
    start(f);
    kd_fw_bus_set_fate(f->bus, on_hit, f);
    for (guint i = 0; i < G_N_ELEMENTS(fates); i++) {
        f->fate = fates[i];
        for (guint hit_at = 0; hit_at < 5; hit_at++) {
            kd_fw_bus_lock(f->bus);
            f->n_hits = 0;
            f->hit_at = hit_at;
            kd_fw_bus_unlock(f->bus);
            let_print(f, "on and on");
        }
    }
    g_assert_cmpstr(f->session.events->str, ==, "");
}

static void
test_bus_reset(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    for (guint i = 0; i < 20; i++) {
        kd_fw_bus_reset(f->bus);
        let_print(f, "on and on");
    }
    kd_fw_bus_reset_silently(f->bus);
    let_print(f, "after a while");
    g_assert_cmpstr(f->session.events->str, ==, "");
}

static void
test_unplugged(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    kd_fw_bus_unplug(f->bus, 1);
    kd_test_wait_until(is_lost, f);
    plug(f, 2);
    kd_test_wait_until(is_back, f);
    g_assert_cmpstr(f->session.events->str, ==, "lost back ");
    let_print(f, "again");
}

static void
test_unplugged_and_restarted(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    let_print(f, "what can have restarted was heard before");
    kd_fw_bus_unplug(f->bus, 1);
    kd_test_wait_until(is_lost, f);
    kd_fw_target_boot(&f->target, 7, GUID);
    plug(f, 2);
    kd_test_wait_until(is_back, f);
    g_assert_cmpstr(f->session.events->str, ==, "lost resync back ");
}

static void
test_restarted(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    let_print(f, "what can have restarted was heard before");
    /* the firmware, with a ROM of its own */
    kd_fw_bus_lock(f->bus);
    kd_fw_target_wipe(&f->target);
    kd_fw_bus_unlock(f->bus);
    kd_fw_bus_set_rom(f->bus, 1, f->target.rom, f->target.n_rom);
    kd_fw_bus_reset(f->bus);
    kd_test_wait_until(is_lost, f);
    kd_fw_bus_lock(f->bus);
    kd_fw_target_boot(&f->target, 7, GUID);
    kd_fw_bus_unlock(f->bus);
    kd_fw_bus_set_rom(f->bus, 1, f->target.rom, f->target.n_rom);
    kd_fw_bus_reset(f->bus);
    kd_test_wait_until(is_back, f);
    g_assert_cmpstr(f->session.events->str, ==, "lost resync back ");
    let_print(f, "up again");
}

static void
test_slow_link(Fixture *f, gconstpointer unused)
{
    (void)unused;
    plug_card(f);
    plug(f, 1);
    kd_fw_bus_set_speed(f->bus, 1, SCODE_100);
    g_assert_true(open_link(f, 7, NULL));
    kd_test_wait_until(is_there, f);
    g_string_truncate(f->session.events, 0);
    g_autofree char *text = g_strnfill(500, 'x');
    let_print(f, text);
    g_assert_cmpstr(f->session.events->str, ==, "");
}

static void
test_close_with_request(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    guint before = kd_test_count_fds();
    f->fate = KD_FW_HOLD;
    kd_fw_bus_lock(f->bus);
    f->n_hits = 0;
    f->hit_at = 0;
    kd_fw_bus_unlock(f->bus);
    kd_fw_bus_set_fate(f->bus, on_hit, f);
    guint64 n = kd_fw_bus_get_n_requests(f->bus);
    while (kd_fw_bus_get_n_requests(f->bus) == n)
        g_main_context_iteration(NULL, FALSE);
    gint64 before_us = g_get_monotonic_time();
    end_link(f);
    g_assert_cmpint(g_get_monotonic_time() - before_us, <, 500000);
    wait_for_open(f, 1);
    kd_fw_bus_release(f->bus); /* an answer for whom there is nobody */
    wait_for_open(f, 0);
    while (kd_test_count_fds() >= before)
        g_main_context_iteration(NULL, FALSE);
}

static void
test_no_leak(Fixture *f, gconstpointer unused)
{
    (void)unused;
    start(f);
    end_link(f);
    wait_for_open(f, 0);
    guint before = kd_test_count_fds();
    for (guint i = 0; i < 30; i++) {
        g_assert_true(open_link(f, 7, NULL));
        if (i % 2 == 0)
            kd_test_wait_until(is_there, f);
        end_link(f);
        wait_for_open(f, 0);
    }
    /* umockdev's thread has ends of its own to close. */
    gint64 limit_us = g_get_monotonic_time() + KD_TEST_LIMIT_MS * 1000;
    while (kd_test_count_fds() > before)
        g_assert_cmpint(g_get_monotonic_time(), <, limit_us);
}

static void
test_lock_names(void)
{
    g_autoptr(GVariant) params = kd_test_params("{'channel': <uint64 7>, 'symlink': <'instance'>}");
    g_auto(GStrv) names = fw->build_lock_names(kd_test_host_get(), params);
    g_assert_cmpuint(g_strv_length(names), ==, 1);
    g_assert_cmpstr(names[0], ==, "1394:7");
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *f, gconstpointer unused);
    } cases[] = {
        {"/1394/find/takes-the-node-with-the-channel", test_found},
        {"/1394/find/waits-for-a-controller", test_no_controller},
        {"/1394/find/waits-for-a-target", test_waiting},
        {"/1394/find/notices-that-a-node-has-become-a-target", test_becomes_target},
        {"/1394/find/tells-targets-by-their-channels", test_two_channels},
        {"/1394/find/names-the-rule-that-gives-access", test_denied},
        {"/1394/find/needs-no-access-to-other-nodes", test_denied_card},
        {"/1394/find/passes-over-hostile-nodes", test_hostile_nodes},
        {"/1394/list/has-each-target-once", test_list},
        {"/1394/list/does-not-wait-for-a-silent-node", test_list_silent},
        {"/1394/list/has-each-target-once-when-it-looks-again", test_list_once},
        {"/1394/list/can-be-called-off", test_list_cancelled},
        {"/1394/link/can-be-called-off-while-it-is-opened", test_open_cancelled},
        {"/1394/link/survives-requests-that-fail", test_faults},
        {"/1394/link/survives-bus-resets", test_bus_reset},
        {"/1394/link/waits-for-a-target-that-was-unplugged", test_unplugged},
        {"/1394/link/tells-a-restart-while-it-was-unplugged", test_unplugged_and_restarted},
        {"/1394/link/tells-a-restart", test_restarted},
        {"/1394/link/reads-in-small-parts-at-s100", test_slow_link},
        {"/1394/link/does-not-wait-for-a-request-to-close", test_close_with_request},
        {"/1394/link/leaks-no-descriptors", test_no_leak},
    };
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        fw = kd_test_load_plugin("kdsrv-target-1394.so")->targets[0];
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add(cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);
    g_test_add_func("/1394/lock/is-the-channel", test_lock_names);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines that go wrong: each time the one session is told, and no other session is harmed. */
#include "kd-e2e-case.h"
#include "kd-e2e-flood.h"
#include "kd-e2e-pace.h"
#include "kd-e2e-pty.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* More than a pipe holds, and what a session writes at least */
#define LOG_BYTES  (80u * 1024u)
#define LINE_BYTES 128u
#define FLOOD_US   (2 * G_USEC_PER_SEC)
#define N_HANG_UPS 200u
#define PACE_MS    10
#define STORM_US   (2 * G_USEC_PER_SEC)
#define N_IN_STORM 8u
#define PING_US    (1 * G_USEC_PER_SEC)
#define BREAK_US   (260 * 1000)
/* PROTOCOL.md, Limits */
#define MAX_CONTROLS    16u
#define LINE_ROOM_BYTES (128u * 1024u)

/* ---- asking ---- */

static void
ping(KdE2eClient *client)
{
    static const uint8_t cookie[8] = "anybody";
    gint64 start_us = g_get_monotonic_time();

    kd_e2e_client_send(client, KD_FRAME_PING, g_bytes_new_static(cookie, sizeof cookie));
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_PONG));
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, PING_US);
}

static KdEvent *
parse_event(GBytes *payload)
{
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    const uint8_t *bytes = g_bytes_get_data(payload, &len);
    KdEvent *event = kd_event_parse(bytes, len, &error);

    g_assert_no_error(error);
    return event;
}

static KdEvent *
await_event(KdE2eClient *client)
{
    g_autoptr(GBytes) payload = kd_e2e_client_await(client, KD_FRAME_EVENT);

    return parse_event(payload);
}

/* ---- it hangs up ---- */

static void
expect_hang_up(KdE2eCase *self)
{
    g_autofree char *note = g_strdup_printf("%s has hung up", self->name);
    g_autoptr(KdEvent) event = await_event(self->client);
    g_autoptr(KdClose) said = NULL;

    g_assert_cmpuint(event->kind, ==, KD_EVENT_NOTE);
    g_assert_cmpstr(event->text, ==, note);
    said = kd_e2e_client_await_close(self->client);
    g_test_message("%u: %s", said->code, said->text);
    g_assert_true(said->code == KD_CLOSE_TARGET_CLOSED || said->code == KD_CLOSE_TARGET_LOST);
    g_assert_nonnull(strstr(said->text, note));
}

static void
test_hang_up(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    kd_e2e_write(self.far, "last words", 10);
    kd_e2e_client_await_data(self.client, "last words");
    close(self.far);
    self.far = -1;
    expect_hang_up(&self);
    kd_e2e_case_tear_down(&self);
}

/* Bytes wait for the line at every place where they can, and then it takes none any more. */
static void
test_eio(KdE2eStage *stage, gconstpointer unused)
{
    static const uint8_t chunk[4096];
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    for (int i = 0; i < 2; i++) {
        while (self.client->sent < self.client->acked + self.client->window) {
            gsize room = self.client->acked + self.client->window - self.client->sent;

            kd_e2e_client_send_data(self.client, chunk, MIN(sizeof chunk, room));
        }
        ping(self.client);
    }
    close(self.far);
    self.far = -1;
    expect_hang_up(&self);
    kd_e2e_case_tear_down(&self);
}

/* One session after the other, each on a line of its own that ends at once. */
static void
test_many_ends(KdE2eStage *stage, gconstpointer unused)
{
    int pace = kd_e2e_pace_new(PACE_MS);
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_bystander_begin(self.bystander);
    while (!kd_e2e_bystander_has_enough(self.bystander)) {
        g_autofree char *name = NULL;
        g_autofree char *trans = NULL;
        g_autoptr(KdE2eClient) client = NULL;
        g_autoptr(KdClose) said = NULL;
        int far = kd_e2e_pty_new(&name);

        (void)kd_e2e_pace_await(pace);
        trans = g_strdup_printf("com:port=%s", name);
        client = kd_e2e_client_new_open(stage->port, trans);
        close(far);
        said = kd_e2e_client_await_close(client);
        g_assert_nonnull(strstr(said->text, name));
    }
    kd_e2e_bystander_expect_unharmed(self.bystander);
    close(pace);
    kd_e2e_traces_expect_memory(&self.traces, stage->server);
    kd_e2e_case_tear_down(&self);
}

/* ---- nobody reads the log ---- */

static void
test_log(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *gap = NULL;
    g_autoptr(KdE2eClient) client = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, "-v", NULL);
    for (guint n = 0; n < LOG_BYTES / LINE_BYTES; n++) {
        g_autofree char *trans = g_strdup_printf("fake:name=%u,echo", n);

        kd_e2e_client_free(client);
        client = kd_e2e_client_new_open(stage->port, trans);
    }
    kd_e2e_client_send_data(client, "unharmed", 8);
    kd_e2e_client_await_data(client, "unharmed");
    (void)kd_e2e_program_get_text(stage->server, KD_E2E_STDERR);
    g_clear_pointer(&client, kd_e2e_client_free);
    gap = kd_e2e_program_await(stage->server, KD_E2E_STDERR, "lines are missing here");
    g_test_message("%s", gap);
}

/* ---- it hangs up all the time ---- */

/**
 * Story:
 * @n_lost: how often the target was lost
 * @is_lost: whether it is
 *
 * What a session was told of its line.
 */
typedef struct {
    guint n_lost;
    gboolean is_lost;
} Story;

/* Each loss and each return once, and by turns. */
static void
take_event(Story *story, const KdEvent *event)
{
    if (event->kind == KD_EVENT_LOST) {
        g_assert_false(story->is_lost);
        story->n_lost++;
        story->is_lost = TRUE;
    } else if (event->kind == KD_EVENT_BACK) {
        g_assert_true(story->is_lost);
        story->is_lost = FALSE;
    }
}

static uint8_t
take_frame(Story *story, KdE2eClient *client)
{
    g_autoptr(GBytes) payload = NULL;
    uint8_t heard = kd_e2e_client_read(client, &payload);

    if (heard == KD_FRAME_EVENT) {
        g_autoptr(KdEvent) event = parse_event(payload);

        take_event(story, event);
    }
    return heard;
}

static void
take_events(Story *story, KdE2eClient *client)
{
    while (kd_e2e_is_readable(client->fd, 0)) {
        (void)take_frame(story, client);
    }
}

/* Behind this, the server knows all that has happened before. */
static void
settle(Story *story, KdE2eClient *client)
{
    static const uint8_t cookie[8] = "settled";

    kd_e2e_client_send(client, KD_FRAME_PING, g_bytes_new_static(cookie, sizeof cookie));
    while (take_frame(story, client) != KD_FRAME_PONG) {
    }
}

static void
expect_back(Story *story, KdE2eClient *client)
{
    settle(story, client);
    g_test_message("lost %u times", story->n_lost);
    g_assert_cmpuint(story->n_lost, >, 0);
    g_assert_false(story->is_lost);
}

static void
test_flapping_line(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eTraces before;
    Story story = {0};
    int timer = kd_e2e_pace_new(PACE_MS);
    KdE2eCase self;
    int slave;
    guint i;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, ",reconnect");
    kd_e2e_case_open(&self);
    kd_e2e_bystander_begin(self.bystander);
    kd_e2e_traces_take(&before, stage->server);
    for (i = 0; i < N_HANG_UPS; i++) {
        if (!kd_e2e_pty_hang_up(self.name)) {
            g_test_skip("this user may not hang up a terminal");
            break;
        }
        (void)kd_e2e_pace_await(timer);
        take_events(&story, self.client);
    }
    if (i == N_HANG_UPS) {
        kd_e2e_bystander_expect_unharmed(self.bystander);
        kd_e2e_traces_expect_few_lines(&before, stage->server);
        settle(&story, self.client);
        /* without any other side the far one would say that it has ended */
        slave = open(self.name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        kd_e2e_client_send_data(self.client, "still there", 11);
        kd_e2e_expect(self.far, "still there");
        expect_back(&story, self.client);
        close(slave);
    }
    close(timer);
    kd_e2e_case_tear_down(&self);
}

typedef struct {
    int listener;
    guint n_accepted;
    gint is_over;
} Refuser;

/* Accepts and hangs up at once. */
static gpointer
run_refuser(gpointer user)
{
    Refuser *refuser = user;

    while (!g_atomic_int_get(&refuser->is_over)) {
        if (kd_e2e_is_readable(refuser->listener, PACE_MS)) {
            close(kd_e2e_accept(refuser->listener));
            refuser->n_accepted++;
        }
    }
    return NULL;
}

/* A virtual machine that is restarted by somebody who gives up after each start. */
static void
test_flapping_socket(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    Refuser refuser = {.listener = kd_e2e_listen_unix(path)};
    gint64 end_us;
    KdE2eTraces before;
    Story story = {0};
    GThread *thread;
    KdE2eCase self;
    int vm;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    g_free(self.trans);
    self.trans = g_strdup_printf("com:pipe,port=%s,reconnect", path);
    kd_e2e_bystander_begin(self.bystander);
    thread = g_thread_new("refuser", run_refuser, &refuser);
    kd_e2e_case_open(&self);
    kd_e2e_traces_take(&before, stage->server);
    end_us = g_get_monotonic_time() + N_HANG_UPS * PACE_MS * 1000;
    while (g_get_monotonic_time() < end_us) {
        if (kd_e2e_is_readable(self.client->fd, PACE_MS)) {
            take_events(&story, self.client);
        }
    }
    kd_e2e_bystander_expect_unharmed(self.bystander);
    kd_e2e_traces_expect_few_lines(&before, stage->server);
    g_atomic_int_set(&refuser.is_over, 1);
    g_thread_join(thread);
    vm = kd_e2e_accept(refuser.listener);
    g_test_message("%u connections", refuser.n_accepted);
    kd_e2e_write(vm, "here at last", 12);
    while (self.client->heard->len < 12) {
        (void)take_frame(&story, self.client);
    }
    kd_e2e_client_await_data(self.client, "here at last");
    expect_back(&story, self.client);
    close(vm);
    close(refuser.listener);
    kd_e2e_case_tear_down(&self);
}

/* ---- it never stops talking ---- */

static void
test_flood(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eFlood *flood;
    guint64 n;
    gint64 end_us;
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    kd_e2e_bystander_begin(self.bystander);
    flood = kd_e2e_flood_new(self.far);
    end_us = g_get_monotonic_time() + FLOOD_US;
    while (g_get_monotonic_time() < end_us) {
        guint64 heard = self.client->received;

        ping(self.client);
        while (self.client->received < heard + KD_E2E_FLOOD_BYTES_S / 8) {
            g_bytes_unref(kd_e2e_client_await(self.client, KD_FRAME_DATA));
        }
    }
    kd_e2e_bystander_expect_unharmed(self.bystander);
    n = kd_e2e_flood_stop(flood);
    g_test_message("%" G_GUINT64_FORMAT " bytes", n);
    while (self.client->received < n) {
        g_bytes_unref(kd_e2e_client_await(self.client, KD_FRAME_DATA));
    }
    g_assert_cmpuint(self.client->received, ==, n);
    kd_e2e_flood_expect(self.client->heard->data, self.client->heard->len);
    kd_e2e_traces_expect_memory(&self.traces, stage->server);
    kd_e2e_case_tear_down(&self);
}

/* Its client reads nothing: credit keeps the rest in the line, and the session is there still. */
static void
test_flood_unread(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eFlood *flood;
    guint64 n;
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    kd_e2e_bystander_begin(self.bystander);
    flood = kd_e2e_flood_new(self.far);
    kd_e2e_bystander_await_s(self.bystander, FLOOD_US / G_USEC_PER_SEC);
    kd_e2e_bystander_expect_unharmed(self.bystander);
    kd_e2e_traces_expect_memory(&self.traces, stage->server);
    n = kd_e2e_flood_stop(flood);
    g_test_message("%" G_GUINT64_FORMAT " bytes", n);
    g_assert_cmpuint(n, >=, self.client->window);
    g_assert_cmpuint(n, <=, self.client->window + LINE_ROOM_BYTES);
    ping(self.client);
    while (self.client->received < n) {
        g_bytes_unref(kd_e2e_client_await(self.client, KD_FRAME_DATA));
    }
    g_assert_cmpuint(self.client->received, ==, n);
    kd_e2e_flood_expect(self.client->heard->data, self.client->heard->len);
    kd_e2e_case_tear_down(&self);
}

/* ---- its client sends one BREAK after the other ---- */

static void
send_break(KdE2eClient *client, guint32 id, gboolean is_urgent)
{
    KdControl control = {.id = id, .op = KD_CONTROL_BREAK, .is_urgent = is_urgent};

    kd_e2e_client_control(client, &control);
}

/* As many as may be unanswered, in order and urgent: each is answered once, and bytes pass. */
static void
test_breaks(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GHashTable) waiting = g_hash_table_new(NULL, NULL);
    gint64 end_us;
    guint n_done = 0;
    guint32 id = 0;
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_case_open(&self);
    kd_e2e_bystander_begin(self.bystander);
    end_us = g_get_monotonic_time() + STORM_US;
    while (g_get_monotonic_time() < end_us || g_hash_table_size(waiting) > 0) {
        g_autoptr(KdResult) result = NULL;

        while (g_get_monotonic_time() < end_us && g_hash_table_size(waiting) < N_IN_STORM) {
            id++;
            send_break(self.client, id, id % 2 == 0);
            g_hash_table_add(waiting, GUINT_TO_POINTER(id));
        }
        result = kd_e2e_client_await_result(self.client);
        g_assert_true(g_hash_table_remove(waiting, GUINT_TO_POINTER(result->id)));
        n_done += result->code == 0;
        /* one in order gives way to an urgent one; none finds another one in its way */
        g_assert_true(result->code == 0 || result->code == KD_ERROR_FAILED + 1);
    }
    g_test_message("%u asked, %u done", id, n_done);
    g_assert_cmpuint(n_done, >=, (STORM_US / BREAK_US) / 2);
    kd_e2e_bystander_expect_unharmed(self.bystander);
    kd_e2e_client_send_data(self.client, "behind them", 11);
    kd_e2e_expect(self.far, "behind them");
    kd_e2e_case_tear_down(&self);
}

/* A hundred a second are more than a line can do. */
static void
storm(KdE2eCase *self, int timer)
{
    g_autoptr(KdClose) said = NULL;

    for (guint32 id = 1; id <= MAX_CONTROLS + 1; id++) {
        send_break(self->client, id, FALSE);
        (void)kd_e2e_pace_await(timer);
    }
    said = kd_e2e_client_await_close(self->client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_PROTOCOL_ERROR);
    g_assert_nonnull(strstr(said->text, "control operations"));
    g_clear_pointer(&self->client, kd_e2e_client_free);
}

/* That costs their sender the session, and the next one finds the line as it was. */
static void
test_too_many_breaks(KdE2eStage *stage, gconstpointer unused)
{
    int timer = kd_e2e_pace_new(PACE_MS);
    KdE2eCase self;

    (void)unused;
    kd_e2e_case_set_up(&self, stage, "");
    kd_e2e_bystander_begin(self.bystander);
    kd_e2e_case_open(&self);
    while (!kd_e2e_bystander_has_enough(self.bystander)) {
        storm(&self, timer);
        kd_e2e_case_open_when_free(&self);
        kd_e2e_client_send_data(self.client, "no break", 8);
        kd_e2e_expect(self.far, "no break");
    }
    kd_e2e_bystander_expect_unharmed(self.bystander);
    close(timer);
    kd_e2e_case_tear_down(&self);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/fault/hang-up-ends-the-session-with-a-sentence", test_hang_up);
    kd_e2e_add("/e2e/fault/line-that-takes-nothing-more-ends-the-session", test_eio);
    kd_e2e_add("/e2e/fault/many-hang-ups-leave-nothing-behind", test_many_ends);
    kd_e2e_add("/e2e/fault/log-that-nobody-reads-stops-no-session", test_log);
    kd_e2e_add("/e2e/fault/flapping-line-harms-no-other-session", test_flapping_line);
    kd_e2e_add("/e2e/fault/flapping-socket-harms-no-other-session", test_flapping_socket);
    kd_e2e_add("/e2e/fault/flood-arrives-whole-and-harms-no-other-session", test_flood);
    kd_e2e_add("/e2e/fault/flood-that-nobody-reads-waits-in-the-line", test_flood_unread);
    kd_e2e_add("/e2e/fault/breaks-are-answered-each", test_breaks);
    kd_e2e_add("/e2e/fault/too-many-breaks-end-their-session-only", test_too_many_breaks);
    return g_test_run();
}

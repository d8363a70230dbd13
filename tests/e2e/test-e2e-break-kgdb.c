/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What breaks into a kernel in kgdb: BREAK and g between the debugger's bytes, in the right place.
 */
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * Line:
 * @kd: listens for a debugger
 * @debugger: connected to it
 * @steer: of the fake device
 *
 * A session with a device that records what comes.
 */
typedef struct {
    KdE2eProgram *kd;
    int debugger;
    int steer;
} Line;

static int
dial_device(const char *path)
{
    gint64 end_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        g_usleep(2000);
    }
    return kd_e2e_dial_unix(path);
}

static KdE2eProgram *
start_kd(KdE2eStage *stage, gboolean has_server, const char *trans, const char *hand_over)
{
    if (has_server) {
        kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
        return kd_e2e_stage_start_kd(stage, trans, "--profile", KD_KGDB_PROFILE, hand_over, NULL);
    }
    return kd_e2e_stage_run("kd", NULL, "-k", trans, "--profile", KD_KGDB_PROFILE, hand_over, NULL);
}

static void
line_start(Line *line, KdE2eStage *stage, gboolean has_server, const char *options)
{
    g_autofree char *steer = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *hand_over = g_strconcat("--listen=unix:", path, NULL);
    g_autofree char *trans = g_strdup_printf("fake:name=1%s,steer=%s", options, steer);

    line->kd = start_kd(stage, has_server, trans, hand_over);
    g_free(kd_e2e_program_await(line->kd, KD_E2E_STDERR, "kd: listening on"));
    line->debugger = kd_e2e_dial_unix(path);
    line->steer = dial_device(steer);
    kd_e2e_order(line->steer, "say hello");
    kd_e2e_expect(line->debugger, "hello"); /* the session is whole */
}

static void
line_stop(Line *line)
{
    close(line->debugger);
    kd_e2e_program_signal(line->kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(line->kd), ==, 0);
    kd_e2e_program_free(line->kd);
    close(line->steer);
}

static void
await_count(int steer, const char *counter, guint64 n)
{
    g_autofree char *order = g_strdup_printf("wait %s %" G_GUINT64_FORMAT, counter, n);

    kd_e2e_order(steer, order);
}

static void
expect_story(int steer, const char *expected)
{
    g_autofree char *story = kd_e2e_steer(steer, "story");

    g_assert_cmpstr(story + strlen("story "), ==, expected);
}

static void
test_order(KdE2eStage *stage, gconstpointer has_server)
{
    static const char said[] = "+$X0,3:\xff\xf3\x03#aa\xff\xf3g+\x03-g$g#67";
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    kd_e2e_write(line.debugger, said, sizeof said - 1);
    await_count(line.steer, "in", 23);
    expect_story(line.steer, "+$X0,3:\\xff\\xf3\\x03#aa<break>g+<break>g-<break>g$g#67");
    line_stop(&line);
}

/* ---- under back-pressure ---- */

typedef struct {
    GByteArray *said;
    GString *expected;
    guint64 n_bytes;
    guint n_breaks;
} Speech;

static void
speech_add(Speech *speech, const char *text, gsize len)
{
    g_byte_array_append(speech->said, (const uint8_t *)text, (guint)len);
}

static void
speech_pass(Speech *speech, const char *text, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        if (g_ascii_isprint(text[i])) {
            g_string_append_c(speech->expected, text[i]);
        } else {
            g_string_append_printf(speech->expected, "\\x%02x", (guint)(uint8_t)text[i]);
        }
    }
    speech->n_bytes += len;
}

static void
speech_break(Speech *speech)
{
    g_string_append(speech->expected, "<break>g");
    speech->n_bytes++;
    speech->n_breaks++;
}

static void
speech_say_one(Speech *speech, GRand *rand)
{
    static const char packet[] = "$X10,5:\xff\xf3g\x03}\x04#2a";
    char text[3] = "+";

    switch (g_rand_int_range(rand, 0, 4)) {
    case 0:
        speech_add(speech, "\xff\xf3g", 3);
        speech_break(speech);
        break;
    case 1:
        text[0] = g_rand_boolean(rand) ? 'g' : '\x03';
        speech_add(speech, text, 1);
        speech_break(speech);
        break;
    case 2:
        speech_add(speech, packet, sizeof packet - 1);
        speech_pass(speech, packet, sizeof packet - 1);
        break;
    default:
        speech_add(speech, text, 1);
        speech_pass(speech, text, 1);
        break;
    }
}

static void
test_pressure(KdE2eStage *stage, gconstpointer has_server)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(20240);
    Speech speech = {.said = g_byte_array_new(), .expected = g_string_new(NULL)};
    gsize at = 0;
    Line line;

    while (speech.n_breaks < 200) {
        speech_say_one(&speech, rand);
    }
    line_start(&line, stage, has_server != NULL, ",size=16");
    kd_e2e_order(line.steer, "slow 3");
    while (at < speech.said->len) {
        gsize len = (gsize)g_rand_int_range(rand, 1, 90);

        len = MIN(len, speech.said->len - at);
        if (g_rand_int_range(rand, 0, 10) == 0) {
            kd_e2e_order(line.steer, "stop");
        } else {
            kd_e2e_order(line.steer, "go");
        }
        kd_e2e_write(line.debugger, speech.said->data + at, len);
        at += len;
    }
    kd_e2e_order(line.steer, "go");
    await_count(line.steer, "in", speech.n_bytes);
    await_count(line.steer, "breaks", speech.n_breaks);
    expect_story(line.steer, speech.expected->str);
    line_stop(&line);
    g_byte_array_unref(speech.said);
    g_string_free(speech.expected, TRUE);
}

static void
test_behind_break(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    kd_e2e_order(line.steer, "long-breaks");
    kd_e2e_write(line.debugger, "+\x03$g#67", 7);
    await_count(line.steer, "breaks", 1);
    kd_e2e_write(line.debugger, "$m0,4#fd", 8);
    kd_e2e_order(line.steer, "say still here");
    kd_e2e_expect(line.debugger, "still here");
    g_assert_cmpuint(kd_e2e_count(line.steer, "in-break"), ==, 0);
    kd_e2e_order(line.steer, "end-break");
    await_count(line.steer, "in", 15);
    expect_story(line.steer, "+<break>g$g#67$m0,4#fd");
    line_stop(&line);
}

/* ---- by a person ---- */

static void
test_signals(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    kd_e2e_write(line.debugger, "+", 1);
    await_count(line.steer, "in", 1);
    kd_e2e_program_signal(line.kd, SIGQUIT);
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: break sent"));
    await_count(line.steer, "in", 2);
    kd_e2e_program_signal(line.kd, SIGUSR2);
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: break sent"));
    kd_e2e_write(line.debugger, "-", 1);
    await_count(line.steer, "in", 4);
    expect_story(line.steer, "+<break>g<break>g-");
    line_stop(&line);
}

static void
test_urgent(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;

    line_start(&line, stage, has_server != NULL, ",size=4");
    kd_e2e_order(line.steer, "stop");
    kd_e2e_write(line.debugger, "$m0,4#fd", 8);
    await_count(line.steer, "pending", 4);
    kd_e2e_program_signal(line.kd, SIGUSR1); /* waits for the packet to be taken */
    kd_e2e_program_signal(line.kd, SIGUSR2);
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: break sent, "));
    kd_e2e_order(line.steer, "go");
    await_count(line.steer, "in", 1);
    kd_e2e_write(line.debugger, "+", 1);
    {
        /* whether the one in order came before or after, each break has its own g */
        g_autofree char *story = NULL;

        await_count(line.steer, "breaks", 1);
        kd_e2e_order(line.steer, "say all");
        kd_e2e_expect(line.debugger, "all");
        story = kd_e2e_steer(line.steer, "story");
        g_assert_nonnull(strstr(story, "<break>g"));
        g_assert_null(strstr(story, "<break><break>"));
    }
    line_stop(&line);
}

/* ---- where nothing is to be done ---- */

static void
test_no_break(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *vm_path = kd_e2e_stage_build_path(stage, "vm");
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *hand_over = g_strconcat("--listen=unix:", path, NULL);
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", vm_path);
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(vm_path);
    const char *text;

    kd = start_kd(stage, has_server != NULL, trans, hand_over);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on"));
    for (int i = 0; i < 2; i++) {
        int debugger = kd_e2e_dial_unix(path);
        int vm = kd_e2e_accept(listener);

        kd_e2e_write(debugger, "+\xff\xf3g\x03$g#67", 10);
        kd_e2e_expect(vm, "+\xff\xf3g\x03$g#67");
        kd_e2e_program_signal(kd, SIGUSR1);
        g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: no break: this link has no BREAK"));
        close(debugger);
        kd_e2e_expect_end(vm);
        close(vm);
    }
    text = strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "kd: Break=kgdb: ");
    g_assert_nonnull(text);
    g_assert_null(strstr(text + 1, "kd: Break=kgdb: "));
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(listener);
}

/* ---- the other ways to get the link ---- */

static void
test_stdio(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *trans = g_strdup_printf("fake:name=1,half,echo,steer=%s", steer_path);
    g_autoptr(KdE2eProgram) kd = start_kd(stage, has_server != NULL, trans, "--stdio");
    int steer = dial_device(steer_path);

    kd_e2e_program_say(kd, "+\x03+\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "+g+"));
    expect_story(steer, "+<break>g+\\x0a");
    kd_e2e_program_say(kd, "last\n\xff");
    kd_e2e_program_close_stdin(kd);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), ==, "+g+\nlast\n\xff");
    close(steer);
}

static void
test_pty(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *pty_path = kd_e2e_stage_build_path(stage, "pty");
    g_autofree char *hand_over = g_strconcat("--pty=", pty_path, NULL);
    g_autofree char *trans = g_strdup_printf("fake:name=1,echo,steer=%s", steer_path);
    g_autoptr(KdE2eProgram) kd = start_kd(stage, has_server != NULL, trans, hand_over);
    int steer = dial_device(steer_path);
    int pty = open(pty_path, O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(pty, >=, 0);
    kd_e2e_write(pty, "+\x03+", 3);
    kd_e2e_expect(pty, "+g+");
    expect_story(steer, "+<break>g+");
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(pty);
    close(steer);
}

static void
test_hang_up(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    kd_e2e_write(line.debugger, "+\x03", 2);
    await_count(line.steer, "in", 2);
    close(line.debugger);
    await_count(line.steer, "closes", 1);
    line.debugger = kd_e2e_dial_unix(path);
    await_count(line.steer, "opens", 2);
    kd_e2e_write(line.debugger, "g", 1);
    await_count(line.steer, "breaks", 2);
    line_stop(&line);
}

static void
test_flood(KdE2eStage *stage, gconstpointer has_server)
{
    const gsize n_bytes = 100000;
    g_autofree char *keys = g_strnfill(n_bytes, '\x03');
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    kd_e2e_write(line.debugger, keys, n_bytes);
    await_count(line.steer, "breaks", 100);
    kd_e2e_order(line.steer, "say still here");
    kd_e2e_expect(line.debugger, "still here");
    line_stop(&line);
}

/* ---- GDB ---- */

/* What a stub answers that knows next to nothing, as long as GDB asks. */
static const char *
find_answer(const char *packet)
{
    static const char *const answers[][2] = {
        {"qSupported", "PacketSize=400"},
        {"?", "T05"},
        {"H", "OK"},
        {"qAttached", "1"},
        {"qC", "QC1"},
        {"D", "OK"},
        {"m", "00"},
        {"c", NULL},
        {"qfThreadInfo", "m1"},
        {"qsThreadInfo", "l"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        if (g_str_has_prefix(packet, answers[i][0])) {
            return answers[i][1];
        }
    }
    if (*packet == 'g') {
        return "0000000000000000000000000000000000000000000000000000000000000000"
               "0000000000000000000000000000000000000000000000000000000000000000"; /* 16 registers
                                                                                    */
    }
    return "";
}

static void
say_packet(int steer, const char *text)
{
    g_autofree char *order = NULL;
    guint sum = 0;

    for (const char *c = text; *c != '\0'; c++) {
        sum += (uint8_t)*c;
    }
    order = g_strdup_printf("say $%s#%02x", text, sum & 0xff);
    kd_e2e_order(steer, order);
}

/**
 * Stub:
 * @steer: of the device
 * @at: how much of its story was dealt with
 * @is_running: `c` was the last packet
 *
 * What GDB talks to.
 */
typedef struct {
    int steer;
    gsize at;
    gboolean is_running;
} Stub;

/* Answers the next packet, if there is one. */
static void
serve(Stub *stub)
{
    g_autofree char *story = kd_e2e_steer(stub->steer, "story");
    const char *start = strchr(story + stub->at, '$');
    const char *end = start != NULL ? strchr(start, '#') : NULL;

    if (end == NULL || strlen(end) < 3) {
        g_usleep(1000);
    } else {
        g_autofree char *packet = g_strndup(start + 1, (gsize)(end - start - 1));
        const char *answer = find_answer(packet);

        stub->at = (gsize)(end - story) + 3;
        stub->is_running = answer == NULL;
        kd_e2e_order(stub->steer, "say +");
        if (answer != NULL) {
            say_packet(stub->steer, answer);
        }
    }
}

static void
serve_until_running(Stub *stub)
{
    gint64 end_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (!stub->is_running) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        serve(stub);
    }
}

static void
serve_until_said(Stub *stub, KdE2eProgram *kd, const char *text)
{
    gint64 end_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (strstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), text) == NULL) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        serve(stub);
    }
}

static void
test_gdb(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *trans = g_strdup_printf("fake:name=1,steer=%s", steer_path);
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *story = NULL;
    guint64 n_bytes;
    Stub stub;
    int steer;

    if (kd_e2e_is_missing("gdb")) {
        return;
    }
    if (has_server != NULL) {
        kd_e2e_stage_start(stage, NULL);
        kd = kd_e2e_stage_start_kd(stage, trans, "--profile", KD_KGDB_PROFILE, "--", "gdb", "-q",
                                   "-nx", "-iex", "set architecture i386", NULL);
    } else {
        kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--profile", KD_KGDB_PROFILE, "--", "gdb",
                              "-q", "-nx", "-iex", "set architecture i386", NULL);
    }
    steer = dial_device(steer_path);
    stub = (Stub){.steer = steer, .at = strlen("story ")};
    kd_e2e_program_say(kd, "set pagination off\nset confirm off\ncontinue &\n");
    serve_until_running(&stub);
    g_assert_cmpuint(kd_e2e_count(steer, "breaks"), ==, 0);
    n_bytes = kd_e2e_count(steer, "in");
    kd_e2e_program_say(kd, "interrupt\n");
    await_count(steer, "in", n_bytes + 1);
    story = kd_e2e_steer(steer, "story");
    g_assert_true(g_str_has_suffix(story, "#63<break>g"));
    say_packet(steer, "T02");
    serve_until_said(&stub, kd, "SIGINT");
    kd_e2e_program_signal(kd, SIGTERM);
    (void)kd_e2e_program_wait(kd);
    close(steer);
}

static void
add(const char *name, void (*fn)(KdE2eStage *, gconstpointer))
{
    g_autofree char *with = g_strconcat("/e2e/break-kgdb/server/", name, NULL);
    g_autofree char *without = g_strconcat("/e2e/break-kgdb/direct/", name, NULL);

    g_test_add(with, KdE2eStage, "", kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down);
    g_test_add(without, KdE2eStage, NULL, kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("breaks-stand-between-the-right-bytes", test_order);
    add("order-is-kept-under-back-pressure", test_pressure);
    add("nothing-reaches-the-line-during-a-break", test_behind_break);
    add("signals-send-break-and-g", test_signals);
    add("urgent-signal-sends-break-and-g-past-a-stuck-line", test_urgent);
    add("bytes-pass-where-the-link-has-no-break", test_no_break);
    add("stdio-ends-by-halves", test_stdio);
    add("pty-is-read-along", test_pty);
    add("debugger-that-hangs-up-gives-the-next-one-its-place", test_hang_up);
    add("flood-of-keys-keeps-nobody-waiting", test_flood);
    add("gdb-breaks-in-over-tcp", test_gdb);
    return g_test_run();
}

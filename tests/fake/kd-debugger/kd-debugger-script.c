/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session with the simulated target, told line by line: the same lines whatever the link is. */
#include "kd-debugger-script.h"

#include "kd-debugger-bytes.h"
#include "kd-sim-facts.h"

#include <string.h>

#define READ_BYTES   (1024u * 1024)
#define STOP_WAIT_MS 30000u
#define BREAKPOINTS  16u

/* The whole of it; %s: how much is read. The line with a `-` is where one debugger leaves and the
 * next one comes. */
static const char *const lines[] = {
    "attach",
    "version",
    "read pattern %s",
    "write scratch 5000",
    "read scratch 5000",
    "context",
    "set-rax",
    "bp tick",
    "continue",
    "wait",
    "context",
    "clear 1",
    "continue",
    "break",
    "context",
    "reboot",
    "wait",
    "version",
    "check-zero scratch 5000",
    "read pattern 4096",
    "-",
    "attach",
    "version",
    "read pattern 8192",
    "bp tick",
    "continue",
    "wait",
    "clear 1",
    "continue",
};

/* What comes of it; %zu and %s: how much was read, and its SHA-256 */
static const char expected_lines[] =
    "attach: processor 0 of 2 stands at fffff80000020100, event 3030, code 80000003 "
    "at fffff80000020100, first chance\n"
    "version: 15.19041, protocol 6, flags 0007, machine 8664, kernel "
    "fffff80000000000, modules fffff80000002000, block fffff80000003000\n"
    "read: %zu bytes at fffff80000100000: %s\n"
    "write: 5000 bytes at fffff80000300000: "
    "eb4295abce467e5df1c59d56c4088645f9e6d6697c29a1e3daddf0d334ce56fb\n"
    "read: 5000 bytes at fffff80000300000: "
    "eb4295abce467e5df1c59d56c4088645f9e6d6697c29a1e3daddf0d334ce56fb\n"
    "context: 1232 bytes, rip fffff80000020100, rsp fffff80000047f80, rax "
    "0000000000000000\n"
    "set-rax: 1232 bytes, rip fffff80000020100, rsp fffff80000047f80, rax "
    "6262626269696969\n"
    "bp: 1 at fffff80000020200\n"
    "continue\n"
    "wait: processor 0 of 2 stands at fffff80000020200, event 3030, code 80000003 at "
    "fffff80000020200, first chance\n"
    "context: 1232 bytes, rip fffff80000020200, rsp fffff80000047f80, rax "
    "6262626269696969\n"
    "clear: 1\n"
    "continue\n"
    "break: processor 0 of 2 stands at fffff80000020100, event 3030, code 80000003 "
    "at fffff80000020100, first chance\n"
    "context: 1232 bytes, rip fffff80000020100, rsp fffff80000047f80, rax "
    "6262626269696969\n"
    "reboot\n"
    "wait: processor 0 of 2 stands at fffff80000020100, event 3030, code 80000003 at "
    "fffff80000020100, first chance\n"
    "version: 15.19041, protocol 6, flags 0007, machine 8664, kernel "
    "fffff80000000000, modules fffff80000002000, block fffff80000003000\n"
    "check-zero: 5000 bytes at fffff80000300000\n"
    "read: 4096 bytes at fffff80000100000: "
    "bdbd2a0b102f2ac43c2fee73be88e2bb26d1419d5db252fbaccf0464958dfbe8\n"
    "attach: processor 0 of 2 stands at fffff80000020100, event 3030, code 80000003 "
    "at fffff80000020100, first chance\n"
    "version: 15.19041, protocol 6, flags 0007, machine 8664, kernel "
    "fffff80000000000, modules fffff80000002000, block fffff80000003000\n"
    "read: 8192 bytes at fffff80000100000: "
    "c26a379f179fbc49b61f7c65dff3b14b4e4cc6fe9d165fc7d4dd973ecb6790b6\n"
    "bp: 1 at fffff80000020200\n"
    "continue\n"
    "wait: processor 0 of 2 stands at fffff80000020200, event 3030, code 80000003 at "
    "fffff80000020200, first chance\n"
    "clear: 1\n"
    "continue\n";

/* The beginning of the pattern */
static const struct {
    size_t len_bytes;
    const char *sha256;
} sums[] = {
    {8192, "c26a379f179fbc49b61f7c65dff3b14b4e4cc6fe9d165fc7d4dd973ecb6790b6"},
    {65536, "a0fbaf66a142b234f0227818abefd795af633f79e7c1402cd0cb8daef21d58c7"},
    {READ_BYTES, "6fb3fd9a1ce2c9361142cb90c32831221640dfd18604a594ee7ee7122a487d38"},
};

/* ---- words ---- */

static const struct {
    const char *name;
    uint64_t address;
} places[] = {
    {"pattern", KD_SIM_PATTERN_ADDRESS}, {"scratch", KD_SIM_SCRATCH_ADDRESS},
    {"tick", KD_SIM_TICK_ADDRESS},       {"break", KD_SIM_BREAK_ADDRESS},
    {"fault", KD_SIM_FAULT_ADDRESS},     {"kernel", KD_SIM_KERNEL_ADDRESS},
};

static gboolean
fail_word(GError **error, const char *word)
{
    g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_ARGUMENT, "'%s' is not understood",
                word != NULL ? word : "");
    return FALSE;
}

/* A place's name, or a number of that base. */
static gboolean
parse_number(const char *word, int base, uint64_t *value, GError **error)
{
    char *end = NULL;

    for (size_t i = 0; word != NULL && i < G_N_ELEMENTS(places); i++) {
        if (strcmp(word, places[i].name) == 0) {
            *value = places[i].address;
            return TRUE;
        }
    }
    *value = word != NULL ? g_ascii_strtoull(word, &end, (guint)base) : 0;
    return (word != NULL && end != word && *end == '\0') || fail_word(error, word);
}

static gboolean
parse_range(char **words, uint64_t *address, uint64_t *len_bytes, GError **error)
{
    if (words[1] == NULL || !parse_number(words[1], 16, address, error) ||
        !parse_number(words[2], 10, len_bytes, error)) {
        return fail_word(error, words[0]);
    }
    return (*len_bytes > 0 && *len_bytes <= KD_SIM_RAM_BYTES) || fail_word(error, words[2]);
}

/* ---- what is told ---- */

static void
tell_stop(GString *transcript, const char *word, const KdDebuggerStop *stop)
{
    g_string_append_printf(
        transcript, "%s: processor %u of %u stands at %016" G_GINT64_MODIFIER "x, event %04x", word,
        stop->processor, stop->n_processors, stop->pc, stop->kind);
    if (stop->kind == KD_DEBUGGER_STOP_EXCEPTION) {
        g_string_append_printf(transcript, ", code %08x at %016" G_GINT64_MODIFIER "x, %s chance",
                               stop->code, stop->address,
                               stop->is_first_chance ? "first" : "second");
    }
    g_string_append_c(transcript, '\n');
}

static void
tell_bytes(GString *transcript, const char *word, uint64_t address, const uint8_t *bytes,
           size_t len_bytes)
{
    g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, len_bytes);

    g_string_append_printf(transcript, "%s: %zu bytes at %016" G_GINT64_MODIFIER "x: %s\n", word,
                           len_bytes, address, sum);
}

static gboolean
fail_bytes(GError **error, uint64_t address, uint8_t byte, uint8_t expected)
{
    g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_BYTES,
                "%016" G_GINT64_MODIFIER "x holds %02x and not %02x", address, byte, expected);
    return FALSE;
}

/* ---- orders ---- */

static gboolean
order_attach(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    KdDebuggerStop stop;

    if (!kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, error)) {
        return FALSE;
    }
    tell_stop(transcript, words[0], &stop);
    return TRUE;
}

static gboolean
order_version(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    KdDebuggerVersion version;

    if (!kd_debugger_get_version(debugger, &version, error)) {
        return FALSE;
    }
    g_string_append_printf(
        transcript,
        "%s: %u.%u, protocol %u, flags %04x, machine %04x, kernel %016" G_GINT64_MODIFIER
        "x, modules %016" G_GINT64_MODIFIER "x, block %016" G_GINT64_MODIFIER "x\n",
        words[0], version.major, version.minor, version.protocol, version.flags, version.machine,
        version.kernel_base, version.module_list, version.debugger_data);
    return TRUE;
}

/* What was written is told by write_byte(), what was there before by the pattern. */
static uint8_t
write_byte(size_t at)
{
    return (uint8_t)((at * 31 + (at >> 8) * 7) ^ 0x30);
}

static gboolean
check_read(uint64_t address, const uint8_t *bytes, size_t len_bytes, GError **error)
{
    gboolean is_scratch = address >= KD_SIM_SCRATCH_ADDRESS;

    for (size_t i = 0; i < len_bytes; i++) {
        uint8_t expected = is_scratch ? write_byte(i) : kd_sim_facts_get_byte(address + i);

        if (bytes[i] != expected) {
            return fail_bytes(error, address + i, bytes[i], expected);
        }
    }
    return TRUE;
}

static gboolean
order_read(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_autofree uint8_t *bytes = NULL;
    uint64_t address;
    uint64_t len;

    if (!parse_range(words, &address, &len, error)) {
        return FALSE;
    }
    bytes = g_malloc0(len);
    if (!kd_debugger_read(debugger, address, bytes, len, error) ||
        (address >= KD_SIM_PATTERN_ADDRESS && !check_read(address, bytes, len, error))) {
        return FALSE;
    }
    tell_bytes(transcript, words[0], address, bytes, len);
    return TRUE;
}

static gboolean
order_check_zero(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_autofree uint8_t *bytes = NULL;
    uint64_t address;
    uint64_t len;

    if (!parse_range(words, &address, &len, error)) {
        return FALSE;
    }
    bytes = g_malloc0(len);
    if (!kd_debugger_read(debugger, address, bytes, len, error)) {
        return FALSE;
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return fail_bytes(error, address + i, bytes[i], 0);
        }
    }
    g_string_append_printf(transcript, "%s: %zu bytes at %016" G_GINT64_MODIFIER "x\n", words[0],
                           (size_t)len, address);
    return TRUE;
}

static gboolean
order_write(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_autofree uint8_t *bytes = NULL;
    uint64_t address;
    uint64_t len;

    if (!parse_range(words, &address, &len, error)) {
        return FALSE;
    }
    bytes = g_malloc0(len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = write_byte(i);
    }
    if (!kd_debugger_write(debugger, address, bytes, len, error)) {
        return FALSE;
    }
    tell_bytes(transcript, words[0], address, bytes, len);
    return TRUE;
}

static gboolean
order_context(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_autoptr(GBytes) context = kd_debugger_get_context(debugger, error);
    gsize len = 0;
    const uint8_t *at = context != NULL ? g_bytes_get_data(context, &len) : NULL;

    if (at == NULL) {
        return FALSE;
    }
    if (len < KD_SIM_CONTEXT_BYTES) {
        g_set_error(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_ANSWER,
                    "a context of %" G_GSIZE_FORMAT " bytes", len);
        return FALSE;
    }
    g_string_append_printf(transcript,
                           "%s: %" G_GSIZE_FORMAT " bytes, rip %016" G_GINT64_MODIFIER
                           "x, rsp %016" G_GINT64_MODIFIER "x, rax %016" G_GINT64_MODIFIER "x\n",
                           words[0], len, kd_debugger_get64(at + KD_SIM_CONTEXT_RIP),
                           kd_debugger_get64(at + KD_SIM_CONTEXT_RSP),
                           kd_debugger_get64(at + KD_SIM_CONTEXT_RAX));
    return TRUE;
}

/* Writes a register and reads it back. */
static gboolean
order_set_rax(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_autoptr(GBytes) context = kd_debugger_get_context(debugger, error);
    g_autoptr(GBytes) changed = NULL;
    g_autofree uint8_t *copy = NULL;
    gsize len;

    if (context == NULL) {
        return FALSE;
    }
    len = g_bytes_get_size(context);
    copy = g_memdup2(g_bytes_get_data(context, NULL), len);
    if (len < KD_SIM_CONTEXT_BYTES) {
        return fail_word(error, words[0]);
    }
    kd_debugger_put64(copy + KD_SIM_CONTEXT_RAX, 0x6262626269696969u);
    changed = g_bytes_new(copy, len);
    return kd_debugger_set_context(debugger, changed, error) &&
           order_context(debugger, words, transcript, error);
}

static gboolean
order_bp(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    uint64_t address;
    uint32_t number = 0;

    if (!parse_number(words[1], 16, &address, error) ||
        !kd_debugger_set_breakpoint(debugger, address, &number, error)) {
        return FALSE;
    }
    g_string_append_printf(transcript, "%s: %u at %016" G_GINT64_MODIFIER "x\n", words[0], number,
                           address);
    return TRUE;
}

static gboolean
order_clear(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    uint64_t number;

    if (!parse_number(words[1], 10, &number, error) || number > BREAKPOINTS ||
        !kd_debugger_clear_breakpoint(debugger, (uint32_t)number, error)) {
        return FALSE;
    }
    g_string_append_printf(transcript, "%s: %u\n", words[0], (guint)number);
    return TRUE;
}

static gboolean
order_continue(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_string_append_printf(transcript, "%s\n", words[0]);
    return kd_debugger_continue(debugger, error);
}

static gboolean
order_wait(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    KdDebuggerStop stop;

    if (!kd_debugger_wait(debugger, STOP_WAIT_MS, &stop, error)) {
        return FALSE;
    }
    tell_stop(transcript, words[0], &stop);
    return TRUE;
}

static gboolean
order_break(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    KdDebuggerStop stop;

    if (!kd_debugger_break_in(debugger, &stop, error)) {
        return FALSE;
    }
    tell_stop(transcript, words[0], &stop);
    return TRUE;
}

static gboolean
order_reboot(KdDebugger *debugger, char **words, GString *transcript, GError **error)
{
    g_string_append_printf(transcript, "%s\n", words[0]);
    return kd_debugger_reboot(debugger, error);
}

static const struct {
    const char *word;
    gboolean (*order)(KdDebugger *debugger, char **words, GString *transcript, GError **error);
} orders[] = {
    {"attach", order_attach},         {"version", order_version}, {"read", order_read},
    {"check-zero", order_check_zero}, {"write", order_write},     {"context", order_context},
    {"set-rax", order_set_rax},       {"bp", order_bp},           {"clear", order_clear},
    {"continue", order_continue},     {"wait", order_wait},       {"break", order_break},
    {"reboot", order_reboot},
};

/**
 * kd_debugger_script_order:
 * @line: an order and its arguments
 * @transcript: what came of it is appended
 *
 * Carries out one order: attach, version, read PLACE BYTES, check-zero PLACE BYTES, write PLACE
 * BYTES, context, set-rax, bp PLACE, clear NUMBER, continue, wait, break or reboot. A place is a
 * name (pattern, scratch, tick, break, fault, kernel) or an address.
 *
 * Returns: whether it went well; else %KD_DEBUGGER_ERROR_ARGUMENT, or what the debugger says
 */
gboolean
kd_debugger_script_order(KdDebugger *debugger, const char *line, GString *transcript,
                         GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);

    for (size_t i = 0; words[0] != NULL && i < G_N_ELEMENTS(orders); i++) {
        if (strcmp(words[0], orders[i].word) == 0) {
            return orders[i].order(debugger, words, transcript, error);
        }
    }
    return fail_word(error, line);
}

/* ---- the script ---- */

static size_t
get_read_bytes(const KdDebuggerScript *script)
{
    return script != NULL && script->read_bytes != 0 ? script->read_bytes : READ_BYTES;
}

static KdDebugger *
open_link(const KdDebuggerScript *script, KdDebuggerOpenFunc open, void *user, GError **error)
{
    KdDebugger *debugger = open(user, error);

    if (debugger != NULL && script != NULL && script->patience_ms != 0) {
        kd_debugger_set_patience_ms(debugger, script->patience_ms);
    }
    return debugger;
}

/**
 * kd_debugger_script_run:
 * @script: (nullable): what is out of the ordinary
 * @open: makes a link, twice
 * @user: for @open
 *
 * Attaches, looks the target over, reads and writes memory and registers, sets a breakpoint and
 * runs into it, breaks in, reboots it, leaves it standing, attaches again and lets it run.
 *
 * Returns: (transfer full): what came of it, or %NULL and an error that tells how far it came
 */
char *
kd_debugger_script_run(const KdDebuggerScript *script, KdDebuggerOpenFunc open, void *user,
                       GError **error)
{
    g_autoptr(KdDebugger) debugger = open_link(script, open, user, error);
    g_autoptr(GString) transcript = g_string_new(NULL);
    g_autofree char *read_bytes = g_strdup_printf("%zu", get_read_bytes(script));

    for (size_t i = 0; debugger != NULL && i < G_N_ELEMENTS(lines); i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], "%s", 2);
        g_autofree char *line = g_strjoinv(read_bytes, parts);

        if (strcmp(line, "-") == 0) {
            g_clear_pointer(&debugger, kd_debugger_free);
            debugger = open_link(script, open, user, error);
        } else if (!kd_debugger_script_order(debugger, line, transcript, error)) {
            g_prefix_error(error, "behind these lines:\n%s%s: ", transcript->str, line);
            return NULL;
        }
    }
    return debugger != NULL ? g_string_free(g_steal_pointer(&transcript), FALSE) : NULL;
}

/**
 * kd_debugger_script_get_expected:
 * @script: (nullable): what is out of the ordinary; it reads 8 KiB, 64 KiB or 1 MiB
 *
 * Returns: (transfer full): what comes of the script over every link
 */
char *
kd_debugger_script_get_expected(const KdDebuggerScript *script)
{
    size_t len = get_read_bytes(script);

    for (size_t i = 0; i < G_N_ELEMENTS(sums); i++) {
        if (sums[i].len_bytes == len) {
            return g_strdup_printf(expected_lines, len, sums[i].sha256);
        }
    }
    g_error("nothing is known of a script that reads %zu bytes", len);
}

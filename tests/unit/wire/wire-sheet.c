/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the tables of PROTOCOL.md with the code that they describe; --write brings them up to
 * date. */
#include "kd-wire-table.h"
#include "kd-wire.h"
#include "wire-vectors.h"

#include <stdio.h>
#include <string.h>

#define HEX_PER_LINE 64

static const uint8_t KNOWN[] = {
#define TYPE_OF(frame, name, least, most) KD_FRAME_##frame,
    KD_WIRE_FRAMES(TYPE_OF)
#undef TYPE_OF
};

static const char *
get_action_word(KdAction action)
{
    static const char *const words[] = {"-", "deliver", "forward", "answer", "skip"};

    return words[action];
}

static gboolean
is_heard_by(KdRole role, uint8_t type)
{
    for (int phase = KD_PHASE_PREAMBLE; phase < KD_PHASE_CLOSED; phase++)
        if (kd_wire_get_action(role, (KdPhase)phase, type) != KD_ACTION_REFUSE)
            return TRUE;
    return FALSE;
}

static const char *
get_senders(uint8_t type)
{
    gboolean is_from_client = is_heard_by(KD_ROLE_SERVER, type);
    gboolean is_from_server = is_heard_by(KD_ROLE_CLIENT, type);

    if (is_from_client && is_from_server)
        return "both";
    return is_from_client ? "client" : is_from_server ? "server" : "nobody yet";
}

static void
append_frame(GString *out, uint8_t type, uint32_t least, uint32_t most)
{
    g_string_append_printf(out, "| %u | %s | %s | %u", type, kd_frame_get_name(type),
                           get_senders(type), least);
    if (most != least)
        g_string_append_printf(out, " to %u", most);
    g_string_append(out, " |\n");
}

static void
append_frames(GString *out)
{
    g_string_append(out, "| type | frame | sent by | payload bytes |\n|---|---|---|---|\n");
#define FRAME_ROW(frame, name, least, most) append_frame(out, KD_FRAME_##frame, least, most);
    KD_WIRE_FRAMES(FRAME_ROW)
#undef FRAME_ROW
#define RESERVED_ROW(frame, name, least, most) \
    g_string_append_printf(out, "| %d | %s | reserved | |\n", KD_FRAME_##frame, name);
    KD_WIRE_RESERVED_FRAMES(RESERVED_ROW)
#undef RESERVED_ROW
}

static void
append_states(GString *out)
{
    g_string_append(out, "| state | deadline |\n|---|---|\n");
    for (int phase = KD_PHASE_PREAMBLE; phase <= KD_PHASE_CLOSED; phase++) {
        guint deadline_ms = kd_phase_get_deadline_ms((KdPhase)phase);

        g_string_append_printf(out, "| %s | ", kd_phase_get_name((KdPhase)phase));
        if (deadline_ms == 0)
            g_string_append(out, "none |\n");
        else
            g_string_append_printf(out, "%u ms |\n", deadline_ms);
    }
}

static void
append_cells(GString *out, KdRole role)
{
    g_string_append(out, "| frame |");
    for (int phase = KD_PHASE_HELLO; phase <= KD_PHASE_CLOSED; phase++)
        g_string_append_printf(out, " %s |", kd_phase_get_name((KdPhase)phase));
    g_string_append(out, "\n|---|---|---|---|---|---|---|\n");
    for (guint i = 0; i < G_N_ELEMENTS(KNOWN); i++) {
        g_string_append_printf(out, "| %s |", kd_frame_get_name(KNOWN[i]));
        for (int phase = KD_PHASE_HELLO; phase <= KD_PHASE_CLOSED; phase++)
            g_string_append_printf(
                out, " %s |", get_action_word(kd_wire_get_action(role, (KdPhase)phase, KNOWN[i])));
        g_string_append_c(out, '\n');
    }
}

static void
append_vector(GString *out, const char *what, const char *hex)
{
    g_string_append_printf(out, "%s%s\n", out->len > 0 ? "\n" : "", what);
    for (size_t i = 0; i < strlen(hex); i += HEX_PER_LINE)
        g_string_append_printf(out, "    %.*s\n", HEX_PER_LINE, hex + i);
}

static char *
build_section(const char *name)
{
    GString *out = g_string_new(NULL);

    if (g_str_equal(name, "frames"))
        append_frames(out);
    else if (g_str_equal(name, "states"))
        append_states(out);
    else if (g_str_equal(name, "server"))
        append_cells(out, KD_ROLE_SERVER);
    else if (g_str_equal(name, "client"))
        append_cells(out, KD_ROLE_CLIENT);
    else {
#define VECTOR_OF(vector, what, hex) append_vector(out, what, hex);
        KD_WIRE_VECTORS(VECTOR_OF)
#undef VECTOR_OF
        g_string_prepend(out, "```\n");
        g_string_append(out, "```\n");
    }
    return g_string_free(out, FALSE);
}

/* Puts what the code says between the marks; returns whether it stood there already. */
static gboolean
update_section(GString *text, const char *name)
{
    g_autofree char *begin = g_strdup_printf("<!-- begin %s: made by wire-sheet -->\n", name);
    g_autofree char *end = g_strdup_printf("<!-- end %s -->\n", name);
    g_autofree char *section = build_section(name);
    const char *from = strstr(text->str, begin);
    const char *to = from != NULL ? strstr(from, end) : NULL;
    size_t at = 0;
    size_t len = 0;

    if (to == NULL) {
        fprintf(stderr, "no section `%s`\n", name);
        return FALSE;
    }
    from += strlen(begin);
    at = (size_t)(from - text->str);
    len = (size_t)(to - from);
    if (len == strlen(section) && memcmp(from, section, len) == 0)
        return TRUE;
    fprintf(stderr, "section `%s` differs from the code, which says:\n%s", name, section);
    g_string_erase(text, (gssize)at, (gssize)len);
    g_string_insert(text, (gssize)at, section);
    return FALSE;
}

int
main(int argc, char **argv)
{
    static const char *const sections[] = {"frames", "states", "server", "client", "vectors"};
    gboolean is_writing = argc == 3 && g_str_equal(argv[1], "--write");
    gboolean is_same = TRUE;
    g_autoptr(GError) error = NULL;
    g_autofree char *contents = NULL;
    g_autoptr(GString) text = NULL;

    if (argc != 2 && !is_writing) {
        fprintf(stderr, "usage: wire-sheet [--write] PROTOCOL.md\n");
        return 2;
    }
    if (!g_file_get_contents(argv[argc - 1], &contents, NULL, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    text = g_string_new(contents);
    for (guint i = 0; i < G_N_ELEMENTS(sections); i++)
        is_same &= update_section(text, sections[i]);
    if (is_same || !is_writing)
        return is_same ? 0 : 1;
    if (!g_file_set_contents(argv[argc - 1], text->str, (gssize)text->len, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    return 0;
}

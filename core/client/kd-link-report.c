/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What --list links prints, as text and as JSON. */
#include "kd-link-report.h"

#include <json-glib/json-glib.h>

#define GAP 2 /* blanks between two columns */

typedef enum {
    COLUMN_TRANS = 0,
    COLUMN_STATE = 1,
    COLUMN_NAME = 2,
    COLUMN_HOLDER = 3,
    N_COLUMNS = 4,
} Column;

static const char *const HEADS[N_COLUMNS] = {"TRANS", "STATE", "NAME", "IN USE BY"};

static const char *
get_state(KdLinkUse use)
{
    switch (use) {
    case KD_LINK_USE_FREE:
        return "free";
    case KD_LINK_USE_BUSY:
        return "busy";
    case KD_LINK_USE_UNKNOWN:
    default:
        return "unknown";
    }
}

/* ---- text ---- */

static const char *
get_cell(const KdListedLink *link, Column column)
{
    const char *cells[N_COLUMNS] = {link->trans, get_state(link->use), link->name, link->holder};

    return cells[column] != NULL ? cells[column] : "";
}

/* What is printable to the protocol may still turn a line round, or break it. */
static gunichar
get_shown(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);

    return type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR ||
                   type == G_UNICODE_PARAGRAPH_SEPARATOR
               ? '?'
               : c;
}

/* Columns of a terminal */
static guint
get_width(const char *text)
{
    guint width = 0;

    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = get_shown(g_utf8_get_char(at));

        width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

static void
append_cell(GString *table, const char *text, guint width)
{
    guint own = get_width(text);

    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        g_string_append_unichar(table, get_shown(g_utf8_get_char(at)));
    }
    g_string_append_printf(table, "%*s", (int)(width - MIN(own, width)) + GAP, "");
}

/* A line ends where its last word does. */
static void
end_line(GString *table)
{
    while (table->len > 0 && table->str[table->len - 1] == ' ') {
        g_string_truncate(table, table->len - 1);
    }
    g_string_append_c(table, '\n');
}

/**
 * kd_link_report_build_table:
 * @listed: what could be opened
 *
 * Returns: (transfer full): a line of heads, and one line for each link
 */
char *
kd_link_report_build_table(const KdListed *listed)
{
    g_autoptr(GString) table = g_string_new(NULL);
    guint widths[N_COLUMNS];

    for (guint column = 0; column < N_COLUMNS; column++) {
        widths[column] = get_width(HEADS[column]);
        for (guint i = 0; i < listed->links->len; i++) {
            const KdListedLink *link = g_ptr_array_index(listed->links, i);

            widths[column] = MAX(widths[column], get_width(get_cell(link, column)));
        }
    }
    for (guint column = 0; column < N_COLUMNS; column++) {
        append_cell(table, HEADS[column], widths[column]);
    }
    end_line(table);
    for (guint i = 0; i < listed->links->len; i++) {
        const KdListedLink *link = g_ptr_array_index(listed->links, i);

        for (guint column = 0; column < N_COLUMNS; column++) {
            append_cell(table, get_cell(link, column), widths[column]);
        }
        end_line(table);
    }
    return g_string_free(g_steal_pointer(&table), FALSE);
}

/* ---- JSON ---- */

static void
add_text(JsonBuilder *json, const char *name, const char *text)
{
    json_builder_set_member_name(json, name);
    if (text != NULL) {
        json_builder_add_string_value(json, text);
    } else {
        json_builder_add_null_value(json);
    }
}

static void
add_link(JsonBuilder *json, const KdListedLink *link)
{
    json_builder_begin_object(json);
    add_text(json, "trans", link->trans);
    add_text(json, "name", link->name);
    add_text(json, "device", link->device);
    json_builder_set_member_name(json, "aliases");
    json_builder_begin_array(json);
    for (guint i = 0; link->aliases != NULL && link->aliases[i] != NULL; i++) {
        json_builder_add_string_value(json, link->aliases[i]);
    }
    json_builder_end_array(json);
    add_text(json, "state", get_state(link->use));
    add_text(json, "holder", link->holder);
    json_builder_end_object(json);
}

/**
 * kd_link_report_build_json:
 * @listed: what could be opened
 *
 * Returns: (transfer full): an object with `links` and `complete`; what is not known is null, and a
 *    state is `free`, `busy` or `unknown`
 */
char *
kd_link_report_build_json(const KdListed *listed)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(json);
    json_builder_set_member_name(json, "links");
    json_builder_begin_array(json);
    for (guint i = 0; i < listed->links->len; i++) {
        add_link(json, g_ptr_array_index(listed->links, i));
    }
    json_builder_end_array(json);
    json_builder_set_member_name(json, "complete");
    json_builder_add_boolean_value(json, !listed->has_more);
    json_builder_end_object(json);
    root = json_builder_get_root(json);
    text = json_to_string(root, TRUE);
    return g_strconcat(text, "\n", NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server's first line says of its entrances. */
#include "kd-ready-line.h"

static char *
build_open_names(const GPtrArray *entrances, guint *n_open)
{
    g_autoptr(GString) names = g_string_new(NULL);

    *n_open = 0;
    for (guint i = 0; i < entrances->len; i++) {
        const KdEntrance *entrance = g_ptr_array_index(entrances, i);
        g_autofree char *name = NULL;

        if (!kd_entrance_is_guarded(entrance)) {
            name = kd_entrance_build_name(entrance);
            g_string_append_printf(names, "%s%s", *n_open > 0 ? " " : "", name);
            (*n_open)++;
        }
    }
    return g_strdup(names->str);
}

/**
 * kd_ready_line_build:
 * @entrances: (element-type KdEntrance): open
 *
 * Returns: (transfer full): each as listed, separated by spaces, `dials` in front of those that
 * dial; behind them, in brackets, which of them let everybody in
 */
char *
kd_ready_line_build(const GPtrArray *entrances)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *open_names = NULL;
    guint n_open;

    for (guint i = 0; i < entrances->len; i++) {
        const KdEntrance *entrance = g_ptr_array_index(entrances, i);
        g_autofree char *name = kd_entrance_build_name(entrance);

        g_string_append_printf(line, "%s%s%s", i > 0 ? " " : "",
                               entrance->is_clicon ? "dials " : "", name);
    }
    open_names = build_open_names(entrances, &n_open);
    if (n_open > 0 && n_open == entrances->len) {
        g_string_append(line, " (no password: whoever reaches it controls the targets)");
    } else if (n_open > 0) {
        g_string_append_printf(
            line, " (no password at %s: whoever reaches it controls the targets)", open_names);
    }
    return g_strdup(line->str);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of an open terminal, for people. */
#include "serial-status.h"

#include "serial-adapter.h"

#include <sys/ioctl.h>

static char *
build_words(uint32_t lines)
{
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = {
        {TIOCM_DTR, "DTR"}, {TIOCM_RTS, "RTS"}, {TIOCM_CTS, "CTS"},
        {TIOCM_DSR, "DSR"}, {TIOCM_CAR, "CD"},  {TIOCM_RI, "RI"},
    };
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if ((lines & words[i].bit) != 0) {
            g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", words[i].word);
        }
    }
    return g_string_free(text, FALSE);
}

static void
insert_counts(GVariantDict *dict, const SerialCounts *counts)
{
    g_variant_dict_insert(dict, "rx", "u", counts->rx);
    g_variant_dict_insert(dict, "tx", "u", counts->tx);
    g_variant_dict_insert(dict, "frame", "u", counts->frame);
    g_variant_dict_insert(dict, "overrun", "u", counts->overrun);
    g_variant_dict_insert(dict, "parity", "u", counts->parity);
    g_variant_dict_insert(dict, "brk", "u", counts->brk);
    g_variant_dict_insert(dict, "buf_overrun", "u", counts->buf_overrun);
}

/**
 * serial_status_build:
 *
 * Returns: (transfer floating): a{sv}: `device` s, `baud` u, `unsent` u (bytes that the driver has
 *    not sent), and where there is such a thing `adapter` s, `lines` s (the modem lines that are
 *    raised, `DTR RTS CD`), and the driver's counters: `rx`, `tx`, `frame`, `overrun`, `parity`,
 *    `brk`, `buf_overrun`, all u
 */
GVariant *
serial_status_build(const SerialLine *line)
{
    GVariantDict dict;
    SerialCounts counts;
    uint32_t lines = 0;
    g_autoptr(SerialAdapter) adapter = serial_adapter_find(serial_line_get_device(line));
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "device", "s", serial_line_get_name(line));
    g_variant_dict_insert(&dict, "baud", "u", serial_line_get_baud(line));
    g_variant_dict_insert(&dict, "unsent", "u", serial_line_count_unsent(line));
    if (adapter != NULL) {
        g_variant_dict_insert(&dict, "adapter", "s", serial_adapter_get_name(adapter));
    }
    if (serial_line_get_modem(line, &lines, NULL)) {
        g_autofree char *words = build_words(lines);
        g_variant_dict_insert(&dict, "lines", "s", words);
    }
    if (serial_line_read_counts(line, &counts)) {
        insert_counts(&dict, &counts);
    }
    return g_variant_dict_end(&dict);
}

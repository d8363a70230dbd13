/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `kd --tell` may ask of a running kd, and the answers, as text. */
#include "kd-tell-request.h"

#include "kd-text.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>
#include <sys/ioctl.h>

#define WORDS "break, break urgent, baud N, lines, lines dtr=0,rts=1, status or purge"

/* What one side of a serial line shows to the other; two of them are ours. */
static const struct {
    const char *word;
    uint32_t bit;
    gboolean is_ours;
} LINES[] = {
    {"dtr", TIOCM_DTR, TRUE},  {"rts", TIOCM_RTS, TRUE},  {"cts", TIOCM_CTS, FALSE},
    {"dsr", TIOCM_DSR, FALSE}, {"dcd", TIOCM_CAR, FALSE}, {"ri", TIOCM_RI, FALSE},
};

static gboolean
set_error(GError **error, const char *text, const char *why)
{
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "--tell %s: %s", text, why);
    return FALSE;
}

static gboolean
parse_baud(KdTellRequest *request, const char *text, const char *word, GError **error)
{
    guint64 baud = 0;

    request->kind = KD_TELL_BAUD;
    if (word == NULL || !g_ascii_string_to_unsigned(word, 10, 1, G_MAXUINT32, &baud, NULL)) {
        return set_error(error, text, "expected baud and a number, as baud 57600");
    }
    request->baud = (uint32_t)baud;
    return TRUE;
}

static gboolean
parse_line(KdTellRequest *request, const char *text, const char *item, GError **error)
{
    const char *equals = strchr(item, '=');

    for (gsize i = 0; equals != NULL && i < G_N_ELEMENTS(LINES); i++) {
        if (strlen(LINES[i].word) != (gsize)(equals - item) ||
            g_ascii_strncasecmp(item, LINES[i].word, (gsize)(equals - item)) != 0) {
            continue;
        }
        if (!LINES[i].is_ours) {
            return set_error(error, text, "only dtr and rts can be set: the rest is the target's");
        }
        if (strcmp(equals, "=0") != 0 && strcmp(equals, "=1") != 0) {
            return set_error(error, text, "a modem line is 0 or 1, as dtr=1");
        }
        request->mask |= LINES[i].bit;
        request->values &= ~LINES[i].bit;
        request->values |= equals[1] == '1' ? LINES[i].bit : 0;
        return TRUE;
    }
    return set_error(error, text, "expected modem lines as dtr=0,rts=1");
}

static gboolean
parse_lines(KdTellRequest *request, const char *text, const char *word, GError **error)
{
    g_auto(GStrv) items = g_strsplit(word != NULL ? word : "", ",", 0);

    request->kind = KD_TELL_LINES;
    for (char **item = items; *item != NULL; item++) {
        if (!parse_line(request, text, *item, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
parse_break(KdTellRequest *request, const char *text, const char *word, GError **error)
{
    request->kind = KD_TELL_BREAK;
    request->is_urgent = word != NULL;
    if (word != NULL && strcmp(word, "urgent") != 0) {
        return set_error(error, text, "expected break or break urgent");
    }
    return TRUE;
}

/* (transfer full): the words of a text, at most three: a third one is too much already */
static GPtrArray *
split_words(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, " ", 0);
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    for (char **part = parts; *part != NULL && words->len < 3; part++) {
        if (**part != '\0') {
            g_ptr_array_add(words, g_strdup(*part));
        }
    }
    return words;
}

/**
 * kd_tell_request_parse:
 * @request: (out caller-allocates): what is asked for
 * @text: as typed
 * @error: return location
 *
 * Returns: %FALSE with %KD_ERROR_PARAM_INVALID for anything that is no request
 */
gboolean
kd_tell_request_parse(KdTellRequest *request, const char *text, GError **error)
{
    static const struct {
        const char *word;
        KdTellKind kind;
    } plain[] = {{"status", KD_TELL_STATUS}, {"purge", KD_TELL_PURGE}, {"link", KD_TELL_LINK}};
    g_autoptr(GPtrArray) words = NULL;
    const char *first;
    const char *second;

    *request = (KdTellRequest){.kind = KD_TELL_STATUS};
    if (strlen(text) > KD_TELL_MAX_REQUEST_BYTES ||
        !kd_text_is_printable((const uint8_t *)text, strlen(text))) {
        return set_error(error, "REQUEST", "expected " WORDS);
    }
    words = split_words(text);
    if (words->len == 0 || words->len > 2) {
        return set_error(error, text, "expected " WORDS);
    }
    first = words->pdata[0];
    second = words->len > 1 ? words->pdata[1] : NULL;
    for (gsize i = 0; second == NULL && i < G_N_ELEMENTS(plain); i++) {
        if (strcmp(first, plain[i].word) == 0) {
            request->kind = plain[i].kind;
            return TRUE;
        }
    }
    if (strcmp(first, "break") == 0) {
        return parse_break(request, text, second, error);
    }
    if (strcmp(first, "baud") == 0) {
        return parse_baud(request, text, second, error);
    }
    if (strcmp(first, "lines") == 0) {
        return parse_lines(request, text, second, error);
    }
    return set_error(error, text, "expected " WORDS);
}

/**
 * kd_tell_build_lines:
 * @lines: TIOCM_* bits
 *
 * Returns: (transfer full): `dtr=1 rts=1 cts=0 dsr=0 dcd=0 ri=0`
 */
char *
kd_tell_build_lines(uint32_t lines)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(LINES); i++) {
        g_string_append_printf(text, "%s%s=%d", i > 0 ? " " : "", LINES[i].word,
                               (lines & LINES[i].bit) != 0 ? 1 : 0);
    }
    return g_string_free(text, FALSE);
}

static void
append_value(GString *out, GVariant *value)
{
    g_autofree char *text = g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                                ? g_variant_dup_string(value, NULL)
                                : g_variant_print(value, FALSE);
    g_autofree char *clean =
        kd_text_dup_printable((const uint8_t *)text, strlen(text), KD_MAX_STATUS_BYTES);

    g_string_append(out, clean);
}

/**
 * kd_tell_build_status:
 * @text: of STATUS: a{sv} as text, maybe cut off
 *
 * Returns: (transfer full): a line for each entry; the text as it is where it can't be read
 */
char *
kd_tell_build_status(const char *text)
{
    g_autoptr(GVariant) status = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
    GString *out = g_string_new(NULL);
    GVariantIter iter;
    const char *key = NULL;
    GVariant *value = NULL;

    if (status == NULL) {
        g_string_append_printf(out, "status: %s\n", text);
        return g_string_free(out, FALSE);
    }
    g_variant_iter_init(&iter, status);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value)) {
        g_autofree char *clean =
            kd_text_dup_printable((const uint8_t *)key, strlen(key), KD_MAX_NAME_BYTES);

        g_string_append_printf(out, "%s: ", clean);
        append_value(out, value);
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

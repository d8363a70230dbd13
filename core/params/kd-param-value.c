/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One value of each type: what it may look like, and what is said when it does not. */
#include "kd-param-value.h"

#include "kd-param-error.h"

#include <string.h>

#define DEFAULT_MAX_LEN  255u
#define MAX_COM_DIGITS   4u
#define MAX_PORT         65535u
#define DIGITS           "0123456789"
#define WINDOWS_PIPE     "\\\\.\\pipe\\"
#define SAFE_NAME_LETTER "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+"

/**
 * kd_param_value_get_min:
 * @spec: UINT or PORTS
 *
 * Returns: the least value.
 */
uint64_t
kd_param_value_get_min(const KdParamSpec *spec)
{
    return spec->type == KD_PARAM_PORTS ? MAX(spec->min, 1) : spec->min;
}

/**
 * kd_param_value_get_max:
 * @spec: UINT or PORTS
 *
 * Returns: the largest value.
 */
uint64_t
kd_param_value_get_max(const KdParamSpec *spec)
{
    uint64_t most = spec->type == KD_PARAM_PORTS ? MAX_PORT : UINT64_MAX;
    return spec->max == 0 ? most : MIN(spec->max, most);
}

/**
 * kd_param_value_get_max_len:
 *
 * Returns: the most bytes that a text value may have.
 */
gsize
kd_param_value_get_max_len(const KdParamSpec *spec)
{
    return spec->max_len == 0 ? DEFAULT_MAX_LEN : spec->max_len;
}

/**
 * kd_param_value_is_password:
 *
 * A secret text for which the table sets a length is a password as documented (F23): letters and
 * digits only. A secret of another form (net's `key=w.x.y.z`) leaves max_len 0.
 *
 * Returns: whether that rule applies.
 */
gboolean
kd_param_value_is_password(const KdParamSpec *spec)
{
    return spec->type == KD_PARAM_STRING && (spec->flags & KD_PARAM_SECRET) != 0 &&
           spec->max_len != 0;
}

/**
 * kd_param_value_build_range:
 *
 * Returns: (transfer full) (nullable): what a value may be, as `a number from 0 to 254`
 */
char *
kd_param_value_build_range(const KdParamSpec *spec)
{
    uint64_t min = kd_param_value_get_min(spec), max = kd_param_value_get_max(spec);
    switch (spec->type) {
    case KD_PARAM_UINT:
        if (min == max) {
            return g_strdup_printf("%" G_GUINT64_FORMAT, min);
        }
        if (max == UINT64_MAX) {
            return min == 0 ? g_strdup("a number")
                            : g_strdup_printf("a number from %" G_GUINT64_FORMAT, min);
        }
        return g_strdup_printf("a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, min,
                               max);
    case KD_PARAM_PORTS:
        return g_strdup_printf((spec->flags & KD_PARAM_EXACT) != 0
                                   ? "a port from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
                                   : "a port from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
                                     ", or LOW:HIGH",
                               min, max);
    case KD_PARAM_CHOICE: {
        g_autofree char *words =
            spec->choices != NULL ? g_strjoinv(", ", (char **)spec->choices) : g_strdup("nothing");
        return g_strdup_printf("one of %s", words);
    }
    default:
        return NULL;
    }
}

/* Decimal digits only: no sign, no spaces, no base */
static gboolean
parse_number(const char *text, gsize len, uint64_t *number)
{
    uint64_t sum = 0;
    if (len == 0) {
        return FALSE;
    }
    for (gsize i = 0; i < len; i++) {
        if (!g_ascii_isdigit(text[i]) || !g_uint64_checked_mul(&sum, sum, 10) ||
            !g_uint64_checked_add(&sum, sum, (uint64_t)(text[i] - '0'))) {
            return FALSE;
        }
    }
    *number = sum;
    return TRUE;
}

static gboolean
parse_number_between(const KdParamSpec *spec, const char *text, gsize len, uint64_t *number)
{
    return parse_number(text, len, number) && *number >= kd_param_value_get_min(spec) &&
           *number <= kd_param_value_get_max(spec);
}

static GVariant *
parse_uint(const KdParamSpec *spec, const char *text, char **reason)
{
    uint64_t number;
    if (parse_number_between(spec, text, strlen(text), &number)) {
        return g_variant_new_uint64(number);
    }
    g_autofree char *range = kd_param_value_build_range(spec);
    *reason = g_strdup_printf("must be %s", range);
    return NULL;
}

static GVariant *
parse_ports(const KdParamSpec *spec, const char *text, char **reason)
{
    const char *colon = strchr(text, ':');
    uint64_t low, high;
    g_autofree char *range = kd_param_value_build_range(spec);
    if (colon != NULL && (spec->flags & KD_PARAM_EXACT) != 0) {
        *reason = g_strdup_printf("a range can't be dialled: must be %s", range);
        return NULL;
    }
    if (!parse_number_between(spec, text, strcspn(text, ":"), &low)) {
        *reason = g_strdup_printf("must be %s", range);
        return NULL;
    }
    high = low;
    if (colon != NULL && !parse_number_between(spec, colon + 1, strlen(colon + 1), &high)) {
        *reason = g_strdup_printf("must be %s", range);
        return NULL;
    }
    if (high < low) {
        *reason = g_strdup("the range ends below its start");
        return NULL;
    }
    return g_variant_new("(qq)", (guint16)low, (guint16)high);
}

static GVariant *
parse_choice(const KdParamSpec *spec, const char *text, char **reason)
{
    for (guint i = 0; spec->choices != NULL && spec->choices[i] != NULL; i++) {
        if (g_ascii_strcasecmp(spec->choices[i], text) == 0) {
            return g_variant_new_string(spec->choices[i]);
        }
    }
    g_autofree char *range = kd_param_value_build_range(spec);
    *reason = g_strdup_printf("must be %s", range);
    return NULL;
}

static GVariant *
parse_host(const char *text, char **reason)
{
    const char *name = text + strspn(text, "\\/");
    if (*name == '\0') {
        *reason = g_strdup("must be a host name or an address");
        return NULL;
    }
    for (const char *at = name; *at != '\0'; at = g_utf8_next_char(at)) {
        if (g_unichar_isspace(g_utf8_get_char(at))) {
            *reason = g_strdup("a host name has no spaces");
            return NULL;
        }
    }
    /* Behind the slashes they are no quotes, and a listing with them could not be read again. */
    if (strpbrk(name, "{}") != NULL) {
        *reason = g_strdup("a host name has no braces");
        return NULL;
    }
    return g_variant_new_string(name);
}

static GVariant *
parse_path(const char *text, char **reason)
{
    /* what the documented pipe means on this machine is the link's business */
    gboolean is_pipe = g_ascii_strncasecmp(text, WINDOWS_PIPE, strlen(WINDOWS_PIPE)) == 0 &&
                       text[strlen(WINDOWS_PIPE)] != '\0';
    if (text[0] == '/' || is_pipe) {
        return g_variant_new_string(text);
    }
    *reason = g_strdup("must be an absolute path");
    return NULL;
}

/* comN counts from 1, ttyS from 0 */
static GVariant *
parse_com_number(const char *digits)
{
    uint64_t number;
    gsize len = strlen(digits);
    if (len > MAX_COM_DIGITS || !parse_number(digits, len, &number) || number == 0) {
        return NULL;
    }
    g_autofree char *path = g_strdup_printf("/dev/ttyS%" G_GUINT64_FORMAT, number - 1);
    return g_variant_new_string(path);
}

static GVariant *
parse_device(const KdParamSpec *spec, KdForm form, const char *text, char **reason)
{
    gsize len = strlen(text);
    GVariant *value = NULL;
    if (strspn(text, DIGITS) == len) {
        if (form == KD_FORM_TARGET) {
            g_autofree char *shown = kd_param_build_shown(text);
            *reason = g_strdup_printf("write %s=com%s", spec->key, shown);
            return NULL;
        }
        value = parse_com_number(text);
    } else if (text[0] == '/') {
        return g_variant_new_string(text);
    } else if (g_ascii_strncasecmp(text, "com", 3) == 0 && strspn(text + 3, DIGITS) == len - 3) {
        value = parse_com_number(text + 3);
    } else if (g_ascii_isalpha(text[0]) && strspn(text, SAFE_NAME_LETTER) == len) {
        g_autofree char *path = g_strconcat("/dev/", text, NULL);
        return g_variant_new_string(path);
    }
    if (value == NULL) {
        *reason = g_strdup("must be com1 and so on, a path, or a name like ttyUSB0");
    }
    return value;
}

static GVariant *
parse_string(const KdParamSpec *spec, const char *text, char **reason)
{
    if (kd_param_value_is_password(spec)) {
        for (const char *at = text; *at != '\0'; at++) {
            if (!g_ascii_isalnum(*at)) {
                *reason = g_strdup("must be letters and digits only");
                return NULL;
            }
        }
    }
    return g_variant_new_string(text);
}

/* For what is no flag; @text is not empty */
static GVariant *
parse_by_type(const KdParamSpec *spec, KdForm form, const char *text, char **reason)
{
    gboolean is_number = spec->type == KD_PARAM_UINT || spec->type == KD_PARAM_PORTS;
    if (!is_number && strlen(text) > kd_param_value_get_max_len(spec)) {
        *reason =
            g_strdup_printf("at most %" G_GSIZE_FORMAT "%s", kd_param_value_get_max_len(spec),
                            kd_param_value_is_password(spec) ? " letters and digits" : " bytes");
        return NULL;
    }
    switch (spec->type) {
    case KD_PARAM_UINT:
        return parse_uint(spec, text, reason);
    case KD_PARAM_PORTS:
        return parse_ports(spec, text, reason);
    case KD_PARAM_CHOICE:
        return parse_choice(spec, text, reason);
    case KD_PARAM_HOST:
        return parse_host(text, reason);
    case KD_PARAM_PATH:
        return parse_path(text, reason);
    case KD_PARAM_DEVICE:
        return parse_device(spec, form, text, reason);
    case KD_PARAM_STRING:
        return parse_string(spec, text, reason);
    default:
        *reason = g_strdup("its type in the table is unknown");
        return NULL;
    }
}

/* What of a refused value may be repeated: never a secret, and nothing that could hold one */
static char *
build_shown_value(const KdParamSpec *spec, const char *text)
{
    if ((spec->flags & KD_PARAM_SECRET) != 0) {
        return g_strdup("*");
    }
    switch (spec->type) {
    case KD_PARAM_UINT:
    case KD_PARAM_PORTS:
    case KD_PARAM_CHOICE:
    case KD_PARAM_DEVICE:
        return kd_param_build_shown(text);
    default:
        return g_strdup("");
    }
}

/* A flag that the text leaves out can still be set from elsewhere, by a word */
static GVariant *
parse_flag(const char *text, const char *origin, char **reason)
{
    static const char *const words[] = {"1", "yes", "true", "on", NULL};
    static const char *const other_words[] = {"0", "no", "false", "off", NULL};
    if (text == NULL) {
        return g_variant_new_boolean(TRUE);
    }
    if (origin == NULL) {
        *reason = NULL;
        return NULL;
    }
    g_autofree char *lower = g_ascii_strdown(text, -1);
    if (g_strv_contains(words, lower)) {
        return g_variant_new_boolean(TRUE);
    }
    if (g_strv_contains(other_words, lower)) {
        return g_variant_new_boolean(FALSE);
    }
    *reason = g_strdup("must be yes or no");
    return NULL;
}

/**
 * kd_param_value_parse:
 * @scheme: for the message
 * @text: (nullable): %NULL for a bare word
 * @origin: (nullable): where the text is from if not from the user: the variable's name
 *
 * Turns one value into the type that its key has. The form decides only one thing: a device given
 * by its bare number is fine for a transport (F17), but refused with the fix for a target (F67).
 *
 * Returns: (transfer full): sunk; or %NULL with %KD_ERROR_PARAM_INVALID
 */
GVariant *
kd_param_value_parse(const char *scheme, const KdParamSpec *spec, KdForm form, const char *text,
                     const char *origin, GError **error)
{
    g_autofree char *reason = NULL;
    GVariant *value;
    if (spec->type == KD_PARAM_FLAG) {
        value = parse_flag(text, origin, &reason);
        if (value == NULL && reason == NULL) {
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: %s takes no value", scheme,
                               spec->key);
            return NULL;
        }
    } else if (text == NULL || *text == '\0') {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: %s= needs a value", scheme,
                           spec->key);
        return NULL;
    } else {
        value = parse_by_type(spec, form, text, &reason);
    }
    if (value != NULL) {
        return g_variant_ref_sink(value);
    }

    g_autofree char *shown = build_shown_value(spec, text);
    kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: %s=%s%s%s%s: %s", scheme, spec->key,
                       shown, origin != NULL ? " (from " : "", origin != NULL ? origin : "",
                       origin != NULL ? ")" : "", reason);
    return NULL;
}

/**
 * kd_param_value_build_text:
 * @value: of the type that @spec has
 *
 * Returns: (transfer full): the value as a user could have typed it; `*` for a secret
 */
char *
kd_param_value_build_text(const KdParamSpec *spec, GVariant *value)
{
    if ((spec->flags & KD_PARAM_SECRET) != 0) {
        return g_strdup("*");
    }
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64)) {
        return g_strdup_printf("%" G_GUINT64_FORMAT, g_variant_get_uint64(value));
    }
    if (g_variant_is_of_type(value, G_VARIANT_TYPE("(qq)"))) {
        guint16 low, high;
        g_variant_get(value, "(qq)", &low, &high);
        return low == high ? g_strdup_printf("%u", low) : g_strdup_printf("%u:%u", low, high);
    }
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)) {
        return g_variant_dup_string(value, NULL);
    }
    return g_strdup("");
}

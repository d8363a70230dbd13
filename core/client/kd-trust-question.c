/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user is told of a server's certificate that nobody vouches for. */
#include "kd-trust-question.h"

#include "kd-text.h"

#include <string.h>

#define GROUP_DIGITS 4u
#define LINE_DIGITS  32u
#define MARGIN       "               "
#define MOST_BYTES   256u
/* With what stands around it less than a line of a screen, so that it can't write the next one */
#define MOST_NAME_BYTES 60u

/* In groups, as people compare them */
static char *
build_groups(const char *sha256)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; sha256[i] != '\0'; i++) {
        if (i > 0 && i % LINE_DIGITS == 0) {
            g_string_append(text, "\n" MARGIN);
        } else if (i > 0 && i % GROUP_DIGITS == 0) {
            g_string_append_c(text, ' ');
        }
        g_string_append_c(text, g_ascii_toupper(sha256[i]));
    }
    return g_string_free(text, FALSE);
}

/* Nothing in it can steer a terminal. */
static char *
build_clean(const char *text, size_t max_bytes)
{
    return kd_text_dup_printable((const uint8_t *)text, strlen(text), max_bytes);
}

/**
 * kd_trust_question_build:
 * @place: of the server: `ssl:labhost:1027`
 * @peer: with a certificate
 *
 * Returns: (transfer full): several lines, and the question
 */
char *
kd_trust_question_build(const char *place, const KdTlsPeer *peer)
{
    g_autofree char *server = build_clean(place, MOST_BYTES);
    g_autofree char *name = build_clean(peer->name != NULL ? peer->name : "", MOST_NAME_BYTES);
    g_autofree char *groups = build_groups(peer->sha256);

    return g_strdup_printf("kd: nobody vouches for this server, and it is not known here\n"
                           "  server       %s\n"
                           "  certificate  `%s`\n"
                           "  SHA-256      %s\n"
                           "Is it the right one? After yes it is trusted from now on [yes/no]: ",
                           server, name, groups);
}

/**
 * kd_trust_question_is_yes:
 * @answer: as typed
 *
 * Returns: whether it is the whole word; a key hit by mistake is none
 */
gboolean
kd_trust_question_is_yes(const char *answer)
{
    g_autofree char *word = g_strstrip(g_strdup(answer));

    return g_ascii_strcasecmp(word, "yes") == 0;
}

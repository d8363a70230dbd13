/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What GDB says between its packets, cut at every place. */
#include "kd-rsp-scanner.h"

#include <string.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

typedef struct {
    const uint8_t *bytes;
    size_t len;
    const char *expected; /* with ~ for BREAK and . for every byte that is not printable */
} Case;

static const Case CASES[] = {
    {BYTES("+$g#67+"), "+$g#67+"},
    {BYTES("\xff\xf3g"), "~g"},
    {BYTES("+\xff\xf3g$g#67"), "+~g$g#67"},
    {BYTES("\xff\xf3gg"), "~g~g"},
    {BYTES("\xff\xf3\xff\xf3g"), "~~g"},
    {BYTES("g"), "~g"},
    {BYTES("\x03"), "~g"},
    {BYTES("\x03\x03"), "~g~g"},
    {BYTES("+\x03-g"), "+~g-~g"},
    {BYTES("\xff\xf3$m0,g#xxg"), "~$m0,g#xx~g"},
    {BYTES("\xff\xf3+g"), "~+~g"},
    /* in a packet all of it passes, in the checksum and escaped as well */
    {BYTES("$X0,4:\xff\xf3g\x03#a7\x03"), "$X0,4:..g.#a7~g"},
    {BYTES("$X0,2:}\x03}\x04#a7g"), "$X0,2:}.}.#a7~g"},
    {BYTES("$a#g\x03g"), "$a#g.~g"},
    {BYTES("$a#\xff\xf3\xff\xf3"), "$a#..~"},
    {BYTES("$a#$g$b#11"), "$a#$g$b#11"},
    /* no BREAK */
    {BYTES("\xff\xff\xf3g"), ".~g"},
    {BYTES("\xff$\xff\xf3#00"), ".$..#00"},
    {BYTES("\xf3+"), ".+"},
};

static void
append(GString *text, uint8_t byte)
{
    g_string_append_c(text, g_ascii_isprint((char)byte) ? (char)byte : '.');
}

/* Feeds @bytes as they would come in two reads, at most @most passing at once. */
static char *
scan(const Case *c, size_t cut, size_t most)
{
    GString *text = g_string_new(NULL);
    KdRspScanner scanner = {0};
    size_t at = 0;
    size_t end = cut;

    while (at < c->len) {
        KdRspPiece piece;

        if (at == end) {
            end = c->len;
        }
        kd_rsp_scan(&scanner, c->bytes + at, end - at, most, &piece);
        g_assert_cmpuint(piece.n_pass, <=, most);
        g_assert_cmpuint(at + piece.n_pass + piece.n_skip, <=, end);
        for (size_t i = 0; i < piece.n_pass; i++) {
            append(text, c->bytes[at + i]);
        }
        at += piece.n_pass + piece.n_skip;
        if (piece.is_break) {
            g_string_append(text, piece.has_g ? "~g" : "~");
        } else if (piece.n_pass == 0) {
            g_assert_cmpuint(end - at, ==, 1); /* wants one byte more */
            g_assert_cmpuint(end, <, c->len);
            end = c->len;
        }
    }
    return g_string_free(text, FALSE);
}

static void
test_every_cut(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const Case *c = &CASES[i];

        for (size_t cut = 0; cut <= c->len; cut++) {
            for (size_t most = 1; most <= c->len; most++) {
                g_autofree char *text = scan(c, cut, most);

                g_assert_cmpstr(text, ==, c->expected);
            }
        }
    }
}

static void
test_byte_by_byte(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const Case *c = &CASES[i];
        g_autoptr(GString) text = g_string_new(NULL);
        KdRspScanner scanner = {0};
        size_t at = 0;

        for (size_t end = 1; end <= c->len; end++) {
            KdRspPiece piece = {.n_pass = 1};

            while (at < end && (piece.n_pass > 0 || piece.is_break)) {
                kd_rsp_scan(&scanner, c->bytes + at, end - at, SIZE_MAX, &piece);
                for (size_t k = 0; k < piece.n_pass; k++) {
                    append(text, c->bytes[at + k]);
                }
                if (piece.is_break) {
                    g_string_append(text, piece.has_g ? "~g" : "~");
                }
                at += piece.n_pass + piece.n_skip;
            }
        }
        g_assert_cmpstr(text->str, ==, c->expected);
    }
}

static void
test_outside(void)
{
    static const struct {
        const char *text;
        gboolean is_outside;
    } cases[] = {{"+", TRUE}, {"$", FALSE}, {"$a#", FALSE}, {"$a#1", FALSE}, {"$a#11", TRUE}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdRspScanner scanner = {0};
        KdRspPiece piece;

        kd_rsp_scan(&scanner, (const uint8_t *)cases[i].text, strlen(cases[i].text), SIZE_MAX,
                    &piece);
        g_assert_cmpint(kd_rsp_is_outside(&scanner), ==, cases[i].is_outside);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/rsp-scanner/finds-breaks-wherever-the-bytes-are-cut", test_every_cut);
    g_test_add_func("/client/rsp-scanner/finds-breaks-byte-by-byte", test_byte_by_byte);
    g_test_add_func("/client/rsp-scanner/knows-whether-a-packet-is-half-said", test_outside);
    return g_test_run();
}

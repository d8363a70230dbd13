/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests of kd --tell as text, and the answers. */
#include "kd-tell-request.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>
#include <sys/ioctl.h>

static KdTellRequest
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    KdTellRequest request;
    gboolean is_good = kd_tell_request_parse(&request, text, &error);

    g_assert_no_error(error);
    g_assert_true(is_good);
    return request;
}

static void
test_good(void)
{
    KdTellRequest request = parse("break");

    g_assert_cmpint(request.kind, ==, KD_TELL_BREAK);
    g_assert_false(request.is_urgent);
    request = parse("  break   urgent ");
    g_assert_cmpint(request.kind, ==, KD_TELL_BREAK);
    g_assert_true(request.is_urgent);
    request = parse("baud 3000000");
    g_assert_cmpint(request.kind, ==, KD_TELL_BAUD);
    g_assert_cmpuint(request.baud, ==, 3000000);
    request = parse("lines");
    g_assert_cmpint(request.kind, ==, KD_TELL_LINES);
    g_assert_cmpuint(request.mask, ==, 0);
    request = parse("lines dtr=0,RTS=1");
    g_assert_cmpuint(request.mask, ==, TIOCM_DTR | TIOCM_RTS);
    g_assert_cmpuint(request.values, ==, TIOCM_RTS);
    request = parse("lines dtr=1,dtr=0");
    g_assert_cmpuint(request.mask, ==, TIOCM_DTR);
    g_assert_cmpuint(request.values, ==, 0);
    g_assert_cmpint(parse("status").kind, ==, KD_TELL_STATUS);
    g_assert_cmpint(parse("purge").kind, ==, KD_TELL_PURGE);
    g_assert_cmpint(parse("link").kind, ==, KD_TELL_LINK);
}

static void
test_bad(void)
{
    static const char *const texts[] = {
        "",
        " ",
        "brake",
        "BREAK",
        "break now",
        "baud",
        "baud 0",
        "baud -1",
        "baud 57600x",
        "baud 4294967296",
        "baud 1 2",
        "lines dtr",
        "lines dtr=2",
        "lines cts=1",
        "lines dtr=0,,rts=1",
        "lines d=1",
        "lines =1",
        "lines dtr=0 1",
        "status verbose",
        "purge all",
        "break\turgent",
        "status\x01x",
        "st\xfftus",
    };
    g_autofree char *much = g_strnfill(KD_TELL_MAX_REQUEST_BYTES + 1, ' ');

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        KdTellRequest request;

        g_assert_false(kd_tell_request_parse(&request, texts[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_null(strpbrk(error->message, "\n\x01\xff"));
    }
    {
        g_autoptr(GError) error = NULL;
        KdTellRequest request;

        g_assert_false(kd_tell_request_parse(&request, much, &error));
    }
}

static void
test_lines(void)
{
    g_autofree char *none = kd_tell_build_lines(0);
    g_autofree char *some = kd_tell_build_lines(TIOCM_DTR | TIOCM_CTS | TIOCM_CAR);
    g_autofree char *others = kd_tell_build_lines(TIOCM_RTS | TIOCM_DSR | TIOCM_RI);

    g_assert_cmpstr(none, ==, "dtr=0 rts=0 cts=0 dsr=0 dcd=0 ri=0");
    g_assert_cmpstr(some, ==, "dtr=1 rts=0 cts=1 dsr=0 dcd=1 ri=0");
    g_assert_cmpstr(others, ==, "dtr=0 rts=1 cts=0 dsr=1 dcd=0 ri=1");
}

static void
test_status(void)
{
    g_autofree char *good =
        kd_tell_build_status("{'baud': <uint32 9600>, 'lines': <'DTR RTS'>, 'x': <true>}");
    g_autofree char *hidden = kd_tell_build_status("{'a': <'\\u001b[2J'>}");
    g_autofree char *cut = kd_tell_build_status("{'baud': <uint32 96");

    g_assert_cmpstr(good, ==, "baud: 9600\nlines: DTR RTS\nx: true\n");
    g_assert_cmpstr(hidden, ==, "a: ?[2J\n");
    g_assert_cmpstr(cut, ==, "status: {'baud': <uint32 96\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/tell-request/is-read-word-by-word", test_good);
    g_test_add_func("/client/tell-request/refuses-everything-else", test_bad);
    g_test_add_func("/client/tell-request/spells-modem-lines", test_lines);
    g_test_add_func("/client/tell-request/puts-a-status-on-lines", test_status);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* That a line of kd is one line, and harmless. */
#include "kd-notice.h"

static void
test_plain(void)
{
    g_autofree char *line = kd_notice_build("target: waiting for /p");

    g_assert_cmpstr(line, ==, "kd: target: waiting for /p\n");
}

static void
test_controls(void)
{
    g_autofree char *line = kd_notice_build("a\x1b[2Jb\nc\rd\xc2\x9b"
                                            "e");

    g_assert_cmpstr(line, ==, "kd: a?[2Jb?c?d?e\n");
}

static void
test_not_utf8(void)
{
    g_autofree char *line = kd_notice_build("a\xff"
                                            "b");

    g_assert_cmpstr(line, ==, "kd: a?b\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/notice/is-a-line-with-the-programs-name", test_plain);
    g_test_add_func("/client/notice/makes-control-characters-harmless", test_controls);
    g_test_add_func("/client/notice/makes-text-of-any-bytes", test_not_utf8);
    return g_test_run();
}

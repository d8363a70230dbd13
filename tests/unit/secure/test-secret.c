/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where secrets lie while they live, and what is left of them afterwards. */
#include "kd-secret.h"

#include <string.h>
#include <sys/prctl.h>

#define CANARY "Canary0Secret"

static void
test_copy(void)
{
    char text[] = CANARY;
    g_autoptr(KdSecret) secret = kd_secret_new(text, -1);
    g_autoptr(KdSecret) same = kd_secret_ref(secret);
    g_autoptr(KdSecret) part = kd_secret_new(text, 6);

    kd_secret_wipe(text, sizeof text);
    g_assert_cmpmem(text, sizeof text, "\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof text);
    g_assert_cmpstr(kd_secret_get_text(secret), ==, CANARY);
    g_assert_cmpuint(kd_secret_get_len(secret), ==, strlen(CANARY));
    g_assert_true(same == secret);
    g_assert_cmpstr(kd_secret_get_text(part), ==, "Canary");
}

static void
test_any_length(void)
{
    for (gsize len = 0; len < 9000; len += 89) {
        g_autofree char *text = g_strnfill(len, 'x');
        g_autoptr(KdSecret) secret = kd_secret_new(text, -1);

        g_assert_cmpuint(kd_secret_get_len(secret), ==, len);
        g_assert_cmpstr(kd_secret_get_text(secret), ==, text);
    }
}

/* The kernel's flags of a page: dd = in no dump, wf = wiped in a child (proc(5), VmFlags). */
static void
test_pages(void)
{
    g_autoptr(KdSecret) secret = kd_secret_new(CANARY, -1);
    g_autofree char *maps = NULL;
    g_auto(GStrv) lines = NULL;
    guint64 at = GPOINTER_TO_SIZE(kd_secret_get_text(secret));
    gboolean is_here = FALSE;

    if (!g_file_get_contents("/proc/self/smaps", &maps, NULL, NULL)) {
        g_test_skip("this kernel tells nothing about pages");
        return;
    }
    lines = g_strsplit(maps, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        char *end = NULL;
        guint64 from = g_ascii_strtoull(lines[i], &end, 16);

        if (*end == '-') {
            is_here = from <= at && at < g_ascii_strtoull(end + 1, NULL, 16);
        } else if (is_here && g_str_has_prefix(lines[i], "VmFlags:")) {
            g_assert_nonnull(strstr(lines[i], " dd"));
            g_assert_nonnull(strstr(lines[i], " wf"));
            return;
        }
    }
    g_assert_not_reached();
}

static void
test_process(void)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        return;
    }
    kd_secret_guard_process();
    g_assert_cmpint(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secret/is-a-copy-of-its-own", test_copy);
    g_test_add_func("/secret/has-any-length", test_any_length);
    g_test_add_func("/secret/is-in-no-dump-and-no-child", test_pages);
    g_test_add_func("/secret/guarded-process-leaves-no-dump", test_process);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which exit status follows from the end of a session. */
#include "kd-outcome.h"

#include <kdsrv/kd-plugin.h>

static int
get_status(uint32_t code)
{
    KdClose close = {.code = code, .text = (char *)"because"};
    g_autoptr(GError) error = NULL;
    gboolean is_clean = kd_outcome_from_close(&close, TRUE, &error);

    g_assert_true(is_clean == (error == NULL));
    return kd_outcome_get_status(error);
}

static void
test_clean(void)
{
    g_assert_cmpint(get_status(KD_CLOSE_NORMAL), ==, 0);
    g_assert_cmpint(get_status(KD_CLOSE_TARGET_CLOSED), ==, 0);
    g_assert_cmpint(kd_outcome_get_status(NULL), ==, 0);
}

static void
test_failed(void)
{
    static const uint32_t codes[] = {
        KD_CLOSE_GOING_AWAY,
        KD_CLOSE_AUTH_FAILED,
        KD_CLOSE_DENIED,
        KD_CLOSE_BUSY,
        KD_CLOSE_TAKEN_OVER,
        KD_CLOSE_TARGET_LOST,
        KD_CLOSE_PROTOCOL_ERROR,
        KD_CLOSE_FLOW_VIOLATION,
        KD_CLOSE_TIMEOUT,
        KD_CLOSE_LIMIT,
        KD_CLOSE_KICKED,
        KD_CLOSE_VERSION,
        KD_CLOSE_SESSION_UNKNOWN,
        KD_CLOSE_INTERNAL,
        KD_CLOSE_OPEN_FAILED,
        KD_CLOSE_NOT_SUPPORTED,
        KD_CLOSE_NOT_SUPPORTED + 1,
        UINT32_MAX,
    };

    for (gsize i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_assert_cmpint(get_status(codes[i]), ==, 1);
    }
}

static void
test_usage(void)
{
    g_assert_cmpint(get_status(KD_CLOSE_BAD_REQUEST), ==, 2);
}

static void
test_text_kept(void)
{
    KdClose close = {.code = KD_CLOSE_BUSY, .text = (char *)"in use by HOST\\user"};
    g_autoptr(GError) error = NULL;

    g_assert_false(kd_outcome_from_close(&close, TRUE, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_cmpstr(error->message, ==, "in use by HOST\\user");
}

static void
test_text_missing(void)
{
    for (uint32_t code = KD_CLOSE_NORMAL; code <= KD_CLOSE_NOT_SUPPORTED + 1; code++) {
        KdClose close = {.code = code, .text = (char *)""};
        g_autoptr(GError) error = NULL;

        if (!kd_outcome_from_close(&close, TRUE, &error)) {
            g_assert_cmpstr(error->message, !=, "");
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/outcome/is-0-for-a-normal-end-and-an-ended-target", test_clean);
    g_test_add_func("/client/outcome/is-1-for-failures-and-unknown-codes", test_failed);
    g_test_add_func("/client/outcome/is-2-for-a-string-that-the-server-refuses", test_usage);
    g_test_add_func("/client/outcome/keeps-the-servers-sentence", test_text_kept);
    g_test_add_func("/client/outcome/has-a-sentence-for-every-code", test_text_missing);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What -k, --server and --trans may say. */
#include "kd-plan.h"

#include <string.h>

static void
test_server_form(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan =
        kd_plan_new("kdsrv:server=@{tcp:server=h,port=1027},trans=@{com:port=com1,baud=57600}",
                    NULL, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(plan->server, ==, "tcp:server=h,port=1027");
    g_assert_cmpstr(plan->trans, ==, "com:port=com1,baud=57600");
}

static void
test_any_case(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan = kd_plan_new(
        "KdSrv:Trans=@{com:port=com1},SERVER=@{tcp:server=h,port=1}", NULL, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(plan->server, ==, "tcp:server=h,port=1");
}

static void
test_split_form(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan = kd_plan_new(NULL, "tcp:server=h,port=1027", "com:port=com1", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(plan->server, ==, "tcp:server=h,port=1027");
    g_assert_cmpstr(plan->trans, ==, "com:port=com1");
}

static void
test_local_form(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan = kd_plan_new("com:pipe,port=/p.sock", NULL, NULL, &error);

    g_assert_no_error(error);
    g_assert_null(plan->server);
    g_assert_cmpstr(plan->trans, ==, "com:pipe,port=/p.sock");
}

static void
assert_refused(const char *connection, const char *server, const char *trans, KdError code,
               const char *named)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan = kd_plan_new(connection, server, trans, &error);

    g_assert_null(plan);
    g_assert_error(error, KD_ERROR, (gint)code);
    g_assert_nonnull(strstr(error->message, named));
    g_assert_null(strstr(error->message, "s3cret"));
}

static void
test_missing(void)
{
    assert_refused(NULL, NULL, NULL, KD_ERROR_PARAM_MISSING, "-k");
    assert_refused(NULL, "tcp:server=h,port=1", NULL, KD_ERROR_PARAM_MISSING, "--trans");
    assert_refused(NULL, NULL, "com:port=com1", KD_ERROR_PARAM_MISSING, "--server");
    assert_refused("kdsrv:server=@{tcp:server=h,port=1}", NULL, NULL, KD_ERROR_PARAM_MISSING,
                   "trans");
    assert_refused("kdsrv:trans=@{com:port=com1}", NULL, NULL, KD_ERROR_PARAM_MISSING, "server");
}

static void
test_both_forms(void)
{
    assert_refused("com:port=com1", "tcp:server=h,port=1", "com:port=com1", KD_ERROR_PARAM_INVALID,
                   "--server");
}

static void
test_unknown_key(void)
{
    assert_refused("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:},tran=x", NULL, NULL,
                   KD_ERROR_PARAM_UNKNOWN, "tran");
}

static void
test_nested_in_itself(void)
{
    assert_refused(NULL, "tcp:server=h,port=1", "kdsrv:server=@{tcp:server=h,password=s3cret}",
                   KD_ERROR_PARAM_INVALID, "trans");
}

static void
test_too_long(void)
{
    g_autofree char *name = g_strnfill(1100, 'a');
    g_autofree char *trans = g_strconcat("com:port=", name, NULL);

    assert_refused(NULL, "tcp:server=h,port=1", trans, KD_ERROR_PARAM_INVALID, "trans");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/plan/takes-server-and-link-out-of-one-string", test_server_form);
    g_test_add_func("/client/plan/matches-keys-in-any-case", test_any_case);
    g_test_add_func("/client/plan/takes-server-and-link-apart", test_split_form);
    g_test_add_func("/client/plan/takes-a-link-of-this-machine", test_local_form);
    g_test_add_func("/client/plan/names-what-is-missing", test_missing);
    g_test_add_func("/client/plan/refuses-both-forms-at-once", test_both_forms);
    g_test_add_func("/client/plan/names-an-unknown-key", test_unknown_key);
    g_test_add_func("/client/plan/refuses-kdsrv-inside-kdsrv", test_nested_in_itself);
    g_test_add_func("/client/plan/refuses-a-link-longer-than-the-protocol-allows", test_too_long);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server's string is taken for, and where its password goes. */
#include "kd-dial-up.h"
#include "kd-host.h"
#include "kd-plan.h"

#include <string.h>

#define NAME "pair:server=h,password=*"

static const KdParamSpec pair_params[] = {{.key = "server",
                                           .type = KD_PARAM_HOST,
                                           .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT,
                                           .help = "whom to dial"},
                                          {.key = "clicon",
                                           .type = KD_PARAM_HOST,
                                           .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT_CLICON,
                                           .help = "who will dial"},
                                          {0}};

static void
pair_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host;
    (void)params;
    (void)cancellable;
    (void)callback;
    (void)user_data;
    g_assert_not_reached();
}

static gboolean
pair_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    (void)result;
    (void)endpoint;
    (void)error;
    g_assert_not_reached();
}

static const KdTransport pair_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_CONNECT,
    .scheme = "pair",
    .summary = "is never dialled",
    .params = pair_params,
    .connect_async = pair_connect_async,
    .connect_finish = pair_connect_finish,
};

static const KdTransport *const pair_transports[] = {&pair_transport, NULL};

static const KdPlugin pair_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "pair",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = pair_transports,
};

typedef struct {
    KdReach *reach;
    const KdHost *host;
    KdRegistry *registry;
} Room;

static void
set_up(Room *room, gconstpointer unused)
{
    (void)unused;
    room->reach = kd_reach_new_everything();
    room->host = kd_host_new(room->reach);
    room->registry = kd_registry_new(room->host);
    g_assert_true(kd_registry_add(room->registry, &pair_plugin, "/pair.so", NULL));
    kd_registry_seal(room->registry);
}

static void
tear_down(Room *room, gconstpointer unused)
{
    (void)unused;
    kd_registry_free(room->registry);
    kd_host_free(room->host);
    kd_reach_free(room->reach);
}

static void
test_password_moves(Room *room, gconstpointer unused)
{
    g_autoptr(KdDialUp) dial_up =
        kd_dial_up_new(room->registry, "pair:server=h,password=Sword1", NULL);
    g_autoptr(GVariant) before = NULL;
    g_autoptr(GVariant) after = NULL;

    (void)unused;
    g_assert_nonnull(dial_up);
    g_assert_cmpstr(dial_up->name, ==, NAME);
    g_assert_false(dial_up->is_waited_for);
    before = g_variant_lookup_value(dial_up->params, "password", NULL);
    g_assert_nonnull(before);
    g_assert_true(kd_dial_up_make_door(dial_up, NULL));
    after = g_variant_lookup_value(dial_up->params, "password", NULL);
    g_assert_null(after);
    g_assert_null(memmem(g_variant_get_data(before), g_variant_get_size(before), "Sword", 5));
    g_assert_cmpstr(kd_secret_get_text(kd_password_get_text(dial_up->password)), ==, "Sword1");
    g_assert_true(kd_dial_up_make_door(dial_up, NULL)); /* anew, with the same */
    g_assert_true(kd_door_get_password(dial_up->door) == dial_up->password);
    kd_dial_up_forget_password(dial_up);
    g_assert_nonnull(dial_up->password); /* it was not typed */
}

static void
test_typed_password(Room *room, gconstpointer unused)
{
    g_autoptr(KdDialUp) dial_up = kd_dial_up_new(room->registry, "pair:server=h", NULL);

    (void)unused;
    g_assert_true(kd_dial_up_make_door(dial_up, NULL));
    g_assert_null(dial_up->password);
    g_assert_true(kd_dial_up_take_password(dial_up, "a longer one, as from a file", NULL));
    g_assert_nonnull(dial_up->password);
    kd_dial_up_forget_password(dial_up);
    g_assert_null(dial_up->password);
}

static void
test_plan_is_masked(Room *room, gconstpointer unused)
{
    g_autoptr(KdPlan) plan = kd_plan_new(
        "kdsrv:server=@{pair:server=h,password=Sword1},trans=@{com:port=com1}", NULL, NULL, NULL);

    (void)unused;
    g_assert_true(kd_plan_resolve(plan, room->registry, NULL));
    g_assert_cmpstr(plan->server, ==, NAME);
    g_assert_nonnull(plan->dial_up);
}

static void
assert_refused(const Room *room, const char *server, int code)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDialUp) dial_up = kd_dial_up_new(room->registry, server, &error);

    g_assert_null(dial_up);
    g_assert_error(error, KD_ERROR, code);
    g_assert_null(strstr(error->message, "p@ss"));
}

static void
test_refused(Room *room, gconstpointer unused)
{
    (void)unused;
    assert_refused(room, "pair:server=h,password=p@ss", KD_ERROR_PARAM_INVALID);
    assert_refused(room, "pair:server=h,password=thirteenchars", KD_ERROR_PARAM_INVALID);
    assert_refused(room, "pair:server=h,passwort=p@ss", KD_ERROR_PARAM_UNKNOWN);
    assert_refused(room, "pair:server=h,certuser=lab", KD_ERROR_PARAM_UNKNOWN); /* has no TLS */
    assert_refused(room, "pair:", KD_ERROR_PARAM_MISSING);
    assert_refused(room, "pair:clicon=h", KD_ERROR_NOT_SUPPORTED); /* can't listen */
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Room, NULL, set_up, fn, tear_down)
    ADD("/client/dial-up/has-its-password-in-one-place", test_password_moves);
    ADD("/client/dial-up/forgets-a-password-that-was-typed", test_typed_password);
    ADD("/client/dial-up/leaves-no-password-in-a-plan", test_plan_is_masked);
    ADD("/client/dial-up/refuses-what-can-not-be-right", test_refused);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guards a server's transports, what its first line says of that, and reading it anew. */
#include "kd-server-private.h"
#include "kd-test-room.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    KdRoom room;
    char *folder;
    char *path;  /* of a password */
    char *other; /* of another    */
} Fixture;

static void
write_secret(const char *path, const char *text)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_no_errno(g_chmod(path, 0600));
}

static void
set_up(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_init(&f->room);
    f->folder = g_dir_make_tmp("kd-entrance-XXXXXX", NULL);
    g_assert_nonnull(f->folder);
    f->path = g_build_filename(f->folder, "password", NULL);
    f->other = g_build_filename(f->folder, "other", NULL);
    write_secret(f->path, "Secret1\n");
    write_secret(f->other, "Secret2\n");
}

static void
tear_down(Fixture *f, gconstpointer user)
{
    (void)user;
    if (f->room.is_started) {
        kd_room_stop(&f->room);
        KD_AWAIT(f->room.n_stopped > 0);
    }
    kd_room_clear(&f->room);
    (void)g_remove(f->path);
    (void)g_remove(f->other);
    g_assert_no_errno(g_rmdir(f->folder));
    g_free(f->path);
    g_free(f->other);
    g_free(f->folder);
}

static void
start(Fixture *f, const char *transports)
{
    g_autoptr(GError) error = NULL;

    f->room.is_started = kd_room_start(&f->room, transports, &error);
    g_assert_no_error(error);
}

static KdEntrance *
get_entrance(Fixture *f, guint index)
{
    return g_ptr_array_index(f->room.server->entrances, index);
}

static void
assert_ready(Fixture *f, const char *line)
{
    g_autofree char *found = kd_server_build_ready_line(f->room.server);

    g_assert_cmpstr(found, ==, line);
}

/* ---- passwords ---- */

static void
test_typed(Fixture *f, gconstpointer user)
{
    g_autofree char *text = NULL;

    (void)user;
    start(f, "fake:name=7,password=Secret1");
    assert_ready(f, "fake:Name=7,Password=*");
    text = g_variant_print(get_entrance(f, 0)->params, FALSE);
    g_assert_null(strstr(text, "Secret1"));
    g_assert_nonnull(kd_door_get_password(get_entrance(f, 0)->door));
}

static void
test_from_file(Fixture *f, gconstpointer user)
{
    g_autofree char *text = g_strdup_printf("fake:name=7,password-file=%s", f->path);

    (void)user;
    start(f, text);
    assert_ready(f, "fake:Name=7,Password-file=*");
    g_assert_nonnull(kd_door_get_password(get_entrance(f, 0)->door));
}

static void
test_fallback(Fixture *f, gconstpointer user)
{
    g_autoptr(KdPassword) fallback = kd_password_new("Secret3", NULL);

    (void)user;
    kd_server_set_password(f->room.server, fallback);
    start(f, "fake:name=7 fake:name=8,password=Secret1");
    assert_ready(f, "fake:Name=7 fake:Name=8,Password=*");
    g_assert_true(kd_door_get_password(get_entrance(f, 0)->door) == fallback);
    g_assert_true(kd_door_get_password(get_entrance(f, 1)->door) != fallback);
}

static void
test_some_open(Fixture *f, gconstpointer user)
{
    (void)user;
    start(f, "fake:name=7,password=Secret1 fake:name=8 fake:name=9");
    assert_ready(f, "fake:Name=7,Password=* fake:Name=8 fake:Name=9 (no password at fake:Name=8 "
                    "fake:Name=9: whoever reaches it controls the targets)");
}

static void
test_missing_file(Fixture *f, gconstpointer user)
{
    g_autofree char *texts = g_strdup_printf("fake:name=7 fake:name=8,password-file=%s", f->path);
    g_autoptr(GError) error = NULL;

    (void)user;
    g_assert_no_errno(g_remove(f->path));
    g_assert_false(kd_room_start(&f->room, texts, &error));
    g_assert_nonnull(strstr(error->message, f->path));
    /* Nothing was opened. */
    g_assert_null(get_entrance(f, 0)->listener);
}

/* ---- what is told ---- */

static void
test_warning(Fixture *f, gconstpointer user)
{
    (void)user;
    g_test_expect_message("kdsrv-server", G_LOG_LEVEL_MESSAGE,
                          "call:Clicon=x,Password=*: the password is not sent, but *use ssl*");
    kd_room_set_refusals(G_MAXUINT, NULL);
    start(f, "call:clicon=x,password=Secret1 sock:port=0,password=Secret1 "
             "fake:name=1,password=Secret1 call:clicon=LOCALHOST,password=Secret1 "
             "call:clicon=127.0.0.2,password=Secret1 call:clicon=::1,password=Secret1");
    g_test_assert_expected_messages();
}

/* ---- reading anew ---- */

static void
test_reload(Fixture *f, gconstpointer user)
{
    g_autofree char *texts =
        g_strdup_printf("fake:name=7,password-file=%s fake:name=8,password=Secret1", f->path);
    g_autoptr(GError) error = NULL;
    KdDoor *doors[2];

    (void)user;
    start(f, texts);
    doors[0] = kd_door_ref(get_entrance(f, 0)->door);
    doors[1] = kd_door_ref(get_entrance(f, 1)->door);
    write_secret(f->path, "Secret4\n");
    g_assert_true(kd_server_reload(f->room.server, &error));
    g_assert_no_error(error);
    g_assert_true(get_entrance(f, 0)->door != doors[0]);
    g_assert_true(kd_door_get_password(get_entrance(f, 0)->door) != kd_door_get_password(doors[0]));
    /* What was typed can't be read again, and stays. */
    g_assert_true(kd_door_get_password(get_entrance(f, 1)->door) == kd_door_get_password(doors[1]));
    kd_door_unref(doors[0]);
    kd_door_unref(doors[1]);
}

static void
test_reload_all_or_nothing(Fixture *f, gconstpointer user)
{
    g_autofree char *texts = g_strdup_printf(
        "fake:name=7,password-file=%s fake:name=8,password-file=%s", f->path, f->other);
    g_autoptr(GError) error = NULL;
    KdDoor *doors[2];

    (void)user;
    start(f, texts);
    doors[0] = get_entrance(f, 0)->door;
    doors[1] = get_entrance(f, 1)->door;
    g_assert_no_errno(g_remove(f->other));
    g_assert_false(kd_server_reload(f->room.server, &error));
    g_assert_nonnull(strstr(error->message, f->other));
    g_assert_true(get_entrance(f, 0)->door == doors[0]);
    g_assert_true(get_entrance(f, 1)->door == doors[1]);
    g_assert_null(get_entrance(f, 0)->next_door);
    assert_ready(f, "fake:Name=7,Password-file=* fake:Name=8,Password-file=*");
}

static void
test_reload_spares_sessions(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;
    KdTestClient client;

    (void)user;
    start(f, "fake:name=7");
    kd_room_connect_fake(&client, 7);
    kd_room_open(&client, "fake:name=1,echo");
    for (guint i = 0; i < 1000; i++) {
        kd_test_client_send_bytes(&client, "x", 1);
        g_assert_true(kd_server_reload(f->room.server, &error));
    }
    kd_test_client_await_data(&client, 1000);
    kd_test_client_clear(&client);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add("/server" path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/entrance/forgets-the-password-that-was-typed", test_typed);
    ADD("/entrance/has-a-password-from-a-file", test_from_file);
    ADD("/entrance/without-a-password-has-the-common-one", test_fallback);
    ADD("/entrance/that-lets-everybody-in-is-named", test_some_open);
    ADD("/entrance/without-its-file-keeps-all-closed", test_missing_file);
    ADD("/entrance/tells-what-a-password-does-not-guard", test_warning);
    ADD("/reload/reads-files-anew", test_reload);
    ADD("/reload/changes-all-or-nothing", test_reload_all_or_nothing);
    ADD("/reload/spares-sessions", test_reload_spares_sessions);
#undef ADD
    return g_test_run();
}

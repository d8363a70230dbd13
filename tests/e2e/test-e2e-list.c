/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd --list links: what a server or this machine could open, and who has it. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTING "KD_FAKE_LISTING"
#define SEVERAL                                                                               \
    "[{'trans': <'fake:name=1'>, 'name': <'a device'>, 'device': <'/dev/one'>, 'aliases': "   \
    "<['/dev/by-id/one', '/dev/by-path/one']>, 'busy': <false>}, {'trans': <'fake:name=2'>, " \
    "'name': <'another'>, 'busy': <true>, 'holder': <'screen (812)'>}, {'trans': "            \
    "<'fake:name=30'>}]"

/* ---- the stage: a server whose only kind of target is the fake one ---- */

static void
copy_plugin(const char *from, const char *to, const char *name)
{
    g_autofree char *from_path = g_build_filename(from, name, NULL);
    g_autofree char *to_path = g_build_filename(to, name, NULL);
    g_autoptr(GFile) source = g_file_new_for_path(from_path);
    g_autoptr(GFile) target = g_file_new_for_path(to_path);
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_copy(source, target, G_FILE_COPY_NONE, NULL, NULL, NULL, &error));
    g_assert_no_error(error);
}

/* This machine's own ports are none of this test's business. */
static void
set_up(KdE2eStage *stage, gconstpointer unused)
{
    static char *from; /* where they were before the first test */
    g_autofree char *to = NULL;

    if (from == NULL) {
        from = g_strdup(g_getenv("KD_PLUGINDIR"));
    }
    kd_e2e_stage_set_up(stage, unused);
    to = kd_e2e_stage_build_path(stage, "plugins");
    g_assert_cmpint(g_mkdir(to, 0755), ==, 0);
    copy_plugin(from, to, "kdsrv-transport-tcp.so");
    copy_plugin(from, to, "kdsrv-target-fake.so");
    g_setenv("KD_PLUGINDIR", to, TRUE);
}

static void
start_server(KdE2eStage *stage, const char *listing)
{
    g_autofree char *variable = g_strconcat(LISTING "=", listing, NULL);
    const char *environment[] = {listing != NULL ? variable : NULL, NULL};
    KdE2eSetup setup = {.environment = environment};

    kd_e2e_stage_start_with(stage, &setup, NULL);
}

static KdE2eProgram *
start_list(const KdE2eStage *stage, const char *more)
{
    g_autofree char *server = g_strdup_printf("tcp:server=127.0.0.1,port=%u", stage->port);

    return kd_e2e_stage_run("kd", NULL, "--list", "links", "--server", server, more, NULL);
}

static KdE2eProgram *
start_local(const char *listing, const char *more)
{
    g_autofree char *variable = g_strconcat(LISTING "=", listing, NULL);
    const char *environment[] = {variable, NULL};
    KdE2eSetup setup = {.environment = environment};

    return kd_e2e_stage_run("kd", &setup, "--list", "links", more, NULL);
}

/* Waits for the end, and compares all that was said. */
static void
expect(KdE2eProgram *kd, int status, const char *out, const char *err)
{
    int real = kd_e2e_program_wait(kd);

    g_test_message("stderr: %s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), ==, out);
    if (err != NULL) {
        g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), ==, err);
    }
    g_assert_cmpint(real, ==, status);
}

/* ---- tables ---- */

static void
test_empty(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) over_server = NULL;
    g_autoptr(KdE2eProgram) local = start_local("@aa{sv} []", NULL);

    (void)unused;
    start_server(stage, NULL);
    over_server = start_list(stage, NULL);
    expect(over_server, 0, "TRANS  STATE  NAME  IN USE BY\n", "kd: --list: no links\n");
    expect(local, 0, "TRANS  STATE  NAME  IN USE BY\n", "kd: --list: no links\n");
}

static void
test_several(KdE2eStage *stage, gconstpointer unused)
{
    static const char table[] = "TRANS         STATE    NAME      IN USE BY\n"
                                "fake:name=1   free     a device\n"
                                "fake:name=2   busy     another   screen (812)\n"
                                "fake:name=30  unknown\n";
    g_autoptr(KdE2eProgram) over_server = NULL;
    g_autoptr(KdE2eProgram) local = start_local(SEVERAL, NULL);

    (void)unused;
    start_server(stage, SEVERAL);
    over_server = start_list(stage, NULL);
    expect(over_server, 0, table, "");
    expect(local, 0, table, "");
}

/* A session of that server knows better than the plugin. */
static void
test_busy(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;
    g_autofree char *holder = NULL;
    g_autofree char *table = NULL;

    (void)unused;
    start_server(stage, SEVERAL);
    client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    g_assert_cmpint(getsockname(client->fd, (struct sockaddr *)&address, &len), ==, 0);
    holder = g_strdup_printf("LAB\\tester (127.0.0.1:%u)", ntohs(address.sin_port));
    table = g_strdup_printf("TRANS         STATE    NAME      IN USE BY\n"
                            "fake:name=1   busy     a device  %s\n"
                            "fake:name=2   busy     another   screen (812)\n"
                            "fake:name=30  unknown\n",
                            holder);
    kd = start_list(stage, NULL);
    expect(kd, 0, table, "");
    kd_e2e_client_send_data(client, "on", 2);
    kd_e2e_client_await_data(client, "on");
}

/* What a terminal would obey, and what turns a line round. */
static void
test_hostile(KdE2eStage *stage, gconstpointer unused)
{
    static const char hostile[] =
        "[{'trans': <'fake:name=1'>, 'name': <'\\u001b]0;owned\\u0007\\u009b2J\\n\\r'>, 'busy': "
        "<true>, 'holder': <'\\u202egro.live\\u2028x'>}, {'trans': <'fake:\\u001b[2J'>}, "
        "{'name': <'of nothing'>}]";
    g_autoptr(KdE2eProgram) over_server = NULL;
    g_autoptr(KdE2eProgram) local = start_local(hostile, NULL);
    static const char table[] = "TRANS        STATE  NAME             IN USE BY\n"
                                "fake:name=1  busy   ?]0;owned??2J??  ?gro.live?x\n";

    (void)unused;
    start_server(stage, hostile);
    over_server = start_list(stage, NULL);
    expect(over_server, 0, table, "");
    expect(local, 0, table, NULL);
}

/* ---- JSON ---- */

static JsonObject *
take_json(KdE2eProgram *kd, JsonParser *parser)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), ==, "");
    g_assert_true(
        json_parser_load_from_data(parser, kd_e2e_program_get_text(kd, KD_E2E_STDOUT), -1, &error));
    g_assert_no_error(error);
    return json_node_get_object(json_parser_get_root(parser));
}

static void
assert_several(KdE2eProgram *kd)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = take_json(kd, parser);
    JsonArray *links = json_object_get_array_member(root, "links");
    JsonObject *first = json_array_get_object_element(links, 0);
    JsonObject *second = json_array_get_object_element(links, 1);
    JsonObject *third = json_array_get_object_element(links, 2);
    JsonArray *aliases = json_object_get_array_member(first, "aliases");

    g_assert_true(json_object_get_boolean_member(root, "complete"));
    g_assert_cmpuint(json_array_get_length(links), ==, 3);
    g_assert_cmpstr(json_object_get_string_member(first, "trans"), ==, "fake:name=1");
    g_assert_cmpstr(json_object_get_string_member(first, "name"), ==, "a device");
    g_assert_cmpstr(json_object_get_string_member(first, "device"), ==, "/dev/one");
    g_assert_cmpuint(json_array_get_length(aliases), ==, 2);
    g_assert_cmpstr(json_array_get_string_element(aliases, 1), ==, "/dev/by-path/one");
    g_assert_cmpstr(json_object_get_string_member(first, "state"), ==, "free");
    g_assert_true(json_object_get_null_member(first, "holder"));
    g_assert_cmpstr(json_object_get_string_member(second, "state"), ==, "busy");
    g_assert_cmpstr(json_object_get_string_member(second, "holder"), ==, "screen (812)");
    g_assert_cmpstr(json_object_get_string_member(third, "state"), ==, "unknown");
    g_assert_true(json_object_get_null_member(third, "name"));
    g_assert_true(json_object_get_null_member(third, "device"));
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(third, "aliases")), ==, 0);
}

static void
test_json(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) over_server = NULL;
    g_autoptr(KdE2eProgram) local = start_local(SEVERAL, "--json");

    (void)unused;
    start_server(stage, SEVERAL);
    over_server = start_list(stage, "--json");
    assert_several(over_server);
    assert_several(local);
}

static void
test_json_of_nothing(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = start_local("@aa{sv} []", "--json");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = take_json(kd, parser);

    (void)stage;
    (void)unused;
    g_assert_true(json_object_get_boolean_member(root, "complete"));
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(root, "links")), ==, 0);
}

/* ---- plugins that fail ---- */

static void
test_failure(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) over_server = NULL;
    g_autoptr(KdE2eProgram) as_json = NULL;
    g_autoptr(KdE2eProgram) local = start_local("fail no such luck", NULL);
    g_autoptr(JsonParser) parser = json_parser_new();

    (void)unused;
    start_server(stage, "fail no such luck");
    over_server = start_list(stage, NULL);
    expect(over_server, 0, "TRANS  STATE  NAME  IN USE BY\n",
           "kd: --list: there may be more links than these\n");
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR,
                                "kdsrv: fake: its links are not listed: no such luck"));
    as_json = start_list(stage, "--json");
    g_assert_false(json_object_get_boolean_member(take_json(as_json, parser), "complete"));
    expect(local, 0, "TRANS  STATE  NAME  IN USE BY\n",
           "kd: fake: its links are not listed: no such luck\n"
           "kd: --list: there may be more links than these\n");
}

/* Takes 5 s. A session that goes on meanwhile notices nothing. */
static void
test_hang(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eProgram) local = start_local("hang", NULL);
    g_autoptr(KdE2eClient) client = NULL;

    (void)unused;
    start_server(stage, "hang");
    client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    kd = start_list(stage, NULL);
    for (int i = 0; i < 100; i++) {
        kd_e2e_client_send_data(client, "x", 1);
        kd_e2e_client_await_data(client, "x");
    }
    g_assert_true(kd_e2e_program_is_running(kd));
    expect(kd, 0, "TRANS  STATE  NAME  IN USE BY\n",
           "kd: --list: there may be more links than these\n");
    g_assert_nonnull(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR),
                            "it has not answered within 5 s"));
    expect(local, 0, "TRANS  STATE  NAME  IN USE BY\n",
           "kd: fake: its links are not listed: it has not answered within 5 s\n"
           "kd: --list: there may be more links than these\n");
}

/* Neither a client that is cut nor the end of the server waits for a plugin. */
static void
check_end(KdE2eStage *stage, const char *listing)
{
    g_autoptr(KdE2eProgram) cut = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    static const char *const features[] = {KD_FEATURE_LIST, NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .features = (char **)features};
    KdAuth auth = {.mechanism = (char *)"none"};
    uint8_t preamble[KD_PREAMBLE_BYTES];
    g_autoptr(KdClose) said = NULL;

    start_server(stage, listing);
    cut = start_list(stage, NULL);
    client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_e2e_client_send_preamble(client, KD_PROTOCOL_MAJOR);
    kd_e2e_client_send(client, KD_FRAME_HELLO, kd_hello_build(&hello));
    kd_e2e_client_send(client, KD_FRAME_AUTH, kd_auth_build(&auth));
    kd_e2e_read(client->fd, preamble, sizeof preamble);
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_HELLO));
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_AUTH));
    kd_e2e_client_send(client, KD_FRAME_LIST, NULL);
    kd_e2e_client_send(client, KD_FRAME_PING, g_bytes_new_static("12345678", 8));
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_PONG)); /* LIST was heard before it */
    kd_e2e_program_signal(cut, SIGKILL);
    (void)kd_e2e_program_wait(cut);
    kd_e2e_stage_stop(stage);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_GOING_AWAY);
}

static void
test_end_while_hanging(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_end(stage, "hang");
}

static void
test_end_while_deaf(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_end(stage, "deaf");
}

/* ---- peers of 1.0 ---- */

static int
listen_tcp(guint port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

/* What a server of 1.0 says first: it has no features. */
static void
test_older_server(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const mechanisms[] = {"none", NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .mechanisms = (char **)mechanisms};
    uint8_t preamble[KD_PREAMBLE_BYTES];
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eClient) server = NULL;
    g_autofree char *err = NULL;
    int listener = listen_tcp(stage->low);

    (void)unused;
    stage->port = stage->low;
    kd = start_list(stage, NULL);
    server = kd_e2e_client_new(kd_e2e_accept(listener));
    kd_preamble_store(preamble, KD_ROLE_SERVER, 1, 0);
    kd_e2e_write(server->fd, preamble, sizeof preamble);
    kd_e2e_client_send(server, KD_FRAME_HELLO, kd_hello_build(&hello));
    err = g_strdup_printf("kd: tcp:server=127.0.0.1,port=%u: the server is older than this kd, it "
                          "can't list its links\n",
                          stage->port);
    kd_e2e_read(server->fd, preamble, sizeof preamble);
    g_bytes_unref(kd_e2e_client_await(server, KD_FRAME_HELLO));
    kd_close_free(kd_e2e_client_await_close(server)); /* and neither AUTH nor LIST before */
    close(server->fd);
    server->fd = -1;
    expect(kd, 1, "", err);
    close(listener);
}

/* It opens links as ever, and finds nothing in what it hears that it does not know. */
static void
test_older_client(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdE2eClient) curious = NULL;
    g_autoptr(KdClose) said = NULL;
    uint8_t preamble[KD_PREAMBLE_BYTES];
    KdHello hello = {.window = KD_WINDOW_BYTES, .max_data_bytes = KD_MAX_DATA_BYTES};
    KdAuth auth = {.mechanism = (char *)"none"};
    KdOpen open = {.trans = (char *)"fake:name=1,echo,resets=2"};

    (void)unused;
    start_server(stage, NULL);
    client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_preamble_store(preamble, KD_ROLE_CLIENT, 1, 0);
    kd_e2e_write(client->fd, preamble, sizeof preamble);
    kd_e2e_read(client->fd, preamble, sizeof preamble);
    kd_e2e_client_send(client, KD_FRAME_HELLO, kd_hello_build(&hello));
    kd_e2e_client_send(client, KD_FRAME_AUTH, kd_auth_build(&auth));
    kd_e2e_client_send(client, KD_FRAME_OPEN, kd_open_build(&open));
    g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_OPENED));
    kd_e2e_client_send_data(client, "x", 1);
    kd_e2e_client_await_data(client, "x");

    curious = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_e2e_client_log_in(curious);
    kd_e2e_client_send(curious, KD_FRAME_LIST, NULL);
    said = kd_e2e_client_await_close(curious);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_NOT_SUPPORTED);
}

/* ---- the command line ---- */

static void
test_words(KdE2eStage *stage, gconstpointer unused)
{
    static const struct {
        const char *words[4];
        const char *told;
    } wrong[] = {
        {{"--list", "targets"}, "kd: --list: targets: can't be listed, expected links\n"},
        {{"--list", ""}, "kd: --list: : can't be listed, expected links\n"},
        {{"--list=links", "-k", "fake:name=1"},
         "kd: --list: excludes -k (name a server with --server)\n"},
        {{"--list=links", "--trans", "fake:name=1"}, "kd: --list: excludes --trans\n"},
        {{"--list=links", "--stdio"}, "kd: --list: excludes --stdio\n"},
        {{"--list=links", "--pty"}, "kd: --list: excludes --pty\n"},
        {{"--list=links", "--listen", "unix:/tmp/x"}, "kd: --list: excludes --listen\n"},
        {{"--list=links", "--profile", "x"}, "kd: --list: excludes --profile\n"},
        {{"--list=links", "--", "gdb"}, "kd: --list: excludes -- DEBUGGER\n"},
        {{"--list=links", "--list-plugins"},
         "kd: --list: lists links, ask for plugins and help one at a time\n"},
        {{"--list=links", "--server", "tcp:port=70000"}, NULL},
        {{"--list=links", "--server", "@{tcp:server=h,port=1}"}, NULL},
        {{"--list"}, NULL},
    };

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(KdE2eProgram) kd =
            kd_e2e_stage_run("kd", NULL, wrong[i].words[0], wrong[i].words[1], wrong[i].words[2],
                             wrong[i].words[3], NULL);

        expect(kd, 2, "", wrong[i].told);
    }
}

static void
test_full_disk(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *line =
        g_strdup_printf("exec %s/kd --plugin-dir %s --list links --json >/dev/full",
                        g_getenv("KD_BINDIR"), g_getenv("KD_PLUGINDIR"));
    const char *argv[] = {"sh", "-c", line, NULL};
    g_autoptr(KdE2eProgram) kd = kd_e2e_program_new(argv, NULL);

    (void)stage;
    (void)unused;
    expect(kd, 1, "", "kd: stdout: No space left on device\n");
}

static void
test_no_server(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    stage->port = stage->low; /* where nobody listens */
    kd = start_list(stage, NULL);
    expect(kd, 1, "", NULL);
}

/* ---- what the debugger is told of resets= ---- */

static void
check_resets(const KdE2eStage *stage, const char *link, const char *told)
{
    g_autofree char *profile = kd_e2e_stage_build_path(stage, "sh.conf");
    g_autoptr(KdE2eProgram) kd = NULL;

    g_assert_true(g_file_set_contents(
        profile, "[Debugger]\nNames=sh\nListen=unix\nEnvironment=WHERE=${ADDRESS}\n", -1, NULL));
    kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--profile", profile, "--", "sh", "-c",
                          "echo resets=$KD_RESETS.", NULL);
    expect(kd, 0, told, NULL);
}

static void
test_resets(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *with = NULL;
    g_autofree char *without = NULL;

    (void)unused;
    g_unsetenv("KD_RESETS");
    start_server(stage, NULL);
    with = kd_e2e_stage_build_link(stage, "fake:name=1,resets=2");
    without = kd_e2e_stage_build_link(stage, "fake:name=1");
    check_resets(stage, with, "resets=2.\n");
    check_resets(stage, without, "resets=.\n");
    check_resets(stage, "fake:name=1,resets=0", "resets=0.\n");
    check_resets(stage, "fake:name=1", "resets=.\n");
}

#define add(path, fn) g_test_add(path, KdE2eStage, NULL, set_up, fn, kd_e2e_stage_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/e2e/list/of-nothing-is-a-line-of-heads", test_empty);
    add("/e2e/list/names-all-with-their-states", test_several);
    add("/e2e/list/names-the-session-that-has-a-link", test_busy);
    add("/e2e/list/shows-nothing-that-steers-a-terminal", test_hostile);
    add("/e2e/list/is-json-where-asked", test_json);
    add("/e2e/list/of-nothing-is-json-too", test_json_of_nothing);
    add("/e2e/list/goes-on-without-a-plugin-that-fails", test_failure);
    add("/e2e/list/goes-on-without-a-plugin-that-hangs", test_hang);
    add("/e2e/list/a-plugin-that-hangs-delays-no-end", test_end_while_hanging);
    add("/e2e/list/a-plugin-that-is-deaf-delays-no-end", test_end_while_deaf);
    add("/e2e/list/an-older-server-is-told-as-such", test_older_server);
    add("/e2e/list/an-older-client-notices-nothing", test_older_client);
    add("/e2e/list/wrong-words-are-told", test_words);
    add("/e2e/list/full-disk-is-told", test_full_disk);
    add("/e2e/list/without-a-server-fails", test_no_server);
    add("/e2e/list/a-debugger-is-told-the-resets-of-its-link", test_resets);
    return g_test_run();
}

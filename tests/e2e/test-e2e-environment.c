/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a link's string leaves out comes from the server's environment (F47, N14). */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* An empty variable is none, whatever the test itself was started with. */
static void
start_with(KdE2eStage *stage, const char *port, const char *baud)
{
    g_autofree char *port_variable = g_strconcat("_NT_DEBUG_PORT=", port, NULL);
    g_autofree char *baud_variable = g_strconcat("_NT_DEBUG_BAUD_RATE=", baud, NULL);
    const char *const environment[] = {port_variable, baud_variable, NULL};
    KdE2eSetup setup = {.environment = environment};

    kd_e2e_stage_start_with(stage, &setup, "--allow-path", "/dev/pts", NULL);
}

static void
expect_refused(const KdE2eStage *stage, const char *trans, const char *text)
{
    g_autoptr(KdE2eClient) client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    g_autoptr(KdClose) said = NULL;

    kd_e2e_client_ask(client, trans, NULL);
    said = kd_e2e_client_await_close(client);
    g_test_message("%s", said->text);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_BAD_REQUEST);
    g_assert_nonnull(strstr(said->text, text));
    g_assert_null(strchr(said->text, '\n'));
}

static void
test_nothing_there(KdE2eStage *stage, gconstpointer unused)
{
    static const char variable[] = "com: port= is missing, and _NT_DEBUG_PORT is not set on %s";
    g_autofree char *text = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    char machine[256] = "";

    (void)unused;
    g_assert_cmpint(gethostname(machine, sizeof machine - 1), ==, 0);
    text = g_strdup_printf(variable, machine);
    start_with(stage, "", "");
    expect_refused(stage, "com:", text);
    expect_refused(stage, "com:baud=9600", text);
    expect_refused(stage, "com:pipe,reconnect", text);
    /* And as kd's user sees it, who has the variable on another machine. */
    kd = kd_e2e_stage_start_kd(stage, "com:", "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), !=, 0);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), text));
}

static void
test_wrong_there(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    start_with(stage, "2", "fast");
    expect_refused(stage, "com:baud=9600", "com: port=2: write port=com2");
    expect_refused(stage, "com:port=com2", "(from _NT_DEBUG_BAUD_RATE)");
}

static void
test_there(KdE2eStage *stage, gconstpointer unused)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios2 settings = {0};
    g_autoptr(KdE2eClient) client = NULL;

    (void)unused;
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    start_with(stage, ptsname(master), "57600");
    client = kd_e2e_client_new_open(stage->port, "com:");
    kd_e2e_write(master, "found", 5);
    kd_e2e_client_await_data(client, "found");
    g_assert_cmpint(ioctl(master, TCGETS2, &settings), ==, 0);
    g_assert_cmpuint(settings.c_ospeed, ==, 57600);
    close(master);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/environment/what-is-missing-too-is-named-with-the-machine",
               test_nothing_there);
    kd_e2e_add("/e2e/environment/what-is-wrong-in-it-is-named", test_wrong_there);
    kd_e2e_add("/e2e/environment/fills-what-the-string-leaves-out", test_there);
    return g_test_run();
}

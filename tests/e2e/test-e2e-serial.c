/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serial lines through the commands: speeds, states, ends, and lines that come and go. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define N_FLAPS        200
#define FLAP_MS        10
#define IDLE_S         1
#define IDLE_CPU_US    (KD_E2E_IS_SANITIZED ? 50 * 1000 : 20 * 1000)
#define LINES_A_SECOND 10

static int
open_pty(char **name)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(master, >=, 0);
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    *name = g_strdup(ptsname(master));
    return master;
}

static guint
get_speed(int master)
{
    struct termios2 settings = {0};

    g_assert_cmpint(ioctl(master, TCGETS2, &settings), ==, 0);
    return settings.c_ospeed;
}

static KdE2eClient *
open_line(KdE2eStage *stage, const char *name, const char *keys)
{
    g_autofree char *trans = g_strdup_printf("com:port=%s%s", name, keys);

    kd_e2e_stage_start(stage, "--allow-path", "/dev/pts", NULL);
    return kd_e2e_client_new_open(stage->port, trans);
}

static KdResult *
control(KdE2eClient *client, uint16_t op, uint32_t arg)
{
    KdControl asked = {.id = 1, .op = op, .at = client->sent, .arg = arg};

    kd_e2e_client_control(client, &asked);
    return kd_e2e_client_await_result(client);
}

/* In the midst of a session, and behind the bytes that were said before. */
static void
test_baud(KdE2eStage *stage, gconstpointer unused)
{
    static const guint speeds[] = {9600, 115200, 250000, 3000000};
    g_autofree char *name = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    int master = open_pty(&name);

    (void)unused;
    client = open_line(stage, name, ",baud=1200");
    g_assert_cmpuint(client->opened->baud, ==, 1200);
    for (gsize i = 0; i < G_N_ELEMENTS(speeds); i++) {
        g_autoptr(KdResult) result = NULL;

        kd_e2e_client_send_data(client, "faster", 6);
        result = control(client, KD_CONTROL_BAUD, speeds[i]);
        g_assert_cmpuint(result->code, ==, 0);
        g_assert_cmpuint(result->value, ==, speeds[i]);
        g_assert_cmpuint(get_speed(master), ==, speeds[i]);
        kd_e2e_expect(master, "faster");
    }
    close(master);
}

static void
test_controls(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *name = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) status = NULL;
    g_autoptr(KdResult) purged = NULL;
    g_autoptr(KdResult) lines = NULL;
    g_autoptr(KdResult) broken = NULL;
    int master = open_pty(&name);

    (void)unused;
    client = open_line(stage, name, "");
    g_assert_cmpuint(client->opened->controls & (1u << KD_CONTROL_BREAK), !=, 0);
    g_assert_cmpuint(client->opened->controls & (1u << KD_CONTROL_LINES), ==, 0);
    status = control(client, KD_CONTROL_STATUS, 0);
    g_assert_cmpuint(status->code, ==, 0);
    g_assert_nonnull(strstr(status->text, name));
    g_assert_nonnull(strstr(status->text, "115200"));
    purged = control(client, KD_CONTROL_PURGE, 0);
    g_assert_cmpuint(purged->code, ==, 0);
    g_assert_cmpuint(purged->value, ==, 0);
    lines = control(client, KD_CONTROL_LINES, 0);
    g_assert_cmpuint(lines->code, ==, KD_ERROR_NOT_SUPPORTED + 1);
    broken = control(client, KD_CONTROL_BREAK, 0);
    g_assert_cmpuint(broken->code, ==, 0);
    kd_e2e_client_send_data(client, "on", 2);
    kd_e2e_expect(master, "on");
    close(master);
}

static void
test_hang_up(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autofree char *said = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int master = open_pty(&name);

    (void)unused;
    trans = g_strdup_printf("com:port=%s", name);
    kd_e2e_stage_start(stage, "--allow-path", "/dev/pts", NULL);
    kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    kd_e2e_program_say(kd, "boo");
    kd_e2e_expect(master, "boo");
    close(master);
    (void)kd_e2e_program_wait(kd);
    said = g_strdup_printf("%s has hung up\n", name);
    g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), said));
}

/* ---- who has it ---- */

static void
test_taken(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autofree char *script = NULL;
    g_autofree char *expected = NULL;
    g_autoptr(KdE2eProgram) other = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int master = open_pty(&name);

    (void)unused;
    script = g_strdup_printf("exec <%s; echo has it; read line", name);
    {
        const char *argv[] = {"bash", "-c", script, NULL};

        other = kd_e2e_program_new(argv, NULL);
    }
    g_free(kd_e2e_program_await(other, KD_E2E_STDOUT, "has it"));
    trans = g_strdup_printf("com:port=%s", name);
    kd_e2e_stage_start(stage, "--allow-path", "/dev/pts", NULL);
    kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    expected = g_strdup_printf("com: %s is in use by bash (pid %d)\n", name,
                               (int)kd_e2e_program_get_pid(other));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), expected));
    close(master);
}

/* ---- a line that comes and goes ---- */

/* Ends the line for all that have it open, as the kernel does when an adapter is pulled out.
 * Returns: whether we may */
static gboolean
hang_up(const char *name)
{
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    gboolean is_done = slave >= 0 && ioctl(slave, TIOCVHANGUP) == 0;

    close(slave);
    return is_done;
}

static guint
count_lines(KdE2eProgram *program)
{
    guint n = 0;

    for (const char *at = kd_e2e_program_get_text(program, KD_E2E_STDERR); *at != '\0'; at++) {
        n += *at == '\n';
    }
    return n;
}

/* A hundred hang-ups in each second: the server tries it less and less often, hardly says a word,
 * does nothing when it is over, and the session goes on. */
static void
test_flap(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    int master = open_pty(&name);
    gint64 began_us = g_get_monotonic_time();
    guint64 cpu_us;
    guint n_lines;
    int slave;

    (void)unused;
    trans = g_strdup_printf("com:port=%s,reconnect", name);
    kd_e2e_stage_start(stage, "-v", "--allow-path", "/dev/pts", NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    n_lines = count_lines(stage->server);
    for (guint i = 0; i < N_FLAPS; i++) {
        if (!hang_up(name)) {
            g_test_skip("this user may not hang up a terminal");
            close(master);
            return;
        }
        (void)poll(NULL, 0, FLAP_MS);
    }
    n_lines = count_lines(stage->server) - n_lines;
    g_assert_cmpuint(n_lines, <=,
                     (guint)((g_get_monotonic_time() - began_us) / G_USEC_PER_SEC + 1) *
                         LINES_A_SECOND);
    /* Without any slave the master would say that it has ended. */
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    kd_e2e_client_send_data(client, "still there", 11);
    kd_e2e_expect(master, "still there");
    kd_e2e_write(master, "and here", 8);
    kd_e2e_client_await_data(client, "and here");
    cpu_us = kd_e2e_program_get_cpu_us(stage->server);
    (void)poll(NULL, 0, IDLE_S * 1000);
    g_assert_cmpuint(kd_e2e_program_get_cpu_us(stage->server) - cpu_us, <=, IDLE_CPU_US);
    close(slave);
    close(master);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/serial/new-speed-reaches-the-far-side", test_baud);
    kd_e2e_add("/e2e/serial/controls-of-a-pty", test_controls);
    kd_e2e_add("/e2e/serial/hang-up-is-told-in-a-sentence", test_hang_up);
    kd_e2e_add("/e2e/serial/program-that-has-the-line-is-named", test_taken);
    kd_e2e_add("/e2e/serial/flapping-neither-spins-nor-floods", test_flap);
    return g_test_run();
}

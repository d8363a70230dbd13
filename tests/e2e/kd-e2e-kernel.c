/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Linux kernel with KGDB on an emulated serial port, booted for one test. */
#include "kd-e2e-kernel.h"

#include "kd-e2e-socket.h"

#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* ---- where it is ---- */

/* tests/kgdb/build.sh knows; building takes too long for a test. Returns: (nullable): the folder */
static char *
find_built(void)
{
    const char *argv[] = {"sh", KD_KERNEL_BUILD, "--find", NULL};
    g_autofree char *folder = NULL;
    g_autofree char *reason = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    (void)g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &folder, &reason,
                       &status, &error);
    g_assert_no_error(error);
    if (!g_spawn_check_wait_status(status, NULL)) {
        g_test_skip(g_strstrip(reason));
        return NULL;
    }
    return g_strdup(g_strchomp(folder));
}

/* ---- the monitor ---- */

/* One request in QEMU's machine protocol. Returns: (transfer full): the answer, a line of JSON */
static char *
request(KdE2eKernel *kernel, const char *name, const char *arguments)
{
    g_autofree char *mark = g_strdup_printf("\"id\": %u}", ++kernel->n_asked);
    g_autofree char *line =
        g_strdup_printf("{\"execute\": \"%s\", \"arguments\": {%s}, %s\n", name, arguments, mark);

    kd_e2e_program_say(kernel->vm, line);
    return kd_e2e_program_await(kernel->vm, KD_E2E_STDOUT, mark);
}

/**
 * kd_e2e_kernel_order:
 * @command: for people, `info chardev`
 *
 * Gives QEMU's monitor a command.
 *
 * Returns: (transfer full): the answer, in JSON
 */
char *
kd_e2e_kernel_order(KdE2eKernel *kernel, const char *command)
{
    g_autofree char *arguments = g_strdup_printf("\"command-line\": \"%s\"", command);

    return request(kernel, "human-monitor-command", arguments);
}

/* What the monitor calls the other end of the link. */
static char *
get_link_name(KdE2eKernel *kernel)
{
    static const char key[] = "link: filename=";
    g_autofree char *answer = kd_e2e_kernel_order(kernel, "info chardev");
    const char *at = strstr(answer, key);

    g_assert_nonnull(at);
    at += strlen(key);
    return g_strndup(at, strcspn(at, "\\ ,"));
}

/**
 * kd_e2e_kernel_has_client:
 *
 * Returns: whether somebody is connected to the link, which must be a socket
 */
gboolean
kd_e2e_kernel_has_client(KdE2eKernel *kernel)
{
    g_autofree char *name = get_link_name(kernel);

    return !g_str_has_prefix(name, "disconnected:");
}

/* ---- starting ---- */

static GPtrArray *
build_argv(const KdE2eKernel *kernel, const char *folder, const char *shell, guint flags)
{
    gboolean is_pty = (flags & KD_E2E_KERNEL_PTY) != 0;
    /* rodata=off: a breakpoint that is set before the kernel protects its text could never be taken
     * out again. The console is where a break and the letter behind it are heard. */
    g_autofree char *words = g_strdup_printf("console=ttyS0,115200 nokaslr rodata=off panic=-1 "
                                             "kgdboc=ttyS0,115200%s",
                                             (flags & KD_E2E_KERNEL_WAITS) != 0 ? " kgdbwait" : "");
    g_autofree char *socket = g_strdup_printf("socket,path=%s,server=on,wait=off", kernel->link);
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    const char *fixed[] = {"qemu-system-x86_64", "-accel", "tcg",   "-m",       "128",
                           "-nodefaults",        "-qmp",   "stdio", "-display", "none"};

    for (gsize i = 0; i < G_N_ELEMENTS(fixed); i++) {
        g_ptr_array_add(argv, g_strdup(fixed[i]));
    }
#define ADD(option, ...) \
    (g_ptr_array_add(argv, g_strdup(option)), g_ptr_array_add(argv, g_strdup_printf(__VA_ARGS__)))
    ADD("-kernel", "%s/bzImage", folder);
    ADD("-initrd", "%s/initrd", folder);
    ADD("-append", "%s", words);
    ADD("-chardev", "%s,id=link,logfile=%s", is_pty ? "pty" : socket, kernel->link_log);
    ADD("-serial", "chardev:link");
    ADD("-chardev", "socket,id=shell,path=%s", shell);
    ADD("-serial", "chardev:shell");
    ADD("-chardev", "socket,id=breaks,path=%s,server=on,wait=off", kernel->breaks);
    ADD("-mon", "chardev=breaks,mode=readline");
#undef ADD
    if ((flags & KD_E2E_KERNEL_HELD) != 0) {
        g_ptr_array_add(argv, g_strdup("-S"));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

static void
start(KdE2eKernel *kernel, const KdE2eStage *stage, const char *folder, guint flags)
{
    g_autofree char *shell = kd_e2e_stage_build_path(stage, "shell.sock");
    g_autoptr(GPtrArray) argv = build_argv(kernel, folder, shell, flags);
    int listener = kd_e2e_listen_unix(shell);

    kernel->vm = kd_e2e_program_new((const char *const *)argv->pdata, NULL);
    kernel->shell = kd_e2e_accept(listener);
    close(listener);
    (void)unlink(shell);
    g_free(kd_e2e_program_await(kernel->vm, KD_E2E_STDOUT, "\"QMP\""));
    g_free(request(kernel, "qmp_capabilities", ""));
}

/**
 * kd_e2e_kernel_new:
 * @flags: of #KdE2eKernelFlags
 *
 * Boots a kernel, and returns when it is what it was asked to be: at rest, in KGDB or in user
 * space. Skips the test if there is none here.
 *
 * Returns: (transfer full) (nullable): the machine; %NULL: skipped
 */
KdE2eKernel *
kd_e2e_kernel_new(const KdE2eStage *stage, guint flags)
{
    g_autofree char *folder = NULL;
    KdE2eKernel *kernel;

    if (kd_e2e_is_missing("gdb") || kd_e2e_is_missing("qemu-system-x86_64") ||
        (folder = find_built()) == NULL) {
        return NULL;
    }
    kernel = g_new0(KdE2eKernel, 1);
    kernel->symbols = g_build_filename(folder, "vmlinux", NULL);
    kernel->link = kd_e2e_stage_build_path(stage, "link.sock");
    kernel->link_log = kd_e2e_stage_build_path(stage, "link.log");
    kernel->breaks = kd_e2e_stage_build_path(stage, "breaks.sock");
    kernel->shell_said = g_string_new(NULL);
    start(kernel, stage, folder, flags);
    if ((flags & KD_E2E_KERNEL_PTY) != 0) {
        g_autofree char *name = get_link_name(kernel);

        g_assert_true(g_str_has_prefix(name, "pty:/dev/pts/"));
        g_free(kernel->link);
        kernel->link = g_strdup(name + strlen("pty:"));
    }
    if ((flags & KD_E2E_KERNEL_HELD) == 0) {
        if ((flags & KD_E2E_KERNEL_WAITS) != 0) {
            kd_e2e_kernel_await(kernel, KD_E2E_KERNEL_WAITING);
        } else {
            kd_e2e_kernel_await_up(kernel);
        }
    }
    return kernel;
}

/**
 * kd_e2e_kernel_free:
 * @kernel: (nullable): a machine
 *
 * Takes its power away.
 */
void
kd_e2e_kernel_free(KdE2eKernel *kernel)
{
    if (kernel == NULL) {
        return;
    }
    kd_e2e_program_free(kernel->vm);
    close(kernel->shell);
    (void)unlink(kernel->link_log);
    g_string_free(kernel->shell_said, TRUE);
    g_free(kernel->symbols);
    g_free(kernel->link);
    g_free(kernel->link_log);
    g_free(kernel->breaks);
    g_free(kernel);
}

/**
 * kd_e2e_kernel_go:
 *
 * Lets one boot that was held.
 */
void
kd_e2e_kernel_go(KdE2eKernel *kernel)
{
    g_free(request(kernel, "cont", ""));
}

/* ---- what it says ---- */

/* From @seen on; moves it behind the text. */
static gboolean
find_text(const char *all, gsize len, gsize *seen, const char *text)
{
    const char *at = memmem(all + *seen, len - *seen, text, strlen(text));

    if (at == NULL) {
        return FALSE;
    }
    *seen = (gsize)(at - all) + strlen(text);
    return TRUE;
}

static gboolean
find_in_log(KdE2eKernel *kernel, const char *text)
{
    g_autofree char *all = NULL;
    g_autoptr(GError) error = NULL;
    gsize len = 0;

    (void)g_file_get_contents(kernel->link_log, &all, &len, &error);
    g_assert_no_error(error);
    return find_text(all, len, &kernel->link_seen, text);
}

/**
 * kd_e2e_kernel_await:
 * @text: of one line
 *
 * Waits until the kernel has written something to its link, behind what was awaited before.
 */
void
kd_e2e_kernel_await(KdE2eKernel *kernel, const char *text)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char events[4096];

    g_assert_cmpint(inotify_add_watch(watch, kernel->link_log, IN_MODIFY), >=, 0);
    while (!find_in_log(kernel, text)) {
        if (!kd_e2e_is_readable(watch, KD_E2E_DEADLINE_S * 1000)) {
            g_error("the kernel has not said: %s", text);
        }
        while (read(watch, events, sizeof events) > 0) {
        }
    }
    close(watch);
}

static void
await_shell(KdE2eKernel *kernel, const char *text)
{
    while (
        !find_text(kernel->shell_said->str, kernel->shell_said->len, &kernel->shell_seen, text)) {
        char buf[4096];
        gsize n;

        if (!kd_e2e_is_readable(kernel->shell, KD_E2E_DEADLINE_S * 1000)) {
            g_error("the shell has not said: %s, but:\n%s", text, kernel->shell_said->str);
        }
        n = kd_e2e_read_some(kernel->shell, buf, sizeof buf);
        g_assert_cmpuint(n, >, 0);
        g_string_append_len(kernel->shell_said, buf, (gssize)n);
    }
}

/**
 * kd_e2e_kernel_await_up:
 *
 * Waits until user space runs; after a restart, until it runs again.
 */
void
kd_e2e_kernel_await_up(KdE2eKernel *kernel)
{
    await_shell(kernel, KD_E2E_KERNEL_UP "\n");
}

/**
 * kd_e2e_kernel_tell:
 * @command: one line
 *
 * Gives the machine's shell a command, after which there may be no answer.
 */
void
kd_e2e_kernel_tell(KdE2eKernel *kernel, const char *command)
{
    g_autofree char *line = g_strconcat(command, "\n", NULL);

    kd_e2e_write(kernel->shell, line, strlen(line));
}

/**
 * kd_e2e_kernel_ask:
 * @command: one line
 *
 * Runs a command in the machine.
 *
 * Returns: (transfer full): what it has said
 */
char *
kd_e2e_kernel_ask(KdE2eKernel *kernel, const char *command)
{
    g_autofree char *begin = g_strdup_printf("<answer %u begins>", ++kernel->n_asked);
    g_autofree char *end = g_strdup_printf("<answer %u ends>", kernel->n_asked);
    g_autofree char *line = g_strdup_printf("echo '%s'; %s; echo '%s'", begin, command, end);
    gsize start;

    kd_e2e_kernel_tell(kernel, line);
    await_shell(kernel, begin);
    start = kernel->shell_seen;
    await_shell(kernel, end);
    return g_strstrip(
        g_strndup(kernel->shell_said->str + start, kernel->shell_seen - strlen(end) - start));
}

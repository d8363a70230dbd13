/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The debugger that kd has started. */
#include "kd-child.h"

#include <signal.h>
#include <string.h>

#define KILL_AFTER_S    3u
#define SIGNALLED_SHIFT 128

/**
 * KdChild:
 * @waiting: cancels the waiting
 * @kill_id: the debugger was asked to end, 0 = was not
 */
struct KdChild {
    GSubprocess *process;
    GCancellable *waiting;
    KdChildFunc ended;
    void *user;
    guint kill_id;
};

static void
on_exited(GObject *source, GAsyncResult *result, gpointer data)
{
    GSubprocess *process = G_SUBPROCESS(source);
    KdChild *child = data;
    g_autoptr(GError) error = NULL;
    int status = 1;

    if (!g_subprocess_wait_finish(process, result, &error)) {
        return; /* cancelled: there is no child any more */
    }
    g_clear_handle_id(&child->kill_id, g_source_remove);
    if (g_subprocess_get_if_exited(process)) {
        status = g_subprocess_get_exit_status(process);
    } else if (g_subprocess_get_if_signaled(process)) {
        status = SIGNALLED_SHIFT + g_subprocess_get_term_sig(process);
    }
    child->ended(status, child->user);
}

/* Between fork and exec. The terminal sends CTRL+\ to both, and it is meant for us. */
static void
on_child_setup(gpointer data)
{
    (void)data;
    (void)signal(SIGQUIT, SIG_IGN);
}

/**
 * kd_child_new:
 * @argv: (array zero-terminated=1): program and arguments
 * @environment: (array zero-terminated=1): `NAME=value`, beside what we have
 * @ended: called once
 * @user: for @ended
 * @error: return location
 *
 * Starts a debugger on our own terminal.
 *
 * Returns: (transfer full): the debugger, or %NULL with an error of %G_SPAWN_ERROR
 */
KdChild *
kd_child_new(const char *const *argv, char *const *environment, KdChildFunc ended, void *user,
             GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_INHERIT);
    g_autoptr(GSubprocess) process = NULL;
    KdChild *child;

    g_subprocess_launcher_set_child_setup(launcher, on_child_setup, NULL, NULL);
    for (; *environment != NULL; environment++) {
        g_auto(GStrv) pair = g_strsplit(*environment, "=", 2);

        if (pair[0] != NULL && pair[1] != NULL && *pair[0] != '\0') {
            g_subprocess_launcher_setenv(launcher, pair[0], pair[1], TRUE);
        }
    }
    process = g_subprocess_launcher_spawnv(launcher, argv, error);
    if (process == NULL) {
        g_prefix_error(error, "%s: ", argv[0]);
        return NULL;
    }
    child = g_new0(KdChild, 1);
    child->process = g_steal_pointer(&process);
    child->waiting = g_cancellable_new();
    child->ended = ended;
    child->user = user;
    g_subprocess_wait_async(child->process, child->waiting, on_exited, child);
    return child;
}

/**
 * kd_child_free:
 * @child: (nullable): a debugger
 *
 * Lets go of it. One that still runs is told nothing.
 */
void
kd_child_free(KdChild *child)
{
    if (child == NULL) {
        return;
    }
    g_clear_handle_id(&child->kill_id, g_source_remove);
    g_cancellable_cancel(child->waiting);
    g_object_unref(child->waiting);
    g_object_unref(child->process);
    g_free(child);
}

static gboolean
on_kill_time(gpointer data)
{
    KdChild *child = data;

    child->kill_id = 0;
    g_subprocess_force_exit(child->process);
    return G_SOURCE_REMOVE;
}

/**
 * kd_child_terminate:
 * @child: a debugger
 *
 * Asks it to end, and 3 s later makes it: GDB does not listen while it waits for a remote.
 */
void
kd_child_terminate(KdChild *child)
{
    if (child->kill_id != 0) {
        return;
    }
    g_subprocess_send_signal(child->process, SIGTERM);
    child->kill_id = g_timeout_add_seconds(KILL_AFTER_S, on_kill_time, child);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders for pipes that hide the machine's own, and calls of a transport for pipes. */
#include "kd-test-pipes.h"

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_FOLDER "/run/kdsrv/pipe"
#define NOBODY        65534u

static int
on_file(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void
remove_all(const char *folder)
{
    (void)nftw(folder, on_file, 8, FTW_DEPTH | FTW_PHYS);
}

/* For root: a /run that only this process has. */
static gboolean
hide_run(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0;
}

/**
 * kd_test_pipes_set_up:
 *
 * Lets the pipes of this process be in folders of its own. Root that may not mount becomes nobody.
 */
void
kd_test_pipes_set_up(KdTestPipes *pipes, gconstpointer unused)
{
    static gboolean is_hidden;
    g_autoptr(GError) error = NULL;
    (void)unused;
    pipes->home = g_dir_make_tmp("kd-pipes-XXXXXX", &error);
    g_assert_no_error(error);
    if (geteuid() == 0 && !is_hidden) {
        is_hidden = hide_run();
        if (!is_hidden) {
            g_assert_cmpint(chown(pipes->home, NOBODY, (gid_t)-1), ==, 0);
            g_assert_cmpint(seteuid(NOBODY), ==, 0);
        }
    }
    if (geteuid() != 0) {
        g_setenv("XDG_RUNTIME_DIR", pipes->home, TRUE);
        pipes->folder = g_build_filename(pipes->home, "kdsrv", "pipe", NULL);
    } else {
        g_unsetenv("XDG_RUNTIME_DIR");
        pipes->folder = g_strdup(SYSTEM_FOLDER);
    }
}

/**
 * kd_test_pipes_tear_down:
 *
 * Removes the folders.
 */
void
kd_test_pipes_tear_down(KdTestPipes *pipes, gconstpointer unused)
{
    (void)unused;
    if (strcmp(pipes->folder, SYSTEM_FOLDER) == 0)
        remove_all("/run/kdsrv");
    remove_all(pipes->home);
    g_free(pipes->folder);
    g_free(pipes->home);
}

/**
 * kd_test_pipes_make_folder:
 *
 * Makes the folder as a server would.
 */
void
kd_test_pipes_make_folder(const KdTestPipes *pipes)
{
    g_assert_cmpint(g_mkdir_with_parents(pipes->folder, 0700), ==, 0);
}

/**
 * kd_test_pipes_build_path:
 *
 * Returns: (transfer full): where a pipe is
 */
char *
kd_test_pipes_build_path(const KdTestPipes *pipes, const char *name)
{
    return g_build_filename(pipes->folder, name, NULL);
}

static GVariant *
build_params(const char *server, const char *name)
{
    GVariantDict params;
    g_variant_dict_init(&params, NULL);
    g_variant_dict_insert(&params, "pipe", "s", name);
    if (server != NULL)
        g_variant_dict_insert(&params, "server", "s", server);
    return g_variant_ref_sink(g_variant_dict_end(&params));
}

/**
 * kd_test_pipes_listen:
 *
 * Listens, and waits for that.
 */
gboolean
kd_test_pipes_listen(const KdTransport *transport, const char *name, KdListening *listening,
                     GError **error)
{
    g_autoptr(GVariant) params = build_params(NULL, name);
    KdTestDone done = {0};
    transport->listen_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    *listening = (KdListening){.struct_size = sizeof(*listening)};
    return transport->listen_finish(result, listening, error);
}

/**
 * kd_test_pipes_unlisten:
 *
 * Does as a host does that listens no more.
 */
void
kd_test_pipes_unlisten(const KdTransport *transport, KdListening *listening)
{
    for (uint32_t i = 0; i < listening->n_fds; i++)
        close(listening->fds[i]);
    transport->unlisten(listening->listener);
    g_clear_object(&listening->listener);
    g_clear_pointer(&listening->bound, g_variant_unref);
}

/**
 * kd_test_pipes_connect:
 *
 * Dials, and waits for the outcome.
 */
gboolean
kd_test_pipes_connect(const KdTransport *transport, const char *server, const char *name,
                      KdEndpoint *endpoint, GError **error)
{
    g_autoptr(GVariant) params = build_params(server, name);
    KdTestDone done = {0};
    transport->connect_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    *endpoint = (KdEndpoint){.struct_size = sizeof(*endpoint), .fd = -1};
    return transport->connect_finish(result, endpoint, error);
}

/**
 * kd_test_pipes_close:
 *
 * Closes what was dialled.
 */
void
kd_test_pipes_close(KdEndpoint *endpoint)
{
    close(endpoint->fd);
    endpoint->fd = -1;
    g_clear_pointer(&endpoint->facts, g_variant_unref);
}

/**
 * kd_test_pipes_is_reached:
 *
 * Returns: whether a client gets to a pipe of this machine
 */
gboolean
kd_test_pipes_is_reached(const KdTransport *transport, const char *name)
{
    KdEndpoint endpoint;
    if (!kd_test_pipes_connect(transport, ".", name, &endpoint, NULL))
        return FALSE;
    kd_test_pipes_close(&endpoint);
    return TRUE;
}

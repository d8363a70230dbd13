/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One try to open what a com string names, whatever that is just now: a VM may offer a socket or a
 * terminal, and an adapter's name may be another one's since it was pulled out. */
#include "serial-opening.h"

#include "serial-owner.h"

#include <kdsrv-support/kd-dial.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What is under way, as the task's data */
typedef struct {
    const KdHost *host;
    const SerialPlan *plan;
    const SerialAdapter *adapter;
    int path_fd;
    GError *busy; /* (nullable): found by opening, not yet said by whom */
} Opening;

static void
opening_free(gpointer data)
{
    Opening *opening = data;
    if (opening->path_fd >= 0) {
        close(opening->path_fd);
    }
    g_clear_error(&opening->busy);
    g_free(opening);
}

/**
 * serial_opened_free:
 * @opened: (transfer full) (nullable)
 *
 * Closes what it holds still.
 */
void
serial_opened_free(SerialOpened *opened)
{
    if (opened == NULL) {
        return;
    }
    g_clear_pointer(&opened->line, serial_line_free);
    if (opened->fd >= 0) {
        close(opened->fd);
    }
    g_free(opened);
}

static void
return_opened(GTask *task, int fd, SerialLine *line)
{
    SerialOpened *opened = g_new0(SerialOpened, 1);
    opened->fd = fd;
    opened->line = line;
    g_task_return_pointer(task, opened, (GDestroyNotify)serial_opened_free);
}

static void
on_dialled(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    GError *error = NULL;
    (void)source;
    int fd = kd_dial_finish(result, &error);
    if (fd >= 0) {
        return_opened(task, fd, NULL);
    } else {
        g_task_return_error(task, error);
    }
}

/* ---- terminals ------------------------------------------------------------------------------- */

static GError *
build_busy(const Opening *opening, const char *owner)
{
    return g_error_new(KD_ERROR, KD_ERROR_BUSY, "%s is in use by %s", opening->plan->name, owner);
}

static void
on_rival_named(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    Opening *opening = g_task_get_task_data(task);
    g_autofree char *owner = NULL;
    GError *error = NULL;
    (void)source;
    if (!serial_owner_find_finish(result, &owner, &error)) {
        g_task_return_error(task, error);
    } else if (owner != NULL) {
        g_task_return_error(task, build_busy(opening, owner));
    } else {
        g_task_return_error(task, g_steal_pointer(&opening->busy));
    }
}

/* What the string wants of the modem lines */
static gboolean
set_policy(SerialLine *line, const SerialPlan *plan, GError **error)
{
    g_autoptr(GError) own = NULL;
    uint32_t lines = 0;
    if ((plan->lines_mask == 0 ||
         serial_line_set_modem(line, plan->lines_mask, plan->lines_value, &own)) &&
        (!plan->has_modem || serial_line_get_modem(line, &lines, &own))) {
        return TRUE;
    }
    if (g_error_matches(own, KD_ERROR, KD_ERROR_NOT_SUPPORTED)) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s, which %s needs", own->message,
                    plan->has_modem ? "modem" : "dtr= or rts=");
    } else {
        g_propagate_error(error, g_steal_pointer(&own));
    }
    return FALSE;
}

static void
open_line(GTask *task)
{
    Opening *opening = g_task_get_task_data(task);
    const SerialPlan *plan = opening->plan;
    GError *error = NULL;
    /* What a VM shows as a terminal has no speed of its own. */
    uint32_t baud = plan->kind == SERIAL_LINE ? plan->baud : 0;
    g_autoptr(SerialLine) line = serial_line_open(opening->path_fd, plan->name, baud, &error);
    int fd = line != NULL && set_policy(line, plan, &error) ? serial_line_dup_fd(line, &error) : -1;
    if (fd >= 0) {
        return_opened(task, fd, g_steal_pointer(&line));
    } else if (g_error_matches(error, KD_ERROR, KD_ERROR_BUSY)) {
        opening->busy = error;
        serial_owner_find_async(opening->path_fd, g_task_get_cancellable(task), on_rival_named,
                                g_object_ref(task));
    } else {
        g_task_return_error(task, error);
    }
}

static void
on_owner_found(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    g_autofree char *owner = NULL;
    GError *error = NULL;
    (void)source;
    if (!serial_owner_find_finish(result, &owner, &error)) {
        g_task_return_error(task, error);
    } else if (owner != NULL) {
        g_task_return_error(task, build_busy(g_task_get_task_data(task), owner));
    } else {
        open_line(task);
    }
}

/* Whether the kernel says of a device that it is something else than a terminal. Of ptys, and where
 * sysfs is missing, it says nothing. */
static gboolean
is_other_device(dev_t device)
{
    g_autofree char *link =
        g_strdup_printf("/sys/dev/char/%u:%u/subsystem", major(device), minor(device));
    g_autofree char *target = g_file_read_link(link, NULL);
    return target != NULL && !g_str_has_suffix(target, "/tty");
}

/* Opening raises DTR, and with it may reset the board that somebody else is working on: so whether
 * there is somebody is asked before. */
static void
look_at_terminal(GTask *task, dev_t device)
{
    Opening *opening = g_task_get_task_data(task);
    /* Opening would be too much already: it starts a watchdog, or rewinds a tape. */
    if (is_other_device(device)) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s is not a terminal",
                                opening->plan->name);
        return;
    }
    if (opening->adapter != NULL) {
        g_autoptr(SerialAdapter) found = serial_adapter_find(device);
        if (!serial_adapter_is_same(opening->adapter, found)) {
            g_task_return_new_error(
                task, KD_ERROR, KD_ERROR_LINK_LOST, "%s is another device now (%s instead of %s)",
                opening->plan->name, found != NULL ? serial_adapter_get_name(found) : "no adapter",
                serial_adapter_get_name(opening->adapter));
            return;
        }
    }
    serial_owner_find_async(opening->path_fd, g_task_get_cancellable(task), on_owner_found,
                            g_object_ref(task));
}

/* ---- whatever it is -------------------------------------------------------------------------- */

static void
open_path(GTask *task)
{
    Opening *opening = g_task_get_task_data(task);
    const SerialPlan *plan = opening->plan;
    GError *error = NULL;
    struct stat info = {0};
    opening->path_fd = opening->host->open_path(opening->host, plan->name, &error);
    if (opening->path_fd < 0) {
        g_task_return_error(task, error);
        return;
    }
    if (fstat(opening->path_fd, &info) == 0 && S_ISCHR(info.st_mode)) {
        look_at_terminal(task, info.st_rdev);
        return;
    }
    if (!S_ISSOCK(info.st_mode) || plan->kind != SERIAL_PIPE) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_PARAM_INVALID,
                                plan->kind == SERIAL_PIPE ? "%s is neither a socket nor a terminal"
                                                          : "%s is not a terminal",
                                plan->name);
        return;
    }
    /* The path leads through a descriptor, which lives as long as the dial may try again. */
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", opening->path_fd);
    kd_dial_path_as_async(path, plan->name, g_task_get_cancellable(task), on_dialled,
                          g_object_ref(task));
}

/**
 * serial_opening_async:
 * @plan: lives until it completes
 * @adapter: (nullable): the one that a terminal must be on; lives until it completes
 *
 * Tries once to open what @plan names, and sets a terminal up as it asks.
 */
void
serial_opening_async(const KdHost *host, const SerialPlan *plan, const SerialAdapter *adapter,
                     GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    Opening *opening = g_new0(Opening, 1);
    opening->host = host;
    opening->plan = plan;
    opening->adapter = adapter;
    opening->path_fd = -1;
    g_task_set_source_tag(task, serial_opening_async);
    g_task_set_task_data(task, opening, opening_free);
    if (plan->kind == SERIAL_IP) {
        kd_dial_host_async(host, plan->name, plan->ip_port, KD_FAMILY_ANY, TRUE, cancellable,
                           on_dialled, g_object_ref(task));
    } else {
        open_path(task);
    }
}

/**
 * serial_opening_finish:
 *
 * Returns: (transfer full) (nullable): errors a caller branches on: %G_IO_ERROR_NOT_FOUND (it may
 *    appear yet), %KD_ERROR_BUSY, %KD_ERROR_LINK_LOST (another adapter has the name),
 *    %KD_ERROR_POLICY
 */
SerialOpened *
serial_opening_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

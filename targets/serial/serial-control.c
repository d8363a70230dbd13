/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One control operation on an open terminal: speed, BREAK, modem lines, and what is unsent. */
#include "serial-control.h"

#include "serial-break.h"
#include "serial-params.h"
#include "serial-sending.h"
#include "serial-status.h"

#include <kdsrv-support/kd-source.h>

#include <sys/ioctl.h>

/* The modem lines of this end */
#define OUR_LINES ((uint32_t)(TIOCM_DTR | TIOCM_RTS))

struct SerialControl {
    SerialLine *line;
    SerialPlan *plan;
    uint32_t op;
    uint32_t baud;
    GTask *task;
    SerialControl **slot;
    GSource *cancel;        /* (nullable) */
    SerialBreak *brk;       /* (nullable) */
    SerialSending *sending; /* (nullable) */
};

/* Ends it, before its task returns: who is told may start the next one at once, or close the link.
 * Returns: (transfer full) */
static GTask *
control_end(SerialControl *control)
{
    GTask *task = control->task;
    kd_source_clear(&control->cancel);
    serial_break_free(control->brk);
    serial_sending_free(control->sending);
    *control->slot = NULL;
    g_free(control);
    return task;
}

static void
return_error(SerialControl *control, GError *error)
{
    g_autoptr(GTask) task = control_end(control);
    g_prefix_error(&error, "com: ");
    g_task_return_error(task, error);
}

static void
return_value(SerialControl *control, GVariant *value)
{
    g_autoptr(GTask) task = control_end(control);
    g_task_return_pointer(task, value != NULL ? g_variant_ref_sink(value) : NULL,
                          (GDestroyNotify)g_variant_unref);
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    (void)cancellable;
    serial_control_abort(user_data, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                        "the operation was cancelled"));
    return G_SOURCE_REMOVE;
}

/* ---- those that take time -------------------------------------------------------------------- */

static void
on_break_done(uint64_t dropped_bytes, GError *error, gpointer user_data)
{
    SerialControl *control = user_data;
    if (error != NULL) {
        return_error(control, error);
    } else {
        return_value(control, g_variant_new_uint64(dropped_bytes));
    }
}

static void
set_baud(SerialControl *control)
{
    GError *error = NULL;
    if (!serial_line_set_baud(control->line, control->baud, &error)) {
        return_error(control, error);
        return;
    }
    uint32_t got = serial_line_get_baud(control->line);
    control->plan->baud = control->baud; /* also after reopening */
    return_value(control, g_variant_new_uint32(got != 0 ? got : control->baud));
}

static void
on_sent(uint32_t unsent_bytes, gpointer user_data)
{
    SerialControl *control = user_data;
    uint32_t limit_ms = serial_sending_get_limit_ms(control->sending);
    if (unsent_bytes > 0) {
        return_error(control,
                     g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                 "%s takes nothing: %u bytes are still unsent after %u.%u s (a "
                                 "purge drops them)",
                                 serial_line_get_name(control->line), unsent_bytes, limit_ms / 1000,
                                 limit_ms % 1000 / 100));
    } else if (control->op == KD_CONTROL_BAUD) {
        set_baud(control);
    } else {
        return_value(control, NULL);
    }
}

static void
start_baud(SerialControl *control, GVariant *arg)
{
    control->baud = g_variant_get_uint32(arg);
    if (control->plan->kind != SERIAL_LINE) {
        return_error(control, g_error_new(KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s has no speed",
                                          serial_line_get_name(control->line)));
    } else if (control->baud < SERIAL_BAUD_MIN || control->baud > SERIAL_BAUD_MAX) {
        return_error(control,
                     g_error_new(KD_ERROR, KD_ERROR_PARAM_INVALID, "baud=%u is not in %u..%u",
                                 control->baud, SERIAL_BAUD_MIN, SERIAL_BAUD_MAX));
    } else {
        control->sending = serial_sending_new(control->line, 0, on_sent, control);
    }
}

/* ---- those that do not ----------------------------------------------------------------------- */

static void
set_lines(SerialControl *control, GVariant *arg)
{
    uint32_t mask = 0;
    uint32_t value = 0;
    uint32_t lines = 0;
    GError *error = NULL;
    g_variant_get(arg, "(uu)", &mask, &value);
    if ((mask & ~OUR_LINES) != 0) {
        return_error(control,
                     g_error_new(KD_ERROR, KD_ERROR_PARAM_INVALID,
                                 "of the modem lines only DTR (0x%x) and RTS (0x%x) can "
                                 "be set, not 0x%x",
                                 (unsigned)TIOCM_DTR, (unsigned)TIOCM_RTS, mask & ~OUR_LINES));
        return;
    }
    if ((mask != 0 && !serial_line_set_modem(control->line, mask, value, &error)) ||
        !serial_line_get_modem(control->line, &lines, &error)) {
        return_error(control, error);
        return;
    }
    /* also after reopening */
    control->plan->lines_mask |= mask;
    control->plan->lines_value = (control->plan->lines_value & ~mask) | (value & mask);
    return_value(control, g_variant_new_uint32(lines));
}

/* The type of an operation's argument. Returns: (nullable): %NULL: it takes none */
static const GVariantType *
get_arg_type(uint32_t op)
{
    switch (op) {
    case KD_CONTROL_BREAK:
    case KD_CONTROL_BAUD:
        return G_VARIANT_TYPE_UINT32;
    case KD_CONTROL_LINES:
        return G_VARIANT_TYPE("(uu)");
    default:
        return NULL;
    }
}

static void
start(SerialControl *control, GVariant *arg)
{
    switch (control->op) {
    case KD_CONTROL_BREAK:
        control->brk =
            serial_break_new(control->line, g_variant_get_uint32(arg) != 0, on_break_done, control);
        break;
    case KD_CONTROL_BAUD:
        start_baud(control, arg);
        break;
    case KD_CONTROL_PURGE:
        return_value(control, g_variant_new_uint64(serial_line_purge(control->line)));
        break;
    case KD_CONTROL_STATUS:
        return_value(control, serial_status_build(control->line));
        break;
    case KD_CONTROL_LINES:
        set_lines(control, arg);
        break;
    case KD_CONTROL_DRAIN:
        control->sending = serial_sending_new(control->line, 0, on_sent, control);
        break;
    default:
        return_error(control,
                     g_error_new(KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                                 "a serial line has no control operation %u", control->op));
    }
}

/**
 * serial_control_get_offered:
 *
 * Returns: bit (1 << op) for each operation that can be done on the line
 */
uint32_t
serial_control_get_offered(const SerialLine *line, const SerialPlan *plan)
{
    uint32_t lines = 0;
    /* A driver without BREAK takes the order and does nothing: that can't be told before. */
    uint32_t offered = (1u << KD_CONTROL_BREAK) | (1u << KD_CONTROL_PURGE) |
                       (1u << KD_CONTROL_STATUS) | (1u << KD_CONTROL_DRAIN);
    if (plan->kind == SERIAL_LINE) {
        offered |= 1u << KD_CONTROL_BAUD;
    }
    if (serial_line_get_modem(line, &lines, NULL)) {
        offered |= 1u << KD_CONTROL_LINES;
    }
    return offered;
}

/**
 * serial_control_start:
 * @slot: (out): where the operation is while it is under way, %NULL again when it is over; @task
 *    keeps it alive
 * @line: outlives the operation
 * @plan: keeps what is changed for the next opening; outlives the operation
 * @arg: (nullable): as kd-plugin.h says
 * @task: (transfer full): gets the result, a #GVariant or %NULL
 *
 * Starts an operation; the task's cancellable ends it, and a BREAK with it.
 */
void
serial_control_start(SerialControl **slot, SerialLine *line, SerialPlan *plan, uint32_t op,
                     GVariant *arg, GTask *task)
{
    SerialControl *control = g_new0(SerialControl, 1);
    const GVariantType *type = get_arg_type(op);
    *slot = control;
    control->slot = slot;
    control->line = line;
    control->plan = plan;
    control->op = op;
    control->task = task;
    if (g_task_get_cancellable(task) != NULL) {
        control->cancel = g_cancellable_source_new(g_task_get_cancellable(task));
        g_source_set_callback(control->cancel, G_SOURCE_FUNC(on_cancelled), control, NULL);
        g_source_attach(control->cancel, g_task_get_context(task));
    }
    if (type != NULL && (arg == NULL || !g_variant_is_of_type(arg, type))) {
        return_error(control, g_error_new(KD_ERROR, KD_ERROR_PARAM_INVALID,
                                          "the argument of control operation %u is wrong", op));
        return;
    }
    start(control, arg);
}

/**
 * serial_control_abort:
 * @control: under way
 * @error: (transfer full): why
 *
 * Ends an operation, and a BREAK with it.
 */
void
serial_control_abort(SerialControl *control, GError *error)
{
    return_error(control, error);
}

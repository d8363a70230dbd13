/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking a device for its name, while it may already send packets. No I/O; time is given. */
#include "usb-bootstrap.h"

#include "usb-name.h"

#define ASK_US      (G_GINT64_CONSTANT(1000) * 1000)
#define ASK_LATE_US (G_GINT64_CONSTANT(5000) * 1000)
#define N_SOON      5u /* questions that follow each other quickly */

/* More is not kept: without an ACK a target sends a packet again. */
#define N_KEPT_PACKETS 16u

struct UsbBootstrap {
    gint64 due_us;
    guint n_asked;
    char *name;         /* (nullable) */
    GPtrArray *packets; /* GBytes */
};

static void
on_unref_bytes(gpointer bytes)
{
    g_bytes_unref(bytes);
}

/**
 * usb_bootstrap_new:
 *
 * Returns: (transfer full): one that has to ask at once
 */
UsbBootstrap *
usb_bootstrap_new(gint64 now_us)
{
    UsbBootstrap *bootstrap = g_new0(UsbBootstrap, 1);
    bootstrap->due_us = now_us;
    bootstrap->packets = g_ptr_array_new_with_free_func(on_unref_bytes);
    return bootstrap;
}

/**
 * usb_bootstrap_free:
 * @bootstrap: (transfer full) (nullable)
 */
void
usb_bootstrap_free(UsbBootstrap *bootstrap)
{
    if (bootstrap == NULL) {
        return;
    }
    g_free(bootstrap->name);
    g_ptr_array_unref(bootstrap->packets);
    g_free(bootstrap);
}

/**
 * usb_bootstrap_is_due:
 *
 * Returns: whether NAME? has to be sent now
 */
gboolean
usb_bootstrap_is_due(const UsbBootstrap *bootstrap, gint64 now_us)
{
    return bootstrap->name == NULL && now_us >= bootstrap->due_us;
}

/**
 * usb_bootstrap_asked:
 *
 * Notes that NAME? was sent, or could not be.
 */
void
usb_bootstrap_asked(UsbBootstrap *bootstrap, gint64 now_us)
{
    bootstrap->n_asked++;
    bootstrap->due_us = now_us + (bootstrap->n_asked < N_SOON ? ASK_US : ASK_LATE_US);
}

/**
 * usb_bootstrap_get_deadline_us:
 *
 * Returns: when to ask again; %G_MAXINT64: not any more
 */
gint64
usb_bootstrap_get_deadline_us(const UsbBootstrap *bootstrap)
{
    return bootstrap->name == NULL ? bootstrap->due_us : G_MAXINT64;
}

/**
 * usb_bootstrap_take:
 * @bytes: a whole transfer: the answer, or a packet that was sent before it or after it
 *
 * Takes what the device sends. Packets are kept for whoever gets the device.
 *
 * Returns: whether the name is known now, and was not before
 */
gboolean
usb_bootstrap_take(UsbBootstrap *bootstrap, const uint8_t *bytes, size_t len_bytes)
{
    if (!usb_name_is_answer(bytes, len_bytes)) {
        if (bootstrap->packets->len < N_KEPT_PACKETS) {
            g_ptr_array_add(bootstrap->packets, g_bytes_new(bytes, len_bytes));
        }
        return FALSE;
    }
    if (bootstrap->name != NULL) {
        return FALSE; /* the answer to a question asked again */
    }
    bootstrap->name = usb_name_parse_answer(bytes, len_bytes);
    return bootstrap->name != NULL;
}

/**
 * usb_bootstrap_get_name:
 *
 * Returns: (nullable): as the device has spelled it
 */
const char *
usb_bootstrap_get_name(const UsbBootstrap *bootstrap)
{
    return bootstrap->name;
}

/**
 * usb_bootstrap_get_n_asked:
 *
 * Returns: how often NAME? was sent
 */
guint
usb_bootstrap_get_n_asked(const UsbBootstrap *bootstrap)
{
    return bootstrap->n_asked;
}

/**
 * usb_bootstrap_steal_packets:
 *
 * Returns: (transfer full) (element-type GBytes): what came beside the answer, in its order
 */
GPtrArray *
usb_bootstrap_steal_packets(UsbBootstrap *bootstrap)
{
    GPtrArray *packets = bootstrap->packets;
    bootstrap->packets = g_ptr_array_new_with_free_func(on_unref_bytes);
    return packets;
}

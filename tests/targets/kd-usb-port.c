/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the place of kd-link-port in tests of the carrier alone. */
#include "kd-usb-port.h"

struct KdLinkPort {
    KdLinkPortFuncs funcs;
    void *user;
};

KdUsbPort kd_usb_port;

static void
on_unref_bytes(gpointer bytes)
{
    g_bytes_unref(bytes);
}

/**
 * kd_usb_port_start:
 *
 * Begins to take notes.
 */
void
kd_usb_port_start(void)
{
    kd_usb_port = (KdUsbPort){.events = g_string_new(NULL),
                              .notes = g_string_new(NULL),
                              .packets = g_ptr_array_new_with_free_func(on_unref_bytes)};
}

/**
 * kd_usb_port_stop:
 *
 * Frees them; no link may be open.
 */
void
kd_usb_port_stop(void)
{
    g_assert_null(kd_usb_port.port);
    g_string_free(kd_usb_port.events, TRUE);
    g_string_free(kd_usb_port.notes, TRUE);
    g_ptr_array_unref(kd_usb_port.packets);
}

/**
 * kd_usb_port_send:
 *
 * Sends a packet, as the link layer would.
 */
gboolean
kd_usb_port_send(const void *bytes, size_t len_bytes)
{
    return kd_usb_port.port->funcs.send(bytes, len_bytes, kd_usb_port.port->user);
}

KdLinkPort *
kd_link_port_new(KdDialect dialect, const KdSink *sink, const KdLinkPortFuncs *funcs, void *user)
{
    KdLinkPort *port = g_new0(KdLinkPort, 1);
    (void)sink;
    g_assert_cmpint(dialect, ==, KD_DIALECT_USB);
    port->funcs = *funcs;
    port->user = user;
    kd_usb_port.port = port;
    return port;
}

void
kd_link_port_free(KdLinkPort *port)
{
    if (kd_usb_port.port == port)
        kd_usb_port.port = NULL;
    g_free(port);
}

void
kd_link_port_give(KdLinkPort *port, KdEndpoint *endpoint, const char *peer)
{
    (void)port;
    endpoint->facts = g_variant_ref_sink(g_variant_new_parsed("{'peer': <%s>}", peer));
}

gboolean
kd_link_port_receive(KdLinkPort *port, const uint8_t *bytes, size_t len_bytes)
{
    (void)port;
    g_ptr_array_add(kd_usb_port.packets, g_bytes_new(bytes, len_bytes));
    return TRUE;
}

void
kd_link_port_ready(KdLinkPort *port)
{
    (void)port;
    kd_usb_port.n_ready++;
}

void
kd_link_port_set_present(KdLinkPort *port, gboolean is_present)
{
    (void)port;
    g_string_append(kd_usb_port.events, is_present ? "present " : "absent ");
}

void
kd_link_port_restarted(KdLinkPort *port)
{
    (void)port;
    g_string_append(kd_usb_port.events, "restarted ");
}

void
kd_link_port_note(KdLinkPort *port, const char *format, ...)
{
    va_list args;
    (void)port;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    for (const char *at = text; *at != '\0'; at++)
        g_assert_true(g_ascii_isprint(*at));
    g_test_message("note: %s", text);
    g_string_append_printf(kd_usb_port.notes, "%s\n", text);
}

void
kd_link_port_fail(KdLinkPort *port, int error)
{
    (void)port, (void)error;
    g_assert_not_reached();
}

void
kd_link_port_control(KdLinkPort *port, uint32_t op, GVariant *arg, GVariantDict *status,
                     GTask *task)
{
    (void)port, (void)arg, (void)op;
    g_task_return_pointer(task, g_variant_ref_sink(g_variant_dict_end(status)),
                          (GDestroyNotify)g_variant_unref);
}

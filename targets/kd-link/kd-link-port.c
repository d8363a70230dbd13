/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's side of a kdnet, usb or 1394 link: a link layer with its stream, its clock and its
 * events. */
#include "kd-link-port.h"

#include <kdsrv-support/kd-ring-stream.h>

#include <errno.h>

#define RING_BYTES (64u * 1024u)

struct KdLinkPort {
    const KdSink *sink;
    KdLinkPortFuncs funcs;
    void *user;
    KdRingStream *stream;
    gboolean is_given;
};

KdLinkPort *
kd_link_port_new(KdDialect dialect, const KdSink *sink, const KdLinkPortFuncs *funcs, void *user)
{
    KdLinkPort *port = g_new0(KdLinkPort, 1);

    (void)dialect;
    port->sink = sink;
    port->funcs = *funcs;
    port->user = user;
    port->stream = kd_ring_stream_new(RING_BYTES, RING_BYTES, NULL, port);
    return port;
}

void
kd_link_port_free(KdLinkPort *port)
{
    if (port == NULL) {
        return;
    }
    if (port->is_given) {
        kd_ring_stream_detach(port->stream);
    } else {
        kd_ring_stream_free(port->stream);
    }
    g_free(port);
}

void
kd_link_port_give(KdLinkPort *port, KdEndpoint *endpoint, const char *peer)
{
    GVariantDict facts;

    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    g_variant_dict_insert(&facts, "dialect", "s", "kdcom");
    g_variant_dict_insert(&facts, "controls", "u", (guint32)KD_LINK_PORT_CONTROLS);
    port->is_given = TRUE;
    kd_ring_stream_give(port->stream, endpoint, KD_ENDPOINT_KEEP, g_variant_dict_end(&facts));
}

gboolean
kd_link_port_receive(KdLinkPort *port, const uint8_t *bytes, size_t len_bytes)
{
    (void)port, (void)bytes, (void)len_bytes;
    return TRUE;
}

void
kd_link_port_ready(KdLinkPort *port)
{
    (void)port;
}

void
kd_link_port_set_present(KdLinkPort *port, gboolean is_present)
{
    port->sink->event(port->sink->user, is_present ? KD_EVENT_BACK : KD_EVENT_LOST, NULL);
}

void
kd_link_port_restarted(KdLinkPort *port)
{
    port->sink->event(port->sink->user, KD_EVENT_RESYNC, NULL);
}

void
kd_link_port_note(KdLinkPort *port, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    port->sink->event(port->sink->user, KD_EVENT_NOTE, g_variant_new_string(text));
}

void
kd_link_port_fail(KdLinkPort *port, int error)
{
    kd_ring_stream_end(port->stream, error);
}

void
kd_link_port_control(KdLinkPort *port, uint32_t op, GVariant *arg, GVariantDict *status,
                     GTask *task)
{
    (void)port, (void)arg, (void)status;
    g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "control %u is not made yet",
                            (unsigned)op);
}

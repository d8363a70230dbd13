/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transfers of a USB debug cable: the five bytes that ask for a name, and packets. */
#include "kd-sim-usb.h"

#include <string.h>

#define QUESTION "NAME?"

struct KdSimUsb {
    KdSimLink *link;
    KdSimSend send;
    void *user;
    char *answer;
    size_t answer_bytes; /* with both NULs */
    gboolean is_name_late;
    gboolean is_answer_due;
    uint64_t n_names;
};

static void
answer(KdSimUsb *usb)
{
    usb->is_answer_due = FALSE;
    usb->n_names++;
    (void)usb->send((const uint8_t *)usb->answer, usb->answer_bytes, usb->user);
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdSimUsb *usb = user;
    gboolean is_taken = usb->send(bytes, len_bytes, usb->user);
    if (usb->is_answer_due)
        answer(usb);
    return is_taken;
}

/**
 * kd_sim_usb_new:
 * @machine: borrowed; from now on this is its link
 * @options: (nullable):
 * @send: takes one transfer
 */
KdSimUsb *
kd_sim_usb_new(KdSimMachine *machine, const KdSimUsbOptions *options, KdSimSend send, void *user)
{
    KdSimUsb *usb = g_new0(KdSimUsb, 1);
    const char *name = options != NULL && options->name != NULL ? options->name : "KDSIM";
    usb->send = send;
    usb->user = user;
    usb->is_name_late = options != NULL && options->is_name_late;
    usb->answer = g_strdup_printf("NAME=%s%c", name, '\0');
    usb->answer_bytes = strlen("NAME=") + strlen(name) + 2;
    KdSimLinkOptions link = {0};
    if (options != NULL) {
        link = options->link;
        link.reboot = NULL;
    }
    usb->link = kd_sim_link_new(KD_SIM_DIALECT_USB, machine, &link, on_send, usb);
    return usb;
}

/**
 * kd_sim_usb_free:
 *
 * The machine stays, and may not be given anything to do any more.
 */
void
kd_sim_usb_free(KdSimUsb *usb)
{
    kd_sim_link_free(usb->link);
    g_free(usb->answer);
    g_free(usb);
}

/**
 * kd_sim_usb_receive:
 * @bytes: one bulk OUT transfer; an empty one means nothing
 */
void
kd_sim_usb_receive(KdSimUsb *usb, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    if (len_bytes == 0)
        return;
    if (len_bytes != strlen(QUESTION) || memcmp(bytes, QUESTION, len_bytes) != 0)
        kd_sim_link_receive(usb->link, bytes, len_bytes, now_us);
    else if (usb->is_name_late && usb->n_names == 0)
        usb->is_answer_due = TRUE;
    else
        answer(usb);
}

/**
 * kd_sim_usb_get_deadline_us:
 *
 * Returns: when kd_sim_usb_tick() has to be called; -1: never
 */
gint64
kd_sim_usb_get_deadline_us(const KdSimUsb *usb)
{
    return kd_sim_link_get_deadline_us(usb->link);
}

/**
 * kd_sim_usb_tick:
 *
 * Does what is due.
 */
void
kd_sim_usb_tick(KdSimUsb *usb, gint64 now_us)
{
    kd_sim_link_tick(usb->link, now_us);
}

/**
 * kd_sim_usb_get_link:
 *
 * Returns: (transfer none):
 */
KdSimLink *
kd_sim_usb_get_link(KdSimUsb *usb)
{
    return usb->link;
}

/**
 * kd_sim_usb_get_n_names:
 *
 * Returns: how often the name was told
 */
uint64_t
kd_sim_usb_get_n_names(const KdSimUsb *usb)
{
    return usb->n_names;
}

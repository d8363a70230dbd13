/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts machine, dialect and faults together, and counts for people. */
#include "kd-sim-target.h"

#include <string.h>

struct KdSimTarget {
    KdSimTargetOptions options;
    char *name;
    KdSimMachine *machine;
    KdSimFaults *faults;
    /* one of these */
    KdSimLink *serial;
    KdSimUsb *usb;
    KdSimNet *net;
    KdSimMailbox *mailbox;

    KdSimTargetSend send;
    void *user;
    gint64 now_us; /* of the call that is going on */
};

/* ---- the way out: dialect, faults, carrier; the way in: carrier, faults, dialect ---- */

static void
deliver_in(KdSimTarget *target, const uint8_t *bytes, size_t len_bytes, const KdSimPeer *peer)
{
    if (target->net != NULL)
        kd_sim_net_receive(target->net, bytes, len_bytes, peer, target->now_us);
    else if (target->usb != NULL)
        kd_sim_usb_receive(target->usb, bytes, len_bytes, target->now_us);
    else if (target->serial != NULL)
        kd_sim_link_receive(target->serial, bytes, len_bytes, target->now_us);
}

static gboolean
on_deliver(KdSimWay way, const uint8_t *bytes, size_t len_bytes, const KdSimPeer *peer, void *user)
{
    KdSimTarget *target = user;
    if (way == KD_SIM_WAY_OUT)
        return target->send != NULL && target->send(bytes, len_bytes, peer, target->user);
    deliver_in(target, bytes, len_bytes, peer);
    return TRUE;
}

static gboolean
on_net_send(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to, void *user)
{
    KdSimTarget *target = user;
    return kd_sim_faults_pass(target->faults, KD_SIM_WAY_OUT, bytes, len_bytes, to, target->now_us);
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, void *user)
{
    return on_net_send(bytes, len_bytes, NULL, user);
}

static gboolean
make_dialect(KdSimTarget *target, GError **error)
{
    const KdSimTargetOptions *options = &target->options;
    const KdSimLinkOptions link = {.retry_ms = options->retry_ms,
                                   .is_traced = options->is_traced,
                                   .is_break_in_kept = options->is_break_in_kept};
    const KdSimUsbOptions usb = {
        .link = link, .name = options->name, .is_name_late = options->is_name_late};
    const KdSimNetOptions net = {
        .link = link,
        .key = options->key,
        .version = options->version != 0 ? options->version : 5,
        .poke_ms = options->poke_ms,
        .seed = options->seed,
        .host = options->host,
        .own = options->own,
    };
    switch (options->dialect) {
    case KD_SIM_DIALECT_NET:
        target->net = kd_sim_net_new(target->machine, &net, on_net_send, target, error);
        return target->net != NULL;
    case KD_SIM_DIALECT_USB:
        target->usb = kd_sim_usb_new(target->machine, &usb, on_send, target);
        return TRUE;
    case KD_SIM_DIALECT_1394:
        target->mailbox = kd_sim_mailbox_new(target->machine, &link, options->channel);
        return TRUE;
    case KD_SIM_DIALECT_SERIAL:
    default:
        target->serial =
            kd_sim_link_new(KD_SIM_DIALECT_SERIAL, target->machine, &link, on_send, target);
        return TRUE;
    }
}

/**
 * kd_sim_target_new:
 * @options: read here
 *
 * Makes a target that is off, for kd_sim_target_boot().
 *
 * Returns: (transfer full) (nullable): %NULL: the key is none
 */
KdSimTarget *
kd_sim_target_new(const KdSimTargetOptions *options, GError **error)
{
    g_autoptr(KdSimTarget) target = g_new0(KdSimTarget, 1);
    const gboolean is_net = options->dialect == KD_SIM_DIALECT_NET;
    const KdSimMachineOptions machine = {
        .read_max_bytes = is_net ? KD_SIM_NET_READ_MAX_BYTES : 0,
        .build = options->build,
        .boot_us = 1000 * (gint64)options->boot_ms,
        .is_run_at_boot = options->is_run_at_boot,
    };
    target->options = *options;
    target->name = g_strdup(options->name);
    target->options.name = target->name;
    target->machine = kd_sim_machine_new(&machine);
    target->faults = kd_sim_faults_new(options->seed, options->dialect == KD_SIM_DIALECT_SERIAL,
                                       on_deliver, target);
    kd_sim_faults_set(target->faults, &options->faults);
    if (!make_dialect(target, error))
        return NULL;
    target->options.key = NULL;
    return g_steal_pointer(&target);
}

/**
 * kd_sim_target_free:
 *
 * The carrier must have gone before.
 */
void
kd_sim_target_free(KdSimTarget *target)
{
    g_clear_pointer(&target->serial, kd_sim_link_free);
    g_clear_pointer(&target->usb, kd_sim_usb_free);
    g_clear_pointer(&target->net, kd_sim_net_free);
    g_clear_pointer(&target->mailbox, kd_sim_mailbox_free);
    kd_sim_faults_free(target->faults);
    kd_sim_machine_free(target->machine);
    g_free(target->name);
    g_free(target);
}

/**
 * kd_sim_target_set_send:
 * @send: (nullable): %NULL: nothing carries what the target says
 *
 * Connects a carrier.
 */
void
kd_sim_target_set_send(KdSimTarget *target, KdSimTargetSend send, void *user)
{
    target->send = send;
    target->user = user;
}

/**
 * kd_sim_target_boot:
 *
 * Switches the machine on.
 */
void
kd_sim_target_boot(KdSimTarget *target, gint64 now_us)
{
    target->now_us = now_us;
    kd_sim_machine_boot(target->machine, now_us);
}

/**
 * kd_sim_target_receive:
 * @bytes: of a stream, or one datagram or transfer; 1394 has kd_sim_target_get_mailbox() instead
 * @from: (nullable): of a datagram
 *
 * Takes what a carrier has from the host.
 */
void
kd_sim_target_receive(KdSimTarget *target, const uint8_t *bytes, size_t len_bytes,
                      const KdSimPeer *from, gint64 now_us)
{
    target->now_us = now_us;
    (void)kd_sim_faults_pass(target->faults, KD_SIM_WAY_IN, bytes, len_bytes, from, now_us);
}

static gint64
get_dialect_deadline_us(const KdSimTarget *target)
{
    if (target->net != NULL)
        return kd_sim_net_get_deadline_us(target->net);
    if (target->usb != NULL)
        return kd_sim_usb_get_deadline_us(target->usb);
    if (target->mailbox != NULL)
        return kd_sim_mailbox_get_deadline_us(target->mailbox);
    return kd_sim_link_get_deadline_us(target->serial);
}

/**
 * kd_sim_target_get_deadline_us:
 *
 * Returns: when kd_sim_target_tick() has to be called; -1: never
 */
gint64
kd_sim_target_get_deadline_us(const KdSimTarget *target)
{
    gint64 deadline_us = get_dialect_deadline_us(target);
    gint64 fault_us = kd_sim_faults_get_deadline_us(target->faults);
    if (fault_us >= 0 && (deadline_us < 0 || fault_us < deadline_us))
        deadline_us = fault_us;
    return deadline_us;
}

/**
 * kd_sim_target_tick:
 *
 * Does what is due.
 */
void
kd_sim_target_tick(KdSimTarget *target, gint64 now_us)
{
    target->now_us = now_us;
    kd_sim_faults_tick(target->faults, now_us);
    if (target->net != NULL)
        kd_sim_net_tick(target->net, now_us);
    else if (target->usb != NULL)
        kd_sim_usb_tick(target->usb, now_us);
    else if (target->mailbox != NULL)
        kd_sim_mailbox_tick(target->mailbox, now_us);
    else
        kd_sim_link_tick(target->serial, now_us);
}

/**
 * kd_sim_target_get_options:
 *
 * Returns: (transfer none): without the key
 */
const KdSimTargetOptions *
kd_sim_target_get_options(const KdSimTarget *target)
{
    return &target->options;
}

/**
 * kd_sim_target_get_machine:
 *
 * Returns: (transfer none): for orders see kd_sim_control_order()
 */
KdSimMachine *
kd_sim_target_get_machine(KdSimTarget *target)
{
    return target->machine;
}

/**
 * kd_sim_target_get_faults:
 *
 * Returns: (transfer none):
 */
KdSimFaults *
kd_sim_target_get_faults(KdSimTarget *target)
{
    return target->faults;
}

/**
 * kd_sim_target_get_mailbox:
 *
 * Returns: (transfer none) (nullable): with 1394 alone
 */
KdSimMailbox *
kd_sim_target_get_mailbox(KdSimTarget *target)
{
    return target->mailbox;
}

/**
 * kd_sim_target_get_net:
 *
 * Returns: (transfer none) (nullable): with KDNET alone
 */
KdSimNet *
kd_sim_target_get_net(KdSimTarget *target)
{
    return target->net;
}

/* ---- counters ---- */

typedef enum {
    STAT_MACHINE,
    STAT_LINK,
    STAT_NET,
    STAT_MAILBOX,
    STAT_FAULTS,
} StatKind;

#define MACHINE(name, field)                                  \
    {                                                         \
        name, STAT_MACHINE, offsetof(KdSimMachineStat, field) \
    }
#define LINK(name, field)                               \
    {                                                   \
        name, STAT_LINK, offsetof(KdSimLinkStat, field) \
    }
#define NET(name, field)                              \
    {                                                 \
        name, STAT_NET, offsetof(KdSimNetStat, field) \
    }
#define MAILBOX(name, field)                                  \
    {                                                         \
        name, STAT_MAILBOX, offsetof(KdSimMailboxStat, field) \
    }
#define FAULT(name, field)                                 \
    {                                                      \
        name, STAT_FAULTS, offsetof(KdSimFaultStat, field) \
    }

static const struct {
    const char *name;
    StatKind kind;
    size_t offset;
} counters[] = {
    MACHINE("prints", prints),
    MACHINE("acked", acked),
    MACHINE("taken", taken),
    MACHINE("gave-up", gave_up),
    MACHINE("unheard", unheard),
    MACHINE("requests", requests),
    MACHINE("reads", reads),
    MACHINE("writes", writes),
    MACHINE("refused", refused),
    MACHINE("state-changes", state_changes),
    MACHINE("exceptions", exceptions),
    MACHINE("breakpoints", breakpoints),
    MACHINE("break-ins", break_ins),
    MACHINE("continues", continues),
    MACHINE("load-symbols", load_symbols),
    MACHINE("strings", strings),
    MACHINE("files", files),
    MACHINE("file-status", file_status),
    MACHINE("boots", boots),
    LINK("resets", resets),
    LINK("packets-in", packets_in),
    LINK("packets-out", packets_out),
    LINK("acks-in", acks_in),
    LINK("acks-out", acks_out),
    LINK("resends-in", resends_in),
    LINK("resends-out", resends_out),
    LINK("retransmissions", retransmissions),
    LINK("duplicates", duplicates),
    LINK("damaged", damaged),
    LINK("out-of-step", out_of_step),
    LINK("early", early),
    LINK("eaten", eaten),
    NET("datagrams-in", datagrams_in),
    NET("datagrams-out", datagrams_out),
    NET("pokes", pokes),
    NET("offers", offers),
    NET("sessions", sessions),
    NET("stale", stale),
    NET("replayed", replayed),
    NET("unauthentic", unauthentic),
    MAILBOX("box-reads", reads),
    MAILBOX("box-writes", writes),
    MAILBOX("packets-in", packets_in),
    MAILBOX("packets-out", packets_out),
    MAILBOX("damaged", damaged),
    MAILBOX("aborted", aborted),
    FAULT("passed", passed),
    FAULT("lost", lost),
    FAULT("duplicated", duplicated),
    FAULT("reordered", reordered),
    FAULT("corrupted", corrupted),
    FAULT("delayed", delayed),
};

static const KdSimLinkStat *
get_link_stat(const KdSimTarget *target)
{
    if (target->net != NULL)
        return kd_sim_link_get_stat(kd_sim_net_get_link(target->net));
    if (target->usb != NULL)
        return kd_sim_link_get_stat(kd_sim_usb_get_link(target->usb));
    return target->serial != NULL ? kd_sim_link_get_stat(target->serial) : NULL;
}

/* Returns: (nullable): %NULL: this target has none of this kind */
static const void *
get_stat(const KdSimTarget *target, StatKind kind)
{
    switch (kind) {
    case STAT_LINK:
        return get_link_stat(target);
    case STAT_NET:
        return target->net != NULL ? kd_sim_net_get_stat(target->net) : NULL;
    case STAT_MAILBOX:
        return target->mailbox != NULL ? kd_sim_mailbox_get_stat(target->mailbox) : NULL;
    case STAT_FAULTS:
        return kd_sim_faults_get_stat(target->faults);
    case STAT_MACHINE:
    default:
        return kd_sim_machine_get_stat(target->machine);
    }
}

static gboolean
get_counter(const KdSimTarget *target, size_t index, uint64_t *value)
{
    const char *stat = get_stat(target, counters[index].kind);
    if (stat == NULL)
        return FALSE;
    memcpy(value, stat + counters[index].offset, sizeof *value);
    return TRUE;
}

static const char *const states[] = {"running", "halted", "debugger", "connected", "backlog"};

static uint64_t
get_state(const KdSimTarget *target, size_t index)
{
    const gboolean is_running = kd_sim_machine_is_running(target->machine);
    switch (index) {
    case 0:
        return is_running;
    case 1:
        return !is_running && !kd_sim_machine_is_booting(target->machine);
    case 2:
        return kd_sim_machine_has_debugger(target->machine);
    case 3:
        return target->net == NULL || kd_sim_net_is_connected(target->net);
    case 4:
    default:
        return kd_sim_machine_get_backlog(target->machine);
    }
}

/**
 * kd_sim_target_find_counter:
 * @name: as kd_sim_target_build_stat() spells it
 *
 * Returns: whether this target has one of this name
 */
gboolean
kd_sim_target_find_counter(const KdSimTarget *target, const char *name, uint64_t *value)
{
    for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
        if (strcmp(name, states[i]) == 0) {
            *value = get_state(target, i);
            return TRUE;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        if (strcmp(name, counters[i].name) == 0 && get_counter(target, i, value))
            return TRUE;
    }
    return FALSE;
}

/**
 * kd_sim_target_build_stat:
 *
 * Returns: (transfer full): one line: `stat running=1 halted=0 ... prints=3 ...`
 */
char *
kd_sim_target_build_stat(const KdSimTarget *target)
{
    GString *text = g_string_new("stat");
    for (size_t i = 0; i < G_N_ELEMENTS(states); i++)
        g_string_append_printf(text, " %s=%" G_GUINT64_FORMAT, states[i],
                               (guint64)get_state(target, i));
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        uint64_t value = 0;
        if (get_counter(target, i, &value))
            g_string_append_printf(text, " %s=%" G_GUINT64_FORMAT, counters[i].name,
                                   (guint64)value);
    }
    return g_string_free(text, FALSE);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults by a seeded chance: the same seed and the same packets, the same faults. */
#include "kd-sim-faults.h"

#include <string.h>

/* a packet that others shall overtake waits no longer than this for them */
#define OVERTAKE_US  20000
#define REORDER_RATE 0.25

typedef struct {
    gint64 due_us;
    uint32_t n_overtakers; /* as many are still let pass before */
    KdSimPeer peer;
    size_t len_bytes;
    uint8_t bytes[];
} Held;

struct KdSimFaults {
    KdSimFaultPlan plan;
    KdSimFaultStat stat;
    gboolean is_stream;
    gboolean is_harmless; /* the plan has nothing, and nothing is held */
    uint64_t random;
    GQueue held[2]; /* of Held, in the order of sending */
    KdSimDeliver deliver;
    void *user;
};

static gboolean
parse_rate(const char *text, double *rate)
{
    char *end = NULL;
    double percent = g_ascii_strtod(text, &end);
    *rate = percent / 100;
    return end != text && *end == '\0' && percent >= 0 && percent <= 100;
}

static gboolean
parse_count(const char *text, guint64 max, guint64 *count)
{
    return g_ascii_string_to_unsigned(text, 10, 0, max, count, NULL);
}

static gboolean
parse_fault(const char *key, const char *value, gboolean is_stream, KdSimFaultPlan *plan)
{
    guint64 count = 0;
    if (strcmp(key, "loss") == 0)
        return parse_rate(value, &plan->loss);
    if (strcmp(key, "corrupt") == 0)
        return parse_rate(value, &plan->corrupt);
    if (strcmp(key, "duplicate") == 0)
        return parse_rate(value, &plan->duplicate) && (!is_stream || plan->duplicate == 0);
    if (strcmp(key, "reorder") == 0 && parse_count(value, 64, &count)) {
        plan->reorder = (uint32_t)count;
        return !is_stream || count == 0;
    }
    if (strcmp(key, "delay") == 0 && parse_count(value, 60000, &count)) {
        plan->delay_us = 1000 * (gint64)count;
        return TRUE;
    }
    return FALSE;
}

/**
 * kd_sim_fault_plan_parse:
 * @text: `loss=5,duplicate=10,reorder=5,corrupt=0.1,delay=0`: percent, packets, milliseconds; what
 *    is not named stays as it is
 * @plan: (inout):
 *
 * Reads faults; a stream refuses duplicates and another order.
 */
gboolean
kd_sim_fault_plan_parse(const char *text, gboolean is_stream, KdSimFaultPlan *plan, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    KdSimFaultPlan read = *plan;
    if (words[0] == NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "no fault is named");
        return FALSE;
    }
    for (char **word = words; *word != NULL; word++) {
        char *value = strchr(*word, '=');
        if (value != NULL)
            *value++ = '\0';
        if (value == NULL || !parse_fault(*word, value, is_stream, &read)) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "%s: no such fault here, or not in this measure", *word);
            return FALSE;
        }
    }
    *plan = read;
    return TRUE;
}

/**
 * kd_sim_faults_new:
 * @deliver: takes what passes, at once or from within kd_sim_faults_tick()
 */
KdSimFaults *
kd_sim_faults_new(uint64_t seed, gboolean is_stream, KdSimDeliver deliver, void *user)
{
    KdSimFaults *faults = g_new0(KdSimFaults, 1);
    faults->is_stream = is_stream;
    faults->is_harmless = TRUE;
    faults->random = seed;
    faults->deliver = deliver;
    faults->user = user;
    g_queue_init(&faults->held[KD_SIM_WAY_OUT]);
    g_queue_init(&faults->held[KD_SIM_WAY_IN]);
    return faults;
}

/**
 * kd_sim_faults_free:
 *
 * What is held is lost.
 */
void
kd_sim_faults_free(KdSimFaults *faults)
{
    g_queue_clear_full(&faults->held[KD_SIM_WAY_OUT], g_free);
    g_queue_clear_full(&faults->held[KD_SIM_WAY_IN], g_free);
    g_free(faults);
}

static gboolean
is_nothing_held(const KdSimFaults *faults)
{
    return faults->held[KD_SIM_WAY_OUT].length == 0 && faults->held[KD_SIM_WAY_IN].length == 0;
}

static void
judge_harm(KdSimFaults *faults)
{
    const KdSimFaultPlan *plan = &faults->plan;
    faults->is_harmless = plan->loss == 0 && plan->duplicate == 0 && plan->reorder == 0 &&
                          plan->corrupt == 0 && plan->delay_us == 0 && is_nothing_held(faults);
}

/**
 * kd_sim_faults_set:
 *
 * The faults from now on.
 */
void
kd_sim_faults_set(KdSimFaults *faults, const KdSimFaultPlan *plan)
{
    faults->plan = *plan;
    judge_harm(faults);
}

/* splitmix64, by Vigna; public domain */
static uint64_t
draw(KdSimFaults *faults)
{
    uint64_t z = faults->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static gboolean
happens(KdSimFaults *faults, double rate)
{
    return rate > 0 && (double)(draw(faults) >> 11) * 0x1p-53 < rate;
}

static Held *
hold(KdSimFaults *faults, KdSimWay way, const uint8_t *bytes, size_t len_bytes,
     const KdSimPeer *peer, gint64 now_us)
{
    Held *held = g_malloc(sizeof *held + len_bytes);
    *held = (Held){.due_us = now_us + faults->plan.delay_us, .len_bytes = len_bytes};
    if (peer != NULL)
        held->peer = *peer;
    memcpy(held->bytes, bytes, len_bytes);
    faults->stat.delayed += faults->plan.delay_us > 0;
    g_queue_push_tail(&faults->held[way], held);
    return held;
}

static void
corrupt(KdSimFaults *faults, Held *held)
{
    if (held->len_bytes == 0 || !happens(faults, faults->plan.corrupt))
        return;
    uint64_t bit = draw(faults) % (held->len_bytes * 8);
    held->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    faults->stat.corrupted++;
}

static void
lose_byte(KdSimFaults *faults, Held *held)
{
    if (held->len_bytes == 0 || !happens(faults, faults->plan.loss))
        return;
    size_t at = draw(faults) % held->len_bytes;
    memmove(held->bytes + at, held->bytes + at + 1, held->len_bytes - at - 1);
    held->len_bytes--;
    faults->stat.lost++;
}

static void
hold_one(KdSimFaults *faults, KdSimWay way, const uint8_t *bytes, size_t len_bytes,
         const KdSimPeer *peer, gint64 now_us)
{
    Held *held = hold(faults, way, bytes, len_bytes, peer, now_us);
    corrupt(faults, held);
    if (faults->is_stream) {
        lose_byte(faults, held);
    } else if (faults->plan.reorder > 0 && happens(faults, REORDER_RATE)) {
        held->n_overtakers = 1 + (uint32_t)(draw(faults) % faults->plan.reorder);
        held->due_us += OVERTAKE_US;
        faults->stat.reordered++;
    }
}

/* Delivers what is due; who has been overtaken often enough is. */
static void
release(KdSimFaults *faults, KdSimWay way, gint64 now_us)
{
    GList *item = faults->held[way].head;
    while (item != NULL) {
        Held *held = item->data;
        GList *next = item->next;
        if (now_us >= held->due_us) {
            g_queue_delete_link(&faults->held[way], item);
            for (GList *older = faults->held[way].head; older != next; older = older->next) {
                Held *overtaken = older->data;
                if (overtaken->n_overtakers > 0 && --overtaken->n_overtakers == 0)
                    overtaken->due_us = now_us;
            }
            (void)faults->deliver(way, held->bytes, held->len_bytes, &held->peer, faults->user);
            g_free(held);
            /* an older one may be due by this */
            next = faults->held[way].head;
        } else if (faults->is_stream) {
            break;
        }
        item = next;
    }
}

/**
 * kd_sim_faults_pass:
 * @peer: (nullable): goes along
 *
 * Sends a packet, or some bytes of a stream, on the bad way.
 *
 * Returns: %FALSE: nothing is wrong with the way, and its end has taken nothing
 */
gboolean
kd_sim_faults_pass(KdSimFaults *faults, KdSimWay way, const uint8_t *bytes, size_t len_bytes,
                   const KdSimPeer *peer, gint64 now_us)
{
    faults->stat.passed++;
    if (faults->is_harmless)
        return faults->deliver(way, bytes, len_bytes, peer, faults->user);
    if (!faults->is_stream && happens(faults, faults->plan.loss)) {
        faults->stat.lost++;
        return TRUE;
    }
    hold_one(faults, way, bytes, len_bytes, peer, now_us);
    if (happens(faults, faults->plan.duplicate)) {
        faults->stat.duplicated++;
        hold_one(faults, way, bytes, len_bytes, peer, now_us);
    }
    release(faults, way, now_us);
    judge_harm(faults);
    return TRUE;
}

/**
 * kd_sim_faults_get_deadline_us:
 *
 * Returns: when kd_sim_faults_tick() has to be called; -1: never
 */
gint64
kd_sim_faults_get_deadline_us(const KdSimFaults *faults)
{
    gint64 deadline_us = -1;
    for (guint way = 0; way < G_N_ELEMENTS(faults->held); way++) {
        for (const GList *item = faults->held[way].head; item != NULL; item = item->next) {
            const Held *held = item->data;
            if (deadline_us < 0 || held->due_us < deadline_us)
                deadline_us = held->due_us;
        }
    }
    return deadline_us;
}

/**
 * kd_sim_faults_tick:
 *
 * Delivers what is due.
 */
void
kd_sim_faults_tick(KdSimFaults *faults, gint64 now_us)
{
    release(faults, KD_SIM_WAY_OUT, now_us);
    release(faults, KD_SIM_WAY_IN, now_us);
    judge_harm(faults);
}

/**
 * kd_sim_faults_get_plan:
 *
 * Returns: (transfer none):
 */
const KdSimFaultPlan *
kd_sim_faults_get_plan(const KdSimFaults *faults)
{
    return &faults->plan;
}

/**
 * kd_sim_faults_get_stat:
 *
 * Returns: (transfer none):
 */
const KdSimFaultStat *
kd_sim_faults_get_stat(const KdSimFaults *faults)
{
    return &faults->stat;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests of 56 bytes and what follows them: memory, registers, breakpoints, going on. */
#include "kd-sim-manipulate.h"

#include <string.h>

#define REQUEST_BYTES 56u
#define STATUS        8u
#define ADDRESS       16u /* memory requests: address, count, actual */
#define COUNT         24u
#define ACTUAL        28u

/* The requests that have an answer: each changes @reply, which begins as the request's first 56
 * bytes, and returns whether it was done. */
typedef struct {
    KdSimCore *core;
    uint8_t *reply;
    size_t reply_bytes;
    const uint8_t *tail; /* what came behind the 56 bytes */
    size_t tail_bytes;
    uint32_t processor;
} Request;

static gboolean
read_memory(Request *request, gboolean is_physical)
{
    uint32_t count = MIN(kd_sim_get32(request->reply + COUNT), request->core->read_max_bytes);
    size_t available = 0;
    const uint8_t *from = kd_sim_memory_find(
        &request->core->memory, kd_sim_get64(request->reply + ADDRESS), is_physical, &available);
    uint32_t actual = (uint32_t)MIN(count, available);
    if (from != NULL)
        memcpy(request->reply + REQUEST_BYTES, from, actual);
    request->reply_bytes += actual;
    kd_sim_put32(request->reply + ACTUAL, actual);
    return actual == count;
}

static gboolean
write_memory(Request *request, gboolean is_physical)
{
    size_t count = MIN(kd_sim_get32(request->reply + COUNT), request->tail_bytes);
    size_t available = 0;
    uint8_t *to = kd_sim_memory_find(&request->core->memory, kd_sim_get64(request->reply + ADDRESS),
                                     is_physical, &available);
    size_t actual = MIN(count, available);
    if (to != NULL)
        memcpy(to, request->tail, actual);
    kd_sim_put32(request->reply + ACTUAL, (uint32_t)actual);
    return actual == kd_sim_get32(request->reply + COUNT);
}

static gboolean
read_virtual(Request *request)
{
    return read_memory(request, FALSE);
}

static gboolean
read_physical(Request *request)
{
    return read_memory(request, TRUE);
}

static gboolean
write_virtual(Request *request)
{
    return write_memory(request, FALSE);
}

static gboolean
write_physical(Request *request)
{
    return write_memory(request, TRUE);
}

static gboolean
get_context(Request *request)
{
    memcpy(request->reply + REQUEST_BYTES, request->core->contexts[request->processor],
           KD_SIM_CONTEXT_BYTES);
    request->reply_bytes += KD_SIM_CONTEXT_BYTES;
    return TRUE;
}

static gboolean
set_context(Request *request)
{
    if (request->tail_bytes < KD_SIM_CONTEXT_BYTES)
        return FALSE;
    memcpy(request->core->contexts[request->processor], request->tail, KD_SIM_CONTEXT_BYTES);
    return TRUE;
}

/* GetContextEx, SetContextEx: offset, count and how much was copied, from 16 on */
static uint8_t *
find_part(Request *request, size_t max_bytes, size_t *count)
{
    uint32_t offset = kd_sim_get32(request->reply + 16);
    *count = kd_sim_get32(request->reply + 20);
    kd_sim_put32(request->reply + 24, 0);
    if (offset > KD_SIM_CONTEXT_BYTES)
        return NULL;
    *count = MIN(MIN(*count, max_bytes), KD_SIM_CONTEXT_BYTES - offset);
    kd_sim_put32(request->reply + 24, (uint32_t)*count);
    return request->core->contexts[request->processor] + offset;
}

static gboolean
get_context_part(Request *request)
{
    size_t count = 0;
    const uint8_t *part = find_part(request, KD_SIM_CONTEXT_BYTES, &count);
    if (part == NULL)
        return FALSE;
    memcpy(request->reply + REQUEST_BYTES, part, count);
    request->reply_bytes += count;
    return TRUE;
}

static gboolean
set_context_part(Request *request)
{
    size_t count = 0;
    uint8_t *part = find_part(request, request->tail_bytes, &count);
    if (part == NULL)
        return FALSE;
    memcpy(part, request->tail, count);
    return TRUE;
}

/* 0 and 1 are addresses of the processor's blocks, 2 its special registers, 3 its thread */
static gboolean
read_control(Request *request)
{
    uint64_t space = kd_sim_get64(request->reply + ADDRESS);
    uint32_t count = kd_sim_get32(request->reply + COUNT);
    const uint64_t addresses[] = {KD_SIM_KPCR_ADDRESS, KD_SIM_KPRCB_ADDRESS, 0,
                                  KD_SIM_THREAD_ADDRESS};
    kd_sim_put32(request->reply + ACTUAL, 0);
    if (space >= G_N_ELEMENTS(addresses))
        return FALSE;
    uint8_t value[8];
    kd_sim_put64(value, addresses[space]);
    const uint8_t *from = space == 2 ? request->core->special[request->processor] : value;
    uint32_t actual = MIN(count, space == 2 ? KD_SIM_SPECIAL_BYTES : (uint32_t)sizeof value);
    memcpy(request->reply + REQUEST_BYTES, from, actual);
    request->reply_bytes += actual;
    kd_sim_put32(request->reply + ACTUAL, actual);
    return TRUE;
}

static gboolean
write_control(Request *request)
{
    uint32_t count = kd_sim_get32(request->reply + COUNT);
    size_t actual = MIN(MIN(count, request->tail_bytes), (size_t)KD_SIM_SPECIAL_BYTES);
    kd_sim_put32(request->reply + ACTUAL, 0);
    if (kd_sim_get64(request->reply + ADDRESS) != 2)
        return FALSE;
    memcpy(request->core->special[request->processor], request->tail, actual);
    kd_sim_put32(request->reply + ACTUAL, (uint32_t)actual);
    return actual == count;
}

static gboolean
write_breakpoint(Request *request)
{
    uint32_t handle = kd_sim_memory_set_breakpoint(&request->core->memory,
                                                   kd_sim_get64(request->reply + ADDRESS));
    kd_sim_put32(request->reply + 24, handle);
    return handle != 0;
}

static gboolean
restore_breakpoint(Request *request)
{
    return kd_sim_memory_restore_breakpoint(&request->core->memory,
                                            kd_sim_get32(request->reply + 16));
}

static gboolean
get_version(Request *request)
{
    uint8_t *version = request->reply + 16;
    memset(version, 0, REQUEST_BYTES - 16);
    kd_sim_put16(version, KD_SIM_VERSION_MAJOR);
    kd_sim_put16(version + 2, request->core->build);
    version[4] = KD_SIM_VERSION_PROTOCOL;
    kd_sim_put16(version + 6, KD_SIM_VERSION_FLAGS);
    kd_sim_put16(version + 8, KD_SIM_VERSION_MACHINE);
    version[10] = 12;   /* one more than the last packet type */
    version[11] = 3;    /* and state change */
    version[12] = 0x31; /* and request */
    kd_sim_put64(version + 16, KD_SIM_KERNEL_ADDRESS);
    kd_sim_put64(version + 24, KD_SIM_MODULE_LIST_ADDRESS);
    kd_sim_put64(version + 32, KD_SIM_DEBUGGER_DATA_ADDRESS);
    return TRUE;
}

static gboolean
query_memory(Request *request)
{
    size_t available = 0;
    const uint64_t address = kd_sim_get64(request->reply + 16);
    kd_sim_put32(request->reply + 32, 2); /* the kernel's */
    kd_sim_put32(request->reply + 36, 7); /* readable, writable, executable */
    return kd_sim_memory_find(&request->core->memory, address, FALSE, &available) != NULL;
}

static const struct {
    uint32_t api;
    gboolean (*fn)(Request *request);
} answered[] = {
    {0x3130, read_virtual},     {0x3131, write_virtual},    {0x3132, get_context},
    {0x3133, set_context},      {0x3134, write_breakpoint}, {0x3135, restore_breakpoint},
    {0x3137, read_control},     {0x3138, write_control},    {0x313D, read_physical},
    {0x313E, write_physical},   {0x3146, get_version},      {0x315C, query_memory},
    {0x315F, get_context_part}, {0x3160, set_context_part},
};

/* Those without an answer; Continue2 has a trace flag at 20. */
static gboolean
is_silent(KdSimCore *core, const uint8_t *request, KdSimVerdict *verdict)
{
    switch (kd_sim_get32(request)) {
    case 0x3136:
        *verdict = KD_SIM_VERDICT_CONTINUE;
        return TRUE;
    case 0x313C:
        *verdict = kd_sim_get32(request + 20) != 0 ? KD_SIM_VERDICT_STEP : KD_SIM_VERDICT_CONTINUE;
        return TRUE;
    case 0x313B:
    case 0x3149:
        *verdict = KD_SIM_VERDICT_REBOOT;
        return TRUE;
    case 0x3150:
        core->processor = MIN(kd_sim_get16(request + 6), KD_SIM_PROCESSORS - 1);
        *verdict = KD_SIM_VERDICT_SWITCH;
        return TRUE;
    case 0x315A:
        *verdict = KD_SIM_VERDICT_SILENCE;
        return TRUE;
    default:
        return FALSE;
    }
}

/**
 * kd_sim_manipulate:
 * @request: a payload of type 2, at least 56 bytes
 * @reply: (out caller-allocates):
 * @reply_bytes: (out): of a reply or a refusal
 *
 * Does what a debugger asks for; what is unknown is refused.
 */
KdSimVerdict
kd_sim_manipulate(KdSimCore *core, const uint8_t *request, size_t request_bytes,
                  uint8_t reply[static KD_SIM_PAYLOAD_MAX_BYTES], size_t *reply_bytes)
{
    KdSimVerdict verdict = KD_SIM_VERDICT_REFUSAL;
    *reply_bytes = 0;
    if (is_silent(core, request, &verdict))
        return verdict;
    memcpy(reply, request, REQUEST_BYTES);
    Request asked = {
        .core = core,
        .reply = reply,
        .reply_bytes = REQUEST_BYTES,
        .tail = request + REQUEST_BYTES,
        .tail_bytes = request_bytes - REQUEST_BYTES,
        .processor = kd_sim_get16(request + 6),
    };
    uint32_t api = kd_sim_get32(request);
    gboolean is_done = FALSE;
    for (size_t i = 0; i < G_N_ELEMENTS(answered); i++) {
        if (answered[i].api == api && asked.processor < KD_SIM_PROCESSORS)
            is_done = answered[i].fn(&asked);
    }
    kd_sim_put32(reply + STATUS, is_done ? KD_SIM_STATUS_SUCCESS : KD_SIM_STATUS_FAILURE);
    *reply_bytes = asked.reply_bytes;
    return is_done ? KD_SIM_VERDICT_REPLY : KD_SIM_VERDICT_REFUSAL;
}

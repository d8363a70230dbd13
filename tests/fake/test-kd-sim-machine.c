/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated machine answers as its facts say. */
#include "kd-sim-host.h"

#include <string.h>

static void
set_up(KdSimHost **host, gconstpointer user G_GNUC_UNUSED)
{
    *host = kd_sim_host_new(KD_SIM_DIALECT_USB, NULL);
    kd_sim_host_attach(*host);
}

static void
tear_down(KdSimHost **host, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_free(*host);
}

/* Returns: the status of the reply */
static uint32_t
ask(KdSimHost *host, uint32_t api, uint64_t address, uint32_t count)
{
    kd_sim_host_ask(host, api, address, count);
    kd_sim_host_expect_and_ack(host, KD_SIM_TYPE_MANIPULATE);
    g_assert_cmphex(kd_sim_get32(host->payload), ==, api);
    return kd_sim_get32(host->payload + 8);
}

static uint32_t
ask_with_tail(KdSimHost *host, uint32_t api, uint64_t address, uint32_t count, const void *tail,
              size_t tail_bytes)
{
    uint8_t payload[KD_SIM_PAYLOAD_MAX_BYTES] = {0};
    kd_sim_put32(payload, api);
    kd_sim_put64(payload + 16, address);
    kd_sim_put32(payload + 24, count);
    memcpy(payload + 56, tail, tail_bytes);
    kd_sim_host_say_data(host, KD_SIM_TYPE_MANIPULATE, payload, 56 + tail_bytes);
    kd_sim_host_expect(host, KD_SIM_TYPE_ACK, host->in_id);
    host->in_id ^= 1;
    kd_sim_host_expect_and_ack(host, KD_SIM_TYPE_MANIPULATE);
    return kd_sim_get32(host->payload + 8);
}

static void
test_version_is_of_a_64_bit_kernel(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask(*f, 0x3146, 0, 0), ==, 0);
    const uint8_t *version = (*f)->payload + 16;
    g_assert_cmphex(kd_sim_get16(version), ==, KD_SIM_VERSION_MAJOR);
    g_assert_cmpuint(version[4], ==, KD_SIM_VERSION_PROTOCOL);
    g_assert_cmphex(kd_sim_get16(version + 8), ==, KD_SIM_VERSION_MACHINE);
    g_assert_cmphex(kd_sim_get64(version + 16), ==, KD_SIM_KERNEL_ADDRESS);
    g_assert_cmphex(kd_sim_get64(version + 24), ==, KD_SIM_MODULE_LIST_ADDRESS);
}

static void
test_pattern_is_read_as_the_facts_say(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    const uint64_t address = KD_SIM_PATTERN_ADDRESS + 0xFF0;
    g_assert_cmphex(ask(*f, 0x3130, address, 1024), ==, 0);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 28), ==, 1024);
    g_assert_cmpuint((*f)->header.payload_bytes, ==, 56 + 1024);
    g_assert_cmpuint(kd_sim_facts_check(address, (*f)->payload + 56, 1024), ==, 1024);
    (*f)->payload[56 + 7]++;
    g_assert_cmpuint(kd_sim_facts_check(address, (*f)->payload + 56, 1024), ==, 7);
}

static void
test_physical_memory_is_the_same_ram(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    const uint64_t offset = KD_SIM_PATTERN_ADDRESS - KD_SIM_RAM_ADDRESS;
    g_assert_cmphex(ask(*f, 0x313D, KD_SIM_RAM_PHYSICAL + offset, 512), ==, 0);
    g_assert_cmpuint(kd_sim_facts_check(KD_SIM_PATTERN_ADDRESS, (*f)->payload + 56, 512), ==, 512);
}

static void
test_long_read_is_cut_and_says_so(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask(*f, 0x3130, KD_SIM_PATTERN_ADDRESS, 8192), ==, 0);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 28), ==, KD_SIM_READ_MAX_BYTES);
    g_assert_cmpuint((*f)->header.payload_bytes, ==, 4000);
}

static void
test_read_beyond_ram_fails_with_what_there_is(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    const uint64_t end = KD_SIM_RAM_ADDRESS + KD_SIM_RAM_BYTES;
    g_assert_cmphex(ask(*f, 0x3130, end - 16, 64), ==, KD_SIM_STATUS_FAILURE);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 28), ==, 16);
    g_assert_cmphex(ask(*f, 0x3130, 0x1000, 64), ==, KD_SIM_STATUS_FAILURE);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 28), ==, 0);
    g_assert_cmphex(ask(*f, 0x3130, G_MAXUINT64, 64), ==, KD_SIM_STATUS_FAILURE);
}

static void
test_written_memory_is_read_back(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    static const char text[] = "0000iiiibbbb";
    g_assert_cmphex(
        ask_with_tail(*f, 0x3131, KD_SIM_SCRATCH_ADDRESS, sizeof text, text, sizeof text), ==, 0);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 28), ==, sizeof text);
    g_assert_cmphex(ask(*f, 0x3130, KD_SIM_SCRATCH_ADDRESS, sizeof text), ==, 0);
    g_assert_cmpmem((*f)->payload + 56, sizeof text, text, sizeof text);
}

static void
test_write_longer_than_its_packet_fails(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask_with_tail(*f, 0x3131, KD_SIM_SCRATCH_ADDRESS, 4000, "abcd", 4), ==,
                    KD_SIM_STATUS_FAILURE);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 28), ==, 4);
}

static void
test_context_is_set_and_got(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t context[KD_SIM_CONTEXT_BYTES];
    g_assert_cmphex(ask(*f, 0x3132, 0, 0), ==, 0);
    g_assert_cmpuint((*f)->header.payload_bytes, ==, 56 + KD_SIM_CONTEXT_BYTES);
    memcpy(context, (*f)->payload + 56, sizeof context);
    g_assert_cmphex(kd_sim_get64(context + KD_SIM_CONTEXT_RIP), ==, KD_SIM_BREAK_ADDRESS);
    g_assert_cmphex(kd_sim_get64(context + KD_SIM_CONTEXT_RSP), ==, KD_SIM_STACK_ADDRESS);
    kd_sim_put64(context + KD_SIM_CONTEXT_RAX, 0x6262626269696969);
    g_assert_cmphex(ask_with_tail(*f, 0x3133, 0, 0, context, sizeof context), ==, 0);
    g_assert_cmphex(ask(*f, 0x3132, 0, 0), ==, 0);
    g_assert_cmpmem((*f)->payload + 56, KD_SIM_CONTEXT_BYTES, context, sizeof context);
}

static void
test_part_of_a_context_is_got(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    /* 8 bytes at rip: both numbers lie in what the bench calls an address */
    g_assert_cmphex(ask(*f, 0x315F, KD_SIM_CONTEXT_RIP | 8ull << 32, 0), ==, 0);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 24), ==, 8);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 56), ==, KD_SIM_BREAK_ADDRESS);
    g_assert_cmphex(ask(*f, 0x315F, 0x10000 | 8ull << 32, 0), ==, KD_SIM_STATUS_FAILURE);
}

static void
test_special_registers_are_a_control_space(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask(*f, 0x3137, 2, 0xD8), ==, 0);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 56), ==, 0x80050033);
    g_assert_cmphex(ask(*f, 0x3137, 0, 8), ==, 0);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 56), ==, KD_SIM_KPCR_ADDRESS);
    g_assert_cmphex(ask(*f, 0x3137, 9, 8), ==, KD_SIM_STATUS_FAILURE);
}

static void
test_breakpoint_is_hit_and_restored(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask(*f, 0x3134, KD_SIM_TICK_ADDRESS, 0), ==, 0);
    uint32_t handle = kd_sim_get32((*f)->payload + 24);
    g_assert_cmpuint(handle, ==, 1);
    g_assert_cmphex(*kd_sim_machine_peek((*f)->machine, KD_SIM_TICK_ADDRESS, 1), ==, 0xCC);
    kd_sim_host_continue(*f);
    kd_sim_host_expect_nothing(*f);
    kd_sim_host_pass_time(*f, KD_SIM_TICK_US);
    kd_sim_host_attach(*f);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 24), ==, KD_SIM_TICK_ADDRESS);
    g_assert_cmphex(ask(*f, 0x3135, handle, 0), ==, 0);
    g_assert_cmphex(*kd_sim_machine_peek((*f)->machine, KD_SIM_TICK_ADDRESS, 1), ==, 0x90);
    kd_sim_host_continue(*f);
    kd_sim_host_pass_time(*f, 100 * KD_SIM_TICK_US);
    kd_sim_host_expect_nothing(*f);
}

static void
test_33rd_breakpoint_is_refused(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    for (uint32_t i = 0; i < KD_SIM_BREAKPOINTS; i++)
        g_assert_cmphex(ask(*f, 0x3134, KD_SIM_CODE_ADDRESS + i, 0), ==, 0);
    g_assert_cmphex(ask(*f, 0x3134, KD_SIM_CODE_ADDRESS + 100, 0), ==, KD_SIM_STATUS_FAILURE);
}

static void
test_trace_flag_steps_one_instruction(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_ask(*f, 0x313C, 0x00010002 | 1ull << 32, 0);
    kd_sim_host_attach(*f);
    g_assert_cmphex(kd_sim_get32((*f)->payload + 32), ==, KD_SIM_CODE_STEP);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 24), ==, KD_SIM_BREAK_ADDRESS + 1);
}

static void
test_other_processor_reports_itself(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t request[56] = {0x50, 0x31, 0, 0, 0, 0, 1};
    kd_sim_host_say_data(*f, KD_SIM_TYPE_MANIPULATE, request, sizeof request);
    kd_sim_host_expect(*f, KD_SIM_TYPE_ACK, (*f)->in_id);
    (*f)->in_id ^= 1;
    kd_sim_host_attach(*f);
    g_assert_cmpuint(kd_sim_get16((*f)->payload + 6), ==, 1);
}

static void
test_unknown_request_is_unsuccessful(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask(*f, 0x3199, 0, 0), ==, KD_SIM_STATUS_FAILURE);
    g_assert_cmphex(ask(*f, 0x3156, 0, 0), ==, KD_SIM_STATUS_FAILURE);
}

static void
test_memory_is_the_kernels(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask(*f, 0x315C, KD_SIM_CODE_ADDRESS, 0), ==, 0);
    g_assert_cmpuint(kd_sim_get32((*f)->payload + 32), ==, 2);
    g_assert_cmphex(ask(*f, 0x315C, 0x1000, 0), ==, KD_SIM_STATUS_FAILURE);
}

static void
test_prints_come_one_after_the_other(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_continue(*f);
    kd_sim_machine_print((*f)->machine, 3, (*f)->now_us);
    for (guint i = 1; i <= 3; i++) {
        char text[KD_SIM_PRINT_BYTES + 1];
        g_snprintf(text, sizeof text, KD_SIM_PRINT_FORMAT, i);
        kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_DEBUG_IO);
        g_assert_cmpuint((*f)->header.payload_bytes, ==, 46);
        g_assert_cmpmem((*f)->payload + 16, KD_SIM_PRINT_BYTES, text, KD_SIM_PRINT_BYTES);
    }
    kd_sim_host_expect_nothing(*f);
    g_assert_cmpuint(kd_sim_machine_get_stat((*f)->machine)->acked, ==, 3);
}

static void
test_orders_to_a_halted_machine_wait(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_machine_print((*f)->machine, 2, (*f)->now_us);
    kd_sim_host_expect_nothing(*f);
    g_assert_cmpuint(kd_sim_machine_get_backlog((*f)->machine), ==, 2);
    kd_sim_host_continue(*f);
    kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_DEBUG_IO);
}

static void
test_module_is_shown_and_waited_for(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_continue(*f);
    kd_sim_machine_load_symbols((*f)->machine, (*f)->now_us);
    kd_sim_host_attach(*f);
    g_assert_cmpuint((*f)->header.payload_bytes, ==, 0xFC);
    g_assert_cmphex(kd_sim_get32((*f)->payload), ==, 0x3031);
    g_assert_cmpstr((const char *)(*f)->payload + 0xF0, ==, KD_SIM_MODULE_PATH);
    g_assert_false(kd_sim_machine_is_running((*f)->machine));
    kd_sim_host_continue(*f);
    g_assert_true(kd_sim_machine_is_running((*f)->machine));
}

static void
test_string_is_asked_for(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t reply[16 + 4] = {0x31, 0x32, [12] = 4, [16] = 'g', 'o', '!', '\n'};
    kd_sim_host_continue(*f);
    kd_sim_machine_get_string((*f)->machine, (*f)->now_us);
    kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_DEBUG_IO);
    g_assert_cmphex(kd_sim_get32((*f)->payload), ==, 0x3231);
    kd_sim_host_say_data(*f, KD_SIM_TYPE_DEBUG_IO, reply, sizeof reply);
    kd_sim_host_expect(*f, KD_SIM_TYPE_ACK, (*f)->in_id);
    g_assert_cmpstr(kd_sim_machine_get_string_read((*f)->machine), ==, "go!\n");
    g_assert_true(kd_sim_machine_is_running((*f)->machine));
}

static void
test_file_is_asked_for(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    uint8_t reply[64] = {0x30, 0x34};
    kd_sim_put32(reply + 4, 0xC000000F);
    kd_sim_host_continue(*f);
    kd_sim_machine_create_file((*f)->machine, (*f)->now_us);
    kd_sim_host_expect_and_ack(*f, KD_SIM_TYPE_FILE_IO);
    g_assert_cmpuint(kd_sim_get16((*f)->payload + 64), ==, '\\');
    kd_sim_host_say_data(*f, KD_SIM_TYPE_FILE_IO, reply, sizeof reply);
    kd_sim_host_expect(*f, KD_SIM_TYPE_ACK, (*f)->in_id);
    g_assert_cmphex(kd_sim_machine_get_stat((*f)->machine)->file_status, ==, 0xC000000F);
    g_assert_true(kd_sim_machine_is_running((*f)->machine));
}

static void
test_fault_is_an_exception(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    kd_sim_host_continue(*f);
    kd_sim_machine_raise((*f)->machine, (*f)->now_us);
    kd_sim_host_attach(*f);
    g_assert_cmphex(kd_sim_get32((*f)->payload + 32), ==, KD_SIM_CODE_FAULT);
    g_assert_cmphex(kd_sim_get64((*f)->payload + 48), ==, KD_SIM_FAULT_ADDRESS);
}

static void
test_reboot_brings_everything_back(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    g_assert_cmphex(ask_with_tail(*f, 0x3131, KD_SIM_SCRATCH_ADDRESS, 4, "abcd", 4), ==, 0);
    g_assert_cmphex(ask(*f, 0x3134, KD_SIM_TICK_ADDRESS, 0), ==, 0);
    kd_sim_machine_print((*f)->machine, 5, (*f)->now_us);
    kd_sim_machine_reboot((*f)->machine, (*f)->now_us);
    g_assert_cmphex(kd_sim_get32(kd_sim_machine_peek((*f)->machine, KD_SIM_SCRATCH_ADDRESS, 4)), ==,
                    0);
    g_assert_cmphex(*kd_sim_machine_peek((*f)->machine, KD_SIM_TICK_ADDRESS, 1), ==, 0x90);
    g_assert_cmpuint(kd_sim_machine_get_backlog((*f)->machine), ==, 0);
    kd_sim_host_expect(*f, KD_SIM_TYPE_STATE_CHANGE, KD_SIM_INITIAL_ID | KD_SIM_SYNC_ID);
}

static void
test_ticks_are_counted_while_it_runs(KdSimHost **f, gconstpointer user G_GNUC_UNUSED)
{
    const uint8_t *ticks = kd_sim_machine_peek((*f)->machine, KD_SIM_TICKS_ADDRESS, 8);
    kd_sim_host_pass_time(*f, 50 * KD_SIM_TICK_US);
    kd_sim_host_continue(*f);
    kd_sim_host_pass_time(*f, 7 * KD_SIM_TICK_US);
    kd_sim_machine_break_in((*f)->machine, (*f)->now_us);
    g_assert_cmpuint(kd_sim_get64(ticks), ==, 7);
}

static void
test_no_two_pages_are_alike(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_int64_hash, g_int64_equal);
    static uint64_t sums[KD_SIM_PATTERN_BYTES / 4096];
    for (size_t page = 0; page < G_N_ELEMENTS(sums); page++) {
        uint64_t sum = 14695981039346656037u;
        for (uint64_t i = 0; i < 4096; i++)
            sum = (sum ^ kd_sim_facts_get_byte(KD_SIM_PATTERN_ADDRESS + page * 4096 + i)) *
                  1099511628211u;
        sums[page] = sum;
        g_assert_true(g_hash_table_add(seen, &sums[page]));
    }
}

#define ADD(name, function) \
    g_test_add("/sim/machine/" name, KdSimHost *, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("version-is-of-a-64-bit-kernel", test_version_is_of_a_64_bit_kernel);
    ADD("pattern-is-read-as-the-facts-say", test_pattern_is_read_as_the_facts_say);
    ADD("physical-memory-is-the-same-ram", test_physical_memory_is_the_same_ram);
    ADD("long-read-is-cut-and-says-so", test_long_read_is_cut_and_says_so);
    ADD("read-beyond-ram-fails-with-what-there-is", test_read_beyond_ram_fails_with_what_there_is);
    ADD("written-memory-is-read-back", test_written_memory_is_read_back);
    ADD("write-longer-than-its-packet-fails", test_write_longer_than_its_packet_fails);
    ADD("context-is-set-and-got", test_context_is_set_and_got);
    ADD("part-of-a-context-is-got", test_part_of_a_context_is_got);
    ADD("special-registers-are-a-control-space", test_special_registers_are_a_control_space);
    ADD("breakpoint-is-hit-and-restored", test_breakpoint_is_hit_and_restored);
    ADD("33rd-breakpoint-is-refused", test_33rd_breakpoint_is_refused);
    ADD("trace-flag-steps-one-instruction", test_trace_flag_steps_one_instruction);
    ADD("other-processor-reports-itself", test_other_processor_reports_itself);
    ADD("unknown-request-is-unsuccessful", test_unknown_request_is_unsuccessful);
    ADD("memory-is-the-kernels", test_memory_is_the_kernels);
    ADD("prints-come-one-after-the-other", test_prints_come_one_after_the_other);
    ADD("orders-to-a-halted-machine-wait", test_orders_to_a_halted_machine_wait);
    ADD("module-is-shown-and-waited-for", test_module_is_shown_and_waited_for);
    ADD("string-is-asked-for", test_string_is_asked_for);
    ADD("file-is-asked-for", test_file_is_asked_for);
    ADD("fault-is-an-exception", test_fault_is_an_exception);
    ADD("reboot-brings-everything-back", test_reboot_brings_everything_back);
    ADD("ticks-are-counted-while-it-runs", test_ticks_are_counted_while_it_runs);
    g_test_add_func("/sim/machine/no-two-pages-are-alike", test_no_two_pages_are_alike);
    return g_test_run();
}

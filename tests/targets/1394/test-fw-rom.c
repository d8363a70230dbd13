/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a FireWire node says about a debug target, and what is made of it: ROM, block, ids. */
#include "fw-block.h"
#include "fw-ids.h"
#include "fw-pace.h"
#include "fw-rom.h"
#include "kd-fw-target.h"

#include <string.h>

#define GUID UINT64_C(0x0011223344556677)

static const KdFwTarget *
get_target(void)
{
    static KdFwTarget target;
    kd_fw_target_boot(&target, 7, GUID);
    return &target;
}

static void
get_rom(uint32_t *rom, size_t *n)
{
    memcpy(rom, get_target()->rom, sizeof get_target()->rom);
    *n = get_target()->n_rom;
}

static void
assert_rom(const uint32_t *rom, size_t n, int code)
{
    /* A copy of exactly this size: ASan sees who reads beyond it. */
    g_autofree uint32_t *own = g_memdup2(rom, n * sizeof *rom);
    g_autoptr(GError) error = NULL;
    FwRom found = {0};
    g_assert_cmpint(fw_rom_parse(own, n, &found, &error), ==, code < 0);
    if (code >= 0) {
        g_assert_error(error, G_IO_ERROR, code);
        g_assert_cmpuint(found.block_offset, ==, 0);
    } else {
        g_assert_no_error(error);
        g_assert_cmpuint(found.block_offset, ==, KD_FW_BLOCK);
        g_assert_cmpuint(found.guid, ==, GUID);
    }
}

static void
test_rom_found(void)
{
    uint32_t rom[64];
    size_t n;
    get_rom(rom, &n);
    assert_rom(rom, n, -1);
    /* others between the three, as where a Linux target adds descriptors */
    rom[5] = 0x00080000;
    memmove(rom + 11, rom + 10, 4);
    rom[10] = 0x81000003;
    rom[12] = 0x81000003;
    rom[13] = 0x17000001;
    assert_rom(rom, 14, -1);
}

static void
test_rom_order(void)
{
    uint32_t rom[64];
    size_t n;
    get_rom(rom, &n);
    uint32_t version = rom[9];
    rom[9] = rom[10];
    rom[10] = version;
    assert_rom(rom, n, G_IO_ERROR_NOT_FOUND);
}

static void
test_rom_others(void)
{
    uint32_t rom[64];
    size_t n;
    get_rom(rom, &n);
    for (guint i = 8; i <= 10; i++) {
        uint32_t before = rom[i];
        rom[i] = 0x17000001;
        assert_rom(rom, n, G_IO_ERROR_NOT_FOUND);
        rom[i] = before ^ 0x01000000;
        assert_rom(rom, n, G_IO_ERROR_NOT_FOUND);
        rom[i] = before;
    }
    rom[9] = 0x1D000003; /* another version */
    assert_rom(rom, n, G_IO_ERROR_NOT_FOUND);
}

static void
test_rom_bounds(void)
{
    uint32_t rom[64];
    size_t n;
    get_rom(rom, &n);
    for (size_t shorter = 0; shorter < n; shorter++)
        assert_rom(rom, shorter, shorter == 0 ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_INVALID_DATA);
    rom[5] = 0xFFFF0000;
    assert_rom(rom, n, G_IO_ERROR_INVALID_DATA);
    rom[5] = 0x00060000;
    rom[0] = 0xFF000000;
    assert_rom(rom, n, G_IO_ERROR_INVALID_DATA);
    rom[0] = 0x01000000; /* IEEE 1212's short form: a number of the maker, nothing else */
    assert_rom(rom, n, G_IO_ERROR_NOT_FOUND);
}

static void
test_rom_block(void)
{
    static const uint32_t bad[] = {0x1E000000, 0x1E000002, 0x1EFFFFFC, 0x1EFFFFE4, 0x1EFFFFFF};
    uint32_t rom[64];
    size_t n;
    get_rom(rom, &n);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        rom[10] = bad[i];
        assert_rom(rom, n, G_IO_ERROR_INVALID_DATA);
    }
}

static void
test_rom_chunk(void)
{
    static const struct {
        uint32_t max_rec;
        uint32_t chunk_bytes;
    } cases[] = {{0, 512}, {8, 512}, {9, 1024}, {10, 2048}, {11, 2048}, {15, 2048}};
    uint32_t rom[64];
    size_t n;
    get_rom(rom, &n);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        FwRom found;
        rom[2] = (rom[2] & ~0xF000u) | cases[i].max_rec << 12;
        g_assert_true(fw_rom_parse(rom, n, &found, NULL));
        g_assert_cmpuint(found.chunk_bytes, ==, cases[i].chunk_bytes);
    }
}

/* ---- the block ------------------------------------------------------------------------------- */

static void
get_block(uint8_t *bytes)
{
    g_assert_true(kd_fw_target_read(get_target(), KD_FW_BLOCK, bytes, FW_BLOCK_BYTES));
}

static void
assert_block(const uint8_t *bytes, int code)
{
    g_autoptr(GError) error = NULL;
    FwBlock block = {.channel = 99};
    g_assert_cmpint(fw_block_parse(bytes, &block, &error), ==, code < 0);
    if (code >= 0) {
        g_assert_error(error, G_IO_ERROR, code);
        g_assert_cmpuint(block.channel, ==, 99);
    } else {
        g_assert_no_error(error);
    }
}

static void
test_block_found(void)
{
    uint8_t bytes[FW_BLOCK_BYTES];
    FwBlock block;
    get_block(bytes);
    g_assert_true(fw_block_parse(bytes, &block, NULL));
    g_assert_cmpuint(block.channel, ==, 7);
    g_assert_cmpuint(block.send_offset, ==, KD_FW_SEND);
    g_assert_cmpuint(block.receive_offset, ==, KD_FW_RECEIVE);
    bytes[6] = 9; /* a later minor version */
    assert_block(bytes, -1);
}

static void
test_block_refused(void)
{
    uint8_t bytes[FW_BLOCK_BYTES];
    get_block(bytes);
    bytes[0] = 0xBB;
    assert_block(bytes, G_IO_ERROR_NOT_FOUND);
    get_block(bytes);
    bytes[4] = 2;
    assert_block(bytes, G_IO_ERROR_INVALID_DATA);
    get_block(bytes);
    bytes[8] = 62;
    assert_block(bytes, -1);
    bytes[8] = 63;
    assert_block(bytes, G_IO_ERROR_INVALID_DATA);
    get_block(bytes);
    bytes[11] = 0x80;
    assert_block(bytes, G_IO_ERROR_INVALID_DATA);
}

static void
assert_boxes(uint64_t send, uint64_t receive, gboolean is_good)
{
    uint8_t bytes[FW_BLOCK_BYTES];
    get_block(bytes);
    for (guint i = 0; i < 8; i++) {
        bytes[16 + i] = (uint8_t)(send >> (8 * i));
        bytes[24 + i] = (uint8_t)(receive >> (8 * i));
    }
    assert_block(bytes, is_good ? -1 : G_IO_ERROR_INVALID_DATA);
}

static void
test_block_boxes(void)
{
    const uint64_t end = UINT64_C(0xFFFF00000000);
    const uint64_t good = 0x5000;
    static const uint64_t bad[] = {0,
                                   0x5002,
                                   UINT64_C(0xFFFEFFFFF004),
                                   UINT64_C(0xFFFFF0000000),
                                   UINT64_C(0x1000000000000),
                                   UINT64_C(0xFFFFFFFFFFFFFFFC)};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_boxes(bad[i], good, FALSE);
        assert_boxes(good, bad[i], FALSE);
    }
    assert_boxes(good, good, FALSE);
    assert_boxes(good, good + 4092, FALSE);
    assert_boxes(good + 4092, good, FALSE);
    assert_boxes(good, good + 4096, TRUE);
    assert_boxes(good + 4096, good, TRUE);
    assert_boxes(end - 4096, UINT64_C(0x100000000), TRUE);
}

/* ---- ids and pauses -------------------------------------------------------------------------- */

static gboolean
has_restarted(const uint32_t *given, size_t n)
{
    FwIds ids = {0};
    for (size_t i = 0; i + 1 < n; i++)
        g_assert_false(fw_ids_take(&ids, given[i]));
    return fw_ids_take(&ids, given[n - 1]);
}

#define HAS_RESTARTED(...)                         \
    has_restarted((const uint32_t[]){__VA_ARGS__}, \
                  sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void
test_ids(void)
{
    /* one that counts */
    g_assert_true(HAS_RESTARTED(5, 6, 7, 0));
    g_assert_true(HAS_RESTARTED(5, 6, 7, 7, 6));
    g_assert_false(HAS_RESTARTED(5, 6, 7, 8));
    g_assert_false(HAS_RESTARTED(5, 6, 7, 7));
    g_assert_false(HAS_RESTARTED(5, 6, 7, 9, 8));
    g_assert_false(HAS_RESTARTED(0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF, 0));
    g_assert_false(HAS_RESTARTED(0x808007FE, 0x808007FF, 0x80800800));
    /* one that does not */
    g_assert_false(HAS_RESTARTED(0x80800800, 0x80800001, 0x80800000, 0x80800001, 0x80800000));
    g_assert_true(HAS_RESTARTED(0x80800800, 0x80800001, 0x80800000, 0x80800800));
    g_assert_false(HAS_RESTARTED(0x80800800, 0x80800800));
    g_assert_false(HAS_RESTARTED(9, 3, 7, 7, 1, 0));
}

static void
test_pace(void)
{
    gint64 before = 0;
    g_assert_cmpint(fw_pace_get_wait_us(0, FALSE), ==, 0);
    g_assert_cmpint(fw_pace_get_wait_us(19000, TRUE), ==, 0);
    g_assert_cmpint(fw_pace_get_wait_us(19000, FALSE), ==, 1000);
    g_assert_cmpint(fw_pace_get_wait_us(2000000, TRUE), ==, 5000);
    for (gint64 quiet_us = 1; quiet_us < G_GINT64_CONSTANT(100000000000); quiet_us *= 2) {
        gint64 wait_us = fw_pace_get_wait_us(quiet_us, FALSE);
        g_assert_cmpint(wait_us, >=, before);
        g_assert_cmpint(wait_us, <=, 50000);
        before = wait_us;
    }
    g_assert_cmpint(before, ==, 50000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/1394/rom/leads-to-the-block", test_rom_found);
    g_test_add_func("/1394/rom/wants-the-three-entries-in-order", test_rom_order);
    g_test_add_func("/1394/rom/of-other-nodes-is-passed-over", test_rom_others);
    g_test_add_func("/1394/rom/that-is-longer-than-it-is-is-refused", test_rom_bounds);
    g_test_add_func("/1394/rom/with-a-block-beyond-its-place-is-refused", test_rom_block);
    g_test_add_func("/1394/rom/limits-what-one-request-carries", test_rom_chunk);
    g_test_add_func("/1394/block/leads-to-the-mailboxes", test_block_found);
    g_test_add_func("/1394/block/of-another-kind-is-refused", test_block_refused);
    g_test_add_func("/1394/block/with-mailboxes-where-no-memory-is-is-refused", test_block_boxes);
    g_test_add_func("/1394/ids/that-fall-back-are-a-restart", test_ids);
    g_test_add_func("/1394/pace/grows-to-a-bound", test_pace);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A recording of KDNET, for tests: the datagrams of a capture file in the pcapng format. */
#include "kd-net-capture.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_PACKET    6u
#define BLOCK_MIN_BYTES 12u
#define PACKET_HEAD     28u /* of an enhanced packet block, up to its bytes */
#define ETHERNET_BYTES  14u
#define IP_MIN_BYTES    20u
#define UDP_BYTES       8u
#define IS_UDP          17u

static uint32_t
read_u32(const uint8_t *at)
{
    uint32_t value = 0;
    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_LE(value);
}

static size_t
read_be16(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* The payload of UDP over IPv4 over Ethernet, as far as it was captured */
static void
add_frame(KdNetCapture *capture, const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + ETHERNET_BYTES;
    if (len < ETHERNET_BYTES + IP_MIN_BYTES + UDP_BYTES || read_be16(frame + 12) != 0x0800 ||
        ip[9] != IS_UDP)
        return;
    size_t head = ETHERNET_BYTES + (size_t)(ip[0] & 15) * 4;
    if (len < head + UDP_BYTES)
        return;
    size_t udp_bytes = read_be16(frame + head + 4);
    if (udp_bytes < UDP_BYTES || len < head + udp_bytes)
        return;
    g_ptr_array_add(capture->datagrams,
                    g_bytes_new(frame + head + UDP_BYTES, udp_bytes - UDP_BYTES));
}

static GBytes *
read_file(const char *path, GError **error)
{
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileInputStream) plain = g_file_read(file, NULL, error);
    g_autoptr(GOutputStream) memory = g_memory_output_stream_new_resizable();
    g_autoptr(GInputStream) input = NULL;
    if (plain == NULL)
        return NULL;
    if (g_str_has_suffix(path, ".gz")) {
        g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
        input = g_converter_input_stream_new(G_INPUT_STREAM(plain), G_CONVERTER(zlib));
    } else {
        input = G_INPUT_STREAM(g_object_ref(plain));
    }
    if (g_output_stream_splice(memory, input, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, NULL, error) < 0)
        return NULL;
    return g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(memory));
}

/**
 * kd_net_capture_new:
 * @path: of a little-endian pcapng file of Ethernet, compressed if it ends in `.gz`
 *
 * Returns: (transfer full) (nullable): its datagrams
 */
KdNetCapture *
kd_net_capture_new(const char *path, GError **error)
{
    g_autoptr(GBytes) file = read_file(path, error);
    if (file == NULL)
        return NULL;
    g_autoptr(KdNetCapture) capture = g_new0(KdNetCapture, 1);
    gsize len = 0;
    const uint8_t *bytes = g_bytes_get_data(file, &len);
    capture->datagrams = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    while (len >= BLOCK_MIN_BYTES) {
        size_t block_bytes = read_u32(bytes + 4);
        if (block_bytes < BLOCK_MIN_BYTES || block_bytes > len) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s is cut off", path);
            return NULL;
        }
        if (read_u32(bytes) == BLOCK_PACKET && block_bytes > PACKET_HEAD &&
            read_u32(bytes + 20) <= block_bytes - PACKET_HEAD)
            add_frame(capture, bytes + PACKET_HEAD, read_u32(bytes + 20));
        bytes += block_bytes;
        len -= block_bytes;
    }
    return g_steal_pointer(&capture);
}

/**
 * kd_net_capture_free:
 * @capture: (nullable)
 */
void
kd_net_capture_free(KdNetCapture *capture)
{
    if (capture != NULL) {
        g_clear_pointer(&capture->datagrams, g_ptr_array_unref);
        g_free(capture);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the net target by themselves: the replay window, the memory of boots, addresses, the
 * first look at a datagram. */
#include "kd-net-target.h"
#include "kdnet-address.h"
#include "kdnet-window.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- window ---- */

static gboolean
take(KdnetWindow *window, uint64_t seq)
{
    if (!kdnet_window_may_take(window, seq))
        return FALSE;
    kdnet_window_take(window, seq);
    return TRUE;
}

static void
test_window_once(void)
{
    KdnetWindow window = {0};
    for (uint64_t seq = 1; seq < 300; seq++) {
        g_assert_true(take(&window, seq));
        for (uint64_t old = 0; old <= seq; old++)
            g_assert_false(take(&window, old));
    }
}

static void
test_window_order(void)
{
    static const uint64_t order[] = {5, 1, 4, 2, 3, 10, 6, 9, 8, 7, 70, 11, 69, 12};
    KdnetWindow window = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        g_assert_true(take(&window, order[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        g_assert_false(take(&window, order[i]));
}

static void
test_window_edge(void)
{
    KdnetWindow window = {0};
    g_assert_true(take(&window, 100));
    g_assert_false(take(&window, 36)); /* 64 behind */
    g_assert_true(take(&window, 37));
    g_assert_false(take(&window, 37));
    g_assert_true(take(&window, 100 + KDNET_WINDOW_SEQS)); /* all bits go */
    g_assert_false(take(&window, 100));
    g_assert_true(take(&window, 101));
    g_assert_true(take(&window, 99999));
    g_assert_true(take(&window, 99998));
    g_assert_false(take(&window, 164));
}

static void
test_window_leap(void)
{
    KdnetWindow window = {0};
    const uint64_t leap = UINT64_C(1) << 32;
    g_assert_false(take(&window, leap + 1));
    g_assert_true(take(&window, leap));
    g_assert_true(take(&window, 2 * leap));
    g_assert_false(take(&window, (UINT64_C(1) << 56) - 1));
    g_assert_false(take(&window, UINT64_MAX));
}

/* ---- boots ---- */

static void
fill_nonce(uint8_t nonce[static KDNET_NONCE_BYTES], uint8_t boot, uint8_t count)
{
    memset(nonce, boot, KDNET_NONCE_BYTES);
    memset(nonce, 0, KDNET_NONCE_COUNT_BYTES);
    nonce[0] = count;
}

static gboolean
take_poke(KdnetBoots *boots, uint8_t boot, uint8_t count, uint64_t seq)
{
    uint8_t nonce[KDNET_NONCE_BYTES];
    fill_nonce(nonce, boot, count);
    return kdnet_boots_take(boots, nonce, seq) != NULL;
}

static void
test_boots_once(void)
{
    KdnetBoots boots = {0};
    g_assert_true(take_poke(&boots, 1, 10, 3));
    g_assert_false(take_poke(&boots, 1, 10, 3));
    g_assert_true(take_poke(&boots, 1, 12, 9));
    g_assert_false(take_poke(&boots, 1, 11, 6)); /* came late */
    g_assert_true(take_poke(&boots, 2, 10, 3));  /* of another boot */
    g_assert_false(take_poke(&boots, 1, 12, 9));
    g_assert_true(take_poke(&boots, 1, 13, 3)); /* numbers start over, the count does not */
    g_assert_true(take_poke(&boots, 1, 0, 12)); /* the other way round */
    g_assert_cmpuint(boots.n, ==, 2);
}

static void
test_boots_bounded(void)
{
    KdnetBoots boots = {0};
    uint8_t kept[KDNET_NONCE_BYTES];
    fill_nonce(kept, 7, 0);
    for (uint8_t boot = 1; boot <= 200; boot++)
        g_assert_true(take_poke(&boots, boot, 1, 3));
    g_assert_cmpuint(boots.n, ==, KDNET_BOOTS);
    for (uint8_t boot = 200; boot > 200 - KDNET_BOOTS; boot--)
        g_assert_false(take_poke(&boots, boot, 1, 3));
    g_assert_true(take_poke(&boots, 7, 1, 3)); /* was forgotten */
    memcpy(boots.kept, kdnet_boots_get_id(kept), sizeof boots.kept);
    for (uint8_t boot = 1; boot <= 200; boot++)
        (void)take_poke(&boots, boot == 7 ? 8 : boot, 1, 3);
    g_assert_false(take_poke(&boots, 7, 1, 3)); /* never again */
    g_assert_nonnull(kdnet_boots_find(&boots, kept));
}

/* ---- addresses ---- */

static KdnetAddress
parse_address(int family, const char *text, uint16_t port)
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    KdnetAddress address;
    gboolean is_address;
    if (family == AF_INET) {
        g_assert_cmpint(inet_pton(AF_INET, text, &inet.sin_addr), ==, 1);
        is_address = kdnet_address_from_native((struct sockaddr *)&inet, sizeof inet, &address);
    } else {
        g_assert_cmpint(inet_pton(AF_INET6, text, &inet6.sin6_addr), ==, 1);
        is_address = kdnet_address_from_native((struct sockaddr *)&inet6, sizeof inet6, &address);
    }
    g_assert_true(is_address);
    return address;
}

static void
check_text(const KdnetAddress *address, const char *expected)
{
    g_autofree char *text = kdnet_address_build_text(address);
    g_assert_cmpstr(text, ==, expected);
}

static void
test_address_mapped(void)
{
    KdnetAddress plain = parse_address(AF_INET, "192.0.2.1", 50000);
    KdnetAddress mapped = parse_address(AF_INET6, "::ffff:192.0.2.1", 50001);
    KdnetAddress other = parse_address(AF_INET6, "2001:db8::1", 50000);
    struct sockaddr_storage native;
    g_assert_true(kdnet_address_is_same_host(&plain, &mapped));
    g_assert_false(kdnet_address_is_same_host(&plain, &other));
    check_text(&plain, "192.0.2.1:50000");
    check_text(&mapped, "192.0.2.1:50001");
    check_text(&other, "[2001:db8::1]:50000");
    g_assert_cmpuint(kdnet_address_to_native(&mapped, AF_INET, &native), ==,
                     sizeof(struct sockaddr_in));
    g_assert_cmpuint(kdnet_address_to_native(&plain, AF_INET6, &native), ==,
                     sizeof(struct sockaddr_in6));
    g_assert_cmpuint(kdnet_address_to_native(&other, AF_INET, &native), ==, 0);
}

static void
test_address_scope(void)
{
    KdnetAddress one = parse_address(AF_INET6, "fe80::1", 50000);
    KdnetAddress two = one;
    two.scope_id = 2;
    g_assert_false(kdnet_address_is_same_host(&one, &two));
}

/* ---- the first look ---- */

static void
test_peek(void)
{
    KdNetTarget target;
    KdNetDatagram datagram;
    KdnetPeeked peeked = {0};
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_target_poke(&target, &datagram);
    g_assert_true(kdnet_cipher_peek(target.control, datagram.bytes, datagram.len, &peeked));
    g_assert_cmpuint(peeked.seq, ==, 3);
    g_assert_false(peeked.is_from_host);
    g_assert_true(kdnet_poke_has_start(peeked.start, sizeof peeked.start));
    datagram.bytes[100] ^= 1; /* not seen in the first block */
    g_assert_true(kdnet_cipher_peek(target.control, datagram.bytes, datagram.len, &peeked));
    datagram.bytes[0] ^= 1;
    g_assert_false(kdnet_cipher_peek(target.control, datagram.bytes, datagram.len, &peeked));
    kd_net_target_clear(&target);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kdnet/window/each-number-is-taken-once", test_window_once);
    g_test_add_func("/kdnet/window/any-order-will-do", test_window_order);
    g_test_add_func("/kdnet/window/too-late-is-old", test_window_edge);
    g_test_add_func("/kdnet/window/absurd-leaps-are-refused", test_window_leap);
    g_test_add_func("/kdnet/boots/each-poke-is-new-once", test_boots_once);
    g_test_add_func("/kdnet/boots/memory-is-bounded-and-keeps-the-one-in-session",
                    test_boots_bounded);
    g_test_add_func("/kdnet/address/ipv4-is-the-same-on-a-dual-socket", test_address_mapped);
    g_test_add_func("/kdnet/address/link-local-needs-its-link", test_address_scope);
    g_test_add_func("/kdnet/cipher/first-block-says-who-may-be-dropped", test_peek);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The alarm: in time, set once for many wishes, and quiet until it is set again. */
#include "kd-alarm.h"

#include <sys/epoll.h>
#include <unistd.h>

#define SOON_US     (20 * G_TIME_SPAN_MILLISECOND)
#define FAR_US      (G_TIME_SPAN_HOUR)
#define DEADLINE_MS 20000

typedef struct {
    KdAlarm alarm;
    int ep;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    gboolean is_open;

    (void)unused;
    fixture->alarm = (KdAlarm)KD_ALARM_NONE;
    fixture->ep = epoll_create1(EPOLL_CLOEXEC);
    is_open = kd_alarm_open(&fixture->alarm, fixture->ep, &error);
    g_assert_no_error(error);
    g_assert_true(is_open);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    kd_alarm_close(&fixture->alarm);
    (void)close(fixture->ep);
}

static gboolean
goes_off(Fixture *fixture, int within_ms)
{
    struct epoll_event event = {0};
    int n = epoll_wait(fixture->ep, &event, 1, within_ms);

    g_assert_true(n == 0 || event.data.ptr == &fixture->alarm);
    return n == 1;
}

static void
test_in_time(Fixture *fixture, gconstpointer unused)
{
    gint64 due_us = g_get_monotonic_time() + SOON_US;

    (void)unused;
    g_assert_false(goes_off(fixture, 0));
    kd_alarm_set(&fixture->alarm, due_us);
    g_assert_true(goes_off(fixture, DEADLINE_MS));
    g_assert_cmpint(g_get_monotonic_time(), >=, due_us);
    kd_alarm_take(&fixture->alarm);
    g_assert_false(goes_off(fixture, 0));
}

static void
test_earlier(Fixture *fixture, gconstpointer unused)
{
    gint64 now_us = g_get_monotonic_time();

    (void)unused;
    kd_alarm_set(&fixture->alarm, now_us + FAR_US);
    kd_alarm_set(&fixture->alarm, now_us + SOON_US);
    g_assert_cmpint(fixture->alarm.set_us, ==, now_us + SOON_US);
    g_assert_true(goes_off(fixture, DEADLINE_MS));
}

static void
test_later(Fixture *fixture, gconstpointer unused)
{
    gint64 now_us = g_get_monotonic_time();

    (void)unused;
    kd_alarm_set(&fixture->alarm, now_us + FAR_US);
    kd_alarm_set(&fixture->alarm, now_us + 2 * FAR_US);
    g_assert_cmpint(fixture->alarm.set_us, ==, now_us + FAR_US);
    /* what GLib rounds */
    kd_alarm_set(&fixture->alarm, now_us + FAR_US - G_TIME_SPAN_MILLISECOND);
    g_assert_cmpint(fixture->alarm.set_us, ==, now_us + FAR_US);
    kd_alarm_set(&fixture->alarm, now_us + FAR_US - 2 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpint(fixture->alarm.set_us, ==, now_us + FAR_US - 2 * G_TIME_SPAN_MILLISECOND);
}

/* A time that is over */
static void
test_past(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    kd_alarm_set(&fixture->alarm, 1);
    g_assert_true(goes_off(fixture, DEADLINE_MS));
    kd_alarm_take(&fixture->alarm);
    kd_alarm_set(&fixture->alarm, 2);
    g_assert_true(goes_off(fixture, DEADLINE_MS));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) g_test_add("/loop/alarm/" path, Fixture, NULL, set_up, test, tear_down)
    ADD("goes-off-in-time-and-is-taken", test_in_time);
    ADD("is-set-again-for-what-is-due-before", test_earlier);
    ADD("stays-set-for-what-is-due-later", test_later);
    ADD("goes-off-for-the-past", test_past);
#undef ADD
    return g_test_run();
}

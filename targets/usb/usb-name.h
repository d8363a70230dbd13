/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name of a target on USB: in a link's string, and in the target's answer to NAME?. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

#define USB_NAME_MAX_BYTES        24u
#define USB_NAME_QUESTION         "NAME?"
#define USB_NAME_ANSWER_MAX_BYTES 37u

gboolean usb_name_check(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean usb_name_is_same(const char *a, const char *b);
char *usb_name_build_lock(const char *name);
gboolean usb_name_is_answer(const uint8_t *bytes, size_t len_bytes);
char *usb_name_parse_answer(const uint8_t *bytes, size_t len_bytes);

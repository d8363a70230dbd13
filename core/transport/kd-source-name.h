/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of those who connect: for people, and for limits. */
#pragma once

#include <kdsrv/kd-plugin.h>

#include <glib.h>
#include <sys/socket.h>

char *kd_source_name_build_peer(int fd, const struct sockaddr_storage *address);
char *kd_source_name_build_told(const KdEndpoint *endpoint, const char *scheme);
char *kd_source_name_build_source(int fd, const struct sockaddr_storage *address);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of the harness: loopback TCP and UNIX, nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

/**
 * BenchAddress:
 * @path: of a UNIX socket; empty: TCP
 * @port: on 127.0.0.1; 0: the kernel chooses, for listening
 */
typedef struct {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    uint16_t port;
} BenchAddress;

bool bench_address_parse(BenchAddress *address, const char *text);
int bench_socket_listen(const BenchAddress *address);
int bench_socket_connect(const BenchAddress *address);
void bench_socket_set_blocking(int fd, bool is_blocking);
void bench_socket_set_no_delay(int fd);
void bench_socket_set_deadline(int fd, unsigned seconds);
void bench_socket_raise_limit(void);

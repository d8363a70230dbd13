#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
# init.sh: the first program of the test kernel. Runs what comes in on ttyS1, line by line; says
# `user space is up` there and on the console; and writes something five times a second.
/bin/busybox mkdir -p /dev /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin

# open from here on, so that nothing is lost once it has spoken
exec 3<>/dev/ttyS1
stty raw -echo <&3
echo "user space is up"
echo "user space is up" >&3
# for breakpoints; heard by nobody
while sleep 0.2; do
    echo tick >/dev/null
done &
# each in a shell of its own: a mistake would end this program, and that the kernel
while read -r line; do
    (eval "$line")
done <&3 >&3 2>&3

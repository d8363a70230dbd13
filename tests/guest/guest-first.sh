#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
# The first process in the guest, from its initrd: finds the host's files and goes on there.
busybox=/bin/busybox
fail() {
    echo "guest: $*"
    $busybox poweroff -f
}
$busybox mount -t devtmpfs dev /dev
for module in /modules/*; do
    $busybox insmod "$module" || fail "no $module"
done
on9p=trans=virtio,version=9p2000.L,msize=512000
$busybox mount -t 9p -o "$on9p,cache=loose,ro" root /root || fail 'no root'
$busybox mount -t tmpfs -o mode=755 run /root/run || fail 'no /run'
$busybox mkdir /root/run/out
$busybox mount -t 9p -o "$on9p" results /root/run/out || fail 'no /run/out'
$busybox mount -o move /dev /root/dev
exec $busybox switch_root /root /run/out/.guest/init

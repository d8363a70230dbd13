#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The first process in the guest that is on the host's files: runs the command and says how it went.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/run/tmp TMPDIR=/run/tmp LC_ALL=C.UTF-8
own=/run/out/.guest
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /run/tmp
mount -t devpts -o ptmxmode=666,gid=5,mode=620 pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd

# shellcheck disable=SC1091
. $own/environment
export MODPROBE_OPTIONS="-d $KD_GUEST_MODULES"
modprobe virtio_console
echo guest >/proc/sys/kernel/hostname
# the loopback
busybox ip link set lo up 2>/dev/null || ip link set lo up
mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
    [ ! -s "$port/name" ] || ln -sf "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done

# not this process itself: it would ignore most signals and inherit all orphans
(eval "exec $(cat $own/command)") >$own/output 2>&1 </dev/null
status=$?
echo $status >$own/status.new
mv $own/status.new $own/status
sync
echo 1 >/proc/sys/kernel/sysrq
echo b >/proc/sysrq-trigger
sleep 60

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# guest-all.sh PROGRAM MODULE...: in the guest, loads the modules, starts udev where this machine has
# it, and then runs each case of a GLib test program by itself. /run/out/cases/CASE/said is what a
# case said, .../status how it ended: one that aborts takes no other one with it.
set -eu
program=$1
shift
for module in "$@"; do
    modprobe "$module"
done
for udevd in /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd; do
    if [ -x $udevd ]; then
        $udevd --daemon
        udevadm trigger
        udevadm settle
        break
    fi
done
# Whose the build tree is does not matter: what runs as root here must be root's.
mkdir /run/tmp/build
cp -r "$KD_BINDIR" /run/tmp/build/bin
cp -r "$KD_PLUGINDIR" /run/tmp/build/plugins
export KD_BINDIR=/run/tmp/build/bin KD_PLUGINDIR=/run/tmp/build/plugins
"$program" -l | sed -n '/^\//p' >/run/tmp/cases
while read -r name; do
    place=/run/out/cases$name
    mkdir -p "$place"
    status=0
    timeout -k 5 "${KD_GUEST_CASE_LIMIT_S:-60}" "$program" --tap -p "$name" \
        >"$place/said" 2>&1 </dev/null || status=$?
    echo $status >"$place/status"
done </run/tmp/cases

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build.sh FOLDER VERSION: builds dummyfw for a kernel of Debian and adds it to the modules below
# FOLDER, where modprobe finds it. Of the kernel's headers nothing is installed: the packages are
# fetched with apt and unpacked. FOLDER/dummyfw is what it was built from, or why it was not: a line
# that begins with "no". Exit status 77: not possible here.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
folder=$1
version=$2
source=linux-source-$(echo "$version" | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
tarball=/usr/src/$source.tar.xz
sum=$(cat "$here/dummyfw.c" "$here/Kbuild" "$0" | cksum)
state=$folder/dummyfw

leave() {
    echo "no FireWire: $*" >"$state"
    echo "guest.sh: no FireWire: $*" >&2
    exit 77
}

[ "$(cat "$state" 2>/dev/null || true)" != "$sum" ] || exit 0
PATH=$PATH:/usr/sbin:/sbin
for program in make gcc xz apt-get; do
    command -v "$program" >/dev/null ||
        leave "this machine has no $program (see tests/packages.txt, part guest)"
done
[ -r "$tarball" ] || leave "$tarball is not there (see tests/packages.txt, part kernel)"

work=$(mktemp -d "$folder/dummyfw-XXXXXX")
core=
trap '[ -z "$core" ] || kill "$core" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# The unpacking takes the longest, and needs nothing of the rest.
mkdir -p "$work/module/core"
tar -xf "$tarball" -C "$work/module/core" --strip-components=3 --occurrence=1 --no-same-owner \
    "$source/drivers/firewire/core.h" 2>"$work/core.log" &
core=$!

set -- "linux-headers-$version"
for package in $(apt-cache depends "$1" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-headers-.*\|linux-kbuild-.*\)/\1/p'); do
    set -- "$@" "$package"
done
[ $# -eq 3 ] || leave "apt knows no headers for this kernel: $* (apt-get update may help)"
(cd "$work" && apt-get -qq download "$@") >"$work/log" 2>&1 ||
    leave "$1 cannot be downloaded: $(tail -n 1 "$work/log")"
for package in "$work"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
        tar -x -C "$work" --no-same-owner --exclude='./usr/share' --exclude='./usr/src/*/arch/[!x]*'
done
headers=$work/usr/src/linux-headers-$version
# it says where it would be if it were installed
sed -i "s|/usr/src/|$work/usr/src/|" "$headers/Makefile"

wait "$core" || leave "$(tail -n 1 "$work/core.log")"
core=
cp "$here/dummyfw.c" "$here/Kbuild" "$work/module"
env -i PATH="$PATH" make -s -C "$headers" "M=$work/module" modules >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    leave 'the module does not build'
}
mkdir -p "$folder/lib/modules/$version/kdsrv"
cp "$work/module/dummyfw.ko" "$folder/lib/modules/$version/kdsrv"
depmod -b "$folder" "$version"
echo "$sum" >"$state"
echo "guest.sh: prepared dummyfw for $version" >&2

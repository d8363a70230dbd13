#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# out-of-tree.sh CMAKE BUILD EXAMPLE CC NM LIBDIR BINDIR: installs the build to a temporary prefix,
# builds the example against it as a third party does, and shows that kdsrv loads it.
set -eu
cmake=$1
build=$2
example=$3
cc=$4
nm=$5
libdir=$6
bindir=$7
here=$(cd "$(dirname "$0")" && pwd)

umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Only the part for plugin authors is needed, whatever else has been built.
(
    umask 002
    DESTDIR='' "$cmake" --install "$build" --prefix "$work/prefix" --component kdsrv-plugin-dev \
        >"$work/install.log"
) || {
    cat "$work/install.log"
    exit 1
}
# kdsrv loads nothing from a folder that others can write to, and a package keeps the modes
if [ -n "$(find "$work/prefix" -perm /022)" ]; then
    echo "installed under umask 002, these can be written to by others than their owner:"
    find "$work/prefix" -perm /022
    exit 1
fi
cp -r "$example" "$work/example"
"$cmake" -S "$work/example" -B "$work/build" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_INSTALL_PREFIX="$work/prefix" \
    -DCMAKE_INSTALL_LIBDIR="$libdir" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror"
"$cmake" --build "$work/build"
module=$work/build/plugins-0/kdsrv-transport-abstract.so
"$here/exports-check.sh" "$nm" "$module"

# The support archive has all that its headers promise; one with sanitizers wants their library too.
archive=$work/prefix/$libdir/libkdsrv-plugin-support.a
if [ -f "$archive" ] && ! "$nm" "$archive" 2>/dev/null | grep -q __asan_; then
    "$cmake" -S "$here/support-user" -B "$work/support" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
    "$cmake" --build "$work/support"
    "$here/exports-check.sh" "$nm" "$work/support/plugins-0"
fi

# Installed, it lies where the .pc file tells a packager to put it.
"$cmake" --install "$work/build" >/dev/null
plugindir=$(PKG_CONFIG_PATH=$work/prefix/$libdir/pkgconfig \
    pkg-config --variable=plugindir kdsrv-plugin-0)
test -f "$plugindir/kdsrv-transport-abstract.so"

for kdsrv in "$build/$bindir/kdsrv" "$build/bin/kdsrv"; do
    if [ -x "$kdsrv" ]; then
        "$kdsrv" --list-plugins --plugin-dir "$work/build/plugins-0" >"$work/list"
        cat "$work/list"
        grep -q '^transport abstract ' "$work/list"
        exit 0
    fi
done
echo "kdsrv is not built: the example was not loaded"

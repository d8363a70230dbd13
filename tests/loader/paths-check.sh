#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# paths-check.sh STRIP SOURCE FILE...: no file names the folder that it was built from, apart from
# what is there for debuggers: two builds of one source in two folders are the same.
set -eu
strip=$1
source=$2
shift 2

umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

n=0
for file; do
    [ -f "$file" ] || continue
    "$strip" --strip-all -o "$work/stripped" "$file"
    if grep -qF __asan_ "$work/stripped"; then
        echo "$file: has sanitizers, which tell people where the source is"
        exit 77
    fi
    if grep -qF "$source/" "$work/stripped"; then
        echo "$file: names $source"
        exit 1
    fi
    n=$((n + 1))
done
echo "$n files checked"
[ "$n" -gt 0 ] || exit 77

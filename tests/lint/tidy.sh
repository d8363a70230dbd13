#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# tidy.sh SOURCE BUILD JOBS: clang-tidy has nothing to say about what is shipped. BUILD is one of the
# preset asan, whose flags clang knows.
set -eu
source=$1
build=$2
jobs=$3
command -v run-clang-tidy >/dev/null || {
    echo "run-clang-tidy is not there"
    exit 77
}
cd "$source"
# the path in a regular expression
path=$(printf %s "$source" | sed 's/[][\.*^$+?(){}|]/\\&/g')
run-clang-tidy -quiet -j "$jobs" -p "$build" "^$path/(core|plugins|targets|plugin-api)/" \
    >"$build/tidy.log" 2>&1 || {
    grep -a -A 4 'error:' "$build/tidy.log" | head -n 60
    exit 1
}

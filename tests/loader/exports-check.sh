#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# exports-check.sh NM FOLDER|MODULE: every module exports exactly one kdsrv_plugin_v* and no more.
set -eu
nm=$1
what=$2

if [ -d "$what" ]; then
    set -- "$what"/*.so
else
    set -- "$what"
fi
if [ ! -e "$1" ]; then
    echo "no module in $what"
    exit 77
fi
status=0
for module in "$@"; do
    # what linkers and sanitizers put there is not ours
    names=$("$nm" -D --defined-only "$module" | awk '{ print $NF }' | sed 's/@.*//' |
        grep -v -E '^(_init|_fini|_edata|_end|__bss_start|_?__(asan|odr_asan|ubsan|lsan|sanitizer).*)$' ||
        true)
    case $names in
    kdsrv_plugin_v[0-9] | kdsrv_plugin_v[0-9][0-9]) echo "$module: $names" ;;
    *)
        echo "$module: exports more or less than one kdsrv_plugin_v*:" $names
        status=1
        ;;
    esac
done
exit $status

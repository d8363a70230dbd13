#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# header-check.sh COMPILER STANDARD PLUGIN-API HEADER: the header compiles when it stands alone.
set -eu
compiler=$1
standard=$2
api=$3
header=$4

case $compiler in
'' | *NOTFOUND)
    echo "no C++ compiler"
    exit 77
    ;;
esac
case $standard in
c++*) language=c++ ;;
*) language=c ;;
esac
# GLib's own headers are not on trial.
glib=$(pkg-config --cflags gio-2.0 gio-unix-2.0 gmodule-no-export-2.0 | sed 's/-I/-isystem /g')
# shellcheck disable=SC2086
printf '#include "%s"\n#include "%s"\n' "$api/$header" "$api/$header" |
    "$compiler" -x "$language" -std="$standard" -pedantic-errors -Wall -Wextra -Wundef -Werror \
        -fsyntax-only $glib -I"$api/include" -I"$api/support/include" -

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# format.sh SOURCE [--fix]: every C file looks as clang-format of .clang-format makes it. Versions
# differ in details, so one is the judge.
set -eu
VERSION=14
cd "$1"

for program in clang-format-$VERSION clang-format none; do
    if [ "$program" = none ]; then
        echo "clang-format $VERSION is not there"
        exit 77
    fi
    "$program" --version 2>/dev/null | grep -q "version $VERSION\." && break
done
mode=${2:---dry-run}
[ "$mode" != --fix ] || mode=-i
find core plugins targets plugin-api tests -name '*.[ch]' -print0 |
    xargs -0 "$program" --style=file -Werror "$mode"

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# scripts.sh SOURCE: shellcheck has nothing to say about the scripts.
set -eu
cd "$1"
command -v shellcheck >/dev/null || {
    echo "shellcheck is not there"
    exit 77
}
find .ci data tests plugin-api -type f \( -name '*.sh' -o -path '.ci/run' \
    -o -path 'data/completions/*' \) -print0 | xargs -0 shellcheck -S warning

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# links.sh BUILD SOURCE SECONDS TARGET...: lets each fuzz target look for an equal part of the time,
# one after the other. What they find on the way stays in BUILD/found-TARGET and is where the next
# run goes on from; what breaks one stands there as well. Exit status: how many broke.
set -eu
build=$1
source=$2
seconds=$3
shift 3
each=$((seconds / $#))
status=0
for name in "$@"; do
    found=$build/found-$name
    mkdir -p "$found"
    echo "== fuzzing $name for $each s"
    if "$build/tests/fuzz/fuzz-$name" -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$found/broken-" "$found" \
        "$source/tests/fuzz/corpus/$name" </dev/null >"$found.log" 2>&1; then
        sed -n 's/^stat::\(number_of_executed_units\): */   \1 /p' "$found.log"
    else
        tail -n 60 "$found.log"
        echo "== FAILED: fuzz-$name; what breaks it is in $found"
        status=$((status + 1))
    fi
done
exit $status

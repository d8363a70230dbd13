#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# guest-case.sh FOLDER DEVICES PROGRAM CASE [MODULE...]: says how one case of a test program went in
# the guest. One guest runs all cases of the program; whoever asks first boots it. All that belongs
# to one run of ctest, which is the parent of this script, has one folder, and a case that is asked
# for the second time there is run a second time: so --repeat repeats.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
devices=$2
program=$3
case=$4
# who the parent is, even when its number is used again
asker=$PPID-$(sed 's/.*) //' "/proc/$PPID/stat" | cut -d ' ' -f 20)
folder=$1/$asker
mkdir -p "$folder"
shift 4

exec 9>"$folder/lock"
flock 9
for old in "${folder%/*}"/*-*; do
    number=${old##*/}
    [ -d "/proc/${number%-*}" ] || rm -rf "$old"
done
asked=$folder/asked$case
mkdir -p "$asked"
count=$(($(cat "$asked/count" 2>/dev/null || echo 0) + 1))
echo $count >"$asked/count"
results=$folder/run-$count
if [ ! -f "$results/ended" ]; then
    rm -rf "$results"
    mkdir -p "$results"
    status=0
    sh "$here/guest.sh" run --limit "${KD_GUEST_LIMIT_S:-500}" --devices "$devices" \
        --results "$results" -- sh "$here/guest-all.sh" "$program" "$@" \
        >"$results/log" 2>&1 9>&- || status=$?
    echo $status >"$results/ended"
fi
flock -u 9

if [ -f "$results/cases$case/status" ]; then
    cat "$results/cases$case/said"
    exit "$(cat "$results/cases$case/status")"
fi
cat "$results/log"
if [ "$(cat "$results/ended")" -eq 77 ]; then
    echo "ok 1 $case # SKIP $(tail -n 1 "$results/log")"
    exit 0
fi
echo "not ok 1 $case - the guest did not come to it"
exit 1

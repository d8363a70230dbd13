#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# run.sh: builds and runs all tests, see usage below.
set -eu
# kdsrv loads nothing from a folder that others can write to
umask 022
source=$(cd "$(dirname "$0")/.." && pwd -P)

usage() {
    cat <<'TEXT'
sh tests/run.sh [OPTION...]
Builds and tests twice: preset dev (gcc, warnings are errors), then asan (clang, AddressSanitizer
and UndefinedBehaviorSanitizer). As root on Debian it first installs what is missing.

  --quick         dev only
  --repeat N      run each test N times, or until it fails
  -R REGEX        only tests whose names match
  -j N            so many at once; default: as many as there are processors, and twice as many
                  tests, because most of them wait
  --fuzz SECONDS  then let each fuzz target look for so long
  --tidy          and let clang-tidy judge what is shipped
  --no-guest      without the tests on a kernel in a virtual machine (the first time its
                  package, 70 MB, is fetched with apt; it is not installed)
  --no-kernel     without building the kernel that is debugged (three minutes the first time);
                  if there is none from before, the tests that need it are skipped
  --no-install    install nothing

The last line is the sum: N passed, N failed, N skipped. The exit status is 0 when nothing failed.
TEXT
}

wrong() {
    echo "run.sh: $1 (see --help)" >&2
    exit 2
}

presets='dev asan'
repeat=
regex=
fuzz=
tidy=
install=yes
guest=guest
kernel=kernel
jobs=$(nproc)
test_jobs=$((2 * jobs))
while [ $# -gt 0 ]; do
    case $1 in
    --quick) presets=dev ;;
    --tidy) tidy=tidy ;;
    --no-install) install= ;;
    --no-guest) guest= ;;
    --no-kernel) kernel= ;;
    -h | --help)
        usage
        exit 0
        ;;
    --repeat | -R | -j | --fuzz)
        [ $# -gt 1 ] || wrong "$1: a value is missing"
        case $1/$2 in
        -R/*) regex=$2 ;;
        */*[!0-9]* | */ | */0) wrong "$1 $2: expected a number" ;;
        --repeat/*) repeat=$2 ;;
        -j/*) jobs=$2 test_jobs=$2 ;;
        --fuzz/*) fuzz=$2 ;;
        esac
        shift
        ;;
    -j*[!0-9]*) wrong "$1: expected a number" ;;
    -j?*) jobs=${1#-j} test_jobs=$jobs ;;
    *) wrong "$1: no such option" ;;
    esac
    shift
done
[ -z "$fuzz$tidy" ] || [ "$presets" != dev ] || wrong '--fuzz and --tidy need the preset asan'
# too long for a test of something else
case $regex in
'' | *kernel*) ;;
*) kernel= ;;
esac

say() {
    echo "== $*"
}

# What ctest wrote as JUnit XML: names and reasons of what was skipped, output of what failed.
tell() {
    awk -v preset="$1" '
    function plain(text) {
        gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text)
        gsub(/&apos;/, "\047", text); gsub(/&#x0*A;/, "\n", text); gsub(/&amp;/, "\\&", text)
        return text
    }
    function attribute(line, key) {
        if (!match(line, key "=\"[^\"]*\"")) return ""
        return substr(line, RSTART + length(key) + 2, RLENGTH - length(key) - 3)
    }
    /^\t<testcase / {
        name = plain(attribute($0, " name")); status = attribute($0, "status")
        why = ""; output = ""; last = ""
        next
    }
    /^\t<\/testcase>/ {
        if (status == "notrun" || status == "disabled")
            print "skipped: " name ": " (why != "" ? why : last != "" ? last : "nothing said")
        else if (status == "fail")
            print "FAILED (" preset "): " name "\n" output
        next
    }
    /^\t\t<(skipped|failure|properties)/ || /^\t\t\t<|^\t\t<\/(properties|failure)/ { next }
    {
        line = $0
        sub(/^\t\t<system-out>/, "", line); sub(/<\/system-out>$/, "", line)
        line = plain(line)
        if (match(line, /# SKIP */)) why = substr(line, RSTART + RLENGTH)
        if (line != "") last = line
        if (status == "fail") output = output "    " line "\n"
    }' "$2"
}

count() {
    sed -n "/^<testsuite /,/>\$/s/^[[:space:]]*$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1
}

[ -z "$install" ] || sh "$source/tests/install-packages.sh" build tests $guest $tidy
# another release has another kernel's source; that costs the tests that need it, and no others
[ -z "$install" ] || [ -z "$kernel" ] || sh "$source/tests/install-packages.sh" kernel || true
# What it can't do the tests in the guest tell, each with the reason.
if [ -n "$guest" ]; then
    sh "$source/tests/guest/guest.sh" prepare || true
else
    export KD_GUEST_CACHE=/nonexistent
fi
root=$(sh "$source/tests/build-root.sh" "$source")
cd "$source"
passed=0
failed=0
skipped=0
status=0
if [ -n "$kernel" ]; then
    say "a Linux kernel to be debugged"
    verdict=0
    KD_KGDB_JOBS=$jobs sh tests/kgdb/build.sh || verdict=$?
    # 77: its tests will say why they are skipped
    case $verdict in
    0 | 77) ;;
    *)
        failed=$((failed + 1))
        status=1
        ;;
    esac
fi
for preset in $presets; do
    build=$root/$preset
    results=$build/tests.xml
    say "$preset: building"
    mkdir -p "$build"
    if ! cmake --preset "$preset" -B "$build" >"$build/build.log" 2>&1 ||
        ! cmake --build "$build" -j "$jobs" >>"$build/build.log" 2>&1; then
        grep -vE '^\[[0-9]+/[0-9]+\] ' "$build/build.log" | tail -n 60
        say "$preset: does not build; all of it is in $build/build.log"
        failed=$((failed + 1))
        status=1
        continue
    fi
    say "$preset: testing"
    rm -f "$results"
    # no terminal, no stdin: the same everywhere
    ctest --test-dir "$build" -j "$test_jobs" --no-tests=error --output-junit "$results" \
        ${regex:+-R "$regex"} ${repeat:+--repeat "until-fail:$repeat"} \
        </dev/null >"$build/tests.log" 2>&1 || status=1
    if [ ! -s "$results" ]; then
        tail -n 20 "$build/tests.log"
        say "$preset: ctest gave no results"
        failed=$((failed + 1))
        status=1
        continue
    fi
    tell "$preset" "$results"
    all=$(count "$results" tests)
    bad=$(count "$results" failures)
    not=$(($(count "$results" skipped) + $(count "$results" disabled)))
    say "$preset: $((all - bad - not)) passed, $bad failed, $not skipped"
    passed=$((passed + all - bad - not))
    failed=$((failed + bad))
    skipped=$((skipped + not))
done

# The fuzz targets, one a line
list_fuzz() {
    for target in "$root"/asan/tests/fuzz/fuzz-*; do
        name=${target##*/fuzz-}
        case $name in *[!a-z0-9]*) continue ;; esac
        [ ! -x "$target" ] || echo "$name"
    done
}

if [ -n "$fuzz" ] && [ -d "$root/asan/tests/fuzz" ]; then
    say "asan: fuzzing, $fuzz s each, $jobs at once"
    # shellcheck disable=SC2016
    list_fuzz | ROOT=$root SECONDS_EACH=$fuzz xargs -P "$jobs" -I '{}' sh -c '
        found=$ROOT/asan/found-{}
        mkdir -p "$found"
        status=0
        "$ROOT/asan/tests/fuzz/fuzz-{}" -max_total_time="$SECONDS_EACH" -timeout=10 \
            -rss_limit_mb=2048 -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/{}" \
            </dev/null >"$found.log" 2>&1 || status=$?
        echo $status >"$found.status"'
    for name in $(list_fuzz); do
        found=$root/asan/found-$name
        if [ "$(cat "$found.status")" = 0 ]; then
            echo "$name: $(tail -n 1 "$found.log")"
            passed=$((passed + 1))
        else
            tail -n 60 "$found.log"
            say "FAILED: fuzz-$name; what breaks it is in $found"
            failed=$((failed + 1))
            status=1
        fi
    done
fi

if [ -n "$tidy" ]; then
    say "asan: clang-tidy"
    verdict=0
    sh tests/lint/tidy.sh "$source" "$root/asan" "$jobs" || verdict=$?
    case $verdict in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
fi

[ "$failed" -eq 0 ] || status=1
echo "$passed passed, $failed failed, $skipped skipped"
exit $status

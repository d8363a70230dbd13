#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# ban-list.sh SOURCE: nothing in core, plugins, targets and plugin-api blocks the loop, moves it
# from within, or writes without a limit; no file is too long; each names its licence.
# ban-list.sh --self-test: each rule finds what it is there for.
# Comments and strings do not count. exceptions.txt has what is allowed, with the reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
MAX_LINES=600

# name, extended regular expression, something that must be found
rules() {
    cat <<'RULES'
sync|[a-z0-9]_sync *\(|g_dbus_connection_call_sync(c)
g_main_context_iteration|\<g_main_context_iteration\>|g_main_context_iteration(NULL, TRUE)
g_main_context_pending|\<g_main_context_pending\>|g_main_context_pending(NULL)
g_main_loop_run|\<g_main_loop_run\>|g_main_loop_run(loop)
priority|\<G_PRIORITY_HIGH(_IDLE)?\>|int p = G_PRIORITY_HIGH;
tcdrain|\<tcdrain\>|tcdrain(fd)
tcsendbreak|\<tcsendbreak\>|tcsendbreak(fd, 0)
resolver|\<(getaddrinfo|gethostby[a-z]+)\>|getaddrinfo(a, b, c, d)
g_spawn_sync|\<g_spawn(_command_line)?_sync\>|g_spawn_sync(a)
sleep|\<(sleep|usleep|nanosleep|clock_nanosleep|g_usleep)\> *\(|g_usleep(10)
system|\<system\> *\(|system("x")
popen|\<popen\> *\(|popen("x", "r")
fork|\<v?fork\> *\(|fork()
string|\<(strcpy|strcat|stpcpy|gets|strtok)\> *\(|strcpy(a, b)
sprintf|\<v?sprintf\> *\(|sprintf(a, "b")
alloca|\<(g_)?(alloca|newa|newa0)\> *\(|g_newa(int, n)
goto|\<goto\>|goto out;
number|\<(atoi|atol|atof)\> *\(|atoi(text)
RULES
}

# The text without comments and without what stands in quotes; lines keep their numbers.
strip() {
    awk '
    {
        line = $0
        out = ""
        while (line != "") {
            if (in_comment) {
                at = index(line, "*/")
                if (at == 0) { line = ""; break }
                line = substr(line, at + 2)
                in_comment = 0
                continue
            }
            if (!match(line, /\/\*|\/\/|"|\047/)) { out = out line; break }
            token = substr(line, RSTART, RLENGTH)
            out = out substr(line, 1, RSTART - 1)
            line = substr(line, RSTART + RLENGTH)
            if (token == "/*") { in_comment = 1; out = out " " }
            else if (token == "//") { line = "" }
            else {
                out = out token token
                while (line != "") {
                    c = substr(line, 1, 1)
                    if (c == "\\") { line = substr(line, 3); continue }
                    line = substr(line, 2)
                    if (c == token) break
                }
            }
        }
        print out
    }' "$1"
}

is_excepted() {
    grep -q "^$1: $2: ." "$here/exceptions.txt"
}

check_words() {
    strip "$root/$1" >"$work/text"
    # most files have none of all these
    grep -qE "$(cat "$work/all")" "$work/text" || return 0
    rules | while IFS='|' read -r name rest; do
        pattern=${rest%|*}
        if found=$(grep -nE -- "$pattern" "$work/text"); then
            case $1/$name in
            core/cli/*/g_main_loop_run) continue ;;
            esac
            is_excepted "$1" "$name" && continue
            echo "$found" | while IFS= read -r line; do
                echo "$1:$line   <- $name"
            done
        fi
    done
}

check_file() {
    check_words "$1"
    max=$(sed -n "s|^$1: lines=\([0-9]*\): ..*|\1|p" "$here/exceptions.txt")
    lines=$(wc -l <"$root/$1")
    if [ "$lines" -gt "${max:-$MAX_LINES}" ]; then
        echo "$1: $lines lines are more than ${max:-$MAX_LINES}"
    fi
    head -n 2 "$root/$1" | grep -q 'SPDX-License-Identifier: [A-Z]' ||
        echo "$1: the first line names no licence"
}

check_tree() {
    (cd "$root" && find core plugins targets plugin-api -name '*.[ch]' | LC_ALL=C sort) \
        >"$work/files"
    while IFS= read -r file; do
        check_file "$file"
    done <"$work/files" >"$work/report"
    cat "$work/report"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
rules | while IFS='|' read -r name rest; do
    printf '%s|' "${rest%|*}"
done | sed 's/|$//' >"$work/all"

if [ "$1" != --self-test ]; then
    root=$1
    check_tree
    [ ! -s "$work/report" ] || exit 1
    echo "$(wc -l <"$work/files") files keep to the ban list"
    exit 0
fi

root=$work/tree
mkdir -p "$root/core" "$root/plugins" "$root/targets" "$root/plugin-api"
licence='/* SPDX-License-Identifier: LGPL-2.1-or-later */'
status=0
expect() {
    if [ "$2" != "$(check_tree | grep -c .)" ]; then
        echo "$1: expected $2 findings:"
        check_tree
        status=1
    fi
}
printf '%s\n/* %s\n %s */ const char *s = "%s"; // %s\n' "$licence" \
    'g_spawn_sync(' 'goto' 'sleep(1) \" system(' 'alloca(' >"$root/core/clean.c"
expect 'comments and strings' 0
rules >"$work/rules"
while IFS='|' read -r name rest; do
    printf '%s\n    %s\n' "$licence" "${rest##*|}" >"$root/core/sample.c"
    if ! check_tree | grep -q "^core/sample.c:2:.*<- $name$"; then
        echo "$name: '${rest##*|}' was not found"
        status=1
    fi
done <"$work/rules"
{
    echo "$licence"
    seq $MAX_LINES | sed 's/.*/int x;/'
} >"$root/core/sample.c"
expect 'a long file' 1
echo 'int x;' >"$root/core/sample.c"
expect 'a file without a licence' 1
exit $status

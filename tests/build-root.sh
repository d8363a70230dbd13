#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build-root.sh SOURCE: prints the folder to build in: SOURCE/build, unless kdsrv would load no
# plugin from there, because on the way from / somebody else may write, or shells would tear its
# name apart in commands that debuggers are given. Then it is a private one.
set -eu
source=$(cd "$1" && pwd -P)
me=$(id -u)

# says what is wrong, or nothing
find_distrusted() {
    path=$1
    case $path in
    *[!A-Za-z0-9/._+,:=@%-]*)
        echo "$path has blanks or the like in it"
        return
        ;;
    esac
    while :; do
        # shellcheck disable=SC2046
        set -- $(stat -c '%u %a' "$path")
        if [ "$1" -ne 0 ] && [ "$1" -ne "$me" ]; then
            echo "$path belongs to somebody else"
            return
        fi
        if [ $((0$2 & 022)) -ne 0 ] && [ $((0$2 & 01000)) -eq 0 ]; then
            echo "$path is writable by others"
            return
        fi
        [ "$path" != / ] || return 0
        path=$(dirname "$path")
    done
}

umask 022
distrusted=$(find_distrusted "$source")
if [ -z "$distrusted" ]; then
    root=$source/build
else
    # a service has no HOME
    home=${HOME:-$(getent passwd "$me" | cut -d: -f6)}
    base=${XDG_CACHE_HOME:-${home:?}/.cache}
    root=$base/kdsrv-build/$(printf %s "$source" | cksum | tr ' ' -)
    echo "building in $root, because $distrusted" >&2
fi
mkdir -p "$root"
# left over from a build under another umask
find "$root" ! -type l -user "$me" -perm /022 -exec chmod go-w {} +
distrusted=$(find_distrusted "$root")
if [ -n "$distrusted" ]; then
    echo "kdsrv would load no plugin from $root: $distrusted" >&2
    exit 1
fi
for cache in "$root"/*/CMakeCache.txt; do
    # a tree that was copied or moved
    if [ -e "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$source" "$cache"; then
        rm -rf "${cache%/CMakeCache.txt}"
    fi
done
echo "$root"

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build-root.sh SOURCE: a clone that is not to be built in has a folder elsewhere, also without HOME.
set -eu
home=$(getent passwd "$(id -u)" | cut -d: -f6)
[ -n "$home" ] && [ -w "$home" ] || {
    echo "this user has no home"
    exit 77
}
work=$(mktemp -d)
root=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    [ -z "$root" ] || rmdir "$root"
    rm -rf "$work"
}
trap clean_up EXIT
mkdir "$work/a clone"
root=$(env -u HOME -u XDG_CACHE_HOME sh "$1/tests/build-root.sh" "$work/a clone")
case $root in
"$home"/.cache/kdsrv-build/?*) ;;
*)
    echo "it would be built in $root"
    exit 1
    ;;
esac
[ -d "$root" ]

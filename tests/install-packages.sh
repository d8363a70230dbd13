#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install-packages.sh [--with-sudo] PART...: installs with apt what packages.txt names for the parts
# and this machine has not. Without apt, or without the right to, it only says what is missing.
set -eu
list=$(dirname "$0")/packages.txt
sudo=
if [ "${1:-}" = --with-sudo ]; then
    shift
    sudo=sudo
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "no apt here: needed is what $list names" >&2
    exit 0
fi

missing=
for part in "$@"; do
    while read -r of package why; do
        [ "$of" = "$part" ] || continue
        case " $missing " in *" $package "*) continue ;; esac
        state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
        case $state in ?i*) continue ;; esac
        missing="$missing $package"
        echo "missing: $package ($why)" >&2
    done <"$list"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    sudo=
elif [ -z "$sudo" ] || ! command -v sudo >/dev/null; then
    echo "not root, so not installed; as root: apt-get install --no-install-recommends$missing" >&2
    exit 0
fi

apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null >&2
}
echo "installing with apt:$missing" >&2
# shellcheck disable=SC2086
if ! apt install --no-install-recommends $missing 2>/dev/null; then
    apt update
    apt install --no-install-recommends $missing
fi

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build.sh: the Linux kernel that the tests and the demo debug, see usage below.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd -P)
tarball=${KD_KGDB_SOURCE:-/usr/src/linux-source-6.1.tar.xz}
SPACE_MIB=2500

usage() {
    cat <<'TEXT'
sh tests/kgdb/build.sh [--find]
Builds a small x86-64 Linux kernel with KGDB, and prints as its last line the folder that has

  bzImage   the kernel
  initrd    a shell on ttyS1, see init.sh
  vmlinux   its symbols

That takes about three minutes once: the folder is in $KD_KGDB_CACHE, $XDG_CACHE_HOME/kdsrv/kgdb or
~/.cache/kdsrv/kgdb, under a stamp of all that goes in. With --find it is never built: either it is
there or it is not.

KD_KGDB_SOURCE  the tarball; default: Debian's linux-source-6.1
KD_KGDB_JOBS    so many compilers at once; default: as many as there are processors

Exit status: 0, 1 it does not build, 2 usage, 77 it cannot be built here; the reason is on stderr.
TEXT
}

fail() {
    echo "tests/kgdb/build.sh: $1" >&2
    exit 1
}

# leave REASON: not a failure, but no kernel
leave() {
    echo "tests/kgdb/build.sh: $1" >&2
    exit 77
}

has_blank() {
    case $1 in
    *[[:space:]:]*) return 0 ;;
    *) return 1 ;;
    esac
}

find_cache() {
    if [ -n "${KD_KGDB_CACHE:-}" ]; then
        echo "$KD_KGDB_CACHE"
        return
    fi
    case ${XDG_CACHE_HOME:-} in
    /*) echo "$XDG_CACHE_HOME/kdsrv/kgdb" ;;
    *)
        # a service has no HOME
        home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
        [ -n "$home" ] || leave 'no place for the kernel: set KD_KGDB_CACHE to a folder'
        echo "$home/.cache/kdsrv/kgdb"
        ;;
    esac
}

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || leave "$program is missing ($fix)"
    done
}

# what a stamp is made of
check_sources() {
    [ "$(uname -m)" = x86_64 ] || leave "an x86-64 kernel is not built on $(uname -m)"
    need gcc ld sha256sum busybox
    [ -r "$tarball" ] || leave "$tarball is missing ($fix)"
}

check_tools() {
    need make flex bison bc cpio gzip xz tar perl readelf objcopy flock timeout
    [ -e /usr/include/libelf.h ] || leave "libelf.h is missing ($fix)"
    # it is to run without any library beside it
    if readelf -l "$(command -v busybox)" | grep -q INTERP; then
        leave "busybox is not a static one ($fix)"
    fi
}

# The end of an xz file has the sizes and the checksums of what is in it.
build_stamp() {
    {
        cat "$here/build.sh" "$here/kernel.config" "$here/init.sh" "$(command -v busybox)"
        stat -L -c %s "$tarball"
        tail -c 65536 "$tarball"
        gcc -dumpfullversion
        ld --version
    } | sha256sum | cut -c 1-16
}

# Prints the folder if it is whole, and leaves a trace of its use.
show() {
    [ -e "$1/whole" ] || return 1
    touch -c "$1/whole" 2>/dev/null || true
    echo "$1"
}

# Linux does not build in a folder with blanks in its name.
find_place() {
    for place in "$cache" "${TMPDIR:-/tmp}" /var/tmp /tmp; do
        has_blank "$place" && continue
        free=$(df -P -m "$place" | awk 'NR == 2 { print $4 }')
        if [ "${free:-0}" -ge $SPACE_MIB ] && [ -w "$place" ]; then
            echo "$place"
            return
        fi
    done
    leave "nowhere are $SPACE_MIB MiB to build a kernel in"
}

# run SECONDS WHAT COMMAND...: its output is shown only if it fails
run() {
    limit=$1
    what=$2
    shift 2
    echo "== $what" >>"$log"
    status=0
    # not in the foreground, where a signal to this script would wait for its end
    timeout -k 5 "$limit" "$@" </dev/null >>"$log" 2>&1 9>&- &
    child=$!
    wait "$child" || status=$?
    child=
    [ $status -ne 124 ] || fail "$what: not through after $limit s"
    if [ $status -ne 0 ]; then
        tail -n 30 "$log" >&2
        fail "$what failed ($status)"
    fi
}

unpack() {
    # neither what is read by people nor what no compiler comes to see; but every Kconfig
    run 300 unpacking tar -xf "$tarball" -C "$work" --strip-components=1 --no-same-owner \
        --exclude='*/Documentation/*/*' --exclude='*/tools/testing/*' \
        --exclude='*/tools/perf/*' --exclude='*/arch/*/boot/dts/*' \
        --exclude='*/drivers/gpu/drm/*.[ch]' --exclude='*/drivers/net/*.[ch]' \
        --exclude='*/drivers/media/*.[ch]' --exclude='*/drivers/staging/*.[ch]' \
        --exclude='*/sound/*.[ch]'
}

configure() {
    cat "$work/kernel/configs/tiny.config" "$here/kernel.config" >"$work/all.config"
    run 120 configuring make -s -C "$work" KCONFIG_ALLCONFIG="$work/all.config" allnoconfig
    grep '^CONFIG_' "$here/kernel.config" | while IFS= read -r line; do
        grep -qxF "$line" "$work/.config" ||
            fail "kernel.config: $line does not hold: something that it depends on is missing"
    done
}

pack_initrd() {
    mkdir -p "$work/root/bin"
    cp "$(command -v busybox)" "$work/root/bin/busybox"
    cp "$here/init.sh" "$work/root/init"
    chmod 755 "$work/root/init" "$work/root/bin/busybox"
    # shellcheck disable=SC2016 # for the other shell
    run 60 'packing the initrd' sh -c 'cd "$1/root" &&
        find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 >"$1/initrd.cpio" &&
        gzip -9n <"$1/initrd.cpio" >"$2/initrd"' - "$work" "$made"
}

build() {
    place=$(find_place)
    work=$(mktemp -d "$place/kernel.XXXXXX")
    made=$(mktemp -d "$cache/made.XXXXXX")
    log=$made/build.log
    echo "building a Linux kernel for the tests: about three minutes, only once" >&2
    unpack
    configure
    # the same bytes from the same source
    export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
    export KBUILD_BUILD_USER=kdsrv KBUILD_BUILD_HOST=kdsrv
    run 2400 compiling make -s -C "$work" -j "${KD_KGDB_JOBS:-$(nproc)}" bzImage
    pack_initrd
    cp "$work/arch/x86/boot/bzImage" "$work/.config" "$made"
    mv "$made/.config" "$made/config"
    run 120 'compressing the symbols' objcopy --compress-debug-sections=zlib "$work/vmlinux" \
        "$made/vmlinux"
    chmod 755 "$made"
    : >"$made/whole"
    rm -rf "$folder"
    mv "$made" "$folder"
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap '' HUP INT TERM
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        wait "$child" || true
    fi
    [ -z "$work" ] || rm -rf "$work"
    [ -z "$made" ] || rm -rf "$made"
}

fix='sh tests/install-packages.sh kernel'
only_find=
case ${1:-} in
'') ;;
--find) only_find=yes ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    echo "tests/kgdb/build.sh: $1: no such option (see --help)" >&2
    exit 2
    ;;
esac

child=
work=
made=
cache=$(find_cache)
check_sources
folder=$cache/$(build_stamp)
show "$folder" && exit 0
[ -z "$only_find" ] || leave "no kernel has been built yet (sh tests/kgdb/build.sh)"
check_tools
mkdir -p "$cache" || leave "cannot make $cache: set KD_KGDB_CACHE to a folder"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
exec 9>"$cache/lock"
flock -w 3000 9 || fail "somebody else has been building for too long"
# they may have built the same
show "$folder" && exit 0
# what was left behind by a build that was killed, and kernels that nobody has wanted for a month
find "$cache" -mindepth 1 -maxdepth 1 \( -name 'kernel.??????' -o -name 'made.??????' \) \
    -exec rm -rf {} +
find "$cache" -mindepth 2 -maxdepth 2 -name whole -mtime +30 | while IFS= read -r old; do
    rm -rf "${old%/whole}"
done
build
show "$folder"

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# guest.sh: a virtual machine with Debian's own kernel for what this machine's kernel or hardware
# has not, see usage below.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
cache=${KD_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kdsrv/guest}
# What the kernel needs before it has a root; all other modules are there for modprobe.
BOOT_MODULES='virtio_pci 9pnet_virtio 9p'
# Of what no test will ever want; the rest is 150 MB.
LEFT_OUT='sound drivers/gpu drivers/media drivers/infiniband drivers/net/ethernet
drivers/net/wireless'

usage() {
    cat <<'TEXT'
guest.sh prepare
    Fetches the kernel with apt, unpacks it (it is not installed) and makes an initrd. Kept in
    $KD_GUEST_CACHE, by default $XDG_CACHE_HOME/kdsrv/guest. Exit status 77: not possible here.
    Builds dummyfw for it as well, see tests/guest/dummyfw; where that is not possible it says why.
guest.sh run [--devices FILE] [--results FOLDER] [--limit SECONDS] [--] COMMAND [ARGUMENT...]
    Boots it and runs the command there as root: on this machine's files, read-only, with the folder
    of the results as /run/out and a place to write in /run/tmp. The command's output and exit status
    become this one's; if that is not 0 the console follows. 77: not prepared, or no QEMU.
    124: no end within the limit (default 120). 125: the guest broke.

A file of devices has lines of two kinds:
    -OPTION [VALUE]   for QEMU
    wire NAME         a character device NAME for these options, and what one says there is heard
                      at /dev/virtio-ports/NAME in the guest, and the other way round
QEMU's monitor (QMP) is /dev/virtio-ports/monitor in the guest, what it traces /run/out/trace.
In the guest `modprobe NAME` finds the modules of its kernel.
TEXT
}

say() {
    echo "guest.sh: $*" >&2
}

impossible() {
    say "$*"
    exit 77
}

broken() {
    say "$*"
    exit 125
}

# ---- prepare ----

missing_programs() {
    PATH=$PATH:/usr/sbin:/sbin
    for program in qemu-system-x86_64 busybox cpio depmod modprobe flock; do
        command -v "$program" >/dev/null || echo "$program"
    done
}

# The version has a point release in its name, so that is asked for.
find_package() {
    apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# $1: package. Leaves folder $cache/VERSION with vmlinuz and lib/modules.
fetch_kernel() {
    version=${1#linux-image-}
    work=$(mktemp -d "$cache/fetch-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    if ! (cd "$work" && apt-get -qq download "$1") >"$work/log" 2>&1; then
        tail -n 3 "$work/log" >&2
        impossible "$1 cannot be downloaded"
    fi
    set --
    for part in $LEFT_OUT; do
        set -- "$@" --exclude="./lib/modules/*/kernel/$part"
    done
    mkdir "$work/tree"
    dpkg-deb --fsys-tarfile "$work"/*.deb |
        tar -x -C "$work/tree" "$@" "./boot/vmlinuz-$version" ./lib/modules
    mv "$work/tree/boot/vmlinuz-$version" "$work/tree/vmlinuz"
    rmdir "$work/tree/boot"
    depmod -b "$work/tree" "$version"
    rm -rf "${cache:?}/$version"
    mv "$work/tree" "$cache/$version"
    rm -rf "$work"
    trap - EXIT HUP INT TERM
}

# $1: version, $2: the file to make
make_initrd() {
    work=$(mktemp -d "$cache/initrd-XXXXXX")
    mkdir "$work/bin" "$work/proc" "$work/dev" "$work/root" "$work/modules"
    cp "$(command -v busybox)" "$work/bin/busybox"
    cp "$here/guest-first.sh" "$work/init"
    chmod 755 "$work/init"
    number=100
    for name in $BOOT_MODULES; do
        modprobe -d "$cache/$1" -S "$1" --show-depends "$name"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
        number=$((number + 1))
        cp "$module" "$work/modules/$number-${module##*/}"
    done
    (cd "$work" && find . | cpio --quiet -o -H newc | gzip -1) >"$2.new"
    rm -rf "$work" "${2%/*}"/initrd-[0-9]*[0-9]
    mv "$2.new" "$2"
}

# What Debian's kernel has not; without it, only the tests that need it are skipped.
add_modules() {
    sh "$here/dummyfw/build.sh" "$cache/$1" "$1" || true
}

# The initrd follows the scripts that are in it
initrd_name() {
    sum=$({
        echo "$BOOT_MODULES"
        cat "$here/guest-first.sh"
    } | cksum)
    echo "initrd-${sum%% *}"
}

prepare() {
    absent=$(missing_programs | tr '\n' ' ')
    [ -z "$absent" ] || impossible "not on this machine: $absent(see tests/packages.txt, part guest)"
    PATH=$PATH:/usr/sbin:/sbin
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    initrd=$(initrd_name)
    version=$(cat "$cache/version" 2>/dev/null || true)
    if [ -n "$version" ] && [ -s "$cache/$version/$initrd" ]; then
        add_modules "$version"
        return 0
    fi
    if [ -z "$version" ] || [ ! -s "$cache/$version/vmlinuz" ]; then
        command -v apt-get >/dev/null || impossible 'a Debian kernel is needed, and there is no apt'
        [ "$(dpkg --print-architecture)" = amd64 ] || impossible 'this is not an amd64 machine'
        package=$(find_package)
        if [ -z "$package" ] && [ "$(id -u)" -eq 0 ]; then
            apt-get -qq update >&2 || true
            package=$(find_package)
        fi
        [ -n "$package" ] || impossible 'apt knows no linux-image-amd64 (apt-get update may help)'
        fetch_kernel "$package"
    fi
    make_initrd "$version" "$cache/$version/$initrd"
    add_modules "$version"
    echo "$version" >"$cache/version"
    say "prepared $version"
}

# ---- run ----

# A word that a shell reads as it is
quote() {
    printf "'%s' " "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

run() {
    devices=
    results=
    limit=120
    while [ $# -gt 0 ]; do
        case $1 in
        --devices) devices=$2 ;;
        --results) results=$2 ;;
        --limit) limit=$2 ;;
        --)
            shift
            break
            ;;
        *) break ;;
        esac
        shift 2
    done
    [ $# -gt 0 ] || {
        usage >&2
        exit 2
    }
    version=$(cat "$cache/version" 2>/dev/null || true)
    initrd=$cache/$version/$(initrd_name)
    if [ -z "$version" ] || [ ! -s "$initrd" ]; then
        impossible 'the guest is not prepared (sh tests/guest/guest.sh prepare)'
    fi
    command -v qemu-system-x86_64 >/dev/null || impossible 'this machine has no qemu-system-x86_64'

    wires=$(mktemp -d "${TMPDIR:-/tmp}/kd-guest-XXXXXX")
    trap 'rm -rf "$wires"' EXIT
    trap 'exit 1' HUP INT TERM
    [ -n "$results" ] || results=$wires/results
    mkdir -p "$results/.guest"
    results=$(cd "$results" && pwd -P)
    case $wires$results in *,*) broken "QEMU takes no comma in a path: $wires $results" ;; esac
    own=$results/.guest
    rm -f "$own"/* "$results/trace"
    cp "$here/guest-init.sh" "$own/init"
    chmod 755 "$own/init"
    {
        for word in "$@"; do
            quote "$word"
        done
        echo
    } >"$own/command"
    {
        echo "export KD_GUEST_MODULES=$(quote "$cache/$version")"
        # what tests are told by their environment
        for name in KD_BINDIR KD_PLUGINDIR G_DEBUG MALLOC_PERTURB_ ASAN_OPTIONS UBSAN_OPTIONS; do
            if value=$(printenv "$name"); then
                echo "export $name=$(quote "$value")"
            fi
        done
        echo "cd $(quote "$(pwd -P)")"
    } >"$own/environment"

    set -- -accel tcg,thread=multi -cpu max -smp "${KD_GUEST_CPUS:-1}" -m 768 -nodefaults \
        -no-user-config -no-reboot -display none -msg timestamp=on -D "$results/trace" \
        -kernel "$cache/$version/vmlinuz" -initrd "$initrd" \
        -append 'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on' \
        -serial "file:$own/console" \
        -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
        -device virtio-9p-pci,fsdev=root,mount_tag=root \
        -fsdev "local,id=results,path=$results,security_model=none" \
        -device virtio-9p-pci,fsdev=results,mount_tag=results \
        -device virtio-serial-pci,max_ports=16
    {
        echo 'wire monitor'
        echo '-mon chardev=monitor,mode=control'
        [ -z "$devices" ] || cat "$devices"
    } >"$own/devices"
    while read -r word rest; do
        case $word in
        '' | '#'*) ;;
        wire)
            # QEMU is both ends of the socket: a device's, and that of a port which the guest opens
            set -- "$@" -chardev "socket,id=$rest,path=$wires/$rest,server=on,wait=off" \
                -chardev "socket,id=$rest-far,path=$wires/$rest" \
                -device "virtserialport,chardev=$rest-far,name=$rest"
            ;;
        -*) set -- "$@" "$word" ${rest:+"$rest"} ;;
        *) broken "$devices: neither an option nor a wire: $word $rest" ;;
        esac
    done <"$own/devices"
    status=0
    timeout --foreground -k 5 "$limit" qemu-system-x86_64 "$@" </dev/null >"$own/qemu" 2>&1 || status=$?
    [ ! -f "$own/output" ] || cat "$own/output"
    if [ -f "$own/status" ]; then
        status=$(cat "$own/status")
    elif [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        say "no end within $limit s"
        status=124
    else
        status=125
    fi
    if [ "$status" -ne 0 ]; then
        say "exit status $status; QEMU and the console of the guest said:"
        cat "$own/qemu" "$own/console" 2>/dev/null | tr -d '\r' | tail -n 40 >&2
    fi
    return "$status"
}

case ${1:-} in
prepare)
    [ $# -eq 1 ] || {
        usage >&2
        exit 2
    }
    prepare
    ;;
run)
    shift
    run "$@"
    ;;
-h | --help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac

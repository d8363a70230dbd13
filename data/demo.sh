#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# demo.sh: GDB debugs the CPU of a virtual machine through kd and kdsrv, on this machine alone.
#
# Installs what is missing (Debian, with apt, as root or by sudo), builds into build/demo, starts
# QEMU with its debug stub on a UNIX socket and kdsrv on the loopback, lets kd start GDB on the
# link, checks what GDB saw, and takes everything away again but the build.
set -eu
umask 022
source=$(cd "$(dirname "$0")/.." && pwd -P)
work=
vm=
server=
client=

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf '\n== the demo failed: %s\n' "$*" >&2
    exit 1
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap '' HUP INT TERM
    for child in $client $server $vm; do
        kill "$child" 2>/dev/null || true
    done
    for child in $client $server $vm; do
        wait "$child" 2>/dev/null || true
    done
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    left=$(($1 * 10))
    shift
    while ! "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.1
    done
}

# ---- what is needed ----

say "looking for what is needed: compiler, cmake, GLib, gdb, qemu"
sh "$source/tests/install-packages.sh" --with-sudo build demo
for program in cmake ninja gcc gdb qemu-system-x86_64; do
    command -v $program >/dev/null || fail "$program is missing"
done

say "building kdsrv, kd and the plugins (no tests)"
build=$(sh "$source/tests/build-root.sh" "$source")/demo
mkdir -p "$build"
if ! (cd "$source" && cmake --preset release -B "$build" -DKD_TESTS=OFF &&
    cmake --build "$build") >"$build/build.log" 2>&1; then
    tail -n 40 "$build/build.log"
    fail "it does not build"
fi
"$build/bin/kdsrv" --plugin-dir "$build/plugins-0" --list-plugins | sed 's/^/   /'

# ---- the target: a PC that stands still before its first instruction ----

work=$(mktemp -d "${TMPDIR:-/tmp}/kdsrv-demo.XXXXXX")
# A boot sector of our own, so that there is something known to stop at: at 0x7c00
#   b8 34 12   mov $0x1234, %ax
#   40         inc %ax
#   eb fd      jmp to the inc
{
    printf '\270\064\022\100\353\375'
    head -c 504 /dev/zero
    printf '\125\252'
} >"$work/boot.img"
say "starting QEMU, stopped at reset, with its debug stub on $work/vm.sock"
qemu-system-x86_64 -machine pc,accel=tcg -m 32 -nodefaults -display none -S -boot c \
    -drive "file=$work/boot.img,format=raw,if=ide" \
    -chardev "socket,id=debug,path=$work/vm.sock,server=on,wait=off" -gdb chardev:debug \
    >"$work/qemu.log" 2>&1 </dev/null &
vm=$!
wait_for 30 test -S "$work/vm.sock" || {
    cat "$work/qemu.log"
    fail "QEMU offers no socket"
}

# ---- the server: on the loopback, for files beneath one folder ----

say "starting kdsrv on the first free port of 51000 to 51999"
echo "   kdsrv -t tcp:port=51000:51999,bind=127.0.0.1 --allow-path $work"
"$build/bin/kdsrv" -v --plugin-dir "$build/plugins-0" -t tcp:port=51000:51999,bind=127.0.0.1 \
    --allow-path "$work" 2>"$work/kdsrv.log" </dev/null &
server=$!
wait_for 30 grep -q '^kdsrv: ready: ' "$work/kdsrv.log" || {
    cat "$work/kdsrv.log"
    fail "kdsrv is not ready"
}
sed 's/^/   /' "$work/kdsrv.log"
port=$(sed -n 's/^kdsrv: ready: .*Port=\([0-9]*\).*/\1/p' "$work/kdsrv.log")
[ -n "$port" ] || fail "kdsrv names no port"

# ---- the session ----

cat >"$work/tour.gdb" <<'GDB'
set pagination off
set confirm off
echo \n-- the CPU after reset: its registers\n
info registers rip cs eflags
printf "demo: reset rip=%#lx cs=%#lx\n", (unsigned long)$rip, (unsigned long)$cs
echo \n-- memory at the reset vector: a far jump (ea) into the firmware\n
x/8xb 0xfffffff0
printf "demo: opcode=%#x\n", *(unsigned char *)0xfffffff0
echo \n-- one instruction: the jump\n
stepi
printf "demo: stepped rip=%#lx\n", (unsigned long)$rip
echo \n-- a breakpoint where the firmware starts what it boots, and go\n
hbreak *0x7c00
continue
printf "demo: stopped rip=%#lx\n", (unsigned long)$rip
echo \n-- the boot sector: mov $0x1234, %ax; inc %ax; jmp\n
x/6xb 0x7c00
stepi
stepi
info registers rip rax
printf "demo: ax=%#x\n", (unsigned int)($rax & 0xffff)
echo \n-- leave the CPU to itself\n
detach
GDB
link="kdsrv:server=@{tcp:server=127.0.0.1,port=$port},trans=@{com:pipe,port=$work/vm.sock}"
say "starting GDB through kd"
echo "   kd -k '$link' -- gdb"
"$build/bin/kd" --plugin-dir "$build/plugins-0" -k "$link" \
    -- gdb -nx -q -batch -x "$work/tour.gdb" >"$work/transcript" 2>&1 </dev/null &
client=$!
is_over() {
    ! kill -0 "$client" 2>/dev/null
}
wait_for 120 is_over || {
    cat "$work/transcript"
    fail "GDB has not ended after two minutes"
}
status=0
wait "$client" || status=$?
client=
grep -v '^demo: ' "$work/transcript" | sed 's/^/   /'

# ---- what GDB must have seen ----

[ $status -eq 0 ] || fail "kd ended with $status"
expect() {
    grep -qE "^demo: $1\$" "$work/transcript" || fail "GDB did not see: $2"
}
expect 'reset rip=0xfff0 cs=0xf000' "the CPU at its reset vector"
expect 'opcode=0xea' "the firmware's first instruction"
expect 'stepped rip=0x[0-9a-f]+' "the CPU after a step"
! grep -q '^demo: stepped rip=0xfff0$' "$work/transcript" || fail "the step did not move the CPU"
expect 'stopped rip=0x7c00' "the breakpoint"
expect 'ax=0x1235' "the boot sector's work"

say "stopping kdsrv; what it says about the session:"
kill "$server"
wait "$server" || fail "kdsrv ended with $?"
server=
sed -n '2,$s/^/   /p' "$work/kdsrv.log"
say "the demo passed: GDB read, stepped and stopped the CPU of the virtual machine"

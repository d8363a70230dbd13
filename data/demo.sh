#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# demo.sh: GDB debugs a Linux kernel in a virtual machine through kd and kdsrv, or a debugger of KD
# one that is made for it, see usage below.
set -eu
umask 022
source=$(cd "$(dirname "$0")/.." && pwd -P)
work=
vm=
server=
client=
bridge=
reader=

usage() {
    cat <<'TEXT'
sh data/demo.sh [--quick | --kd]
GDB debugs a Linux kernel in KGDB, at the serial port of a virtual machine, through kd and kdsrv, all
on this machine. Installs what is missing (Debian, with apt, as root or by sudo), builds kdsrv into
build/demo and the kernel into a cache in the home folder (three minutes, only once), boots it, checks
what GDB saw, and takes everything away again but what was built.

  --quick   no kernel: GDB debugs the machine's CPU by QEMU's debug stub
  --kd      no virtual machine, and no GDB: the link is KDNET, as of a Windows machine on the network.
            There is none in a demo, so its part and the debugger's are played by programs of the tests.
TEXT
}

kind=kernel
case ${1:-} in
'') ;;
--quick) kind=cpu ;;
--kd) kind=kd ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    echo "demo.sh: $1: no such option (see --help)" >&2
    exit 2
    ;;
esac

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
    for child in $client $bridge $server $vm $reader; do
        kill "$child" 2>/dev/null || true
    done
    for child in $client $bridge $server $vm $reader; do
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

# fail_with FILE REASON: it may tell more
fail_with() {
    [ ! -e "$1" ] || tail -n 60 "$1"
    fail "$2"
}

# wait_for_text SECONDS FILE TEXT
wait_for_text() {
    wait_for "$1" grep -qsaF -e "$3" "$2" || fail_with "$2" "nothing said '$3' within $1 s"
}

# ---- what is needed ----

parts=build
programs="cmake ninja gcc"
wanted="compiler, cmake, GLib"
if [ $kind != kd ]; then
    parts="build demo"
    programs="$programs gdb qemu-system-x86_64"
    wanted="$wanted, gdb, qemu"
fi
say "looking for what is needed: $wanted"
# shellcheck disable=SC2086 # words
sh "$source/tests/install-packages.sh" --with-sudo $parts
# what is missing then is said by what needs it
[ $kind != kernel ] || sh "$source/tests/install-packages.sh" --with-sudo kernel || true
for program in $programs; do
    command -v "$program" >/dev/null || fail "$program is missing"
done

say "building kdsrv, kd and the plugins (no tests)"
build=$(sh "$source/tests/build-root.sh" "$source")/demo
mkdir -p "$build"
if ! (cd "$source" && cmake --preset release -B "$build" -DKD_TESTS=OFF -DKD_DEMO=ON &&
    cmake --build "$build") >"$build/build.log" 2>&1; then
    fail_with "$build/build.log" "it does not build"
fi
"$build/bin/kdsrv" --plugin-dir "$build/plugins-0" --list-plugins | sed 's/^/   /'

if [ $kind = kernel ]; then
    say "looking for the kernel: it is built the first time, in about three minutes"
    kernel=$(sh "$source/tests/kgdb/build.sh") ||
        fail "there is no kernel; without one: sh data/demo.sh --quick"
    echo "   $kernel"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/kdsrv-demo.XXXXXX")

# ---- targets ----

# start_vm OPTION...: QEMU's monitor is the FIFO monitor, what it says is in monitor.log
start_vm() {
    mkfifo "$work/monitor"
    # both ends are open here, so neither side waits for the other one or sees its end
    exec 3<>"$work/monitor"
    qemu-system-x86_64 -accel tcg -nodefaults -display none -monitor stdio "$@" \
        <"$work/monitor" >"$work/monitor.log" 2>&1 3>&- &
    vm=$!
    wait_for 30 has_vm_started || true
    [ -S "$work/vm.sock" ] || fail_with "$work/monitor.log" "QEMU offers no socket"
}

has_vm_started() {
    [ -S "$work/vm.sock" ] || ! kill -0 "$vm" 2>/dev/null
}

# A kernel that waits in KGDB at its first serial port; the second one is a shell.
start_kernel() {
    say "booting it in QEMU: its serial port is $work/vm.sock"
    mkfifo "$work/shell.in" "$work/shell.out"
    exec 5<>"$work/shell.in"
    cat "$work/shell.out" >"$work/shell.log" 5>&- &
    reader=$!
    # rodata=off: KGDB could not take back a breakpoint that was set before the kernel protects its
    # text
    start_vm -m 128 -kernel "$kernel/bzImage" -initrd "$kernel/initrd" \
        -append 'console=ttyS0 nokaslr rodata=off kgdboc=ttyS0,115200 kgdbwait' \
        -chardev "socket,id=line,path=$work/vm.sock,server=on,wait=off,logfile=$work/line.log" \
        -serial chardev:line \
        -chardev "pipe,id=shell,path=$work/shell" -serial chardev:shell
    wait_for_text 60 "$work/line.log" 'Waiting for connection from remote gdb'
    tail -n 3 "$work/line.log" | tr -d '\r' | sed 's/^/   /'
}

# A PC that stands still before its first instruction.
start_cpu() {
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
    start_vm -machine pc -m 32 -S -boot c \
        -drive "file=$work/boot.img,format=raw,if=ide" \
        -chardev "socket,id=debug,path=$work/vm.sock,server=on,wait=off" -gdb chardev:debug
}

# A machine on the network: it looks for its debugger at a UDP port of this one.
start_kd() {
    # those that Microsoft's documents use begin at 50000
    net_port=$((50000 + $$ % 1000))
    key=demo.of.kd.1
    say "switching on a machine that looks for a debugger: KDNET, UDP port $net_port"
    echo "   kd-target --link net:127.0.0.1:$net_port --key $key"
    "$build/bin/kd-target" --link "net:127.0.0.1:$net_port" --key $key --poke 500 \
        --control "$work/orders" >"$work/target.log" 2>&1 </dev/null &
    vm=$!
    wait_for_text 30 "$work/target.log" ready
}

# ---- the server: on the loopback, for files beneath one folder ----

start_server() {
    say "starting kdsrv on the first free port of 51000 to 51999"
    echo "   kdsrv -t tcp:port=51000:51999,bind=127.0.0.1 --allow-path $work"
    "$build/bin/kdsrv" -v --plugin-dir "$build/plugins-0" -t tcp:port=51000:51999,bind=127.0.0.1 \
        --allow-path "$work" 2>"$work/kdsrv.log" </dev/null 3>&- 5>&- &
    server=$!
    wait_for_text 30 "$work/kdsrv.log" 'kdsrv: ready: '
    sed 's/^/   /' "$work/kdsrv.log"
    port=$(sed -n 's/^kdsrv: ready: .*Port=\([0-9]*\).*/\1/p' "$work/kdsrv.log")
    [ -n "$port" ] || fail "kdsrv names no port"
}

stop_server() {
    say "stopping kdsrv; what it says about the session:"
    kill "$server"
    wait "$server" || fail "kdsrv ended with $?"
    server=
    sed -n '2,$s/^/   /p' "$work/kdsrv.log"
}

# ---- GDB, which reads its commands from a FIFO: so it can be told to interrupt ----

# start_gdb [FILE]
start_gdb() {
    link="kdsrv:server=@{tcp:server=127.0.0.1,port=$port},trans=@{com:pipe,port=$work/vm.sock}"
    say "starting GDB through kd"
    echo "   kd -k '$link' -- gdb${1:+ vmlinux}"
    mkfifo "$work/gdb"
    exec 4<>"$work/gdb"
    "$build/bin/kd" --plugin-dir "$build/plugins-0" -k "$link" \
        -- gdb -nx -q "$@" <"$work/gdb" >"$work/transcript" 2>&1 3>&- 4>&- 5>&- &
    client=$!
    tell_gdb 'set pagination off' 'set confirm off'
}

tell_gdb() {
    printf '%s\n' "$@" >&4
}

# stage NAME FILE: gives GDB the commands and waits until it is through
stage() {
    cat "$2" >&4
    tell_gdb "echo demo: $1 is over\\n"
    wait_for 120 is_over_or_said "demo: $1 is over" ||
        fail_with "$work/transcript" "GDB is not through with: $1"
    ! is_over || fail_with "$work/transcript" "GDB has ended"
}

is_over() {
    ! kill -0 "$client" 2>/dev/null
}

is_over_or_said() {
    is_over || grep -qaF -e "$1" "$work/transcript"
}

# what GDB has said since; what the machine wrote to its console meanwhile came by the same line
shown=0
show() {
    lines=$(wc -l <"$work/transcript")
    sed -n "$((shown + 1)),${lines}p" "$work/transcript" | tr -d '\r' |
        sed -e 's/^\((gdb) \)*//' -e '/^demo: /d' -e 's/^/   /'
    shown=$lines
}

leave_gdb() {
    tell_gdb detach quit
    wait_for 60 is_over || fail_with "$work/transcript" "GDB does not end"
    status=0
    wait "$client" || status=$?
    client=
    show
    [ $status -eq 0 ] || fail "kd ended with $status"
}

expect() {
    sed 's/^\((gdb) \)*//' "$work/transcript" | grep -qE "^demo: $1\$" ||
        fail "GDB did not see: $2"
}

# ---- a debugger of KD, which comes to a socket of kd and goes again ----

start_bridge() {
    link="kdsrv:server=@{tcp:server=127.0.0.1,port=$port},trans=@{net:port=$net_port,key=$key}"
    say "starting kd, which has the link ready for any debugger"
    echo "   kd -k '$link' --listen unix:$work/kd.sock"
    "$build/bin/kd" --plugin-dir "$build/plugins-0" -k "$link" --listen "unix:$work/kd.sock" \
        2>"$work/kd.log" </dev/null &
    bridge=$!
    wait_for_text 30 "$work/kd.log" 'listening on '
}

# debug ORDER...
debug() {
    status=0
    "$build/bin/kd-debugger" --connect "$work/kd.sock" "$@" >"$work/part" 2>&1 || status=$?
    sed 's/^/   /' "$work/part"
    cat "$work/part" >>"$work/transcript"
    [ $status -eq 0 ] || fail_with "$work/kd.log" "the debugger ended with $status"
}

expect_line() {
    grep -q "^$1" "$work/transcript" || fail "the debugger did not see: $2"
}

# ---- the tours ----

tour_kd() {
    start_bridge
    say "a debugger comes: what runs there, memory, a register, a breakpoint"
    debug attach version 'read pattern 65536' 'write scratch 5000' context set-rax 'bp tick' \
        continue wait 'clear 1'
    say "it has gone; the machine still stands there, which the next one sees at once"
    debug attach context continue
    say "the next one breaks in, and starts the machine anew"
    debug attach reboot wait version continue
    say "what kd was told meanwhile:"
    sed 's/^/   /' "$work/kd.log"
    kill "$bridge"
    wait "$bridge" || true
    bridge=
    expect_line 'version: 15.19041' "the kernel's version"
    expect_line 'read: 65536 bytes' "the machine's memory"
    expect_line 'bp: 1 ' "its breakpoint"
    expect_line 'wait: .* code 80000003 at fffff80000020200' "the breakpoint's hit"
    expect_line 'context: .* rax 6262626269696969' "the register after the debugger had changed"
    grep -q 'restarted' "$work/kd.log" || fail "the machine's restart was not told"
}

tour_kernel() {
    cat >"$work/first.gdb" <<'GDB'
echo \n-- what runs there, from the memory of the kernel\n
print linux_banner
printf "demo: banner=%.14s\n", linux_banner
echo \n-- a variable of the kernel, written and read back\n
print panic_timeout
set variable panic_timeout = 4242
maintenance flush dcache
print panic_timeout
printf "demo: written=%d\n", panic_timeout
echo \n-- a breakpoint where every program writes, and go\n
break ksys_write
continue
printf "demo: stopped with count=%lu\n", count
backtrace 4
delete
echo \n-- go on, to user space\n
continue &
GDB
    stage 'first part' "$work/first.gdb"
    wait_for_text 60 "$work/line.log" 'user space is up'
    show

    say "breaking in"
    cat <<'TEXT'
   A kernel that runs listens on its serial port for a BREAK and then the letter g. On a real line
   CTRL+C in GDB is all it takes, if kd was started with --profile kgdb: it sends both. The serial
   port of a virtual machine comes out as a socket, and a socket carries no BREAK. So here QEMU's
   monitor is asked for it, chardev-send-break, and GDB sends the letter, all the way.
TEXT
    echo 'chardev-send-break line' >&3
    wait_for_text 30 "$work/monitor.log" 'chardev-send-break line'
    tell_gdb 'set remote interrupt-sequence BREAK-g' interrupt
    wait_for_text 60 "$work/transcript" SIGTRAP
    cat >"$work/second.gdb" <<'GDB'
echo \n-- stopped again: the way from the interrupt of the serial port into KGDB\n
backtrace 7
printf "demo: broke in, panic_timeout=%d\n", panic_timeout
echo \n-- leave the kernel to itself\n
GDB
    stage 'second part' "$work/second.gdb"
    leave_gdb
    expect 'banner=Linux version ' "the kernel's banner"
    expect 'written=4242' "the variable that it wrote"
    expect 'stopped with count=[0-9]+' "the breakpoint"
    grep -qa ' ksys_write (' "$work/transcript" || fail "GDB did not stop at ksys_write"
    grep -qa ' sysrq_handle_dbg (' "$work/transcript" || fail "no break was heard"
    expect 'broke in, panic_timeout=4242' "the variable after breaking in"

    say "asking the kernel itself, which runs on:"
    echo '   cat /proc/sys/kernel/panic'
    echo 'cat /proc/sys/kernel/panic' >&5
    wait_for_text 30 "$work/shell.log" 4242
    echo '   4242'
}

tour_cpu() {
    cat >"$work/tour.gdb" <<'GDB'
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
GDB
    stage tour "$work/tour.gdb"
    leave_gdb
    expect 'reset rip=0xfff0 cs=0xf000' "the CPU at its reset vector"
    expect 'opcode=0xea' "the firmware's first instruction"
    expect 'stepped rip=0x[0-9a-f]+' "the CPU after a step"
    ! grep -q 'demo: stepped rip=0xfff0$' "$work/transcript" || fail "the step did not move the CPU"
    expect 'stopped rip=0x7c00' "the breakpoint"
    expect 'ax=0x1235' "the boot sector's work"
}

start_$kind
start_server
case $kind in
kernel) start_gdb "$kernel/vmlinux" ;;
cpu) start_gdb ;;
esac
tour_$kind
stop_server
if [ $kind = kernel ]; then
    say "the demo passed: GDB read, wrote, stopped and left a Linux kernel at its serial port"
elif [ $kind = kd ]; then
    say "the demo passed: three debuggers of KD, one after the other, at a machine on the network"
else
    say "the demo passed: GDB read, stepped and stopped the CPU of the virtual machine"
fi

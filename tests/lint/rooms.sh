#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# rooms.sh COMPILER SOURCE ROOM DIRS: the room can include the headers of the rooms that rooms.txt
# gives it, and no header of any other. DIRS has the include directories of its target, one a line.
set -eu
compiler=$1
source=$2
room=$3
dirs=$4
table=$(dirname "$0")/rooms.txt

get_direct() {
    sed -n "s/^$1://p" "$table"
}

# everything that the arrows lead to
allowed=" $room "
left=$(get_direct "$room")
while [ -n "${left# }" ]; do
    next=
    for to in $left; do
        case $allowed in
        *" $to "*) ;;
        *)
            allowed="$allowed$to "
            next="$next $(get_direct "$to")"
            ;;
        esac
    done
    left=$next
done

set --
while IFS= read -r dir; do
    [ -z "$dir" ] || set -- "$@" "-I$dir"
done <"$dirs"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for folder in "$source"/core/*/; do
    other=$(basename "$folder")
    for header in "$folder"kd-*.h; do
        [ -e "$header" ] || continue
        name=$(basename "$header")
        case $allowed in
        *" $other "*)
            printf '#if !__has_include("%s")\n#error %s must be able to include %s of %s\n#endif\n' \
                "$name" "$room" "$name" "$other"
            ;;
        *)
            printf '#if __has_include("%s")\n#error %s must not include %s of %s\n#endif\n' \
                "$name" "$room" "$name" "$other"
            ;;
        esac
    done
done >"$work/room.c"
count=$(grep -c __has_include "$work/room.c")
"$compiler" -fsyntax-only "$@" "$work/room.c"

# a path would climb over the wall
case $room in
kdsrv | kd) folder=$source/core/cli ;;
kdsrv-transport-*) folder=$source/plugins/${room#kdsrv-transport-} ;;
link-layer | link-port) folder=$source/targets/kd-link ;;
kdsrv-*-com) folder=$source/targets/serial ;;
kdsrv-*-net) folder=$source/targets/kdnet ;;
kdsrv-target-*) folder=$source/targets/${room#kdsrv-target-} ;;
*) folder=$source/core/$room ;;
esac
if grep -n '#[[:space:]]*include[[:space:]]*".*/' "$folder"/*.[ch]; then
    echo "an #include with a path in quotes"
    exit 1
fi
echo "$room: $count headers are where they should be; it may include:$allowed"

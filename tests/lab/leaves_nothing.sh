#!/usr/bin/env bash
# leaves_nothing.sh BINARY USER: whatever ends the lab, no mount, loop device, process or file of it
# stays: its own end, Ctrl-C in the middle, kill -9 of the process that was started.
set -euo pipefail
binary=$(realpath "$1")
user=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
install -m 755 "$binary" "$place/csi-doctor-lab"
faults=0

# What a lab could leave: mounts of this namespace, loop devices, its processes, files where it works.
traces() {
    findmnt --noheadings --raw --output TARGET,SOURCE
    losetup --all --noheadings --output NAME,BACK-FILE
    # The kernel cuts names at 15 characters.
    pgrep --list-name '^csi-doctor-' || true
    pgrep --list-name '^kubectl-csi' || true
    ls -A /mnt /media /srv /run /dev/shm
    find /tmp /var/tmp -maxdepth 1 -name 'csi-doctor*'
}

# The kernel clears loop devices and ends the namespace a moment after the last process.
settled() {
    local before=$1 try
    for try in $(seq 100); do
        [ "$(traces)" = "$before" ] && return 0
        sleep 0.1
    done
    diff <(echo "$before") <(traces) || true
    return 1
}

# ends NAME USER SIGNAL: starts `up`, waits until it is there, ends it by a signal, and looks.
ends() {
    local name=$1 as=$2 signal=$3 before started try
    before=$(traces)
    setpriv --reuid "$as" --regid "$as" --init-groups "$place/csi-doctor-lab" up --name "$name" >"$place/out" 2>&1 &
    started=$!
    for try in $(seq 300); do
        grep -q 'Ctrl-C' "$place/out" && break
        kill -0 "$started" 2>/dev/null || break
        sleep 0.1
    done
    grep -q 'Ctrl-C' "$place/out" || { cat "$place/out"; echo "up did not come up as $as"; faults=1; }
    # The faults that could hold something: a hanging filesystem, a killed plugin, a full one.
    local fault
    for fault in "hang media" "fill cart-cache" "kill-plugin reports"; do
        setpriv --reuid "$as" --regid "$as" --init-groups "$place/csi-doctor-lab" fault --name "$name" $fault >/dev/null 2>&1 || true
    done
    kill -s "$signal" "$started"
    wait "$started" 2>/dev/null || true
    if settled "$before"; then
        echo "ok: up as $as, ended by $signal"
    else
        echo "LEFT BEHIND: up as $as, ended by $signal"
        faults=1
    fi
}

for as in root "$user"; do
    ends "leaves-$as-int" "$as" INT
    ends "leaves-$as-term" "$as" TERM
    ends "leaves-$as-kill" "$as" KILL
done
exit "$faults"

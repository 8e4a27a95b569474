#!/usr/bin/env bash
# left.sh BINARY: what pods left on real mounts is called safe to take away, until something speaks against it
# that no list of pods tells of: a process alone with a filesystem in a mount namespace of its own (btrfs, FUSE,
# ext4), a subPath that is still bound, a file in the directory, the kubelet's notes gone. Then it is not called
# safe; and it is again when that is over. What the finding says to paste does no harm and heals.
# Needs root, loop devices, FUSE, mkfs.btrfs and unshare.
set -euo pipefail
binary=$(realpath "$1")
name=left-$$
place=$(mktemp -d)
wrong=0
export CSI_DOCTOR_LAB_NAME=$name

"$binary" up --name "$name" --scale 0.02 >"$place/out" 2>&1 &
lab=$!
trap 'kill "$lab" 2>/dev/null || true; wait "$lab" 2>/dev/null || true; rm -rf "$place"' EXIT
for _ in $(seq 600); do
    grep -q 'Ctrl-C' "$place/out" && break
    kill -0 "$lab" 2>/dev/null || { cat "$place/out"; exit 1; }
    sleep 0.1
done

inside() { "$binary" exec --name "$name" -- sh -c "$1"; }
ask() { "$binary" exec --name "$name" -- kubectl-csi_doctor "$@" || [ $? -eq 1 ]; }

# Each open finding of these codes: CODE CLAIM and what it says of safety.
said() {
    ask get findings -A -o json | awk -F'"' '
        /"code":/ { code = $4; named = "" }
        /"subject":/ { subject = 1 }
        subject && /"name":/ { named = $4 }
        /"message":/ { subject = 0 }
        /"value": "(safe|not safe|unsure)/ { print code, named, $4 }'
}

# await CODE CLAIM PATTERN: until the finding says so.
await() {
    for _ in $(seq 150); do
        said >"$place/said"
        grep -Eq "^$1 $2 $3" "$place/said" && { echo "ok: $1 $2 $3"; return; }
        sleep 0.3
    done
    echo "WRONG: $1 $2 is not said to be $3, but:"
    grep "^$1 $2" "$place/said" || true
    wrong=1
}

# command CODE CLAIM: what the finding says to paste to take away what was left.
command_of() {
    ask get findings -A -o json | awk -F'"' -v code="$1" -v claim="$2" '
        /"code":/ { mine = $4 == code; named = 0 }
        /"name":/ && $4 == claim { named = 1 }
        mine && named && /"command": "(umount|rmdir)/ { print $4 }'
}

staged='session-store audit-log media'
for claim in $staged; do
    "$binary" fault --name "$name" leave-stage "$claim" >>"$place/did"
done
for claim in invoices orders-db search-index cart-cache; do
    "$binary" fault --name "$name" leave-directory "$claim" >>"$place/did"
done
for claim in $staged; do await StagedWithoutPod "$claim" 'safe$'; done
for claim in invoices orders-db search-index; do await OrphanedPodVolume "$claim" 'safe$'; done

# A process of nobody's pod.
inside 'unshare --mount sleep 1000 >/dev/null 2>&1 & echo $! >/mnt/holder'
for claim in $staged; do await StagedWithoutPod "$claim" 'not safe: process [0-9]+ \(sleep\) has it mounted at '; done
inside 'kill $(cat /mnt/holder)'
for claim in $staged; do await StagedWithoutPod "$claim" 'safe$'; done

# One that takes what the host unmounts holds nothing, as drivers with the kubelet's directory do not.
inside 'mount --make-rshared / 2>/dev/null; unshare --mount --propagation slave sleep 1000 >/dev/null 2>&1 & echo $! >/mnt/holder'
sleep 3
for claim in $staged; do await StagedWithoutPod "$claim" 'safe$'; done
inside 'kill $(cat /mnt/holder)'

directory() { inside "dirname \$(echo /mnt/kubelet/pods/*/volumes/kubernetes.io~csi/pvc-*/mount | tr ' ' '\n' | grep $(pv "$1"))"; }
pv() { ask get findings -A -o json | awk -F'"' -v claim="$1" '
    /"name":/ { mine = $4 == claim } mine && match($0, /pvc-[0-9a-f-]+/) { print substr($0, RSTART, RLENGTH); exit }'; }

invoices=$(directory invoices) orders=$(directory orders-db) index=$(directory search-index) cart=$(directory cart-cache)
paste=$(command_of OrphanedPodVolume invoices)
inside "echo rows >$invoices/mount/rows.db; mv $orders/vol_data.json /mnt/notes"
inside "pod=\$(dirname \$(dirname \$(dirname $index))); mkdir -p \$pod/volume-subpaths/data/app/0
    mount --bind \$(findmnt -rno TARGET -t ext4 | head -n 1) \$pod/volume-subpaths/data/app/0"
await OrphanedPodVolume invoices "not safe: $invoices/mount/rows.db lies there"
await OrphanedPodVolume search-index 'not safe: a mount at .*/volume-subpaths/data/app/0'
# A note that is gone signals nothing: the next whole look comes by itself.
await OrphanedPodVolume orders-db 'unsure: .*vol_data.json: No such file'
ask get findings -A -o json >"$place/found"
grep 'an inline volume' "$place/found" && { echo "WRONG: a volume without notes is called inline"; wrong=1; }

# What was to be pasted stops at the first thing that it finds.
inside "$paste" 2>/dev/null && { echo "WRONG: a directory with a file in it went"; wrong=1; }
inside "test -s $invoices/vol_data.json && test -s $invoices/mount/rows.db" || { echo "WRONG: notes or data are lost"; wrong=1; }

inside "rm $invoices/mount/rows.db; mv /mnt/notes $orders/vol_data.json"
inside "pod=\$(dirname \$(dirname \$(dirname $index))); umount \$pod/volume-subpaths/data/app/0; rm -r \$pod/volume-subpaths"
for claim in invoices search-index orders-db; do await OrphanedPodVolume "$claim" 'safe$'; done

# And heals where it is safe.
inside "$(command_of OrphanedPodVolume cart-cache)"
inside "! test -e $cart" || { echo "WRONG: what was safe to remove is still there"; wrong=1; }
inside "$(command_of StagedWithoutPod audit-log)" || { echo "WRONG: what was safe to unmount is still mounted"; wrong=1; }
for _ in $(seq 100); do
    said >"$place/said"
    grep -Eq '^(OrphanedPodVolume cart-cache|StagedWithoutPod audit-log) ' "$place/said" || break
    sleep 0.3
done
grep -E '^(OrphanedPodVolume cart-cache|StagedWithoutPod audit-log) ' "$place/said" && { echo "WRONG: still found"; wrong=1; }
[ "$wrong" -ne 0 ] || echo "ok: what was left is safe or not as it is"
exit "$wrong"

#!/usr/bin/env bash
# facts.sh BINARY: healthy volumes of every kind and use show all their facts and no gap. Then each fault
# that the lab can make is made on a real filesystem, and what the agent's facts say of that volume is
# compared with tests/node/expected/FAULT.txt; then it is healed, and the facts are those of a healthy
# volume again. Needs root, loop devices, FUSE and the tools of the filesystems.
# With UPDATE=1 the texts are written anew, to be read before they are believed.
set -euo pipefail
binary=$(realpath "$1")
expected=$(cd "$(dirname "$0")" && pwd)/expected
name=facts-$$
place=$(mktemp -d)
wrong=0
export CSI_DOCTOR_LAB_NAME=$name

for tool in mkfs.ext4 mkfs.xfs mkfs.btrfs losetup timeout awk; do
    command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 1; }
done
[ -r /dev/fuse ] || { echo "missing: /dev/fuse" >&2; exit 1; }

"$binary" up --name "$name" --scale 0.1 >"$place/out" 2>&1 &
lab=$!
trap 'kill "$lab" 2>/dev/null || true; wait "$lab" 2>/dev/null || true; rm -rf "$place"' EXIT
for _ in $(seq 600); do
    grep -q 'Ctrl-C' "$place/out" && break
    kill -0 "$lab" 2>/dev/null || { cat "$place/out"; exit 1; }
    sleep 0.1
done

# What is the same in every run: numbers that the kernel and the lab give out are left out. Devices are
# named by the order in which they appear, so that one that is another shows.
plain() {
    sed -E -e 's#/dev/loop[0-9]+#/dev/loopN#g' -e 's/device: 7:[0-9]+/device: 7:N/' \
        -e 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UID/g' -e 's/[0-9a-f]{64}/HASH/g' \
        -e 's/vol-[0-9a-f]{17}/vol-N/g' -e 's/[0-9]+ requests? waits?/N requests wait/g' \
        -e 's/of [0-9]{7,} inodes/of N inodes/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+( UTC|Z)/TIME/g' |
        awk '{
            line = ""
            while (match($0, /\([0-9]+:[0-9]+\)/)) {
                device = substr($0, RSTART, RLENGTH)
                if (!(device in names)) names[device] = sprintf("(device %c)", 65 + count++)
                line = line substr($0, 1, RSTART - 1) names[device]
                $0 = substr($0, RSTART + RLENGTH)
            }
            print line $0
        }'
}

# facts [CLAIM]: all of them, or those of one volume.
# A scan that was the first to ask a FUSE volume that hangs cannot end before the volume answers, though it
# has printed all: it is left behind.
facts() {
    timeout --signal KILL 10 "$binary" exec --name "$name" -- csi-doctor-agent scan --once -o facts >"$place/raw" 2>/dev/null || true
    awk -v claim="${1:-}" '
        claim == "" { print; next }
        /^[^ ]/ { on = index($0, claim) > 0 } on { print }' "$place/raw" | plain
}

# compare WHAT [CLAIM]: waits until the facts are as expected.
compare() {
    local what=$1 claim=${2:-} file=$expected/$1.txt
    if [ -n "${UPDATE:-}" ]; then
        sleep 6
        facts "$claim" >"$file" || true
        echo "written: $what"
        return
    fi
    for _ in $(seq 40); do
        facts "$claim" >"$place/found" || true
        cmp -s "$place/found" "$file" && { echo "ok: $what"; return; }
        sleep 0.5
    done
    echo "WRONG: $what"
    diff "$file" "$place/found" || true
    wrong=1
}

# well CLAIM: as it was before anything was done to it, but for files that are new.
well() {
    for _ in $(seq 60); do
        facts "$1" | sed 's/, [0-9]* of/, N of/' >"$place/found" || true
        cmp -s "$place/found" "$place/well-$1" && return
        sleep 0.5
    done
    echo "WRONG: $1 is not healthy again"
    diff "$place/well-$1" "$place/found" || true
    wrong=1
}

compare healthy
# Whatever the expected text says: of a healthy node nothing is unknown.
if facts | grep -E 'not known|gap of'; then
    echo "WRONG: there are gaps on a healthy node"
    wrong=1
fi
for claim in invoices orders-db cart-cache media search-index session-store ledger; do
    facts "$claim" | sed 's/, [0-9]* of/, N of/' >"$place/well-$claim"
done

while read -r fault claim shown; do
    "$binary" fault --name "$name" "$fault" "$claim" >>"$place/did" || { echo "WRONG: $fault $claim"; wrong=1; continue; }
    compare "$fault-$claim" "${shown:-$claim}"
    "$binary" heal --name "$name" "$claim" >>"$place/did" || { echo "WRONG: heal $claim"; wrong=1; continue; }
    well "$claim"
done <<'FAULTS'
unmount invoices
unmount-inside invoices
stack invoices
swap invoices
read-only orders-db
emergency orders-db
freeze-io orders-db
fill cart-cache
inodes cart-cache
hang media
queue media
die media
restart media
shut-down search-index
detach session-store
unmount ledger
orphan invoices left
leave-stage invoices left
stuck-unmount invoices
FAULTS
exit "$wrong"

#!/usr/bin/env bash
# cycles.sh BINARY: volumes that come and go a thousand times under the fastest looking that the lab can
# make (an interval of 300 ms, and woken by each change): no unmount finds its volume busy.
set -euo pipefail
binary=$(realpath "$1")
name=cycles-$$
place=$(mktemp -d)

"$binary" up --name "$name" --scale 0.01 >"$place/out" 2>&1 &
lab=$!
trap 'kill "$lab" 2>/dev/null || true; wait "$lab" 2>/dev/null || true; rm -rf "$place"' EXIT
for _ in $(seq 600); do
    grep -q 'Ctrl-C' "$place/out" && break
    kill -0 "$lab" 2>/dev/null || { cat "$place/out"; exit 1; }
    sleep 0.1
done

for claim in orders-db search-index audit-log ledger media; do
    "$binary" cycle --name "$name" --times 1000 "$claim"
    # Looks that were never made keep nobody from anything.
    "$binary" exec --name "$name" -- kubectl-csi_doctor get nodes | grep -q ' heard .* 0s ' ||
        { echo "the agent was not heard meanwhile" >&2; exit 1; }
done

#!/usr/bin/env bash
# expansion.sh BINARY: a real volume of each filesystem grows step by step, stopped after each of the
# seven steps: the doctor names each stop, and nothing once it has gone on. Then drivers that lie,
# refuse and hang. Needs root, loop devices and the tools of the filesystems.
set -euo pipefail
binary=$(realpath "$1")
name=expansion-$$
place=$(mktemp -d)
faults=0
export CSI_DOCTOR_LAB_NAME=$name

"$binary" up --name "$name" --scale 0.05 >"$place/out" 2>&1 &
lab=$!
trap 'kill "$lab" 2>/dev/null || true; wait "$lab" 2>/dev/null || true; rm -rf "$place"' EXIT
for _ in $(seq 600); do
    grep -q 'Ctrl-C' "$place/out" && break
    kill -0 "$lab" 2>/dev/null || { cat "$place/out"; exit 1; }
    sleep 0.1
done

ask() { "$binary" exec --name "$name" -- kubectl-csi_doctor "$@"; }

# The codes that are open or settle on a claim.
codes() {
    ask get findings -n shop 2>/dev/null |
        awk -v claim="shop/$1" '$3 == "claim" && $4 == claim && !/resolved/ { print $2 }' | sort | paste -sd' '
}

# expect CLAIM WHAT CODES: waits until exactly these codes are there.
expect() {
    local claim=$1 what=$2 wanted=$3 found=
    for _ in $(seq 80); do
        found=$(codes "$claim" || true)
        [ "$found" = "$wanted" ] && { echo "ok: $claim $what: ${wanted:-nothing}"; return; }
        sleep 0.25
    done
    echo "WRONG: $claim $what: wanted '${wanted}', found '$found'"
    ask diagnose pvc "$claim" -n shop || true
    faults=1
}

# stands CLAIM STEP: the step at which diagnose sees its expansion stuck; it is bound and in its pod.
stands() {
    local found fine=$'It is bound.\nIt is in its pod, as far as can be seen.'
    for _ in $(seq 40); do
        found=$(ask diagnose pvc "$1" -n shop | grep '^It ' || true)
        case ${found#"$fine"$'\n'} in
            "It stands at: $2." | "It waits at: $2. Nothing is wrong so far.") return ;;
        esac
        sleep 0.25
    done
    { echo "WRONG: $1: wanted step '$2', diagnose says '$found'"; faults=1; }
}

grow() { "$binary" expand --name "$name" "$@" >>"$place/did"; }
# Events have whole seconds: what is said before, at and after the end is not to share one.
go_on() {
    sleep 1.1
    "$binary" heal --name "$name" "$1" >>"$place/did"
    expect "$1" "after it went on" ""
    sleep 1.1
}

# Of a resizer that spoke of another claim lately nobody says that it is missing.
unseen=ResizerMissing
for claim in session-store search-index audit-log ledger; do
    grow "$claim" --until class-allows
    expect "$claim" "before anything was asked" ""
    grow "$claim" --until request-raised
    expect "$claim" "after the request" "$unseen"
    unseen=ControllerExpansionPending
    stands "$claim" "resizer saw it"
    grow "$claim" --until resizer-saw
    expect "$claim" "after the resizer's mark" ControllerExpansionPending
    stands "$claim" "controller expanded"
    grow "$claim" --until controller-expanded
    expect "$claim" "after the storage grew" ControllerExpansionPending
    grow "$claim" --until capacity-raised
    expect "$claim" "after the volume's capacity" NodeExpansionPending
    stands "$claim" "node expanded"
    grow "$claim" --until node-expanded
    expect "$claim" "after the filesystem grew" ExpansionStatusStale
    stands "$claim" "filesystem grown"
    grow "$claim" --until filesystem-grown
    expect "$claim" "at its end" ""
    go_on "$claim"
done

claim=session-store
grow "$claim" --node lie
expect "$claim" "after a driver that lied on the node" FilesystemNotGrown
stands "$claim" "filesystem grown"
go_on "$claim"
grow "$claim" --controller lie --node lie
expect "$claim" "after a storage that lied" DeviceNotResized
stands "$claim" "node expanded"
go_on "$claim"

claim=ledger
grow "$claim" --node lie
expect "$claim" "after a driver that did not look at its device again" DeviceNotResized
stands "$claim" "node expanded"
go_on "$claim"

claim=cart-cache
for code in Internal ResourceExhausted OutOfRange InvalidArgument NotFound Unimplemented; do
    grow "$claim" --controller "$code"
    expect "$claim" "refused by the storage with $code" ControllerExpansionFailed
done
for code in DeadlineExceeded Unavailable Aborted Canceled; do
    go_on "$claim"
    grow "$claim" --controller "$code"
    expect "$claim" "refused by the storage with $code" ControllerExpansionPending
done
go_on "$claim"
grow "$claim" --controller offline
expect "$claim" "with an offline-only driver" ControllerExpansionPending
go_on "$claim"

claim=invoices
for code in Internal PermissionDenied OutOfRange InvalidArgument NotFound; do
    grow "$claim" --node "$code"
    expect "$claim" "refused on the node with $code" NodeExpansionFailed
done
for code in FailedPrecondition DeadlineExceeded Aborted hang; do
    grow "$claim" --node "$code"
    expect "$claim" "refused on the node with $code" NodeExpansionPending
done
go_on "$claim"
exit "$faults"

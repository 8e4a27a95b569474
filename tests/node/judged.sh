#!/usr/bin/env bash
# judged.sh BINARY: pods live on a healthy node, and nothing is found and nothing is unknown: every rule says ok
# of as many subjects as docs/coverage.md gives it among the lab's volumes. One pod has its volume through a link
# of its image, another has a sandbox beside its container, and the kubelet's directory is bound on itself. Then every code
# that is about a node's mounts, drivers and health is made to happen on real mounts, several at a time: each
# finding settles and opens with the subject, the evidence and the words of tests/node/judged/FAULT-CLAIM.txt,
# and resolves when its fault is healed. Needs root, loop devices, FUSE and the tools of the filesystems.
# With UPDATE=1 the texts are written anew, to be read before they are believed.
set -euo pipefail
binary=$(realpath "$1")
expected=$(cd "$(dirname "$0")" && pwd)/judged
coverage=$(cd "$(dirname "$0")" && pwd)/../../docs/coverage.md
name=judged-$$
place=$(mktemp -d)
wrong=0
lab=
# These open at once: what they say cannot be there for a moment only.
immediate=' DeviceMissing FilesystemErrors StaleMount UnexpectedReadOnly '
export CSI_DOCTOR_LAB_NAME=$name

end() {
    [ -z "$lab" ] || kill "$lab" 2>/dev/null || true
    wait "$lab" 2>/dev/null || true
}
trap 'end; rm -rf "$place"' EXIT

# begin SCALE: a lab of which intervals and graces are so much of the ordinary ones.
begin() {
    end
    "$binary" up --name "$name" --scale "$1" >"$place/out" 2>&1 &
    lab=$!
    for _ in $(seq 600); do
        grep -q 'Ctrl-C' "$place/out" && return
        kill -0 "$lab" 2>/dev/null || break
        sleep 0.1
    done
    cat "$place/out"
    exit 1
}

ask() { "$binary" exec --name "$name" -- kubectl-csi_doctor "$@" || [ $? -eq 1 ]; }

# found: everything that is open or settles, as JSON.
found() { ask get findings -A -o json; }

# about CODE OBJECT: of that, one finding that is open; what happens to be another in each run is left out.
about() {
    awk -v code="\"code\": \"$1\"" -v object="\"name\": \"$2\"" '
        /^    \{$/ { item = ""; subject = 0; mine = 0; over = 0; open = 0 }
        index($0, code) { mine = 1 }
        /"state": "open"/ { open = 1 }
        /"subject": \{/ { subject = 1 }
        subject && index($0, object) { named = 1 }
        /"message":/ { subject = 0 }
        /"related":/ || /"firstSeen":/ { over = 1 }
        !over && !/"(uid|state)":/ { item = item $0 "\n" }
        /"(firstSeen|opened)":/ { times = times $0 "\n" }
        /^    \},?$/ { if (mine && named && open) printf "%s%s", item, times; named = 0; times = "" }'
}

plain() {
    sed -E -e '/"(firstSeen|opened)":/d' -e 's/^ {4}//' \
        -e 's#/dev/loop[0-9]+#/dev/loopN#g' -e 's/\(7:[0-9]+\)/(device)/g' -e 's/(device|filesystem) [0-9]+:[0-9]+/\1 N/g' \
        -e 's#([/" ])(7|0):[0-9]+#\1\2:N#g' -e 's#fuse/connections/[0-9]+#fuse/connections/N#g' \
        -e 's#(statfs of [^:]*): (not made, since|an earlier call)[^"]*#\1: not made, or without an answer#' \
        -e 's#loop[0-9]+#loopN#g' -e 's#(process|/proc/|process )[0-9]{2,}#\1N#g' -e 's/process [0-9]+/process N/g' -e 's/ -p [0-9]+/ -p N/g' \
        -e 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UID/g' -e 's/[0-9a-f]{64}/HASH/g' \
        -e 's/vol-[0-9a-f]{17}/vol-N/g' -e 's/[0-9]+ requests? waits?/N requests wait/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+( UTC|Z)/TIME/g' -e 's/inode [0-9]+/inode N/g' \
        -e 's/("value": ")[0-9]+(",?)$/\1N\2/'
}

fail() {
    echo "WRONG: $*"
    wrong=1
}

# The verdicts of the collector's latest scan, rule by rule.
verdicts() { ask status | awk 'seen { print $1, $2, $3, $4 } /^RULE/ { seen = 1 }'; }

# The same as it is when all is well: of each rule the volumes that the lab says it made, as far as the rule
# looks at volumes of their kind, or their drivers.
subjects() {
    awk '
        FNR == NR && /^  [a-z-]+ +[0-9]+[KMG]i / && !/which is not covered/ {
            volumes[/, without a claim/ ? "inline" : $3 == "block" ? "block" : "file"]++
            if (match($0, /[a-z]+\.csi-doctor\.io/) && !seen[substr($0, RSTART, RLENGTH)]++) drivers++
        }
        FNR != NR && /^\| [A-Z][A-Za-z]+ \| (yes|driver|–) / {
            split($0, of, / *\| */)
            ok = (of[3] == "yes") * volumes["file"] + (of[4] == "yes") * volumes["block"] + (of[5] == "yes") * volumes["inline"]
            print of[2], of[3] == "driver" ? drivers : ok, 0, 0
        }' "$place/out" "$coverage"
}

# A process of a container with a mount namespace of its own and nothing of the volume in it, under a lower
# number than the container's, as after numbers went round.
sandbox() {
    "$binary" exec --name "$name" -- sh -c '
        cgroup=$(echo "$2"/containers/"$1"-*/cgroup)
        for process in /proc/[0-9]*; do
            cmp -s "$process/cgroup" "$cgroup" && own=${process#/proc/}
        done
        free=$((own - 1))
        while [ -e "/proc/$free" ]; do free=$((free - 1)); done
        echo $((free - 1)) >/proc/sys/kernel/ns_last_pid
        unshare --mount sleep 600 >/dev/null 2>&1 &
        mount --bind "$cgroup" "/proc/$!/cgroup"
        [ "$!" -lt "$own" ] || { echo "the sandbox is process $!, its container is $own"; exit 1; }
    ' sh "$1" "$(dirname "$kubelet")"
}

# Ten looks and more while pods come, go, end and are evicted.
live() {
    kubelet=$(awk '/^kubelet directory/ { print $3 }' "$place/out")
    "$binary" exec --name "$name" -- mount --rbind "$kubelet" "$kubelet"
    sandbox invoices || fail "the sandbox was not made"
    subjects >"$place/well"
    [ "$(wc -l <"$place/well")" -gt 30 ] || fail "the rules' subjects are not known"
    is_well "before pods live"
    (
        for way in restart delete evict finish; do
            for claim in orders-db ledger scratch exports uploads catalog media; do
                "$binary" pod --name "$name" "$claim" "$way" >>"$place/did" || echo "$claim $way" >>"$place/refused"
            done
            # And the kubelet is restarted between two of them.
            for do in stop start; do
                "$binary" "$do" --name "$name" kubelet >>"$place/did" || echo "kubelet $do" >>"$place/refused"
            done
        done
    ) &
    local busy=$! looks=0
    while kill -0 "$busy" 2>/dev/null || [ "$looks" -lt 10 ]; do
        verdicts | awk '$4 > 0 { print $1 " unknown: " $4 }' | grep . && fail "something is unknown while pods live"
        ask get findings -A | grep ' open ' && fail "something is found while pods live"
        looks=$((looks + 1))
        sleep 0.4
    done
    [ -e "$place/refused" ] && fail "pods did not live: $(cat "$place/refused")"
    is_well "after pods have lived"
    log | grep '"csi_doctor.change":"opened"' && fail "something was found while pods lived"
    echo "ok: nothing is found in $looks looks while pods live"
}

# is_well WHEN: waits until every rule says ok of each of its subjects.
is_well() {
    for _ in $(seq 50); do
        verdicts >"$place/verdicts"
        cmp -s "$place/well" "$place/verdicts" && return
        sleep 0.2
    done
    diff "$place/well" "$place/verdicts" || fail "not every subject is well $1"
}

log() { "$binary" exec --name "$name" -- sh -c 'cat /mnt/log/collector.log'; }

# Makes the faults of a round, sees each open, heals them, and sees each resolve.
round() {
    local fault claim code object manner file
    local -a made=()
    while read -r fault claim code object manner; do
        [ -n "$manner" ] && "$binary" manner --name "$name" "$claim" "$manner" >>"$place/did"
        if "$binary" fault --name "$name" "$fault" "$claim" >>"$place/did"; then
            made+=("$fault $claim $code $object $manner")
        else
            fail "the fault $fault $claim was not made"
        fi
    done <<<"$1"
    for line in "${made[@]}"; do
        read -r fault claim code object manner <<<"$line"
        file=$expected/$fault-$claim${manner:+-${manner#*=}}.txt
        for _ in $(seq 100); do
            found >"$place/found.json"
            about "$code" "$object" <"$place/found.json" >"$place/one"
            plain <"$place/one" >"$place/text"
            [ -s "$place/text" ] && { [ -n "${UPDATE:-}" ] || cmp -s "$place/text" "$file"; } && break
            sleep 0.25
        done
        if [ ! -s "$place/text" ]; then
            fail "$fault $claim: $code of $object did not open"
        elif [ -n "${UPDATE:-}" ]; then
            cp "$place/text" "$file"
            echo "written: $fault $claim"
        elif ! diff "$file" "$place/text"; then
            fail "$fault $claim: other words"
        elif [[ $immediate != *" $code "* ]] && ! grep -qxF "$code $object" "$place/before" && ! settled <"$place/one"; then
            fail "$fault $claim: $code did not settle first"
        else
            echo "ok: $fault $claim: $code${manner:+ ($manner)}"
        fi
    done
    # Nothing else is found than what was made.
    for line in "${made[@]}"; do
        read -r fault claim code object manner <<<"$line"
        echo "$code $object"
    done | sort -u >"$place/wanted"
    ask get findings -A | awk '$5 == "open" || $6 == "open" { sub(".*/", "", $4); print $2, $4 }' | sort -u >"$place/all"
    comm -13 "$place/wanted" "$place/all" | grep . && fail "found besides"
    "$binary" heal --name "$name" >>"$place/did" || fail "not healed"
    for _ in $(seq 80); do
        ask get findings -A | grep -E ' (open|settling) ' >/dev/null || break
        sleep 0.25
    done
    ask get findings -A | grep -E ' (open|settling) ' && fail "found after all was healed"
    for line in "${made[@]}"; do
        read -r fault claim code object manner <<<"$line"
        for tries in $(seq 20); do
            log >"$place/log"
            resolved "$code" "$object" && break
            sleep 0.25
        done
        [ "$tries" -lt 20 ] || fail "$fault $claim: $code did not resolve"
    done
    told=$(wc -l <"$place/log")
    # What returns soon after it was resolved opens at once.
    cat "$place/wanted" >>"$place/before"
}
told=0

# Whether the collector has told in this round that a finding is resolved.
resolved() {
    awk -v from="$told" -v code="\"csi_doctor.code\":\"$1\"" -v claim="subject\":\"claim shop/$2\"" -v driver="subject\":\"driver $2\"" '
        NR > from && index($0, code) && index($0, "\"csi_doctor.change\":\"resolved\"") && (index($0, claim) || index($0, driver)) { seen = 1 }
        END { exit !seen }' "$place/log"
}

# Whether a finding opened later than it was first seen.
settled() {
    awk -F'"' '/"firstSeen":/ && first == "" { first = $4 } /"opened":/ && opened == "" { opened = $4 } END { exit !(first != "" && opened > first) }'
}

# Pods take their time: the graces must be longer than it takes to mount on a busy machine.
begin 0.1
live
# Ten minutes become twelve seconds.
begin 0.02
: >"$place/before"

archive=archive.csi-doctor.io slow=slow.csi-doctor.io
round "unmount invoices VolumeNotMounted invoices
read-only orders-db UnexpectedReadOnly orders-db
fill cart-cache FilesystemNearlyFull cart-cache
shut-down search-index StaleMount search-index
detach session-store DeviceMissing session-store
hang media MountUnresponsive media
kill-plugin reports DriverUnreachable $archive
refuse-mount ledger MountFailed ledger stage=Unavailable
change-owner audit-log SlowOwnershipChange audit-log"

round "swap invoices StagedDeviceMismatch invoices
count-errors orders-db FilesystemErrors orders-db
inodes cart-cache InodesNearlyExhausted cart-cache
no-attach search-index PodWaitingOnVolume search-index
end-job session-store UnmountStuck session-store
restart media ContainerMountStale media
not-ready reports DriverNotReady $archive
refuse-mount ledger MountFailed ledger stage=NotFound
refuse-mount audit-log MountFailed audit-log publish=Aborted"

round "stack invoices StagedDeviceMismatch invoices
hang-mount orders-db PodWaitingOnVolume orders-db
orphan cart-cache OrphanedPodVolume cart-cache
stuck-unmount search-index UnmountStuck search-index
leave-stage session-store StagedWithoutPod session-store
die media StaleMount media
slow-driver reports DriverSlow $archive
refuse-mount ledger MountFailed ledger stage=FailedPrecondition
leave-directory audit-log OrphanedPodVolume audit-log"

round "node-full invoices AttachLimitReached invoices
emergency orders-db UnexpectedReadOnly orders-db
unmount-inside search-index VolumeNotMounted search-index
freeze-io cart-cache MountUnresponsive cart-cache
queue media MountUnresponsive media
failing-probe reports DriverNotReady $archive
refuse-mount session-store MountFailed session-store
refuse-mount audit-log MountFailed audit-log stage=InvalidArgument"

round "data-loss invoices VolumeConditionAbnormal invoices
hang-mount orders-db PodWaitingOnVolume orders-db publish=hang
abnormal media VolumeConditionAbnormal media
hang-driver reports DriverUnreachable $archive"

round "unknown-health invoices VolumeConditionAbnormal invoices
ill-storage media StorageBackendUnhealthy $slow
no-registrar reports DriverNotRegistered $archive"
round "driver-alone reports VolumeNotMounted reports"
round "other-name reports DriverNotRegistered $archive"
round "other-node reports DriverNotRegistered $archive"
round "refused-node reports DriverNotRegistered $archive"

# Where no kubelet runs, nothing is called safe that it alone could still know of.
"$binary" stop --name "$name" kubelet >>"$place/did"
round "leave-directory invoices OrphanedPodVolume invoices
leave-stage orders-db StagedWithoutPod orders-db"
"$binary" start --name "$name" kubelet >>"$place/did"
exit "$wrong"

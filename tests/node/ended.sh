#!/usr/bin/env bash
# ended.sh BINARY: SIGTERM while a filesystem hangs. The agent, which reports all the while, stops and is gone within
# 5 s, unless a FUSE daemon already has its question: nothing can take that back, and what is left is one thread of
# a dead process, until the daemon answers. Needs root, loop devices and FUSE.
set -euo pipefail
binary=$(realpath "$1")
place=$(mktemp -d)
wrong=0
lab=
trap '[ -z "$lab" ] || kill "$lab" 2>/dev/null || true; wait || true; rm -rf "$place"' EXIT

inside() { "$binary" exec --name "$name" -- "$@"; }
findings() { inside kubectl-csi_doctor get findings 2>/dev/null | grep -c MountUnresponsive || true; }
# The programs' names as the kernel cuts them.
agent() { inside pgrep -x csi-doctor-agen; }
# The state of a process: nothing of one that is gone.
state() { inside sed -n 's/^State:[^A-Z]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true; }
left() { [ -z "$(state "$1")" ] && echo gone || echo "dead, and one thread waits"; }
heard() { inside kubectl-csi_doctor get nodes -o json | sed -n 's/.*"lastHeard": *"\([^"]*\)".*/\1/p'; }

# await SECONDS WHAT COMMAND…: until the command succeeds.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "never: $what" >&2; return 1; }
        sleep 0.1
    done
}
ended() { [[ $(state "$1") == $2 ]]; }
is_heard() { [ -n "$(heard)" ]; }
found() { [ "$(findings)" -ge "$1" ]; }

# tried WHAT AFTERWARDS FAULT:CLAIM…: within 5 s the state of the agent's process is this pattern, and it is gone when
# all is healed.
tried() {
    local what=$1 afterwards=$2 fault pid begun since
    shift 2
    name=ended-$$-$what
    "$binary" up --name "$name" --scale 0.1 >"$place/$what" 2>&1 &
    lab=$!
    await 60 "the lab is up" grep -qs Ctrl-C "$place/$what"
    # Its first round looks into every root directory, and the storage is taken from under one of them.
    await 60 "the agent is heard" is_heard
    for fault in "$@"; do
        "$binary" fault --name "$name" "${fault%%:*}" "${fault##*:}"
    done
    await 60 "all that hangs is found" found $#
    pid=$(agent)
    # An interval of the lab and the deadline of a probe, and a second.
    begun=$(date +%s.%N) since=$(date -u -d '-6 seconds' +%Y-%m-%dT%H:%M:%S.%N)
    inside kill -TERM "$pid"
    if await 5 "the agent is $afterwards" ended "$pid" "$afterwards"; then
        echo "ok: $what: $(left "$pid") after $(echo "$(date +%s.%N) $begun" | awk '{ printf "%.1f", $1 - $2 }') s"
    else
        echo "WRONG: $what: $(state "$pid")" && wrong=1
    fi
    [[ $(heard) > $since ]] || { echo "WRONG: $what: last heard at $(heard)"; wrong=1; }
    for fault in "$@"; do
        "$binary" heal --name "$name" "${fault##*:}"
    done
    await 5 "healed, the agent is gone" ended "$pid" "" || wrong=1
    kill "$lab"
    wait "$lab" || true
    lab=
}

tried queue "" queue:media
tried frozen "" freeze-io:orders-db
# Where the driver's own question waits already, the agent asks none, and is gone.
tried hang "?(Z)" hang:media freeze-io:orders-db
exit "$wrong"

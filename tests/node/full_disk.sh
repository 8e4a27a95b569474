#!/bin/sh
# A store on a filesystem that becomes full: the collector says so, goes on from memory, and writes
# again when there is room. Needs root for a tmpfs. Usage: full_disk.sh DIRECTORY-OF-THE-PROGRAMS
set -eu
programs=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
collector= agent=
finish() {
    [ -z "$agent" ] || kill "$agent" || true
    [ -z "$collector" ] || kill "$collector" || true
    wait || true
    umount "$work/disk" || true
    rm -rf "$work"
}
trap finish EXIT
mkdir "$work/disk"
mount -t tmpfs -o size=1m none "$work/disk"

"$programs/csi-doctor-collector" --listen 127.0.0.1:0 --http-endpoint 127.0.0.1:0 \
    --store "$work/disk/findings.db" >"$work/collector.log" &
collector=$!

# Waits for up to 30 s until a command succeeds.
await() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -ge 300 ]; then
            echo "full_disk: never: $what" >&2
            cat "$work/collector.log" >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "ok  $what"
}
address() { sed -n "s/.*\"message\":\"$1\".*\"address\":\"\([^\"]*\)\".*/\1/p" "$work/collector.log"; }
says() { grep -q "$1" "$work/collector.log"; }
unwritten() { curl -sf "http://$plain/metrics" | grep -q "^csi_doctor_store_unwritten $1\$"; }
is_unwritten() { curl -sf "http://$plain/metrics" | grep -q "^csi_doctor_store_unwritten [1-9]"; }
heard() { curl -sf "http://$listen/api/v1/nodes" | grep -q '"node-1"'; }

await "it listens" says "serving metrics and probes"
listen=$(address listening)
plain=$(address "serving metrics and probes")

"$programs/csi-doctor-agent" run --node-name node-1 --interval 200ms --collector "$listen" \
    --host-root "$root/tests/scenarios/healthy/host" --manifests "$root/tests/scenarios/healthy/manifests" \
    --kubelet-dir /var/lib/kubelet >"$work/agent.log" &
agent=$!
await "a node is heard" heard
unwritten 0

dd if=/dev/zero of="$work/disk/ballast" bs=4k 2>/dev/null || true
await "a full disk is told in the log" says "findings are kept in memory only"
await "and as a metric" is_unwritten
heard
curl -sf "http://$plain/readyz" >/dev/null
echo "ok  readers are served meanwhile"

rm "$work/disk/ballast"
await "the store is written again" says "the store is written again"
await "and the metric says so" unwritten 0

# A second life reads what the first has kept.
kill "$agent" "$collector"
wait "$agent" "$collector" || true
agent=
"$programs/csi-doctor-collector" --listen 127.0.0.1:0 --http-endpoint 127.0.0.1:0 \
    --store "$work/disk/findings.db" >"$work/collector.log" &
collector=$!
await "it listens again" says "serving metrics and probes"
listen=$(address listening)
await "the node is known after a restart" heard

#!/usr/bin/env bash
# The collector's interface by clients that are none of ours: grpcurl, built from the module beside this
# file, and curl. Every command of docs/api.md is run as it stands there, but for the address; what the
# page says beyond them is tried after that. Usage: run.sh DIRECTORY-OF-THE-PROGRAMS
set -euo pipefail
programs=$(cd "${1:-target/debug}" && pwd)
cd "$(dirname "$0")/../.."
command -v curl >/dev/null || { echo "missing: curl" >&2; exit 1; }
command -v go >/dev/null || { echo "missing: go, to build grpcurl" >&2; exit 1; }

bin=$PWD/target/clients
mkdir -p "$bin"
(cd tests/clients && CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w" \
    -o "$bin/grpcurl" github.com/fullstorydev/grpcurl/cmd/grpcurl)
PATH=$bin:$PATH

logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$logs"' EXIT

fail() {
    echo "FAILED: $*" >&2
    tail -n 5 "$logs"/*.log >&2
    exit 1
}

# until_says PATTERN COMMAND…: for half a minute.
until_says() {
    local pattern=$1 deadline=$((SECONDS + 30)) said
    shift
    until said=$("$@" 2>&1) && grep -q -- "$pattern" <<<"$said"; do
        [ $SECONDS -lt $deadline ] || fail "$* never said $pattern: $said"
        sleep 0.1
    done
}

# says PATTERN COMMAND…: whether it ends well or not.
says() {
    local pattern=$1 said
    shift
    said=$("$@" 2>&1) || true
    grep -q -- "$pattern" <<<"$said" || fail "$* does not say $pattern: $said"
}

# collector LOG FLAGS…: starts one and sets `address`.
collector() {
    local log=$logs/$1.log
    shift
    "$programs/csi-doctor-collector" --listen 127.0.0.1:0 --grace-scale 0 "$@" >"$log" &
    until_says '"address"' cat "$log"
    address=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$log" | head -n 1)
}

collector without-reflection
says "does not support the reflection API" grpcurl -plaintext "$address" list

collector collector --grpc-reflection
"$programs/csi-doctor-agent" run --node-name node-1 --host-root tests/scenarios/read-only-after-an-error/host \
    --kubelet-dir /var/lib/kubelet --manifests tests/scenarios/read-only-after-an-error/manifests \
    --collector "$address" --interval 1s >"$logs/agent.log" &
until_says '"code":' curl -s "http://$address/api/v1/findings?counted=true"
until_says '"orders-db"' curl -s "http://$address/api/v1/volumes/orders-db"

# The page's own commands: indented lines, one that ends in a backslash goes on.
commands=$(sed -n 's/^    //p' docs/api.md | sed -e ':again' -e '/\\$/N' -e 's/\\\n *//' -e 't again')
tried=0
while read -r command; do
    command=${command//127.0.0.1:9470/$address}
    echo "\$ $command"
    # What watches does not end by itself.
    said=$(timeout 3 bash -c "$command") || [ $? -eq 124 ] || fail "it ended with an error"
    [ "${said:0:1}" = "{" ] || [[ $said == *csidoctor.v1.* ]] || fail "it said: $said"
    tried=$((tried + 1))
done <<<"$commands"
[ $tried -ge 8 ] || fail "docs/api.md has only $tried commands"

# What the page says of names, pages, health and refusals.
call() {
    grpcurl -plaintext -d "$2" "$address" "$1"
}
for service in csidoctor.v1.Findings csidoctor.v1.Intake grpc.health.v1.Health; do
    says "^$service$" grpcurl -plaintext "$address" list
    [ "$service" = grpc.health.v1.Health ] || says SERVING call grpc.health.v1.Health/Check "{\"service\": \"$service\"}"
done
for method in Summary ListFindings ListVolumes ListNodes ListDrivers; do
    says '"atNs"' call "csidoctor.v1.Findings/$method" '{}'
done
page=$(call csidoctor.v1.Findings/ListVolumes '{"page_size": 1}')
token=$(sed -n 's/.*"nextPageToken": "\([^"]*\)".*/\1/p' <<<"$page")
rest=$(call csidoctor.v1.Findings/ListVolumes "{\"page_size\": 1, \"page_token\": \"$token\"}")
[ "$(grep -ho '"specName": "[^"]*"' <<<"$page$rest" | sort -u | wc -l)" = 2 ] || fail "pages: $page $rest"
says '"full": true' timeout 3 grpcurl -plaintext "$address" csidoctor.v1.Findings/WatchFindings
says 'Code: InvalidArgument' call csidoctor.v1.Findings/ListVolumes '{"page_token": "mine"}'
says 'Code: Aborted' call csidoctor.v1.Findings/ListVolumes '{"page_token": "1.1"}'
says 'Code: NotFound' call csidoctor.v1.Findings/GetVolume '{"name": "nowhere"}'
says 'Code: InvalidArgument' call csidoctor.v1.Intake/Report '{}'
says 'Code: Unimplemented' grpcurl -plaintext -import-path proto -proto csi/csi.proto "$address" csi.v1.Identity/Probe

# refused STATUS PATH: with an object of kind Error.
refused() {
    local said
    said=$(curl -s -w ' %{http_code}' "http://$address$2")
    [[ $said == *'"kind": "Error"'*" $1" || $said == *'"kind":"Error"'*" $1" ]] || fail "$2: $said"
}
refused 404 /nowhere
refused 404 /api/v1/volumes/nowhere
refused 400 '/api/v1/findings?colour=red'
refused 400 '/api/v1/volumes?pageToken=mine'
refused 410 '/api/v1/volumes?pageToken=1.1'
for list in findings volumes nodes drivers; do
    says '"items":' curl -s "http://$address/api/v1/$list"
done
echo "clients: $tried commands of docs/api.md, and what it says of names, pages, health and refusals"

#!/usr/bin/env bash
# build.sh [node|snapshots]: puts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl into
# target/cluster/bin; with "node" also the kubelet, a registrar and the CSI sidecars, with "snapshots" all of them
# and those of snapshots.
# Taken from KUBEBUILDER_ASSETS where that is set, and built from the pinned Go modules beside this file
# where it is not. What is there in this version already stays. BUILD_JOBS is how many to compile at once.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
bin=${CLUSTER_BIN:-$root/target/cluster/bin}
mkdir -p "$bin"

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    for program in etcd kube-apiserver kubectl; do
        [ -x "$KUBEBUILDER_ASSETS/$program" ] || { echo "KUBEBUILDER_ASSETS has no $program" >&2; exit 1; }
    done
    ln -sfn "$KUBEBUILDER_ASSETS"/* "$bin/"
fi

command -v go >/dev/null || { echo "missing: go, to build the control plane (or set KUBEBUILDER_ASSETS)" >&2; exit 1; }
export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false"

version=$(sed -n 's/^require k8s.io\/kubernetes v//p' kubernetes/go.mod)
minor=${version#*.}
# Without these each program calls itself v0.0.0-master and kubectl cannot parse it.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*} -X $package.gitMinor=${minor%%.*}"
done

# build MODULE PACKAGE NAME: unless the program of these pins is there.
build() {
    local stamp="$bin/.$3.stamp" pins
    pins=$(cat "$1/go.mod" "$1/go.sum" | sha256sum)
    if [ -x "$bin/$3" ] && { [ -L "$bin/$3" ] || [ "$(cat "$stamp" 2>/dev/null)" = "$pins" ]; }; then
        return
    fi
    local begun=$SECONDS
    (cd "$1" && go build -p "${BUILD_JOBS:-2}" -ldflags "$flags" -o "$bin/.$3.new" "$2")
    mv "$bin/.$3.new" "$bin/$3"
    echo "$pins" >"$stamp"
    echo "built $3 in $((SECONDS - begun)) s"
}

build etcd go.etcd.io/etcd/server/v3 etcd
build kubernetes k8s.io/kubernetes/cmd/kubectl kubectl
build kubernetes k8s.io/kubernetes/cmd/kube-apiserver kube-apiserver
build kubernetes k8s.io/kubernetes/cmd/kube-controller-manager kube-controller-manager
build kubernetes k8s.io/kubernetes/cmd/kube-scheduler kube-scheduler
[ -n "${1:-}" ] || exit 0
build kubernetes k8s.io/kubernetes/cmd/kubelet kubelet
# Small, and all that it needs is in the cache by now: no note is kept of it.
(cd kubernetes && go build -ldflags "$flags" -o "$bin/registrar" ./registrar)
build sidecars github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher csi-attacher
build sidecars github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer csi-resizer
build sidecars github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner csi-provisioner
[ "$1" = snapshots ] || exit 0
build sidecars github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter csi-snapshotter
build sidecars github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller snapshot-controller

#!/usr/bin/env bash
# node.sh PROGRAM…: runs a program on a node of its own: mount, network, PID and IPC namespaces in which
# /var/lib/kubelet and containerd's directories are empty, and a cgroup of its own. When the program ends, or
# this script is killed, all that ran in there ends with it, and what the kernel keeps beyond it is taken away.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
place=$root/target/cluster/node
cgroup=csi-doctor-e2e

[ "$(id -u)" = 0 ] || { echo "a node needs root" >&2; exit 1; }
for tool in containerd runc ctr busybox ip unshare losetup mkfs.ext4 mkfs.xfs; do
    command -v "$tool" >/dev/null || { echo "missing: $tool (apt-get install containerd runc containernetworking-plugins busybox-static iproute2 xfsprogs)" >&2; exit 1; }
done

clean() {
    # Loop devices belong to no namespace, and the kubelet locks a raw block volume's by one more on top of it, whose
    # backing file is the other's node in /dev.
    local name inode file ours=()
    while read -r name inode file; do
        case $file in */lab.csi-doctor.io/*.img* | */frail.csi-doctor.io/*.img*) ours+=("$name" "$(stat -c %i "$name")") ;; esac
    done < <(losetup --list --noheadings --output NAME,BACK-INO,BACK-FILE 2>/dev/null)
    while read -r name inode file; do
        case " ${ours[*]:-} " in
            *" $name "*) losetup --detach "$name" 2>/dev/null || true ;;
            *" $inode "*) [[ $file == */*.img* ]] || losetup --detach "$name" 2>/dev/null || true ;;
        esac
    done < <(losetup --list --noheadings --output NAME,BACK-INO,BACK-FILE 2>/dev/null)
    local controller directory
    for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [ -d "$controller/$cgroup" ] || continue
        find "$controller/$cgroup" -depth -type d | while read -r directory; do rmdir "$directory" 2>/dev/null || true; done
    done
    rm -rf --one-file-system "$place"/{kubelet,containerd,images,cni,pods}
    rmdir --ignore-fail-on-non-empty /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/lib/csi-doctor-e2e 2>/dev/null || true
}
clean
rm -rf --one-file-system "$place"
mkdir -p "$place"/{kubelet,containerd,images,cni,pods}
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
    # A place without cgroup.procs is no hierarchy.
    [ ! -e "$controller/cgroup.procs" ] || mkdir -p "$controller/$cgroup"
    for file in cpus mems; do
        [ ! -e "$controller/cpuset.$file" ] || cat "$controller/cpuset.$file" >"$controller/$cgroup/cpuset.$file"
    done
done

inside=$(mktemp)
cat >"$inside" <<'EOF'
set -euo pipefail
place=$1
shift
mount --make-rshared /
mkdir -p /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/lib/csi-doctor-e2e /var/log/pods
mount -t tmpfs none /run
mount --bind "$place/kubelet" /var/lib/kubelet
mount --bind "$place/containerd" /var/lib/containerd
mount --bind "$place/cni" /var/lib/cni
mount --bind "$place/images" /var/lib/csi-doctor-e2e
mount --bind "$place/pods" /var/log/pods
mount --make-rshared /var/lib/kubelet
ip link set lo up
# The API server listens at the address of its Service, and the collector beside it: there is no proxy of Services.
ip address add 10.0.0.1/32 dev lo
ip address add 10.0.0.10/32 dev lo
echo 1 >/proc/sys/net/ipv4/ip_forward 2>/dev/null || true
"$@" &
wait $!
EOF
trap 'rm -f "$inside"; clean' EXIT
# bash stays as the first process, takes in orphans, and its end ends them all.
unshare --mount --net --pid --ipc --uts --fork --mount-proc --kill-child=KILL --propagation private \
    bash "$inside" "$place" "$@" &
child=$!
trap 'kill -KILL "$child" 2>/dev/null || true' INT TERM HUP
status=0
wait "$child" || status=$?
exit "$status"

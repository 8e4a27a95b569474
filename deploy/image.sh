#!/usr/bin/env bash
# image.sh OUT.tar NAME:TAG FILE…: an image made of these programs alone, each under /usr/local/bin: what
# `FROM scratch` with a COPY would give, as a docker archive, without an engine. The same files give the same bytes.
# IMAGE_COMMAND is what runs where nothing is said, as a JSON list.
# `docker load`, `ctr images import` and `skopeo copy docker-archive:OUT.tar` take it.
set -euo pipefail
out=$(realpath -m "$1") name=$2
shift 2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
same=(--sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu)

mkdir -p "$place/root/usr/local/bin" "$place/image" "$(dirname "$out")"
install -m 0755 "$@" "$place/root/usr/local/bin/"
chmod -R u=rwX,go=rX "$place/root"
tar "${same[@]}" -C "$place/root" -cf "$place/image/layer.tar" .
layer=$(sha256sum <"$place/image/layer.tar" | cut -d' ' -f1)
case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) echo "no name for the architecture $(uname -m)" >&2; exit 1 ;;
esac
cat >"$place/image/config.json" <<EOF
{"architecture":"$architecture","os":"linux","config":{"Env":["PATH=/usr/local/bin"],"Cmd":${IMAGE_COMMAND:-null}},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
EOF
cat >"$place/image/manifest.json" <<EOF
[{"Config":"config.json","RepoTags":["$name"],"Layers":["layer.tar"]}]
EOF
tar "${same[@]}" -C "$place/image" -cf "$out" config.json layer.tar manifest.json
echo "$out: $name, $(stat -c %s "$out") bytes"

#!/usr/bin/env bash
# as_user.sh USER BINARY ARGUMENTS…: runs a program as an ordinary user, from a place that the user can read.
set -euo pipefail
user=$1 binary=$2
shift 2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
install -m 755 "$binary" "$place/"
cd /
setpriv --reuid "$user" --regid "$user" --init-groups --reset-env "$place/$(basename "$binary")" "$@"

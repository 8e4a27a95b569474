#!/usr/bin/env bash
# An authority, a server certificate for the loopback and the first address of Services and a key for service accounts, into a directory.
set -euo pipefail
cd "$1"
quiet() { "$@" 2>>openssl.log; }
quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=csi-doctor-e2e -keyout ca.key -out ca.crt
quiet openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj /CN=kube-apiserver -keyout server.key -out server.csr
printf 'subjectAltName=IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\n' >server.ext
quiet openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
    -extfile server.ext -out server.crt
quiet openssl ecparam -name prime256v1 -genkey -noout -out accounts.key

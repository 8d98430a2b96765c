#!/bin/bash
# build.sh: builds what up.sh starts, from Debian packages and Go modules alone; no container registry is
# asked for anything. Safe to run again: what is built is left as it is. 15 minutes on 2 cores the first time.
set -euo pipefail
. "$(dirname "$0")/env.sh"
K8S=1.35.4; MINOR=${K8S#1.}; MINOR=${MINOR%.*}; HELM=v3.22.0
mkdir -p "$BIN" "$CACHE/images"
STAMP=$CACHE/.built-$(cat "$HERE"/build.sh "$HERE"/scripts/{mkimage.py,busybox-image.sh} "$HERE"/src/*/go.mod "$HERE"/src/*.c "$HERE"/src/nsproxy/*.go "$HERE"/src/addons/*/*.go | sha256sum | cut -c1-16)
[ ! -e "$STAMP" ] || exit 0
say() { echo "[$(date +%T)] $*"; }
export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false"

say "Kubernetes $K8S"
LD="-s -w"
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  LD+=" -X $p.gitVersion=v$K8S -X $p.gitMajor=1 -X $p.gitMinor=$MINOR -X $p.gitTreeState=clean"
  LD+=" -X $p.gitCommit=0000000000000000000000000000000000000000 -X $p.buildDate=2026-01-01T00:00:00Z"
done
( cd "$HERE/src/k8s"
  for c in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    go build -trimpath -ldflags "$LD" -o "$BIN/$c" k8s.io/kubernetes/cmd/$c; say $c
  done
  go build -trimpath -ldflags "-s -w" -o "$BIN/etcd" go.etcd.io/etcd/server/v3; say etcd )
( cd "$HERE/src/nsproxy" && go build -trimpath -ldflags "-s -w" -o "$BIN/nsproxy" . )

say "add-ons"
( cd "$HERE/src/addons"
  go build -trimpath -ldflags "-s -w -X github.com/coredns/coredns/coremain.GitCommit=none" -o "$BIN/coredns" ./coredns
  go build -trimpath -ldflags "-s -w -X main.VERSION=v0.0.30" -o "$BIN/local-path-provisioner" github.com/rancher/local-path-provisioner )
CGO_ENABLED=1 gcc -static -Os -s -o "$BIN/pause" "$HERE/src/pause.c"

say "Helm $HELM"   # without these, a Helm built from source believes in Kubernetes 1.20
H=helm.sh/helm/v3; LD="-s -w -X $H/internal/version.version=$HELM"
for p in $H/pkg/chartutil $H/pkg/lint/rules; do LD+=" -X $p.k8sVersionMajor=1 -X $p.k8sVersionMinor=$MINOR"; done
GOBIN=$BIN GOFLAGS=-buildvcs=false go install -trimpath -ldflags "$LD" $H/cmd/helm@$HELM

say "images"
image() { python3 "$HERE/scripts/mkimage.py" "$CACHE/images/$1.tar" "${@:2}"; }
image pause registry.k8s.io/pause:3.10 "$BIN/pause:/pause" --entrypoint '["/pause"]' --user 65535:65535
image coredns kop.e2e/coredns:1.15.0 "$BIN/coredns:/coredns" --entrypoint '["/coredns"]'
image local-path kop.e2e/local-path-provisioner:v0.0.30 "$BIN/local-path-provisioner:/usr/bin/local-path-provisioner" \
  --entrypoint '["/usr/bin/local-path-provisioner"]'
bash "$HERE/scripts/busybox-image.sh"
rm -f "$CACHE"/.built-*; touch "$STAMP"; say done

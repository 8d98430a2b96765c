#!/bin/bash
# up.sh: starts a Kubernetes cluster of $NODES nodes on this machine, each a set of private namespaces; writes
# $KUBECONFIG; returns when the nodes are Ready and the add-ons run. Needs root and what build.sh made.
# IMAGES: more image tars to import. EXTRA_PORTS: `127.0.0.1:PORT=172.30.0.11:PORT …`, ports of a node shown on the host.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ ! -e "$RUN/node1/pid" ] || { echo "a cluster of $RUN is up already: run down.sh first" >&2; exit 1; }
T0=$(date +%s%N); el() { printf '[%5d ms] %s\n' $((($(date +%s%N) - T0) / 1000000)) "$*"; }
mkdir -p "$RUN"
for k in vm.overcommit_memory kernel.panic kernel.panic_on_oops vm.panic_on_oom kernel.keys.root_maxkeys kernel.keys.root_maxbytes; do
  echo "$k=$(sysctl -n $k)"
done > "$RUN/sysctl.saved"   # the kubelet sets these for the whole machine; down.sh gives them back
ALL=$(seq -f node%g 1 "$NODES")
[ -e "$RUN/pki/ca.crt" ] || bash "$HERE/scripts/certs.sh" "$RUN/pki" "$CP_IP" $ALL
el "certificates"
node_up() { # node_up NAME: namespaces and their first process; returns when the network namespace exists
  local n=$1 outer np=; mkdir -p "$RUN/$n/log"
  setsid nohup unshare --mount --net --pid --uts --fork --mount-proc --propagation private \
    bash "$HERE/scripts/node-init.sh" "$n" >"$RUN/$n/log/node-init.log" 2>&1 </dev/null &
  outer=$!
  until np=$(pgrep -P $outer); do sleep 0.05; done
  until [ "$(readlink "/proc/$np/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
  echo $outer > "$RUN/$n/unshare.pid"; echo "$np" > "$RUN/$n/pid"
}
node_up node1
nohup nsproxy -pid "$(cat "$RUN/node1/pid")" 127.0.0.1:$API_PORT=127.0.0.1:6443 ${EXTRA_PORTS:-} >"$RUN/nsproxy.log" 2>&1 </dev/null &
echo $! > "$RUN/nsproxy.pid"
sed "s#https://$CP_IP:6443#https://127.0.0.1:$API_PORT#" "$RUN/pki/admin.kubeconfig" > "$KUBECONFIG"; chmod 600 "$KUBECONFIG"
until kubectl get --raw /readyz >/dev/null 2>&1; do
  sleep 0.1; kill -0 "$(cat "$RUN/node1/pid")" || { echo "node1 died, see $RUN/node1/log" >&2; exit 1; }
  kill -0 "$(cat "$RUN/nsproxy.pid")" || { cat "$RUN/nsproxy.log" >&2; exit 1; }   # a port is taken
done
el "API server ready"
for n in $ALL; do
  if [ "$n" != node1 ]; then
    node_up "$n"
    ip link add "ve-$n" type veth peer name eth0 netns "$(cat "$RUN/$n/pid")"
    ip link set "ve-$n" netns "$(cat "$RUN/node1/pid")"
    in_node node1 ip link set "ve-$n" master lan0 up
  fi
  ctr() { in_node "$n" ctr -a /run/containerd/containerd.sock "$@"; }
  until ctr version >/dev/null 2>&1; do sleep 0.1; done
  for f in "$CACHE"/images/*.tar ${IMAGES:-}; do ctr -n k8s.io images import "$f" >/dev/null || { echo "cannot import $f" >&2; exit 1; }; done
  kubectl wait --for=create "node/$n" --timeout=60s >/dev/null
  until [ -e "$RUN/$n/podcidr" ]; do sleep 0.05; done
  [ "$n" = node1 ] || in_node node1 ip route add "$(cat "$RUN/$n/podcidr")" via "$(node_ip "$n")"
done
el "images imported"
kubectl wait --for=condition=Ready node --all --timeout=120s >/dev/null
el "nodes Ready: $(kubectl get nodes -o name | tr '\n' ' ')"
kubectl wait --for=create serviceaccount/default -n default --timeout=30s >/dev/null
for m in "$HERE"/manifests/{coredns,local-path}.yaml; do kubectl apply -f "$m" >/dev/null; done
kubectl -n kube-system rollout status deploy/coredns --timeout=90s >/dev/null
kubectl -n local-path-storage rollout status deploy/local-path-provisioner --timeout=90s >/dev/null
el "add-ons ready"

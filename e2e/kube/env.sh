# Settings shared by build.sh, up.sh, down.sh and node-init.sh. Each can be given in the environment.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); export HERE
export CACHE=${KOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kop}/kube   # what is built once: programs and images
export BIN=$CACHE/bin
export RUN=${RUN:-$CACHE/run}                   # what one running cluster keeps: certificates, logs, etcd
export NODES=${NODES:-1}                        # node1 is the control plane and takes pods too; node2.. are workers
export LAN=172.30.0                             # node addresses $LAN.11, $LAN.12, …: only inside the nodes' own network
export CP_IP=$LAN.11 CLUSTER_CIDR=10.244.0.0/16 SVC_CIDR=10.96.0.0/16 DNS_IP=10.96.0.10
export API_PORT=${API_PORT:-16443}              # the API server, on the host's 127.0.0.1
export CG=${CG:-/kop-e2e}                       # cgroup of all nodes
export PATH=$BIN:$PATH:/usr/local/sbin:/usr/sbin:/sbin
export KUBECONFIG=${KUBECONFIG_OUT:-$RUN/kubeconfig}
node_ip() { echo "$LAN.$((10 + ${1#node}))"; }
in_node() { local n=$1; shift; nsenter -t "$(cat "$RUN/$n/pid")" -m -n -p -u "$@"; }   # as `docker exec` into a node

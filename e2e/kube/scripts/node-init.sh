#!/bin/bash
# node-init.sh NAME: the first process in a node's private mount, network, pid and host name namespaces.
# When it dies, the kernel ends everything in them and drops their mounts, links and packet filter rules.
set -uo pipefail
. "$(dirname "$0")/../env.sh"
NODE=$1; NODE_IP=$(node_ip $NODE); P=$RUN/pki; D=$RUN/$NODE; LOG=$D/log; CG=$CG/$NODE
hostname "$NODE"
# --- mounts: only visible in here
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock $D/kubelet $D/containerd $D/cni/net.d $D/etcd $LOG
mkdir -p /run/cg && mount --rbind /sys/fs/cgroup /run/cg && mount -t sysfs sysfs /sys && mount --rbind /run/cg /sys/fs/cgroup && umount -l /run/cg
mkdir -p /run/local-path $D/local-path && mount --bind $D/local-path /run/local-path
mount --make-rshared /
printf 'nameserver 127.0.0.1\n' > /run/resolv-node.conf
printf '127.0.0.1 localhost\n%s %s\n' $NODE_IP $NODE > /run/hosts && mount --bind /run/hosts /etc/hosts
# --- network: no uplink. The control plane's bridge is the LAN; a worker gets a veth into it from up.sh
ip link set lo up
if [ $NODE = node1 ]; then ip link add lan0 type bridge && ip addr add $NODE_IP/24 dev lan0 && ip link set lan0 up; GW=$LAN.1
else until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done; ip addr add $NODE_IP/24 dev eth0 && ip link set eth0 up; GW=$CP_IP; fi
ip route add default via $GW      # ClusterIPs need some route before the DNAT in OUTPUT
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.ipv4.conf.all.route_localnet=1
# --- cgroups: one parent per node
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then   # v2: the controllers must be handed down to it
  mkdir -p /sys/fs/cgroup$CG
  for d in / "${CG%/*}/"; do for c in cpu cpuset memory pids io; do echo "+$c" > /sys/fs/cgroup${d}cgroup.subtree_control; done; done
else                                                # v1: in every hierarchy, and cpusets start empty
  for c in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do mkdir -p /sys/fs/cgroup/$c$CG; done
  for d in ${CG%/*} $CG; do for f in cpus mems; do cat /sys/fs/cgroup/cpuset/cpuset.$f > /sys/fs/cgroup/cpuset$d/cpuset.$f; done; done
fi

cat > $D/containerd.toml <<C
version = 2
root = "$D/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$D/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
C
cat > $D/kubelet.yaml <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: $CG
kubeletCgroups: ""
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: /run/resolv-node.conf
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
podCIDR: ""
failSwapOn: false
oomScoreAdj: 0
staticPodPath: ""
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $P/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $P/kubelet-serving-$NODE.crt
tlsPrivateKeyFile: $P/kubelet-serving-$NODE.key
rotateCertificates: false
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
nodeStatusUpdateFrequency: 2s
syncFrequency: 10s
C
cat > $D/kube-proxy.yaml <<C
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $P/kube-proxy.kubeconfig}
clusterCIDR: $CLUSTER_CIDR
hostnameOverride: $NODE
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 0s}
nodePortAddresses: []
oomScoreAdj: 0
C

start() { local n=$1; shift; "$@" >"$LOG/$n.log" 2>&1 & echo "$n $!" >> $D/ns-pids; }
: > $D/ns-pids
start containerd /usr/bin/containerd -c $D/containerd.toml
if [ $NODE = node1 ]; then
start etcd etcd --name node1 --data-dir $D/etcd --unsafe-no-fsync \
  --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster node1=http://127.0.0.1:2380 \
  --cert-file $P/etcd.crt --key-file $P/etcd.key --trusted-ca-file $P/etcd-ca.crt --client-cert-auth
start kube-apiserver kube-apiserver --advertise-address=$NODE_IP --bind-address=0.0.0.0 --secure-port=6443 \
  --etcd-servers=https://127.0.0.1:2379 --etcd-cafile=$P/etcd-ca.crt --etcd-certfile=$P/apiserver-etcd-client.crt --etcd-keyfile=$P/apiserver-etcd-client.key \
  --tls-cert-file=$P/apiserver.crt --tls-private-key-file=$P/apiserver.key --client-ca-file=$P/ca.crt \
  --kubelet-client-certificate=$P/apiserver-kubelet-client.crt --kubelet-client-key=$P/apiserver-kubelet-client.key \
  --kubelet-certificate-authority=$P/ca.crt --kubelet-preferred-address-types=InternalIP,Hostname \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=$P/sa.pub --service-account-signing-key-file=$P/sa.key \
  --service-cluster-ip-range=$SVC_CIDR --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --enable-bootstrap-token-auth=true --allow-privileged=true \
  --requestheader-client-ca-file=$P/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file=$P/front-proxy-client.crt --proxy-client-key-file=$P/front-proxy-client.key --v=1
for i in $(seq 300); do curl -s --cacert $P/ca.crt --cert $P/admin.crt --key $P/admin.key https://127.0.0.1:6443/readyz 2>/dev/null | grep -q '^ok' && break; sleep 0.2; done
start kube-controller-manager kube-controller-manager --kubeconfig=$P/controller-manager.kubeconfig --authentication-kubeconfig=$P/controller-manager.kubeconfig --authorization-kubeconfig=$P/controller-manager.kubeconfig \
  --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials=true --controllers='*,bootstrapsigner,tokencleaner' \
  --root-ca-file=$P/ca.crt --service-account-private-key-file=$P/sa.key --cluster-signing-cert-file=$P/ca.crt --cluster-signing-key-file=$P/ca.key \
  --client-ca-file=$P/ca.crt --requestheader-client-ca-file=$P/front-proxy-ca.crt \
  --allocate-node-cidrs=true --cluster-cidr=$CLUSTER_CIDR --service-cluster-ip-range=$SVC_CIDR --cluster-name=kop-e2e
start kube-scheduler kube-scheduler --kubeconfig=$P/scheduler.kubeconfig --authentication-kubeconfig=$P/scheduler.kubeconfig --authorization-kubeconfig=$P/scheduler.kubeconfig \
  --bind-address=127.0.0.1 --leader-elect=false
fi
start kubelet kubelet --config=$D/kubelet.yaml --kubeconfig=$P/kubelet-$NODE.kubeconfig --hostname-override=$NODE --node-ip=$NODE_IP \
  --root-dir=$D/kubelet --cert-dir=$D/kubelet/pki --v=1
start kube-proxy kube-proxy --config=$D/kube-proxy.yaml
# --- CNI: written once the controller manager gave this node its pod CIDR; the node turns Ready after it
until CIDR=$(kubectl --kubeconfig $P/kubelet-$NODE.kubeconfig get node $NODE -o jsonpath='{.spec.podCIDR}' 2>/dev/null) && [ -n "$CIDR" ]; do sleep 0.1; done
echo $CIDR > $D/podcidr
cat > /run/10-kop-e2e.conflist <<C
{"cniVersion":"1.0.0","name":"kop-e2e","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$D/cni/ipam","ranges":[[{"subnet":"$CIDR"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
C
cp /run/10-kop-e2e.conflist $D/cni/net.d/10-kop-e2e.conflist
trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $!; done

#!/bin/bash
# certs.sh DIR NODE_IP NODE...  : CA, serving and client certificates, SA key pair, kubeconfigs (openssl only)
set -euo pipefail
D=$1; IP=$2; shift 2; mkdir -p "$D"; cd "$D"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
ca() { key "$1"; openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.crt" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null; }
cert() { # name ca subject eku [san]
  key "$1"
  openssl req -new -key "$1.key" -subj "$3" -out "$1.csr" 2>/dev/null
  { echo "basicConstraints=critical,CA:FALSE"; echo "keyUsage=critical,digitalSignature,keyEncipherment"; echo "extendedKeyUsage=$4"; [ -z "${5:-}" ] || echo "subjectAltName=$5"; } > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
  rm -f "$1.csr" "$1.ext"; }
ca ca; ca front-proxy-ca; ca etcd-ca
openssl genrsa -out sa.key 2048 2>/dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
cert etcd etcd-ca /CN=etcd serverAuth,clientAuth IP:127.0.0.1,DNS:localhost
cert apiserver-etcd-client etcd-ca /CN=apiserver-etcd-client clientAuth
cert apiserver ca /CN=kube-apiserver serverAuth "IP:127.0.0.1,IP:$IP,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
cert apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
cert front-proxy-client front-proxy-ca /CN=front-proxy-client clientAuth
kc() { # name server
  cat > "$1.kubeconfig" <<K
apiVersion: v1
kind: Config
current-context: kop-e2e
clusters: [{name: kop-e2e, cluster: {server: "$2", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: kop-e2e, context: {cluster: kop-e2e, user: $1}}]
K
}
cert admin ca /O=system:masters/CN=kubernetes-admin clientAuth
cert controller-manager ca /CN=system:kube-controller-manager clientAuth
cert scheduler ca /CN=system:kube-scheduler clientAuth
cert kube-proxy ca /CN=system:kube-proxy clientAuth
for c in admin controller-manager scheduler kube-proxy; do kc $c "https://$IP:6443"; done
for n in "$@"; do
  cert "kubelet-$n" ca "/O=system:nodes/CN=system:node:${n%%=*}" clientAuth
  kc "kubelet-$n" "https://$IP:6443"
  cert "kubelet-serving-$n" ca "/O=system:nodes/CN=system:node:$n" serverAuth "IP:127.0.0.1,DNS:$n,DNS:localhost,IP:${IP%.*}.$((10 + ${n#node}))"
done

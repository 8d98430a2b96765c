#!/bin/bash
# packages.sh [clients]: what the tests need of the machine; with `clients`, only what clients and Pulsar need. As root
# it installs the Debian packages that are missing, else it prints the command. It says which tool is missing or too old that does not come from Debian.
set -euo pipefail
everything=1; [ "${1:-}" != clients ] || everything=
if [ -n "$everything" ] && [ "$(id -u)" != 0 ] && [ -z "${KUBECONFIG:-}" ]; then
  echo "the tests' own Kubernetes cluster needs root; or give KUBECONFIG and KOP_E2E_LOAD_IMAGE (CONTRIBUTING.md)" >&2; exit 1
fi
missing=()
need() { [ -e "$(PATH=$PATH:/usr/sbin:/sbin command -v "$1" || echo "$1")" ] || missing+=("$2"); }   # need COMMAND|FILE PACKAGE
need gcc gcc; need curl curl; need python3 python3; python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv); need setpriv util-linux; need openssl openssl
need java default-jdk-headless; need javac default-jdk-headless; need mvn maven; need kcat kcat; need node nodejs; need npm npm
if [ -n "$everything" ]; then   # the Kubernetes cluster and its images
  need containerd containerd; need runc runc; need /usr/lib/cni/bridge containernetworking-plugins; need iptables iptables
  need conntrack conntrack; need kmod kmod; need ip iproute2; need pgrep procps; need strace strace; need /bin/busybox busybox-static
  need mmdebstrap mmdebstrap; need /etc/ssl/certs/ca-certificates.crt ca-certificates
fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libc6-dev "${missing[@]}"
  else
    echo "missing on this machine; as root: apt-get install libc6-dev ${missing[*]}" >&2; exit 1
  fi
fi
at_least() { # at_least NAME WANTED FOUND WHERE
  if [ "$(printf '%s\n%s\n' "$2" "$3" | sort -V | head -1)" != "$2" ]; then echo "$1 $2 or newer is needed, found '$3': $4" >&2; exit 1; fi
}
at_least Rust 1.90 "$(cargo --version 2>/dev/null | awk '{print $2}')" https://rustup.rs
[ -z "$everything" ] || at_least Go 1.24 "$(go version 2>/dev/null | awk '{sub("go","",$3); print $3}')" https://go.dev/dl
at_least Java 17 "$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')" "apt-get install default-jdk-headless"

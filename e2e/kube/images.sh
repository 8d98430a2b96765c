#!/bin/bash
# images.sh BIN_DIR OUT_DIR: the images that the end-to-end test runs, as tars, without a container runtime or registry:
#   kop-gateway:e2e, kop-operator:e2e   the binaries of BIN_DIR, the shared libraries they are linked to and CA certificates → OUT_DIR
#   kop-e2e-pulsar:4.2.4                Debian with Java, Pulsar's jars and kcat, made once → $CACHE/parts
set -euo pipefail
. "$(dirname "$0")/env.sh"
bin=${1:?images.sh BIN_DIR OUT_DIR} out=${2:?images.sh BIN_DIR OUT_DIR}
PULSAR=4.2.4
mkdir -p "$out" "$CACHE/parts"
image() { python3 "$HERE/scripts/mkimage.py" "$@"; }

for program in kop-gateway kop-operator; do
  files=("$bin/$program:/usr/local/bin/$program" "/etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:644")
  while read -r library; do files+=("$library:$library"); done < <(ldd "$bin/$program" | grep -oE '/[^ ]+')
  image "$out/$program.tar" "docker.io/library/$program:e2e" "${files[@]}" --entrypoint "[\"/usr/local/bin/$program\"]" --user 65532:65532
done

stamp=$CACHE/parts/.pulsar-$(cat "$0" "$HERE"/pulsar/* "$HERE"/../pulsar/* "$HERE/scripts/mkimage.py" | sha256sum | cut -c1-16)
if [ ! -e "$stamp" ]; then
  jars=${KOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kop}/java/lib/pulsar-$PULSAR
  [ -e "$jars/.done" ] || { echo "images.sh: $jars is missing: e2e/parts/java.sh pulsar $PULSAR" >&2; exit 1; }
  root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
  # Manual pages stay: the packages of Java do not install without their folder.
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,curl,default-jre-headless,kcat \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    "$(. /etc/os-release; echo "$VERSION_CODENAME")" "$root/debian"
  mkdir -p "$root/debian/pulsar"/{bin,conf,lib,data}
  cp "$jars"/*.jar "$root/debian/pulsar/lib/"
  cp "$HERE"/pulsar/{apply-config-from-env,pulsar-standalone} "$root/debian/pulsar/bin/"
  # A bookie known by its address would be another one after a restart of its pod.
  { cat "$HERE/../pulsar/standalone.conf"; printf "%s\n" "# statusFilePath=" "useHostNameAsBookieID=true"; } > "$root/debian/pulsar/conf/standalone.conf"
  cp "$HERE/../pulsar/log4j2.yaml" "$root/debian/pulsar/conf/"
  chmod -R a+rwX "$root/debian/pulsar"
  image "$CACHE/parts/pulsar.tar" "docker.io/library/kop-e2e-pulsar:$PULSAR" --rootfs "$root/debian" --workdir /pulsar --user 10000:0
  rm -f "$CACHE"/parts/.pulsar-*; touch "$stamp"
fi

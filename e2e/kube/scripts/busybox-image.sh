#!/bin/bash
# The busybox image that the volume provisioner's helper pods run, from Debian's busybox-static.
set -euo pipefail
. "$(dirname "$0")/../env.sh"
R=$(mktemp -d); trap 'rm -rf "$R"' EXIT
mkdir -p "$R/bin" "$R/tmp" "$R/etc"; chmod 755 "$R"; chmod 1777 "$R/tmp"
for a in $(/bin/busybox --list); do ln -sf busybox "$R/bin/$a"; done
rm -f "$R/bin/busybox"; cp /bin/busybox "$R/bin/busybox"
echo 'root:x:0:0:root:/:/bin/sh' > "$R/etc/passwd"; echo 'root:x:0:' > "$R/etc/group"
python3 "$HERE/scripts/mkimage.py" "$CACHE/images/busybox.tar" kop.e2e/busybox:1 --rootfs "$R" --cmd '["sh"]'

#!/bin/bash
# node.sh: KafkaJS and its codecs, in the versions of node/package-lock.json, from npm into $KOP_CACHE/node/clients.
# Safe to run again: it does something only when that file has changed. No package runs a script of its own.
set -euo pipefail
wanted=$(dirname "$0")/node
dir=${KOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kop}/node/clients
! cmp -s "$wanted/package-lock.json" "$dir/.done" || exit 0
rm -rf "$dir"; mkdir -p "$dir"
cp "$wanted/package.json" "$wanted/package-lock.json" "$dir"
npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error
cp "$wanted/package-lock.json" "$dir/.done"
echo "$dir: $(du -sm "$dir" | cut -f1) MB"

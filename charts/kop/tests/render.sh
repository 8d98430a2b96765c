#!/usr/bin/env bash
# Renders the chart with each values file beside this script and compares with what is kept.
# UPDATE=1 keeps the new rendering. HELM names the program.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
failed=0
for values in "$here"/*.yaml; do
  golden=$here/golden/$(basename "$values")
  rendered=$("${HELM:-helm}" template release "$here/.." --namespace operators --values "$values")
  if [ -n "${UPDATE:-}" ]; then
    mkdir -p "$here/golden"
    printf '%s\n' "$rendered" >"$golden"
  elif ! diff -u "$golden" <(printf '%s\n' "$rendered"); then
    failed=1
  fi
done
[ "$failed" = 0 ] || echo "the chart renders differently: UPDATE=1 $0 keeps it" >&2
exit "$failed"

#!/bin/bash
# python.sh: Kafka's clients for Python, in the versions of python.txt, from PyPI into a virtual environment in
# $KOP_CACHE/python/clients. Safe to run again: it does something only when python.txt has changed.
set -euo pipefail
wanted=$(dirname "$0")/python.txt
dir=${KOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kop}/python/clients
! cmp -s "$wanted" "$dir/.done" || exit 0
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --only-binary :all: --no-deps -r "$wanted"
"$dir/bin/python" -m pip check
cp "$wanted" "$dir/.done"
echo "$dir: $(du -sm "$dir" | cut -f1) MB"

#!/bin/bash
# down.sh: stops what up.sh started, by the process ids it wrote; removes the cgroups and gives the sysctls back.
# KEEP=1 keeps $RUN with the logs.
. "$(dirname "$0")/env.sh"
[ ! -e "$RUN/nsproxy.pid" ] || kill "$(cat "$RUN/nsproxy.pid")" 2>/dev/null
for d in "$RUN"/node*/; do   # process 1 of a node's pid namespace takes all the others with it
  [ ! -e "$d/pid" ] || kill -9 "$(cat "$d/pid")" 2>/dev/null
done
for d in "$RUN"/node*/; do
  if [ -e "$d/unshare.pid" ]; then
    for _ in $(seq 100); do kill -0 "$(cat "$d/unshare.pid")" 2>/dev/null || break; sleep 0.1; done
  fi
  rm -f "$d/pid" "$d/unshare.pid"
done
for c in /sys/fs/cgroup "/sys/fs/cgroup"/*; do
  for _ in 1 2 3 4 5; do
    [ -d "$c$CG" ] || break
    find "$c$CG" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ ! -d "$c$CG" ] || sleep 0.2
  done
done
[ ! -e "$RUN/sysctl.saved" ] || sysctl -qw $(cat "$RUN/sysctl.saved")
rm -f "$RUN/nsproxy.pid" "$KUBECONFIG"
[ -n "${KEEP:-}" ] || rm -rf "$RUN"

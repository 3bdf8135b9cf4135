#!/bin/bash
# The active probe: an instance that cannot run this within seconds does not respond. It starts no process besides bash.

main() {
  local root="${HOST_ROOT:-}" key value boot_id kernel booted_at=""
  # Debian's crash kernel boots the real root with the agent to save the dump: the instance is not back yet.
  if [[ -e "$root/proc/vmcore" ]]; then
    printf '{"isCrashKernel":true}'
    return
  fi
  read -r boot_id <"$root/proc/sys/kernel/random/boot_id"
  read -r kernel <"$root/proc/sys/kernel/osrelease"
  while read -r key value; do
    if [[ "$key" == btime ]]; then TZ=UTC printf -v booted_at '%(%Y-%m-%dT%H:%M:%SZ)T' "$value"; fi
  done <"$root/proc/stat"
  printf '{"bootId":"%s","bootedAt":"%s","kernel":"%s"}' "$boot_id" "$booted_at" "$kernel"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

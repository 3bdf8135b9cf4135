#!/bin/bash
# Facts about the running host that several documents report: kernel, boot, memory, reservation.

# A remedy where KDUMP_KERNELVER in $1 names another kernel for crashes than the running one.
kernel_pinned_in() {
  local release
  release="$(assignment "$1" KDUMP_KERNELVER)"
  if [[ -n "$release" && "$release" != "$(kernel_release)" ]]; then echo "write KDUMP_KERNELVER=\"\" for KDUMP_KERNELVER=\"$release\" in $1"; fi
}

# Of a file that may not be there.
text_of() { cat "$HOST_ROOT$1" 2>/dev/null || true; }

kernel_release() { cat "$HOST_ROOT/proc/sys/kernel/osrelease"; }
architecture() { uname -m; }
boot_id() { cat "$HOST_ROOT/proc/sys/kernel/random/boot_id"; }

booted_at() {
  local key value
  while read -r key value; do
    if [[ "$key" == btime ]]; then
      TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$value"
    fi
  done <"$HOST_ROOT/proc/stat"
}

# Bytes that the running kernel reserves for the crash kernel; 0 without a reservation. While a crash kernel is being loaded,
# Linux since 6.1 answers EBUSY.
reserved_bytes() {
  local file="$HOST_ROOT/sys/kernel/kexec_crash_size"
  for _ in {1..60}; do
    [[ -e "$file" ]] || break
    cat "$file" 2>/dev/null && return
    sleep 1
  done
  echo 0
}

is_crash_kernel_loaded() { [[ "$(text_of /sys/kernel/kexec_crash_loaded)" == 1 ]]; }

# MemTotal excludes the reservation and the some 2 % that the kernel itself takes at boot.
memory_bytes() {
  local key value unit
  while read -r key value unit; do
    if [[ "$key" == MemTotal: && "$unit" == kB ]]; then echo $((value * 1024 + $(reserved_bytes))); fi
  done <"$HOST_ROOT/proc/meminfo"
}

# Free bytes of the file system that holds $1, or will hold it.
free_bytes() {
  local path="$HOST_ROOT$1"
  while [[ ! -e "$path" ]]; do path="$(dirname "$path")"; done
  df -B1 --output=avail "$path" | tail -n 1 | tr -d ' '
}

# Of the units that load the crash kernel and that dump, those that are masked: nothing starts them, and `systemctl enable`
# refuses them. Hardening guides mask kdump.
masked_units() {
  local unit
  for unit in "$(family kdump_service)" kdump-tools-dump.service; do
    if [[ "$(systemctl is-enabled "$unit" 2>/dev/null)" == masked* ]]; then echo "$unit"; fi
  done | paste -s -d ' '
}

is_service_enabled() { systemctl is-enabled --quiet "$1" 2>/dev/null; }

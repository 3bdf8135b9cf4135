#!/bin/bash
# Owns the findings that every family can have. One cause gives one finding: what merely follows from it is left out.
SYSCTL_FILE=/etc/sysctl.d/99-kernel_panic.conf

# finding CODE OBSERVED REMEDY
finding() {
  log "finding $1: $2"
  printf '%s{"code":"%s","observed":%s,"remedy":%s}' "$([[ ! -s "$WORK_DIR/findings" ]] || echo ,)" \
    "$1" "$(json_string "$2")" "$(json_string "$3")" >>"$WORK_DIR/findings"
}

find_reservation_faults() {
  local configured
  configured="$(family configured_crashkernels | paste -s -d ' ')"
  if (($(reserved_bytes) == 0)); then
    if [[ -n "$configured" && " $(cat "$HOST_ROOT/proc/cmdline") " != *" crashkernel="* ]]; then
      finding reboot-pending "crashkernel=$configured is configured, but the kernel was booted before that" "reboot the instance, then check again"
    else
      finding reservation-missing "no memory is reserved; the command line is '$(cat "$HOST_ROOT/proc/cmdline")'" "run configure_kdump, with a smaller crashkernel if one is on the command line already"
    fi
    return 0
  fi
  if [[ -z "$configured" ]]; then
    finding reservation-missing "memory is reserved now, but the boot loader has no crashkernel= for the next boot" "run configure_kdump"
  fi
  if ! is_crash_kernel_loaded; then
    finding crash-kernel-not-loaded "/sys/kernel/kexec_crash_loaded is not 1" "run configure_kdump; journalctl -u $(family kdump_service) says why it was not loaded"
  fi
}

find_service_faults() {
  if ! is_service_enabled "$(family kdump_service)"; then
    finding service-disabled "$(family kdump_service) is $(systemctl is-enabled "$(family kdump_service)" 2>/dev/null || true)" "run configure_kdump, or: systemctl enable $(family kdump_service)"
  fi
}

find_target_faults() {
  local device serial
  if [[ -z "$(fstab_lines "$SSM_mountPoint")" ]]; then
    finding fstab-entry-missing "/etc/fstab has no line for $SSM_mountPoint: the crash kernel would not mount it" "run prepare_dump_volume"
  fi
  device="$(mounted_device "$SSM_mountPoint")"
  if [[ -z "$device" ]]; then
    finding dump-target-not-mounted "nothing is mounted at $SSM_mountPoint" "attach the dump volume and run prepare_dump_volume"
    return 0
  fi
  serial="$(serial_of_disk "$(disk_of_device "$device")")"
  if [[ "$SSM_volumeId" != none && "$serial" != "${SSM_volumeId//-/}" ]]; then
    finding dump-target-wrong-volume "the disk mounted at $SSM_mountPoint has serial '$serial', not ${SSM_volumeId//-/}" "unmount it there, then run prepare_dump_volume with volumeId $SSM_volumeId"
  fi
  if ! is_target_writable; then
    finding dump-target-not-writable "a file cannot be written in $SSM_mountPoint" "look at dmesg for errors of that disk; unmount, check and mount the file system"
    return 0
  fi
  if ((FREE_BYTES < $(bytes_needed))); then
    finding dump-target-too-small "$((FREE_BYTES / 1024 / 1024)) MiB are free in $SSM_mountPoint, a dump may need $(($(bytes_needed) / 1024 / 1024)) MiB" "remove dumps that were collected, or give a larger dump volume"
  fi
}

is_target_writable() {
  local probe="$HOST_ROOT$SSM_mountPoint/.hangdump-probe"
  ! is_mounted_read_only "$SSM_mountPoint" && { echo probe >"$probe" && rm -f "$probe"; } 2>/dev/null
}

# With level 31 a dump is under a tenth of memory for almost all hosts: a quarter is the floor. A level that keeps user
# pages (without 8) may need all of it; a volume as large as memory still passes with its file system's overhead.
bytes_needed() {
  local level
  level="$(family dump_level)"
  if (((${level:-0} & 8) != 0)); then
    echo $((MEMORY_BYTES / 4))
  else
    echo $((MEMORY_BYTES * 9 / 10))
  fi
}

# Files that systemd reads after ours, by name, and set the key again (on Debian 99-sysctl.conf is /etc/sysctl.conf).
later_assignment() {
  local file name
  for file in "$HOST_ROOT"/usr/lib/sysctl.d/*.conf "$HOST_ROOT"/run/sysctl.d/*.conf "$HOST_ROOT"/etc/sysctl.d/*.conf; do
    name="${file##*/}"
    if [[ -f "$file" && "$name" > 99-kernel_panic.conf ]]; then
      sed -n "s|^[[:space:]]*kernel[./]$1[[:space:]]*=[[:space:]]*\([0-9]*\).*|\1 ${file#"$HOST_ROOT"}|p" "$file"
    fi
  done | tail -n 1
}

find_sysctl_faults() {
  local key wanted observed later
  sed -n 's/^kernel\.\([a-z_]*\) *= *\([0-9]*\).*/\1 \2/p' "$HOST_ROOT$SYSCTL_FILE" >"$WORK_DIR/sysctls" 2>/dev/null || true
  if [[ -e "$HOST_ROOT/proc/sys/kernel/unknown_nmi_panic" ]] && [[ "$(grep -cx 'unknown_nmi_panic 1' "$WORK_DIR/sysctls")" == 0 ]]; then
    finding sysctl-not-persistent "$SYSCTL_FILE does not set kernel.unknown_nmi_panic = 1" "run configure_kdump"
  fi
  while read -r key wanted; do
    later="$(later_assignment "$key")"
    if [[ -n "$later" && "${later%% *}" != "$wanted" ]]; then
      finding sysctl-not-persistent "${later#* } sets kernel.$key = ${later%% *} after $SYSCTL_FILE" "remove that line"
    fi
    observed="$(cat "$HOST_ROOT/proc/sys/kernel/$key" 2>/dev/null || true)"
    if [[ "$observed" != "$wanted" ]]; then
      finding sysctl-off "kernel.$key is '$observed', $SYSCTL_FILE wants $wanted" "run configure_kdump, or: sysctl -p $SYSCTL_FILE"
    fi
  done <"$WORK_DIR/sysctls"
}

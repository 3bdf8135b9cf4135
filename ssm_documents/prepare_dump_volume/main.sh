#!/bin/bash
# The order: examine, format only an empty volume, fstab, mount, report. Safe to run again at any point.

# x-hangdump marks the line as Hangdump's (mount ignores x-…). The crash kernel waits 60 s for a slow attachment. With
# nofail a host without its dump volume still boots.
OPTIONS="defaults,$RESTRICTIONS,nofail,x-systemd.device-timeout=60s,x-hangdump"

install_tools() {
  local mkfs="mkfs.$SSM_fileSystem"
  if [[ -z "$FOUND_FILE_SYSTEM" ]] && ! command -v "$mkfs" >/dev/null; then
    record_packages family install_tool "$mkfs"
    note_change "package for $mkfs"
  fi
}

# Also a volume that was mounted before Hangdump had these options.
restrict_mount() {
  if has_mount_options "$SSM_mountPoint" "$RESTRICTIONS"; then return 0; fi
  mount -o "remount,$RESTRICTIONS" "$SSM_mountPoint" ||
    fail "The file system at $SSM_mountPoint could not be mounted again with $RESTRICTIONS. Unmount it and run again."
  note_change "mount options of $SSM_mountPoint"
}

mount_dump_volume() {
  if is_mounted "$SSM_mountPoint"; then
    restrict_mount
    return 0
  fi
  [[ -d "$HOST_ROOT$SSM_mountPoint" ]] || record directory "$SSM_mountPoint" - =
  mkdir -p "$HOST_ROOT$SSM_mountPoint"
  if [[ -n "$(ls -A "$HOST_ROOT$SSM_mountPoint")" ]]; then
    log "note: $SSM_mountPoint holds files already; they stay on the root file system, hidden until the dump volume is unmounted"
  fi
  mount_by_fstab
  check_mounted_volume
  note_change "mounted $SSM_mountPoint"
}

# Last: until then a crash kernel waits for the volume, which is attached.
end_parking() {
  if ! is_parked; then return 0; fi
  record file "$PARKED" "$(content_of "$HOST_ROOT$PARKED")" -
  rm -f "$HOST_ROOT$PARKED"
  note_change "$PARKED"
}

report() {
  local uuid="$1" status=unchanged sizes size available
  if has_changes; then status=prepared; fi
  sizes="$(df -B1 --output=size,avail "$HOST_ROOT$SSM_mountPoint" | tail -n 1)"
  read -r size available <<<"$sizes"
  succeed "{\"status\":\"$status\",\"device\":\"/dev/$DISK\",\"partition\":\"/dev/$PARTITION\",\"uuid\":$(json_string "$uuid"),\
\"fileSystem\":$(json_string "$FOUND_FILE_SYSTEM"),\"mountPoint\":$(json_string "$SSM_mountPoint"),\"sizeBytes\":$size,\"freeBytes\":$available}"
}

main() {
  local uuid
  IS_NEW_FILE_SYSTEM=0
  start_report ConfigurationFailed
  take_lock configuration 300
  check_mount_point "$SSM_mountPoint"
  [[ "$SSM_volumeId" != none ]] || fail InvalidParameter "volumeId is missing: the dump volume is found only by its NVMe serial."
  find_family
  refuse_read_only_root
  wait_for_disk "${SSM_volumeId//-/}"
  refuse_foreign_mount
  examine_disk
  refuse_other_mount_point
  install_tools
  [[ -n "$PARTITION" ]] || make_partition
  [[ -n "$FOUND_FILE_SYSTEM" ]] || make_file_system
  uuid="$(blkid -p -s UUID -o value "$HOST_ROOT/dev/$PARTITION")"
  write_fstab "$uuid" "$FOUND_FILE_SYSTEM" "$OPTIONS"
  systemctl daemon-reload
  mount_dump_volume
  end_parking
  # A vmcore holds the host's memory, and Ubuntu makes it readable for everyone.
  if ((IS_NEW_FILE_SYSTEM)); then
    chmod 0700 "$HOST_ROOT$SSM_mountPoint"
    relabel -R "$HOST_ROOT$SSM_mountPoint"
  fi
  report "$uuid"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

#!/bin/bash
# The order of parking, and its report. Safe to run again. The host can dump at every moment: as long as the volume is
# attached, the crash kernel mounts it at once, whether it is parked already or not.

# noauto: no boot waits for a volume that does not exist. The crash kernel waits by itself, much longer than systemd should.
PARKED_OPTIONS="defaults,$RESTRICTIONS,noauto,nofail,x-systemd.device-timeout=5s,x-hangdump"

# Sets UUID, FILE_SYSTEM, SIZE and FREE: of the mounted volume, or of the one that was parked. One that was attached for a
# crash and not mounted since may hold the dump.
look_at_dump_volume() {
  local mounted disk device sizes
  if is_parked && [[ -n "$(fstab_lines "$SSM_mountPoint")" ]] && ! is_mounted "$SSM_mountPoint"; then mount_by_fstab; fi
  mounted="$(mounted_device "$SSM_mountPoint")"
  if [[ -z "$mounted" ]]; then
    is_parked || fail "Nothing is mounted at $SSM_mountPoint, and no dump volume is parked. Run prepare_dump_volume first. Nothing was changed."
    UUID="$PARKED_UUID" FILE_SYSTEM="$PARKED_FILE_SYSTEM" SIZE="$PARKED_BYTES" FREE="$PARKED_FREE_BYTES"
    return 0
  fi
  disk="$(disk_of_device "$mounted")"
  if [[ "$SSM_volumeId" != none && "$(serial_of_disk "$disk")" != "${SSM_volumeId//-/}" ]]; then
    fail DumpVolumeMismatch "The disk mounted at $SSM_mountPoint has serial '$(serial_of_disk "$disk")', not ${SSM_volumeId//-/}. Nothing was changed. Unmount it there, and run again."
  fi
  # Of the disk, not of fstab: the crash kernel would wait in vain for a file system that was made again since.
  device="$HOST_ROOT/dev/$(partitions_of "$disk")"
  UUID="$(blkid -p -s UUID -o value "$device" || true)" FILE_SYSTEM="$(blkid -p -s TYPE -o value "$device" || true)"
  [[ -n "$UUID" && -n "$FILE_SYSTEM" && -n "$(fstab_lines "$SSM_mountPoint")" && -z "$(fstab_lines "$SSM_mountPoint" | foreign_lines)" ]] ||
    fail "/etc/fstab has no line of Hangdump's for $SSM_mountPoint. Run prepare_dump_volume first. Nothing was changed."
  sizes="$(df -B1 --output=size,avail "$HOST_ROOT$SSM_mountPoint" | tail -n 1)"
  read -r SIZE FREE <<<"$sizes"
}

unmount_dump_volume() {
  if ! is_mounted "$SSM_mountPoint"; then return 0; fi
  umount "$HOST_ROOT$SSM_mountPoint" 2>"$WORK_DIR/umount" ||
    fail "The dump volume could not be unmounted from $SSM_mountPoint: $(tail -n 1 "$WORK_DIR/umount"). It stays as it was. End what uses it (fuser -vm $SSM_mountPoint), and run again."
  note_change "unmounted $SSM_mountPoint"
}

# The files of the wait do nothing yet. Unmounted before it is parked: what cannot be unmounted stays as it was.
park() {
  local status=unchanged is_empty=false
  find_family
  refuse_read_only_root
  refuse_parking
  read_parked
  look_at_dump_volume
  if is_mounted "$SSM_mountPoint"; then
    refuse_files
    is_empty=true
  fi
  family write_waiting_files
  unmount_dump_volume
  echo "$SSM_mountPoint $UUID $FILE_SYSTEM $SIZE $FREE $SSM_waitSeconds $(waiting_files_id)" | write_if_changed "$PARKED"
  write_fstab "$UUID" "$FILE_SYSTEM" "$PARKED_OPTIONS"
  systemctl daemon-reload
  family load_waiting_crash_kernel
  sync
  if has_changes; then status=parked; fi
  succeed "{\"status\":\"$status\",\"family\":\"$FAMILY\",\"mountPoint\":$(json_string "$SSM_mountPoint"),\"uuid\":$(json_string "$UUID"),\
\"fileSystem\":$(json_string "$FILE_SYSTEM"),\"sizeBytes\":$SIZE,\"freeBytes\":$FREE,\"volumeEmpty\":$is_empty,\
\"bootId\":$(json_string "$(boot_id)"),\"kernel\":$(json_string "$(kernel_release)"),\"configId\":\"$(config_id)\"}"
}

main() {
  start_report ConfigurationFailed
  take_lock configuration 300
  if [[ "$SSM_mountPoint" == found ]]; then
    SSM_mountPoint=/var/crash
    use_own_mount_point
  fi
  check_mount_point "$SSM_mountPoint"
  wait_for_mount "$SSM_mountPoint"
  case "$SSM_action" in
    park) park ;;
    mount) mount_again ;;
  esac
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

#!/bin/bash
# Mounts the dump volume by its line of fstab, and makes sure that it is the one. Uses shell/mounts.sh and shell/edit.sh.
# Nothing on it is a program or a device, whoever wrote it: the crash kernel only writes files.
RESTRICTIONS="nosuid,nodev,noexec"

# write_fstab UUID FILE_SYSTEM OPTIONS: the line for the mount point, with Hangdump's mark, in place of an earlier one.
write_fstab() {
  local line="UUID=$1 $SSM_mountPoint $2 $3 0 0"
  if [[ "$(fstab_lines "$SSM_mountPoint")" == "$line" ]]; then return 0; fi
  {
    # awk adds a missing newline to the last line.
    { foreign_lines <"$HOST_ROOT/etc/fstab"; } 2>/dev/null || true
    echo "$line"
  } >"$WORK_DIR/fstab"
  write_if_changed /etc/fstab <"$WORK_DIR/fstab"
}

# mount succeeds without mounting where fstab says nofail and it finds no device. Of two file systems with the same UUID
# (a volume and its copy) it takes either.
check_mounted_volume() {
  local mounted disk left="It was unmounted again."
  mounted="$(mounted_device "$SSM_mountPoint")"
  [[ -n "$mounted" ]] || fail "mount reported success, but nothing is mounted at $SSM_mountPoint: it did not find the file system of $SSM_volumeId. Its line stays in /etc/fstab. See dmesg and blkid /dev/$PARTITION, and run again."
  disk="$(disk_of_device "$mounted")"
  if [[ "$disk" != "$DISK" ]]; then
    umount "$HOST_ROOT$SSM_mountPoint" || left="It is still mounted there."
    fail DumpVolumeMismatch "mount took ${disk:-device $mounted} (serial '$(serial_of_disk "$disk")') for $SSM_mountPoint, not $DISK ($SSM_volumeId): a copy of the dump volume has the same UUID. $left The line of the dump volume stays in /etc/fstab. Detach the copy, and run again."
  fi
}

mount_by_fstab() {
  if ! mount "$SSM_mountPoint" 2>"$WORK_DIR/mount" && ! is_mounted "$SSM_mountPoint"; then
    fail "The dump volume could not be mounted at $SSM_mountPoint: $(tail -n 3 "$WORK_DIR/mount"). Its line stays in /etc/fstab. Mend that, and run again."
  fi
}

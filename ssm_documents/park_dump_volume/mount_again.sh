#!/bin/bash
# Mounts the dump volume of a parked host again: after a crash it is attached, but its line of fstab says noauto.

# mount finds the file system once the kernel has read the partition table.
wait_for_dump_partition() {
  local attempt
  for ((attempt = 0; attempt < 10; attempt++)); do
    PARTITION="$(partitions_of "$DISK")"
    if [[ -n "$PARTITION" && -e "$HOST_ROOT/dev/$PARTITION" ]]; then return 0; fi
    sleep 1
  done
  fail DumpVolumeMismatch "Disk $DISK ($SSM_volumeId) has no partition: it is not the dump volume that was parked."
}

mount_again() {
  local status=unchanged
  if ! is_parked; then
    report_mount not-parked
    return 0
  fi
  [[ "$SSM_volumeId" != none ]] || fail InvalidParameter "volumeId is missing: the dump volume is found only by its NVMe serial."
  wait_for_disk "${SSM_volumeId//-/}"
  wait_for_dump_partition
  if ! is_mounted "$SSM_mountPoint"; then
    mount_by_fstab
    status=mounted
  fi
  check_mounted_volume
  report_mount "$status"
}

report_mount() {
  succeed "{\"status\":\"$1\",\"volumeId\":\"$SSM_volumeId\",\"mountPoint\":$(json_string "$SSM_mountPoint")}"
}

#!/bin/bash
# The findings about the dump target: fstab, mount, volume, space.
# The disk mounted at the mount point, or nothing.
TARGET_DISK=""

find_target_faults() {
  local device serial
  if [[ -z "$(fstab_lines "$SSM_mountPoint")" ]]; then
    finding fstab-entry-missing "/etc/fstab has no line for $SSM_mountPoint: the crash kernel would not mount it" "run prepare_dump_volume"
  fi
  if is_parked; then find_parking_faults; fi
  device="$(mounted_device "$SSM_mountPoint")"
  if [[ -z "$device" ]] && is_parked; then
    # As every EBS volume of a Nitro instance.
    TARGET_DISK=nvme
    find_small_target "were free on the parked dump volume"
    return 0
  fi
  if [[ -z "$device" ]]; then
    finding dump-target-not-mounted "nothing is mounted at $SSM_mountPoint" "attach the dump volume and run prepare_dump_volume"
    return 0
  fi
  TARGET_DISK="$(disk_of_device "$device")"
  serial="$(serial_of_disk "$TARGET_DISK")"
  if [[ "$SSM_volumeId" != none && "$serial" != "${SSM_volumeId//-/}" ]]; then
    finding dump-target-wrong-volume "the disk mounted at $SSM_mountPoint has serial '$serial', not ${SSM_volumeId//-/}" "unmount it there, then run prepare_dump_volume with volumeId $SSM_volumeId"
  else
    find_wrong_uuid "$device"
  fi
  if ! is_target_writable; then
    finding dump-target-not-writable "a file cannot be written in $SSM_mountPoint" "look at dmesg for errors of that disk; unmount, check and mount the file system"
    return 0
  fi
  find_small_target "are free in $SSM_mountPoint"
}

# $1: where and when FREE_BYTES were free.
find_small_target() {
  if ((FREE_BYTES < EXPECTED_BYTES)); then
    finding dump-target-too-small "$((FREE_BYTES >> 20)) MiB $1, a dump would have $((EXPECTED_BYTES >> 20)) MiB now (makedumpfile --mem-usage)" "remove dumps that were collected, or give a larger dump volume"
  elif ((FREE_BYTES < $(bytes_needed))); then
    finding dump-target-too-small "$((FREE_BYTES / 1024 / 1024)) MiB $1, a dump may need $(($(bytes_needed) / 1024 / 1024)) MiB" "remove dumps that were collected, or give a larger dump volume"
  fi
}

# The device that the next boot and the crash kernel would mount there.
find_wrong_uuid() {
  local wanted uuid
  wanted="$(fstab_lines "$SSM_mountPoint" | sed -n '1s/^UUID="\{0,1\}\([^" \t]*\).*/\1/p')"
  uuid="$(uuid_of_device "$1")"
  if [[ -n "$wanted" && -n "$uuid" && "${wanted,,}" != "${uuid,,}" ]]; then
    finding dump-target-wrong-uuid "/etc/fstab has UUID=$wanted for $SSM_mountPoint, but the file system mounted there has $uuid" "run prepare_dump_volume"
  fi
}

# UUID of the file system on major:minor $1.
uuid_of_device() {
  local file
  for file in "$HOST_ROOT"/sys/block/*/dev "$HOST_ROOT"/sys/block/*/*/dev; do
    if [[ -f "$file" && "$(cat "$file")" == "$1" ]]; then
      file="${file%/dev}"
      blkid -p -s UUID -o value "$HOST_ROOT/dev/${file##*/}" 2>/dev/null || true
      return
    fi
  done
}

is_target_writable() {
  local probe="$HOST_ROOT$SSM_mountPoint/.hangdump-probe"
  ! is_mounted_read_only "$SSM_mountPoint" && { echo probe >"$probe" && rm -f "$probe"; } 2>/dev/null
}

# With level 31 a dump has under a tenth of memory on almost all hosts: require a quarter. A level that keeps user pages
# (without 8), or a makedumpfile that does not recognise them, may need all of it: require 9/10, so that a volume as large as
# memory passes with its file system.
bytes_needed() {
  local level
  level="$(family dump_level)"
  if (((${level:-0} & 8) != 0)) && [[ -z "$(makedumpfile_fault)" ]]; then
    echo $((MEMORY_BYTES / 4))
  else
    echo $((MEMORY_BYTES * 9 / 10))
  fi
}

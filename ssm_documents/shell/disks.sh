#!/bin/bash
# Finds an EBS disk only by its NVMe serial, and waits for it. Uses shell/mounts.sh.

# EBS reports "attached" a few seconds before the guest has the disk.
wait_for_disk() {
  local serial="$1" attempt found
  for ((attempt = 0; attempt < 30; attempt++)); do
    found="$(disk_with_serial "$serial")"
    if [[ -n "$found" ]]; then break; fi
    sleep 2
  done
  case "$(wc -w <<<"$found")" in
    0) fail DumpVolumeNotFound "No disk with NVMe serial $serial within 60 s; there are: $(all_serials). Attach the volume and run again." ;;
    1) DISK="$found" ;;
    *) fail DumpVolumeMismatch "Several disks have NVMe serial $serial: ${found//$'\n'/ }. Detach all but one." ;;
  esac
}

all_serials() {
  local path
  for path in "$HOST_ROOT"/sys/block/*/device/serial; do
    [[ ! -e "$path" ]] || echo "$(basename "${path%/device/serial}")=$(tr -d ' \0' <"$path")"
  done | paste -s -d ' '
}

partitions_of() {
  local path
  for path in "$HOST_ROOT/sys/block/$1/$1"*/partition; do
    if [[ -e "$path" ]]; then basename "$(dirname "$path")"; fi
  done
}

#!/bin/bash
# Mounts a copy of a dump volume, never the volume itself. The crash kernel's last writes may be only in the journal, so
# the journal is replayed first, on the copy. If that fails, the file system is read without its journal.

# Data from another host is only read.
CAREFUL="ro,nosuid,nodev,noexec"

# The partition of prepare_dump_volume, or a file system on the whole disk.
find_file_system() {
  local device
  for device in $(partitions_of "$DISK") "$DISK"; do
    FILE_SYSTEM="$(blkid -p -s TYPE -o value "$HOST_ROOT/dev/$device" || true)"
    if [[ "$FILE_SYSTEM" == xfs || "$FILE_SYSTEM" == ext4 ]]; then
      DEVICE="$device"
      return
    fi
  done
  fail DumpVolumeMismatch "Disk $DISK ($SSM_volumeId) has neither an xfs nor an ext4 file system: it is no copy of a dump volume that Hangdump prepared."
}

# nouuid: xfs refuses a second file system with the same UUID as a mounted one.
options_with_journal() { if [[ "$FILE_SYSTEM" == xfs ]]; then echo "$CAREFUL,nouuid"; else echo "$CAREFUL"; fi; }
options_without_journal() { if [[ "$FILE_SYSTEM" == xfs ]]; then echo "$CAREFUL,nouuid,norecovery"; else echo "$CAREFUL,noload"; fi; }

try_mount() { mount -t "$FILE_SYSTEM" -o "$1" "$HOST_ROOT/dev/$DEVICE" "$HOST_ROOT$SSM_mountPoint" 2>"$WORK_DIR/mount"; }

mount_copy() {
  mkdir -p "$HOST_ROOT$SSM_mountPoint"
  JOURNAL=replayed
  if try_mount "$(options_with_journal)"; then return 0; fi
  log "note: not mounted with its journal: $(tail -n 1 "$WORK_DIR/mount")"
  JOURNAL=ignored
  if try_mount "$(options_without_journal)"; then return 0; fi
  fail DumpVolumeMismatch "The file system of $SSM_volumeId ($FILE_SYSTEM) cannot be mounted, not even without its journal: $(tail -n 3 "$WORK_DIR/mount")"
}

# Whether all that was written to the copy can be seen: without the journal the last files may be missing, and another
# partition may hold others. The last field has the options of the file system, also those of a mount before this run.
is_all_seen() {
  [[ "$JOURNAL" != ignored && "$(partitions_of "$DISK" | wc -l)" -le 1 ]] &&
    awk -v point="$SSM_mountPoint" '$5 == point { options = "," $6 "," $NF "," } END { exit options ~ /,(norecovery|noload),/ }' \
      "$HOST_ROOT/proc/self/mountinfo"
}

main() {
  local mounted is_empty=false
  start_report ConfigurationFailed
  take_lock mount 300
  check_mount_point "$SSM_mountPoint"
  [[ "$SSM_volumeId" != none ]] || fail InvalidParameter "volumeId is missing: the copy is found only by its NVMe serial."
  wait_for_disk "${SSM_volumeId//-/}"
  find_file_system
  mounted="$(mounted_device "$SSM_mountPoint")"
  if [[ -z "$mounted" ]]; then
    mount_copy
  elif [[ "$(disk_of_device "$mounted")" == "$DISK" ]]; then
    JOURNAL="mounted-before"
  else
    fail DumpVolumeMismatch "Another file system ($mounted) is mounted at $SSM_mountPoint."
  fi
  if files_on "$SSM_mountPoint" >"$WORK_DIR/files" && [[ ! -s "$WORK_DIR/files" ]] && is_all_seen; then is_empty=true; fi
  succeed "{\"status\":\"mounted\",\"device\":\"/dev/$DEVICE\",\"fileSystem\":\"$FILE_SYSTEM\",\"journal\":\"$JOURNAL\",\
\"mountPoint\":$(json_string "$SSM_mountPoint"),\"volumeEmpty\":$is_empty,\"fileCount\":$(wc -l <"$WORK_DIR/files"),\
\"files\":$(head -n 20 "$WORK_DIR/files" | json_list)}"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

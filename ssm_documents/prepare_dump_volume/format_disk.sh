#!/bin/bash
# Writes to the disk: one GPT partition named hangdump, one file system labelled HANGDUMP.

# util-linux before 2.26 (EL7) writes MBR tables only.
is_gpt_known_to_sfdisk() { command -v sfdisk >/dev/null && [[ "$(sfdisk --help 2>&1)" == *--label* ]]; }

make_partition() {
  local device="$HOST_ROOT/dev/$DISK"
  if command -v sgdisk >/dev/null; then
    sgdisk --new=1:0:0 --typecode=1:8300 --change-name=1:hangdump "$device"
  elif is_gpt_known_to_sfdisk; then
    # The GUID of "Linux filesystem": older sfdisk has no alias for it.
    printf 'label: gpt\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="hangdump"\n' | sfdisk "$device"
  elif command -v parted >/dev/null; then
    parted --script --align optimal "$device" mklabel gpt mkpart hangdump "$SSM_fileSystem" 1MiB 100%
  else
    record_packages family install_tool sfdisk
    make_partition
    return
  fi
  note_change "partition on $DISK"
  wait_for_partition
}

wait_for_partition() {
  local attempt
  for ((attempt = 0; attempt < 10; attempt++)); do
    if command -v udevadm >/dev/null; then udevadm settle --timeout=10 || true; fi
    PARTITION="$(partitions_of "$DISK")"
    if [[ -n "$PARTITION" && -e "$HOST_ROOT/dev/$PARTITION" ]]; then return 0; fi
    blockdev --rereadpt "$HOST_ROOT/dev/$DISK" || true
    sleep 1
  done
  fail "The kernel does not show the new partition on $DISK. Run again; nothing needs to be undone."
}

# mkfs.xfs of 6.18 and later turns on what Linux before 6.10 does not mount, and a rescue reads the volume on such a one.
# The usage, which it prints when no device is given, says whether it knows them.
without_new_xfs_features() {
  local usage
  usage="$(mkfs.xfs 2>&1 || true)"
  if [[ "$usage" == *parent=* ]]; then echo "-n parent=0"; fi
  if [[ "$usage" == *exchange=* ]]; then echo "-i exchange=0"; fi
}

# Without -f or -F, so that mkfs itself refuses a device that holds data.
make_file_system() {
  local device="$HOST_ROOT/dev/$PARTITION"
  log "making a $SSM_fileSystem file system on $PARTITION"
  case "$SSM_fileSystem" in
    xfs)
      # Each option is two words.
      # shellcheck disable=SC2046
      mkfs.xfs -q $(without_new_xfs_features) -L HANGDUMP "$device"
      ;;
    ext4) mkfs.ext4 -q -L HANGDUMP -m 0 "$device" </dev/null ;;
  esac
  FOUND_FILE_SYSTEM="$SSM_fileSystem"
  IS_NEW_FILE_SYSTEM=1
  note_change "$SSM_fileSystem file system on $PARTITION"
}

#!/bin/bash
# Finds the disk and what is on it. Changes nothing; in doubt the disk holds data.

# The partition name, set by sgdisk, sfdisk or parted. The kernel shows it: no tool is needed, and udev cannot race.
is_partition_ours() { grep -qx 'PARTNAME=hangdump' "$HOST_ROOT/sys/block/$DISK/$1/uevent"; }

# Low-level probe without cache: prints TYPE or PTTYPE, "ambivalent" if blkid cannot decide, or nothing.
signature_on() {
  local found exit_code=0
  found="$(blkid -p -o export "$HOST_ROOT/dev/$1")" || exit_code=$?
  case "$exit_code" in
    0) sed -n -e 's/^TYPE=//p' -e 's/^PTTYPE=//p' <<<"$found" | paste -s -d ' ' ;;
    2) ;;
    8) echo ambivalent ;;
    *) fail "blkid could not read /dev/$1 (exit code $exit_code)." ;;
  esac
}

# $2 MiB of /dev/$1 from MiB $3 on. What cannot be read counts as written.
read_mib() { dd if="$HOST_ROOT/dev/$1" bs=1M count="$2" skip="$3" status=none || echo unreadable; }
# The 4 KiB at MiB $2.
read_block_at_mib() { dd if="$HOST_ROOT/dev/$1" bs=4K count=1 skip=$(($2 << 8)) status=none || echo unreadable; }

# A database on the raw device has no signature that blkid knows, nor has a file system that lost its first blocks. A new
# EBS volume reads as zeros, but reading a TiB of them takes hours. So this reads where data must be if there are any:
# - the first 128 MiB and the end;
# - where ext4's block groups begin, some with a copy of its superblock: every 128 MiB, or every 8 MiB below 512 MiB;
# - where xfs' allocation groups begin, each with a superblock: at quarters, or at finer parts of the disk, down to 1/32;
# - all this also for a file system that began at 1 MiB, in a partition whose table is gone.
# 8 GiB: 160 short reads; 1 TiB: 16,000, half a minute.
# This counts instead of `grep -q`: with pipefail an early exit of grep would mean "nothing written".
has_bytes_written() {
  local mib at step=8 written
  mib=$(($(blockdev --getsize64 "$HOST_ROOT/dev/$1") >> 20))
  while ((step < 128 && mib / step > 64)); do step=$((step * 2)); done
  written="$({
    read_mib "$1" 128 0
    for ((at = step; at + 1 < mib; at += step)); do
      read_block_at_mib "$1" "$at"
      read_block_at_mib "$1" $((at + 1))
    done
    for ((at = 1; at <= 32; at++)); do read_mib "$1" 3 $((mib * at / 32 > 1 ? mib * at / 32 - 1 : 0)); done
  } | tr -d '\0' | wc -c)"
  ((written > 0))
}

has_holders() { [[ -n "$(ls -A "$HOST_ROOT/sys/block/$1/holders" 2>/dev/null)" ]]; }
is_swap() { grep -q "^/dev/$1[[:space:]]" "$HOST_ROOT/proc/swaps" 2>/dev/null; }

refuse_disk() {
  fail DeviceHoldsData "Disk $DISK ($SSM_volumeId) $1. Nothing was changed. Hangdump formats only an empty volume: give it another one, or write zeros over this one yourself when you are sure."
}

# Sets PARTITION and FOUND_FILE_SYSTEM; an empty one has to be made.
examine_disk() {
  local partitions signature
  PARTITION="" FOUND_FILE_SYSTEM=""
  if has_holders "$DISK" || is_swap "$DISK"; then refuse_disk "is in use by the kernel (holders or swap)"; fi
  if [[ -n "$(mount_points_of "$(cat "$HOST_ROOT/sys/block/$DISK/dev")")" ]]; then refuse_disk "is mounted as a whole"; fi
  partitions="$(partitions_of "$DISK")"
  if [[ -z "$partitions" ]]; then
    signature="$(signature_on "$DISK")"
    [[ -z "$signature" ]] || refuse_disk "carries a signature: $signature"
    if has_bytes_written "$DISK"; then refuse_disk "has bytes written on it that no known signature explains"; fi
    return 0
  fi
  if [[ "$(wc -w <<<"$partitions")" != 1 ]] || ! is_partition_ours "$partitions"; then
    refuse_disk "has partitions that are not Hangdump's: ${partitions//$'\n'/ }"
  fi
  PARTITION="$partitions"
  examine_partition
}

examine_partition() {
  local label signature device="$HOST_ROOT/dev/$PARTITION"
  if has_holders "$DISK/$PARTITION" || is_swap "$PARTITION"; then refuse_disk "has its partition in use by the kernel (holders or swap)"; fi
  signature="$(signature_on "$PARTITION")"
  FOUND_FILE_SYSTEM="${signature%% *}"
  # Hangdump's own partition, but its run ended before mkfs: continue there. If anything was written, the file system with
  # the only dump may be damaged, or a run ended within mkfs: a person decides.
  if [[ -z "$FOUND_FILE_SYSTEM" ]]; then
    if has_bytes_written "$PARTITION"; then refuse_disk "has bytes on its partition that no known file system explains"; fi
    return 0
  fi
  label="$(blkid -p -s LABEL -o value "$device" || true)"
  if [[ "$label" != HANGDUMP ]]; then refuse_disk "has a $FOUND_FILE_SYSTEM file system labelled '$label', not HANGDUMP, on its partition"; fi
}

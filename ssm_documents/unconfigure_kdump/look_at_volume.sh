#!/bin/bash
# Refuses while a dump could be lost, and says what else is on the dump volume. Changes nothing.

# Debian's crash kernel boots the real root, and could have an agent.
refuse_while_dumping() {
  [[ ! -e "$HOST_ROOT/proc/vmcore" ]] || fail DumpOnInstance "The crash kernel is at work: a dump is being written. Nothing was changed. Let it be collected, then run again."
}

# A dump beneath the mount point, or on the root file system, has its value too.
refuse_dumps() {
  local path more
  look_beneath ro || true
  dumps_and_those_beneath >"$WORK_DIR/dumps"
  [[ -s "$WORK_DIR/dumps" ]] || return 0
  read -r _ path <"$WORK_DIR/dumps"
  more=$(($(wc -l <"$WORK_DIR/dumps") - 1))
  fail DumpOnInstance "$(reported_path "$path") is a dump that nobody has collected$( ((more == 0)) || echo ", and there are $more more"). Nothing was changed. Collect it, or remove it yourself if nobody needs it; then run again."
}

# Sets VOLUME_FILES and IS_VOLUME_SEEN: whether the host can say what is on the volume. A run that ended after its unmount
# left the volume unmounted: it is mounted for this look only.
look_at_volume() {
  local mounted point="$SSM_mountPoint"
  IS_VOLUME_SEEN=false
  : >"$WORK_DIR/files"
  [[ "$SSM_volumeId" != none ]] || return 0
  mounted="$(mounted_device "$point")"
  if [[ -z "$mounted" ]]; then
    mount_for_a_look || return 0
    point="$LOOK_POINT"
  elif [[ "$(serial_of_disk "$(disk_of_device "$mounted")")" != "${SSM_volumeId//-/}" ]]; then
    return 0
  fi
  if files_on "$point" >"$WORK_DIR/files"; then IS_VOLUME_SEEN=true; fi
  if [[ "$point" == "$LOOK_POINT" ]]; then
    umount "$HOST_ROOT$LOOK_POINT"
    refuse_dump_on_unmounted_volume
  fi
}

refuse_dump_on_unmounted_volume() {
  local path
  path="$(grep -E '(^|/)(dump[.][0-9]|vmcore|dump-incomplete)' "$WORK_DIR/files" | head -n 1 || true)"
  [[ -z "$path" ]] || fail DumpOnInstance "$path on the dump volume, which is not mounted, looks like a dump. Nothing was changed. Mount the volume at $SSM_mountPoint and collect it, or remove it yourself if nobody needs it; then run again."
}

LOOK_POINT=/run/hangdump-look
mount_for_a_look() {
  local disk partition
  disk="$(disk_with_serial "${SSM_volumeId//-/}")"
  partition="$(partitions_of "${disk:-none}")"
  [[ -n "$partition" && "$(wc -w <<<"$partition")" == 1 ]] || return 1
  # Mounted elsewhere: not ours to say what it is for.
  [[ -z "$(mount_points_of "$(cat "$HOST_ROOT/sys/block/$disk/$partition/dev")")" ]] || return 1
  mkdir -p "$HOST_ROOT$LOOK_POINT"
  mount -t "$(blkid -p -s TYPE -o value "$HOST_ROOT/dev/$partition")" -o ro,nosuid,nodev,noexec "$HOST_ROOT/dev/$partition" "$HOST_ROOT$LOOK_POINT" >&2
}

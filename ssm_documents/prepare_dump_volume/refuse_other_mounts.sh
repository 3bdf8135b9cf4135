#!/bin/bash
# Refuses a mount point that belongs to another file system, now or at boot, and a dump volume that is mounted elsewhere.

# Lines of fstab whose path leads to mount point $1 through a symbolic link: systemd follows it. On a remote file system,
# whose server may hang, no link is followed.
linked_fstab_lines() {
  local device path rest
  { awk '$1 !~ /^#|^[^\/]+:|^\/\// && $2 ~ /^\//' "$HOST_ROOT/etc/fstab" 2>/dev/null || true; } | while read -r device path rest; do
    if [[ "$(real_path "$path")" == "$1" ]]; then echo "$device $path $rest"; fi
  done
}

refuse_foreign_mount() {
  local mounted foreign unit
  mounted="$(mounted_device "$SSM_mountPoint")"
  if [[ -n "$mounted" && "$(disk_of_device "$mounted")" != "$DISK" ]]; then
    fail DumpVolumeMismatch "Another file system ($mounted) is mounted at $SSM_mountPoint. Choose another mountPoint, or unmount it and run again."
  fi
  foreign="$({ fstab_lines "$SSM_mountPoint" && linked_fstab_lines "$SSM_mountPoint"; } | foreign_lines)"
  if [[ -n "$foreign" ]]; then
    # Not the whole line: options such as password= may be in it.
    fail DumpVolumeMismatch "/etc/fstab has another file system for $SSM_mountPoint ('${foreign%%[[:space:]]*}'). Choose another mountPoint, or remove that line and run again."
  fi
  # systemd prefers a unit in these directories to the one that it makes of fstab.
  for unit in {/etc,/usr/lib}/systemd/system/"$(mount_unit "$SSM_mountPoint")"; do
    if [[ -e "$HOST_ROOT$unit" || -L "$HOST_ROOT$unit" ]]; then
      fail DumpVolumeMismatch "$unit decides what is mounted at $SSM_mountPoint at boot, not /etc/fstab. Choose another mountPoint, or remove that unit and run again."
    fi
  done
}

refuse_other_mount_point() {
  local points
  [[ -n "$PARTITION" ]] || return 0
  points="$(mount_points_of "$(cat "$HOST_ROOT/sys/block/$DISK/$PARTITION/dev")" | grep -vx "$SSM_mountPoint" || true)"
  if [[ -n "$points" ]]; then
    fail DumpVolumeMismatch "The dump volume is mounted at ${points//$'\n'/ }, not at $SSM_mountPoint. Unmount it there and run again."
  fi
}

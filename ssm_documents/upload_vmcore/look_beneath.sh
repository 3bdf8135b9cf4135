#!/bin/bash
# Finds a dump beneath the mount point, written before a late volume was mounted over it. A bind mount of the file system
# below shows its directory; the script removes that mount however it ends. The mount is not below WORK_DIR, because
# WORK_DIR is deleted with its contents.
TRUE_ROOT="$HOST_ROOT"
BENEATH="$TRUE_ROOT/run/hangdump-beneath"
IS_BENEATH_SEEN=0

# The mount point of the file system that contains the directory of the dump volume's mount point.
holder_of_mount_point() {
  awk -v point="$SSM_mountPoint" '
    $5 != point && index(point "/", $5 == "/" ? "/" : $5 "/") == 1 && length($5) >= length(best) { best = $5 }
    END { print best ? best : "/" }' "$HOST_ROOT/proc/self/mountinfo"
}

# $1: ro, or rw for a removal. False if nothing is mounted there, or nothing is visible beneath.
look_beneath() {
  local holder
  is_mounted "$SSM_mountPoint" || return 1
  holder="$(holder_of_mount_point)"
  if [[ "$holder" == / ]]; then BENEATH_POINT="$BENEATH"; else BENEATH_POINT="$BENEATH$holder"; fi
  leave_beneath
  trap finish_beneath EXIT
  mkdir -p "$BENEATH_POINT"
  if ! mount -o "bind,$1" "$HOST_ROOT$holder" "$BENEATH_POINT" 2>"$WORK_DIR/mount"; then
    log "note: nothing can be seen beneath $SSM_mountPoint: $(tail -n 1 "$WORK_DIR/mount")"
    return 1
  fi
  IS_BENEATH_SEEN=1
}

# Also removes the mount of a killed run.
leave_beneath() {
  local path="$BENEATH_POINT" HOST_ROOT="$TRUE_ROOT"
  while is_mounted "${path#"$HOST_ROOT"}"; do
    umount "$path" || umount -l "$path" || return 0
  done
  while [[ "$path" == "$BENEATH"* ]]; do
    rmdir "$path" 2>/dev/null || true
    path="${path%/*}"
  done
}

finish_beneath() {
  local code=$?
  leave_beneath || true
  if ((code == 0)); then finish_report; else (exit "$code") || finish_report; fi
}

is_beneath() { [[ "$1" == "$BENEATH"/* ]]; }

# `dumps`, and after look_beneath also the dumps beneath; of two with the same path only the visible one.
dumps_and_those_beneath() {
  local epoch path
  {
    dumps
    if ((IS_BENEATH_SEEN)); then
      HOST_ROOT="$BENEATH" dumps | while read -r epoch path; do
        [[ -e "$(visible_path "$path")" ]] || echo "$epoch $path"
      done
    fi
  } | sort -srn -k 1,1
}

# The path in reports: without the root's prefix; a dump beneath has its path without the mounted volume.
reported_path() { if is_beneath "$1"; then echo "${1#"$BENEATH"}"; else echo "${1#"$HOST_ROOT"}"; fi; }
visible_path() { echo "$HOST_ROOT$(reported_path "$1")"; }

# Runs "$@" with the root that contains the dump of vmcorePath; its size and time are compared there first.
at_root_of_dump() {
  local mode="$1" directory="${SSM_vmcorePath%/*}"
  shift
  if [[ "$SSM_vmcorePath" == "$SSM_mountPoint"/* && ! -e "$HOST_ROOT$SSM_vmcorePath" ]] && look_beneath "$mode"; then
    # The directory without the dump: an interrupted removal.
    if [[ -e "$BENEATH$SSM_vmcorePath" ]] || [[ -d "$BENEATH$directory" && ! -d "$HOST_ROOT$directory" ]]; then
      local HOST_ROOT="$BENEATH"
    fi
  fi
  "$@"
}

#!/bin/bash
# Owns what lies beneath the mount point: a dump that was written before a late volume was mounted over it. Its directory is
# seen through a bind mount of the file system that holds it, which is gone again when the script ends, however it ends.
# Not below WORK_DIR, which is removed with all that is in it.
TRUE_ROOT="$HOST_ROOT"
BENEATH="$TRUE_ROOT/run/hangdump-beneath"
IS_BENEATH_SEEN=0

# The mount point of the file system in which the mount point is a directory.
holder_of_mount_point() {
  awk -v point="$SSM_mountPoint" '
    $5 != point && index(point "/", $5 == "/" ? "/" : $5 "/") == 1 && length($5) >= length(best) { best = $5 }
    END { print best ? best : "/" }' "$HOST_ROOT/proc/self/mountinfo"
}

# $1: ro, or rw for a removal. False when nothing is mounted there, or nothing can be seen beneath.
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

# Also what a run left that was killed.
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

# `dumps`, and once look_beneath was called those too that it shows; of two with the same path the one that is seen.
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

# As it is reported: without the prefix of the root, and for one beneath as if the volume were not mounted.
reported_path() { if is_beneath "$1"; then echo "${1#"$BENEATH"}"; else echo "${1#"$HOST_ROOT"}"; fi; }
visible_path() { echo "$HOST_ROOT$(reported_path "$1")"; }

# Runs "$@" with the root in which the dump of vmcorePath lies; its size and time are compared there before anything is done.
at_root_of_dump() {
  local mode="$1" directory="${SSM_vmcorePath%/*}"
  shift
  if [[ "$SSM_vmcorePath" == "$SSM_mountPoint"/* && ! -e "$HOST_ROOT$SSM_vmcorePath" ]] && look_beneath "$mode"; then
    # Without the dump, but with its directory: a removal that was cut short.
    if [[ -e "$BENEATH$SSM_vmcorePath" ]] || [[ -d "$BENEATH$directory" && ! -d "$HOST_ROOT$directory" ]]; then
      local HOST_ROOT="$BENEATH"
    fi
  fi
  "$@"
}

#!/bin/bash
# Changes the host's configuration: writes a new file, renames it, and records only real changes.

note_change() {
  log "changed: $1"
  printf '%s\n' "$1" >>"$WORK_DIR/changes"
}

has_changes() { [[ -s "$WORK_DIR/changes" ]]; }
changes() { cat "$WORK_DIR/changes" 2>/dev/null || true; }

# Content on stdin. The new file's name ends in neither .conf nor .cfg, so that no drop-in directory reads it.
write_if_changed() {
  local path beside
  mkdir -p "$(dirname "$HOST_ROOT$1")"
  path="$(readlink -f "$HOST_ROOT$1")"
  beside="$path.hangdump-new"
  cat >"$beside"
  if [[ -f "$path" ]] && cmp -s "$path" "$beside"; then
    rm -f "$beside"
    return 0
  fi
  record file "$1" "$(content_of "$path")" "$(content_of "$beside")"
  put_in_place "$path"
  note_change "$1"
}

# What is beside $1 becomes $1.
put_in_place() {
  local beside="$1.hangdump-new"
  if [[ -e "$1" ]]; then
    chmod --reference="$1" "$beside"
    chown --reference="$1" "$beside"
  else
    chmod 0644 "$beside"
  fi
  sync "$beside" 2>/dev/null || sync
  mv -f "$beside" "$1"
  relabel "$1"
}

# relabel [-R] FILE: what is new has the label of its directory, and SELinux may forbid kdump to read it, or to write to it.
relabel() {
  if [[ -e "$HOST_ROOT/sys/fs/selinux/enforce" ]] && command -v restorecon >/dev/null; then
    restorecon "$@" || log "note: restorecon $* failed"
  fi
}

# $1: the packages, $2: what the package manager said.
package_unavailable() {
  cat "$2" >&2
  fail PackageUnavailable "$1 could not be installed: $(tail -n 4 "$2"). Give the instance a repository that has it (on SLES: register it), or install it in its image, and run again."
}

# The drop-in $1 makes its service wait for the mount at $2. Wants, as a host without its dump volume has to boot.
order_after_mount() {
  local unit
  unit="$(mount_unit "$2")"
  printf '%s\n' "# Written by Hangdump." "[Unit]" "Wants=$unit" "After=$unit" | write_if_changed "$1"
  systemctl daemon-reload
}

enable_service() {
  if is_service_enabled "$1"; then return 0; fi
  record unit "$1" - =
  detached systemctl enable "$1"
  note_change "$1 enabled"
}

# set_assignments FILE KEY VALUE [KEY VALUE]...: keeps every other line of the shell-style file.
set_assignments() {
  local file="$1"
  shift
  text_of "$file" >"$WORK_DIR/assignments"
  while (($# >= 2)); do
    KEY="$1" VALUE="$2" awk '
      $0 ~ "^[ \t]*(export[ \t]+)?" ENVIRON["KEY"] "=" { if (!done++) print ENVIRON["KEY"] "=" ENVIRON["VALUE"]; next }
      { print }
      END { if (!done) print ENVIRON["KEY"] "=" ENVIRON["VALUE"] }' "$WORK_DIR/assignments" >"$WORK_DIR/assignments.new"
    mv "$WORK_DIR/assignments.new" "$WORK_DIR/assignments"
    shift 2
  done
  write_if_changed "$file" <"$WORK_DIR/assignments"
}

# The last value of KEY in FILE, without quotes and without a comment after it.
assignment() {
  sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$2=//p" "$HOST_ROOT$1" 2>/dev/null | tail -n 1 |
    sed -E -e "/^[\"']/!s/(^|[[:space:]]+)(#.*)?$//" -e 's/^"(.*)"[[:space:]]*(#.*)?$/\1/' -e "s/^'(.*)'[[:space:]]*(#.*)?$/\1/"
}

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
  # A link to /dev/null: what takes its place would be the host's null device.
  [[ ! -e "$path" || -f "$path" ]] || fail ConfigurationFailed "$1 leads to ${path#"$HOST_ROOT"}, which is no file. Remove the link, and run again."
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
  text_of "$file" >"$WORK_DIR/edited"
  while (($# >= 2)); do
    put_line "$1=" "$1=$2"
    shift 2
  done
  write_if_changed "$file" <"$WORK_DIR/edited"
}

# put_line PATTERN LINE: in $WORK_DIR/edited, in place of the first line that begins so, without the others; or at the end.
put_line() {
  PATTERN="$1" LINE="$2" awk '
    $0 ~ "^[ \t]*(export[ \t]+)?(" ENVIRON["PATTERN"] ")" { if (!done++) print ENVIRON["LINE"]; next }
    { print }
    END { if (!done) print ENVIRON["LINE"] }' "$WORK_DIR/edited" >"$WORK_DIR/edited.new"
  mv "$WORK_DIR/edited.new" "$WORK_DIR/edited"
}

# Before any change: kdump's settings are edited line by line, in files that a shell reads. A line that is continued or depends on
# a condition cannot be; nor is text that is added to a value with quotes or expansions in it what the shell would make of it.
refuse_settings_in_parts() {
  local file number line key
  while read -r file; do
    if [[ "$file" == *.conf || ! -f "$HOST_ROOT$file" ]]; then continue; fi
    while IFS=: read -r number line; do
      if [[ "$line" == *\\ ]] || ! head -n "$number" "$HOST_ROOT$file" | bash -n 2>/dev/null; then
        fail "$file has '$line', which is continued or under a condition. Write it as one line of its own, and run again."
      fi
    done < <(grep -nE '^[[:space:]]*(export[[:space:]]+)?(USE_KDUMP|MAKEDUMP|KDUMP_)[A-Z_]*=' "$HOST_ROOT$file")
    for key in KDUMP_CMDLINE_APPEND KDUMP_COMMANDLINE_APPEND KDUMP_REQUIRED_PROGRAMS; do
      line="$(assignment "$file" "$key")"
      [[ "$line" != *[\"\$\`\\]* ]] || fail "$file has $key=$line, to which nothing can be added. Write it without quotes, \$, \` and \\ inside, and run again."
    done
  done < <(family config_files)
}

# The last value of KEY in FILE, without quotes and without a comment after it.
assignment() {
  sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$2=//p" "$HOST_ROOT$1" 2>/dev/null | tail -n 1 |
    sed -E -e "/^[\"']/!s/(^|[[:space:]]+)(#.*)?$//" -e 's/^"(.*)"[[:space:]]*(#.*)?$/\1/' -e "s/^'(.*)'[[:space:]]*(#.*)?$/\1/"
}

#!/bin/bash
# Undoes the records of the ledger, the last one first. Each is taken out of the ledger when it is undone, so a run that
# failed can be run again. What somebody else changed since stays, and is noted in LEFT.
LEFT=/var/lib/hangdump/left

# note_left FILE KEY FOUND OURS: once, though several records lead to it.
note_left() {
  local line
  printf -v line '%s\037%s\037%s\037%s' "$@"
  if grep -qsxF "$line" "$HOST_ROOT$LEFT"; then return 0; fi
  log "left: $1 $2"
  (umask 077 && echo "$line" >>"$HOST_ROOT$LEFT")
}

# Sets RECORDS, without lines cut short by a power failure, and IS_KDUMP_OURS: Hangdump installed or enabled it.
read_ledger() {
  RECORDS=() IS_KDUMP_OURS=0
  [[ -e "$HOST_ROOT$LEDGER" ]] || return 0
  mapfile -t RECORDS < <(grep -E '^(file|unit|sysctl|directory|package) [^ ]+ (-|[?]|=[^ ]*) (-|[?]|=[^ ]*)$' "$HOST_ROOT$LEDGER" || true)
  if has_packages_to_remove || [[ " ${RECORDS[*]:-}" == *" unit $(family kdump_service) "* ]]; then IS_KDUMP_OURS=1; fi
}

# undo_records PATTERN [EXCEPT]: those that match the first pattern, and not the second.
undo_records() {
  local -A written=()
  local kind name before after index
  for ((index = ${#RECORDS[@]} - 1; index >= 0; index--)); do
    # shellcheck disable=SC2053 # patterns
    if [[ "${RECORDS[index]:-}" != $1 || "${RECORDS[index]}" == ${2:-} ]]; then continue; fi
    read -r kind name before after <<<"${RECORDS[index]}"
    # A tool edited it: the record of before follows.
    if [[ "$before" == "?" ]]; then
      written["$name"]="$after $index"
      continue
    fi
    if [[ "$after" == "?" && -n "${written["$name"]:-}" ]]; then
      after="${written["$name"]% *}"
      unset "RECORDS[${written["$name"]#* }]"
      written["$name"]=""
    fi
    case "$kind" in
      file) undo_file "$name" "$before" "$after" ;;
      unit) undo_unit "$name" ;;
      sysctl) undo_sysctl "$name" "$before" "$after" ;;
      directory) undo_directory "$name" ;;
      # With the others, by remove_packages.
      package) ;;
    esac
    unset "RECORDS[index]"
    write_ledger
  done
  # bash before 4.4 calls an empty array unset.
  RECORDS=(${RECORDS[@]+"${RECORDS[@]}"})
}

write_ledger() {
  (umask 077 && printf '%s\n' "" ${RECORDS[@]+"${RECORDS[@]}"} >"$HOST_ROOT$LEDGER.new")
  sync "$HOST_ROOT$LEDGER.new" 2>/dev/null || sync
  mv -f "$HOST_ROOT$LEDGER.new" "$HOST_ROOT$LEDGER"
}

# $1: file, $2: its content before, $3: the content that Hangdump gave it, or "?" if that is not known.
undo_file() {
  local path current
  path="$(readlink -m "$HOST_ROOT$1")"
  current="$(content_of "$path")"
  note_boot_loader_edit "$1" "$2" "$3"
  if [[ "$current" == "$2" ]]; then return 0; fi
  if [[ "$current" == "$3" ]]; then
    restore_file "$1" "$2"
  elif [[ "$current" == - ]]; then
    note_left "$1" "" "no file" "a file"
  elif [[ "$1" == */grub.cfg ]]; then
    : >"$HOST_ROOT$IS_STALE"
  else
    merge_file "$1" "$2" "$3"
  fi
}

# Exactly as it was.
restore_file() {
  local path
  path="$(readlink -m "$HOST_ROOT$1")"
  if [[ "$2" == - ]]; then
    rm -f "$path"
    remove_empty_directory "${1%/*}"
  else
    base64 -d <<<"${2#=}" >"$path.hangdump-new"
    put_in_place "$path"
  fi
  note_change "$1"
}

# A directory of drop-ins, or one of Hangdump's own.
remove_empty_directory() { if [[ "$1" == /etc/systemd/*.d || "$1" == /etc/hangdump ]]; then rmdir "$HOST_ROOT$1" 2>/dev/null || true; fi; }

merge_file() {
  local path only="" key found ours
  path="$(readlink -m "$HOST_ROOT$1")"
  decode "$2" >"$WORK_DIR/original"
  decode "$3" >"$WORK_DIR/ours"
  cat "$path" >"$WORK_DIR/current"
  if [[ "$3" == "?" ]]; then
    cp "$WORK_DIR/current" "$WORK_DIR/ours"
    only="$OUR_KEYS"
  fi
  : >"$WORK_DIR/left"
  merge "$1" "$only" >"$WORK_DIR/merged"
  if [[ "$1" == */grubenv ]]; then pad_grubenv; fi
  while IFS=$'\037' read -r key found ours; do note_left "$1" "$key" "$found" "$ours"; done <"$WORK_DIR/left"
  if cmp -s "$WORK_DIR/merged" "$WORK_DIR/current"; then return 0; fi
  if [[ "$2" == - && ! -s "$WORK_DIR/merged" ]]; then
    restore_file "$1" -
  else
    restore_file "$1" "$(content_of "$WORK_DIR/merged")"
  fi
}

# The content that a value stands for; of none, nothing.
decode() { if [[ "$1" == =* ]]; then base64 -d <<<"${1#=}"; fi; }

# GRUB reads exactly 1024 bytes; the last are "#".
pad_grubenv() {
  if (($(stat -c %s "$WORK_DIR/current") != 1024)); then return 0; fi
  grep -v '^###' "$WORK_DIR/merged" >"$WORK_DIR/grubenv" || true
  { cat "$WORK_DIR/grubenv" && printf '#%.0s' {1..1024}; } | head -c 1024 >"$WORK_DIR/merged"
}

undo_unit() {
  if is_service_enabled "$1"; then
    detached systemctl disable "$1"
    note_change "$1 disabled"
  fi
}

undo_sysctl() {
  local path observed
  path="/proc/sys/${1//.//}"
  observed="$(text_of "$path")"
  if [[ "=$observed" == "$2" ]]; then return 0; fi
  if [[ "=$observed" == "$3" ]]; then
    echo "${2#=}" >"$HOST_ROOT$path"
    note_change "$1 = ${2#=}"
  else
    note_left "the running kernel" "$1" "$observed" "${3#=}"
  fi
}

undo_directory() { if rmdir "$HOST_ROOT$1" 2>/dev/null; then note_change "$1"; fi; }

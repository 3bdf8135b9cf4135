#!/bin/bash
# Undoes what versions before the ledger left: a file's first version stands beside it, and the files that are Hangdump's own
# are known by their names. What those versions installed or enabled nobody knows: that stays, and is noted.

# Keys that Hangdump ever set, in the files of which there is such a first version.
OUR_KEYS="crashkernel=|Hangdump|^[ \t]*(export[ \t]+)?(USE_KDUMP|KDUMP_(COREDIR|COMPRESSION|CMDLINE_APPEND|COMMANDLINE_APPEND|SAVEDIR|DUMPLEVEL|DUMPFORMAT|KEEP_OLD_DUMPS|FREE_DISK_SIZE|IMMEDIATE_REBOOT|CONTINUE_ON_ERROR|REQUIRED_PROGRAMS|PRESCRIPT|POSTSCRIPT|CRASHKERNEL)|MAKEDUMP_ARGS|MAKEDUMPFILE_OPTIONS)=|^[ \t]*(path|core_collector|failure_action|default|final_action|auto_reset_crashkernel|$KDUMP_CONF_TARGETS)[ \t]|^[ \t]*-?kernel[./](unknown_nmi_panic|panic|panic_on_[a-z_]+|[a-z]+lockup_panic|hung_task_(panic|timeout_secs)|watchdog_thresh|max_rcu_stall_to_panic)[ \t]*="

first_versions() { find "$HOST_ROOT/etc" "$HOST_ROOT/boot" -xdev -name '*.hangdump-backup' -type f 2>/dev/null | sort; }

# An older version that was deployed over a newer one made its copies of what the newer one had written: no first version.
forget_later_versions() {
  local backup record name after
  while read -r backup; do
    : >"$WORK_DIR/written"
    for record in ${RECORDS[@]+"${RECORDS[@]}"}; do
      read -r _ name _ after <<<"$record"
      if [[ "$record" == "file "* && "$HOST_ROOT$name.hangdump-backup" == "$backup" ]]; then decode "$after" >>"$WORK_DIR/written"; fi
    done
    if are_ours "$backup" "$WORK_DIR/written"; then rm -f "$backup"; fi
  done < <(first_versions)
}

# Whether the file $1 has lines with keys of Hangdump's, and all of them are in $2.
are_ours() {
  awk -v only="$OUR_KEYS" -v written="$2" '
    FILENAME == written { is_written[$0] = 1; next }
    $0 ~ only { if ($0 in is_written) ours++; else others++ }
    END { exit !(ours && !others) }' "$2" "$1"
}

own_files() {
  printf '%s\n' "$READY_UNIT" "$READY_SCRIPT" "$WATCHDOG_UNIT" "$WATCHDOG_CONF" "$DEBIAN_DROP_IN" "$DEBIAN_SYSCTL_DROP_IN" "$REDHAT_DROP_IN" \
    "$SUSE_PRESCRIPT" "$SUSE_POSTSCRIPT" /etc/sysctl.d/99-kernel_panic.conf
}

has_traces() {
  local file
  while read -r file; do
    if grep -qs Hangdump "$HOST_ROOT$file"; then return 0; fi
  done < <(own_files)
  [[ -n "$(first_versions)" ]]
}

undo_older_version() {
  has_traces || return 0
  log "undoing what a version without a ledger left"
  crashkernel_arguments "$(text_of "$WANTED_CRASHKERNEL")" | crashkernel_values >>"$HOST_ROOT$VALUES_OURS"
  undo_unit hangdump-ready.service
  undo_unit hangdump-watchdog.service
  undo_first_versions
  remove_own_files
  rm -f "$HOST_ROOT$WANTED_CRASHKERNEL"
  remove_empty_directory /etc/hangdump
  note_left "" packages "perhaps installed by Hangdump" "not known: configured by a version without a ledger"
  note_left "the running kernel" sysctls "as they are until the next boot" "not known: configured by a version without a ledger"
  if is_service_enabled "$(family kdump_service)"; then
    note_left "" "$(family kdump_service)" "enabled" "not known: configured by a version without a ledger"
  fi
}

undo_first_versions() {
  local backup file
  while read -r backup; do
    file="${backup%.hangdump-backup}"
    undo_file "${file#"$HOST_ROOT"}" "$(content_of "$backup")" "?"
    rm -f "$backup"
  done < <(first_versions)
}

# Its own lines of the sysctls' file, which an owner may share; all others are wholly Hangdump's.
remove_own_files() {
  local file
  while read -r file; do
    if ! grep -qs Hangdump "$HOST_ROOT$file"; then continue; fi
    if [[ "$file" == */sysctl.d/* ]]; then undo_file "$file" - "?"; else restore_file "$file" -; fi
  done < <(own_files)
}

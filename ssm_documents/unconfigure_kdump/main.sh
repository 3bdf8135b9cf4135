#!/bin/bash
# The order of the way out, and its report. Everything that can be refused is refused before the first change. Safe to run
# again: what is undone is no longer in the ledger, and the last run says what earlier ones left.

is_configured() { [[ -e "$HOST_ROOT$LEDGER" || -e "$HOST_ROOT$LEFT" ]] || has_traces || [[ -n "$(hangdump_mounts)" ]]; }

# The lines of fstab that Hangdump wrote.
hangdump_mounts() { awk '$1 !~ /^#/ && $4 ~ /(^|,)x-hangdump(,|$)/' "$HOST_ROOT/etc/fstab" 2>/dev/null || true; }

# systemd feeds a watchdog of the guest no longer when it has read its configuration again.
undo_configuration() {
  local had_watchdog=0
  if [[ -e "$HOST_ROOT$WATCHDOG_CONF" ]]; then had_watchdog=1; fi
  # Last the line of fstab, from which a run that is repeated knows the mount point.
  undo_records "@(unit|sysctl|file) *" "file /etc/fstab *"
  undo_older_version
  systemctl daemon-reload
  if ((had_watchdog)); then
    detached systemctl daemon-reexec
    modprobe -r softdog || true
  fi
}

# Also a line whose options somebody changed: the mark says whose it is, and a boot would wait for a volume that is gone.
undo_fstab() {
  local file=/etc/fstab
  undo_records "file /etc/fstab *"
  if [[ -n "$(hangdump_mounts)" ]]; then
    foreign_lines <"$HOST_ROOT$file" >"$WORK_DIR/fstab"
    restore_file "$file" "$(content_of "$WORK_DIR/fstab")"
  fi
  systemctl daemon-reload
}

forget() {
  rm -f "$HOST_ROOT"{"$LEDGER","$LEFT","$VALUES_BEFORE","$VALUES_OURS",/var/lib/hangdump/reboot-requested}
  rmdir "$HOST_ROOT/var/lib/hangdump" 2>/dev/null || true
}

left_json() {
  local file key found ours separator=""
  printf '['
  while IFS=$'\037' read -r file key found ours; do
    printf '%s{"file":%s,"key":%s,"found":%s,"ours":%s}' "$separator" "$(json_string "$file")" "$(json_string "$key")" \
      "$(json_string "${found:0:200}")" "$(json_string "${ours:0:200}")"
    separator=","
  done < <(head -n 40 "$HOST_ROOT$LEFT" 2>/dev/null)
  printf ']'
}

# $1: status, $2: JSON of what is left.
report() {
  local is_empty=false
  if [[ "$IS_VOLUME_SEEN" == true && ! -s "$WORK_DIR/files" ]]; then is_empty=true; fi
  succeed "{\"status\":\"$1\",\"kernel\":$(json_string "$(kernel_release)"),\"changes\":$(changes | head -n 60 | json_list),\"left\":$2,\
\"kdump\":\"$KDUMP\",\"bytesGivenBack\":$BYTES_BACK,\"volumeEmpty\":$is_empty,\"files\":$(head -n 20 "$WORK_DIR/files" | json_list)}"
}

main() {
  local left
  KDUMP=off BYTES_BACK=0
  start_report ConfigurationFailed
  take_lock configuration 300
  use_own_mount_point
  refuse_while_dumping
  wait_for_mount "$SSM_mountPoint"
  refuse_dumps
  look_at_volume
  if ! is_configured; then
    report unchanged "[]"
    return 0
  fi
  find_family
  refuse_read_only_root
  mkdir -p "$HOST_ROOT/var/lib/hangdump"
  read_ledger
  forget_later_versions
  undo_configuration
  renew_boot_loader
  release_memory
  remove_packages
  renew_boot_loader
  unmount_volume
  undo_fstab
  undo_records "directory *"
  left="$(left_json)"
  forget
  report unconfigured "$left"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

#!/bin/bash
# The order of the configuration, and its report. Safe to run again, after a lost connection or the reboot.

load_crash_kernel() {
  if is_crash_kernel_loaded; then return 0; fi
  family load_crash_kernel || true
  is_crash_kernel_loaded || fail "$(reserved_bytes) bytes are reserved, but $(family kdump_service) did not load the crash kernel. See: journalctl -u $(family kdump_service)"
  note_change "crash kernel loaded"
}

report() {
  succeed "{\"status\":\"$1\",\"family\":\"$FAMILY\",\"kernel\":$(json_string "$(kernel_release)"),\
\"crashkernel\":$(json_string "$CRASHKERNEL"),\"changes\":$(changes | json_list)}"
}

# What can be refused is asked before the first change: the family refuses an owner's dump target before it writes.
configure() {
  record_packages family install_kdump
  check_compression
  choose_reservation
  wanted_sysctls >"$WORK_DIR/sysctls"
  family configure_dump "$SSM_mountPoint" "$SSM_coreCollector -d $SSM_dumpLevel" "$SSM_finalAction"
  set_sysctls
  set_guest_watchdog
  install_ready_unit
  reserve_memory
}

main() {
  local is_after_reboot=0
  start_report ConfigurationFailed
  take_lock configuration 300
  check_mount_point "$SSM_mountPoint"
  find_family
  refuse_read_only_root
  wait_for_mount "$SSM_mountPoint"
  check_preconditions
  configure
  if ! is_reservation_enough; then
    refuse_vain_reboot
    family prepare_crash_kernel
    if [[ "$SSM_reboot" == true ]]; then ask_for_reboot; fi
    report reboot-required
    return 0
  fi
  load_crash_kernel
  say_ready
  if [[ -f "$HOST_ROOT$REBOOT_MARKER" ]]; then
    is_after_reboot=1
    rm -f "$HOST_ROOT$REBOOT_MARKER"
  fi
  if ((is_after_reboot)) || has_changes; then report configured; else report unchanged; fi
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

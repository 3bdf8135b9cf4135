#!/bin/bash
# Decides whether the host is ready: all findings must be notes. A host that is not ready is a result, not an error, unless
# the caller sees nothing but success and failure.

find_everything() {
  sysctl_assignments >"$WORK_DIR/assignments"
  find_reservation_faults
  find_unreserved_entries
  find_service_faults
  find_target_faults
  family find_faults "$SSM_mountPoint"
  find_loading_faults
  find_arm64_faults
  find_initramfs_faults
  find_action_faults
  find_second_panic_path
  find_sysctl_faults
  find_old_makedumpfile
  find_old_agent
  find_uncollected_dump
}

main() {
  start_report ConfigurationFailed
  if [[ "$SSM_mountPoint" == found ]]; then
    # Of a host that was never prepared, the default: nothing is mounted there either.
    SSM_mountPoint=/var/crash
    use_own_mount_point
  fi
  find_family
  wait_for_mount "$SSM_mountPoint"
  MEMORY_BYTES="$(memory_bytes)"
  FREE_BYTES=0
  read_parked
  if is_mounted "$SSM_mountPoint"; then
    FREE_BYTES="$(free_bytes "$SSM_mountPoint")"
  elif [[ "$PARKED_FREE_BYTES" =~ ^[0-9]+$ ]]; then
    FREE_BYTES="$PARKED_FREE_BYTES"
  fi
  measure_dump "$(family dump_level)"
  find_everything
  succeed "{\"ready\":$(is_ready && echo true || echo false),\"findings\":[$(findings)],\"family\":\"$FAMILY\",\
\"kernel\":$(json_string "$(kernel_release)"),\"bootId\":$(json_string "$(boot_id)"),\"bootedAt\":$(json_string "$(booted_at)"),\
\"configId\":\"$(config_id)\",\"crashKernelLoaded\":$(is_crash_kernel_loaded && echo true || echo false),\
\"crashkernelBytes\":$(reserved_bytes),\"memoryBytes\":$MEMORY_BYTES,\"freeBytes\":$FREE_BYTES,\"expectedDumpBytes\":$EXPECTED_BYTES,\
\"parked\":$(is_parked && echo true || echo false)}"
  is_ready || [[ "$SSM_exitWhenNotReady" == false ]] || fail "The host is not ready; the report has the reasons."
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

#!/bin/bash
# Owns the verdict: ready when nothing was found. A host that is not ready is a result, not an error.

main() {
  local findings is_ready=true
  start_report ConfigurationFailed
  find_family
  MEMORY_BYTES="$(memory_bytes)"
  FREE_BYTES=0
  if is_mounted "$SSM_mountPoint"; then FREE_BYTES="$(free_bytes "$SSM_mountPoint")"; fi
  find_reservation_faults
  find_service_faults
  find_target_faults
  find_sysctl_faults
  family find_faults "$SSM_mountPoint"
  findings="$(cat "$WORK_DIR/findings" 2>/dev/null || true)"
  if [[ -n "$findings" ]]; then is_ready=false; fi
  succeed "{\"ready\":$is_ready,\"findings\":[$findings],\"family\":\"$FAMILY\",\"kernel\":$(json_string "$(kernel_release)"),\
\"bootId\":$(json_string "$(boot_id)"),\"bootedAt\":$(json_string "$(booted_at)"),\"crashkernelBytes\":$(reserved_bytes),\
\"memoryBytes\":$MEMORY_BYTES,\"freeBytes\":$FREE_BYTES}"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi

#!/bin/bash
# Sets crashkernel=: chooses the value, and decides whether the present reservation suffices or a reboot is needed.
REBOOT_MARKER=/var/lib/hangdump/reboot-requested

# The distribution's own tool knows its kernel and initramfs best; the family's table is the fallback.
wanted_crashkernel() {
  local value
  if [[ "$SSM_crashkernel" != auto ]]; then
    echo "$SSM_crashkernel"
    return
  fi
  value="$(family suggested_crashkernel)"
  if ! is_allowed crashkernel "$value" || (($(bytes_wanted_by "$value") == 0)); then
    if [[ -n "$value" ]]; then log "note: the family's tool suggests crashkernel=$value, which is of no use on this host; taking the table's"; fi
    value="$(family crashkernel_table "$(architecture)")"
  fi
  echo "$value"
}

is_reservation_enough() { (($(reserved_bytes) >= WANTED_BYTES)); }

reserve_memory() {
  CRASHKERNEL="$(wanted_crashkernel)"
  WANTED_BYTES="$(bytes_wanted_by "$CRASHKERNEL")"
  ((WANTED_BYTES > 0)) || fail InvalidParameter "crashkernel=$CRASHKERNEL reserves nothing on a host with $(($(rounded_memory_bytes) / 1024 / 1024)) MiB; widen its ranges."
  # Avoid a useless reboot: keep a reservation that is large enough and persists after the next boot.
  if is_reservation_enough && [[ -n "$(family configured_crashkernels)" ]]; then
    CRASHKERNEL="$(family configured_crashkernels | paste -s -d ' ')"
    return 0
  fi
  family configure_reservation "$CRASHKERNEL"
}

# If the kernel has read the value but has not reserved it, another reboot would change nothing. A new value may need a
# second reboot: kdump-tools estimates its need only after the first boot with kdump.
refuse_vain_reboot() {
  local booted observed="The kernel booted with crashkernel=$CRASHKERNEL but reserved $(($(reserved_bytes) / 1024 / 1024)) MiB"
  if [[ "$(booted_crashkernels | crashkernel_values)" == "$(crashkernel_arguments "$CRASHKERNEL" | crashkernel_values)" ]]; then
    fail ConfigurationFailed "$observed: it found no free range of that size. Give a smaller crashkernel, and look for 'crashkernel' in dmesg."
  fi
  if [[ -f "$HOST_ROOT$REBOOT_MARKER" ]] && grep -qxF "$CRASHKERNEL" "$HOST_ROOT$REBOOT_MARKER" && ! grep -qx "$(boot_id)" "$HOST_ROOT$REBOOT_MARKER"; then
    rm -f "$HOST_ROOT$REBOOT_MARKER"
    booted="$(booted_crashkernels)"
    fail ConfigurationFailed "The reboot did not bring crashkernel=$CRASHKERNEL: the kernel was booted with ${booted:-no crashkernel=}. The boot loader reads another configuration than the one that was written; set it there, reboot, and run again."
  fi
}

# 194 asks the SSM agent to reboot and to run this script again from its top.
ask_for_reboot() {
  mkdir -p "$(dirname "$HOST_ROOT$REBOOT_MARKER")"
  printf '%s\n' "$(boot_id)" "$CRASHKERNEL" >"$HOST_ROOT$REBOOT_MARKER"
  sync
  log "rebooting for crashkernel=$CRASHKERNEL"
  exit 194
}

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
  if ! is_allowed crashkernel "$value"; then
    value="$(family crashkernel_table "$(architecture)")"
  elif (($(bytes_wanted_by "$value") == 0)); then
    # EL10 and Fedora reserve nothing below 2G: with less the kernel does not unpack the crash initramfs.
    fail InsufficientMemory "This host has $(($(memory_bytes) >> 20)) MiB, but its distribution makes a crash kernel only from ${value%%-*} on (crashkernel=$value). Change to a type with at least ${value%%-*}."
  fi
  echo "$value"
}

# Sets CRASHKERNEL and WANTED_BYTES. Changes nothing.
choose_reservation() {
  CRASHKERNEL="$(wanted_crashkernel)"
  WANTED_BYTES="$(bytes_wanted_by "$CRASHKERNEL")"
  ((WANTED_BYTES > 0)) || fail InvalidParameter "crashkernel=$CRASHKERNEL reserves nothing on a host with $(($(rounded_memory_bytes) >> 20)) MiB; widen its ranges."
}

is_reservation_enough() { is_enough "$(reserved_bytes)" "$WANTED_BYTES"; }

# Avoids a useless reboot: a reservation stays that is large enough, now and after the next boot.
keeps_reservation() { is_reservation_enough && is_enough "$(next_reserved_bytes)" "$WANTED_BYTES"; }

# A size within the tolerance of the recorded one is the same.
record_wanted_crashkernel() {
  local difference=$((WANTED_BYTES - $(bytes_wanted_by "$(text_of "$WANTED_CRASHKERNEL")")))
  if ((${difference#-} > TOLERANCE_BYTES)); then echo "$CRASHKERNEL" | write_if_changed "$WANTED_CRASHKERNEL"; fi
}

reserve_memory() {
  record_wanted_crashkernel
  if keeps_reservation; then
    CRASHKERNEL="$(family configured_crashkernels | paste -s -d ' ')"
  else
    family configure_reservation "$CRASHKERNEL"
  fi
}

# If the kernel has read the value but has not reserved it, another reboot would change nothing. A new value may need a
# second reboot: kdump-tools estimates its need only after the first boot with kdump.
refuse_vain_reboot() {
  local booted observed="The kernel booted with crashkernel=$CRASHKERNEL but reserved $(($(reserved_bytes) >> 20)) MiB"
  if [[ "$(booted_crashkernels | crashkernel_values)" == "$(crashkernel_arguments "$CRASHKERNEL" | crashkernel_values)" ]]; then
    fail "$observed: it found no free range of that size. Give a smaller crashkernel, and look for 'crashkernel' in dmesg."
  fi
  if [[ -f "$HOST_ROOT$REBOOT_MARKER" ]] && grep -qxF "$CRASHKERNEL" "$HOST_ROOT$REBOOT_MARKER" && ! grep -qx "$(boot_id)" "$HOST_ROOT$REBOOT_MARKER"; then
    rm -f "$HOST_ROOT$REBOOT_MARKER"
    booted="$(booted_crashkernels)"
    fail "The reboot did not bring crashkernel=$CRASHKERNEL: the kernel was booted with ${booted:-no crashkernel=}. The boot loader reads another configuration than the one that was written; set it there, reboot, and run again."
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

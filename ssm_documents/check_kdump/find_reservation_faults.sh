#!/bin/bash
# The findings about the crash kernel's memory, now and after the next boot, and about the service.

find_reservation_faults() {
  local configured booted
  configured="$(family configured_crashkernels | paste -s -d ' ')"
  booted="$(booted_crashkernels)"
  if (($(reserved_bytes) == 0)); then
    if [[ -n "$configured" && -z "$booted" ]]; then
      finding reboot-pending "crashkernel=$configured is configured, but the kernel was booted before that" "reboot the instance, then check again"
    else
      finding reservation-missing "no memory is reserved; the kernel was booted with ${booted:-no crashkernel=}" "run configure_kdump, with a smaller crashkernel if one is on the command line already"
    fi
    return 0
  fi
  if [[ -z "$configured" ]]; then
    finding reservation-missing "memory is reserved now, but the boot loader has no crashkernel= for the next boot" "run configure_kdump"
  fi
  find_small_reservation
}

# Needed is what the distribution's own tool estimates for this host and its crash initramfs, or what configure_kdump wanted;
# where that is not recorded, no less than this boot has.
find_small_reservation() {
  local needed reserved next estimated reason remedy="run configure_kdump"
  reserved="$(reserved_bytes)" next="$(next_reserved_bytes)"
  needed="$(bytes_wanted_by "$(text_of "$WANTED_CRASHKERNEL")")"
  reason="configure_kdump wanted $((needed >> 20)) MiB"
  if ((needed == 0)); then needed="$reserved" reason="this boot has that much"; fi
  estimated="$(family estimated_mib)"
  if [[ "$estimated" =~ ^[0-9]+$ ]] && ((estimated << 20 > needed)); then
    needed=$((estimated << 20)) reason="the distribution's own tool estimates that the crash kernel needs $estimated MiB"
    remedy="run configure_kdump with crashkernel $(((estimated + 63) / 64 * 64))M"
  fi
  if is_enough "$reserved" "$needed"; then
    if is_enough "$next" "$needed" || has_finding reservation-missing; then return 0; fi
    finding reservation-too-small "the next boot reserves $((next >> 20)) MiB, this one $((reserved >> 20)) MiB; $reason" "$remedy"
  elif is_enough "$next" "$needed"; then
    finding reboot-pending "$((reserved >> 20)) MiB are reserved; $reason; the next boot reserves $((next >> 20)) MiB" "reboot the instance, then check again"
  else
    finding reservation-too-small "$((reserved >> 20)) MiB are reserved, $((next >> 20)) MiB from the next boot on; $reason" "$remedy"
  fi
}

find_service_faults() {
  local service masked
  service="$(family kdump_service)"
  masked="$(masked_units)"
  if [[ -n "$masked" ]]; then
    finding service-disabled "$masked is masked, so nothing can start it" "systemctl unmask $masked, then run configure_kdump"
  elif ! is_service_enabled "$service"; then
    finding service-disabled "$service is '$(systemctl is-enabled "$service" 2>/dev/null || true)'" "run configure_kdump, or: systemctl enable $service"
  fi
}

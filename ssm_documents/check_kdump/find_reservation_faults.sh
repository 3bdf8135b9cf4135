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

# The distribution's own estimate for this host and its crash initramfs.
find_small_reservation() {
  local estimated observed
  estimated="$(family estimated_mib)"
  if [[ ! "$estimated" =~ ^[0-9]+$ ]] || (($(reserved_bytes) >= estimated << 20)); then return 0; fi
  observed="$(($(reserved_bytes) >> 20)) MiB are reserved, the distribution's own tool estimates that the crash kernel needs $estimated MiB"
  if (($(configured_bytes) >= estimated << 20)); then
    finding reboot-pending "$observed; the next boot reserves $(($(configured_bytes) >> 20)) MiB" "reboot the instance, then check again"
  else
    finding reservation-too-small "$observed" "run configure_kdump with crashkernel $(((estimated + 63) / 64 * 64))M"
  fi
}

# The bytes that the next boot reserves; of a pair above and below 4 GiB the larger part.
configured_bytes() {
  local value bytes most=0
  while read -r value; do
    [[ "$value" == [0-9]* ]] || continue
    bytes="$(bytes_wanted_by "$value")"
    if ((bytes > most)); then most="$bytes"; fi
  done < <(family configured_crashkernels)
  echo "$most"
}

find_service_faults() {
  local service
  service="$(family kdump_service)"
  if ! is_service_enabled "$service"; then
    finding service-disabled "$service is '$(systemctl is-enabled "$service" 2>/dev/null || true)'" "run configure_kdump, or: systemctl enable $service"
  fi
}

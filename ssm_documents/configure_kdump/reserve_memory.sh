#!/bin/bash
# Owns crashkernel=: which value is wanted, whether the running reservation does already, whether a reboot is needed.
# The values' grammar is the kernel's (Documentation/admin-guide/kdump/kdump.rst).
REBOOT_MARKER=/var/lib/hangdump/reboot-requested

# 256M -> bytes.
bytes_of() {
  case "$1" in
    *G) echo $((${1%G} * 1024 * 1024 * 1024)) ;;
    *M) echo $((${1%M} * 1024 * 1024)) ;;
  esac
}

# As the kernel does since 5.x: memory is rounded up to 128 MiB before ranges are compared.
rounded_memory_bytes() {
  local step=$((128 * 1024 * 1024))
  echo $((($(memory_bytes) + step - 1) / step * step))
}

wanted_crashkernel() {
  if [[ "$SSM_crashkernel" == auto ]]; then
    echo "$(family crashkernel_mib "$(($(rounded_memory_bytes) / 1024 / 1024))")M"
  else
    echo "$SSM_crashkernel"
  fi
}

# What a crashkernel= value reserves on this host; 0 when no range fits.
bytes_wanted_by() {
  local memory range limits end
  memory="$(rounded_memory_bytes)"
  case "$1" in
    *-*) ;;
    *) bytes_of "${1%%[@,]*}" && return ;;
  esac
  for range in ${1//,/ }; do
    limits="${range%%:*}"
    end="${limits#*-}"
    if ((memory >= $(bytes_of "${limits%%-*}"))) && { [[ -z "$end" ]] || ((memory < $(bytes_of "$end"))); }; then
      bytes_of "${range#*:}"
      return
    fi
  done
  echo 0
}

is_reservation_enough() { (($(reserved_bytes) >= WANTED_BYTES)); }

reserve_memory() {
  CRASHKERNEL="$(wanted_crashkernel)"
  WANTED_BYTES="$(bytes_wanted_by "$CRASHKERNEL")"
  ((WANTED_BYTES > 0)) || fail InvalidParameter "crashkernel=$CRASHKERNEL reserves nothing on a host with $(($(rounded_memory_bytes) / 1024 / 1024)) MiB; widen its ranges."
  # No reboot for nothing: a reservation that is large enough, and will be there after the next boot, is left alone.
  if is_reservation_enough && [[ -n "$(family configured_crashkernels)" ]]; then
    CRASHKERNEL="$(family configured_crashkernels | tail -n 1)"
    return 0
  fi
  family configure_reservation "$CRASHKERNEL"
}

# The kernel has read the wanted value and still has not reserved it: another reboot would change nothing.
refuse_vain_reboot() {
  local observed="The kernel booted with crashkernel=$CRASHKERNEL but reserved $(($(reserved_bytes) / 1024 / 1024)) MiB"
  if [[ " $(cat "$HOST_ROOT/proc/cmdline") " == *" crashkernel=$CRASHKERNEL "* ]]; then
    fail ConfigurationFailed "$observed: it found no free range of that size. Give a smaller crashkernel, and look for 'crashkernel' in dmesg."
  fi
  if [[ -f "$HOST_ROOT$REBOOT_MARKER" && "$(cat "$HOST_ROOT$REBOOT_MARKER")" != "$(boot_id)" ]]; then
    rm -f "$HOST_ROOT$REBOOT_MARKER"
    fail ConfigurationFailed "The reboot did not bring crashkernel=$CRASHKERNEL: the command line is '$(cat "$HOST_ROOT/proc/cmdline")'. The boot loader reads another configuration than the one that was written; set it there, reboot, and run again."
  fi
}

# 194 asks the SSM agent to reboot and to run this script again from its top.
ask_for_reboot() {
  mkdir -p "$(dirname "$HOST_ROOT$REBOOT_MARKER")"
  boot_id >"$HOST_ROOT$REBOOT_MARKER"
  sync
  log "rebooting for crashkernel=$CRASHKERNEL"
  exit 194
}
